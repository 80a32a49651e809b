package outbound

import "bytes"

// matcher finds any of a few texts in one pass. Each answer of a provider goes
// through it, so it looks at four bytes at a time and compares only where those
// could begin one of the texts.
type matcher struct {
	starts [64]uint64 // bits of the hashes of the texts' first four bytes, in lower case
	exact  [][]byte
	folded [][]byte // in lower case, found in either
}

func lowerCase(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// hash4 gives 12 bits for four bytes.
func hash4(w uint32) uint32 { return w * 0x9e3779b1 >> 20 }

// newMatcher takes texts of at least four bytes.
func newMatcher(exact, folded [][]byte) *matcher {
	m := &matcher{exact: exact, folded: folded}
	for _, list := range [][][]byte{exact, folded} {
		for _, text := range list {
			var w uint32
			for _, c := range text[:4] {
				w = w>>8 | uint32(lowerCase(c))<<24
			}
			h := hash4(w)
			m.starts[h>>6] |= 1 << (h & 63)
		}
	}
	return m
}

// in reports whether b holds one of the texts.
func (m *matcher) in(b []byte) bool {
	var w uint32
	for i, c := range b {
		w = w>>8 | uint32(lowerCase(c))<<24
		if h := hash4(w); m.starts[h>>6]&(1<<(h&63)) != 0 && i >= 3 && m.begins(b[i-3:]) {
			return true
		}
	}
	return false
}

func (m *matcher) begins(b []byte) bool {
	for _, text := range m.exact {
		if bytes.HasPrefix(b, text) {
			return true
		}
	}
	for _, text := range m.folded {
		if len(b) >= len(text) && equalFolded(b[:len(text)], text) {
			return true
		}
	}
	return false
}

// equalFolded compares b in lower case with text; in ASCII alone, as secrets are.
func equalFolded(b, text []byte) bool {
	for i := range text {
		if lowerCase(b[i]) != text[i] {
			return false
		}
	}
	return true
}

// toLower is text in lower case as matcher sees it.
func toLower(text []byte) []byte {
	out := make([]byte, len(text))
	for i, c := range text {
		out[i] = lowerCase(c)
	}
	return out
}
