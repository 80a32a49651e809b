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
	return m.redact(dst, m.at)
}

func (m *Machine) redact(dst []byte, i uint32) []byte {
	nd := &m.nodes[i]
	if mark := m.Marks(int(i)); mark != 0 && nd.Kind != tape.Null {
		return append(dst, mark.masked()...)
	}
	if nd.Kind < tape.Array || m.plain(i, nd) {
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

// plain reports whether all in a container is known and nothing in it is marked.
func (m *Machine) plain(i uint32, nd *tape.Node) bool {
	for _, s := range m.state[i+1 : nd.Next] {
		if s&known == 0 {
			return false
		}
	}
	if len(m.marks) == 0 {
		return true
	}
	for _, k := range m.marks[i+1 : nd.Next] {
		if k&allMarks != 0 {
			return false
		}
	}
	return true
}

func (m *Machine) redactElements(dst []byte, i uint32, nd *tape.Node) []byte {
	dst = append(dst, '[')
	for k := i + 1; k < nd.Next; k = m.nodes[k].Next {
		if k > i+1 {
			dst = append(dst, ',')
		}
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
	first, nameless := true, false
	for k := i + 1; k < nd.Next; k = m.nodes[k].Next {
		isKnown := m.state[k]&known != 0
		name := m.t.Key(int(k))
		odd := !isKnown && !plainName(name)
		if odd && nameless {
			continue // one of them stands for all
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if odd {
			nameless = true
			dst = append(append(dst, maskedUnknown...), ':')
		} else {
			dst = append(tape.AppendString(dst, name), ':')
		}
		if isKnown {
			dst = m.redact(dst, k)
		} else {
			dst = append(dst, maskedUnknown...)
		}
	}
	return append(dst, '}')
}
