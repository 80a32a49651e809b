package e2e

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"

	"sallyport/test/harness"
)

const (
	hookSecret     = "whsec_CANARYproviderhooksecret00"
	siteHookSecret = "whsec_CANARYsitehooksecret000000"
	crmSecret      = "whsec_Q0FOQVJZY3Jtc2VjcmV0MDAwMDAwMDAwMDAw"
)

// site is the handler of a site, with answers that the test chooses.
type hookSite struct {
	mu     sync.Mutex
	got    []*http.Request
	bodies []string
	answer func(n int) int
}

func (s *hookSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.got, s.bodies = append(s.got, r), append(s.bodies, string(body))
	n := len(s.got)
	s.mu.Unlock()
	status := http.StatusOK
	if s.answer != nil {
		status = s.answer(n)
	}
	w.WriteHeader(status)
}

func (s *hookSite) wait(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s.mu.Lock()
		have := len(s.got)
		s.mu.Unlock()
		if have >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d deliveries came", have, n)
		}
	}
}

func hooksGate(t *testing.T, site, crm string) *harness.Gate {
	t.Helper()
	config := fmt.Sprintf(`version: 1
listen: {public: "127.0.0.1:0", tls: off}
store: "sqlite:./data/sallyport.db"
sites:
  shop:
    connections:
      pay:
        provider: stripe
        mode: mock
        webhooks:
          secret: env:HOOK_SECRET
          destinations:
            site: {url: %q, private: true, sign_as: provider, sign_with: env:SITE_HOOK_SECRET, order: object}
            crm: {url: %q, private: true, sign_with: env:CRM_SECRET, types: [payment_intent.*]}
      polls:
        provider: zigpoll
        mode: mock
        webhooks: {secret: env:POLL_TOKEN, deliver: none}
      page:
        provider: facebook-login
        mode: mock
        credentials: {app_id: "123456789012345"}
        webhooks: {secret: env:HOOK_SECRET, verify_token: env:META_TOKEN, deliver: none}
`, site, crm)
	return harness.New(t, config, nil, "HOOK_SECRET="+hookSecret, "SITE_HOOK_SECRET="+siteHookSecret, "CRM_SECRET="+crmSecret,
		"POLL_TOKEN=CANARYpolltoken0123456789", "META_TOKEN=CANARYmetatoken0123456789").Start()
}

func stripeEvent(id, kind string) string {
	return `{"id":"` + id + `","object":"event","type":"` + kind + `","api_version":"` + stripe.APIVersion + `","data":{"object":{"id":"pi_1","receipt_email":"CANARYada@example.com"}},  "unusual":"spacing"}`
}

func sign(body, secret string, at time.Time) map[string]string {
	p := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: secret, Timestamp: at})
	return map[string]string{"Stripe-Signature": p.Header, "Content-Type": "application/json"}
}

