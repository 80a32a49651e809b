package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/mock"
	"sallyport/internal/provider"
	"sallyport/internal/site"
	"sallyport/test/harness"
)

const limitsConfig = `version: 1
listen:
  public: "127.0.0.1:0"
  tls: off
store: "sqlite:./data/sallyport.db"
secrets:
  keystore: ./data/keystore.age
sites:
  shop:
    origins: [https://shop.example]
    connections:
`

// pushTarget is one limit of the catalog with a call that counts in it.
type pushTarget struct {
	name, provider     string
	credentials        map[string]string
	operation          string
	method, path, body string
	takes              time.Duration // the provider's answer
	inFlight           bool          // the limit is one of calls at once

	counter *counter
	limit   int
	most    int // at once
	window  time.Duration
	// what came of it
	used, allowed, refused, heldBack, shed int
}

// pushable are the limits of the catalog that can be pushed over the wire: calls of the
// operations whose credential this version can apply, in mode sandbox, because a private
// upstream is refused in live. Google's 3,000 geocodings a minute take minutes, so they are
// in the long form; all others that are not here are pushed in virtual time, with the whole
// way out (internal/outbound, internal/app).
func pushable(t *testing.T) []*pushTarget {
	t.Helper()
	google := map[string]string{"client_id": "1234567890-abcdefghijklmnopqrstuvwxyz012345.apps.googleusercontent.com", "client_secret": "GOCSPX-0123456789abcdefghijklmnopqr"}
	maps := map[string]string{"api_key": "AIza0123456789abcdefghijklmnopqrstuvwxy"}
	twilio := map[string]string{"account_sid": "AC0123456789abcdef0123456789abcdef", "auth_token": "0123456789abcdef0123456789abcdef"}
	vonage := map[string]string{"api_key": "abcd1234", "api_secret": "A0123456789abcdef"}
	all := []*pushTarget{
		{name: "stripe", provider: "stripe", credentials: map[string]string{"secret_key": liveKey}, operation: "create-payment-intent",
			method: "POST", path: "/v1/payment_intents", body: "amount=1900&currency=eur"},
		{name: "google", provider: "google-signin", credentials: google, operation: "get-discovery", method: "GET", path: "/.well-known/openid-configuration"},
		{name: "facebook", provider: "facebook-login", credentials: map[string]string{"app_id": "123456789012345", "app_secret": "0123456789abcdef0123456789abcdef"},
			operation: "debug-token", method: "GET", path: "/v26.0/debug_token?input_token=EAAB0123456789"},
		{name: "timezone", provider: "google-maps", credentials: maps, operation: "get-timezone", method: "GET", path: "/maps/api/timezone/json?location=52.5%2C13.4&timestamp=1"},
		{name: "twilio", provider: "twilio", credentials: twilio, operation: "fetch-balance", method: "GET", path: "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Balance.json"},
		{name: "twilio-at-once", provider: "twilio", credentials: twilio, operation: "fetch-balance", method: "GET", path: "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Balance.json",
			takes: 1200 * time.Millisecond, inFlight: true},
		{name: "verify", provider: "vonage", credentials: vonage, operation: "fetch-verification-v1", method: "GET", path: "/verify/search/json?request_id=0123456789abcdef0123456789abcdef"},
		{name: "balance", provider: "vonage", credentials: vonage, operation: "fetch-balance", method: "GET", path: "/account/get-balance"},
		{name: "redact", provider: "vonage", credentials: vonage, operation: "redact-transaction", method: "POST", path: "/v1/redact/transaction",
			body: `{"id":"0123456789","product":"sms","type":"outbound"}`},
		{name: "zigpoll", provider: "zigpoll", credentials: map[string]string{"api_key": "0123456789abcdef0123456789abcdef"},
			operation: "list-polls", method: "GET", path: "/polls?accountId=0123456789abcdef01234567"},
	}
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		all = append(all, &pushTarget{name: "geocode", provider: "google-maps", credentials: maps, operation: "geocode", method: "GET", path: "/maps/api/geocode/json?address=Berlin"})
	}
	for _, p := range all {
		p.read(t)
	}
	return all
}

// elsewhere are the limits that no run over the wire can push, and why.
var elsewhere = map[string]string{
	"paypal 10 per 1s per account":        "PayPal's token exchange is not in this version",
	"vonage 3 per 1s per account":         "signing a JWT for Vonage is not in this version",
	"vonage 15 per 1s per account":        "signing a JWT for Vonage is not in this version",
	"stripe 100 per 1s per account":       "mode live: a private upstream is refused",
	"stripe 25 per 1s per operation":      "in mode sandbox the account's limit is the same number",
	"stripe 1000 per 1h per object":       "takes hours",
	"oidc 10 per 1s per account":          "not documented: our own cautious default",
	"turnstile 50 per 1s per account":     "not documented: our own cautious default",
	"hcaptcha 50 per 1s per account":      "not documented: our own cautious default",
	"google-maps 3000 per 1m per account": "takes minutes: in the long form",
}

// TestEveryLimitIsPushed: no limit of the catalog is left out without a reason.
func TestEveryLimitIsPushed(t *testing.T) {
	packs, err := provider.Builtin().Load()
	if err != nil {
		t.Fatal(err)
	}
	pushed := map[string]bool{}
	for _, p := range pushable(t) {
		pushed[describe(p.provider, p.find(t))] = true
	}
	for _, p := range packs {
		for _, l := range p.Limits {
			name := describe(p.ID, l)
			if reason := elsewhere[name]; pushed[name] == (reason != "") && os.Getenv("SALLYPORT_TORTURE") == "" {
				t.Errorf("%s: pushed over the wire: %v; reason not to: %q", name, pushed[name], reason)
			}
		}
	}
}

