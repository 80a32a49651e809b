//go:build linux

package bench

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sallyport/internal/budget"
	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/guard"
	"sallyport/internal/jws"
	"sallyport/internal/money"
	"sallyport/internal/permit"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// setup is what of the guards a gate has.
type setup struct {
	guards, budgets, owned bool
	sealed                 bool // the amount comes in a permit
	trusting               bool // … which nobody verifies: for comparison
}

// wide are the default guards with limits that a benchmark does not reach: what they do for
// a call is the same.
func wide() guard.Rules {
	r := guard.Defaults()
	many := func(p *ratelimit.Rule) { p.Calls, p.Window = 1<<30, time.Second }
	for _, list := range [][]ratelimit.Rule{r.Cards.Attempts, r.Cards.Declines, r.Messages.Sends, r.Autocomplete.Searches} {
		for i := range list {
			many(&list[i])
		}
	}
	for _, one := range []*ratelimit.Rule{&r.Messages.PerNumber, &r.Messages.BackendPerNumber, &r.Messages.PerRange, &r.Messages.PerCountry} {
		many(one)
	}
	r.Messages.Countries = []string{"DE", "GB", "US", "AT", "FR", "IT", "ES"}
	r.Messages.Run, r.Messages.Unanswered = 1<<30, 1<<30
	return r
}

func without() guard.Rules {
	return guard.Rules{Cards: guard.Cards{Mode: guard.Off}, Messages: guard.Messages{Mode: guard.Off}, Autocomplete: guard.Autocomplete{Mode: guard.Off}}
}

