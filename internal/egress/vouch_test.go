package egress_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"sallyport/internal/challenge"
	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/money"
	"sallyport/internal/problem"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// vouchedBy takes every token for a visit that is vouched for so.
type vouchedBy session.Vouched

func (v vouchedBy) Verify(token, siteName string, origin site.Origin) (session.Session, error) {
	return session.Session{ID: token, Site: siteName, Origin: origin, Vouched: session.Vouched(v)}, nil
}

// tasks plays proofs of work: the good one is "good", and whatever was made is kept.
type tasks struct {
	made  []challenge.Binding
	level int
	err   error
}

func (k *tasks) Make(_ context.Context, b challenge.Binding, _ netip.Addr, level int) challenge.Challenge {
	k.made, k.level = append(k.made, b), level
	return challenge.Challenge{Algorithm: challenge.Algorithm, Salt: "salt of " + b.For}
}

func (k *tasks) Check(_ context.Context, b challenge.Binding, proof string) error {
	if k.err != nil {
		return k.err
	}
	if proof != "good" || b != (challenge.Binding{Site: "shop", Visit: "visit-1", For: "payments/create-payment-intent"}) {
		return problem.New(problem.ChallengeRefused, "no")
	}
	return nil
}

type badSigns int

func (s badSigns) Level(string, string, netip.Addr) int { return int(s) }

func TestWhoHasToSolve(t *testing.T) {
	const pay, read = "POST /v1/payment_intents", "GET /v1/products"
	for name, test := range map[string]struct {
		vouching site.Vouching
		required bool
		by       session.Vouched
		signs    int
		proof    string
		price    int64 // of a read, in millionths
		checkErr error
		call     string
		want     problem.Code
		use      string
	}{
		"nobody vouches for a payment":    {call: pay, want: problem.ChallengeRequired, use: "visit"},
		"work vouches":                    {call: pay, by: session.ByWork},
		"a bot check vouches":             {call: pay, by: session.ByChallenge},
		"the backend vouches":             {call: pay, by: session.ByBackend},
		"a plain read":                    {call: read},
		"a read with a price":             {call: read, price: 1, want: problem.ChallengeRequired, use: "visit"},
		"a read with a price, work":       {call: read, price: 1, by: session.ByWork},
		"a read with a price, bad signs":  {call: read, price: 1, by: session.ByWork, signs: 3},
		"a price, bad signs, nobody":      {call: read, price: 1, signs: 3, want: problem.ChallengeRequired, use: "visit"},
		"a price of nothing":              {call: read, price: 0},
		"a price, none demanded":          {call: read, price: 1, vouching: site.Vouching{Demand: site.DemandNone}},
		"all, and nobody":                 {call: read, vouching: site.Vouching{Demand: site.DemandAll}, want: problem.ChallengeRequired, use: "visit"},
		"none":                            {call: pay, vouching: site.Vouching{Demand: site.DemandNone}},
		"a bot check is wanted":           {call: pay, vouching: site.Vouching{Challenge: "bots"}, by: session.ByWork, want: problem.ChallengeRequired, use: "visit"},
		"a bot check was made":            {call: pay, vouching: site.Vouching{Challenge: "bots"}, by: session.ByChallenge},
		"a voucher is required":           {call: pay, required: true, by: session.ByChallenge, want: problem.VoucherRequired},
		"a voucher is required and there": {call: pay, required: true, by: session.ByBackend},
		"required though none demanded":   {call: pay, required: true, vouching: site.Vouching{Demand: site.DemandNone}, want: problem.VoucherRequired},
		"bad signs, work":                 {call: pay, by: session.ByWork, signs: 2, want: problem.ChallengeRequired, use: "call"},
		"bad signs, backend":              {call: pay, by: session.ByBackend, signs: 3},
		"some signs, work":                {call: pay, by: session.ByWork, signs: 1},
		"bad signs, a proof of the call":  {call: pay, by: session.ByWork, signs: 3, proof: "work good"},
		"a proof of the call":             {call: pay, proof: "work good"},
		"a bad proof of the call":         {call: pay, proof: "work bad", want: problem.ChallengeRefused, use: "visit"},
		"a proof of another kind":         {call: pay, proof: "bots good", want: problem.ChallengeRequired, use: "visit"},
		"a proof without its kind":        {call: pay, proof: "good", want: problem.ChallengeRequired, use: "visit"},
		"the memory is away":              {call: pay, proof: "work good", checkErr: problem.New(problem.StoreUnavailable, "away"), want: problem.StoreUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			k := &tasks{err: test.checkErr}
			w.deps.Sessions, w.deps.Challenges, w.deps.Signs = vouchedBy(test.by), k, badSigns(test.signs)
			rule := rules("create-payment-intent", "list-products")
			rule["create-payment-intent"].Vouched = test.required
			conn := &site.Connection{Name: "payments", Provider: "stripe", Mode: "sandbox", Browser: rule,
				Costs: map[string]money.Amount{"list-products": {Millionths: test.price, Unit: "USD"}}}
			vouching := test.vouching
			if vouching.Challenge != "" {
				buildVouching(w, vouching, conn, &site.Connection{Name: "bots", Provider: "turnstile", Mode: "mock"})
			} else {
				buildVouching(w, vouching, conn)
			}
			method, path, _ := strings.Cut(test.call, " ")
			body := `{"amount":500,"currency":"eur"}`
			if method == "GET" {
				body = ""
			}
			a := w.Call(t.Context(), browser("payments", method, path, body, egress.ProofHeader, test.proof))
			if test.want == "" {
				if a.Problem != nil {
					t.Fatalf("refused: %v", a.Problem)
				}
				return
			}
			if a.Problem == nil || a.Problem.Code != test.want {
				t.Fatalf("got %+v, want %s", a.Problem, test.want)
			}
			if got, _ := a.Problem.Extra["challenge_for"].(string); got != test.use || (test.use != "") != (a.Problem.Extra["challenge"] != nil) {
				t.Errorf("challenge for %q with %v, want %q", got, a.Problem.Extra["challenge"], test.use)
			}
			if len(w.upstream.calls) != 0 {
				t.Error("a refused call went out")
			}
			if len(w.audit.refusals) != 1 {
				t.Errorf("%d audit entries of the refusal", len(w.audit.refusals))
			}
			if len(k.made) > 0 && k.level != test.signs {
				t.Errorf("made for level %d, want %d", k.level, test.signs)
			}
		})
	}
}

