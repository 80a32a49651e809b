package e2e

import (
	"fmt"
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
// has to say 429, and at least 90 % of what it allows is used. The gate takes a request to
// have arrived 8 % of the window after it was written. A machine that is busy with something
// else can hold one up for longer: such a run says nothing, and is made again. It runs beside
// no other test of this package.
func TestDocumentedLimit(t *testing.T) {
	const tries = 5
	for try := 1; ; try++ {
		run := push(t)
		t.Log(run)
		switch {
		case run.refused == 0 && run.used*10 >= run.allowed*9:
			if run.heldBack == 0 {
				t.Error("nobody was held back: the callers did not push enough to mean anything")
			}
			return
		case run.stall < run.window/50:
			t.Fatalf("on a quiet machine: %v", run)
		case try == tries:
			t.Fatalf("in %d tries none went well: %v", tries, run)
		}
	}
}

// pushed is what a run of callers over the limit came to.
type pushed struct {
	used, allowed, refused, heldBack int
	window, stall                    time.Duration
}

func (p pushed) String() string {
	return fmt.Sprintf("%d of %d calls used, %d refused by the provider, %d held back by the gate; the machine stalled for %s", p.used, p.allowed, p.refused, p.heldBack, p.stall)
}

func push(t *testing.T) pushed {
	t.Helper()
	seconds := 4
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		seconds = 60
	}
	limit, window := documented(t, "stripe", provider.Sandbox)
	c := &counter{limit: limit, window: window, begin: time.Now().Add(-10 * time.Hour)}
	up := harness.Serve(t, c)
	g := start(t, shopConfig(up.URL), up)
	defer g.Stop()
	key := g.Key("shop")
	header := map[string]string{"Authorization": "Bearer " + key}
	run := pushed{window: window, allowed: limit * int(time.Duration(seconds)*time.Second/window)}
	var mu sync.Mutex
	var wg sync.WaitGroup
	stalled := stalls()
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
			switch {
			case r.Status == 429 && field(t, r.Body, "code") == "upstream_throttled":
				run.heldBack++
			case r.Status != 200:
				t.Errorf("%d %v %s", r.Status, r.Header, r.Body)
			}
		})
	}
	wg.Wait()
	run.stall = stalled()
	c.mu.Lock()
	defer c.mu.Unlock()
	run.refused = c.refused
	for _, a := range c.arrivals {
		if a.Sub(c.arrivals[0]) < time.Duration(seconds)*time.Second {
			run.used++
		}
	}
	return run
}

// stalls watches how long a goroutine that wants to run has to wait, at most.
func stalls() (stop func() time.Duration) {
	done, most := make(chan struct{}), make(chan time.Duration)
	go func() {
		var worst time.Duration
		for {
			began := time.Now()
			select {
			case <-done:
				most <- worst
				return
			case <-time.After(2 * time.Millisecond):
				worst = max(worst, time.Since(began)-2*time.Millisecond)
			}
		}
	}()
	return func() time.Duration { close(done); return <-most }
}
