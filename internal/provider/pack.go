// Package provider is the catalog: what Sallyport knows about each third-party API.
//
// A Pack is data (builtin/ID/pack.json, with builtin/ID/contract.json beside it): hosts
// per mode, where credentials go, version pinning, documented limits, retry and
// idempotency rules, throttling hidden in successful answers, the webhook scheme and
// its parameters, which part of the provider goes through the gate, and compliance facts
// with their source and date. Code never branches on a provider's name; a new provider
// is a new folder of data.
//
// A fact without a source is not a fact: Validate refuses it. What a provider does not
// publish is written down as "not published", never guessed.
package provider

import (
	"slices"
	"strconv"

	"sallyport/internal/contract"
)

// Mode says which of a provider's systems a connection uses.
type Mode string

// The modes.
const (
	Live    Mode = "live"
	Sandbox Mode = "sandbox"
	Mock    Mode = "mock"
)

// Pack is one provider. It is immutable after Load and safe for concurrent use.
type Pack struct {
	ID        string   `json:"id"`   // stripe
	Name      string   `json:"name"` // Stripe
	Functions []string `json:"functions"`
	Summary   string   `json:"summary"`
	Docs      string   `json:"docs"`
	// Checked is the day (2006-01-02) on which we read the sources of everything below
	// that carries no date of its own.
	Checked string `json:"checked"`
	// Format is the data format on the wire in a few words: "form in, JSON out".
	Format string `json:"format"`

	// Servers by name; every operation of the contract names one in x-sallyport.server.
	Servers map[string]Server `json:"servers"`
	// Credentials are the fields that a connection of this provider takes.
	Credentials []CredentialField `json:"credentials"`
	// Auth are the ways to apply them, by name; operations name one in x-sallyport.auth.
	Auth map[string]Auth `json:"auth"`
	// Public are values that pages need (publishable key, client id); never secret.
	Public  []PublicField `json:"public,omitempty"`
	Version Version       `json:"version"`
	Limits  []Limit       `json:"limits"`
	// Prices are what calls cost, where the provider publishes a price that holds for everybody.
	Prices []Price `json:"prices,omitempty"`
	// Throttle are signs of throttling, apart from status 429.
	Throttle []Sign `json:"throttle,omitempty"`
	// Refused are signs that the provider refused the credential and did nothing, apart from
	// status 401.
	Refused     []Sign      `json:"refused,omitempty"`
	Retry       RetryRule   `json:"retry"`
	Idempotency Idempotency `json:"idempotency"`
	// Guards are the facts that abuse guards go by.
	Guards Guards `json:"guards,omitzero"`
	// Errors say where the provider puts its error code.
	Errors ErrorShape `json:"errors"`
	// RequestHeaders and ResponseHeaders, beyond those of the contract's parameters,
	// may pass between a backend and the provider (lower case).
	RequestHeaders  []string `json:"request_headers,omitempty"`
	ResponseHeaders []string `json:"response_headers,omitempty"`
	// AccountHeaders are those by which the provider chooses another account, or who is
	// billed. A call that carries one is refused, whoever makes it.
	AccountHeaders []AccountHeader `json:"account_headers,omitempty"`
	Webhook        *Webhook        `json:"webhook,omitempty"`
	// BotCheck is set where the provider tells scripts from visitors: a site can name a
	// connection of it under vouching.challenge.
	BotCheck *BotCheck `json:"bot_check,omitempty"`
	// Probes tell whether a credential is good, the best first.
	Probes []Probe `json:"probes,omitempty"`
	// Rotation says how a credential is changed and revoked.
	Rotation *Rotation `json:"rotation,omitempty"`
	// Login is set where visitors can sign in with the provider: a connection of it may have
	// a login.
	Login *Login `json:"login,omitempty"`
	// Grant is set where visitors can connect their own accounts: a connection of it may have
	// a connect, which operations of auth kind user_token need.
	Grant     *Grant     `json:"grant,omitempty"`
	Surface   Surface    `json:"surface"`
	KeyShapes []KeyShape `json:"key_shapes,omitempty"`
	// TokenEndpoints are where the provider's SDKs change their credential for a token. The gate
	// answers them itself, for site keys.
	TokenEndpoints []TokenEndpoint `json:"token_endpoints,omitempty"`
	Caching        *Fact           `json:"caching,omitempty"`
	Regions        []Fact          `json:"regions"`    // where data is processed; empty = not published
	Compliance     []Compliance    `json:"compliance"` // claims as published, with source and date
	Notes          []Fact          `json:"notes,omitempty"`
	// Imported is set in packs that `sallyport providers import` made from a description of
	// the API. No person has read the provider's pages for such a pack, so what the description
	// does not say is not published in it: functions and docs may be missing.
	Imported *Imported `json:"imported,omitempty"`

	contract *contract.Document
	digest   string
}

