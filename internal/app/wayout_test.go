package app

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/outbound"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/site"
)

func pack(t *testing.T, id string) *provider.Pack {
	t.Helper()
	p, err := provider.Builtin().Find(id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestJudge: what a provider says in its own way — also under status 200 — is understood
// from the catalog's data, for the operations it concerns and no others.
func TestJudge(t *testing.T) {
	const plain, throttled, retry, stop = outbound.Plain, outbound.Throttled, outbound.Retry, outbound.Stop
	for _, row := range []struct {
		name, provider, operation string
		status                    int
		header, body              string
		want                      outbound.Verdict
	}{
		{"stripe, a plain answer", "stripe", "create-payment-intent", 200, "", `{"id":"pi_1"}`, plain},
		{"stripe, 400 rate_limit", "stripe", "create-payment-intent", 400, "", `{"error":{"code":"rate_limit"}}`, throttled},
		{"stripe, 400 of another kind", "stripe", "create-payment-intent", 400, "", `{"error":{"code":"parameter_missing"}}`, plain},
		{"stripe, the header", "stripe", "create-payment-intent", 429, "Stripe-Rate-Limited-Reason", `{}`, throttled},
		{"google, over", "google-maps", "geocode", 200, "", `{"status":"OVER_QUERY_LIMIT","results":[]}`, throttled},
		{"google, try again", "google-maps", "geocode", 200, "", `{"status":"UNKNOWN_ERROR"}`, retry},
		{"google, never", "google-maps", "geocode", 200, "", `{"status":"REQUEST_DENIED"}`, stop},
		{"google, well", "google-maps", "geocode", 200, "", `{"status":"OK"}`, plain},
		{"google, not JSON", "google-maps", "geocode", 200, "", `OVER_QUERY_LIMIT`, plain},
		{"google, an array", "google-maps", "geocode", 200, "", `["status","OVER_QUERY_LIMIT"]`, plain},
		{"twilio, a number", "twilio", "create-message", 429, "", `{"code":20429}`, throttled},
		{"twilio, never", "twilio", "create-message", 429, "", `{"code":60212}`, stop},
		{"twilio, a number of another status", "twilio", "create-message", 400, "", `{"code":20429}`, plain},
		{"vonage, sms", "vonage", "send-sms", 200, "", `{"messages":[{"status":"1"}]}`, throttled},
		{"vonage, sms well", "vonage", "send-sms", 200, "", `{"messages":[{"status":"0"}]}`, plain},
		{"vonage, verify", "vonage", "check-verification-v1", 200, "", `{"status":"1"}`, throttled},
		{"vonage, another operation", "vonage", "fetch-balance", 200, "", `{"status":"1"}`, plain},
		{"paypal", "paypal", "create-order", 429, "", `{"name":"RATE_LIMIT_REACHED"}`, throttled},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := pack(t, row.provider)
			op, ok := p.Contract().Find(row.operation)
			if !ok {
				t.Fatalf("no operation %s", row.operation)
			}
			h := http.Header{}
			if row.header != "" {
				h.Set(row.header, "x")
			}
			for range 2 {
				if got := judge(signsOf(p, op), row.status, h, []byte(row.body)); got != row.want {
					t.Errorf("verdict %d, want %d", got, row.want)
				}
			}
		})
	}
}

func connection(siteName, name, key string) *site.Connection {
	return &site.Connection{Site: siteName, Name: name, Provider: "stripe", Mode: provider.Sandbox,
		Credentials: map[string]secret.Ref{"secret_key": {Scheme: "env", Name: key}}}
}

func ways(t *testing.T) *wayOut {
	t.Helper()
	w := newWayOut(secret.Sources{}, func() []netip.AddrPort { return nil })
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// TestLimitsAreTheCredentials: connections with one credential share its count, those with
// another, another mode or another upstream do not; each operation has its own beside.
func TestLimitsAreTheCredentials(t *testing.T) {
	w, p := ways(t), pack(t, "stripe")
	limits := func(c *site.Connection, operation string) []*outbound.Bucket {
		op, _ := p.Contract().Find(operation)
		return w.limits(c, p, op)
	}
	one := limits(connection("shop", "payments", "KEY"), "create-payment-intent")
	if len(one) != 2 {
		t.Fatalf("%d buckets, want the account's and the operation's", len(one))
	}
	if again := limits(connection("blog", "donations", "KEY"), "create-payment-intent"); !slices.Equal(one, again) {
		t.Error("two connections with one credential count apart")
	}
	if other := limits(connection("shop", "payments", "KEY"), "list-products"); other[0] != one[0] || other[1] == one[1] {
		t.Error("two operations: the account's count must be shared, their own not")
	}
	live, upstream := connection("shop", "payments", "KEY"), connection("shop", "payments", "KEY")
	live.Mode, upstream.Upstream = provider.Live, &site.Upstream{URL: "https://127.0.0.1:1"}
	for name, c := range map[string]*site.Connection{"credential": connection("shop", "payments", "KEY2"), "mode": live, "upstream": upstream} {
		for _, b := range limits(c, "create-payment-intent") {
			if slices.Contains(one, b) {
				t.Errorf("another %s shares a count", name)
			}
		}
	}
}

// TestEveryOperationIsLimited: no operation of any provider goes out uncounted in live.
func TestEveryOperationIsLimited(t *testing.T) {
	packs, err := provider.Builtin().Load()
	if err != nil {
		t.Fatal(err)
	}
	w := ways(t)
	for _, p := range packs {
		for _, op := range p.Contract().Operations() {
			c := &site.Connection{Site: "shop", Name: p.ID, Provider: p.ID, Mode: provider.Live}
			if len(w.limits(c, p, op)) == 0 {
				t.Errorf("%s %s has no limit", p.ID, op.ID)
			}
		}
	}
}

// TestHostsAreShared: one provider host is one breaker and one pool for the connections of a
// site, so that one site cannot hold another's calls back; a named upstream is its
// connection's own.
func TestHostsAreShared(t *testing.T) {
	w, p := ways(t), pack(t, "stripe")
	op, _ := p.Contract().Find("create-payment-intent")
	host := func(c *site.Connection) *outbound.Host {
		h, err := w.host(c, p, op)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	shared := host(connection("shop", "payments", "A"))
	if host(connection("shop", "donations", "B")) != shared {
		t.Error("one provider has two hosts in one site")
	}
	if host(connection("blog", "payments", "A")) == shared {
		t.Error("two sites share a host")
	}
	own := connection("shop", "payments", "A")
	own.Upstream = &site.Upstream{URL: "https://127.0.0.1:1", Private: true}
	mine := host(own)
	if mine == shared || host(own) != mine {
		t.Error("a named upstream is not a host of its own, or not kept")
	}
	foreign := connection("blog", "payments", "A")
	foreign.Upstream = own.Upstream
	if host(foreign) == mine {
		t.Error("two sites share a named upstream")
	}
	own.Upstream = &site.Upstream{URL: "https://127.0.0.1:1", CA: []byte("nothing")}
	if _, err := w.host(own, p, op); err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("a bad CA: %v", err)
	}
	maps := &site.Connection{Site: "shop", Name: "maps", Provider: "google-maps", Mode: provider.Sandbox}
	g := pack(t, "google-maps")
	geocode, _ := g.Contract().Find("geocode")
	if _, err := w.host(maps, g, geocode); err == nil {
		t.Error("a provider without a sandbox was given a host")
	}
}
