package ratelimit

import (
	"math"
	"math/bits"
	"sync"
)

// The table is a set-associative cache of debts: a key belongs to one set of `ways`
// entries, chosen by its seeded hash, so that a stranger cannot aim at a set. When a set
// is full, the smallest debt goes, and the set remembers it as its floor: every key that
// is not in the set is taken to owe at least the floor. A key that was pushed out thus
// comes back with no less debt than it left with, and pushing keys out buys nothing.
// A flood of keys makes newcomers of a full set share one count: they are let through
// less often, never more. A debt that is paid (tat <= now) is the same as no entry.
const (
	ways    = 8
	stripes = 256
)

type set struct {
	keys  [ways]Key
	tats  [ways]debt
	floor debt
}

// debt holds a tat so that the zero value is the oldest of all, no debt: the memory of a set that
// nobody has asked for is never written, so the system never has to provide it.
type debt int64

func owes(tat int64) debt { return debt(tat ^ math.MinInt64) }
func (d debt) tat() int64 { return int64(d) ^ math.MinInt64 }

type table struct {
	locks [stripes]sync.Mutex
	sets  []set
	mask  uint64
}

func newTable(entries int) *table {
	sets := max(1, entries/ways)
	sets = 1 << bits.Len(uint(sets-1)) // next power of two
	return &table{sets: make([]set, sets), mask: uint64(sets - 1)}
}

func (t *table) set(k Key) *set { return &t.sets[k.lo&t.mask] }

func (t *table) stripe(k Key) int { return int(k.lo & t.mask & (stripes - 1)) }

func (t *table) lock(k Key) *sync.Mutex {
	m := &t.locks[t.stripe(k)]
	m.Lock()
	return m
}

type held [stripes / 64]uint64

// lockAll locks the stripes of all checks in ascending order, each once.
func (t *table) lockAll(checks []Check) held {
	var h held
	for _, c := range checks {
		s := t.stripe(c.Key)
		h[s/64] |= 1 << (s % 64)
	}
	for i, word := range h {
		for ; word != 0; word &= word - 1 {
			t.locks[i*64+bits.TrailingZeros64(word)].Lock()
		}
	}
	return h
}

func (t *table) unlockAll(h *held) {
	for i, word := range h {
		for ; word != 0; word &= word - 1 {
			t.locks[i*64+bits.TrailingZeros64(word)].Unlock()
		}
	}
}

// find is the debt of k: its own, or the floor of its set. The stripe is held.
func (t *table) find(k Key) int64 {
	s := t.set(k)
	for w := range s.keys {
		if s.keys[w] == k {
			return s.tats[w].tat()
		}
	}
	return s.floor.tat()
}

// put stores the debt of k. The stripe is held.
func (t *table) put(k Key, tat, now int64) {
	s := t.set(k)
	least := 0
	for w := range s.keys {
		if s.keys[w] == k {
			s.tats[w] = owes(tat)
			return
		}
		if s.tats[w].tat() < s.tats[least].tat() {
			least = w
		}
	}
	if out := s.tats[least].tat(); out > now { // the set is full of debts
		if tat <= out {
			s.floor = owes(max(s.floor.tat(), tat))
			return
		}
		s.floor = owes(max(s.floor.tat(), out))
	}
	s.keys[least], s.tats[least] = k, owes(tat)
}
