package schema

import (
	"bytes"
	"encoding/binary"

	"sallyport/internal/tape"
)

// kindTypes gives the type of a node by its kind and, 8 further on, of one that is Whole. A
// number that is not written in digits counts as Fraction until its text is looked at.
var kindTypes = [16]Types{tape.Null: Null, tape.False: Boolean, tape.True: Boolean, tape.Number: Fraction,
	tape.String: String, tape.Array: Array, tape.Object: Object, 8 + tape.Number: Integer}

func typeOf(nd *tape.Node) Types { return kindTypes[(uint8(nd.Kind)|uint8(nd.Flags&tape.Whole)<<1)&15] }

// fits reports whether a value fits a schema for sure by its type or its length alone, which
// is so for most; the mark must be noted still.
func fits(c *tape.Node, plain Types, short uint32) bool {
	return plain&typeOf(c) != 0 || c.Kind == tape.String && c.End-c.Off < short
}

// eval decides whether a value fits a schema, marks what it knows, and notes what is
// sensitive. With root the schema is a composition root; otherwise it stands for a part of
// one, and what it says about members is left in m.bits.
func (m *Machine) eval(t uint32, s ID, root bool) bool {
	if m.left -= visitSteps; m.left < 0 {
		return false
	}
	n := &m.p.nodes[s]
	if n.mark != 0 {
		m.note(t, n.mark)
	}
	nd := &m.nodes[t]
	if n.flags&(composed|nullWins) != 0 {
		if nd.Kind == tape.Null && n.flags&nullWins != 0 {
			return true
		}
		if n.flags&composed != 0 {
			return m.composed(t, s, n, root)
		}
	}
	return m.simple(t, n, nd, root)
}

// simple judges by a schema's own rules, without its parts.
func (m *Machine) simple(t uint32, n *node, nd *tape.Node, root bool) bool {
	kind := typeOf(nd)
	if n.types&kind == 0 && !m.wholeAnyway(t, n, kind) {
		return false
	}
	if n.plain&kind != 0 {
		if !root {
			m.bits |= n.flags & opens
		}
		return true
	}
	if n.enum != 0 && !m.inEnum(t, &m.p.enums[n.enum]) {
		return false
	}
	switch kind {
	case String:
		return n.str == 0 || m.fitsString(&m.p.strs[n.str], m.t.Text(int(t)))
	case Integer, Fraction:
		return n.num == 0 || m.fitsNumber(&m.p.nums[n.num], m.t.Text(int(t)))
	case Array:
		return m.array(t, n, nd, root)
	case Object:
		return m.object(t, n, nd, root)
	}
	return true
}

// wholeAnyway reports whether a number that is not written in digits is whole, where only
// whole ones may stand. A request writes them in digits, because parsers differ over 1e3.
func (m *Machine) wholeAnyway(t uint32, n *node, kind Types) bool {
	return kind == Fraction && n.types&Integer != 0 && m.mode != Request && readNumber(m.t.Text(int(t))).whole()
}

// object judges the members of an object.
func (m *Machine) object(t uint32, n *node, nd *tape.Node, root bool) bool {
	p := m.p
	o := &p.objs[n.obj]
	if nd.Count < o.min || nd.Count > o.max {
		return false
	}
	if !root {
		m.bits |= n.flags & (opens | speaks)
	} else if n.flags&opens != 0 {
		return (o.ext == 0 || m.objectSlow(t, o, nd, false)) && m.open(t)
	}
	if o.ext != 0 {
		return m.objectSlow(t, o, nd, root)
	}
	m.left -= int(nd.Count) * memberSteps
	var slots []uint32
	if o.mask != noLimit {
		slots = p.slots[o.slots : o.slots+o.mask+1]
	}
	nodes, states, props, guess, seen := m.nodes, m.state, p.props[o.props:o.propsEnd], uint32(0), uint32(0)
	for i, end := t+1, nd.Next; i < end; {
		c := &nodes[i]
		var pr *prop
		if guess < uint32(len(props)) && props[guess].hash == c.Hash && m.named(i, c, props[guess].name) {
			pr = &props[guess]
			guess++
		} else if len(slots) > 0 {
			for at := c.Hash & o.mask; slots[at] != 0; at = (at + 1) & o.mask {
				k := slots[at] - 1 - o.props
				if props[k].hash == c.Hash && m.named(i, c, props[k].name) {
					pr = &props[k]
					guess = k + 1
					break
				}
			}
		}
		switch {
		case pr == nil:
			if !m.unlisted(i, o, c, root) {
				return false
			}
			i = c.Next
			continue
		case pr.required:
			seen++
		}
		if !pr.listed {
			if !m.unlisted(i, o, c, root) {
				return false
			}
			i = c.Next
			continue
		}
		if m.trials != 0 {
			m.set(i, states[i]|known)
		} else {
			states[i] |= known
		}
		if fits(c, pr.plain, pr.short) {
			if pr.mark != 0 {
				m.note(i, pr.mark)
			}
			i++ // only plain values fit so
			continue
		}
		if !m.eval(i, pr.id, true) {
			return false
		}
		i = c.Next
	}
	return seen == o.required
}

