package egress

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/budget"
	"sallyport/internal/contract"
	"sallyport/internal/guard"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// Deps are the things a Gate works with. All but those that say so are required; all are safe for
// concurrent use.
type Deps struct {
	Sessions Sessions
	Keys     Keys
	// Tokens may be nil: then no token endpoint is answered.
	Tokens      Tokens
	Limiter     Limiter
	Freezes     Freezes
	Audit       Audit
	Idempotency Idempotency
	Flights     *Flights
	Answers     Answers
	// Owned may be nil where no rule has owned ids.
	Owned    Owned
	Recorder Recorder
	// Guards is what the abuse guards remember; it outlives reloads. Nil: a new one.
	Guards *guard.Book
	// Alerts tells operators; nil means that nobody is told.
	Alerts Alerts
	// PermitReader, Permits and Receipts serve rules with sealed parameters and receipts.
	PermitReader PermitReader
	Permits      Permits
	Receipts     Receipts
	// Challenges makes proofs of work. Without it a visit that would be asked for one is
	// refused.
	Challenges Challenges
	// Signs may be nil: then there are none.
	Signs Signs
	// Budgets may be nil where no budget is in the file.
	Budgets Budgets
	// Config names the configuration in audit entries.
	Config string
	// Upstream gives the way out for one server of a connection. It is asked
	// once per connection and server when the Gate is built.
	Upstream func(c *site.Connection, p *provider.Pack, op *contract.Operation) (Upstream, error)
	Now      func() time.Time
	// Steady is the clock of the records of calls: it counts the time that passes, also
	// where the wall clock is set meanwhile. A record that expired because somebody set
	// the clock would let a call be made twice. Nil means Now.
	Steady func() time.Time
}

// Gate runs calls for one configuration. It is immutable: a reload builds another
// one, and a call that began on the old one ends on it.
type Gate struct {
	sites map[string]*siteRules
	steps []step
	deps  Deps
}

// siteRules is a site as the pipeline needs it.
type siteRules struct {
	*site.Site
	conns map[string]*connection
	whole session.Vouched // with which a visit may draw on the whole of a budget
}

// connection is a connection as the pipeline needs it.
type connection struct {
	*site.Connection
	pack      *provider.Pack
	doc       *contract.Document
	observe   []string
	browser   map[string]*browserRule
	backend   map[string]*backendRule
	guards    map[string]*guarded
	account   map[string]string
	presented []presentedAt
	keyInBody bool // one of them is a field of the body
	// application is how the provider's SDKs sign tokens themselves; usually empty.
	application session.ApplicationRule
	limits      [2][]ratelimit.Rule // of the site, of the connection
	// accountKey names the provider account that the connection works with.
	accountKey string
	own        *ownRule // what the gate may ask for itself; usually nil
}

// backendRule is what a site key may do with one operation.
type backendRule struct {
	view     *contract.View
	upstream Upstream
	charges  []budget.Charge // what a call costs the budgets
}

// browserRule is site.BrowserRule, compiled.
type browserRule struct {
	*site.BrowserRule
	view     *contract.View
	receipt  *contract.View // of the fields that a receipt states; nil: none is made
	sealsURL bool           // among the sealed values may be an address for the visitor
	upstream Upstream
	accounts []contract.Path // fields that choose an account
	charges  []budget.Charge // what a call costs the budgets
	owned    *ownedRule      // nil: no id is named, and none is remembered
	need     session.Vouched // of the visit
	acts     bool            // while the signs are bad, each call needs a proof of its own
}

// Catalog finds provider packs.
type Catalog interface {
	Find(id string) (*provider.Pack, error)
}

// New builds a Gate for the given sites. It fails when a rule names what the
// contract does not have; config reports the same faults with their lines.
func New(sites []*site.Site, catalog Catalog, deps Deps) (*Gate, error) {
	if deps.Steady == nil {
		deps.Steady = deps.Now
	}
	if deps.Guards == nil {
		deps.Guards = guard.New(nil)
	}
	g := &Gate{sites: map[string]*siteRules{}, steps: pipeline(), deps: deps}
	for _, s := range sites {
		rules := &siteRules{Site: s, conns: map[string]*connection{}, whole: WholeBudget(s.Vouching)}
		for name, c := range s.Connections {
			conn, err := g.compile(s, c, catalog)
			if err != nil {
				return nil, fmt.Errorf("site %s: connection %s: %w", s.Name, name, err)
			}
			rules.conns[name] = conn
		}
		g.sites[s.Name] = rules
	}
	return g, nil
}

