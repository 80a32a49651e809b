package schema

import "sallyport/internal/tape"

// maxNested bounds schemas in place within each other, which only $dynamicRef can nest
// without end.
const maxNested = 4096

// composed judges by a schema with parts or alternatives, and remembers the verdict where it
// could be asked for again.
func (m *Machine) composed(t uint32, s ID, n *node, root bool) bool {
	nd := &m.nodes[t]
	if n.flags&memoised == 0 || m.shared|m.trials == 0 || nd.Kind < tape.Array || nd.Count == 0 {
		return m.compose(t, n, nd, root)
	}
	how := uint64(0)
	if root {
		how = memoRoot
	}
	key := memoKey(t, s, how)
	if e, ok := m.memo.get(key); ok {
		if e.state == memoFails {
			return false
		}
		if e.state == memoFits && (root || e.frame == m.frames) {
			m.bits |= e.bits
			return true
		}
	}
	outer := m.bits
	m.bits = 0
	ok := m.compose(t, n, nd, root)
	inner := m.bits
	m.bits = outer
	if m.left < 0 {
		return false
	}
	e := memoSlot{key: key, state: memoFails, frame: m.frames}
	if ok {
		e.state = memoFits
		if !root {
			e.bits = inner
			m.bits |= inner
		}
	}
	m.left -= m.memo.put(e, ok && m.trials != 0)
	return ok
}

// compose opens what the schema needs around its parts: a dynamic scope, and a scope of
// known members where it must tell its own from those of its surroundings.
func (m *Machine) compose(t uint32, n *node, nd *tape.Node, root bool) bool {
	if m.depth++; m.depth > maxNested {
		m.left = -1
	}
	m.left -= visitSteps
	if n.flags&scoped != 0 {
		m.enter(n)
		defer m.leave()
	}
	container := nd.Kind >= tape.Array && nd.Count > 0
	var f frame
	framed := container && (n.flags&unevaluated != 0 || m.closed && root)
	if framed {
		f = m.open1(t)
	}
	outer := m.bits
	if root {
		m.bits = 0
	}
	if n.flags&shares != 0 {
		m.shared++
	}
	ok := m.inPlace(t, n, nd) && m.left >= 0
	if ok && n.flags&unevaluated != 0 && container {
		ok = m.unevaluated(t, n, nd)
	}
	if root {
		if ok && container && m.mode != Strict {
			ok = m.close(t)
		}
		m.bits = outer
	}
	if framed {
		m.close1(f, t)
	}
	if n.flags&shares != 0 {
		m.shared--
	}
	m.depth--
	return ok
}

// close ends a composition root: everything is known where a part lets everything through
// and no other speaks of members; in a closed world nothing may be unknown.
func (m *Machine) close(t uint32) bool {
	if m.bits&opens != 0 && m.bits&speaks == 0 {
		return m.open(t)
	}
	return !m.closed || m.allKnown(t)
}

// inPlace judges by the schema's own rules and then by all that applies to the same value.
func (m *Machine) inPlace(t uint32, n *node, nd *tape.Node) bool {
	if !m.simple(t, n, nd, false) {
		return false
	}
	for k := n.comb; k < n.comb+n.combs; k++ {
		c := &m.p.combs[k]
		ok := true
		switch c.op {
		case opAll:
			ok = m.eval(t, ID(c.a), false)
		case opAny:
			ok = m.choose(t, &m.p.alts[c.a], nd, false)
		case opOne:
			ok = m.choose(t, &m.p.alts[c.a], nd, m.mode != Response)
		case opNot:
			ok = m.not(t, ID(c.a))
		case opIf:
			ok = m.branch(t, c)
		case opDepends:
			if nd.Kind == tape.Object && m.has(t, m.p.texts[c.a]) {
				ok = m.eval(t, ID(c.b), false)
			}
		case opDynamic:
			ok = m.eval(t, m.dynamic(c), false)
		}
		if !ok {
			return false
		}
	}
	return true
}

// not holds where the schema does not fit. What that schema knows never counts.
func (m *Machine) not(t uint32, s ID) bool {
	b := m.try()
	fits := m.eval(t, s, false)
	m.fail(b)
	m.sweep(t, s)
	return !fits && m.left >= 0
}

// branch is if, then, else.
func (m *Machine) branch(t uint32, c *comb) bool {
	b := m.try()
	next := c.b
	if m.eval(t, ID(c.a), false) {
		m.keep()
	} else {
		m.fail(b)
		m.sweep(t, ID(c.a))
		next = c.c
	}
	if m.p.flags.Marked {
		m.sweep(t, ID(c.b))
		m.sweep(t, ID(c.c))
	}
	return m.left >= 0 && (next == noLimit || m.eval(t, ID(next), false))
}

