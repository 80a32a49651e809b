package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	backend "sallyport/backend/go"
	"sallyport/test/harness"
)

const vouchingFile = `
version: 1
listen: {public: "127.0.0.1:0", tls: off}
sites:
  shop:
    origins: [https://shop.example, https://www.shop.example]
    VOUCHING
    connections:
      payments:
        provider: stripe
        mode: mock
        backend: all
        browser:
          create-payment-intent: {range: {amount: {min: 1, max: 9}}, fixed: {currency: eur}, returns: [id]}
          create-checkout-session: {fixed: {mode: setup, currency: eur, success_url: "https://shop.example/done"}, returns: [id], vouched: required}
      BOTS
  blog:
    origins: [https://shop.example]
    connections: {payments: {provider: stripe, mode: mock, backend: all}}
`

func vouchingGate(t *testing.T, vouching, bots string, files map[string][]byte, env ...string) *harness.Gate {
	t.Helper()
	return harness.New(t, strings.NewReplacer("VOUCHING", vouching, "BOTS", bots).Replace(vouchingFile), files, env...).Start()
}

const payPath, checkoutPath = "/shop/api/payments/v1/payment_intents", "/shop/api/payments/v1/checkout/sessions"

func raise(g *harness.Gate, token, header, value string) harness.Reply {
	return g.Do("POST", "/shop/session", "", map[string]string{"Origin": origin, "Authorization": "Bearer " + token, header: value})
}

