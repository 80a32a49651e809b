// Package ratelimittest holds whatever counts limits to what ratelimit promises: the limiter
// in memory and the one that nodes share (store/redis) alike. It runs by the real clock,
// because the shared one has no other.
package ratelimittest

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/ratelimit"
)

// Limiter is what egress and session count with.
type Limiter interface {
	Check(level ratelimit.Level, r ratelimit.Rule, s *ratelimit.Subject) ratelimit.Check
	AllowAll(ctx context.Context, now time.Time, checks []ratelimit.Check) (ratelimit.Decision, error)
	Peek(ctx context.Context, now time.Time, c ratelimit.Check) (ratelimit.Decision, error)
}

// Run holds limiters to the promises. open makes two that share their counts, as two nodes
// do (in memory they are one), and that have counted nothing yet.
func Run(t *testing.T, open func(t *testing.T) (a, b Limiter)) {
	for name, test := range map[string]func(*testing.T, Limiter, Limiter){
		"parallel callers get exactly the burst":  burst,
		"several checks are taken or none":        allOrNone,
		"who waits as told passes":                retryAfter,
		"one check twice takes two":               twice,
		"peek takes nothing":                      peek,
		"no rule allows, an empty rule refuses":   empty,
		"huge and tiny rules are exact":           extremes,
		"every count is its own":                  apart,
		"another window is another count":         window,
		"the steady rate is the rule's":           steady,
		"the decision names the strictest check":  strictest,
		"what was refused is not owed":            refusals,
		"callers without an address share a rule": nobody,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := open(t)
			test(t, a, b)
		})
	}
}

func subject(session string) *ratelimit.Subject {
	return &ratelimit.Subject{Site: "shop", Connection: "payments", Operation: "create-payment-intent", Session: session,
		Client: netip.MustParseAddr("203.0.113.7")}
}

func per(calls int, w time.Duration) ratelimit.Rule {
	return ratelimit.Rule{Calls: calls, Window: w, Per: ratelimit.PerSession}
}

func allow(t *testing.T, l Limiter, checks ...ratelimit.Check) ratelimit.Decision {
	t.Helper()
	d, err := l.AllowAll(t.Context(), time.Now(), checks)
	if err != nil {
		t.Fatal(err)
	}
	if d.Allowed && d.RetryAfter != 0 || !d.Allowed && d.RetryAfter <= 0 {
		t.Fatalf("%+v: a wait belongs to a refusal and only there", d)
	}
	return d
}

func burst(t *testing.T, a, b Limiter) {
	const calls, callers = 37, 16
	rule := per(calls, time.Hour)
	var passed, refused atomic.Int64
	var work sync.WaitGroup
	for i := range callers {
		l := []Limiter{a, b}[i%2]
		work.Go(func() {
			for range 10 {
				if d, err := l.AllowAll(t.Context(), time.Now(), []ratelimit.Check{l.Check(ratelimit.AtOperation, rule, subject("x"))}); err != nil {
					t.Error(err)
				} else if d.Allowed {
					passed.Add(1)
				} else {
					refused.Add(1)
				}
			}
		})
	}
	work.Wait()
	if passed.Load() != calls || refused.Load() != callers*10-calls {
		t.Errorf("%d passed and %d were refused; of %d calls exactly %d pass", passed.Load(), refused.Load(), callers*10, calls)
	}
}

func allOrNone(t *testing.T, a, b Limiter) {
	wide, narrow := per(100, time.Hour), per(3, time.Hour)
	checks := []ratelimit.Check{a.Check(ratelimit.AtSite, wide, subject("x")), a.Check(ratelimit.AtOperation, narrow, subject("x"))}
	for i := range 20 {
		if d := allow(t, []Limiter{a, b}[i%2], checks...); d.Allowed != (i < 3) {
			t.Fatalf("call %d: %+v", i, d)
		}
	}
	if d := allow(t, b, checks[0]); d.Remaining != 96 {
		t.Errorf("after 3 calls that passed and 17 that did not, %d are left of 100, want 96", d.Remaining)
	}
}