// TestWebhooks: events that Stripe's own SDK signed are verified, kept once, and delivered so
// that Stripe's own SDK and the Standard Webhooks library verify them, each with the site's own
// secret; what nobody signed is refused without a word, and nothing of it all is in an output.
func TestWebhooks(t *testing.T) {
	site, crm := &hookSite{}, &hookSite{}
	a, b := httptest.NewServer(site), httptest.NewServer(crm)
	defer a.Close()
	defer b.Close()
	g := hooksGate(t, a.URL+"/stripe", b.URL+"/events")
	post := func(body string, header map[string]string) harness.Reply {
		return g.Do("POST", "/shop/hooks/pay", body, header)
	}
	first := stripeEvent("evt_1", "payment_intent.succeeded")
	now := time.Now()
	for range 3 { // Stripe repeats events, with new signatures
		if r := post(first, sign(first, hookSecret, now)); r.Status != 200 || r.Body != "" {
			t.Fatalf("a good event: %d %s", r.Status, r.Body)
		}
	}
	site.wait(t, 1)
	crm.wait(t, 1)
	event, err := webhook.ConstructEvent([]byte(site.bodies[0]), site.got[0].Header.Get("Stripe-Signature"), siteHookSecret)
	if err != nil || event.ID != "evt_1" || site.bodies[0] != first || site.got[0].URL.Path != "/stripe" {
		t.Errorf("Stripe's SDK at the site: %v, %s", err, site.bodies[0])
	}
	verifier, err := standardwebhooks.NewWebhook(crmSecret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify([]byte(crm.bodies[0]), crm.got[0].Header); err != nil || crm.bodies[0] != first || crm.got[0].Header.Get("Sallyport-Event-Type") != "payment_intent.succeeded" {
		t.Errorf("Standard Webhooks at the CRM: %v, %v", err, crm.got[0].Header)
	}
	if h := crm.got[0].Header; h.Get("Stripe-Signature") != "" || h.Get("Authorization") != "" {
		t.Errorf("the provider's signature went on: %v", h)
	}

	// What is refused, with one answer for all of it.
	other := stripeEvent("evt_2", "payment_intent.succeeded")
	bad := map[string]map[string]string{
		"no signature":   {"Content-Type": "application/json"},
		"another secret": sign(other, "whsec_another", now),
		"too old":        sign(other, hookSecret, now.Add(-301*time.Second)),
		"ahead":          sign(other, hookSecret, now.Add(310*time.Second)),
		"another body":   sign(first, hookSecret, now),
		"v0 alone":       {"Stripe-Signature": strings.Replace(sign(other, hookSecret, now)["Stripe-Signature"], "v1=", "v0=", 1)},
		"upper case":     {"Stripe-Signature": strings.ToUpper(sign(other, hookSecret, now)["Stripe-Signature"])},
	}
	answers := map[string]bool{}
	for what, header := range bad {
		r := post(other, header)
		if r.Status != 401 || !strings.Contains(r.Body, "event_refused") {
			t.Errorf("%s: %d %s", what, r.Status, r.Body)
		}
		answers[strings.Split(r.Body, `"request_id"`)[0]] = true
	}
	if len(answers) != 1 {
		t.Errorf("strangers can tell refusals apart: %v", answers)
	}
	for what, r := range map[string]harness.Reply{
		"a page":           g.Do("POST", "/shop/hooks/pay", other, map[string]string{"Origin": "https://evil.example"}),
		"a GET":            g.Do("GET", "/shop/hooks/pay", "", nil),
		"compressed":       g.Do("POST", "/shop/hooks/pay", other, map[string]string{"Content-Encoding": "gzip"}),
		"giant":            g.Do("POST", "/shop/hooks/pay", strings.Repeat("x", 1<<20+1), nil),
		"no such hook":     g.Do("POST", "/shop/hooks/none", other, nil),
		"a deeper path":    g.Do("POST", "/shop/hooks/pay/more", other, sign(other, hookSecret, now)),
		"a wrong token":    g.Do("POST", "/shop/hooks/polls/wrong", `{"pollId":"p"}`, nil),
		"Meta's bad token": g.Do("GET", "/shop/hooks/page?hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=42", "", nil),
	} {
		if want := map[string]int{"a page": 403, "a GET": 405, "compressed": 415, "giant": 413, "no such hook": 404, "a deeper path": 404, "a wrong token": 401, "Meta's bad token": 401}[what]; r.Status != want {
			t.Errorf("%s: %d %s, want %d", what, r.Status, r.Body, want)
		}
	}
	if r := g.Do("POST", "/shop/hooks/polls/CANARYpolltoken0123456789", `{"pollId":"p1","response":"CANARYanswer"}`, map[string]string{"Content-Type": "application/json"}); r.Status != 200 {
		t.Errorf("a poll: %d %s", r.Status, r.Body)
	}
	if r := g.Do("GET", "/shop/hooks/page?hub.mode=subscribe&hub.verify_token=CANARYmetatoken0123456789&hub.challenge=1158201444", "", nil); r.Status != 200 || r.Body != "1158201444" {
		t.Errorf("Meta's handshake: %d %s", r.Status, r.Body)
	}
	time.Sleep(300 * time.Millisecond)
	if len(site.got) != 1 || len(crm.got) != 1 {
		t.Errorf("%d and %d deliveries", len(site.got), len(crm.got))
	}
	secrets := finder{values: map[string]string{"a person": "CANARYada", "an answer": "CANARYanswer", "the provider's secret": hookSecret, "the site's secret": siteHookSecret, "the token of an address": "CANARYpolltoken"}}
	secrets.none(t, "the outputs", []byte(strings.ReplaceAll(g.Seen(), "1158201444", "")))
	for path, data := range storedFiles(t, g.Dir) {
		secrets.none(t, path, []byte(data))
	}
}

// TestWebhookOutlivesItsGate: what was acknowledged is delivered after a kill, with the same
// delivery id, and a failure is tried again.
func TestWebhookOutlivesItsGate(t *testing.T) {
	site := &hookSite{answer: func(n int) int {
		if n == 1 {
			return http.StatusInternalServerError
		}
		return http.StatusNoContent
	}}
	a := httptest.NewServer(site)
	defer a.Close()
	g := hooksGate(t, a.URL, a.URL+"/crm")
	body := stripeEvent("evt_9", "charge.refunded")
	if r := g.Do("POST", "/shop/hooks/pay", body, sign(body, hookSecret, time.Now())); r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	site.wait(t, 1)
	g.WaitLog(`"reason":"status"`)
	g.Kill()
	g.Start()
	site.wait(t, 2)
	if a, b := site.got[0].Header.Get("Sallyport-Delivery"), site.got[1].Header.Get("Sallyport-Delivery"); a == "" || a != b {
		t.Errorf("delivery ids %q and %q", a, b)
	}
	if n := site.got[1].Header.Get("Sallyport-Attempt"); n != "2" {
		t.Errorf("attempt %s", n)
	}
}

// storedFiles are the files of a gate's data.
func storedFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(filepath.Join(dir, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		out[path] = string(data)
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("%d files: %v", len(out), err)
	}
	return out
}
