package outbound

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/problem"
)

// A storm of 503s: the provider sees at most 1.1 times what the callers asked for,
// with the breaker far less, and not more than one probe a second.
func TestStorm(t *testing.T) {
	calls := scaled(400, 20000)
	u, n := scripted(t, step{status: 503})
	storm := func(h *Host) (refusals int64) {
		var refused atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range calls / 8 {
					if _, err := h.Do(t.Context(), get("/")); err != nil {
						if problem.From(err).Code == problem.UpstreamUnavailable {
							refused.Add(1)
						} else {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		return refused.Load()
	}
	never := func(c *HostConfig) { quick(nil)(c); c.Breaker.Least = 1 << 30 }
	storm(to(t, u, never))
	if got := n.Load(); got < int64(calls) || got > int64(calls*11/10) {
		t.Errorf("budget alone: the provider saw %d requests for %d calls", got, calls)
	}
	n.Store(0)
	began := time.Now()
	refused := storm(to(t, u, quick(nil)))
	if got, most := n.Load(), int64(40+time.Since(began)/time.Second); got > most || refused < int64(calls)-most {
		t.Errorf("with the breaker: the provider saw %d requests (at most %d), %d calls were held back", got, most, refused)
	}
}

// After a failing provider is well again, calls pass within a probe's time.
func TestRecovery(t *testing.T) {
	var well atomic.Bool
	u := handling(t, func(w http.ResponseWriter, r *http.Request) {
		if !well.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	h := to(t, u, func(c *HostConfig) { c.Breaker = Breaker{Least: 5, Probe: 500 * time.Millisecond} })
	for range 20 {
		_, _ = h.Do(t.Context(), get("/"))
	}
	if _, err := h.Do(t.Context(), get("/")); problem.From(err) == nil || problem.From(err).Code != problem.UpstreamUnavailable || problem.From(err).RetryAfter < time.Second {
		t.Fatalf("a failing host answered %v", err)
	}
	if h.HeldBack() <= 0 {
		t.Error("HeldBack says that the host is well")
	}
	well.Store(true)
	time.Sleep(600 * time.Millisecond)
	for range 20 {
		if _, err := h.Do(t.Context(), get("/")); err != nil {
			t.Fatal(err)
		}
	}
}

// A panic in a caller's function during the probe does not hold the host for ever.
func TestPanicSettlesTheProbe(t *testing.T) {
	u, _ := scripted(t, step{status: 200})
	h := to(t, u, func(c *HostConfig) { c.Breaker.Probe = 100 * time.Millisecond })
	h.breaker.circuit.HalfOpen()
	call := get("/")
	call.Judge = func(int, http.Header, []byte) Verdict { panic("a bug") }
	func() {
		defer func() { _ = recover() }()
		_, _ = h.Do(t.Context(), call)
	}()
	if h.HeldBack() <= 0 {
		t.Error("the probe was not settled as a failure")
	}
	time.Sleep(150 * time.Millisecond)
	if _, err := h.Do(t.Context(), get("/")); err != nil {
		t.Error(err)
	}
}

// One host hangs at full concurrency: its callers get an answer in time, and
// another host is as fast as ever.
func TestHangingHostIsContained(t *testing.T) {
	release := make(chan struct{})
	hung := handling(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(release) })
	fine, _ := scripted(t, step{status: 200})
	h := to(t, hung, func(c *HostConfig) {
		c.Capacity = Capacity{Concurrent: 4, Queue: 4, Wait: 20 * time.Millisecond}
		c.Timeouts.Header = time.Second
	})
	other := to(t, fine, nil)
	var overloaded, timedOut atomic.Int64
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			switch _, err := h.Do(t.Context(), get("/")); problem.From(err).Code {
			case problem.Overloaded:
				overloaded.Add(1)
			case problem.UpstreamTimeout:
				timedOut.Add(1)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	for range 20 {
		if _, err := other.Do(t.Context(), get("/")); err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("20 calls of another host took %s", took)
	}
	wg.Wait()
	if timedOut.Load() < 4 || overloaded.Load() < 20 || timedOut.Load()+overloaded.Load() != 40 {
		t.Errorf("%d overloaded, %d timed out; want about 36 and 4", overloaded.Load(), timedOut.Load())
	}
}
