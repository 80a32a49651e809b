package app

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/contract"
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
	const plain, throttled, retry, stop, refused = outbound.Plain, outbound.Throttled, outbound.Retry, outbound.Stop, outbound.Refused
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
		{"google, a key refused", "google-maps", "geocode", 200, "", `{"status":"REQUEST_DENIED"}`, refused},
		{"google, a key refused in the newer form", "google-maps", "search-places-by-text", 400, "", `{"error":{"details":[{"reason":"API_KEY_INVALID"}]}}`, refused},
		{"turnstile, a key refused", "turnstile", "check-token", 200, "", `{"success":false,"error-codes":["invalid-input-secret"]}`, refused},
		{"turnstile, a token refused", "turnstile", "check-token", 200, "", `{"success":false,"error-codes":["invalid-input-response"]}`, plain},
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
	w := newWayOut(secret.Sources{}, func() []netip.AddrPort { return nil }, nil)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// TestLimitsAreTheCredentials: connections with one credential share its count, those with
// another, another mode or another upstream do not; each operation has its own beside.
func TestLimitsAreTheCredentials(t *testing.T) {
	w, p := ways(t), pack(t, "stripe")
	limits := func(c *site.Connection, operation string) []*outbound.Bucket {
		op, _ := p.Contract().Find(operation)
		return w.counts(c, p, op).buckets
	}
	one := limits(connection("shop", "payments", "KEY"), "create-payment-intent")
	if len(one) != 2 {
		t.Fatalf("%d buckets, want the operation's and the account's", len(one))
	}
	if again := limits(connection("blog", "donations", "KEY"), "create-payment-intent"); !slices.Equal(one, again) {
		t.Error("two connections with one credential count apart")
	}
	if other := limits(connection("shop", "payments", "KEY"), "list-products"); other[1] != one[1] || other[0] == one[0] {
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

// TestLimitsOfEachObject: what a provider counts for each object is counted by the value
// of the operation's parameter, over all operations and connections of the credential,
// and comes first.
func TestLimitsOfEachObject(t *testing.T) {
	w, p := ways(t), pack(t, "stripe")
	hold := func(c *site.Connection, operation, intent string) *outbound.Bucket {
		t.Helper()
		op, _ := p.Contract().Find(operation)
		buckets, release := w.counts(c, p, op).hold(contract.NewArgs(map[string]any{"intent": intent}))
		t.Cleanup(release)
		if len(buckets) != 3 || buckets[2] != w.counts(c, p, op).buckets[1] {
			t.Fatalf("%s: %d buckets, want the object's, the operation's and last the account's", operation, len(buckets))
		}
		return buckets[0]
	}
	shop, blog := connection("shop", "payments", "KEY"), connection("blog", "donations", "KEY")
	one := hold(shop, "confirm-payment-intent", "pi_1")
	for _, operation := range []string{"update-payment-intent", "confirm-payment-intent", "capture-payment-intent", "cancel-payment-intent"} {
		if hold(blog, operation, "pi_1") != one {
			t.Errorf("%s of another site counts the same object apart", operation)
		}
	}
	if hold(shop, "confirm-payment-intent", "pi_2") == one || hold(connection("shop", "payments", "KEY2"), "confirm-payment-intent", "pi_1") == one {
		t.Error("another object or credential shares a count")
	}
	op, _ := p.Contract().Find("retrieve-payment-intent")
	if buckets, release := w.counts(shop, p, op).hold(contract.NewArgs(map[string]any{"intent": "pi_1"})); len(buckets) != 2 {
		t.Errorf("reading an object counts in %d buckets, want 2", len(buckets))
	} else {
		release()
	}
}

// TestLimitsOfEachNumber: one telephone number is one count, however it is written.
func TestLimitsOfEachNumber(t *testing.T) {
	w, p := ways(t), *pack(t, "twilio")
	p.Limits = append(slices.Clone(p.Limits), provider.Limit{Scope: "number", Calls: 1, Per: "1s",
		Ops: []string{"create-message", "create-verification"}, By: []string{"Number", "To"}})
	hold := func(operation, to string) *outbound.Bucket {
		t.Helper()
		op, ok := p.Contract().Find(operation)
		if !ok {
			t.Fatal(operation)
		}
		c := &site.Connection{Site: "shop", Name: "sms", Provider: "twilio", Mode: provider.Live}
		buckets, release := w.counts(c, &p, op).hold(contract.NewArgs(map[string]any{"To": to}))
		t.Cleanup(release)
		if len(buckets) != 3 {
			t.Fatalf("%d buckets, want the number's and the account's two", len(buckets))
		}
		return buckets[0]
	}
	one := hold("create-message", "+49 (30) 123-456")
	for _, same := range []string{"+4930123456", "4930123456", "whatsapp:+4930123456"} {
		if hold("create-verification", same) != one {
			t.Errorf("%s counts apart", same)
		}
	}
	mail := hold("create-verification", "a@shop.example")
	if hold("create-message", "+4930123457") == one || mail == one || mail == hold("create-verification", "b@shop.example") {
		t.Error("two numbers share a count")
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
			if len(w.counts(c, p, op).buckets) == 0 {
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
		h, err := w.host(c, p, op.Server)
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
	if _, err := w.host(own, p, op.Server); err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("a bad CA: %v", err)
	}
	maps := &site.Connection{Site: "shop", Name: "maps", Provider: "google-maps", Mode: provider.Sandbox}
	g := pack(t, "google-maps")
	geocode, _ := g.Contract().Find("geocode")
	if _, err := w.host(maps, g, geocode.Server); err == nil {
		t.Error("a provider without a sandbox was given a host")
	}
}
