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
	if err := t.scan(&lim, g, root, found); err != nil {
		t.clear()
		return err
	}
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

// scan is the tokeniser: one function with everything in local variables, because a call
// for every value costs as much as the value. While a container is open, its Next holds its parent's index.
func (t *Tape) scan(lim *Limits, g *Guide, root uint32, found *Finds) error {
	var (
		src    = t.Src
		stops  = t.stops
		nodes  = t.Nodes[:cap(t.Nodes)]
		used   int // of nodes
		open   = none
		object bool // the open container is one
		depth  int
		count  uint32 // of the open container
		i      int
		// The name of the value that comes next, and its rule.
		keyOff, keyEnd, hash uint32
		flags                Flags
		want                 = root
		// What is known of the open container: its rule, and how its members fare.
		box      uint32
		slots    []uint16
		members  []Member
		met      []uint64 // which of members were there, as bits
		required uint32
		unlisted uint32
		act      Act
	)
	t.frames, t.met = t.frames[:0], t.met[:0]
value:
	if i < len(src) && src[i] <= ' ' {
		i = skip(src, i)
	}
	if i >= len(src) {
		return t.failed(i, "the text ends where a value should be")
	}
	if used >= len(nodes) {
		if used >= lim.Nodes {
			return t.failed(i, fmt.Sprintf("more than %d values", lim.Nodes))
		}
		nodes = grown(nodes, lim.Nodes)
	}
	{
		rule := &g.Rules[want]
		kind := Invalid // for rule.Acts: Invalid fits always
		n := &nodes[used]
		used++
		n.KeyOff, n.KeyEnd, n.Hash, n.Flags = keyOff, keyEnd, hash, flags
		n.Count, n.Off, n.Next = 0, uint32(i), uint32(used)
		switch c := src[i]; c {
		case '"':
			i++
			n.Kind, n.Off = String, uint32(i)
			end := i
			if w := binary.LittleEndian.Uint64(stops[i>>3:]) >> (i & 7); w != 0 {
				end += bits.TrailingZeros64(w)
			} else {
				end = t.stop(i)
			}
			if end >= len(src) || src[end] != '"' {
				var ok bool
				if end, ok = plain(src, i); ok {
					goto whole
				}
				var err error
				if end, n.Count, err = t.escapedValue(i); err != nil {
					return err
				}
				n.Flags |= Escaped
			}
		whole:
			n.End = uint32(end)
			if uint32(end-i) >= rule.Short {
				kind = String
			}
			i = end + 1
		case '{', '[':
			if depth++; depth > lim.Depth {
				return t.failed(i, fmt.Sprintf("nested deeper than %d levels", lim.Depth))
			}
			if open != none {
				nodes[open].Count = count
			}
			t.frames = append(t.frames, frame{box, required, unlisted, uint32(len(t.met) - len(met))})
			object, count, required, unlisted = c == '{', 0, 0, 0
			n.Kind, n.Next = Array, open
			if object {
				n.Kind = Object
			}
			open = uint32(used - 1)
			box, slots, met = 0, nil, nil
			if rule.Mark != 0 {
				found.Marked = append(found.Marked, Visit{open, rule.Mark})
			}
			switch Act(rule.Acts>>(2*n.Kind)) & 3 {
			case Wrong:
				found.Wrong = true
			case Later:
				found.Later = append(found.Later, Visit{open, want})
			case Enter:
				box = want
				slots, members, met = t.enter(g, rule)
			}
			if i++; i < len(src) && src[i] <= ' ' {
				i = skip(src, i)
			}
			if i < len(src) && src[i] == c+2 {
				goto closed
			}
			goto child
		case 'n':
			if i+4 > len(src) || word32(src[i:]) != wordNull {
				return t.failed(i, "expected null")
			}
			i += 4
			n.End = uint32(i)
			n.Kind, kind = Null, Null
		case 't':
			if i+4 > len(src) || word32(src[i:]) != wordTrue {
				return t.failed(i, "expected true")
			}
			i += 4
			n.End = uint32(i)
			n.Kind, kind = True, True
		case 'f':
			if i+5 > len(src) || word32(src[i+1:]) != wordAlse {
				return t.failed(i, "expected false")
			}
			i += 5
			n.End = uint32(i)
			n.Kind, kind = False, False
		case '1', '2', '3', '4', '5', '6', '7', '8', '9':
			// Whole numbers of a few digits; number reads all others again.
			n.Kind = Number
			end := i + 1
			for end < len(src) && src[end]-'0' <= 9 {
				end++
			}
			if end-i <= min(16, lim.Digits) && (end == len(src) || src[end] <= ',' && src[end] != '+' || src[end] == '}' || src[end] == ']') {
				n.End = uint32(end)
				n.Flags |= Whole
				kind = wholeNumber
				i = end
				break
			}
			fallthrough
		case '-', '0':
			end, whole, err := number(src, i, lim)
			if err != nil {
				return err
			}
			n.End = uint32(end)
			n.Kind, kind = Number, Number
			if whole {
				n.Flags |= Whole
				kind = wholeNumber
			}
			i = end
		default:
			return t.failed(i, "expected a value")
		}
		if act = Act(rule.Acts>>(2*kind)) & 3; act != Fits {
			if act == Wrong {
				found.Wrong = true
			} else {
				found.Later = append(found.Later, Visit{uint32(used - 1), want})
			}
		}
		if rule.Mark != 0 {
			found.Marked = append(found.Marked, Visit{uint32(used - 1), rule.Mark})
		}
	}
after:
	if i < len(src) && src[i] == ',' && open != none {
		goto comma // as compact texts go on
	}
	if i < len(src) && src[i] <= ' ' {
		i = skip(src, i)
	}
	if open == none {
		t.Nodes = nodes[:used]
		if i < len(src) {
			return t.failed(i, "something after the end of the value")
		}
		return nil
	}
	if i < len(src) && src[i] == ',' {
		goto comma
	}
	if i >= len(src) || src[i] != nodes[open].Kind.closing() {
		return t.failed(i, "expected , or "+string(nodes[open].Kind.closing()))
	}
closed:
	{
		n := &nodes[open]
		i++
		n.End = uint32(i)
		n.Count = count
		parent := n.Next
		n.Next = uint32(used)
		if required != g.Rules[box].Required {
			found.Wrong = true
		}
		if object && unlisted > 1 {
			t.Nodes = nodes[:used]
			if twin := t.twin(int(open)); twin >= 0 {
				return t.repeated(twin)
			}
		}
		depth--
		open = parent
		if object = false; open != none {
			object, count = nodes[open].Kind == Object, nodes[open].Count
		}
		f := t.frames[len(t.frames)-1]
		t.frames = t.frames[:len(t.frames)-1]
		t.met = t.met[:len(t.met)-len(met)]
		box, required, unlisted, met = f.rule, f.required, f.unlisted, t.met[f.met:]
		slots, members = g.names(box)
		goto after
	}
comma:
	if i++; i < len(src) && src[i] <= ' ' {
		i = skip(src, i)
	}
child:
	if count++; count > uint32(lim.Elements) {
		if object {
			return t.failed(i, fmt.Sprintf("an object of more than %d names", lim.Elements))
		}
		return t.failed(i, fmt.Sprintf("an array of more than %d elements", lim.Elements))
	}
	if !object {
		keyOff, keyEnd, hash, flags = 0, 0, 0, 0
		want = g.Rules[box].Items
		goto value
	}
	if i >= len(src) || src[i] != '"' {
		return t.failed(i, "expected a name in quotes")
	}
	{
		i++
		var w0, w1, w2, w3 uint64 // the name's first 32 bytes
		var rest []byte           // and those behind them
		w := binary.LittleEndian.Uint64(stops[i>>3:]) >> (i & 7)
		size := bits.TrailingZeros64(w)
		end := i + size
		if uint(i)+32 > uint(len(src)) || size > 32 || uint(end) >= uint(len(src)) || src[end] != '"' {
			goto longName
		}
		{
			first := &firsts[size]
			head := src[i : i+32 : i+32]
			w0 = binary.LittleEndian.Uint64(head) & first[0]
			w1 = binary.LittleEndian.Uint64(head[8:]) & first[1]
			w2 = binary.LittleEndian.Uint64(head[16:]) & first[2]
			w3 = binary.LittleEndian.Uint64(head[24:]) & first[3]
			hash = uint32(mix(mix(hashStart, w0, w1), w2, w3))
			keyOff, keyEnd, flags = uint32(i), uint32(end), 0
		}
		goto named
	longName:
		{
			name, err := t.name(i, &keyOff, &keyEnd, &flags)
			if err != nil {
				return err
			}
			head := heads(name)
			w0, w1, w2, w3 = head[0], head[1], head[2], head[3]
			if end = int(keyEnd); flags != 0 {
				end = t.ended
			}
			rest = name[min(32, len(name)):]
			hash = Hash(name)
		}
	named:
		i = end + 1
		if i >= len(src) || src[i] != ':' {
			if i = skip(src, i); i >= len(src) || src[i] != ':' {
				return t.failed(i, "expected :")
			}
		}
		i++
		want = none
		if len(slots) > 0 {
			size := keyEnd - keyOff
			for at := hash; ; at++ {
				k := int(slots[at&uint32(len(slots)-1)]) - 1
				if uint(k) >= uint(len(members)) {
					break
				}
				m := &members[k]
				if (m.head[0]^w0)|(m.head[1]^w1)|(m.head[2]^w2)|(m.head[3]^w3) == 0 && m.size == size &&
					(size <= 32 || string(g.Text[m.rest:m.rest+size-32]) == string(rest)) {
					if met[k>>6]>>(k&63)&1 != 0 {
						return t.repeatedName(i, keyOff, keyEnd, flags)
					}
					met[k>>6] |= 1 << (k & 63)
					required += m.Required
					want = m.Rule
					break
				}
			}
		}
		if want == none {
			unlisted++
			if want = g.Rules[box].Other; want == Stray {
				found.Strays = append(found.Strays, uint32(used))
				want = 0
			}
		}
		goto value
	}
}

