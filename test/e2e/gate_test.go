// Package e2e tests the real binary: started as a process, with its own files, spoken
// to over HTTP, in front of the provider's own mock.
package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sallyport/test/harness"
)

func browserCall(g *harness.Gate, token, path, body string, extra ...string) harness.Reply {
	h := map[string]string{"Origin": origin, "Authorization": "Bearer " + token, "Content-Type": "application/json"}
	for i := 0; i+1 < len(extra); i += 2 {
		h[extra[i]] = extra[i+1]
	}
	return g.Do("POST", path, body, h)
}

func field(t *testing.T, body, name string) any {
	t.Helper()
	var tree map[string]any
	if err := json.Unmarshal([]byte(body), &tree); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, body)
	}
	return tree[name]
}

func TestBrowserCall(t *testing.T) {
	stripe := harness.StripeMock(t)
	g := start(t, shopConfig(stripe.URL), stripe)
	token := g.Session("shop", origin)

	r := browserCall(g, token, "/shop/api/payments/v1/payment_intents", `{"amount":1900,"receipt_email":"ada@example.com"}`)
	if r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(r.Body), &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"id", "client_secret", "status", "amount"} {
		if got[name] == nil {
			t.Errorf("%s is missing in %s", name, r.Body)
		}
	}
	if len(got) != 4 {
		t.Errorf("more than returns came back: %s", r.Body)
	}
	if acao := r.Header.Get("Access-Control-Allow-Origin"); acao != origin {
		t.Errorf("Access-Control-Allow-Origin = %q", acao)
	}
	seen := stripe.Requests()
	if len(seen) != 1 {
		t.Fatalf("the upstream saw %d requests", len(seen))
	}
	for name, want := range map[string]string{"Authorization": "Bearer " + liveKey, "Stripe-Version": "2026-08-26.dahlia", "Content-Type": "application/x-www-form-urlencoded"} {
		if got := seen[0].Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if seen[0].Header.Get("Idempotency-Key") == "" {
		t.Error("no idempotency key was added")
	}
	for _, want := range []string{"currency=eur", "amount=1900", "receipt_email=ada%40example.com"} {
		if !strings.Contains(seen[0].Body, want) {
			t.Errorf("the body lacks %s: %s", want, seen[0].Body)
		}
	}
	for _, name := range []string{"Origin", "Cookie", "X-Forwarded-For", "Referer"} {
		if seen[0].Header.Get(name) != "" {
			t.Errorf("%s reached the provider", name)
		}
	}
}

