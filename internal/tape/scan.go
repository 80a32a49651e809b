package tape

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
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
	t.met = t.met[:0]
	if s.inside(0, 0, root, rootOnly) < 0 {
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
	stops []uint64
	nodes []Node
	used  int // of nodes
	depth int
	err   error
}

// rootOnly is the closing bracket of what is around the root: there is none, and one value.
const rootOnly = 0

// What a value's first byte says.
const (
	noValue = iota
	aSpace
	aString
	aContainer
	aNull
	aTrue
	aFalse
	aDigit
	aNumber
)

var starts = func() (c [256]uint8) {
	c[' '], c['\t'], c['\n'], c['\r'] = aSpace, aSpace, aSpace, aSpace
	c['"'], c['{'], c['['], c['n'], c['t'], c['f'] = aString, aContainer, aContainer, aNull, aTrue, aFalse
	c['-'], c['0'] = aNumber, aNumber
	for d := '1'; d <= '9'; d++ {
		c[d] = aDigit
	}
	return c
}()

// inside is the tokeniser: it reads what is in a container, from behind its bracket on, and
// returns the index behind the closing one, or -1 with s.err. It is one long function because
// a call for every name and value costs as much as they do, and it calls itself only for
// containers. open is the container's node and box the number of its rule.
func (s *scan) inside(i int, open int, box uint32, closing byte) int {
	var (
		src, nodes, used = s.src, s.nodes, s.used
		count            uint32
		// How the members fare that the rule lists: which were there, as bits, in s.t.met
		// where 64 are not enough; how many of them must be; how many it does not list.
		slots              []uint16
		members            []Member
		met                uint64
		more               = len(s.t.met)
		required, unlisted uint32
		// The name of the value that comes next, and its rule.
		keyOff, keyEnd uint32
		hash           uint64
		shift          uint32
		flags          Flags
		want           = box
	)
	if closing != rootOnly {
		if r := &s.g.Rules[box]; r.SlotN > 0 {
			slots, members = s.g.Slots[r.Slots:r.Slots+r.SlotN], s.g.Members[r.Members:r.Members+r.Count]
			shift = r.Shift
			for k := uint32(64); k < r.Count; k += 64 {
				s.t.met = append(s.t.met, 0)
			}
		}
		want = s.g.Rules[box].Items
		if uint(i) < uint(len(src)) && src[i] <= ' ' {
			i = skip(src, i)
		}
		if uint(i) < uint(len(src)) && src[i] == closing {
			goto closed
		}
	}
next:
	if count++; int(count) > s.lim.Elements {
		return s.tooMany(i, closing)
	}
	if closing == '}' {
		if uint(i) >= uint(len(src)) || src[i] != '"' {
			return s.failed(i, "expected a name in quotes")
		}
		i++
		var w0, w1, w2, w3 uint64 // the name's first 32 bytes
		var rest []byte           // and those behind them
		stops := stopsFrom(s.stops, i)
		size := uint32(bits.TrailingZeros64(stops))
		end := i + int(size)
		if uint(i)+32 <= uint(len(src)) && size <= 32 && uint(end) < uint(len(src)) && src[end] == '"' {
			first := &firsts[size]
			head := src[i : i+32 : i+32]
			w0 = binary.LittleEndian.Uint64(head) & first[0]
			w1 = binary.LittleEndian.Uint64(head[8:]) & first[1]
			w2 = binary.LittleEndian.Uint64(head[16:]) & first[2]
			w3 = binary.LittleEndian.Uint64(head[24:]) & first[3]
			hash = mix(hashStart, w0, w1, w2, w3)
			keyOff, keyEnd, flags = uint32(i), uint32(end), 0
		} else {
			name, from, behind, escaped, err := s.name(i, end)
			if err != nil {
				s.err = err
				return -1
			}
			size, rest, end = uint32(len(name)), name[min(32, len(name)):], behind
			if head := heads(name); size <= 32 {
				w0, w1, w2, w3 = head[0], head[1], head[2], head[3]
				hash = mix(hashStart, w0, w1, w2, w3)
			} else {
				w0, w1, w2, w3, hash = head[0], head[1], head[2], head[3], longHash(name)
			}
			keyOff, keyEnd, flags = from, from+size, escaped
		}
		if i = end + 1; uint(i) >= uint(len(src)) || src[i] != ':' {
			if i = skip(src, i); i >= len(src) || src[i] != ':' {
				return s.failed(i, "expected :")
			}
		}
		i++
		want = none
		if len(slots) > 0 {
			for at := hash >> (shift & 63); ; at++ {
				k := uint(slots[at&uint64(len(slots)-1)]) - 1
				if k >= uint(len(members)) {
					break
				}
				m := &members[k]
				if (m.head[0]^w0)|(m.head[1]^w1)|(m.head[2]^w2)|(m.head[3]^w3) != 0 || m.size != size ||
					size > 32 && string(s.g.Text[m.rest:m.rest+size-32]) != string(rest) {
					continue
				}
				seen := &met
				if k >= 64 {
					seen = &s.t.met[more+int(k/64)-1]
				}
				if *seen>>(k&63)&1 != 0 {
					return s.repeated(i, keyOff, keyEnd, flags)
				}
				*seen |= 1 << (k & 63)
				required += m.Required
				want = m.Rule
				break
			}
		}
		if want == none {
			unlisted++
			if want = s.g.Rules[box].Other; want == Stray {
				s.found.Strays = append(s.found.Strays, uint32(used))
				want = 0
			}
		}
	}
value:
	if uint(i) >= uint(len(src)) {
		return s.failed(i, "the text ends where a value should be")
	}
	if used >= len(nodes) {
		if used >= s.lim.Nodes {
			return s.failed(i, fmt.Sprintf("more than %d values", s.lim.Nodes))
		}
		s.nodes = grown(nodes, s.lim.Nodes)
		nodes = s.nodes
	}
	{
		rule := &s.g.Rules[want]
		kind, act := Invalid, Fits // for rule.Acts: Invalid fits always
		n := &nodes[used]
		n.KeyOff, n.KeyEnd, n.Hash, n.Flags = keyOff, keyEnd, uint32(hash), flags
		n.Count, n.Off, n.Next = 0, uint32(i), uint32(used+1)
		switch starts[src[i]] {
		case aString:
			i++
			n.Kind, n.Off = String, uint32(i)
			end := i
			if stops := stopsFrom(s.stops, i); stops != 0 {
				end += bits.TrailingZeros64(stops)
			} else {
				end = s.t.stop(i)
			}
			if uint(end) >= uint(len(src)) || src[end] != '"' {
				var ok bool
				if end, ok = plain(src, i); !ok {
					if end, n.Count, s.err = s.t.escapedValue(i); s.err != nil {
						return -1
					}
					n.Flags |= Escaped
				}
			}
			n.End = uint32(end)
			if uint32(end-i) >= rule.Short && (!rule.Values || n.Flags&Escaped != 0 || !s.one(rule, i, end)) {
				kind = String
			}
			i = end + 1
		case aNull:
			if i+4 > len(src) || word32(src[i:]) != wordNull {
				return s.failed(i, "expected null")
			}
			i += 4
			n.End = uint32(i)
			n.Kind, kind = Null, Null
		case aContainer:
			if s.depth++; s.depth > s.lim.Depth {
				return s.failed(i, fmt.Sprintf("nested deeper than %d levels", s.lim.Depth))
			}
			n.Kind = Array
			if src[i] == '{' {
				n.Kind = Object
			}
			if rule.Mark != 0 {
				s.found.Marked = append(s.found.Marked, Visit{uint32(used), rule.Mark})
			}
			enter := uint32(0)
			if act = Act(rule.Acts>>(2*n.Kind)) & 3; act == Enter {
				enter = want
			} else if act != Fits {
				s.found.note(act, used, want)
			}
			s.used = used + 1
			if i = s.inside(i+1, used, enter, src[i]+2); i < 0 {
				return -1
			}
			s.depth--
			nodes, used = s.nodes, s.used
			goto after
		case aDigit:
			// Whole numbers of a few digits; number reads all others again.
			end := i + 1
			if end+8 <= len(src) {
				end += leading(nonDigits(binary.LittleEndian.Uint64(src[end:])))
			}
			for uint(end) < uint(len(src)) && src[end]-'0' <= 9 {
				end++
			}
			if end-i <= min(16, s.lim.Digits) && (end == len(src) || src[end] <= ',' && src[end] != '+' || src[end] == '}' || src[end] == ']') {
				n.End = uint32(end)
				n.Flags |= Whole
				n.Kind, kind = Number, wholeNumber
				i = end
				break
			}
			fallthrough
		case aNumber:
			end, whole, err := number(src, i, &s.lim)
			if err != nil {
				s.err = err
				return -1
			}
			n.End = uint32(end)
			n.Kind, kind = Number, Number
			if whole {
				n.Flags |= Whole
				kind = wholeNumber
			}
			i = end
		case aTrue:
			if i+4 > len(src) || word32(src[i:]) != wordTrue {
				return s.failed(i, "expected true")
			}
			i += 4
			n.End = uint32(i)
			n.Kind, kind = True, True
		case aFalse:
			if i+5 > len(src) || word32(src[i+1:]) != wordAlse {
				return s.failed(i, "expected false")
			}
			i += 5
			n.End = uint32(i)
			n.Kind, kind = False, False
		case aSpace:
			i = skip(src, i)
			goto value
		default:
			return s.failed(i, "expected a value")
		}
		if act = Act(rule.Acts>>(2*kind)) & 3; act != Fits {
			s.found.note(act, used, want)
		}
		if rule.Mark != 0 {
			s.found.Marked = append(s.found.Marked, Visit{uint32(used), rule.Mark})
		}
		used++
	}
after:
	if uint(i) < uint(len(src)) && src[i] == ',' && closing != rootOnly {
		if i++; uint(i) < uint(len(src)) && src[i] <= ' ' {
			i = skip(src, i)
		}
		goto next
	}
	if uint(i) < uint(len(src)) && src[i] <= ' ' {
		if i = skip(src, i); uint(i) < uint(len(src)) && src[i] == ',' {
			goto after
		}
	}
	if closing == rootOnly {
		s.used = used
		if i < len(src) {
			return s.failed(i, "something after the end of the value")
		}
		return i
	}
	if uint(i) >= uint(len(src)) || src[i] != closing {
		return s.failed(i, "expected , or "+string(closing))
	}
closed:
	i++
	s.used = used
	n := &nodes[open]
	n.End, n.Count, n.Next = uint32(i), count, uint32(used)
	if required != s.g.Rules[box].Required {
		s.found.Wrong = true
	}
	if closing == '}' && unlisted > 1 {
		s.t.Nodes = nodes[:used]
		if twin := s.t.twin(open); twin >= 0 {
			s.err = s.t.repeated(twin)
			return -1
		}
	}
	s.t.met = s.t.met[:more]
	return i
}

