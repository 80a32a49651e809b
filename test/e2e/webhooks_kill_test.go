package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/test/harness"
)

// TestEventsOutliveKills: a gate that is killed again and again while events come in loses none
// that it acknowledged, and delivers none under two ids. The destination fails now and then.
// SALLYPORT_TORTURE runs the long form.
func TestEventsOutliveKills(t *testing.T) {
	events, kills := 600, 6
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		events, kills = 100_000, 200
	}
	var mu sync.Mutex
	ids := map[string]map[string]int{} // event → delivery id → times
	failed := map[string]bool{}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, rest, _ := strings.Cut(string(body), `"id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		mu.Lock()
		defer mu.Unlock()
		if rand.IntN(50) == 0 && !failed[id] { // once for each event: the second retry is minutes later
			failed[id] = true
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if ids[id] == nil {
			ids[id] = map[string]int{}
		}
		ids[id][r.Header.Get("Sallyport-Delivery")]++
	}))
	defer site.Close()
	address := harness.FreeAddress(t)
	g := harness.New(t, fmt.Sprintf(`version: 1
listen: {public: %q, tls: off}
store: "sqlite:./data/sallyport.db"
sites:
  shop:
    connections:
      pay:
        provider: stripe
        mode: mock
        webhooks: {secret: env:HOOK_SECRET, deliver: %q, private: true, sign_with: env:CRM_SECRET, at_once: 16}
`, address, site.URL), nil, "HOOK_SECRET="+hookSecret, "CRM_SECRET="+crmSecret).Start()
	accepted := make([]atomic.Bool, events)
	var next atomic.Int64
	done := make(chan struct{})
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: nil}}
			defer client.CloseIdleConnections()
			for {
				n := int(next.Add(1)) - 1
				if n >= events {
					return
				}
				for !accepted[n].Load() {
					accepted[n].Store(sendEvent(client, "http://"+address+"/shop/hooks/pay", n))
				}
			}
		})
	}
	go func() { senders.Wait(); close(done) }()
	for k := range kills {
		for int(next.Load()) < (k+1)*events/(kills+1) {
			time.Sleep(2 * time.Millisecond)
		}
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		g.Kill()
		g.Start()
	}
	<-done
	missing := func() (out []int) {
		mu.Lock()
		defer mu.Unlock()
		for n := range accepted {
			if ids[fmt.Sprintf("evt_%d", n)] == nil {
				out = append(out, n)
			}
		}
		return out
	}
	// A failure is repeated after five seconds, and then after five minutes.
	for end := time.Now().Add(10 * time.Minute); len(missing()) > 0 && time.Now().Before(end); {
		time.Sleep(200 * time.Millisecond)
	}
	if lost := missing(); len(lost) > 0 {
		t.Fatalf("%d accepted events were lost, the first is evt_%d", len(lost), lost[0])
	}
	twice := 0
	mu.Lock()
	defer mu.Unlock()
	for id, deliveries := range ids {
		if len(deliveries) != 1 {
			t.Errorf("%s came under %d delivery ids", id, len(deliveries))
		}
		for _, n := range deliveries {
			twice += n - 1
		}
	}
	if twice > 16*kills {
		t.Errorf("%d repeats, with %d kills and at most 16 attempts at once", twice, kills)
	}
	t.Logf("%d events, %d kills: 0 lost, %d repeats", events, kills, twice)
}

// sendEvent posts one event and reports whether the gate acknowledged it.
func sendEvent(client *http.Client, url string, n int) bool {
	body := stripeEvent(fmt.Sprintf("evt_%d", n), "payment_intent.succeeded")
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return false
	}
	for name, value := range sign(body, hookSecret, time.Now()) {
		r.Header.Set(name, value)
	}
	resp, err := client.Do(r)
	if err != nil {
		time.Sleep(10 * time.Millisecond)
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}