func TestBackendCall(t *testing.T) {
	stripe := harness.StripeMock(t)
	g := start(t, shopConfig(stripe.URL), stripe)
	key := g.Key("shop", "--connection", "payments", "--shape", "stripe-test")
	if !strings.HasPrefix(key, "sk_test_") {
		t.Errorf("the key has not the provider's shape: %.8s…", key)
	}
	r := g.Do("POST", "/shop/api/payments/v1/customers", "name=Ada&email=ada%40example.com",
		map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/x-www-form-urlencoded"})
	if r.Status != 200 || !strings.HasPrefix(field(t, r.Body, "id").(string), "cus_") {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if got := stripe.Requests()[0].Header.Get("Authorization"); got != "Bearer "+liveKey {
		t.Errorf("the upstream saw %q", got)
	}
	if r = g.Do("GET", "/shop/api/maps/maps/api/geocode/json?address=Kiel&key="+key, "", nil); r.Status != 401 {
		t.Errorf("a key of one connection opened another: %d %s", r.Status, r.Body)
	}
	all := g.Key("shop")
	if r = g.Do("GET", "/shop/api/maps/maps/api/geocode/json?address=Kiel&key="+all, "", nil); r.Status != 200 {
		t.Errorf("a key for all connections: %d %s", r.Status, r.Body)
	}
}

func TestRefusals(t *testing.T) {
	stripe := harness.StripeMock(t)
	g := start(t, shopConfig(stripe.URL), stripe)
	token, key := g.Session("shop", origin), g.Key("shop")
	const intents = "/shop/api/payments/v1/payment_intents"
	bearer := func(extra ...string) map[string]string {
		h := map[string]string{"Origin": origin, "Authorization": "Bearer " + token, "Content-Type": "application/json"}
		for i := 0; i+1 < len(extra); i += 2 {
			h[extra[i]] = extra[i+1]
		}
		return h
	}
	for _, row := range []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
		code                     string
	}{
		{"no session", "POST", intents, `{"amount":1900}`, map[string]string{"Origin": origin, "Content-Type": "application/json"}, 401, "unauthenticated"},
		{"foreign origin", "POST", intents, `{"amount":1900}`, bearer("Origin", "https://evil.example"), 403, "origin_refused"},
		{"origin null", "POST", intents, `{"amount":1900}`, bearer("Origin", "null"), 403, "origin_refused"},
		{"token of another origin", "POST", intents, `{"amount":1900}`, bearer("Origin", "https://deploy-preview-7--shop.example"), 401, "unauthenticated"},
		{"site key from a browser", "POST", intents, `{"amount":1900}`, bearer("Authorization", "Bearer "+key), 401, "unauthenticated"},
		{"session without an origin", "POST", intents, `{"amount":1900}`, map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json"}, 401, "unauthenticated"},
		{"operation not allowed", "GET", intents, "", bearer(), 403, "operation_refused"},
		{"unknown operation", "GET", "/shop/api/payments/v1/nothing", "", bearer(), 404, "unknown_operation"},
		{"unknown connection", "GET", "/shop/api/nothing/v1/x", "", bearer(), 404, "unknown_connection"},
		{"unnamed field", "POST", intents, `{"amount":1900,"customer":"cus_1"}`, bearer(), 422, "parameter_refused"},
		{"fixed field sent", "POST", intents, `{"amount":1900,"currency":"eur"}`, bearer(), 422, "parameter_refused"},
		{"fixed field changed", "POST", intents, `{"amount":1900,"currency":"usd"}`, bearer(), 422, "parameter_refused"},
		{"not one of", "POST", intents, `{"amount":1900,"statement_descriptor_suffix":"EVIL"}`, bearer(), 422, "parameter_refused"},
		{"under the range", "POST", intents, `{"amount":499}`, bearer(), 422, "parameter_refused"},
		{"over the range", "POST", intents, `{"amount":500001}`, bearer(), 422, "parameter_refused"},
		{"amount as float", "POST", intents, `{"amount":1900.5}`, bearer(), 422, ""},
		{"amount as text", "POST", intents, `{"amount":"1900x"}`, bearer(), 422, ""},
		{"amount huge", "POST", intents, `{"amount":1e400}`, bearer(), 0, ""},
		{"amount missing", "POST", intents, `{}`, bearer(), 422, "contract_violation"},
		{"duplicate key", "POST", intents, `{"amount":1900,"amount":500}`, bearer(), 400, "bad_body"},
		{"proto", "POST", intents, `{"amount":1900,"__proto__":{"role":"admin"}}`, bearer(), 422, ""},
		{"text plain", "POST", intents, `{"amount":1900}`, bearer("Content-Type", "text/plain"), 415, "unsupported_media_type"},
		{"a form with nested amount", "POST", intents, `amount[x]=1`, bearer("Content-Type", "application/x-www-form-urlencoded"), 422, ""},
		{"query beside", "POST", intents + "?currency=usd", `{"amount":1900}`, bearer(), 422, ""},
		{"account selection", "POST", intents, `{"amount":1900}`, bearer("Stripe-Account", "acct_1"), 422, "parameter_refused"},
		{"context of another account", "POST", intents, `{"amount":1900}`, bearer("Stripe-Context", "acct_1"), 422, "parameter_refused"},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(stripe.Requests())
			r := g.Do(row.method, row.path, row.body, row.header)
			if row.status != 0 && r.Status != row.status || row.status == 0 && (r.Status < 400 || r.Status > 499) {
				t.Fatalf("status %d, want %d: %s", r.Status, row.status, r.Body)
			}
			if row.code != "" && field(t, r.Body, "code") != row.code {
				t.Errorf("code %v, want %s: %s", field(t, r.Body, "code"), row.code, r.Body)
			}
			if ct := r.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/problem+json") {
				t.Errorf("Content-Type %q", ct)
			}
			acao := r.Header.Get("Access-Control-Allow-Origin")
			if own := row.header["Origin"] == origin; own != (acao == origin) {
				t.Errorf("Access-Control-Allow-Origin %q for origin %q", acao, row.header["Origin"])
			}
			if n := len(stripe.Requests()) - before; n != 0 {
				t.Errorf("%d requests reached the provider", n)
			}
		})
	}
}