// AccountHeader is a request header that selects an account.
type AccountHeader struct {
	Name   string `json:"name"` // lower case
	Source string `json:"source"`
}

// Server is one API host of a provider.
type Server struct {
	// URL by mode: live, sandbox. A mode that is missing does not exist.
	URL map[Mode]string `json:"url"`
}

// CredentialField is one value of a connection's credentials.
type CredentialField struct {
	Name        string `json:"name"` // secret_key
	Title       string `json:"title"`
	Secret      bool   `json:"secret"`             // false: an identifier that may be written literally (account_sid)
	Optional    bool   `json:"optional,omitempty"` // needed only by some auth
	Pattern     string `json:"pattern,omitempty"`  // RE2 of a well-formed value, checked without printing it
	Modes       Shapes `json:"modes,omitempty"`    // patterns by mode, to catch a live key in sandbox and the reverse
	Description string `json:"description,omitempty"`
}

// Shapes are RE2 patterns by mode.
type Shapes map[Mode]string

// Auth is one way to apply credentials. Templates hold {field} of Credentials.
type Auth struct {
	// Kind is header, basic, query, body (several may be combined by Also), none, or
	// a kind that needs a token first: oauth_client_credentials, oauth_jwt_bearer,
	// jwt_rs256, user_token.
	Kind     string `json:"kind"`
	Name     string `json:"name,omitempty"`  // header, query or body field
	Value    string `json:"value,omitempty"` // template: "Bearer {secret_key}"
	User     string `json:"user,omitempty"`  // basic
	Password string `json:"password,omitempty"`
	Also     []Auth `json:"also,omitempty"`
	// TokenServer and TokenPath name the token endpoint of oauth_client_credentials and
	// oauth_jwt_bearer.
	TokenServer string `json:"token_server,omitempty"`
	TokenPath   string `json:"token_path,omitempty"`
	// TokenClient is how User and Password are sent there: client_secret_basic, the default,
	// or client_secret_post.
	TokenClient string `json:"token_client,omitempty"`
	// TokenScope is the scope that is asked for.
	TokenScope string `json:"token_scope,omitempty"`
	// TokenLife is how long a token of jwt_rs256 holds, as a Go duration; Claims are its
	// claims beside iat, exp and jti, as templates.
	TokenLife string            `json:"token_life,omitempty"`
	Claims    map[string]string `json:"claims,omitempty"`
	// InsteadOf are the auths of operations that a connection may replace with this one.
	InsteadOf []string `json:"instead_of,omitempty"`
}

// BotCheck says how the gate asks a provider whether the token that its widget gave to a
// page is good, and how to read the answer. Fields are parameter paths of the answer.
type BotCheck struct {
	Operation string `json:"operation"`
	Token     string `json:"token"`     // parameter of the operation that takes the token
	MaxToken  int    `json:"max_token"` // longest token, in bytes
	// Life is how long a token may be checked, as a Go duration.
	Life     string `json:"life"`
	Good     string `json:"good"`               // boolean: the token counts
	Hostname string `json:"hostname,omitempty"` // text: where the widget ran
	Action   string `json:"action,omitempty"`   // text: what the page made it for
	Codes    string `json:"codes"`              // list of texts: why not
	// OwnFaults are codes that mean that the gate's question was wrong, not the token.
	OwnFaults []string `json:"own_faults"`
	// TestHostnames are answered for the provider's test keys; they count outside mode live.
	TestHostnames []string `json:"test_hostnames,omitempty"`
	Source        string   `json:"source"`
}

// PublicField is a value that reaches client.js.
type PublicField struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Pattern     string `json:"pattern,omitempty"`
	Description string `json:"description,omitempty"`
}

