package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	sallyport "sallyport/backend/go"
	"sallyport/test/harness"
)

// permitShop seals the amount, and has a second site with the same connection.
func permitShop(upstream string) string {
	const connection = `
        provider: stripe
        mode: sandbox
        credentials: {secret_key: env:TEST_STRIPE_KEY}
        upstream: {url: "UPSTREAM", ca: ./ca.pem, private: true}
        browser:
          create-payment-intent:
            free: [receipt_email]
            fixed: {currency: eur}
            sealed: [amount]
            returns: [id]
            receipt: [id, amount, status]
          create-checkout-session:
            free: [customer_email]
            fixed: {mode: setup, currency: eur}
            sealed: [success_url]
            returns: [id]
        backend: all
`
	return strings.ReplaceAll(`version: 1
listen: {public: "127.0.0.1:0", tls: off}
sites:
  shop:
    origins: [https://shop.example, https://www.shop.example]
    guards: {cards: {mode: off}}
    connections:
      payments:`+connection+`      spare:`+connection+`  blog:
    origins: [https://shop.example]
    connections:
      payments:`+connection, "UPSTREAM", upstream)
}

// paid answers as the provider does, with what it was asked for.
func paid(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"id":"pi_1","object":"payment_intent","status":"succeeded","amount":%s,"currency":"eur"}`, r.PostForm.Get("amount"))
}

func visitIn(t *testing.T, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var claims struct{ Sid string }
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		t.Fatal(token, err)
	}
	return claims.Sid
}

// TestPermitThief plays the attacker with a valid session from a script: every permit that is
// edited, of another call, or used up is refused with its code, reaches nobody and is in the
// audit log.
func TestPermitThief(t *testing.T) {
	up := harness.Serve(t, http.HandlerFunc(paid))
	g := start(t, permitShop(up.URL), up)
	key, bound, revoked := g.Key("shop"), g.Key("shop", "--connection", "spare"), g.Key("shop")
	id := g.MustRun("", "keys", "list", "shop", "--json")
	session := g.Session("shop", origin)
	good := sallyport.Permit{Site: "shop", Connection: "payments", Mode: "sandbox", Operation: "create-payment-intent", Origin: origin,
		Session: visitIn(t, session), Sealed: map[string]any{"amount": 190000}}
	sign := func(key string, change func(p *sallyport.Permit)) string {
		t.Helper()
		p := good
		if change != nil {
			change(&p)
		}
		token, err := sallyport.SignPermit(key, p)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	pay := func(site, body, token string, extra ...string) harness.Reply {
		if token != "" {
			extra = append(extra, "Sallyport-Permit", token)
		}
		return browserCall(g, session, "/"+site+"/api/payments/v1/payment_intents", body, extra...)
	}
	parts := strings.Split(sign(key, nil), ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	edited := parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), "190000", "100", 1))) + "." + parts[2]
	other := g.Session("shop", origin)
	for _, one := range strings.Split(id, `"id"`)[1:] { // the newest of all connections is revoked
		if strings.Contains(one, `"all"`) || !strings.Contains(one, "spare") {
			id = strings.Split(one, `"`)[1]
		}
	}
	g.MustRun("", "keys", "revoke", id)
	time.Sleep(600 * time.Millisecond)
	for _, row := range []struct {
		name, body, token string
		code              string
	}{
		{"no permit", `{}`, "", "permit_required"},
		{"no permit, the amount", `{"amount":100}`, "", "parameter_refused"},
		{"the amount beside it", `{"amount":100}`, sign(key, nil), "parameter_refused"},
		{"the amount below", `{"amount":{"x":1}}`, sign(key, nil), "parameter_refused"},
		{"the currency", `{"currency":"huf"}`, sign(key, nil), "parameter_refused"},
		{"edited", `{}`, edited, "permit_refused"},
		{"a key of another connection", `{}`, sign(bound, nil), "permit_refused"},
		{"a revoked key", `{}`, sign(revoked, nil), "permit_refused"},
		{"another operation", `{}`, sign(key, func(p *sallyport.Permit) { p.Operation = "create-checkout-session" }), "permit_refused"},
		{"another site", `{}`, sign(key, func(p *sallyport.Permit) { p.Site = "blog" }), "permit_refused"},
		{"another connection", `{}`, sign(key, func(p *sallyport.Permit) { p.Connection = "spare" }), "permit_refused"},
		{"another mode", `{}`, sign(key, func(p *sallyport.Permit) { p.Mode = "live" }), "permit_refused"},
		{"another origin", `{}`, sign(key, func(p *sallyport.Permit) { p.Origin = "https://www.shop.example" }), "permit_refused"},
		{"another visit", `{}`, sign(key, func(p *sallyport.Permit) { p.Session = visitIn(t, other) }), "permit_refused"},
		{"expired", `{}`, sign(key, func(p *sallyport.Permit) { p.Now = time.Now().Add(-time.Hour) }), "permit_refused"},
		{"from tomorrow", `{}`, sign(key, func(p *sallyport.Permit) { p.Now = time.Now().Add(24 * time.Hour) }), "permit_refused"},
		{"nothing sealed", `{}`, sign(key, func(p *sallyport.Permit) { p.Sealed = nil }), "permit_refused"},
		{"the currency sealed too", `{}`, sign(key, func(p *sallyport.Permit) { p.Sealed = map[string]any{"amount": 1, "currency": "huf"} }), "permit_refused"},
		{"an amount that is none", `{}`, sign(key, func(p *sallyport.Permit) { p.Sealed = map[string]any{"amount": "free"} }), "contract_violation"},
		{"the session as a permit", `{}`, session, "permit_refused"},
	} {
		r := pay("shop", row.body, row.token)
		if got := field(t, r.Body, "code"); got != row.code {
			t.Errorf("%s: %d %s; want %s", row.name, r.Status, r.Body, row.code)
		}
		if !audited(t, g, r, row.code) {
			t.Errorf("%s is not in the audit log", row.name)
		}
	}
	blog := g.Session("blog", origin)
	r := browserCall(g, blog, "/blog/api/payments/v1/payment_intents", `{}`, "Sallyport-Permit", sign(key, nil))
	if got := field(t, r.Body, "code"); got != "permit_refused" || !audited(t, g, r, "permit_refused") {
		t.Errorf("at another site: %d %s", r.Status, r.Body)
	}
	if n := len(up.Requests()); n != 0 {
		t.Fatalf("%d calls reached the provider", n)
	}
	replays(t, g, pay, sign(key, func(p *sallyport.Permit) { p.Uses = 3 }))
	if n := len(up.Requests()); n != 3 {
		t.Errorf("%d calls reached the provider, want the 3 of the permit", n)
	}
	for _, one := range up.Requests() {
		if !strings.Contains(one.Body, "amount=190000") || one.Header.Get("Sallyport-Permit") != "" {
			t.Errorf("the provider got %s %v", one.Body, one.Header)
		}
	}
}

