package schema

import "sallyport/internal/tape"

// Work is counted in steps of about a nanosecond. A check may take so many for each byte of
// the value's text, and baseSteps more.
const (
	stepsPerByte = 64
	tellPerByte  = 20 // and to tell faults, which is for people and may end earlier
	baseSteps    = 4 << 20
	visitSteps   = 24  // of one schema at one value
	memberSteps  = 4   // of one member or element on the way
	memoSteps    = 400 // of one verdict that is kept
	matchSteps   = 24  // of one byte that a pattern is run over
)

// Machine runs a Program over tapes, one after another. It is not safe for concurrent use.
// Get one from the Program, and Put it back when its results are no longer needed.
type Machine struct {
	p     *Program
	t     *tape.Tape
	nodes []tape.Node
	state []state // by node of the tape
	marks []uint8 // Mark by node; empty until the first mark is met
	mode  Mode

	closed  bool // Request: what is not known is a fault
	formats bool // formats bind
	left    int  // steps
	at      uint32
	root    ID
	verdict Verdict
	met     Mark // every mark met

	bits    nodeFlags // opens and speaks of what succeeded in place, of the current root
	trials  int       // depth of branches that may fail without the value failing
	shared  int       // depth of schemas of which several parts may look at the same member
	journal []undo
	frames  uint32 // number of the current scope of known members; see frame
	lastF   uint32
	depth   int
	memo    memoTable
	scopes  []uint32 // resources entered, outermost first ($dynamicRef)

	finds     tape.Finds
	explained bool
	dirty     dirt
	buf       []byte // states saved by scopes of known members
	text      []byte
	strange   []string // unknown places of the last reduced value; see unknown
}

type state = uint8

const (
	known state = 1 << iota
	bad         // its type is wrong: left out of the reduced value
)

// undo is one change of a node's state within a trial.
type undo struct {
	node uint32
	old  state
}

// Get takes a Machine from the Program's pool.
func (p *Program) Get() *Machine {
	if m, ok := p.machines.Get().(*Machine); ok {
		return m
	}
	return &Machine{p: p}
}

// keepNodes bounds the memory that a Machine keeps in the pool.
const keepNodes = 1 << 16

// Put gives the Machine back. Nothing it returned may be used afterwards, except faults.
func (m *Machine) Put() {
	p := m.p
	if cap(m.state) > keepNodes {
		m.state, m.marks = nil, nil
	}
	if cap(m.journal) > keepNodes {
		m.journal = nil
	}
	if cap(m.dirty) > keepNodes {
		m.dirty = nil
	}
	if cap(m.finds.Later)+cap(m.finds.Marked)+cap(m.finds.Strays) > keepNodes {
		m.finds = tape.Finds{}
	}
	m.memo.shrink()
	m.t, m.nodes = nil, nil
	p.machines.Put(m)
}

// Check decides whether the value at a node of the tape fits a schema. The tape must not
// change until the last use of what the Machine says about it.
func (m *Machine) Check(t *tape.Tape, at int, root ID, mode Mode) Verdict {
	m.begin(t, at, root, mode)
	ok := m.eval(m.at, root, true)
	switch {
	case m.left < 0:
		m.verdict = TooComplex
	case ok:
		m.verdict = Valid
	default:
		m.verdict = Invalid
	}
	return m.verdict
}

func (m *Machine) begin(t *tape.Tape, at int, root ID, mode Mode) {
	m.t, m.nodes, m.mode = t, t.Nodes, mode
	m.at, m.root, m.verdict, m.explained = uint32(at), root, Invalid, false
	m.closed = mode == Request
	m.formats = mode == Request || mode == Strict && m.p.flags.AssertFormats
	m.met = 0
	m.marks = m.marks[:0]
	m.rewind()
}

