// Package contract holds an API contract: the OpenAPI document of a provider's
// operations with our annotations, and decides with it what may go out and what
// may come back.
//
// A Document is loaded once and is immutable and safe for concurrent use. For one
// Operation the flow is Parse (bytes of the caller → Args), Check (Args against the
// schemas), Encode (Args → the bytes for the provider; what the caller typed is never
// forwarded) and CheckResponse (bytes of the provider → the reduced bytes for the caller).
//
// All parameters of an operation — path, query, header, cookie and body — share one
// namespace of names, and Path is the grammar for them. A body that is not an
// object is the single name "body".
//
// The package reads no files, makes no network call and logs nothing.
package contract

import (
	"net/http"

	"sallyport/internal/schema"
	"sallyport/internal/wire"
)

// Sensitivity says what kind of data a field holds. The zero value is Plain.
type Sensitivity string

// The kinds of x-sallyport.data.
const (
	Plain    Sensitivity = ""
	Personal Sensitivity = "personal" // about a person
	Secret   Sensitivity = "secret"   // gives power: keys, tokens, client_secret, one-time codes
	Card     Sensitivity = "card"     // cardholder or sensitive authentication data (PCI DSS)
)

// Retry says when a repeat of an operation cannot do harm.
type Retry string

// The rules. The zero value is treated as RetryNever.
const (
	RetryNever Retry = "never" // not after a byte was sent, except where the provider documents that it did nothing
	RetrySafe  Retry = "safe"  // reads, and writes that can be repeated freely
	RetryKeyed Retry = "keyed" // only with the provider's idempotency key, which the gate adds
)

// Location says where a parameter travels.
type Location string

// The locations.
const (
	InPath   Location = "path"
	InQuery  Location = "query"
	InHeader Location = "header"
	InCookie Location = "cookie"
	InBody   Location = "body"
)

// Parameter is one top-level name of an operation.
type Parameter struct {
	Name     string // in our namespace
	Wire     string // the name on the wire; differs from Name only where two locations use one name
	In       Location
	Required bool
	Schema   *Schema
	// Description is the parameter's own, which may say more than that of its schema.
	Description string
	// Account names a non-secret credential field (such as account_sid) whose value
	// the gate inserts: whatever a caller writes here is ignored.
	Account string
	// ID marks an object id. Ids may come from a browser only when PublicID is set, or
	// where a rule says that they are owned. Kind is what kind of object it names.
	ID       bool
	Kind     string
	PublicID bool
	// SelectsAccount: the value selects which account of the provider the call works on,
	// or who is billed. A browser never chooses it.
	SelectsAccount bool
	// URL marks an address that the provider will send the visitor or a callback to.
	URL bool
	// Unofficial is the reason why the provider's official file does not list it.
	Unofficial string

	style wire.Style // how arrays and objects are written, except in a body
	node  int        // of its schema in the document
	id    schema.ID
	mark  schema.Mark // of x-sallyport on the parameter itself
}

// Schema is a compiled schema, for mocks and generated types. It is read-only.
type Schema struct {
	Types       []string // JSON types; empty means any
	Nullable    bool
	Format      string
	Pattern     string
	Enum        []any
	Const       any
	HasConst    bool
	Default     any
	Example     any
	Title       string
	Description string

	Properties map[string]*Schema
	Order      []string // property names in document order
	Required   []string
	// Additional is the schema of properties that are not listed (a map); nil: there are none.
	Additional *Schema
	// Closed: a property that is not listed is a fault. Objects of requests are closed
	// unless they are maps; in answers such properties are dropped and counted.
	Closed             bool
	Names              *Schema // propertyNames: the names of a map
	MinProps, MaxProps *int

	Items              *Schema
	MinItems, MaxItems *int
	UniqueItems        bool
	MinLen, MaxLen     *int
	// Minimum and Maximum are the nearest float64; the check compares exactly.
	Minimum, Maximum   *float64
	AboveMin, BelowMax bool // the bound itself is excluded
	AllOf              []*Schema
	AnyOf, OneOf       []*Schema

	Data Sensitivity // x-sallyport.data
	Mock MockHint    // x-sallyport.mock
	ID   bool        // x-sallyport.id: an object id
	// Kind is the kind of object that an id names, where the contract says it: of two ids,
	// only those of one kind can be the same object's.
	Kind string
	// Grants: a visit that sent this value in a call that succeeded may name it where an id
	// of this kind stands (x-sallyport.grants).
	Grants string
	// SelectsAccount: x-sallyport.selects_account
	SelectsAccount bool
	// PublicID: x-sallyport.public
	PublicID bool
	// URL: x-sallyport.url
	URL bool
	// Unofficial: x-sallyport.official, why the provider's official file does not list it.
	Unofficial string

	rules rules // compiled for the check
}

// MockHint tells the mock how the provider writes a value (x-sallyport.mock).
type MockHint struct {
	Prefix   string `json:"prefix,omitempty"`   // pi_; "{id}" at its front is the object's own id
	Length   int    `json:"length,omitempty"`   // characters after the prefix
	Alphabet string `json:"alphabet,omitempty"` // hex, digits, base62 (default), upper
	Echo     string `json:"echo,omitempty"`     // name of the request parameter whose value appears here
	Now      string `json:"now,omitempty"`      // unix, rfc3339, rfc2822: the time of creation
	Value    any    `json:"value,omitempty"`    // always this
}

// Input is what a caller sent for an operation, still as bytes.
type Input struct {
	Path        string // escaped, as matched; without query
	RawQuery    string
	Header      http.Header // already allow-listed by the front
	ContentType string
	Body        []byte
}

// Output is what goes to the provider, encoded by us.
type Output struct {
	Path        string // escaped
	RawQuery    string
	Header      http.Header
	ContentType string // empty without a body
	Body        []byte
}

// Reply is a checked and reduced answer.
type Reply struct {
	Body        []byte
	ContentType string
	// Dropped counts the fields taken out because the contract does not know
	// them; Unknown names up to 20 of them. Reduced counts those taken out
	// because the view does not return them.
	Dropped int
	Unknown []string
	Reduced int
	// Sensitive lists the sensitive fields that were present in the whole answer, by path.
	Sensitive map[Sensitivity][]string
}