func (g *Gate) now() time.Time { return g.deps.Now() }

func (g *Gate) compile(s *site.Site, c *site.Connection, catalog Catalog) (*connection, error) {
	pack, err := catalog.Find(c.Provider)
	if err != nil {
		return nil, err
	}
	conn := &connection{Connection: c, pack: pack, doc: pack.Contract(), observe: c.Observe, account: c.Account,
		browser: map[string]*browserRule{}, backend: map[string]*backendRule{},
		presented: presentedPlaces(pack), limits: [2][]ratelimit.Rule{SiteLimits(s), c.Limits}}
	conn.keyInBody = slices.ContainsFunc(conn.presented, func(at presentedAt) bool { return at.kind == "body" })
	conn.accountKey = accountKey(c)
	if a, life, ok := pack.Application(); ok {
		conn.application = session.ApplicationRule{Claim: a.Claim, Life: life}
	}
	wanted, err := conn.wantedKinds()
	if err == nil && len(wanted) > 0 && g.deps.Owned == nil {
		err = errors.New("there is no memory for owned ids")
	}
	if err == nil {
		err = g.openOwn(s, conn)
	}
	if err != nil {
		return nil, err
	}
	for name, rule := range c.Browser {
		op, upstream, err := g.open(conn, name)
		if err != nil {
			return nil, err
		}
		returns := rule.Returns
		if returns == nil {
			returns = []contract.Path{} // a rule that names nothing returns nothing
		}
		view, err := op.View(returns)
		if err != nil {
			return nil, fmt.Errorf("operation %s: returns: %w", name, err)
		}
		owned, err := conn.ownedRule(op, rule, wanted)
		if err != nil {
			return nil, fmt.Errorf("operation %s: %w", name, err)
		}
		compiled := &browserRule{BrowserRule: rule, view: view, upstream: upstream, accounts: accountFields(op), owned: owned, need: Need(s, c, rule, op), acts: Acts(op) || s.Vouching.Demand == site.DemandAll}
		if err := compiled.seal(op); err != nil {
			return nil, fmt.Errorf("operation %s: %w", name, err)
		}
		conn.browser[name] = compiled
	}
	for _, name := range conn.backendOperations() {
		op, upstream, err := g.open(conn, name)
		if err != nil {
			return nil, err
		}
		view, err := op.View(nil)
		if err != nil {
			return nil, fmt.Errorf("operation %s: %w", name, err)
		}
		conn.backend[name] = &backendRule{view: view, upstream: upstream}
	}
	if err := conn.compileGuards(); err != nil {
		return nil, err
	}
	if err := conn.budget(s, g.deps.Budgets != nil); err != nil {
		return nil, err
	}
	return conn, nil
}

// SiteLimits are the file's limits for a site, and a cautious one by session and by
// network where it names none of that kind: sessions are free, so that a limit per session
// alone limits nobody who makes new ones. Both count browsers only: a backend has no
// session, and its network is its own.
func SiteLimits(s *site.Site) []ratelimit.Rule {
	rules := slices.Clone(s.Limits)
	for _, cautious := range []ratelimit.Rule{
		{Calls: 120, Window: time.Minute, Per: ratelimit.PerSession},
		{Calls: 600, Window: time.Minute, Per: ratelimit.PerPrefix},
	} {
		if !slices.ContainsFunc(s.Limits, func(r ratelimit.Rule) bool { return r.Per == cautious.Per }) {
			rules = append(rules, cautious)
		}
	}
	return rules
}

func (c *connection) backendOperations() []string {
	if !c.BackendAll {
		return c.Backend
	}
	var all []string
	for _, op := range c.doc.Operations() {
		all = append(all, op.ID)
	}
	return all
}

func (g *Gate) open(conn *connection, operation string) (*contract.Operation, Upstream, error) {
	op, ok := conn.doc.Find(operation)
	if !ok {
		return nil, nil, fmt.Errorf("provider %s has no operation %q", conn.pack.ID, operation)
	}
	upstream, err := g.deps.Upstream(conn.Connection, conn.pack, op)
	if err != nil {
		return nil, nil, fmt.Errorf("operation %s: %w", operation, err)
	}
	return op, upstream, nil
}