// name reads a member's name in the slow way: one that is long, or near the end of the text,
// or not in ASCII, or with escapes. Its closing quote is left in t.ended.
func (t *Tape) name(i int, off, end *uint32, flags *Flags) ([]byte, error) {
	at, ok := plain(t.Src, i)
	if ok {
		*off, *end, *flags, t.ended = uint32(i), uint32(at), 0, at
		return t.Src[i:at], nil
	}
	n := Node{KeyOff: uint32(i)}
	at, err := t.escapedKey(&n)
	if err != nil {
		return nil, err
	}
	*off, *end, *flags, t.ended = n.KeyOff, n.KeyEnd, KeyEscaped, at
	return t.arena[n.KeyOff:n.KeyEnd], nil
}

// enter makes room for the bits of an object's members.
func (t *Tape) enter(g *Guide, r *Rule) (slots []uint16, members []Member, met []uint64) {
	from := len(t.met)
	for range (r.Count + 63) / 64 {
		t.met = append(t.met, 0)
	}
	return g.Slots[r.Slots : r.Slots+r.SlotN], g.Members[r.Members : r.Members+r.Count], t.met[from:]
}

// names are the names of an object with their table.
func (g *Guide) names(rule uint32) (slots []uint16, members []Member) {
	r := &g.Rules[rule]
	return g.Slots[r.Slots : r.Slots+r.SlotN], g.Members[r.Members : r.Members+r.Count]
}

// grown is nodes with room for more, and never for more than most.
func grown(nodes []Node, most int) []Node {
	bigger := make([]Node, min(max(2*len(nodes), 64), most))
	copy(bigger, nodes)
	return bigger
}

func (k Kind) closing() byte {
	if k == Object {
		return '}'
	}
	return ']'
}

func (t *Tape) failed(at int, what string) error { return &SyntaxError{Offset: at, What: what} }

// repeatedName is repeated for a name whose value, which begins at i, was not read yet.
func (t *Tape) repeatedName(i int, off, end uint32, flags Flags) error {
	t.Nodes = append(t.Nodes[:0], Node{Off: uint32(skip(t.Src, i)), KeyOff: off, KeyEnd: end, Flags: flags})
	return t.repeated(0)
}

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