// rewind forgets what was found out about the tape, except marks.
func (m *Machine) rewind() {
	n := len(m.nodes)
	if cap(m.state) < n {
		m.state = make([]state, n, n+n/4+16)
	} else {
		m.state = m.state[:n]
		clear(m.state)
	}
	if len(m.state) > 0 {
		m.state[m.at] = known
	}
	m.left = baseSteps + stepsPerByte*m.size()
	m.bits, m.trials, m.shared, m.depth, m.frames, m.lastF = 0, 0, 0, 0, 0, 0
	m.journal, m.scopes, m.buf = m.journal[:0], m.scopes[:0], m.buf[:0]
	m.memo.reset()
}

// size is how many bytes of text the value has; of one that was no JSON text, about how many
// it would have.
func (m *Machine) size() int {
	nd := &m.nodes[m.at]
	if m.t.Raw || nd.Kind < tape.Array {
		return int(nd.End) - int(nd.Off)
	}
	return min(8*int(nd.Next-m.at), len(m.t.Src)+4*int(nd.Next-m.at))
}

// Known reports whether the schema knows the value at a node: it was evaluated by a schema
// that fits, and the values around it are known. It speaks of the last Check, or Explain.
func (m *Machine) Known(i int) bool { return m.state[i]&known != 0 }

// Marks are the marks of the value at a node itself: what marks a container marks all in it.
// They are the union over all schemas that may apply, whether they fit or not.
func (m *Machine) Marks(i int) Mark {
	if len(m.marks) == 0 {
		return 0
	}
	return Mark(m.marks[i]) & allMarks
}

// Sensitive gives every mark that the last Check met.
func (m *Machine) Sensitive() Mark { return m.met & allMarks }

// note marks a node. Marks are never taken back.
func (m *Machine) note(t uint32, mark Mark) {
	if len(m.marks) == 0 {
		m.growMarks()
	}
	m.marks[t] |= uint8(mark)
	m.met |= mark
}

func (m *Machine) growMarks() {
	n := len(m.nodes)
	if cap(m.marks) < n {
		m.marks = make([]uint8, n, n+n/4+16)
		return
	}
	m.marks = m.marks[:n]
	clear(m.marks)
}

// hides reports whether the value at a node must be named to be seen.
func (m *Machine) hides(i uint32) bool { return len(m.marks) > 0 && m.marks[i]&uint8(hidden) != 0 }

// know marks a node as known.
func (m *Machine) know(i uint32) {
	if m.trials != 0 {
		m.set(i, m.state[i]|known)
		return
	}
	m.state[i] |= known
}

// set changes a state so that a failed trial can take it back.
func (m *Machine) set(i uint32, s state) {
	old := m.state[i]
	if old == s {
		return
	}
	if m.trials != 0 {
		m.journal = append(m.journal, undo{i, old})
	}
	m.state[i] = s
}

// knowBelow marks everything in a container as known.
func (m *Machine) knowBelow(t uint32) {
	end := m.nodes[t].Next
	m.left -= int(end-t) / 4
	if m.trials != 0 {
		m.left -= int(end-t) * memberSteps
		for i := t + 1; i < end; i++ {
			m.set(i, m.state[i]|known)
		}
		return
	}
	for i := t + 1; i < end; i++ {
		m.state[i] |= known
	}
}

// trial is where to go back to when a branch fails.
type trial struct {
	journal, log int
	bits         nodeFlags
}

func (m *Machine) try() trial {
	m.trials++
	return trial{len(m.journal), len(m.memo.log), m.bits}
}

// keep ends a trial that succeeded.
func (m *Machine) keep() { m.trials-- }

// fail ends a trial and takes back what it marked as known.
func (m *Machine) fail(b trial) {
	m.trials--
	for i := len(m.journal) - 1; i >= b.journal; i-- {
		m.state[m.journal[i].node] = m.journal[i].old
	}
	m.journal = m.journal[:b.journal]
	m.bits = b.bits
	m.memo.unmark(b.log)
}
