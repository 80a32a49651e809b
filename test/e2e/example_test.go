package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/provider"
	"sallyport/test/harness"
)

const (
	exampleFile = "../../docs/reference/sallyport.example.yaml"
	exampleHost = "api.shop.example"
)

// documentedExample is the documented file with the two changes that a test has to make: the upstream line
// that its own comment offers, with stripe-mock's address in it, and a free port.
func documentedExample(t *testing.T, upstream string) string {
	t.Helper()
	raw, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, change := range []struct{ documented, used string }{
		{`# upstream: {url: "https://127.0.0.1:12112", ca: ./mock-ca.pem, private: true}`,
			`upstream: {url: "` + upstream + `", ca: ./mock-ca.pem, private: true}`},
		{`public: "127.0.0.1:8443"`, `public: "127.0.0.1:0"`},
	} {
		if strings.Count(text, change.documented) != 1 {
			t.Fatalf("%s does not have this once: %s", exampleFile, change.documented)
		}
		text = strings.Replace(text, change.documented, change.used, 1)
	}
	return text
}

func TestDocumentedExampleLoads(t *testing.T) {
	raw, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sallyport.yaml")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, faults := config.Load(path, provider.Builtin()); len(faults) > 0 {
		t.Fatal(faults)
	}
}

// TestDocumentedExample runs the documented file in front of stripe-mock and makes one browser call and one backend
// call through it.
func TestDocumentedExample(t *testing.T) {
	stripe := harness.StripeMock(t)
	g := harness.New(t, documentedExample(t, stripe.URL), map[string][]byte{"mock-ca.pem": stripe.CA},
		"STRIPE_SECRET_KEY="+liveKey).Start()
	at := func(h map[string]string) map[string]string { h["Host"] = exampleHost; return h }

	visit := g.Do("POST", "/session", "", at(map[string]string{"Origin": origin}))
	if visit.Status != 200 && visit.Status != 201 {
		t.Fatalf("POST session: %d %s", visit.Status, visit.Body)
	}
	token, _ := field(t, visit.Body, "token").(string)
	token = g.RaiseAt("/session", at(map[string]string{"Origin": origin, "Authorization": "Bearer " + token}))
	r := g.Do("POST", "/api/payments/v1/payment_intents",
		`{"amount":1900,"receipt_email":"ada@example.com","statement_descriptor_suffix":"GIFTS"}`,
		at(map[string]string{"Origin": origin, "Authorization": "Bearer " + token, "Content-Type": "application/json"}))
	if r.Status != 200 {
		t.Fatalf("browser call: %d %s", r.Status, r.Body)
	}
	for _, name := range []string{"id", "client_secret", "status", "amount", "currency"} {
		if field(t, r.Body, name) == nil {
			t.Errorf("browser call: no %s in %s", name, r.Body)
		}
	}
	if field(t, r.Body, "object") != nil {
		t.Errorf("browser call: a field that returns does not name came back: %s", r.Body)
	}

	key := g.Key("shop", "--connection", "payments", "--shape", "stripe-test")
	r = g.Do("POST", "/api/payments/v1/refunds", "payment_intent=pi_123&amount=1000",
		at(map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/x-www-form-urlencoded"}))
	if id, _ := field(t, r.Body, "id").(string); r.Status != 200 || !strings.HasPrefix(id, "re_") {
		t.Fatalf("backend call: %d %s", r.Status, r.Body)
	}
	checkExampleUpstream(t, stripe)
	if strings.Contains(g.Seen(), canary) {
		t.Error("the provider's key came out of the gate")
	}
}

func checkExampleUpstream(t *testing.T, stripe *harness.Upstream) {
	t.Helper()
	seen := stripe.Requests()
	if len(seen) != 2 {
		t.Fatalf("the upstream saw %d requests, not the two calls", len(seen))
	}
	for _, one := range seen {
		if got := one.Header.Get("Authorization"); got != "Bearer "+liveKey {
			t.Errorf("%s: the upstream saw Authorization %q", one.Target, got)
		}
	}
	for _, want := range []string{"amount=1900", "currency=eur", "automatic_payment_methods%5Benabled%5D=true", "statement_descriptor_suffix=GIFTS"} {
		if !strings.Contains(seen[0].Body, want) && !strings.Contains(seen[0].Body, strings.NewReplacer("%5B", "[", "%5D", "]").Replace(want)) {
			t.Errorf("the browser call lacks %s: %s", want, seen[0].Body)
		}
	}
}