func retryAfter(t *testing.T, a, b Limiter) {
	rule := per(4, 2*time.Second) // one each half second
	c := a.Check(ratelimit.AtOperation, rule, subject("x"))
	for range 4 {
		allow(t, a, c)
	}
	d := allow(t, b, c)
	if d.Allowed || d.RetryAfter > 500*time.Millisecond {
		t.Fatalf("the fifth call: %+v", d)
	}
	time.Sleep(d.RetryAfter / 3)
	if early := allow(t, b, c); early.Allowed || early.RetryAfter >= d.RetryAfter {
		t.Fatalf("after a third of the wait: %+v", early)
	}
	time.Sleep(d.RetryAfter)
	if late := allow(t, b, c); !late.Allowed {
		t.Errorf("it waited as long as it was told: %+v", late)
	}
}

func twice(t *testing.T, a, _ Limiter) {
	c := a.Check(ratelimit.AtOperation, per(3, time.Hour), subject("x"))
	if d := allow(t, a, c, c); !d.Allowed || d.Remaining != 1 {
		t.Fatalf("the first pair: %+v", d)
	}
	if d := allow(t, a, c, c); d.Allowed {
		t.Fatalf("the second pair needs two and one is left: %+v", d)
	}
	if d := allow(t, a, c); !d.Allowed || d.Remaining != 0 {
		t.Errorf("the one that is left: %+v", d)
	}
}

func peek(t *testing.T, a, b Limiter) {
	c := a.Check(ratelimit.AtOperation, per(2, time.Hour), subject("x"))
	for range 5 {
		if d, err := b.Peek(t.Context(), time.Now(), c); err != nil || !d.Allowed || d.Remaining != 1 {
			t.Fatalf("%+v, %v", d, err)
		}
	}
	allow(t, a, c)
	allow(t, a, c)
	if d, err := b.Peek(t.Context(), time.Now(), c); err != nil || d.Allowed || d.RetryAfter <= 0 || d.Rule != c.Rule || d.Level != c.Level {
		t.Errorf("after the burst: %+v, %v", d, err)
	}
}

func empty(t *testing.T, a, _ Limiter) {
	if d := allow(t, a); !d.Allowed {
		t.Error("nothing limits the call, and it was refused")
	}
	good := a.Check(ratelimit.AtSite, per(2, time.Hour), subject("x"))
	for _, r := range []ratelimit.Rule{{}, {Calls: 1}, {Window: time.Minute}, {Calls: -1, Window: time.Minute}} {
		for _, checks := range [][]ratelimit.Check{{{Rule: r}}, {good, {Rule: r}}} {
			if d, err := a.AllowAll(t.Context(), time.Now(), checks); err != nil || d.Allowed {
				t.Errorf("%+v let a call pass: %+v, %v", r, d, err)
			}
		}
	}
	if d := allow(t, a, good); d.Remaining != 1 {
		t.Errorf("calls that an empty rule refused were taken from another: %+v", d)
	}
}

func extremes(t *testing.T, a, b Limiter) {
	day := 24 * time.Hour
	for _, test := range []struct {
		rule ratelimit.Rule
		took int
	}{
		{per(1_000_000, 31*day), 5}, {per(999_983, 7*day), 5}, {per(1, 31*day), 1}, {per(7, 31*day), 7},
	} {
		c := a.Check(ratelimit.AtOperation, test.rule, subject("x"))
		for i := range test.took {
			d := allow(t, []Limiter{a, b}[i%2], c)
			if want := test.rule.Calls - 1 - i; !d.Allowed || d.Remaining != want {
				t.Errorf("%s: call %d: %+v; want %d left", test.rule, i, d, want)
			}
		}
		if test.took < test.rule.Calls {
			continue
		}
		one := time.Duration(test.rule.Interval())
		if d := allow(t, b, c); d.Allowed || d.RetryAfter > one || d.RetryAfter < one-5*time.Second {
			t.Errorf("%s: over the burst: %+v; one call costs %s", test.rule, d, one)
		}
	}
	fast := a.Check(ratelimit.AtOperation, per(1_000_000, time.Second), subject("x"))
	for range 50 {
		if d := allow(t, a, fast); !d.Allowed || d.Remaining < 999_900 {
			t.Fatalf("a million a second: %+v", d)
		}
	}
}