// TestVouchingObserves: a site can look first.
func TestVouchingObserves(t *testing.T) {
	w := open(t)
	w.deps.Sessions, w.deps.Challenges = vouchedBy(0), &tasks{}
	buildVouching(w, site.Vouching{}, &site.Connection{Name: "payments", Provider: "stripe", Mode: "sandbox", Browser: rules("create-payment-intent"), Observe: []string{egress.CheckVouching}})
	if a := w.Call(t.Context(), browser("payments", "POST", "/v1/payment_intents", `{"amount":500,"currency":"eur"}`)); a.Problem != nil {
		t.Fatal(a.Problem)
	}
	if got := w.records.last().Observed; len(got) == 0 || got[0] != "vouching.challenge_required" {
		t.Errorf("observed %v", got)
	}
}

// TestWithoutChallengesNobodyUnvouchedPasses: a gate that cannot ask refuses.
func TestWithoutChallengesNobodyUnvouchedPasses(t *testing.T) {
	w := open(t)
	w.deps.Sessions = vouchedBy(0)
	buildVouching(w, site.Vouching{}, &site.Connection{Name: "payments", Provider: "stripe", Mode: "sandbox", Browser: rules("create-payment-intent")})
	a := w.Call(t.Context(), browser("payments", "POST", "/v1/payment_intents", `{"amount":500,"currency":"eur"}`, egress.ProofHeader, "work good"))
	if a.Problem == nil || a.Problem.Code != problem.ChallengeRequired {
		t.Errorf("%+v", a.Problem)
	}
}

func rules(operations ...string) map[string]*site.BrowserRule {
	out := map[string]*site.BrowserRule{}
	for _, name := range operations {
		r := &site.BrowserRule{Operation: name, Returns: []contract.Path{}}
		if name == "create-payment-intent" {
			for _, free := range []string{"amount", "currency"} {
				p, _ := contract.ParsePath(free)
				r.Free = append(r.Free, p)
			}
		}
		out[name] = r
	}
	return out
}

func buildVouching(w *world, v site.Vouching, conns ...*site.Connection) {
	shop := &site.Site{Name: "shop", Origins: []site.Origin{shopOrigin}, Connections: map[string]*site.Connection{}, Vouching: v, Guards: w.guards}
	for _, c := range conns {
		c.Site = "shop"
		shop.Connections[c.Name] = c
	}
	w.buildSite(shop)
}
