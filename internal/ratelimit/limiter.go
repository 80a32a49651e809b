package ratelimit

import (
	"context"
	"hash/maphash"
	"time"

	"sallyport/internal/problem"
)

// Decision is what the limiter says. The zero Decision refuses.
type Decision struct {
	Allowed bool
	// Rule and Level are the rule that decided: the one that makes the caller wait
	// longest, or, where all allow, the one with the fewest calls left.
	Rule  Rule
	Level Level
	// Limit is the rule's burst; Remaining is how many calls would pass right now.
	Limit     int
	Remaining int
	// RetryAfter is how long to wait until a call passes; 0 where it was allowed.
	RetryAfter time.Duration
	// ResetAfter is how long until the whole burst is back.
	ResetAfter time.Duration
}

// Limiter counts in this process. It is safe for concurrent use, never blocks on anything
// but its own short locks and never fails: its errors are always nil, and are there for
// what counts elsewhere (store/redis). The zero Limiter is not usable; see New.
type Limiter struct {
	seeds [2]maphash.Seed
	start time.Time
	table *table
}

// DefaultEntries is the table size that New takes for 0: about 3 MiB.
const DefaultEntries = 1 << 17

// New makes a limiter that remembers about entries counts at once, in a table that is
// allocated now and never grows. 0 means DefaultEntries.
func New(entries int) *Limiter {
	if entries <= 0 {
		entries = DefaultEntries
	}
	return &Limiter{
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		start: time.Now(),
		table: newTable(entries),
	}
}

// since is now on the limiter's own scale. Where now carries a monotonic reading, a
// step of the wall clock does not matter.
func (l *Limiter) since(now time.Time) int64 { return int64(now.Sub(l.start)) }

// Allow asks one rule for one key and takes a call from it if it allows.
func (l *Limiter) Allow(now time.Time, key Key, r Rule) Decision {
	t := l.since(now)
	stripe := l.table.lock(key)
	defer stripe.Unlock()
	next, d := judge(t, l.table.find(key), r)
	if d.Allowed {
		l.table.put(key, next, t)
	} else {
		l.settle(key, r, t)
	}
	return d
}

// settle writes down that a debt was capped at one window, so that a step of the clock
// back is paid for by one window of waiting and not by the whole step.
func (l *Limiter) settle(key Key, r Rule, t int64) {
	if r.passesNothing() {
		return
	}
	if most := t + r.interval()*int64(r.Calls); l.table.find(key) > most {
		l.table.put(key, most, t)
	}
}

// Peek decides about one check like AllowAll and takes nothing.
func (l *Limiter) Peek(_ context.Context, now time.Time, c Check) (Decision, error) {
	t := l.since(now)
	stripe := l.table.lock(c.Key)
	defer stripe.Unlock()
	_, d := judge(t, l.table.find(c.Key), c.Rule)
	d.Level = c.Level
	return d, nil
}

// AllowAll asks all checks at once and takes a call from each, or from none if one
// refuses. Without checks it allows: nothing limits the call.
func (l *Limiter) AllowAll(_ context.Context, now time.Time, checks []Check) (Decision, error) {
	if len(checks) == 0 {
		return Decision{Allowed: true}, nil
	}
	t := l.since(now)
	held := l.table.lockAll(checks)
	defer l.table.unlockAll(&held)
	var buf [16]int64
	next := buf[:0]
	var worst Decision
	for i, c := range checks {
		n, d := judge(t, l.current(checks[:i], next, c.Key), c.Rule)
		d.Level = c.Level
		next = append(next, n)
		if i == 0 || d.Stricter(worst) {
			worst = d
		}
	}
	if !worst.Allowed {
		for _, c := range checks {
			l.settle(c.Key, c.Rule, t)
		}
		return worst, nil
	}
	for i, c := range checks {
		l.table.put(c.Key, next[i], t)
	}
	return worst, nil
}

// current is the state of key, counting what earlier checks of the same call take.
func (l *Limiter) current(before []Check, next []int64, key Key) int64 {
	for j := len(before) - 1; j >= 0; j-- {
		if before[j].Key == key {
			return next[j]
		}
	}
	return l.table.find(key)
}

// Stricter orders decisions: refusals first, then the longer wait, then fewer left.
func (d Decision) Stricter(than Decision) bool {
	switch {
	case d.Allowed != than.Allowed:
		return !d.Allowed
	case !d.Allowed:
		return d.RetryAfter > than.RetryAfter
	}
	return d.Remaining < than.Remaining
}

// judge is GCRA (ITU-T I.371): tat is when the key's debt is paid, in nanoseconds on
// the limiter's scale. It returns the new tat if the call passes. A debt is at most one
// window: more can only come from a step of the clock or from the debt of another
// key's longer rule, and a whole window of waiting is all this rule ever asks.
func judge(now, tat int64, r Rule) (next int64, d Decision) {
	d = Decision{Rule: r, Limit: max(r.Calls, 0)}
	if r.passesNothing() {
		d.RetryAfter, d.ResetAfter = r.Window, r.Window
		return tat, d
	}
	cost := r.interval()
	burst := cost * int64(r.Calls)
	tat = min(max(tat, now), now+burst)
	next = tat + cost
	if wait := next - now - burst; wait > 0 {
		d.RetryAfter, d.ResetAfter = time.Duration(wait), time.Duration(tat-now)
		return tat, d
	}
	d.Allowed = true
	d.Remaining = int((burst - (next - now)) / cost)
	d.ResetAfter = time.Duration(next - now)
	return next, d
}

// Problem is the refusal as the caller sees it, or nil where d allows.
func (d Decision) Problem() error {
	if d.Allowed {
		return nil
	}
	p := problem.New(problem.RateLimited, "the limit is %s", d.Rule).
		WithHint("wait as long as Retry-After says, then repeat the call")
	p.RetryAfter = max(d.RetryAfter, time.Second)
	return p
}
