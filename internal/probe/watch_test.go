package probe_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/probe"
)

// shared is the store of several nodes, in memory: a claim is granted to one.
type shared struct {
	mu   sync.Mutex
	rows map[probe.Target]probe.Result
	held map[probe.Target]time.Time
}

func (s *shared) ClaimProbe(_ context.Context, c probe.Claim) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := probe.Target{Site: c.Site, Connection: c.Connection}
	if s.rows[t].At.After(c.Before) || s.held[t].After(c.Now) {
		return false, nil
	}
	s.held[t] = c.Now.Add(c.For)
	return true, nil
}

func (s *shared) SaveProbe(_ context.Context, r probe.Result) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := probe.Target{Site: r.Site, Connection: r.Connection}
	s.rows[t] = r
	delete(s.held, t)
	return nil
}

func (s *shared) ListProbes(context.Context) ([]probe.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []probe.Result
	for _, r := range s.rows {
		out = append(out, r)
	}
	return out, nil
}

// TestSchedule runs three nodes over one store for days: a working credential is asked about once
// a day by one of them, a broken one about once an hour, and each change is told once.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shared{rows: map[probe.Target]probe.Result{}, held: map[probe.Target]time.Time{}}
		var mu sync.Mutex
		finding, every := probe.Works, 24*time.Hour
		asked, busy, alerts := 0, 0, []string{}
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 {
			w := &probe.Watch{Store: store, Now: time.Now, Log: slog.New(slog.DiscardHandler),
				Every:   func() time.Duration { mu.Lock(); defer mu.Unlock(); return every },
				Targets: func() []probe.Target { return []probe.Target{{Site: "shop", Connection: "payments"}} },
				Ask: func(context.Context, probe.Target) (probe.Finding, string) {
					mu.Lock()
					asked++
					if busy++; busy > 1 {
						t.Error("two nodes ask at once")
					}
					mu.Unlock()
					time.Sleep(20 * time.Second)
					mu.Lock()
					defer mu.Unlock()
					busy--
					return finding, ""
				},
				Alert: func(_ context.Context, r probe.Result) {
					mu.Lock()
					defer mu.Unlock()
					alerts = append(alerts, fmt.Sprintf("%s since %t", r.Finding, r.Since.Equal(r.At)))
				}}
			go func() { _ = w.Run(ctx) }()
		}
		after := func(d time.Duration, now probe.Finding) (n int) {
			mu.Lock()
			finding, asked = now, 0
			mu.Unlock()
			time.Sleep(d)
			mu.Lock()
			defer mu.Unlock()
			return asked
		}
		if n := after(10*24*time.Hour, probe.Works); n < 9 || n > 12 || len(alerts) != 0 {
			t.Errorf("in ten days asked %d times, alerts %q", n, alerts)
		}
		if n := after(48*time.Hour, probe.Refused); n < 18 || n > 56 || len(alerts) != 1 || alerts[0] != "refused since true" {
			t.Errorf("broken for two days: asked %d times, alerts %q", n, alerts)
		}
		if n := after(4*time.Hour, probe.Works); n != 1 || len(alerts) != 2 || alerts[1] != "works since true" {
			t.Errorf("mended: asked %d times, alerts %q", n, alerts)
		}
		mu.Lock()
		every = 0
		mu.Unlock()
		if n := after(72*time.Hour, probe.Refused); n != 0 {
			t.Errorf("with the schedule off it was asked %d times", n)
		}
		cancel()
	})
}