// TestOneKeyOneCall: 100 parallel calls with one key make one upstream call, and all
// get its answer.
func TestOneKeyOneCall(t *testing.T) {
	stripe := harness.StripeMock(t)
	g := start(t, shopConfig(stripe.URL), stripe)
	key := g.Key("shop")
	var wg sync.WaitGroup
	replies := make([]harness.Reply, 100)
	for i := range replies {
		wg.Go(func() {
			replies[i] = g.Do("POST", "/shop/api/payments/v1/refunds", "payment_intent=pi_1&amount=100", map[string]string{
				"Authorization": "Bearer " + key, "Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": "refund-1"})
		})
	}
	wg.Wait()
	for _, r := range replies {
		if r.Status != 200 || r.Body != replies[0].Body {
			t.Fatalf("%d %s\n%s", r.Status, r.Body, g.Log())
		}
	}
	if n := len(stripe.Requests()); n != 1 {
		t.Errorf("the upstream saw %d calls, want 1", n)
	}
	r := g.Do("POST", "/shop/api/payments/v1/refunds", "payment_intent=pi_1&amount=200", map[string]string{
		"Authorization": "Bearer " + key, "Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": "refund-1"})
	if r.Status != 409 {
		t.Errorf("the key with other parameters: %d %s", r.Status, r.Body)
	}
}

func TestFreezeAndThaw(t *testing.T) {
	stripe := harness.StripeMock(t)
	g := start(t, shopConfig(stripe.URL), stripe)
	token := g.Session("shop", origin)
	call := func() int {
		return browserCall(g, token, "/shop/api/payments/v1/payment_intents", `{"amount":1900}`).Status
	}
	if got := call(); got != 200 {
		t.Fatalf("before: %d", got)
	}
	g.MustRun("", "freeze", "shop/payments")
	eventually(t, func() bool { return call() == http.StatusServiceUnavailable })
	if r := g.Do("GET", "/shop/api/maps/maps/api/geocode/json?address=Kiel", "", map[string]string{"Origin": origin, "Authorization": "Bearer " + token}); r.Status != 200 {
		t.Errorf("the other connection: %d %s", r.Status, r.Body)
	}
	g.MustRun("", "thaw", "shop/payments")
	eventually(t, func() bool { return call() == 200 })
}

func TestReload(t *testing.T) {
	stripe := harness.StripeMock(t)
	config := shopConfig(stripe.URL)
	g := start(t, config, stripe)
	token := g.Session("shop", origin)
	call := func() int {
		return browserCall(g, token, "/shop/api/payments/v1/payment_intents", `{"amount":600}`).Status
	}
	g.Rewrite(strings.Replace(config, "min: 500,", "min: 700,", 1))
	g.Signal(syscall.SIGHUP)
	eventually(t, func() bool { return call() == 422 })

	g.Rewrite(strings.Replace(config, "min: 500,", "minimum: 1,", 1))
	g.Signal(syscall.SIGHUP)
	g.WaitLog("the file is not used")
	if got := call(); got != 422 {
		t.Errorf("a bad file changed something: %d", got)
	}
	g.Rewrite(config)
	eventually(t, func() bool { return call() == 200 })
}
