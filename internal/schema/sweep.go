package schema

import "sallyport/internal/tape"

// sweep notes the marks that a schema gives to a value and all in it, whether the value fits
// or not: a branch that was not taken, or not to its end, still says what is sensitive. It
// looks only where something sensitive can be reached.
func (m *Machine) sweep(t uint32, s ID) {
	if !m.p.flags.Marked || s == ID(noLimit) || m.left < 0 {
		return
	}
	n := &m.p.nodes[s]
	if n.flags&reaches == 0 {
		return
	}
	m.left -= visitSteps
	if n.mark != 0 {
		m.note(t, n.mark)
	}
	nd := &m.nodes[t]
	if nd.Kind < tape.Array || nd.Count == 0 {
		return
	}
	key := memoKey(t, s, memoSweep)
	if _, ok := m.memo.get(key); ok {
		return
	}
	m.left -= m.memo.put(memoSlot{key: key, state: memoSwept}, false)
	if nd.Kind == tape.Array {
		m.sweepElements(t, n, nd)
	} else {
		m.sweepMembers(t, n, nd)
	}
	for _, c := range m.p.combs[n.comb : n.comb+n.combs] {
		m.sweepPart(t, &c)
	}
}

func (m *Machine) sweepPart(t uint32, c *comb) {
	switch c.op {
	case opAll, opNot:
		m.sweep(t, ID(c.a))
	case opDynamic:
		m.sweep(t, ID(c.a))
		m.p.eachAnchor(c.b, func(id ID) { m.sweep(t, id) })
	case opDepends:
		m.sweep(t, ID(c.b))
	case opIf:
		m.sweep(t, ID(c.a))
		m.sweep(t, ID(c.b))
		m.sweep(t, ID(c.c))
	case opAny, opOne:
		a := &m.p.alts[c.a]
		for _, b := range m.p.branches[a.branches : a.branches+a.n] {
			m.sweep(t, b.id)
		}
	}
}

func (m *Machine) sweepElements(t uint32, n *node, nd *tape.Node) {
	a := &m.p.arrs[n.arr]
	k := uint32(0)
	for i, end := t+1, nd.Next; i < end; i = m.nodes[i].Next {
		if k < a.prefixN {
			m.sweep(i, m.p.ids[a.prefix+k])
		} else if a.hasItems {
			m.sweep(i, a.items)
		}
		if a.hasContains {
			m.sweep(i, a.contains)
		}
		if a.uneval {
			m.sweep(i, a.unevaluatedI)
		}
		k++
	}
}

func (m *Machine) sweepMembers(t uint32, n *node, nd *tape.Node) {
	o := &m.p.objs[n.obj]
	x := &m.p.exts[o.ext]
	for i, end := t+1, nd.Next; i < end; i = m.nodes[i].Next {
		listed := false
		if at := m.lookup(i, o, &m.nodes[i]); at != noLimit && m.p.props[at].listed {
			m.sweep(i, m.p.props[at].id)
			listed = true
		}
		for _, k := range m.p.keyed[x.patterns : x.patterns+x.patternsN] {
			if m.matches(k.key, m.t.Key(int(i))) {
				m.sweep(i, k.id)
				listed = true
			}
		}
		if !listed && o.hasOther {
			m.sweep(i, o.other)
		}
		if x.uneval {
			m.sweep(i, x.unevalP)
		}
	}
}
