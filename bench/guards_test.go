//go:build linux

package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/guard"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/site"
)

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
	r.Messages.Countries = []string{"DE"}
	r.Messages.Run, r.Messages.Unanswered = 1<<30, 1<<30
	return r
}

func without() guard.Rules {
	return guard.Rules{Cards: guard.Cards{Mode: guard.Off}, Messages: guard.Messages{Mode: guard.Off}, Autocomplete: guard.Autocomplete{Mode: guard.Off}}
}

// guardedGate is a gate over three providers, with and without guards.
func guardedGate(tb testing.TB, rules guard.Rules) *egress.Gate {
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
	shop := &site.Site{Name: "shop", Origins: []site.Origin{"https://shop.example"}, Guards: rules,
		Limits: []ratelimit.Rule{{Calls: 1 << 30, Window: time.Second, Per: ratelimit.PerSession}, {Calls: 1 << 30, Window: time.Second, Per: ratelimit.PerPrefix}}}
	shop.Vouching.Demand = site.DemandNone
	shop.Connections = map[string]*site.Connection{
		"payments": {Site: "shop", Name: "payments", Provider: "stripe", Mode: provider.Live, Browser: map[string]*site.BrowserRule{
			"create-payment-intent": {Operation: "create-payment-intent", Free: paths("receipt_email"), Fixed: []site.Fixed{fixed("currency", "eur")},
				Range: []site.Range{{Path: paths("amount")[0], Min: 500, Max: 500000}}, Returns: paths("id", "status")}}},
		"texts": {Site: "shop", Name: "texts", Provider: "twilio", Mode: provider.Live, Browser: map[string]*site.BrowserRule{
			"create-verification": {Operation: "create-verification", Free: paths("To"), Returns: paths("status"),
				Fixed: []site.Fixed{fixed("ServiceSid", "VA00000000000000000000000000000000"), fixed("Channel", "sms")}},
			"check-verification": {Operation: "check-verification", Free: paths("To", "Code"), Returns: paths("status"),
				Fixed: []site.Fixed{fixed("ServiceSid", "VA00000000000000000000000000000000")}}}},
		"maps": {Site: "shop", Name: "maps", Provider: "google-maps", Mode: provider.Live, Browser: map[string]*site.BrowserRule{
			"autocomplete-places": {Operation: "autocomplete-places", Free: paths("input"), Fixed: []site.Fixed{fixed("sessionToken", "00000000-0000-4000-8000-000000000000")}, Returns: paths("suggestions")}}},
	}
	g, err := egress.New([]*site.Site{shop}, provider.Builtin(), egress.Deps{
		Sessions: freeSessions{}, Keys: freeKeys{}, Limiter: ratelimit.New(1 << 16), Freezes: freeFreezes{}, Audit: freeAudit{},
		Flights: &egress.Flights{}, Recorder: freeRecorder{}, Now: time.Now,
		Upstream: func(*site.Connection, *provider.Pack, *contract.Operation) (egress.Upstream, error) {
			return answering{}, nil
		}})
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// answering is a provider that costs nothing and answers as each operation wants.
type answering struct{}

func (answering) Send(ctx context.Context, r *egress.Request) (*egress.Response, error) {
	body, status := intent, 200
	switch r.Operation.ID {
	case "create-verification":
		body, status = `{"sid":"VE00000000000000000000000000000001","status":"pending"}`, 201
	case "autocomplete-places":
		body = `{"suggestions":[]}`
	}
	return &egress.Response{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body), Attempts: 1}, r.Intent(ctx, 1)
}

// busy is the processor time of this thread: that of others on a busy machine does not count.
func busy() time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestGuardsAddLittle measures the processor time of a call's pipeline with and without all
// guards, in turn and many rounds of it. The wish is 5 µs; a payment and a key typed are below it, a
// text message, whose number is held against a numbering plan, is above (docs/figures.md). The bounds
// of the test are far wider, because machines that run tests are busy.
func TestGuardsAddLittle(t *testing.T) {
	with, bare := guardedGate(t, wide()), guardedGate(t, without())
	for name, make := range map[string]func(i int) *egress.Call{
		"a payment": func(int) *egress.Call {
			return guardCall("payments", "/v1/payment_intents", `{"amount":1900,"receipt_email":"shopper@mail.example"}`)
		},
		"a text message": func(i int) *egress.Call {
			return guardCall("texts", "/v2/Services/_/Verifications", fmt.Sprintf(`{"To":"+49151%08d"}`, i*7919%100000000))
		},
		"a key typed": func(int) *egress.Call {
			return guardCall("maps", "/v1/places:autocomplete", `{"input":"Harbour Street"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			const rounds, calls = 60, 250
			most := 20 * time.Microsecond
			if name == "a text message" {
				most *= 3
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var a, b []time.Duration
			for round := range rounds {
				for _, one := range []struct {
					g   *egress.Gate
					out *[]time.Duration
				}{{with, &a}, {bare, &b}} {
					start := busy()
					for i := range calls {
						if answer := one.g.Call(t.Context(), make(round*calls+i)); answer.Problem != nil {
							t.Fatalf("%+v", answer.Problem)
						}
					}
					*one.out = append(*one.out, (busy()-start)/calls)
				}
			}
			slices.Sort(a)
			slices.Sort(b)
			added := a[rounds/2] - b[rounds/2]
			t.Logf("%s: %v with all guards, %v without: they add %v (medians of %d rounds of %d calls)", name, a[rounds/2], b[rounds/2], added, rounds, calls)
			if added > most {
				t.Errorf("the guards add %v to %s", added, name)
			}
		})
	}
}

func guardCall(connection, path, body string) *egress.Call {
	return &egress.Call{ID: "r", Site: "shop", Connection: connection, Method: "POST", Path: path, Origin: "https://shop.example",
		Header: http.Header{"Authorization": {"Bearer t"}, "Content-Type": {"application/json"}}, Client: netip.MustParseAddr("192.0.2.7"),
		ReadBody: func(int64) ([]byte, error) { return []byte(strings.Clone(body)), nil }}
}
