package schema

import (
	"bytes"
	"unicode/utf8"

	"sallyport/internal/tape"
)

// fitsString judges a string's text.
func (m *Machine) fitsString(r *strRule, text []byte) bool {
	if n := uint32(len(text)); n > r.max || r.min > 0 {
		// A code point has one to four bytes, so most bounds hold or fail by the bytes alone.
		if n < r.min || n/4 > r.max {
			return false
		}
		if n > r.max || n < 4*r.min {
			m.left -= len(text) / 8
			if c := uint32(utf8.RuneCount(text)); c < r.min || c > r.max {
				return false
			}
		}
	}
	if r.pattern != 0 && !m.matches(r.pattern-1, text) {
		return false
	}
	if r.format != 0 && m.formats {
		m.left -= len(text) * 2
		return m.p.check[r.format-1].fitsString(text)
	}
	return true
}

// matches is pattern number k over a text. What is longer than patterns are run over does
// not match.
func (m *Machine) matches(k uint32, text []byte) bool {
	m.left -= visitSteps + len(text)*matchSteps
	return len(text) <= maxPatternText && m.p.patterns[k].match(text)
}

// fitsNumber judges a number's text.
func (m *Machine) fitsNumber(r *numRule, text []byte) bool {
	if small, ok := smallInt(text); ok {
		if r.flags&(hasLow|lowSmall) == hasLow|lowSmall && (small < r.lowInt || small == r.lowInt && r.flags&aboveLow != 0) {
			return false
		}
		if r.flags&(hasHigh|highSmall) == hasHigh|highSmall && (small > r.highInt || small == r.highInt && r.flags&belowHigh != 0) {
			return false
		}
		if r.flags&(hasMultiple|hasLow|hasHigh)&^r.easy() == 0 && r.format == 0 {
			return true
		}
	}
	m.left -= len(text) * 4
	if r.flags&hasLow != 0 {
		if c := compareNumbers(text, m.p.str(r.lowText)); c < 0 || c == 0 && r.flags&aboveLow != 0 {
			return false
		}
	}
	if r.flags&hasHigh != 0 {
		if c := compareNumbers(text, m.p.str(r.highText)); c > 0 || c == 0 && r.flags&belowHigh != 0 {
			return false
		}
	}
	if r.flags&hasMultiple != 0 && !readNumber(text).multipleOf(readNumber(m.p.str(r.multiple))) {
		return false
	}
	return r.format == 0 || !m.formats || m.p.check[r.format-1].fitsNumber(text)
}

// easy gives the bounds that small numbers were already compared with.
func (r *numRule) easy() numFlags {
	var f numFlags
	if r.flags&lowSmall != 0 {
		f |= hasLow
	}
	if r.flags&highSmall != 0 {
		f |= hasHigh
	}
	return f
}

// inEnum compares with const or enum.
func (m *Machine) inEnum(t uint32, e *enumRule) bool {
	nd := &m.nodes[t]
	switch nd.Kind {
	case tape.Null:
		return e.types&Null != 0
	case tape.False:
		return e.bools&1 != 0
	case tape.True:
		return e.bools&2 != 0
	case tape.String:
		return m.textIn(e, m.t.Text(int(t)))
	case tape.Number:
		text := m.t.Text(int(t))
		m.left -= int(e.numCount) * 4
		for _, s := range m.p.texts[e.nums : e.nums+e.numCount] {
			if want := m.p.str(s); bytes.Equal(want, text) || compareNumbers(want, text) == 0 {
				return true
			}
		}
		return false
	}
	for _, id := range m.p.ids[e.trees : e.trees+e.treeN] {
		if m.equal(m.t, t, m.p.values, m.p.valueAt[id]) {
			return true
		}
	}
	return false
}

func (m *Machine) textIn(e *enumRule, text []byte) bool {
	m.left -= int(e.strCount)
	for _, s := range m.p.texts[e.strs : e.strs+e.strCount] {
		if s.end-s.off == uint32(len(text)) && string(m.p.text[s.off:s.end]) == string(text) {
			return true
		}
	}
	return false
}

// fitsName judges a member's name, which is a string that stands nowhere on the tape.
func (m *Machine) fitsName(name []byte, s ID) bool {
	if m.left -= visitSteps; m.left < 0 {
		return false
	}
	n := &m.p.nodes[s]
	if n.types&String == 0 || n.enum != 0 && !m.textIn(&m.p.enums[n.enum], name) ||
		n.str != 0 && !m.fitsString(&m.p.strs[n.str], name) {
		return false
	}
	if m.depth++; m.depth > maxNested {
		m.left = -1
	}
	defer func() { m.depth-- }()
	for _, c := range m.p.combs[n.comb : n.comb+n.combs] {
		ok := true
		switch c.op {
		case opAll:
			ok = m.fitsName(name, ID(c.a))
		case opDynamic:
			ok = m.fitsName(name, m.dynamic(&c))
		case opNot:
			ok = !m.fitsName(name, ID(c.a))
		case opIf:
			next := c.c
			if m.fitsName(name, ID(c.a)) {
				next = c.b
			}
			ok = next == noLimit || m.fitsName(name, ID(next))
		case opAny, opOne:
			ok = m.nameFits(name, &m.p.alts[c.a], c.op == opOne && m.mode != Response)
		}
		if !ok {
			return false
		}
	}
	return m.left >= 0
}

func (m *Machine) nameFits(name []byte, a *altRule, one bool) bool {
	fits := 0
	for _, b := range m.p.branches[a.branches : a.branches+a.n] {
		if m.fitsName(name, b.id) {
			if fits++; !one {
				return true
			}
		}
	}
	return fits == 1
}
