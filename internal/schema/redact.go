package schema

import "sallyport/internal/tape"

// The words that stand for what may not be shown.
const (
	maskedUnknown    = `"[unknown]"`
	maskedUnreadable = `"[unreadable]"`
)

// AppendRedacted writes the value of the last Check for logs and screens: what is marked is
// replaced by its mark ("[secret]", "[card]", "[personal]"), what the schema does not know by
// "[unknown]", and so is an unknown name that could hold a value itself. null is shown.
func (m *Machine) AppendRedacted(dst []byte) []byte {
	if m.verdict == TooComplex {
		return append(dst, maskedUnreadable...)
	}
	if m.verdict == Invalid && !m.explained {
		m.Explain(everything, 0)
	}
	m.findDirt(allMarks)
	return m.redact(dst, m.at)
}

func (m *Machine) redact(dst []byte, i uint32) []byte {
	nd := &m.nodes[i]
	if mark := m.Marks(int(i)); mark != 0 && nd.Kind != tape.Null {
		return append(dst, mark.masked()...)
	}
	if nd.Kind < tape.Array || !m.dirty.below(i, nd.Next) {
		if m.t.Raw {
			from, to := m.t.Span(int(i))
			return append(dst, m.t.Src[from:to]...)
		}
		return m.t.AppendJSON(dst, int(i))
	}
	if nd.Kind == tape.Array {
		return m.redactElements(dst, i, nd)
	}
	return m.redactMembers(dst, i, nd)
}

// masked is the word for the mark that asks for most care.
func (k Mark) masked() string {
	switch {
	case k&Secret != 0:
		return `"[secret]"`
	case k&Card != 0:
		return `"[card]"`
	}
	return `"[personal]"`
}

func (m *Machine) redactElements(dst []byte, i uint32, nd *tape.Node) []byte {
	dst = append(dst, '[')
	head := len(dst)
	for k := i + 1; k < nd.Next; k = m.nodes[k].Next {
		if dst, k = m.redactRun(dst, head, k, nd.Next); k >= nd.Next {
			break
		}
		dst = comma(dst, head)
		if m.state[k]&known == 0 {
			dst = append(dst, maskedUnknown...)
			continue
		}
		dst = m.redact(dst, k)
	}
	return append(dst, ']')
}

func (m *Machine) redactMembers(dst []byte, i uint32, nd *tape.Node) []byte {
	dst = append(dst, '{')
	head, nameless := len(dst), false
	for k := i + 1; k < nd.Next; k = m.nodes[k].Next {
		if dst, k = m.redactRun(dst, head, k, nd.Next); k >= nd.Next {
			break
		}
		odd := m.state[k]&known == 0 && oddName(m.t.Key(int(k)))
		if odd && nameless {
			continue // one of them stands for all
		}
		nameless = nameless || odd
		dst = m.redactMember(comma(dst, head), k, odd)
	}
	return append(dst, '}')
}

// redactRun copies the children from k on that are shown whole, and gives the one behind.
func (m *Machine) redactRun(dst []byte, head int, k, end uint32) ([]byte, uint32) {
	if !m.t.Raw {
		return dst, k
	}
	last, next := m.dirty.skip(m.nodes, k, end)
	if last != 0 {
		dst = appendRun(comma(dst, head), m.t, k, last)
	}
	return dst, next
}

// comma separates from what was written since head.
func comma(dst []byte, head int) []byte {
	if len(dst) > head {
		return append(dst, ',')
	}
	return dst
}

func (m *Machine) redactMember(dst []byte, k uint32, odd bool) []byte {
	if odd {
		dst = append(append(dst, maskedUnknown...), ':')
	} else {
		dst = append(tape.AppendString(dst, m.t.Key(int(k))), ':')
	}
	if m.state[k]&known == 0 {
		return append(dst, maskedUnknown...)
	}
	return m.redact(dst, k)
}

// oddName reports whether a name could be a value: it is not shown then.
func oddName(name []byte) bool {
	digits := 0
	for _, c := range name {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	return digits > 8 || len(name) > 64 || !pathName(name)
}