func describe(id string, l provider.Limit) string {
	if l.InFlight > 0 {
		return fmt.Sprintf("%s %d at once", id, l.InFlight)
	}
	return fmt.Sprintf("%s %g per %s per %s", id, l.Calls, l.Per, l.Scope)
}

// find is the catalog's limit that calls meet first.
func (p *pushTarget) find(t *testing.T) provider.Limit {
	t.Helper()
	pack, err := provider.Builtin().Find(p.provider)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range pack.Limits {
		inMode := len(l.Modes) == 0 || slices.Contains(l.Modes, provider.Sandbox)
		concerns := len(l.Ops) == 0 || slices.Contains(l.Ops, p.operation)
		if inMode && concerns && (l.InFlight > 0) == p.inFlight {
			return l
		}
	}
	t.Fatalf("%s: the catalog documents no limit of %s %s", p.name, p.provider, p.operation)
	return provider.Limit{}
}

// read takes what the catalog says of the limit.
func (p *pushTarget) read(t *testing.T) *pushTarget {
	t.Helper()
	l := p.find(t)
	p.limit, p.most, p.window = int(l.Calls), l.InFlight, time.Second
	if per, err := time.ParseDuration(l.Per); err == nil && !p.inFlight {
		p.window = per
	}
	return p
}

// rate is three times the limit, in calls a second.
func (p *pushTarget) rate() float64 {
	if p.inFlight { // as many as the provider answers while all its places are taken
		return 3 * float64(p.most) / p.takes.Seconds()
	}
	return 3 * float64(p.limit) / p.window.Seconds()
}

func (p *pushTarget) prepare(t *testing.T) {
	t.Helper()
	pack, err := provider.Builtin().Find(p.provider)
	if err != nil {
		t.Fatal(err)
	}
	p.used, p.refused, p.heldBack, p.shed = 0, 0, 0, 0
	p.counter = &counter{limit: p.limit, window: p.window, most: p.most, begin: time.Now().Add(-10 * time.Hour), takes: p.takes,
		answer: mock.New(pack, site.MockFaults{Seed: 1}, time.Now).Handler()}
}

func (p *pushTarget) variable(field string) string {
	return strings.ToUpper(strings.ReplaceAll("TEST_"+p.name+"_"+field, "-", "_"))
}

// config is the connection in the file; what is secret comes from the environment.
func (p *pushTarget) config(t *testing.T, upstream string) string {
	t.Helper()
	pack, err := provider.Builtin().Find(p.provider)
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for _, f := range pack.Credentials {
		switch value := p.credentials[f.Name]; {
		case value == "":
		case f.Secret:
			fields = append(fields, f.Name+": env:"+p.variable(f.Name))
		default:
			fields = append(fields, fmt.Sprintf("%s: %q", f.Name, value))
		}
	}
	return fmt.Sprintf(`      %s:
        provider: %s
        mode: sandbox
        credentials: {%s}
        upstream: {url: "%s", ca: ./%s.pem, private: true}
        backend: [%s]
`, p.name, p.provider, strings.Join(fields, ", "), upstream, p.name, p.operation)
}

// push makes three times as many calls as the limit allows.
func (p *pushTarget) push(t *testing.T, g *harness.Gate, header map[string]string, seconds int) {
	header = maps.Clone(header)
	if p.body != "" {
		header["Content-Type"] = map[bool]string{true: "application/json", false: "application/x-www-form-urlencoded"}[p.body[0] == '{']
	}
	long := max(time.Duration(seconds)*time.Second, 2*p.window)
	p.allowed = p.limit * int(long/p.window)
	if p.inFlight {
		p.allowed = int(float64(p.most) * long.Seconds() / p.takes.Seconds())
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Duration(float64(time.Second) / p.rate()))
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < long+min(p.window, time.Second)/4; {
		<-tick.C
		wg.Go(func() {
			r := g.Do(p.method, "/shop/api/"+p.name+p.path, p.body, header)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case r.Status == 429 && field(t, r.Body, "code") == "upstream_throttled":
				p.heldBack++
			case r.Status == 503 && field(t, r.Body, "code") == "overloaded":
				p.shed++
			case r.Status >= 300:
				t.Errorf("%s: %d %v %s", p.name, r.Status, r.Header, r.Body)
			}
		})
	}
	wg.Wait()
	p.count(long)
}

func (p *pushTarget) count(long time.Duration) {
	c := p.counter
	c.mu.Lock()
	defer c.mu.Unlock()
	p.refused = c.refused
	for _, a := range c.arrivals {
		if a.Sub(c.arrivals[0]) < long {
			p.used++
		}
	}
}

func (p *pushTarget) well() bool { return p.refused == 0 && p.used*10 >= p.allowed*9 }

func (p *pushTarget) String() string {
	return fmt.Sprintf("%s (%d per %s): %d of %d calls used, %d refused by the provider, %d held back by the gate, %d shed by its bulkhead",
		p.name, cmp.Or(p.limit, p.most), cmp.Or(p.takes, p.window), p.used, p.allowed, p.refused, p.heldBack, p.shed)
}