// choose is anyOf, or with one oneOf. Branches that the value's type or tag rules out are
// not tried; a single one that is left decides alone.
func (m *Machine) choose(t uint32, a *altRule, nd *tape.Node, one bool) bool {
	branches := m.p.branches[a.branches : a.branches+a.n]
	may := m.tagged(t, a, nd)
	kind := m.mayBe(nd)
	left, last := 0, 0
	for i := range branches {
		if branches[i].types&kind != 0 && (i >= 64 || may>>i&1 != 0) {
			left++
			last = i
		} else {
			m.sweep(t, branches[i].id)
		}
	}
	m.left -= len(branches)
	switch {
	case left == 0:
		return false
	case left == 1:
		return m.eval(t, branches[last].id, false)
	}
	container := nd.Kind >= tape.Array && nd.Count > 0
	keep := container && !m.p.flags.Dynamic
	fits := 0
	for i := range branches[:last+1] {
		if branches[i].types&kind == 0 || i < 64 && may>>i&1 == 0 {
			continue
		}
		if !m.tryBranch(t, branches[i].id, keep) {
			m.sweep(t, branches[i].id)
			continue
		}
		if fits++; fits > 1 && one {
			return false
		}
		// Further branches of a plain value can neither know nor mark anything more.
		if !one && !container {
			return true
		}
	}
	return fits > 0 && m.left >= 0
}

// mayBe is the types that a value could count as: a number not written in digits may still
// be whole.
func (m *Machine) mayBe(nd *tape.Node) Types {
	if kind := typeOf(nd); kind != Fraction || m.mode == Request {
		return kind
	}
	return Number
}

// tryBranch judges by one of several branches. Verdicts on containers are kept: the same
// branch of the same value is met again where alternatives stand inside each other.
func (m *Machine) tryBranch(t uint32, s ID, keep bool) bool {
	key := memoKey(t, s, 0)
	if keep {
		if e, ok := m.memo.get(key); ok && e.state == memoFails {
			return false
		}
	}
	m.left -= 2 * visitSteps
	b := m.try()
	ok := m.eval(t, s, false)
	if ok {
		m.keep()
		return true
	}
	m.fail(b)
	if keep && m.left >= 0 {
		m.left -= m.memo.put(memoSlot{key: key, state: memoFails}, false)
	}
	return false
}

// tagged gives the branches that the value's tag allows, as bits.
func (m *Machine) tagged(t uint32, a *altRule, nd *tape.Node) uint64 {
	if a.tagsN == 0 || nd.Kind != tape.Object {
		return ^uint64(0)
	}
	i, ok := m.member(t, a.tagHash, a.tag)
	if !ok {
		return a.absent
	}
	if m.nodes[i].Kind != tape.String {
		return ^uint64(0)
	}
	text := m.t.Text(int(i))
	for _, v := range m.p.tags[a.tags : a.tags+a.tagsN] {
		if string(m.p.str(v.value)) == string(text) {
			return v.mask | a.other
		}
	}
	return a.other
}

// frame is a scope of known members: what the members of a container were before it.
type frame struct {
	saved int // where their states lie in m.buf
	outer uint32
}

// open1 clears what is known of a container's direct children.
func (m *Machine) open1(t uint32) frame {
	f := frame{saved: len(m.buf), outer: m.frames}
	m.lastF++
	m.frames = m.lastF
	m.left -= int(m.nodes[t].Count) * 4 * memberSteps
	for i, end := t+1, m.nodes[t].Next; i < end; i = m.nodes[i].Next {
		m.buf = append(m.buf, m.state[i])
		m.set(i, m.state[i]&^known)
	}
	return f
}

// close1 adds what was known before.
func (m *Machine) close1(f frame, t uint32) {
	k := f.saved
	for i, end := t+1, m.nodes[t].Next; i < end; i = m.nodes[i].Next {
		m.set(i, m.state[i]|m.buf[k])
		k++
	}
	m.buf = m.buf[:f.saved]
	m.frames = f.outer
}

// unevaluated applies unevaluatedProperties or unevaluatedItems to what nothing else in
// place has evaluated.
func (m *Machine) unevaluated(t uint32, n *node, nd *tape.Node) bool {
	id, ok := m.p.leftover(n, nd.Kind)
	if !ok || id == Nothing && m.mode == Response && nd.Kind == tape.Object {
		return true
	}
	m.bits |= speaks
	for i, end := t+1, nd.Next; i < end; i = m.nodes[i].Next {
		if m.state[i]&known != 0 {
			continue
		}
		if m.closed && m.isProto(i) {
			return false
		}
		m.know(i)
		if !m.eval(i, id, true) {
			return false
		}
	}
	return true
}

// leftover is the schema of members or elements that nothing else evaluates.
func (p *Program) leftover(n *node, kind tape.Kind) (ID, bool) {
	if kind == tape.Array {
		a := &p.arrs[n.arr]
		return a.unevaluatedI, a.uneval
	}
	x := &p.exts[p.objs[n.obj].ext]
	return x.unevalP, x.uneval
}
