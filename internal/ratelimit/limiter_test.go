package ratelimit

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"sallyport/internal/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// all is AllowAll of a limiter in memory, which has no error to tell.
func all(l *Limiter, now time.Time, checks []Check) Decision {
	d, err := l.AllowAll(context.Background(), now, checks)
	if err != nil {
		panic(err)
	}
	return d
}

func visit(id string) *Subject {
	return &Subject{Site: "shop", Connection: "payments", Operation: "create-payment-intent", Session: id,
		Client: netip.MustParseAddr("203.0.113.7")}
}

func TestBurstThenSteady(t *testing.T) {
	l, r := New(64), Rule{Calls: 10, Window: time.Minute, Per: PerSession}
	k := l.Key(AtOperation, r, visit("a"))
	for i := range 10 {
		d := l.Allow(noon, k, r)
		if !d.Allowed || d.Remaining != 9-i || d.Limit != 10 || d.ResetAfter != time.Duration(i+1)*6*time.Second || d.RetryAfter != 0 {
			t.Fatalf("call %d: %+v", i, d)
		}
	}
	for range 3 { // refusals cost nothing
		if d := l.Allow(noon, k, r); d.Allowed || d.RetryAfter != 6*time.Second || d.ResetAfter != time.Minute || d.Remaining != 0 {
			t.Fatalf("over the burst: %+v", d)
		}
	}
	if l.Allow(noon.Add(6*time.Second-1), k, r).Allowed {
		t.Error("a nanosecond early, and it passed")
	}
	if !l.Allow(noon.Add(6*time.Second), k, r).Allowed {
		t.Error("waited as long as it was told, and it was refused")
	}
	if d := l.Allow(noon.Add(time.Hour), k, r); d.Remaining != 9 {
		t.Errorf("after an hour: %+v; want the whole burst", d)
	}
}

func TestZeroRuleAndZeroDecisionRefuse(t *testing.T) {
	l := New(64)
	for _, r := range []Rule{{}, {Calls: 1}, {Window: time.Minute}, {Calls: -1, Window: time.Minute}, {Calls: 1, Window: -1}} {
		if l.Allow(noon, l.Key(AtSite, r, visit("a")), r).Allowed {
			t.Errorf("%+v let a call pass", r)
		}
	}
	if (Decision{}).Allowed || (Decision{}).Problem() == nil {
		t.Error("the zero decision allows")
	}
	if d := all(l, noon, nil); !d.Allowed || d.Problem() != nil {
		t.Error("without rules a call is limited")
	}
}

// TestNeverMoreThanTheRule throws calls of random keys at random times into a table that
// is much too small, and holds every key to the bound: in any span d at most
// Calls + d/interval calls.
func TestNeverMoreThanTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rule{Calls: rapid.IntRange(1, 7).Draw(t, "calls"), Window: time.Duration(rapid.IntRange(1, 1000).Draw(t, "window")), Per: PerSession}
		other := Rule{Calls: 1, Window: 100 * r.Window, Per: PerSession}
		l := New(rapid.SampledFrom([]int{1, 8, 16, 4096}).Draw(t, "entries"))
		passed := map[int][]int64{}
		now := int64(0)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			now += int64(rapid.IntRange(0, 60).Draw(t, "later"))
			id, rule := rapid.IntRange(0, 30).Draw(t, "key"), r
			if rapid.IntRange(0, 3).Draw(t, "which rule") == 0 {
				rule = other
			}
			if !l.Allow(noon.Add(time.Duration(now)), l.Key(AtSite, rule, visit(fmt.Sprint(id))), rule).Allowed {
				continue
			}
			if rule == other {
				id += 1000
			}
			passed[id] = append(passed[id], now)
			bound(t, rule, passed[id])
		}
	})
}