// Version says how the provider's API version is pinned.
type Version struct {
	Header  string `json:"header,omitempty"`  // Stripe-Version; empty: the version is in the path
	Default string `json:"default,omitempty"` // the version that our contract was checked against
	Pattern string `json:"pattern,omitempty"` // of a well-formed version
	// Path is the prefix that carries the version where it is a parameter: /v26.0
	Path   string `json:"path,omitempty"`
	Note   string `json:"note,omitempty"`
	Source string `json:"source"`
}

// Limit is one documented limit. Published false means: the provider publishes
// none, and Calls is our own cautious default.
type Limit struct {
	Scope    string   `json:"scope"` // account, operation, object, number: what the provider counts by
	Modes    []Mode   `json:"modes,omitempty"`
	Calls    float64  `json:"calls,omitempty"`
	Per      string   `json:"per,omitempty"`        // Go duration: 1s, 1m, 24h
	InFlight int      `json:"in_flight,omitempty"`  // concurrent calls
	Ops      []string `json:"operations,omitempty"` // empty: all
	// By are the parameters that name the object or number, where Scope is one of these:
	// each operation has one of them.
	By        []string `json:"by,omitempty"`
	Published bool     `json:"published"`
	Note      string   `json:"note,omitempty"`
	Source    string   `json:"source,omitempty"`
	Date      string   `json:"date,omitempty"`
}

// Sign finds throttling, or a call that may be repeated, in an answer. All set
// conditions must hold.
type Sign struct {
	Status int    `json:"status,omitempty"` // HTTP status; 0: any
	Field  string `json:"field,omitempty"`  // path in the JSON body: messages[0].status
	Equals string `json:"equals,omitempty"` // the field's value, as text
	Header string `json:"header,omitempty"` // a header that is present, with HeaderIs if set
	// HeaderIs is the wanted value; empty: any.
	HeaderIs string   `json:"header_is,omitempty"`
	Means    string   `json:"means"` // throttled, retry, never, refused: what the sign means
	Ops      []string `json:"operations,omitempty"`
	Source   string   `json:"source"`
}

// RetryRule says what the provider documents about repeats.
type RetryRule struct {
	// Statuses that may be repeated for operations with retry safe or (with a key) keyed.
	Statuses []int `json:"statuses"`
	// RetryAfter: the header is honoured where sent. ThrottledIsUnprocessed: a
	// throttled call was documented not to be processed, so even a send may be repeated.
	RetryAfter             bool   `json:"retry_after"`
	ThrottledIsUnprocessed bool   `json:"throttled_is_unprocessed"`
	Header                 string `json:"header,omitempty"` // Stripe-Should-Retry: true or false decides
	MaxAttempts            int    `json:"max_attempts"`
	Source                 string `json:"source"`
}

// Idempotency says how the provider recognises a repeat. Header empty: it does not.
type Idempotency struct {
	Header    string   `json:"header,omitempty"`
	MaxLength int      `json:"max_length,omitempty"`
	Methods   []string `json:"methods,omitempty"`
	Keep      string   `json:"keep,omitempty"` // Go duration the provider remembers keys
	Source    string   `json:"source,omitempty"`
}

// ErrorShape says where an error answer keeps its parts (paths in the JSON body).
type ErrorShape struct {
	Code    string `json:"code,omitempty"`    // error.code; safe to show to a visitor
	Message string `json:"message,omitempty"` // never shown to a browser
	// Refused are the codes that SDKs know for the gate's own refusals.
	Refused *RefusedCodes `json:"refused,omitempty"`
	// Else is the shape of the operations that it names, where a provider has two.
	Else *ErrorShape `json:"else,omitempty"`
	Ops  []string    `json:"operations,omitempty"` // of Else
}

// RefusedCodes are codes of the provider that stand in a refusal of the gate to a backend, so
// that an SDK shows it as the error that it is.
type RefusedCodes struct {
	// Codes by HTTP status of the refusal. For other statuses the gate's own code stands.
	Codes map[string]string `json:"codes"`
	// Numbers: SDKs read the code as a number, so for other statuses the status stands.
	Numbers bool   `json:"numbers,omitempty"`
	Source  string `json:"source"`
}

// Of is what stands for a refusal of that status; ok is false where the gate's own code does.
func (r *RefusedCodes) Of(status int) (code any, ok bool) {
	if r == nil {
		return nil, false
	}
	text, ok := r.Codes[strconv.Itoa(status)]
	if !r.Numbers {
		return text, ok
	}
	if n, err := strconv.Atoi(text); err == nil {
		return n, true
	}
	return status, true
}