// named reports whether a member has a name.
func (m *Machine) named(i uint32, c *tape.Node, name span) bool {
	if c.Flags&tape.KeyEscaped != 0 {
		return bytes.Equal(m.t.Key(int(i)), m.p.str(name))
	}
	return c.KeyEnd-c.KeyOff == name.end-name.off && same(m.t.Src[c.KeyOff:c.KeyEnd], m.p.text[name.off:name.end])
}

// same compares names of the same length, which are short and mostly equal here.
func same(a, b []byte) bool {
	n := len(a)
	switch {
	case n > 16 || n < 4 || len(b) < n:
		return string(a) == string(b)
	case n < 8:
		return binary.LittleEndian.Uint32(a) == binary.LittleEndian.Uint32(b) &&
			binary.LittleEndian.Uint32(a[n-4:]) == binary.LittleEndian.Uint32(b[n-4:])
	}
	return binary.LittleEndian.Uint64(a) == binary.LittleEndian.Uint64(b) &&
		binary.LittleEndian.Uint64(a[n-8:]) == binary.LittleEndian.Uint64(b[n-8:])
}

// lookup finds a member's name in an object's table; noLimit: it is not there.
func (m *Machine) lookup(i uint32, o *objRule, c *tape.Node) uint32 {
	if o.mask == noLimit {
		return noLimit
	}
	slots := m.p.slots[o.slots : o.slots+o.mask+1]
	for at := c.Hash & o.mask; ; at = (at + 1) & o.mask {
		k := slots[at]
		if k == 0 {
			return noLimit
		}
		pr := &m.p.props[k-1]
		if pr.hash == c.Hash && m.named(i, c, pr.name) {
			return k - 1
		}
	}
}

// unlisted judges a member that properties does not list.
func (m *Machine) unlisted(i uint32, o *objRule, c *tape.Node, root bool) bool {
	if m.closed && m.isProto(i) {
		return false
	}
	if !o.hasOther {
		return !m.closed || !root
	}
	if o.other == Nothing && m.mode == Response {
		return true
	}
	m.know(i)
	return m.eval(i, o.other, true)
}

const protoName = "__proto__"

func (m *Machine) isProto(i uint32) bool {
	return string(m.t.Key(int(i))) == protoName
}

// open lets everything in a container through.
func (m *Machine) open(t uint32) bool {
	if m.closed {
		for i, end := t+1, m.nodes[t].Next; i < end; i++ {
			if m.isProto(i) {
				return false
			}
		}
	}
	m.knowBelow(t)
	return true
}

// objectSlow is object with patternProperties, propertyNames, dependentRequired.
func (m *Machine) objectSlow(t uint32, o *objRule, nd *tape.Node, root bool) bool {
	x := &m.p.exts[o.ext]
	seen := uint32(0)
	for i, end := t+1, nd.Next; i < end; i = m.nodes[i].Next {
		m.left -= memberSteps
		c := &m.nodes[i]
		found := false
		if at := m.lookup(i, o, c); at != noLimit {
			pr := &m.p.props[at]
			if pr.required {
				seen++
			}
			if pr.listed {
				found = true
				m.know(i)
				if !m.eval(i, pr.id, true) {
					return false
				}
			}
		}
		if !m.patterned(i, x, found, &found) {
			return false
		}
		if !found && !m.unlisted(i, o, c, root) {
			return false
		}
		if x.hasNames && !m.fitsName(m.t.Key(int(i)), x.names) {
			return false
		}
	}
	return seen == o.required && m.dependents(t, x)
}

