package e2e

import (
	"flag"
	"os"
	"strings"
	"testing"

	"sallyport/test/harness"
	"sallyport/test/servers"
)

// canary stands in every secret and personal value of these tests. It must never come
// out anywhere but at the provider.
const canary = "CANARY7f3c9a"

const (
	liveKey = "sk_test_" + canary + "0123456789abcdefABCDEF"
	origin  = "https://shop.example"
)

// shopConfig is a shop with a payment connection to an upstream, and a map and a
// messaging connection answered by the mock.
func shopConfig(upstream string) string {
	return strings.ReplaceAll(`version: 1
listen:
  public: "127.0.0.1:0"
  tls: off
store: "sqlite:./data/sallyport.db"
secrets:
  keystore: ./data/keystore.age
sites:
  shop:
    origins: [https://shop.example]
    preview_origins: ["https://deploy-preview-*--shop.example"]
    guards: {cards: {mode: off}}
    connections:
      payments:
        provider: stripe
        mode: sandbox
        credentials: {secret_key: env:TEST_STRIPE_KEY}
        upstream: {url: "UPSTREAM", ca: ./ca.pem, private: true}
        browser:
          create-payment-intent:
            free: [receipt_email]
            fixed: {currency: eur, description: Order at the shop}
            one_of: {statement_descriptor_suffix: [SHOP, GIFTS]}
            range: {amount: {min: 500, max: 500000}}
            returns: [id, client_secret, status, amount]
            limit: 50 per minute per session
        backend: all
      maps:
        provider: google-maps
        mode: mock
        browser:
          geocode:
            free: [address]
            returns: ["results[].formatted_address", "results[].geometry.location", status]
        backend: all
      sms:
        provider: vonage
        mode: mock
        backend: all
`, "UPSTREAM", upstream)
}

// start runs a gate in front of u.
func start(t *testing.T, config string, u *harness.Upstream) *harness.Gate {
	t.Helper()
	return harness.New(t, config, map[string][]byte{"ca.pem": u.CA}, "TEST_STRIPE_KEY="+liveKey).Start()
}

// TestMain lets more tests run at once than there are processors: they mostly wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(servers.Ending(m).Run())
}
