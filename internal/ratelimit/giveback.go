package ratelimit

import "time"

// Return gives back what AllowAll took for checks, where the call was not made after all. A
// key that was pushed out meanwhile gets nothing back: its debt is part of others' by now.
func (l *Limiter) Return(now time.Time, checks []Check) {
	t := l.since(now)
	for _, c := range checks {
		if c.Rule.passesNothing() {
			continue
		}
		stripe := l.table.lock(c.Key)
		if tat := l.table.find(c.Key); l.table.has(c.Key) && tat > t {
			l.table.put(c.Key, max(tat-c.Rule.interval(), t), t)
		}
		stripe.Unlock()
	}
}

// has reports whether k has an entry of its own. The stripe is held.
func (t *table) has(k Key) bool {
	s := t.set(k)
	for w := range s.keys {
		if s.keys[w] == k {
			return true
		}
	}
	return false
}