// replays sends one permit from many places at once, over a restart, and once more.
func replays(t *testing.T, g *harness.Gate, pay func(site, body, token string, extra ...string) harness.Reply, token string) {
	t.Helper()
	var mu sync.Mutex
	codes := map[any]int{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r := pay("shop", `{}`, token)
			mu.Lock()
			defer mu.Unlock()
			if r.Status == 200 {
				codes["paid"]++
				return
			}
			codes[field(t, r.Body, "code")]++
		})
	}
	wg.Wait()
	if codes["paid"] != 3 || codes["permit_spent"] != 17 {
		t.Errorf("20 at once with 3 uses: %v", codes)
	}
	g.Kill()
	g.Start()
	if r := pay("shop", `{}`, token); field(t, r.Body, "code") != "permit_spent" || !audited(t, g, r, "permit_spent") {
		t.Errorf("after a crash: %d %s", r.Status, r.Body)
	}
}

// audited reports whether the audit log has the refusal of a call.
func audited(t *testing.T, g *harness.Gate, r harness.Reply, code string) bool {
	t.Helper()
	id := r.Header.Get("Sallyport-Request-Id")
	out, err := g.Run("", "audit", "show", "--json", "--request", id)
	return err == nil && strings.Contains(out, `"refused"`) && strings.Contains(out, `"`+code+`"`)
}
