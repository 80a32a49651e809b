package ingress

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/problem"
)

// fakeReceipts takes one receipt once.
type fakeReceipts struct {
	mu   sync.Mutex
	seen []ReceiptClaim
}

func (f *fakeReceipts) Claim(_ context.Context, c ReceiptClaim) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, c)
	switch {
	case c.Key != "site-key":
		return nil, problem.New(problem.Unauthenticated, "no")
	case c.Receipt != "the.good.one":
		return nil, problem.New(problem.ReceiptRefused, "no")
	case len(f.seen) > 1:
		return nil, problem.New(problem.ReceiptUsed, "no")
	}
	return []byte(`{"aud":"shop"}`), nil
}

// TestReceipts: a backend claims with a site key and a body of exactly one text; a page
// never does, whatever it sends.
func TestReceipts(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	const good = `{"receipt":"the.good.one"}`
	claim := func(body string, lines ...string) *reply {
		t.Helper()
		all := append([]string{"POST /receipts HTTP/1.1", hostH, "Connection: close", fmt.Sprintf("Content-Length: %d", len(body))}, lines...)
		replies, _ := g.raw(strings.Join(all, "\r\n") + "\r\n\r\n" + body)
		if len(replies) != 1 {
			t.Fatalf("%d replies", len(replies))
		}
		return replies[0]
	}
	const key, kind = "Authorization: Bearer site-key", "Content-Type: application/json"
	if r := claim(good, key, kind); r.StatusCode != 200 || r.body != `{"aud":"shop"}` || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	if c := g.receipts.seen[0]; c.Site != "shop" || c.Request == "" || !c.Client.IsValid() {
		t.Errorf("the claim: %+v", c)
	}
	for _, row := range []struct {
		name, body string
		lines      []string
		status     int
	}{
		{"again", good, []string{key, kind}, 409},
		{"another", `{"receipt":"x"}`, []string{key, kind}, 403},
		{"another key", good, []string{"Authorization: Bearer other", kind}, 401},
		{"no key", good, []string{kind}, 401},
		{"a page of the site", good, []string{key, kind, "Origin: https://example.com"}, 403},
		{"a page elsewhere", good, []string{key, kind, "Origin: https://evil.test"}, 403},
		{"a page without Origin", good, []string{key, kind, "Sec-Fetch-Site: same-origin"}, 403},
		{"a form", "receipt=x", []string{key, "Content-Type: application/x-www-form-urlencoded"}, 415},
		{"no type", good, []string{key}, 415},
		{"twice", `{"receipt":"the.good.one","receipt":"x"}`, []string{key, kind}, 400},
		{"a member more", `{"receipt":"x","site":"blog"}`, []string{key, kind}, 400},
		{"another member", `{"token":"x"}`, []string{key, kind}, 400},
		{"a number", `{"receipt":7}`, []string{key, kind}, 400},
		{"a list", `["x"]`, []string{key, kind}, 400},
		{"no JSON", `{"receipt":`, []string{key, kind}, 400},
		{"nothing", ``, []string{key, kind}, 400},
		{"too large", `{"receipt":"` + strings.Repeat("a", maxClaim) + `"}`, []string{key, kind}, 413},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := claim(row.body, row.lines...)
			if r.StatusCode != row.status {
				t.Errorf("%d %s; want %d", r.StatusCode, r.body, row.status)
			}
			noCORS(t, "receipts", r)
		})
	}
	if r := one(t, g, "GET /receipts HTTP/1.1", hostH, key); r.StatusCode != 405 || r.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %d %v", r.StatusCode, r.Header)
	}
	if r := one(t, g, "OPTIONS /receipts HTTP/1.1", hostH, "Origin: https://example.com", "Access-Control-Request-Method: POST"); r.StatusCode != 403 {
		t.Errorf("preflight: %d", r.StatusCode)
	}
	for _, credential := range []string{"the.good.one", "site-key"} {
		if strings.Contains(g.log.String(), credential) {
			t.Errorf("%s is in the log", credential)
		}
	}
}

// TestPermitAndReceiptHeaders: a page may send the one and read the other.
func TestPermitAndReceiptHeaders(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	r := one(t, g, "OPTIONS /api/payments/v1 HTTP/1.1", hostH, "Origin: https://example.com", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,sallyport-permit,x-other")
	if got := r.Header.Get("Access-Control-Allow-Headers"); got != "authorization, sallyport-permit" {
		t.Errorf("allowed: %q", got)
	}
	r = one(t, g, get, hostH, "Origin: https://example.com", "Authorization: Bearer t", "Sallyport-Permit: a.b.c")
	if !strings.Contains(r.Header.Get("Access-Control-Expose-Headers"), "Sallyport-Receipt") || g.caller.last().Header.Get("Sallyport-Permit") != "a.b.c" {
		t.Errorf("%v %v", r.Header, g.caller.last().Header)
	}
}