func TestAPaymentOfAStrangerIsChallenged(t *testing.T) {
	g := vouchingGate(t, "", "", nil)
	token := g.Unvouched("shop", origin)
	r := browserCall(g, token, payPath, `{"amount":5}`)
	if r.Status != 403 || field(t, r.Body, "code") != "challenge_required" || field(t, r.Body, "challenge_for") != "visit" {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if r.Header.Get("Access-Control-Allow-Origin") != origin {
		t.Error("a page cannot read its challenge")
	}
	var asked struct{ Challenge harness.Work }
	if err := json.Unmarshal([]byte(r.Body), &asked); err != nil {
		t.Fatal(err)
	}
	proof := "work " + asked.Challenge.Solve(t)
	other := g.Unvouched("shop", origin)
	if r := raise(g, other, "Sallyport-Proof", proof); r.Status != 403 || field(t, r.Body, "code") != "challenge_refused" {
		t.Errorf("the proof of another visit: %d %s", r.Status, r.Body)
	}
	r = raise(g, token, "Sallyport-Proof", proof)
	raised, _ := field(t, r.Body, "token").(string)
	if r.Status != 200 || visitOf(t, raised) != visitOf(t, token) {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if r := raise(g, token, "Sallyport-Proof", proof); r.Status != 403 || field(t, r.Body, "code") != "challenge_refused" || field(t, r.Body, "challenge") == nil {
		t.Errorf("used twice: %d %s", r.Status, r.Body)
	}
	if r := browserCall(g, raised, payPath, `{"amount":5}`); r.Status != 200 {
		t.Errorf("vouched: %d %s", r.Status, r.Body)
	}
	if r := browserCall(g, token, payPath, `{"amount":5}`); r.Status != 403 {
		t.Errorf("the old token: %d %s", r.Status, r.Body)
	}
	if r := browserCall(g, raised, checkoutPath, `{}`); r.Status != 403 || field(t, r.Body, "code") != "voucher_required" {
		t.Errorf("work where a voucher is required: %d %s", r.Status, r.Body)
	}
	if r := g.Do("DELETE", "/shop/session", "", map[string]string{"Origin": origin, "Authorization": "Bearer " + token}); r.Status != 204 {
		t.Fatalf("%d", r.Status)
	}
	if r := browserCall(g, raised, payPath, `{"amount":5}`); r.Status != 401 {
		t.Errorf("the raised token of an ended visit: %d %s", r.Status, r.Body)
	}
}

// TestVouchers plays whoever has a visit and something that is not a voucher for it.
func TestVouchers(t *testing.T) {
	g := vouchingGate(t, "", "", nil)
	key, blogKey, narrow := g.Key("shop"), g.Key("blog"), g.Key("shop", "--connection", "payments")
	revoked := g.Key("shop")
	token := g.Unvouched("shop", origin)
	visit := visitOf(t, token)
	sign := func(key string, v backend.Voucher) string {
		t.Helper()
		jws, err := backend.SignVoucher(key, v)
		if err != nil {
			t.Fatal(err)
		}
		return jws
	}
	permit, err := backend.SignPermit(key, backend.Permit{Site: "shop", Connection: "payments", Mode: "mock", Operation: "create-payment-intent", Origin: origin, Session: visit})
	if err != nil {
		t.Fatal(err)
	}
	good := sign(key, backend.Voucher{Site: "shop", Session: visit})
	parts := strings.Split(good, ".")
	late := sign(key, backend.Voucher{Site: "shop", Session: visit, Now: time.Now().Add(-20 * time.Minute)})
	revokeNewest(t, g, "shop")
	for name, voucher := range map[string]string{
		"of another visit":           sign(key, backend.Voucher{Site: "shop", Session: "another"}),
		"of another site":            sign(blogKey, backend.Voucher{Site: "blog", Session: visit}),
		"by another site":            sign(blogKey, backend.Voucher{Site: "shop", Session: visit}),
		"by a key of one connection": sign(narrow, backend.Voucher{Site: "shop", Session: visit}),
		"by a revoked key":           sign(revoked, backend.Voucher{Site: "shop", Session: visit}),
		"by a made-up key":           sign("spk_"+strings.Repeat("a", 43), backend.Voucher{Site: "shop", Session: visit}),
		"expired":                    late,
		"edited":                     parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"jti":"x","site":"shop","session":"`+visit+`","exp":`+"9999999999}")) + "." + parts[2],
		"without a signature":        parts[0] + "." + parts[1] + ".",
		"a permit":                   permit,
		"a session token":            token,
		"words":                      "please",
	} {
		if r := raise(g, token, "Sallyport-Voucher", voucher); r.Status != 403 || field(t, r.Body, "code") != "voucher_refused" {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
	if r := g.Do("POST", "/shop/session", "", map[string]string{"Origin": "https://www.shop.example", "Authorization": "Bearer " + token, "Sallyport-Voucher": good}); r.Status != 401 {
		t.Errorf("from another origin: %d %s", r.Status, r.Body)
	}
	r := raise(g, token, "Sallyport-Voucher", good)
	raised, _ := field(t, r.Body, "token").(string)
	if r.Status != 200 {
		t.Fatalf("the control: %d %s", r.Status, r.Body)
	}
	if r := raise(g, token, "Sallyport-Voucher", good); r.Status != 403 || !strings.Contains(r.Body, "used before") {
		t.Errorf("used twice: %d %s", r.Status, r.Body)
	}
	for _, path := range []string{payPath, checkoutPath} {
		body := `{"amount":5}`
		if path == checkoutPath {
			body = `{}`
		}
		if r := browserCall(g, raised, path, body); r.Status != 200 {
			t.Errorf("vouched, %s: %d %s", path, r.Status, r.Body)
		}
	}
	if r := browserCall(g, permit, payPath, `{"amount":5}`); r.Status != 401 {
		t.Errorf("a permit for a session: %d", r.Status)
	}
}

// revokeNewest revokes the key of a site that was made last.
func revokeNewest(t *testing.T, g *harness.Gate, site string) {
	t.Helper()
	var listed []struct{ ID string }
	out := g.MustRun("", "keys", "list", site, "--json")
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed) == 0 {
		t.Fatalf("%v in %s", err, out)
	}
	g.MustRun("", "keys", "revoke", listed[len(listed)-1].ID)
}

// TestBotChecks: tokens of both providers' widgets, in mode mock and against a stand-in that
// answers over TLS as the provider's page says.
func TestBotChecks(t *testing.T) {
	for provider, keys := range map[string][2]string{
		"turnstile": {"1x0000000000000000000000000000000AA", "/turnstile/v0/siteverify"},
		"hcaptcha":  {"0x0000000000000000000000000000000000000000", "/siteverify"},
	} {
		t.Run(provider+" in mode mock", func(t *testing.T) {
			g := vouchingGate(t, "vouching: {challenge: bots}", "bots: {provider: "+provider+", mode: mock}", nil)
			token := g.Unvouched("shop", origin)
			r := browserCall(g, token, payPath, `{"amount":5}`)
			if r.Status != 403 || !strings.Contains(r.Body, `"challenge":{"connection":"bots"}`) {
				t.Fatalf("%d %s", r.Status, r.Body)
			}
			r = raise(g, token, "Sallyport-Proof", "bots XXXX.DUMMY.TOKEN.XXXX")
			raised, _ := field(t, r.Body, "token").(string)
			if r := browserCall(g, raised, payPath, `{"amount":5}`); r.Status != 200 {
				t.Errorf("%d %s", r.Status, r.Body)
			}
		})
		t.Run(provider+" over TLS", func(t *testing.T) { botCheckOverTLS(t, provider, keys[0], keys[1]) })
	}
}

func botCheckOverTLS(t *testing.T, provider, secret, path string) {
	answers := map[string]string{
		"good":      `{"success":true,"challenge_ts":"2026-11-23T12:00:00Z","hostname":"shop.example","error-codes":[],"action":"pay"}`,
		"refused":   `{"success":false,"error-codes":["invalid-input-response"]}`,
		"elsewhere": `{"success":true,"hostname":"evil.example","error-codes":[],"action":"pay"}`,
		"nowhere":   `{"success":true,"error-codes":[],"action":"pay"}`,
		"text":      `{"success":"true","hostname":"shop.example","error-codes":[]}`,
		"ours":      `{"success":false,"error-codes":["invalid-input-secret"]}`,
		"page":      `<html>try again</html>`,
	}
	up := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != path || r.PostFormValue("secret") != secret || len(r.PostForm) != 2 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		token := r.PostFormValue("response")
		if token == "down" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(answers[strings.TrimRight(token, "0123456789")]))
	}))
	bots := "bots: {provider: " + provider + `, mode: sandbox, upstream: {url: "` + up.URL + `", ca: ca.pem, private: true}, credentials: {secret_key: env:BOTS_SECRET}}`
	g := vouchingGate(t, "vouching: {challenge: bots}", bots, map[string][]byte{"ca.pem": up.CA}, "BOTS_SECRET="+secret)
	token := g.Unvouched("shop", origin)
	for sent, want := range map[string]string{
		"bots refused": "challenge_refused", "bots elsewhere": "challenge_refused", "bots nowhere": "challenge_refused",
		"bots text": "upstream_contract", "bots ours": "credential_refused", "bots page": "upstream_malformed", "bots down": "provider_failed",
		"payments good": "challenge_refused", "good": "challenge_refused", "bots ": "challenge_refused", "bots a b": "challenge_refused",
		"work good": "challenge_refused", "bots " + strings.Repeat("x", 8001): "challenge_refused",
	} {
		if r := raise(g, token, "Sallyport-Proof", sent); field(t, r.Body, "code") != want || field(t, r.Body, "token") != nil {
			t.Errorf("%.40q: %d %s, want %s", sent, r.Status, r.Body, want)
		}
	}
	asked := len(up.Requests())
	r := raise(g, token, "Sallyport-Proof", "bots good1")
	raised, _ := field(t, r.Body, "token").(string)
	if r.Status != 200 {
		t.Fatalf("the control: %d %s", r.Status, r.Body)
	}
	if r := raise(g, token, "Sallyport-Proof", "bots good1"); r.Status != 403 || field(t, r.Body, "code") != "challenge_refused" {
		t.Errorf("used twice: %d %s", r.Status, r.Body)
	}
	if got := len(up.Requests()) - asked; got != 1 {
		t.Errorf("the provider was asked %d times for one token", got)
	}
	if r := browserCall(g, raised, payPath, `{"amount":5}`); r.Status != 200 {
		t.Errorf("vouched: %d %s", r.Status, r.Body)
	}
	if strings.Contains(g.Seen()+g.Log(), secret) {
		t.Error("the secret key came out of the gate")
	}
	g.MustRun("", "freeze", "shop/bots")
	time.Sleep(1200 * time.Millisecond)
	if r := raise(g, token, "Sallyport-Proof", "bots good2"); r.Status != 503 || field(t, r.Body, "code") != "frozen" {
		t.Errorf("frozen: %d %s", r.Status, r.Body)
	}
}
