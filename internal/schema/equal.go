package schema

import (
	"bytes"
	"math/bits"

	"sallyport/internal/tape"
)

// equal compares two values as JSON Schema does: numbers by value, objects without order.
func (m *Machine) equal(a *tape.Tape, i uint32, b *tape.Tape, j uint32) bool {
	if m.left -= memberSteps; m.left < 0 {
		return false
	}
	x, y := &a.Nodes[i], &b.Nodes[j]
	if x.Kind != y.Kind {
		return false
	}
	switch x.Kind {
	case tape.Number:
		s, t := a.Text(int(i)), b.Text(int(j))
		return bytes.Equal(s, t) || compareNumbers(s, t) == 0
	case tape.String:
		s, t := a.Text(int(i)), b.Text(int(j))
		m.left -= len(s) / 8
		return bytes.Equal(s, t)
	case tape.Array:
		return x.Count == y.Count && m.equalElements(a, i, b, j)
	case tape.Object:
		return x.Count == y.Count && m.equalMembers(a, i, b, j)
	}
	return true
}

func (m *Machine) equalElements(a *tape.Tape, i uint32, b *tape.Tape, j uint32) bool {
	end := a.Nodes[i].Next
	for i, j = i+1, j+1; i < end; i, j = a.Nodes[i].Next, b.Nodes[j].Next {
		if !m.equal(a, i, b, j) {
			return false
		}
	}
	return true
}

// equalMembers looks each member up in the other object, going on from where the last one
// was found: objects with the same order are compared in one pass.
func (m *Machine) equalMembers(a *tape.Tape, i uint32, b *tape.Tape, j uint32) bool {
	end, first, last := a.Nodes[i].Next, j+1, b.Nodes[j].Next
	next := first
	for k := i + 1; k < end; k = a.Nodes[k].Next {
		hash, key := a.Nodes[k].Hash, a.Key(int(k))
		at, found := next, false
		for tries := b.Nodes[j].Count; tries > 0; tries-- {
			if at >= last {
				at = first
			}
			if m.left--; b.Nodes[at].Hash == hash && bytes.Equal(b.Key(int(at)), key) {
				found = true
				break
			}
			at = b.Nodes[at].Next
		}
		if !found || m.left < 0 || !m.equal(a, k, b, at) {
			return false
		}
		next = b.Nodes[at].Next
	}
	return true
}

// fewElements is up to where every element is compared with every other.
const fewElements = 8

// unique reports whether no two elements are equal.
func (m *Machine) unique(t uint32) bool {
	end, count := m.nodes[t].Next, m.nodes[t].Count
	if count <= fewElements {
		for i := t + 1; i < end; i = m.nodes[i].Next {
			for j := m.nodes[i].Next; j < end; j = m.nodes[j].Next {
				if m.equal(m.t, i, m.t, j) {
					return false
				}
			}
		}
		return m.left >= 0
	}
	return m.uniqueMany(t)
}

// uniqueMany sorts elements into buckets by a hash that equal values share.
func (m *Machine) uniqueMany(t uint32) bool {
	end, count := m.nodes[t].Next, m.nodes[t].Count
	size := 1 << bits.Len(uint(2*count-1))
	table := make([]struct{ node, hash uint32 }, size)
	mask := uint32(size - 1)
	for i := t + 1; i < end; i = m.nodes[i].Next {
		h := m.hash(i)
		at := h & mask
		for table[at].node != 0 {
			if m.left -= memberSteps; m.left < 0 {
				return false
			}
			if table[at].hash == h && m.equal(m.t, i, m.t, table[at].node) {
				return false
			}
			at = (at + 1) & mask
		}
		table[at].node, table[at].hash = i, h
	}
	return m.left >= 0
}

// hash is a number that equal values share.
func (m *Machine) hash(i uint32) uint32 {
	nd := &m.nodes[i]
	m.left -= memberSteps
	switch nd.Kind {
	case tape.String:
		text := m.t.Text(int(i))
		m.left -= len(text) / 4
		return tape.Hash(text)
	case tape.Number:
		if small, ok := smallInt(m.t.Text(int(i))); ok {
			return uint32(uint64(small) * 0x9e3779b97f4a7c15 >> 32)
		}
		return m.hashNumber(i)
	case tape.Array:
		h := uint32(7)
		for c := i + 1; c < nd.Next; c = m.nodes[c].Next {
			h = h*31 + m.hash(c)
		}
		return h
	case tape.Object:
		h := uint32(11)
		for c := i + 1; c < nd.Next; c = m.nodes[c].Next {
			h += (m.nodes[c].Hash | 1) * (m.hash(c) ^ 0x85ebca6b)
		}
		return h
	}
	return uint32(nd.Kind)
}

// hashNumber hashes a number by its value: 1, 1.0 and 1e0 alike.
func (m *Machine) hashNumber(i uint32) uint32 {
	n := readNumber(m.t.Text(int(i)))
	text := n.appendCanonical(m.text[:0])
	m.text = text[:0]
	m.left -= len(text)
	if small, ok := smallInt(text); ok {
		return uint32(uint64(small) * 0x9e3779b97f4a7c15 >> 32)
	}
	return canonicalHash(n, text)
}

// canonicalHash must agree with the hash of numbers written in digits: 1e2 is 100.
func canonicalHash(n number, text []byte) uint32 {
	if e := n.exp - int64(n.count); e > 0 && n.exp <= maxSmall && n.count <= maxCoef {
		v := int64(n.coef)
		for range e {
			v *= 10
		}
		if n.neg {
			v = -v
		}
		return uint32(uint64(v) * 0x9e3779b97f4a7c15 >> 32)
	}
	return tape.Hash(text)
}
