package e2e

import (
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/provider"
	"sallyport/test/harness"
)

// counter is a provider that enforces its documented limit, both ways that providers count:
// in fixed windows that begin at a moment of its own, and in a window that slides.
type counter struct {
	mu       sync.Mutex
	limit    int
	window   time.Duration
	begin    time.Time
	arrivals []time.Time
	refused  int
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	c.mu.Lock()
	fixed, sliding := 0, 0
	for _, a := range c.arrivals {
		if now.Sub(a) < c.window {
			sliding++
		}
		if a.Sub(c.begin)/c.window == now.Sub(c.begin)/c.window {
			fixed++
		}
	}
	over := fixed >= c.limit || sliding >= c.limit
	if over {
		c.refused++
	} else {
		c.arrivals = append(c.arrivals, now)
	}
	c.mu.Unlock()
	switch {
	case over:
		w.WriteHeader(http.StatusTooManyRequests)
	case strings.HasPrefix(r.URL.Path, "/v1/products"):
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"object":"list","data":[],"has_more":false,"url":"/v1/products"}`)
	default:
		answerWell(w, r)
	}
}

// documented is the limit that the catalog says the provider enforces per account.
func documented(t *testing.T, id string, mode provider.Mode) (int, time.Duration) {
	t.Helper()
	pack, err := provider.Builtin().Find(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range pack.Limits {
		if l.Scope == "account" && len(l.Modes) == 1 && l.Modes[0] == mode {
			per, err := time.ParseDuration(l.Per)
			if err != nil || l.Calls < 1 {
				t.Fatalf("%+v", l)
			}
			return int(l.Calls), per
		}
	}
	t.Fatalf("%s documents no limit in mode %s", id, mode)
	return 0, 0
}

// TestCounterRefuses is the control: the counter refuses the call that is one too many, in
// either way of counting.
func TestCounterRefuses(t *testing.T) {
	for name, shift := range map[string]time.Duration{"sliding": 990 * time.Millisecond, "fixed": 0} {
		c := &counter{limit: 25, window: time.Second, begin: time.Now().Add(-shift - 10*time.Second)}
		up := harness.Serve(t, c)
		client := &http.Client{Transport: trusting(t, up)}
		for range 26 {
			r, err := client.Get(up.URL + "/v1/products") //nolint:noctx // our own stand-in
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
		}
		if c.refused != 1 {
			t.Errorf("%s: %d of 26 refused, want 1", name, c.refused)
		}
	}
}

// TestDocumentedLimit: callers push three times the provider's limit; the provider never
// has to say 429, and at least 90 % of what it allows is used.
func TestDocumentedLimit(t *testing.T) {
	t.Parallel()
	seconds := 4
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		seconds = 60
	}
	limit, window := documented(t, "stripe", provider.Sandbox)
	c := &counter{limit: limit, window: window, begin: time.Now().Add(-10 * time.Hour)}
	up := harness.Serve(t, c)
	g := start(t, shopConfig(up.URL), up)
	key := g.Key("shop")
	header := map[string]string{"Authorization": "Bearer " + key}
	statuses := map[int]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	tick := time.NewTicker(window / time.Duration(3*limit))
	defer tick.Stop()
	for began, n := time.Now(), 0; time.Since(began) < time.Duration(seconds)*time.Second+window/4; n++ {
		<-tick.C
		wg.Go(func() {
			var r harness.Reply
			if n%3 == 0 { // every operation counts, whatever it does
				r = payOver(g, key, "payments")
			} else {
				r = g.Do("GET", "/shop/api/payments/v1/products", "", header)
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[r.Status]++
			if r.Status != 200 && (r.Status != 429 || field(t, r.Body, "code") != "upstream_throttled" || r.Header.Get("Retry-After") == "") {
				t.Errorf("%d %v %s", r.Status, r.Header, r.Body)
			}
		})
	}
	wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	used := 0
	for _, a := range c.arrivals {
		if a.Sub(c.arrivals[0]) < time.Duration(seconds)*time.Second {
			used++
		}
	}
	allowed := limit * int(time.Duration(seconds)*time.Second/window)
	t.Logf("%d of %d calls used in %d s; answers %v; %d refused by the provider", used, allowed, seconds, statuses, c.refused)
	if c.refused != 0 {
		t.Errorf("the provider refused %d calls", c.refused)
	}
	if float64(used) < 0.9*float64(allowed) {
		t.Errorf("%d of %d calls were used", used, allowed)
	}
	if statuses[429] == 0 {
		t.Error("nobody was held back: the callers did not push enough to mean anything")
	}
}
