package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sallyport/test/harness"
)

// TestReloadUnderLoad: while the file is swapped again and again, one in three times for a
// broken one, no call fails and none mixes two files: the values that the gate inserts all
// come from one version of the file, one that was in force while the call ran.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	reloads := 20
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		reloads = 200
	}
	var mu sync.Mutex
	var bodies []string
	up := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err == nil {
			mu.Lock()
			bodies = append(bodies, r.PostForm.Get("description")+"|"+r.PostForm.Get("statement_descriptor_suffix")+"|"+r.PostForm.Get("metadata[version]"))
			mu.Unlock()
		}
		answerWell(w, r)
	}))
	// Mode sandbox holds 25 calls a second: the load stays below it.
	version := func(n int) string {
		return fmt.Sprintf(`version: 1
listen: {public: "127.0.0.1:0", tls: off}
sites:
  shop:
    origins: [https://shop.example]
    limit: [100000 per minute per session, 100000 per minute per prefix]
    guards: {cards: {mode: off}}
    connections:
      payments:
        provider: stripe
        mode: sandbox
        credentials: {secret_key: "env:TEST_STRIPE_KEY"}
        upstream: {url: %q, ca: ./ca.pem, private: true}
        browser:
          create-payment-intent:
            fixed: {currency: eur, amount: 1900, description: "version %[2]d", statement_descriptor_suffix: "V%[2]d", metadata.version: "%[2]d"}
            returns: [id, status]
      maps: {provider: google-maps, mode: mock, backend: all, browser: {geocode: {free: [address], returns: [status]}}}
`, up.URL, n)
	}
	g := harness.New(t, version(0), map[string][]byte{"ca.pem": up.CA}, "TEST_STRIPE_KEY="+liveKey).Start()
	token := g.Session("shop", origin)
	var calls, newest atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for worker := range 6 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(300 * time.Millisecond):
				}
				var r harness.Reply
				if worker%2 == 0 {
					r = browserCall(g, token, "/shop/api/payments/v1/payment_intents", `{}`)
				} else {
					r = g.Do("GET", "/shop/api/maps/maps/api/geocode/json?address=Kiel", "", map[string]string{"Origin": origin, "Authorization": "Bearer " + token})
				}
				calls.Add(1)
				if r.Status != 200 {
					t.Errorf("a call failed during a reload to version %d: %d %s", newest.Load(), r.Status, r.Body)
				}
			}
		})
	}
	for n := 1; n <= reloads; n++ {
		if n%3 == 0 {
			refusals := strings.Count(g.Log(), "the file is not used")
			g.Rewrite(version(n) + "nonsense: true\n")
			g.Signal(syscall.SIGHUP)
			wait(t, func() bool { return strings.Count(g.Log(), "the file is not used") > refusals })
			if !strings.Contains(g.Log(), `"reason":"no such key \"nonsense\"","hint":"the keys here are `) {
				t.Errorf("the log does not say what to write instead of a bad key: %s", g.Log())
			}
			continue
		}
		newest.Store(int64(n))
		swaps := strings.Count(g.Log(), "configuration swapped")
		g.Rewrite(version(n))
		if n%2 == 0 {
			g.Signal(syscall.SIGHUP)
			g.Signal(syscall.SIGHUP) // twice at once is once
		}
		wait(t, func() bool { return strings.Count(g.Log(), "configuration swapped") > swaps })
	}
	close(stop)
	load.Wait()
	if r := browserCall(g, token, "/shop/api/payments/v1/payment_intents", `{}`); r.Status != 200 {
		t.Errorf("after the last reload: %d %s", r.Status, r.Body)
	}
	mu.Lock()
	defer mu.Unlock()
	versions := map[string]int{}
	for _, b := range bodies {
		var a, s, m int
		if _, err := fmt.Sscanf(b, "version %d|V%d|%d", &a, &s, &m); err != nil || a != s || a != m || a%3 == 0 && a != 0 {
			t.Errorf("a call mixed two files, or used a broken one: %q", b)
		}
		versions[b]++
	}
	last := reloads
	if last%3 == 0 {
		last--
	}
	if want := fmt.Sprintf("version %[1]d|V%[1]d|%[1]d", last); bodies[len(bodies)-1] != want {
		t.Errorf("the last call used %q, want %q", bodies[len(bodies)-1], want)
	}
	if calls.Load() < 10 || len(versions) < 3 {
		t.Errorf("%d calls with %d versions are too few to mean anything", calls.Load(), len(versions))
	}
	t.Logf("%d calls over %d reloads, %d versions seen", calls.Load(), reloads, len(versions))
}

// wait is eventually, for many turns: it looks more often and waits longer.
func wait(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("it never came true")
}
