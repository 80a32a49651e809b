// Package site holds what a reviewed file says about a client website: its origins,
// its connections, and what each caller may do there.
//
// A Site is built by config, immutable, and inherits nothing from its neighbours. The
// zero value of a rule allows nothing.
package site

import (
	"slices"
	"time"

	"sallyport/internal/budget"
	"sallyport/internal/contract"
	"sallyport/internal/guard"
	"sallyport/internal/money"
	"sallyport/internal/order"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/secret"
)

// Caller is who asks. The zero value is nobody and may do nothing.
type Caller string

// The callers.
const (
	Nobody  Caller = ""
	Browser Caller = "browser" // a session: a visit, not a person
	Backend Caller = "backend" // a site key
	Gate    Caller = "gate"    // the gate itself, asking a bot check of the site's own connection
)

// Site is one client website.
type Site struct {
	Name           string
	ServedAt       []string // host names; empty: below /NAME/
	Origins        []Origin
	PreviewOrigins []Preview
	SessionTTL     time.Duration
	Limits         []ratelimit.Rule
	Vouching       Vouching
	Connections    map[string]*Connection
	Guards         guard.Rules
	// Budgets are what all calls of the site may cost together.
	Budgets []budget.Rule
	// Prices are the price lists by name.
	Prices map[string]*order.List
	// OpenID: the gate is an OpenID provider for the site's servers; nil: it is none.
	OpenID *OpenID
}

// Demand says which browser operations want a challenge from a visit for which nobody
// vouches.
type Demand string

// The demands. The zero value demands where it costs.
const (
	DemandCostly Demand = ""     // effects money or message, or a price
	DemandAll    Demand = "all"  // every operation
	DemandNone   Demand = "none" // no operation, but for rules with vouched: required
)

// Vouching says how a site tells scripts from visitors.
type Vouching struct {
	Demand Demand
	// Challenge is the connection whose provider checks for bots; empty: a proof of work.
	Challenge string
	// Action is what the bot check's widget must have been made for; empty: any.
	Action string
	// WholeBudget is who may draw on the whole of a budget, while all others share a small
	// part: "" (everybody who is vouched for), challenge or backend.
	WholeBudget string
}

// SignsIn reports whether visitors can sign in at the site.
func (s *Site) SignsIn() bool {
	for _, c := range s.Connections {
		if c.Login != nil {
			return true
		}
	}
	return false
}

// Connects reports whether visitors can connect their own accounts at the site.
func (s *Site) Connects() bool { return len(s.ConnectNames()) > 0 }