// one reports whether a string is one of those that a rule lists.
func (s *scan) one(r *Rule, i, end int) bool {
	size, text := uint32(end-i), s.src[i:end]
	var w [4]uint64
	var hash uint64
	if size <= 32 && uint(i)+32 <= uint(len(s.src)) {
		first := &firsts[size]
		head := s.src[i : i+32 : i+32]
		w[0] = binary.LittleEndian.Uint64(head) & first[0]
		w[1] = binary.LittleEndian.Uint64(head[8:]) & first[1]
		w[2] = binary.LittleEndian.Uint64(head[16:]) & first[2]
		w[3] = binary.LittleEndian.Uint64(head[24:]) & first[3]
		hash = mix(hashStart, w[0], w[1], w[2], w[3])
	} else {
		w, hash = heads(text), longHash(text)
	}
	slots, members := s.g.Slots[r.Slots:r.Slots+r.SlotN], s.g.Members[r.Members:r.Members+r.Count]
	for at := hash >> (r.Shift & 63); ; at++ {
		k := uint(slots[at&uint64(len(slots)-1)]) - 1
		if k >= uint(len(members)) {
			return false
		}
		m := &members[k]
		if (m.head[0]^w[0])|(m.head[1]^w[1])|(m.head[2]^w[2])|(m.head[3]^w[3]) == 0 && m.size == size &&
			(size <= 32 || string(s.g.Text[m.rest:m.rest+size-32]) == string(text[32:])) {
			return true
		}
	}
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

// grown is nodes with room for more, and never for more than most.
func grown(nodes []Node, most int) []Node {
	bigger := make([]Node, min(max(2*len(nodes), 64), most))
	copy(bigger, nodes)
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