// ErrorsOf is the shape of an operation's error answers.
func (p *Pack) ErrorsOf(operation string) ErrorShape {
	if e := p.Errors.Else; e != nil && slices.Contains(e.Ops, operation) {
		return *e
	}
	return p.Errors
}

// Webhook names the verification scheme (a kind of package webhook/scheme) and its parameters.
type Webhook struct {
	Scheme          string            `json:"scheme"` // one of Schemes
	Params          map[string]string `json:"params,omitempty"`
	Unauthenticated bool              `json:"unauthenticated,omitempty"` // the provider signs nothing
	Note            string            `json:"note,omitempty"`
	Source          string            `json:"source"`
}

// Surface says which part of the provider goes through the gate and which runs in the page.
type Surface struct {
	Through string   `json:"through"` // gate, page, both
	Gate    string   `json:"gate"`    // in a sentence
	Page    string   `json:"page,omitempty"`
	Scripts []string `json:"scripts,omitempty"` // origins of the page's scripts
}

// KeyShape is a form in which a site key is printed, so that SDKs and plug-ins
// that look at prefixes accept it.
type KeyShape struct {
	Name     string `json:"name"`           // stripe-test
	Prefix   string `json:"prefix"`         // sk_test_
	Length   int    `json:"length"`         // random characters after the prefix; at least 128 bits
	Alphabet string `json:"alphabet"`       // base62, hex, base64url, digits
	User     string `json:"user,omitempty"` // a pair: prefix of the first half (api key, SID)
	UserLen  int    `json:"user_length,omitempty"`
	// UserAlphabet is that of the first half, where it is another one.
	UserAlphabet string `json:"user_alphabet,omitempty"`
	// Mode that the shape looks like.
	Mode Mode `json:"mode,omitempty"`
	// Lines name what is printed, in order, in the provider's words: account SID, auth token.
	Lines []string `json:"lines,omitempty"`
	// Application is set where SDKs sign tokens with an application's private key (RS256): the
	// key then comes with an application id and an RSA key, of which the public half is kept.
	Application *KeyApplication `json:"application,omitempty"`
}

// KeyApplication says what an SDK's self-signed token looks like.
type KeyApplication struct {
	Claim  string `json:"claim"` // that holds the application id
	Life   string `json:"life"`  // Go duration: the longest from iat to exp
	Source string `json:"source"`
}

// Fact is a statement with its source.
type Fact struct {
	Statement string `json:"statement"`
	Source    string `json:"source"`
	Date      string `json:"date"`
	// Evidence is "documentation", "official code" or "third party".
	Evidence string `json:"evidence"`
	Since    string `json:"since,omitempty"`
}

// Compliance is a claim as the provider (or a third party) publishes it. Subject is one
// of PCI DSS, SOC 1, SOC 2, SOC 3, ISO 27001, ISO 27017, ISO 27018, HIPAA, GDPR, DPF, APEC CBPR, P2PE.
type Compliance struct {
	Subject string `json:"subject"`
	Fact
}

// Imported says what an imported pack was made from.
type Imported struct {
	File    string `json:"file"`    // its base name
	SHA256  string `json:"sha256"`  // of its bytes, in hex
	Family  string `json:"family"`  // OpenAPI 3.0, OpenAPI 3.1, Swagger 2.0, Google Discovery
	Version string `json:"version"` // of the API, as the description says
	On      string `json:"on"`      // the day of the import
}

// AuthFor is the auth of an operation on a connection that chose the one of that name, or none.
func (p *Pack) AuthFor(op *contract.Operation, chosen string) (name string, a Auth, ok bool) {
	if c, found := p.Auth[chosen]; found && slices.Contains(c.InsteadOf, op.Auth) {
		return chosen, c, true
	}
	a, ok = p.Auth[op.Auth]
	return op.Auth, a, ok
}

// Digest tells whether the pack's two files have changed; empty for a pack that was not parsed. It
// is a checksum, for packs that nobody forges.
func (p *Pack) Digest() string { return p.digest }

// Contract is the provider's contract.
func (p *Pack) Contract() *contract.Document { return p.contract }
