package tape

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

const none = ^uint32(0)

// Parse reads src, which is kept and not copied. The error is a *SyntaxError; the tape is
// empty then.
func (t *Tape) Parse(src []byte, lim Limits) error {
	return t.ParseGuided(src, lim, unguided, 0, &t.finds)
}

// ParseGuided is Parse that looks at the root by a rule of a guide, and tells what it found.
func (t *Tape) ParseGuided(src []byte, lim Limits, g *Guide, root uint32, found *Finds) error {
	t.clear()
	found.clear()
	lim = lim.orDefault()
	if len(src) > lim.Bytes {
		return &SyntaxError{What: fmt.Sprintf("a text of %d bytes; at most %d are read", len(src), lim.Bytes)}
	}
	if len(src) > 1 && (src[0] == 0xef && bytes.HasPrefix(src, []byte("\xef\xbb\xbf")) || src[0] >= 0xfe && src[0]^src[1] == 1) {
		return &SyntaxError{What: "a byte order mark; write plain UTF-8"}
	}
	t.Src, t.Raw = src, true
	if cap(t.Nodes) == 0 {
		t.Nodes = make([]Node, 0, min(len(src)/typicalLen+8, 1<<12, lim.Nodes))
	}
	t.readStops()
	s := scan{t: t, src: src, stops: t.stops, lim: lim, g: g, found: found, nodes: t.Nodes[:cap(t.Nodes)]}
	t.met, t.open = t.met[:0], t.open[:0]
	if s.read(root); s.err != nil {
		t.clear()
		return s.err
	}
	t.Nodes = s.nodes[:s.used]
	return nil
}

// skip returns the index of the first byte from i on that is not white space.
func skip(src []byte, i int) int {
	for i < len(src) && src[i] <= ' ' && (src[i] == ' ' || src[i] == '\n' || src[i] == '\r' || src[i] == '\t') {
		i++
	}
	return i
}

// The literals as their first four bytes.
const (
	wordTrue   = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
	wordAlse   = 'a' | 'l'<<8 | 's'<<16 | 'e'<<24
	wordNull   = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
	typicalLen = 16 // bytes of text for each node, reckoned with at first
)

// scan is one reading.
type scan struct {
	t     *Tape
	src   []byte
	lim   Limits
	g     *Guide
	found *Finds
	stops []byte
	nodes []Node
	used  int // of nodes
	err   error
}

// note takes in a value that does not simply fit.
func (f *Finds) note(a Act, node int, rule uint32) {
	if a == Wrong {
		f.Wrong = true
		return
	}
	f.Later = append(f.Later, Visit{uint32(node), rule})
}

func (s *scan) failed(at int, what string) int {
	s.err = s.t.failed(at, what)
	return -1
}

func (s *scan) tooMany(at int, closing byte) int {
	if closing == '}' {
		return s.failed(at, fmt.Sprintf("an object of more than %d names", s.lim.Elements))
	}
	return s.failed(at, fmt.Sprintf("an array of more than %d elements", s.lim.Elements))
}

// repeated is for a name whose value, which begins at i, was not read.
func (s *scan) repeated(i int, off, end uint32, flags Flags) int {
	s.t.Nodes = append(s.t.Nodes[:0], Node{Off: uint32(skip(s.src, i)), KeyOff: off, KeyEnd: end, Flags: flags})
	s.err = s.t.repeated(0)
	return -1
}

// name reads a member's name in the slow way: one that is long, or near the end of the text,
// or not in ASCII, or with escapes. stop is the first stop in it; end is the index of its
// closing quote.
func (s *scan) name(i, stop int) (name []byte, from uint32, end int, flags Flags, err error) {
	t := s.t
	if stop < i+64 && stop < len(s.src) && s.src[stop] == '"' {
		return s.src[i:stop], uint32(i), stop, 0, nil
	}
	if end, ok := plain(t.Src, i); ok {
		return t.Src[i:end], uint32(i), end, 0, nil
	}
	n := Node{KeyOff: uint32(i)}
	if end, err = t.escapedKey(&n); err != nil {
		return nil, 0, 0, 0, err
	}
	return t.arena[n.KeyOff:n.KeyEnd], n.KeyOff, end, KeyEscaped, nil
}

// grow gives room for more nodes, and never for more than may be.
func (s *scan) grow() []Node {
	bigger := make([]Node, min(max(2*len(s.nodes), 64), s.lim.Nodes))
	copy(bigger, s.nodes)
	s.nodes = bigger
	return bigger
}

func (t *Tape) failed(at int, what string) error { return &SyntaxError{Offset: at, What: what} }

func (t *Tape) repeated(i int) error {
	n := &t.Nodes[i]
	at := n.KeyOff - 1
	if n.Flags&KeyEscaped != 0 {
		at = n.Off
	}
	return &SyntaxError{Offset: int(at), What: "the name " + ShowName(string(t.Key(i))) + " stands twice in one object"}
}

// firstInvalid is where src stops being UTF-8.
func firstInvalid(src []byte) int {
	for i := 0; i < len(src); {
		c, n := utf8.DecodeRune(src[i:])
		if c == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(src)
}
