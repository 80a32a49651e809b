package outbound

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/problem"
)

// arrivals collects when calls reached a provider.
type arrivals struct {
	mu sync.Mutex
	at []time.Time
}

func (a *arrivals) add(t time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = append(a.at, t)
}

// most is the largest number of arrivals in any window of that length: no fixed
// window, however aligned, and no sliding one counts more.
func (a *arrivals) most(window time.Duration) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	sort.Slice(a.at, func(i, j int) bool { return a.at[i].Before(a.at[j]) })
	best, from := 0, 0
	for to := range a.at {
		for a.at[to].Sub(a.at[from]) >= window {
			from++
		}
		best = max(best, to-from+1)
	}
	return best
}

// push makes callers ask for rate calls a second in all, for the given time, each
// call taking up to latency and arriving at some moment of its first 40 ms.
func push(t *testing.T, hold func() (*Bucket, func()), rate float64, long, latency time.Duration) (*arrivals, int) {
	t.Helper()
	var seen arrivals
	var refused atomic.Int64
	var wg sync.WaitGroup
	for began := time.Now(); time.Since(began) < long; time.Sleep(time.Duration(float64(time.Second) / rate)) {
		wg.Go(func() {
			b, release := hold()
			defer release()
			g, err := b.take(context.Background())
			if err != nil {
				p := problem.From(err)
				if p.Code != problem.UpstreamThrottled || p.RetryAfter < time.Second {
					t.Errorf("refused with %v, RetryAfter %s", err, p.RetryAfter)
				}
				refused.Add(1)
				return
			}
			defer g.done()
			time.Sleep(rand.N(30 * time.Millisecond)) // a connection is made
			g.sent()
			way := rand.N(min(latency, 40*time.Millisecond) + 1)
			time.Sleep(way)
			seen.add(time.Now())
			time.Sleep(latency - way)
		})
	}
	wg.Wait()
	return &seen, int(refused.Load())
}

// At three times the documented limit no window of the provider ever counts more
// than the limit, and at least 90 % of it is used.
func TestBucketStaysUnderTheLimit(t *testing.T) {
	tests := []struct {
		name    string
		limit   BucketConfig
		latency time.Duration
	}{
		{"100 a second, quick answers", BucketConfig{Calls: 100, Per: time.Second}, 2 * time.Millisecond},
		{"100 a second, slow answers", BucketConfig{Calls: 100, Per: time.Second}, 400 * time.Millisecond},
		{"25 a second", BucketConfig{Calls: 25, Per: time.Second}, 50 * time.Millisecond},
		{"3 a second", BucketConfig{Calls: 3, Per: time.Second, Wait: 500 * time.Millisecond}, 20 * time.Millisecond},
		{"3,000 a minute", BucketConfig{Calls: 3000, Per: time.Minute}, 80 * time.Millisecond},
		{"1 a second", BucketConfig{Calls: 1, Per: time.Second}, 5 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			staysUnder(t, test.limit, test.latency)
		})
	}
}

// staysUnder pushes three times the limit and holds what arrived against it.
func staysUnder(t *testing.T, limit BucketConfig, latency time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := NewBucket(limit)
		heldUnder(t, limit, latency, func() (*Bucket, func()) { return b, func() {} })
	})
}

func heldUnder(t *testing.T, limit BucketConfig, latency time.Duration, hold func() (*Bucket, func())) {
	t.Helper()
	windows := scaled(6, 60)
	long := time.Duration(windows) * limit.Per
	seen, refused := push(t, hold, 3*limit.Calls/limit.Per.Seconds(), long, latency)
	calls := int(limit.Calls)
	if got := seen.most(limit.Per); got > calls {
		t.Errorf("a window counts %d calls, the limit is %d", got, calls)
	}
	if used := float64(len(seen.at)) / float64(windows*calls); used < 0.9 {
		t.Errorf("%.1f %% of the limit is used", 100*used)
	}
	if refused == 0 {
		t.Error("nothing was refused; the test does not push")
	}
}

func TestBucketBoundsFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBucket(BucketConfig{InFlight: 5, Wait: 100 * time.Millisecond})
		var flying, most, served atomic.Int64
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				g, err := b.take(t.Context())
				if err != nil {
					return
				}
				defer g.done()
				g.sent()
				if n := flying.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(30 * time.Millisecond)
				flying.Add(-1)
				served.Add(1)
			})
		}
		wg.Wait()
		if most.Load() != 5 || served.Load() != 20 { // at 0, 30, 60 and 90 ms
			t.Errorf("%d at once, %d served; want 5 and 20", most.Load(), served.Load())
		}
	})
}

func TestBucketQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBucket(BucketConfig{Calls: 1, Per: 10 * time.Second, Wait: 2 * time.Second, Queue: 2})
		first, err := b.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first.sent()
		began := time.Now()
		var waited []time.Duration
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				_, err := b.take(t.Context())
				if problem.From(err).Code != problem.UpstreamThrottled {
					t.Errorf("got %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				waited = append(waited, time.Since(began))
			})
		}
		wg.Wait()
		sort.Slice(waited, func(i, j int) bool { return waited[i] < waited[j] })
		if waited[1] != 0 || waited[2] != 2*time.Second || waited[3] != 2*time.Second {
			t.Errorf("waits %v, want two refused at once and two after Wait", waited)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.take(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		first.done()
		began = time.Now()
		_, err = b.take(t.Context())
		if took := time.Since(began); took != 0 {
			t.Errorf("waited %s for what cannot come in time", took)
		}
		if got := problem.From(err).RetryAfter; got < 5*time.Second || got > 9*time.Second {
			t.Errorf("RetryAfter %s, want what is left of the window", got)
		}
		time.Sleep(11 * time.Second)
		if _, err := b.take(t.Context()); err != nil {
			t.Errorf("after the window: %v", err)
		}
	})
}

// What was never sent does not count.
func TestBucketGivesBackTheUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBucket(BucketConfig{Calls: 1, Per: time.Hour})
		for range 50 {
			g, err := b.take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			g.done()
			g.done() // twice is once
		}
		if b.counted != 0 || b.unsent != 0 || b.flying != 0 {
			t.Errorf("counted %d, unsent %d, flying %d", b.counted, b.unsent, b.flying)
		}
	})
}

func TestBucketHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBucket(BucketConfig{Calls: 100, Per: time.Second, Wait: 5 * time.Second})
		b.Hold(3 * time.Second)
		began := time.Now()
		g, err := b.take(t.Context())
		if err != nil || time.Since(began) < 3*time.Second {
			t.Fatalf("granted after %s: %v", time.Since(began), err)
		}
		g.done()
		b.Hold(time.Hour)
		if _, err := b.take(t.Context()); problem.From(err).RetryAfter > time.Minute {
			t.Errorf("a provider can hold us for %s", problem.From(err).RetryAfter)
		}
	})
}

func TestBucketOfPartsOfACall(t *testing.T) {
	b := NewBucket(BucketConfig{Calls: 0.5, Per: time.Second})
	if b.limit != 1 || b.window != 2*time.Second {
		t.Errorf("half a call a second: %d per %s", b.limit, b.window)
	}
	if b := NewBucket(BucketConfig{}); b.limit != 0 || b.inFlight != 0 {
		t.Error("the empty bucket limits something")
	}
}

// The same over the real wire, with a provider that enforces its limit. A Bucket takes a
// request to have arrived 8 % of the window after it was written; a machine that is busy
// with something else can delay one by more. The run then says nothing about the Bucket,
// and is made again.
func TestLimitOverTheWire(t *testing.T) {
	const limit, window, windows, tries = 120, 2 * time.Second, 2, 6
	for try := 1; ; try++ {
		most, arrived, refused, late := pushOverTheWire(t, limit, window, windows)
		quiet := late < time.Duration(0.08*float64(window))
		switch {
		case most > limit && quiet:
			t.Fatalf("a window counts %d calls, the limit is %d, and no request was later than %s", most, limit, late)
		case most <= limit && arrived >= limit*windows*9/10 && refused > 0:
			return
		case try == tries:
			t.Fatalf("after %d tries: at most %d calls in a window of %d, %d arrived of %d allowed, %d refused, latest %s",
				try, most, limit, arrived, limit*windows, refused, late)
		}
	}
}

// pushOverTheWire pushes three times the limit and returns the most calls that any window
// counted, how many arrived and were refused, and how late the latest arrived after it was
// about to be written.
func pushOverTheWire(t *testing.T, limit int, window time.Duration, windows int) (most, arrived int, refused int64, late time.Duration) {
	t.Helper()
	var seen arrivals
	var sent sync.Map // path → time of the intent
	var latest atomic.Int64
	u := handling(t, func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		seen.add(now)
		if at, ok := sent.Load(r.URL.Path); ok {
			for d := int64(now.Sub(at.(time.Time))); ; {
				if was := latest.Load(); d <= was || latest.CompareAndSwap(was, d) {
					break
				}
			}
		}
	})
	h := to(t, u, nil)
	b := NewBucket(BucketConfig{Calls: float64(limit), Per: window, Wait: 300 * time.Millisecond})
	var throttled atomic.Int64
	var wg sync.WaitGroup
	n := 0
	for began := time.Now(); time.Since(began) < time.Duration(windows)*window; time.Sleep(window / time.Duration(3*limit)) {
		n++
		path := "/" + strconv.Itoa(n)
		wg.Go(func() {
			call := get(path)
			call.Buckets = []*Bucket{b}
			call.Intent = func(context.Context, int) error { sent.Store(path, time.Now()); return nil }
			if _, err := h.Do(t.Context(), call); err != nil {
				if problem.From(err).Code != problem.UpstreamThrottled {
					t.Error(err)
				}
				throttled.Add(1)
			}
		})
	}
	wg.Wait()
	return seen.most(window), len(seen.at), throttled.Load(), time.Duration(latest.Load())
}
