// Package bench measures, side by side in one run, what the gate's own work costs. Quote
// ratios, not single figures: machines differ and are shared.
//
//	go test -run '^$' -bench . -benchmem -count 6 ./bench/ | benchstat -
package bench

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/guard"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// The parts that are measured elsewhere are replaced by ones that cost nothing: what
// remains is the pipeline's own work.
type (
	freeSessions struct{}
	freeKeys     struct{}
	freeAudit    struct{}
	freeRecorder struct{}
	freeFreezes  struct{}
	canned       struct{ body []byte }
)

func (freeSessions) Verify(_, siteName string, origin site.Origin) (session.Session, error) {
	return session.Session{ID: "visit", Site: siteName, Origin: origin, Vouched: session.ByWork}, nil
}
func (freeKeys) Verify(context.Context, session.Attempt) (session.StoredKey, error) {
	return session.StoredKey{ID: "key"}, nil
}
func (freeKeys) Whose(context.Context, session.Attempt) (session.StoredKey, error) {
	return session.StoredKey{ID: "key"}, nil
}
func (freeAudit) Intent(context.Context, audit.Intent) (audit.ID, error)        { return 1, nil }
func (freeAudit) Outcome(context.Context, audit.ID, audit.Outcome) error        { return nil }
func (freeAudit) Record(context.Context, audit.Event) error                     { return nil }
func (freeRecorder) Record(context.Context, *egress.Record)                     {}
func (freeFreezes) Frozen(string, string) (f egress.Freeze, is bool, err error) { return }
func (c canned) Send(ctx context.Context, r *egress.Request) (*egress.Response, error) {
	if err := r.Intent(ctx, 1); err != nil {
		return nil, err
	}
	return &egress.Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: c.body, Attempts: 1}, nil
}

const intent = `{"id":"pi_3PqJ2eLkdIwHu7ix0b1xRz7a","object":"payment_intent","amount":1900,"amount_capturable":0,"amount_received":0,"application":null,"automatic_payment_methods":{"allow_redirects":"always","enabled":true},"canceled_at":null,"cancellation_reason":null,"capture_method":"automatic","client_secret":"pi_3PqJ2eLkdIwHu7ix0b1xRz7a_secret_YrKJUKribcBjcG8HVhfZluoGH","confirmation_method":"automatic","created":1795445451,"currency":"eur","customer":null,"description":"Order at the shop","last_payment_error":null,"latest_charge":null,"livemode":false,"metadata":{"order":"42"},"next_action":null,"on_behalf_of":null,"payment_method":null,"payment_method_types":["card","link"],"processing":null,"receipt_email":"ada@example.com","setup_future_usage":null,"shipping":null,"statement_descriptor":null,"statement_descriptor_suffix":"SHOP","status":"requires_payment_method","transfer_group":null}`

func gate(b *testing.B) *egress.Gate {
	b.Helper()
	path := func(s string) contract.Path {
		p, err := contract.ParsePath(s)
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	shop := &site.Site{Name: "shop", Origins: []site.Origin{"https://shop.example"}, Guards: guard.Rules{Cards: guard.Cards{Mode: guard.Off}},
		Limits: []ratelimit.Rule{{Calls: 1 << 30, Window: time.Second, Per: ratelimit.PerSession}, {Calls: 1 << 30, Window: time.Second, Per: ratelimit.PerPrefix}}}
	shop.Connections = map[string]*site.Connection{"payments": {Site: "shop", Name: "payments", Provider: "stripe", Mode: provider.Sandbox, BackendAll: true,
		Browser: map[string]*site.BrowserRule{"create-payment-intent": {
			Operation: "create-payment-intent", Free: []contract.Path{path("receipt_email")},
			Fixed:   []site.Fixed{{Path: path("currency"), Value: "eur"}},
			Range:   []site.Range{{Path: path("amount"), Min: 500, Max: 500000}},
			Returns: []contract.Path{path("id"), path("client_secret"), path("status")}}}}}
	g, err := egress.New([]*site.Site{shop}, provider.Builtin(), egress.Deps{
		Sessions: freeSessions{}, Keys: freeKeys{}, Limiter: ratelimit.New(1 << 16), Freezes: freeFreezes{}, Audit: freeAudit{},
		Flights: &egress.Flights{}, Recorder: freeRecorder{}, Now: time.Now,
		Upstream: func(*site.Connection, *provider.Pack, *contract.Operation) (egress.Upstream, error) {
			return canned{[]byte(intent)}, nil
		}})
	if err != nil {
		b.Fatal(err)
	}
	return g
}

func call(origin site.Origin, contentType, body string) *egress.Call {
	return &egress.Call{ID: "bench", Site: "shop", Connection: "payments", Method: http.MethodPost, Path: "/v1/payment_intents",
		Header: http.Header{"Content-Type": {contentType}, "Authorization": {"Bearer token"}}, Origin: origin, Client: netip.MustParseAddr("192.0.2.1"),
		ReadBody: func(int64) ([]byte, error) { return []byte(body), nil }}
}

func run(b *testing.B, c func() *egress.Call) {
	g := gate(b)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if a := g.Call(context.Background(), c()); a.Status != http.StatusOK {
			b.Fatalf("%d %v", a.Status, a.Problem)
		}
	}
}

// BenchmarkBrowserCall is every check of a browser's call, both contracts included.
func BenchmarkBrowserCall(b *testing.B) {
	run(b, func() *egress.Call {
		return call("https://shop.example", "application/json", `{"amount":1900,"receipt_email":"ada@example.com"}`)
	})
}

// BenchmarkBackendCall is every check of a backend's call.
func BenchmarkBackendCall(b *testing.B) {
	run(b, func() *egress.Call {
		return call("", "application/x-www-form-urlencoded", "amount=1900&currency=eur&receipt_email=ada%40example.com")
	})
}

// BenchmarkUnmarshal is the yardstick: the standard library reading the same answer.
func BenchmarkUnmarshal(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		var v any
		if err := json.Unmarshal([]byte(intent), &v); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkValid is the other yardstick: the standard library checking its syntax only.
func BenchmarkValid(b *testing.B) {
	for range b.N {
		if !json.Valid([]byte(intent)) {
			b.Fatal("not valid")
		}
	}
}