// guardedGate is a gate over three providers. What waits for a disk is in memory: the figure
// is of the processor.
func guardedGate(tb testing.TB, s setup) *egress.Gate {
	tb.Helper()
	paths := func(list ...string) (out []contract.Path) {
		for _, s := range list {
			p, err := contract.ParsePath(s)
			if err != nil {
				tb.Fatal(err)
			}
			out = append(out, p)
		}
		return out
	}
	fixed := func(path string, v any) site.Fixed { return site.Fixed{Path: paths(path)[0], Value: v} }
	shop := &site.Site{Name: "shop", Origins: []site.Origin{"https://shop.example"}, Guards: without(),
		Limits: []ratelimit.Rule{{Calls: 1 << 30, Window: time.Second, Per: ratelimit.PerSession}, {Calls: 1 << 30, Window: time.Second, Per: ratelimit.PerPrefix}}}
	shop.Vouching.Demand = site.DemandNone
	if s.guards {
		shop.Guards = wide()
	}
	pay := &site.BrowserRule{Operation: "create-payment-intent", Free: paths("receipt_email"), Fixed: []site.Fixed{fixed("currency", "eur")}, Returns: paths("id", "status")}
	look := &site.BrowserRule{Operation: "retrieve-payment-intent", Free: paths("intent"), Returns: paths("id", "status")}
	if s.sealed {
		pay.Sealed = paths("amount")
	} else {
		pay.Range = []site.Range{{Path: paths("amount")[0], Min: 500, Max: 500000}}
	}
	if s.owned {
		look.Free, look.Owned = nil, look.Free
	}
	type rules = map[string]*site.BrowserRule
	shop.Connections = map[string]*site.Connection{
		"payments": {Site: "shop", Name: "payments", Provider: "stripe", Mode: provider.Live, Browser: rules{pay.Operation: pay, look.Operation: look}},
		"texts": {Site: "shop", Name: "texts", Provider: "twilio", Mode: provider.Live, Browser: rules{
			"create-verification": {Operation: "create-verification", Free: paths("To"), Returns: paths("status"),
				Fixed: []site.Fixed{fixed("ServiceSid", "VA00000000000000000000000000000000"), fixed("Channel", "sms")}},
			"check-verification": {Operation: "check-verification", Free: paths("To", "Code"), Returns: paths("status"),
				Fixed: []site.Fixed{fixed("ServiceSid", "VA00000000000000000000000000000000")}}}},
		"maps": {Site: "shop", Name: "maps", Provider: "google-maps", Mode: provider.Live, Browser: rules{
			"autocomplete-places": {Operation: "autocomplete-places", Free: paths("input"), Fixed: []site.Fixed{fixed("sessionToken", "00000000-0000-4000-8000-000000000000")}, Returns: paths("suggestions")}}},
	}
	if s.budgets {
		plenty := []budget.Rule{{Period: budget.Day, Max: money.Amount{Unit: money.Calls, Millionths: 1e9 * money.One}}}
		shop.Budgets = plenty
		for _, c := range shop.Connections {
			c.Budgets = plenty
			for _, r := range c.Browser {
				r.Budgets = plenty
			}
		}
	}
	owned := egress.NewOwnedMemory(freeOwned{}, func(_ string, m []byte) ([32]byte, error) { return sha256.Sum256(m), nil }, time.Now)
	g, err := egress.New([]*site.Site{shop}, provider.Builtin(), egress.Deps{
		Sessions: manyVisits{}, Keys: freeKeys{}, Limiter: ratelimit.New(1 << 16), Freezes: freeFreezes{}, Audit: freeAudit{},
		Flights: &egress.Flights{}, Recorder: freeRecorder{}, Now: time.Now, Owned: owned,
		Budgets: budget.NewLedger(budget.Options{Store: freeBudgets{}}), PermitReader: permitsOf(tb, s), Permits: freePermits{},
		Upstream: func(*site.Connection, *provider.Pack, *contract.Operation) (egress.Upstream, error) {
			return answering{}, nil
		}})
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

type (
	manyVisits  struct{}
	freeOwned   struct{}
	freeBudgets struct{}
	freePermits struct{}
	unverified  struct{}
	theOnlyKey  struct{ public ed25519.PublicKey }
)

func (manyVisits) Verify(token, siteName string, origin site.Origin) (session.Session, error) {
	return session.Session{ID: token, Site: siteName, Origin: origin, Vouched: session.ByWork}, nil
}

func (freeOwned) RememberOwned(context.Context, egress.OwnedRow, int) error     { return nil }
func (freeOwned) PurgeOwned(context.Context, time.Time, int) (n int, err error) { return }
func (freeOwned) FindOwned(_ context.Context, _ string, _ egress.OwnedHash, now time.Time) (time.Time, error) {
	return now.Add(time.Hour), nil
}

// freeBudgets grants whatever is asked for, as a budget does that is far from its end.
func (freeBudgets) TakeBudgets(_ context.Context, takes []budget.Take) ([]budget.Taken, error) {
	out := make([]budget.Taken, len(takes))
	for i, t := range takes {
		b := budget.Balance{Account: t.Limit.Account, Start: t.Start}
		out[i] = b.Take(t)
	}
	return out, nil
}
func (freeBudgets) ReturnBudgets(context.Context, []budget.Return) error        { return nil }
func (freeBudgets) ListBudgets(context.Context) ([]budget.Balance, error)       { return nil, nil }
func (freeBudgets) PurgeBudgets(context.Context, time.Time) (n int, err error)  { return }
func (freePermits) SpendPermit(context.Context, egress.PermitUse) (bool, error) { return true, nil }
func (freePermits) ReturnPermit(context.Context, egress.PermitUse) error        { return nil }
func (freePermits) PurgePermits(context.Context, time.Time) (n int, err error)  { return }

// backendKey signs the permits of the benchmark.
func backendKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

func permitKey(claims []byte) string {
	key := backendKey()
	public, _ := key.Public().(ed25519.PublicKey)
	return jws.Sign(permit.Type, base64.RawURLEncoding.EncodeToString(public), key, claims)
}

func (k theOnlyKey) PermitKey(_ context.Context, key ed25519.PublicKey) (session.StoredKey, error) {
	if !key.Equal(k.public) {
		return session.StoredKey{}, session.ErrKeyNotFound
	}
	return session.StoredKey{ID: "key", Site: "shop", PermitKey: k.public}, nil
}

func permitsOf(tb testing.TB, s setup) egress.PermitReader {
	tb.Helper()
	if s.trusting {
		return unverified{}
	}
	public, _ := backendKey().Public().(ed25519.PublicKey)
	r, err := permit.NewReader(permit.Options{Keys: theOnlyKey{public}, Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// ReadPermit takes what a permit says without asking who signed it.
func (unverified) ReadPermit(_ context.Context, token string) (*permit.Permit, error) {
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		return nil, err
	}
	var p struct {
		Jti    string
		Sealed map[string]any
		Exp    int64
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return nil, err
	}
	return &permit.Permit{KeyID: "key", Site: "shop", Connection: "payments", Mode: "live", Operation: "create-payment-intent", Origin: "https://shop.example",
		Session: permit.AnySession, Sealed: p.Sealed, ID: p.Jti, Uses: 1, Expires: time.Unix(p.Exp, 0)}, nil
}