// bound checks every span that ends with the last call.
func bound(t *rapid.T, r Rule, at []int64) {
	last := at[len(at)-1]
	for i, from := range at {
		if got, most := len(at)-i, r.Calls+int((last-from)/r.interval()); got > most {
			t.Fatalf("%d calls of %s passed within %d ns; at most %d may", got, r, last-from, most)
		}
	}
}

// TestUndisturbedKeysGetAllOfTheRule is the other side: a limiter that refused
// everything would pass the test above.
func TestUndisturbedKeysGetAllOfTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rule{Calls: rapid.IntRange(1, 20).Draw(t, "calls"), Window: time.Duration(rapid.IntRange(1, 1e9).Draw(t, "window")), Per: PerSession}
		l, now := New(1<<10), noon
		k := l.Key(AtSite, r, visit("a"))
		for range r.Calls {
			if !l.Allow(now, k, r).Allowed {
				t.Fatal("refused within the burst")
			}
		}
		for range 20 {
			d := l.Allow(now, k, r)
			if d.Allowed {
				t.Fatal("more than the burst")
			}
			now = now.Add(d.RetryAfter)
			if !l.Allow(now, k, r).Allowed {
				t.Fatalf("refused after waiting for %s", d.RetryAfter)
			}
		}
	})
}

// TestPushingOutBuysNothing drains a key, pushes it out with a flood, and asks again.
func TestPushingOutBuysNothing(t *testing.T) {
	for _, entries := range []int{1, 8, 64, 512} {
		l, r := New(entries), Rule{Calls: 5, Window: time.Minute, Per: PerSession}
		k := l.Key(AtSite, r, visit("target"))
		got := 0
		for round := range 200 {
			for l.Allow(noon, k, r).Allowed {
				got++
			}
			for i := range 50 {
				l.Allow(noon, l.Key(AtSite, r, visit(fmt.Sprint(round, i))), r)
			}
		}
		if got > 5 || entries == 512 && got != 5 {
			t.Errorf("%d entries: %d calls passed at one moment, want 5", entries, got)
		}
	}
}

// TestFloodPasses shows that a flood that stops is forgotten: newcomers get through again.
func TestFloodPasses(t *testing.T) {
	l, r := New(64), Rule{Calls: 5, Window: time.Minute, Per: PerSession}
	for i := range 10_000 {
		l.Allow(noon, l.Key(AtSite, r, visit(fmt.Sprint(i))), r)
	}
	fresh := l.Key(AtSite, r, visit("fresh"))
	later := noon.Add(time.Minute)
	for i := range 5 {
		if !l.Allow(later, fresh, r).Allowed {
			t.Fatalf("a minute after the flood, call %d of 5 was refused", i)
		}
	}
}

func TestClockSteps(t *testing.T) {
	l, r := New(64), Rule{Calls: 3, Window: time.Minute, Per: PerSession}
	k := l.Key(AtSite, r, visit("a"))
	for range 3 {
		l.Allow(noon.Add(24*time.Hour), k, r)
	}
	d := l.Allow(noon, k, r) // the clock went back a day
	if d.Allowed || d.RetryAfter > r.Window {
		t.Errorf("after a step back: %+v; want a wait of at most one window", d)
	}
	if !l.Allow(noon.Add(r.Window), k, r).Allowed {
		t.Error("a window after the step it is still refused")
	}
}

func TestAllOrNothing(t *testing.T) {
	l := New(1 << 10)
	wide, narrow := Rule{Calls: 100, Window: time.Minute, Per: PerSite}, Rule{Calls: 2, Window: time.Minute, Per: PerSession}
	checks := []Check{l.Check(AtSite, wide, visit("a")), l.Check(AtOperation, narrow, visit("a"))}
	for i := range 10 {
		d := all(l, noon, checks)
		if d.Allowed != (i < 2) || d.Rule != narrow || d.Level != AtOperation {
			t.Fatalf("call %d: %+v", i, d)
		}
	}
	if d, _ := l.Peek(t.Context(), noon, checks[0]); d.Remaining != 97 {
		t.Errorf("the wide rule has %d left after a look; want 97: refused calls took from it", d.Remaining)
	}
	twice := []Check{l.Check(AtSite, narrow, visit("b")), l.Check(AtSite, narrow, visit("b"))}
	if !all(l, noon, twice).Allowed || all(l, noon, twice).Allowed {
		t.Error("a rule that stands twice must take twice")
	}
}