func apart(t *testing.T, a, b Limiter) {
	one := per(1, time.Hour)
	other := *subject("x")
	other.Site = "blog"
	keys := []ratelimit.Check{
		a.Check(ratelimit.AtOperation, one, subject("x")), a.Check(ratelimit.AtOperation, one, subject("y")),
		a.Check(ratelimit.AtSite, one, subject("x")), a.Check(ratelimit.AtOperation, one, &other),
		a.Check(ratelimit.AtOperation, ratelimit.Rule{Calls: 1, Window: time.Hour, Per: ratelimit.PerPrefix}, subject("x")),
	}
	for i, c := range keys {
		if d := allow(t, []Limiter{a, b}[i%2], c); !d.Allowed {
			t.Errorf("count %d was used up by another", i)
		}
	}
	for i, c := range keys {
		if d := allow(t, []Limiter{b, a}[i%2], c); d.Allowed {
			t.Errorf("count %d is not shared", i)
		}
	}
}

func window(t *testing.T, a, b Limiter) {
	for _, r := range []ratelimit.Rule{per(2, time.Hour), per(2, time.Minute), per(3, time.Hour)} {
		c := a.Check(ratelimit.AtOperation, r, subject("x"))
		for range r.Calls {
			if d := allow(t, a, c); !d.Allowed {
				t.Errorf("%s: %+v; the file changed, and the new rule begins anew", r, d)
			}
		}
		if d := allow(t, b, c); d.Allowed {
			t.Errorf("%s: more than the burst", r)
		}
	}
}

func steady(t *testing.T, a, b Limiter) {
	rule := per(20, 400*time.Millisecond) // one each 20 ms
	c := a.Check(ratelimit.AtOperation, rule, subject("x"))
	began, passed := time.Now(), 0
	for time.Since(began) < time.Second {
		for _, l := range []Limiter{a, b} {
			if allow(t, l, c).Allowed {
				passed++
			}
		}
		time.Sleep(time.Millisecond)
	}
	most := rule.Calls + int(time.Since(began)/(20*time.Millisecond)) + 1
	if passed > most || passed < most*8/10 {
		t.Errorf("%d calls passed in %s; want about %d and never more", passed, time.Since(began), most)
	}
}

func strictest(t *testing.T, a, _ Limiter) {
	wide, narrow := per(50, time.Hour), per(5, time.Minute)
	checks := []ratelimit.Check{a.Check(ratelimit.AtSite, wide, subject("x")), a.Check(ratelimit.AtConnection, narrow, subject("x")),
		a.Check(ratelimit.AtOperation, wide, subject("x"))}
	for i := range 7 {
		d := allow(t, a, checks...)
		if d.Rule != narrow || d.Level != ratelimit.AtConnection || d.Limit != 5 || d.Remaining != max(0, 4-i) || d.ResetAfter <= 0 || d.ResetAfter > time.Minute {
			t.Errorf("call %d: %+v; the narrow rule decides", i, d)
		}
	}
}

func refusals(t *testing.T, a, b Limiter) {
	rule := per(2, time.Second)
	c := a.Check(ratelimit.AtOperation, rule, subject("x"))
	for range 2 {
		allow(t, a, c)
	}
	for range 50 {
		allow(t, b, c)
	}
	if d := allow(t, a, c); d.RetryAfter > 500*time.Millisecond {
		t.Errorf("refused calls are owed too: wait %s", d.RetryAfter)
	}
}

func nobody(t *testing.T, a, b Limiter) {
	rule := ratelimit.Rule{Calls: 1, Window: time.Hour, Per: ratelimit.PerPrefix}
	unknown := &ratelimit.Subject{Site: "shop"}
	if d := allow(t, a, a.Check(ratelimit.AtSite, rule, unknown)); !d.Allowed {
		t.Errorf("the first: %+v", d)
	}
	if d := allow(t, b, b.Check(ratelimit.AtSite, rule, unknown)); d.Allowed {
		t.Error("two callers without an address have a count each")
	}
}
