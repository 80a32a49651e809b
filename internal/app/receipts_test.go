package app

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/ingress"
	"sallyport/internal/problem"
	"sallyport/internal/receipt"
	"sallyport/internal/session"
)

const twoSites = `version: 1
listen: {public: "127.0.0.1:0", tls: off}
sites:
  shop:
    origins: [https://shop.example]
    connections: {payments: {provider: stripe, mode: mock, backend: all}}
  blog:
    origins: [https://blog.example]
    connections: {sms: {provider: vonage, mode: mock, backend: all}}
`

// TestReceiptsAreClaimedOnce: a receipt is taken once, at its own site, with a key of that
// site, in time; every claim stands in the audit log, and a restart forgets none.
func TestReceiptsAreClaimedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sallyport.yaml")
	if err := os.WriteFile(path, []byte(twoSites), 0o600); err != nil {
		t.Fatal(err)
	}
	var ahead atomic.Int64 // nanoseconds
	start := func() *Gate {
		t.Helper()
		g, err := Open(t.Context(), Options{Path: path, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := start()
	key := func(siteName, connection string) string {
		t.Helper()
		printed, stored, err := session.NewSiteKey(session.DefaultShape(), siteName, connection, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := g.store.CreateSiteKey(t.Context(), stored); err != nil {
			t.Fatal(err)
		}
		return string(printed.Secret.Expose())
	}
	shop, blog, other := key("shop", ""), key("blog", ""), key("shop", "maps")
	issue := func() string {
		t.Helper()
		token, err := g.receipts.Issue(receipt.Receipt{Site: "shop", Connection: "payments", Mode: "mock", Operation: "create-payment-intent",
			Fields: map[string]any{"id": "pi_1"}, Session: "visit-1", Origin: "https://shop.example"})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first, second, late := issue(), issue(), issue()
	claim := func(name, siteName, siteKey, token string, want problem.Code) {
		t.Helper()
		document, err := desk{gate: g, config: "c"}.Claim(t.Context(), ingress.ReceiptClaim{Request: "r-" + name, Site: siteName,
			Client: netip.MustParseAddr("192.0.2.1"), Key: siteKey, Receipt: token})
		var p *problem.Error
		switch {
		case want == "" && (err != nil || len(document) == 0):
			t.Errorf("%s: %v", name, err)
		case want != "" && (!errors.As(err, &p) || p.Code != want):
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	claim("first", "shop", shop, first, "")
	claim("twice", "shop", shop, first, problem.ReceiptUsed)
	claim("foreign", "blog", blog, second, problem.ReceiptRefused)
	claim("bound", "shop", other, second, problem.ReceiptRefused)
	claim("wrong-key", "shop", blog, second, problem.Unauthenticated)
	claim("no-key", "shop", "", second, problem.Unauthenticated)
	claim("junk", "shop", shop, "a.b.c", problem.ReceiptRefused)
	claim("second", "shop", shop, second, "")
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	g = start()
	claim("restart", "shop", shop, second, problem.ReceiptUsed)
	ahead.Store(int64(receipt.Life + time.Second))
	claim("late", "shop", shop, late, problem.ReceiptRefused)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"r-first": "receipt-claimed ", "r-twice": "refused receipt_used", "r-foreign": "refused receipt_refused", "r-bound": "refused receipt_refused",
		"r-junk": "refused receipt_refused", "r-second": "receipt-claimed ", "r-restart": "refused receipt_used", "r-late": "refused receipt_refused"}
	got := map[string]string{}
	if err := audit.Show(g.file.Audit, audit.Filter{}, func(e audit.Entry) error {
		if e.Request != "" {
			got[e.Request] = string(e.Kind) + " " + string(e.Code)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for request, entry := range want {
		if got[request] != entry {
			t.Errorf("the audit log has %q for %s, want %q", got[request], request, entry)
		}
	}
}
