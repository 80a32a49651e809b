package contract

import (
	"fmt"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/wire"
)

// The media types of request bodies.
const (
	JSONType      = "application/json"
	FormType      = "application/x-www-form-urlencoded"
	MultipartType = "multipart/form-data"
	XMLType       = "application/xml"
)

// Effect names of x-sallyport.effects.
const (
	EffectMoney    = "money"    // moves or promises money
	EffectMessage  = "message"  // sends something to a person
	EffectPersonal = "personal" // reads or writes personal data
	EffectAdmin    = "admin"    // changes the account itself
)

// Legacy says since when the provider calls an operation legacy, and where.
type Legacy struct {
	Since  string `json:"since"`
	Note   string `json:"note,omitempty"`
	Source string `json:"source,omitempty"`
}

// Official says where the provider's official file describes an operation, or why none does.
type Official struct {
	File string `json:"file,omitempty"`
	Path string `json:"path,omitempty"`
	None string `json:"none,omitempty"`
}

// Operation is one API call of a provider. It is immutable and safe for concurrent use.
// One that was not asked for at Load has its names and annotations, and nothing from
// Params on; see Loaded.
type Operation struct {
	ID           string
	Summary      string
	Method       string // upper case
	PathTemplate string // /v1/payment_intents/{intent}
	Server       string // name in pack.json
	Auth         string // name in pack.json
	Retry        Retry
	Effects      []string
	Legacy       *Legacy
	Official     Official
	Source       string
	// MockSet are fields that the mock sets in the object this operation changes:
	// x-sallyport.mock.set, such as {"status": "canceled"}.
	MockSet map[string]any
	// Params in the order path, query, header, cookie, body properties; each in contract order.
	Params []Parameter
	// RequestType is the media type that the provider gets: JSONType, FormType,
	// MultipartType or XMLType; empty: the operation takes no body.
	RequestType  string
	BodyRequired bool

	place    place
	doc      *Document
	byName   map[string]int
	body     *Schema // nil without a body
	bodyNode int     // of its schema in the document
	bodyID   schema.ID
	sentAs   string            // the media type as the document writes it
	form     wire.Style        // of the body, for FormType
	whole    bool              // the body is not an object: it is the parameter "body"
	open     bool              // the body takes names that are not listed
	wires    map[string]string // the body's names on the wire → ours
	parts    *wire.Multipart   // for MultipartType
	fields   []wire.Field
	xmlRoot  string // the root element of an XML body whose schema has no xml.name
	segments []segment
	replies  []replyRule
	success  int
	wire     wireParams
}

// HasEffect reports whether the operation has the effect.
func (o *Operation) HasEffect(effect string) bool {
	for _, e := range o.Effects {
		if e == effect {
			return true
		}
	}
	return false
}

// Loaded reports whether the operation can be called: it was asked for at Load.
func (o *Operation) Loaded() bool { return o.place.loaded }

// notLoaded is the error of a call that the document was not loaded for.
func (o *Operation) notLoaded() error {
	return fmt.Errorf("the operation %s was not loaded from contract %s", o.ID, o.doc.name)
}

// Param finds a parameter by its name in our namespace.
func (o *Operation) Param(name string) (*Parameter, bool) {
	i, ok := o.byName[name]
	if !ok {
		return nil, false
	}
	return &o.Params[i], true
}

// ParamNames lists the names in the order of Params.
func (o *Operation) ParamNames() []string {
	names := make([]string, len(o.Params))
	for i := range o.Params {
		names[i] = o.Params[i].Name
	}
	return names
}

// RequestBody is the schema of the whole body; nil: the operation takes none.
func (o *Operation) RequestBody() *Schema { return o.body }

// Schema is the response schema of a status, for mocks; nil: no body, or the
// contract does not list the status.
func (o *Operation) Schema(status int) *Schema {
	r, listed := o.reply(status)
	if !listed {
		return nil
	}
	return o.tree(&r, true)
}

// SuccessStatus is the lowest 2xx status that the contract lists.
func (o *Operation) SuccessStatus() int { return o.success }

// replyRule is one entry of responses. A rule covers low to high.
type replyRule struct {
	low, high int
	node      int     // of its schema in the document; absent: it has no body
	schema    *Schema // nil: it has no body, or is described when asked for
	id        schema.ID
	xmlRoot   string // set where the answer is XML: its root element
	root      string // "body" where the answer is not an object
}

// reply finds the most exact rule: 201 before 2XX before default.
func (o *Operation) reply(status int) (replyRule, bool) {
	best, found := replyRule{low: 0, high: 1 << 20}, false
	for _, r := range o.replies {
		if status >= r.low && status <= r.high && r.high-r.low < best.high-best.low {
			best, found = r, true
		}
	}
	return best, found
}

// refuse makes the problem of a request that cannot be used at all.
func refuse(code problem.Code, format string, args ...any) error {
	return problem.New(code, format, args...)
}
