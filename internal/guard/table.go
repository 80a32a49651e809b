package guard

import (
	"sync"
	"time"
)

// table remembers a fixed number of things by a keyed hash. A full set forgets what was
// written longest ago; who reads a table decides what it means that something is not there.
type table[V any] struct {
	mu   sync.Mutex
	sets [][4]slot[V]
}

type slot[V any] struct {
	key uint64
	at  int64 // of the last put, in nanoseconds since 1970; 0: empty
	v   V
}

func newTable[V any](entries int) *table[V] { return &table[V]{sets: make([][4]slot[V], entries/4)} }

func (t *table[V]) set(key uint64) *[4]slot[V] { return &t.sets[key%uint64(len(t.sets))] }

// find gives what was put for key within age; t.mu is held.
func (t *table[V]) find(key uint64, now time.Time, age time.Duration) (v V, ok bool) {
	if at := t.see(key, now, age); at != nil {
		return *at, true
	}
	return v, false
}

// see is find without a copy, or nil: it may be looked at while t.mu is held.
func (t *table[V]) see(key uint64, now time.Time, age time.Duration) *V {
	set := t.set(key)
	for i := range set {
		if s := &set[i]; s.key == key && s.at != 0 && now.UnixNano()-s.at < int64(age) {
			return &s.v
		}
	}
	return nil
}

// put keeps v for key; t.mu is held.
func (t *table[V]) put(key uint64, now time.Time, v V) { *t.make(key, now) = v }

// make is the place of key, to be written while t.mu is held: what was put there before, or
// the zero V.
func (t *table[V]) make(key uint64, now time.Time) *V {
	set := t.set(key)
	into := &set[0]
	for i := range set {
		s := &set[i]
		if s.key == key && s.at != 0 {
			s.at = now.UnixNano()
			return &s.v
		}
		if s.at < into.at {
			into = s
		}
	}
	*into = slot[V]{key: key, at: now.UnixNano()}
	return &into.v
}

// drop forgets key; t.mu is held.
func (t *table[V]) drop(key uint64) {
	set := t.set(key)
	for i := range set {
		if set[i].key == key {
			set[i] = slot[V]{}
		}
	}
}

// tally counts good and bad outcomes over one to two windows.
type tally struct {
	window    int64 // number of the present window
	good, bad [2]int
}

func (t *tally) turn(now time.Time, window time.Duration) {
	at := now.UnixNano() / int64(max(window, time.Second))
	switch {
	case at == t.window:
		return
	case at == t.window+1:
		t.good[1], t.bad[1] = t.good[0], t.bad[0]
	default:
		t.good[1], t.bad[1] = 0, 0
	}
	t.window, t.good[0], t.bad[0] = at, 0, 0
}

func (t *tally) add(now time.Time, window time.Duration, bad bool) {
	t.turn(now, window)
	if bad {
		t.bad[0]++
	} else {
		t.good[0]++
	}
}

func (t *tally) sum(now time.Time, window time.Duration) (good, bad int) {
	t.turn(now, window)
	return t.good[0] + t.good[1], t.bad[0] + t.bad[1]
}
