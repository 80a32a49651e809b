// Package interop runs official SDKs, unmodified and set up only by their own options,
// through the real binary: stripe-go and stripe (Node) in front of stripe-mock, the Google
// Maps client for Go and Vonage's SDK for Node in front of the mock.
package interop

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/customer"
	"github.com/stripe/stripe-go/v85/paymentintent"
	"github.com/stripe/stripe-go/v85/refund"
	"googlemaps.github.io/maps"

	"sallyport/test/harness"
)

const realKey = "sk_test_CANARY7f3c9a0123456789abcdefABCDEF"

func shop(stripe *harness.Upstream, port string) string {
	return strings.NewReplacer("UPSTREAM", stripe.URL, "PORT", port).Replace(`version: 1
listen: {public: "127.0.0.1:0", tls: off}
store: "sqlite:./data/sallyport.db"
sites:
  shop:
    origins: [https://shop.example]
    connections:
      payments:
        provider: stripe
        mode: sandbox
        credentials: {secret_key: env:TEST_STRIPE_KEY}
        upstream: {url: "UPSTREAM", ca: ./ca.pem, private: true}
        served_at: ["PORT"]
        backend: all
      maps: {provider: google-maps, mode: mock, backend: all}
      sms: {provider: vonage, mode: mock, backend: all}
`)
}

type setup struct {
	gate   *harness.Gate
	stripe *harness.Upstream
	port   string // of the payments connection
}

func start(t *testing.T) setup {
	t.Helper()
	s := setup{stripe: harness.StripeMock(t), port: harness.FreeAddress(t)}
	s.gate = harness.New(t, shop(s.stripe, s.port), map[string][]byte{"ca.pem": s.stripe.CA}, "TEST_STRIPE_KEY="+realKey).Start()
	t.Cleanup(func() {
		if strings.Contains(s.gate.Seen(), "CANARY7f3c9a") {
			t.Error("the provider's key came out of the gate")
		}
		for _, seen := range s.stripe.Requests() {
			if got := seen.Header.Get("Authorization"); got != "Bearer "+realKey {
				t.Errorf("the upstream saw Authorization %q", got)
			}
		}
	})
	return s
}

func TestStripeGo(t *testing.T) {
	s := start(t)
	stripe.Key = s.gate.Key("shop", "--connection", "payments", "--shape", "stripe-test")
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String("http://" + s.port), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelError}})
	stripe.SetBackend(stripe.APIBackend, backend)

	who, err := customer.New(&stripe.CustomerParams{Email: stripe.String("ada@example.com"), Name: stripe.String("Ada")})
	if err != nil || !strings.HasPrefix(who.ID, "cus_") {
		t.Fatalf("create customer: %v", err)
	}
	intent, err := paymentintent.New(&stripe.PaymentIntentParams{
		Amount: stripe.Int64(1900), Currency: stripe.String("eur"), Customer: stripe.String(who.ID),
		AutomaticPaymentMethods: &stripe.PaymentIntentAutomaticPaymentMethodsParams{Enabled: stripe.Bool(true)},
		Metadata:                map[string]string{"order": "42"},
	})
	if err != nil || intent.ID == "" || intent.Amount == 0 || intent.Currency == "" {
		t.Fatalf("create: %v %+v", err, intent)
	}
	got, err := paymentintent.Get(intent.ID, nil)
	if err != nil || got.Object != "payment_intent" {
		t.Fatalf("retrieve: %v", err)
	}
	if _, err = paymentintent.Confirm(intent.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_visa"), ReturnURL: stripe.String("https://shop.example/thanks")}); err != nil {
		t.Fatalf("confirm: %v", err)
	}
	list := paymentintent.List(&stripe.PaymentIntentListParams{ListParams: stripe.ListParams{Limit: stripe.Int64(3), Single: true}})
	n := 0
	for list.Next() {
		n++
	}
	if list.Err() != nil || n == 0 {
		t.Fatalf("list: %v, %d entries", list.Err(), n)
	}
	back, err := refund.New(&stripe.RefundParams{PaymentIntent: stripe.String(intent.ID), Amount: stripe.Int64(500)})
	if err != nil || !strings.HasPrefix(back.ID, "re_") {
		t.Fatalf("refund: %v", err)
	}
	if _, err := customer.Del(who.ID, nil); err == nil {
		t.Error("an operation that the catalog does not have went through")
	}
}

func TestGoogleMapsGo(t *testing.T) {
	s := start(t)
	key := s.gate.Key("shop", "--connection", "maps", "--shape", "google")
	client, err := maps.NewClient(maps.WithAPIKey(key), maps.WithBaseURL(s.gate.URL+"/shop/api/maps"),
		maps.WithHTTPClient(&http.Client{Timeout: 20 * time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	found, err := client.Geocode(context.Background(), &maps.GeocodingRequest{Address: "Hafenstraße 1, Kiel"})
	if err != nil || len(found) == 0 || found[0].FormattedAddress == "" || found[0].Geometry.Location.Lat == 0 {
		t.Fatalf("geocode: %v %+v", err, found)
	}
	// A refusal of the gate is an error that this client can read: what is wrong stands in it.
	_, err = client.Timezone(context.Background(), &maps.TimezoneRequest{Location: &maps.LatLng{Lat: 54, Lng: 10}, Timestamp: time.Unix(-1, 0)})
	if err == nil || !strings.Contains(err.Error(), "contract_violation") || !strings.Contains(err.Error(), "timestamp") {
		t.Errorf("a timestamp that the contract refuses: %v", err)
	}
	stranger, err := maps.NewClient(maps.WithAPIKey("AIza"+strings.Repeat("x", 35)), maps.WithBaseURL(s.gate.URL+"/shop/api/maps"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = stranger.Geocode(context.Background(), &maps.GeocodingRequest{Address: "Kiel"}); err == nil || !strings.Contains(err.Error(), "REQUEST_DENIED") {
		t.Errorf("a key that is none: %v", err)
	}
}

// node runs a script of testdata with the SDKs of test/package.json.
func node(t *testing.T, s setup, script string, env ...string) {
	t.Helper()
	modules, err := filepath.Abs("../node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(modules); err != nil {
		t.Fatal("the Node modules are missing: run make deps")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("testdata", script))
	cmd.Env = append(os.Environ(), append(env, "NODE_PATH="+modules)...)
	out, err := cmd.CombinedOutput()
	s.gate.Saw(string(out))
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", script, err, out, s.gate.Log())
	}
}

func TestStripeNode(t *testing.T) {
	s := start(t)
	host, port, _ := strings.Cut(s.port, ":")
	node(t, s, "stripe.cjs", "GATE_HOST="+host, "GATE_PORT="+port, "GATE_PUBLIC="+strings.TrimPrefix(s.gate.URL, "http://"),
		"SITE_KEY="+s.gate.Key("shop", "--connection", "payments", "--shape", "stripe-test"))
}

func TestVonageNode(t *testing.T) {
	s := start(t)
	out := s.gate.MustRun("", "keys", "create", "shop", "--connection", "sms", "--shape", "vonage", "--json")
	user, secret := jsonField(t, out, "user"), jsonField(t, out, "key")
	node(t, s, "vonage.cjs", "GATE="+s.gate.URL+"/shop/api/sms", "API_KEY="+user, "API_SECRET="+secret)
}