// ConnectNames are the connections whose accounts visitors can connect, sorted.
func (s *Site) ConnectNames() []string {
	var out []string
	for name, c := range s.Connections {
		if c.Connect != nil {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Connection is a site's use of one provider.
type Connection struct {
	Site     string
	Name     string
	Provider string
	Mode     provider.Mode
	// Credentials by field name, for secret fields; Account for the others.
	Credentials map[string]secret.Ref
	Account     map[string]string
	Public      map[string]string
	Version     string // pinned API version; empty: the catalog's
	// Auth names the auth of the catalog that replaces those of operations; empty: their own.
	Auth       string
	ServedAt   []string
	Upstream   *Upstream
	Browser    map[string]*BrowserRule // by operation
	Backend    []string
	BackendAll bool
	Limits     []ratelimit.Rule
	// Budgets are what all calls of the connection may cost together.
	Budgets []budget.Rule
	// Costs are what one call costs, by operation, of the file or else the catalog; an operation
	// that is missing has no known price.
	Costs map[string]money.Amount
	// Observe names checks that only report; see egress.Checks.
	Observe []string
	Mock    MockFaults
	// Login: visitors can sign in with this connection; nil: they cannot.
	Login *Login
	// Webhooks: the provider's events are taken in; nil: they are not.
	Webhooks *Webhooks
	// Connect: visitors can connect their own accounts at the provider; nil: they cannot.
	Connect *Connect
}

// Connect is how visitors connect their own accounts, for operations that need their tokens.
type Connect struct {
	// Issuer is the OpenID Connect issuer, byte by byte; empty: the catalog's, or none.
	Issuer string
	// Scopes are what is asked for beside the catalog's.
	Scopes []string
}

// Login is how visitors sign in with a connection, and what the site learns of them.
type Login struct {
	// Issuer is the OpenID Connect issuer, byte by byte; empty: the catalog's.
	Issuer string
	// Claims are what the site is told beside the pseudonym.
	Claims []string
	// Domain holds accounts to one organisation; empty: everybody.
	Domain string
	// Lasts is how long a sign-in counts.
	Lasts time.Duration
}

// Upstream replaces the provider's hosts for tests, staging or a private mirror.
type Upstream struct {
	URL     string // https://host:port
	CA      []byte // PEM bundle; empty: system roots
	Private bool   // may be a non-public address; refused in live
}

// BrowserRule is the closed grammar of one operation: only what is named passes.
type BrowserRule struct {
	Operation string
	Free      []contract.Path
	Fixed     []Fixed
	OneOf     []Choice
	Range     []Range
	// Owned are ids that the browser may name only because this visit received them.
	Owned []contract.Path
	// Sealed are parameters whose values come inside a permit that the site's backend
	// signed; no path has a [] in it.
	Sealed []contract.Path
	// From are parameters whose values the gate computes from a price list, all from the same;
	// no path has a [] in it.
	From    []From
	Returns []contract.Path
	// Receipt are fields of the answer that the gate states to the site's backend, signed;
	// empty: no receipt.
	Receipt []contract.Path
	Limits  []ratelimit.Rule
	// Vouched: only for visits that the site's backend vouches for.
	Vouched bool
	// SignedIn: only for visits that are signed in, or that the site's backend vouches for.
	SignedIn bool
	// Budgets are what browsers' calls of this operation may cost together.
	Budgets []budget.Rule
}

// Leaves reports whether the rule leaves something of a parameter to the browser.
func (r *BrowserRule) Leaves(parameter string) bool {
	for _, p := range r.Free {
		if p.Root() == parameter {
			return true
		}
	}
	for _, p := range r.Owned {
		if p.Root() == parameter {
			return true
		}
	}
	for _, c := range r.OneOf {
		if c.Path.Root() == parameter {
			return true
		}
	}
	for _, n := range r.Range {
		if n.Path.Root() == parameter {
			return true
		}
	}
	return false
}

// Fixed is always this value; it is inserted, never compared.
type Fixed struct {
	Path  contract.Path
	Value any // JSON-like: string, json.Number, bool, nil, []any, map[string]any
}

// Choice lets the browser choose one of Values.
type Choice struct {
	Path   contract.Path
	Values []any
}

// Range lets the browser choose a whole number between Min and Max, both allowed.
type Range struct {
	Path     contract.Path
	Min, Max int64
}

// From is a value that comes from an order and a price list.
type From struct {
	Path contract.Path
	List *order.List
	Part order.Part
	// AsText: an amount is written as a decimal text, 38.00, where the contract wants text.
	AsText bool
	// Currency is the list's, in the case that the contract wants.
	Currency string
}

// MockFaults are the switches of mode mock.
type MockFaults struct {
	Seed        uint64
	Latency     time.Duration
	RateLimited float64 // share of calls answered as throttled, 0 to 1
	ServerError float64
	BadBody     float64 // not parseable
	WrongSchema float64 // parseable, but against the contract
}

// OpenID makes the gate an OpenID provider for the site's own servers.
type OpenID struct {
	// Logins are the login connections; the first is taken where a client asks for none.
	Logins []string
	// Claims are what any of them declares, by OpenID names.
	Claims  []string
	Clients map[string]*OpenIDClient // by client id
}

// OpenIDClient is one server of the site that signs visitors in through the gate.
type OpenIDClient struct {
	// Secret is empty for a client that keeps none; it then needs PKCE.
	Secret secret.Ref
	// Redirects and AfterLogout are addresses on the site's origins, compared letter for letter.
	Redirects   []string
	AfterLogout []string
}

// Public reports whether the client has no secret.
func (c *OpenIDClient) Public() bool { return c.Secret == (secret.Ref{}) }