// patterned judges a member by the patternProperties that its name matches.
func (m *Machine) patterned(i uint32, x *extRule, listed bool, found *bool) bool {
	for _, k := range m.p.keyed[x.patterns : x.patterns+x.patternsN] {
		key := m.t.Key(int(i))
		if !m.matches(k.key, key) {
			continue
		}
		if m.closed && !listed && m.isProto(i) {
			return false
		}
		*found = true
		m.know(i)
		if !m.eval(i, k.id, true) {
			return false
		}
	}
	return true
}

// dependents checks dependentRequired.
func (m *Machine) dependents(t uint32, x *extRule) bool {
	for _, l := range m.p.lists[x.dependent : x.dependent+x.dependentN] {
		if !m.has(t, l.name) {
			continue
		}
		for _, name := range m.p.texts[l.names : l.names+l.n] {
			if !m.has(t, name) {
				return false
			}
		}
	}
	return true
}

// has reports whether an object has a member.
func (m *Machine) has(t uint32, name span) bool {
	_, ok := m.member(t, tape.Hash(m.p.str(name)), name)
	return ok
}

func (m *Machine) member(t uint32, hash uint32, name span) (uint32, bool) {
	nd := &m.nodes[t]
	m.left -= int(nd.Count)
	for i, end := t+1, nd.Next; i < end; i = m.nodes[i].Next {
		if c := &m.nodes[i]; c.Hash == hash && m.named(i, c, name) {
			return i, true
		}
	}
	return 0, false
}

// array judges the elements of an array.
func (m *Machine) array(t uint32, n *node, nd *tape.Node, root bool) bool {
	a := &m.p.arrs[n.arr]
	if nd.Count < a.min || nd.Count > a.max {
		return false
	}
	if !root {
		m.bits |= n.flags & (opens | speaks)
	} else if n.flags&opens != 0 {
		return (!a.unique || m.unique(t)) && m.open(t)
	}
	m.left -= int(nd.Count) * memberSteps
	i, end := t+1, nd.Next
	for k := uint32(0); k < a.prefixN && i < end; k++ {
		m.know(i)
		if !m.eval(i, m.p.ids[a.prefix+k], true) {
			return false
		}
		i = m.nodes[i].Next
	}
	switch {
	case a.hasItems:
		if !m.elements(i, end, a.items) {
			return false
		}
	case i < end && m.closed && root && !a.hasContains:
		return false
	}
	if a.hasContains && !m.contains(t, a, root) {
		return false
	}
	return !a.unique || m.unique(t)
}

// elements judges elements by one schema.
func (m *Machine) elements(i, end uint32, id ID) bool {
	kid := &m.p.nodes[id]
	for i < end {
		c := &m.nodes[i]
		m.know(i)
		if !fits(c, kid.plain, kid.short) {
			if !m.eval(i, id, true) {
				return false
			}
		} else if kid.mark != 0 {
			m.note(i, kid.mark)
		}
		i = c.Next
	}
	return true
}

// contains counts the elements that fit; those are known. In a closed world the others must
// be known from elsewhere.
func (m *Machine) contains(t uint32, a *arrRule, root bool) bool {
	count := uint32(0)
	for i, end := t+1, m.nodes[t].Next; i < end; i = m.nodes[i].Next {
		b := m.try()
		if !m.eval(i, a.contains, true) {
			m.fail(b)
			m.sweep(i, a.contains)
			continue
		}
		m.keep()
		m.know(i)
		count++
	}
	if m.left < 0 || count < a.minContains || count > a.maxContains {
		return false
	}
	return !m.closed || !root || a.hasItems || m.allKnown(t)
}

// allKnown reports whether every direct child is known.
func (m *Machine) allKnown(t uint32) bool {
	m.left -= int(m.nodes[t].Count)
	for i, end := t+1, m.nodes[t].Next; i < end; i = m.nodes[i].Next {
		if m.state[i]&known == 0 {
			return false
		}
	}
	return true
}
