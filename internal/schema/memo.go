package schema

import "math/bits"

// memoTable keeps verdicts by value and schema within one check, so that alternatives inside
// each other cost their product once and not at every level again. A verdict never changes;
// what may be taken back is only that the members in the value are marked as known.
type memoTable struct {
	slots []memoSlot
	round uint32
	used  int
	log   []uint32 // slots of successes, in order, so that a failed trial finds them
}

type memoSlot struct {
	key   uint64
	round uint32
	frame uint32
	bits  nodeFlags
	state memoState
}

type memoState uint8

const (
	memoNone memoState = iota
	memoFails
	memoFits  // and what it knows is marked
	memoFaded // it fits, but what it knows was taken back
	memoSwept // its marks were noted
)

const (
	memoRoot  = 1 << 0 // evaluated as a composition root
	memoSweep = 1 << 1 // not a verdict, but marks noted
)

func memoKey(t uint32, s ID, how uint64) uint64 { return uint64(t)<<34 | uint64(s)<<2 | how }

func (m *memoTable) reset() {
	m.log = m.log[:0]
	if m.used == 0 {
		return
	}
	m.used = 0
	if m.round++; m.round == 0 {
		clear(m.slots)
		m.round = 1
	}
}

const keepMemo = 1 << 14

func (m *memoTable) shrink() {
	if len(m.slots) > keepMemo || cap(m.log) > keepMemo {
		*m = memoTable{}
	}
}

// find returns the slot of a key: that of its entry, or a free one.
func (m *memoTable) find(key uint64) uint32 {
	if 2*(m.used+1) > len(m.slots) {
		m.grow()
	}
	mask := uint32(len(m.slots) - 1)
	hi, lo := bits.Mul64(key^0x9e3779b97f4a7c15, 0xa0761d6478bd642f)
	at := uint32(hi^lo) & mask
	for m.slots[at].round == m.round && m.slots[at].key != key {
		at = (at + 1) & mask
	}
	return at
}

// state is what is known under a key.
func (m *memoTable) get(key uint64) (memoSlot, bool) {
	if m.used == 0 {
		return memoSlot{}, false
	}
	s := m.slots[m.find(key)]
	return s, s.round == m.round && s.state != memoNone
}

// put keeps an entry and says how many steps that took.
func (m *memoTable) put(s memoSlot, logged bool) (steps int) {
	at := m.find(s.key)
	steps = visitSteps
	if m.slots[at].round != m.round {
		m.used++
		steps = memoSteps
	}
	s.round = m.round
	m.slots[at] = s
	if logged {
		m.log = append(m.log, at)
	}
	return steps
}

// unmark says of the successes after a point in the log that what they know was taken back.
func (m *memoTable) unmark(from int) {
	for _, at := range m.log[from:] {
		if s := &m.slots[at]; s.state == memoFits {
			s.state = memoFaded
		}
	}
	m.log = m.log[:from]
}

// grow makes the table four times as large. The log refers to slots, so it is moved with them.
func (m *memoTable) grow() {
	old := m.slots
	m.slots = make([]memoSlot, max(64, 4*len(old)))
	if m.round == 0 {
		m.round = 1
	}
	moved := make([]uint32, len(old))
	mask := uint32(len(m.slots) - 1)
	for i, s := range old {
		if s.round != m.round {
			continue
		}
		hi, lo := bits.Mul64(s.key^0x9e3779b97f4a7c15, 0xa0761d6478bd642f)
		at := uint32(hi^lo) & mask
		for m.slots[at].round == m.round {
			at = (at + 1) & mask
		}
		m.slots[at], moved[i] = s, at
	}
	for i, at := range m.log {
		m.log[i] = moved[at]
	}
}
