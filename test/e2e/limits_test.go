package e2e

import (
	"context"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/test/harness"
)

// counter is a provider that enforces its documented limit, both ways that providers count:
// in fixed windows that begin at a moment of its own, and in a window that slides. With most
// it also refuses what is one too many at once.
type counter struct {
	limit  int
	window time.Duration
	begin  time.Time
	most   int
	takes  time.Duration // before it answers
	answer http.Handler

	mu       sync.Mutex
	arrivals []time.Time
	flying   int
	refused  int
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.over(time.Now()) {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	time.Sleep(c.takes)
	c.answer.ServeHTTP(w, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying--
}

// over counts a request that is within the limit, or its refusal.
func (c *counter) over(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	fixed, sliding := 0, 0
	for i := len(c.arrivals) - 1; i >= 0 && now.Sub(c.arrivals[i]) < c.window; i-- {
		sliding++
		if c.arrivals[i].Sub(c.begin)/c.window == now.Sub(c.begin)/c.window {
			fixed++
		}
	}
	if c.limit > 0 && (fixed >= c.limit || sliding >= c.limit) || c.most > 0 && c.flying >= c.most {
		c.refused++
		return true
	}
	c.flying++
	c.arrivals = append(c.arrivals, now)
	return false
}

// TestCounterRefuses is the control: the counter refuses the call that is one too many, in
// either way of counting.
func TestCounterRefuses(t *testing.T) {
	for name, shift := range map[string]time.Duration{"sliding": 990 * time.Millisecond, "fixed": 0} {
		c := &counter{limit: 25, window: time.Second, begin: time.Now().Add(-shift - 10*time.Second), answer: http.NotFoundHandler()}
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

// TestDocumentedLimits: callers push three times every limit of the catalog that can be
// pushed over the wire in seconds; the provider never has to say 429, and at least 90 % of
// what it allows is used. The gate takes a request to have arrived 8 % of the window after
// it was written. A machine that is busy with something else can hold one up for longer:
// such a run says nothing, and is made again, with fewer limits at once. It runs beside no
// other test of this package.
func TestDocumentedLimits(t *testing.T) {
	const tries = 8
	left := pushable(t)
	for try := 1; len(left) > 0; try++ {
		var again []*pushTarget
		for _, together := range bearable(left, 680/float64(try)) {
			stall := pushAll(t, together)
			for _, p := range together {
				t.Logf("%s; the machine stalled for %s", p, stall)
				switch {
				case p.well():
					if p.heldBack == 0 {
						t.Errorf("%s: nobody was held back: the callers did not push enough to mean anything", p.name)
					}
				case stall < p.window/50:
					t.Errorf("on a quiet machine: %v", p)
				case try == tries:
					t.Errorf("in %d tries none went well: %v", tries, p)
				default:
					again = append(again, p)
				}
			}
		}
		left = again
	}
}

// bearable puts together what a small machine can call at once: most calls a second, or
// one limit.
func bearable(all []*pushTarget, most float64) [][]*pushTarget {
	var out [][]*pushTarget
	sum := most + 1
	for _, p := range all {
		if sum += p.rate(); sum > most {
			out, sum = append(out, nil), p.rate()
		}
		out[len(out)-1] = append(out[len(out)-1], p)
	}
	return out
}

// pushAll runs one gate before one counting provider for each, and callers over the
// limit of each; all at once.
func pushAll(t *testing.T, targets []*pushTarget) (stall time.Duration) {
	t.Helper()
	seconds := 2
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		seconds = 60
	}
	var config strings.Builder
	config.WriteString(limitsConfig)
	files := map[string][]byte{}
	env := []string{"TEST_STRIPE_KEY=" + liveKey}
	for _, p := range targets {
		p.prepare(t)
		up := harness.Serve(t, p.counter)
		files[p.name+".pem"] = up.CA
		config.WriteString(p.config(t, up.URL))
		for name, value := range p.credentials {
			env = append(env, p.variable(name)+"="+value)
		}
	}
	g := harness.New(t, config.String(), files, env...).Start()
	defer g.Stop()
	fromManyNetworks(g)
	header := map[string]string{"Authorization": "Bearer " + g.Key("shop")}
	var wg sync.WaitGroup
	stalled := stalls(t, g)
	for _, p := range targets {
		wg.Go(func() { p.push(t, g, header, seconds) })
	}
	wg.Wait()
	return stalled()
}

// fromManyNetworks spreads the callers: the gate gives one network 512 connections at most.
func fromManyNetworks(g *harness.Gate) {
	var n atomic.Int32
	g.Client().Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(n.Add(1)%16), 1)}}
		return from.DialContext(ctx, network, address)
	}
}

// stalls watches how long a goroutine of ours that wants to run has to wait, and the gate to
// say that it lives, at most.
func stalls(t *testing.T, g *harness.Gate) (stop func() time.Duration) {
	done := make(chan struct{})
	var most [2]time.Duration
	var wg sync.WaitGroup
	watch := func(worst *time.Duration, every time.Duration, what func()) {
		for {
			began := time.Now()
			select {
			case <-done:
				return
			case <-time.After(every):
				what()
				*worst = max(*worst, time.Since(began)-every)
			}
		}
	}
	wg.Go(func() { watch(&most[0], 2*time.Millisecond, func() {}) })
	wg.Go(func() {
		watch(&most[1], 10*time.Millisecond, func() {
			if r := g.Do("GET", "/healthz", "", nil); r.Status != http.StatusOK {
				t.Errorf("/healthz: %d", r.Status)
			}
		})
	})
	return func() time.Duration {
		close(done)
		wg.Wait()
		return max(most[0], most[1])
	}
}
