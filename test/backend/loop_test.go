package backend

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"sallyport/test/harness"
)

const origin = "https://shop.example"

const mockShop = `version: 1
listen: {public: "127.0.0.1:0", tls: off}
sites:
  shop:
    origins: [https://shop.example]
    connections:
      payments:
        provider: stripe
        mode: mock
        browser:
          create-payment-intent:
            free: [receipt_email]
            fixed: {currency: eur}
            sealed: [amount]
            returns: [id]
            receipt: [id, amount, currency]
`

// visitOf is the visit's id in a session token, as visit() in client.js reads it.
func visitOf(t *testing.T, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var claims struct{ Sid string }
	if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Sid == "" {
		t.Fatalf("token %s: %v", token, err)
	}
	return claims.Sid
}

// TestWholeLoop: with each helper and a running gate, a backend signs a permit, the page pays
// with it, the backend verifies the receipt offline and claims it at the gate, each once. The
// site key, the permit and the receipt are in nothing that the gate printed.
func TestWholeLoop(t *testing.T) {
	g := harness.New(t, mockShop, nil).Start()
	key := g.Key("shop")
	want := object{"site": "shop", "connection": "payments", "mode": "mock", "operation": "create-payment-intent"}
	var credentials []string
	for _, l := range languages(t) {
		t.Run(l.name, func(t *testing.T) {
			session := g.Session("shop", origin)
			given := object{"site": "shop", "connection": "payments", "mode": "mock", "operation": "create-payment-intent", "origin": origin,
				"session": visitOf(t, session), "sealed": object{"amount": 4711}}
			signed := l.run(t, []step{{Do: "permit", SiteKey: key, Given: given}})[0]
			permit, _ := signed.OK.(string)
			pay := func() harness.Reply {
				return g.Do("POST", "/shop/api/payments/v1/payment_intents", `{"receipt_email":"ada@example.com"}`, map[string]string{"Origin": origin,
					"Authorization": "Bearer " + session, "Content-Type": "application/json", "Sallyport-Permit": permit})
			}
			paid := pay()
			receipt := paid.Header.Get("Sallyport-Receipt")
			if paid.Status != 200 || receipt == "" {
				t.Fatalf("%d %s %v (%s)", paid.Status, paid.Body, paid.Header, signed.Error)
			}
			if again := pay(); again.Status != 409 || !strings.Contains(again.Body, `"permit_spent"`) {
				t.Errorf("the permit once more: %d %s", again.Status, again.Body)
			}
			verify := step{Do: "verify", JWKS: g.URL + "/.well-known/jwks.json", Token: receipt, Want: want}
			claim := step{Do: "claim", Gate: g.URL + "/shop", SiteKey: key, Token: receipt, Want: want}
			results := l.run(t, []step{verify, verify, claim, claim})
			for i, want := range []string{"", "used", "", "used"} {
				if results[i].Error != want {
					t.Errorf("step %d: %q, want %q", i, results[i].Error, want)
				}
				if claims, ok := results[i].OK.(map[string]any); ok {
					fields, _ := claims["fields"].(map[string]any)
					if fields["amount"] != 4711.0 || fields["currency"] != "eur" || claims["session"] != visitOf(t, session) {
						t.Errorf("step %d: %v", i, claims)
					}
				}
			}
			credentials = append(credentials, permit, receipt)
		})
	}
	g.Stop()
	for _, credential := range append(credentials, key) {
		for _, part := range strings.Split(credential, ".") {
			if len(part) > 16 && strings.Contains(g.Log(), part) {
				t.Errorf("a key, a permit or a receipt is in the log: %s", part)
			}
		}
	}
}