func TestManyChecks(t *testing.T) {
	l := New(1 << 12)
	var checks []Check
	for i := range 40 {
		checks = append(checks, l.Check(AtSite, Rule{Calls: 3 + i, Window: time.Minute, Per: PerSession}, visit("a")))
	}
	passed := 0
	for all(l, noon, checks).Allowed {
		passed++
	}
	if passed != 3 {
		t.Errorf("%d passed 40 rules of which the strictest allows 3", passed)
	}
}

// TestExactlyTheBurst lets 8 goroutines make 100 calls each at one moment.
func TestExactlyTheBurst(t *testing.T) {
	for name, ask := range map[string]func(*Limiter, Rule, int) bool{
		"one rule": func(l *Limiter, r Rule, _ int) bool {
			return l.Allow(noon, l.Key(AtSite, r, visit("a")), r).Allowed
		},
		"with a rule of its own each": func(l *Limiter, r Rule, w int) bool {
			own := Rule{Calls: 100, Window: time.Hour, Per: PerSession}
			checks := []Check{l.Check(AtOperation, own, visit(fmt.Sprint("own", w))), l.Check(AtSite, r, visit("a"))}
			return all(l, noon, checks).Allowed
		},
	} {
		l, r := New(1<<10), Rule{Calls: 37, Window: time.Minute, Per: PerSession}
		var passed atomic.Int64
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for range 100 {
					if ask(l, r, w) {
						passed.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if passed.Load() != 37 {
			t.Errorf("%s: %d of 800 calls passed, want 37", name, passed.Load())
		}
	}
}

func TestProblem(t *testing.T) {
	l, r := New(64), Rule{Calls: 1, Window: time.Minute, Per: PerSession}
	k := l.Key(AtSite, r, visit("a"))
	if p := l.Allow(noon, k, r).Problem(); p != nil {
		t.Errorf("an allowed call has the problem %v", p)
	}
	p := problem.From(l.Allow(noon, k, r).Problem())
	if p.Code != problem.RateLimited || p.RetryAfterSeconds() != 60 || p.Detail != "the limit is 1 per minute per session" {
		t.Errorf("problem: %+v", p)
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	l, r, s := New(1<<10), Rule{Calls: 1e6, Window: time.Second, Per: PerSession}, visit("a")
	checks := make([]Check, 0, 8)
	n := testing.AllocsPerRun(1000, func() {
		checks = l.Append(checks[:0], AtOperation, []Rule{r, {Calls: 1e6, Window: time.Second, Per: PerPrefix}}, s)
		if !all(l, noon, checks).Allowed || !l.Allow(noon, checks[0].Key, r).Allowed {
			t.Fatal("refused")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a call, want 0", n)
	}
}

func BenchmarkAllowKnownKey(b *testing.B) {
	l, r := New(0), Rule{Calls: 1e6, Window: time.Second, Per: PerSession}
	k := l.Key(AtSite, r, visit("a"))
	b.ReportAllocs()
	for b.Loop() {
		l.Allow(noon, k, r)
	}
}

func BenchmarkAllowAllFourRules(b *testing.B) {
	l, s := New(0), visit("a")
	rules := []Rule{{1e6, time.Second, PerSession}, {1e6, time.Second, PerPrefix}, {1e6, time.Second, PerOperation}, {1e6, time.Second, PerSite}}
	checks := make([]Check, 0, 8)
	b.ReportAllocs()
	ctx := b.Context()
	for b.Loop() {
		checks = l.Append(checks[:0], AtOperation, rules, s)
		_, _ = l.AllowAll(ctx, noon, checks)
	}
}
