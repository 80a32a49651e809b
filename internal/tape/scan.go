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
	t.clear()
	lim = lim.orDefault()
	if len(src) > lim.Bytes {
		return &SyntaxError{What: fmt.Sprintf("a text of %d bytes; at most %d are read", len(src), lim.Bytes)}
	}
	if bytes.HasPrefix(src, []byte("\xef\xbb\xbf")) || bytes.HasPrefix(src, []byte("\xff\xfe")) || bytes.HasPrefix(src, []byte("\xfe\xff")) {
		return &SyntaxError{What: "a byte order mark; write plain UTF-8"}
	}
	t.Src, t.Raw = src, true
	if cap(t.Nodes) == 0 {
		t.Nodes = make([]Node, 0, min(len(src)/typicalLen+8, 1<<12, lim.Nodes))
	}
	if err := t.scan(&lim); err != nil {
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
// for every value costs as much as the value. While a container is open, its Next holds
// its parent's index.
func (t *Tape) scan(lim *Limits) error {
	var (
		src    = t.Src
		nodes  = t.Nodes[:cap(t.Nodes)]
		used   int // of nodes
		open   = none
		object bool // the open container is one
		depth  int
		count  uint32 // of the open container
		i      int
		seen   uint64 // bytes of a string, for those that are not ASCII
		// The name of the value that comes next.
		keyOff, keyEnd, hash uint32
		flags                Flags
	)
value:
	if i < len(src) && src[i] <= ' ' {
		i = skip(src, i)
	}
	if i >= len(src) {
		return t.failed(i, "the text ends where a value should be")
	}
	if used == len(nodes) {
		if used >= lim.Nodes {
			return t.failed(i, fmt.Sprintf("more than %d values", lim.Nodes))
		}
		nodes = grown(nodes, lim.Nodes)
	}
	{
		n := &nodes[used]
		n.KeyOff, n.KeyEnd, n.Hash, n.Flags = keyOff, keyEnd, hash, flags
		n.Count = 0
		n.Off = uint32(i)
		used++
		n.Next = uint32(used)
		switch c := src[i]; c {
		case '"':
			i++
			n.Kind, n.Off = String, uint32(i)
			end, ok := i, false
			for {
				if uint(end)+8 > uint(len(src)) {
					end, ok = plain(src, i)
					break
				}
				w := binary.LittleEndian.Uint64(src[end:])
				stop := stops(w)
				seen |= w
				if stop == 0 {
					end += 8
					continue
				}
				end += bits.TrailingZeros64(stop) >> 3
				ok = src[end] == '"'
				break
			}
			if seen &= highs; seen != 0 {
				// Perhaps only behind the quote: plain looks closer.
				end, ok = plain(src, i)
				seen = 0
			}
			if !ok {
				var err error
				if end, n.Count, err = t.escapedValue(i); err != nil {
					return err
				}
				n.Flags |= Escaped
			}
			n.End = uint32(end)
			i = end + 1
		case '{', '[':
			if depth++; depth > lim.Depth {
				return t.failed(i, fmt.Sprintf("nested deeper than %d levels", lim.Depth))
			}
			if open != none {
				nodes[open].Count = count
			}
			object, count = c == '{', 0
			n.Kind, n.Next = Array, open
			if object {
				n.Kind = Object
			}
			open = uint32(used - 1)
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
			n.Kind, n.End = Null, uint32(i)
		case 't':
			if i+4 > len(src) || word32(src[i:]) != wordTrue {
				return t.failed(i, "expected true")
			}
			i += 4
			n.Kind, n.End = True, uint32(i)
		case 'f':
			if i+5 > len(src) || word32(src[i+1:]) != wordAlse {
				return t.failed(i, "expected false")
			}
			i += 5
			n.Kind, n.End = False, uint32(i)
		case '1', '2', '3', '4', '5', '6', '7', '8', '9':
			// Whole numbers of a few digits; number reads all others again.
			n.Kind = Number
			end := i + 1
			for end < len(src) && src[end]-'0' <= 9 {
				end++
			}
			if end-i <= 20 && end-i <= lim.Digits && (end == len(src) || src[end] <= ',' && src[end] != '+' || src[end] == '}' || src[end] == ']') {
				n.End = uint32(end)
				n.Flags |= Whole
				i = end
				break
			}
			fallthrough
		case '-', '0':
			end, whole, err := number(src, i, lim)
			if err != nil {
				return err
			}
			n.Kind, n.End = Number, uint32(end)
			if whole {
				n.Flags |= Whole
			}
			i = end
		default:
			return t.failed(i, "expected a value")
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
		box := &nodes[open]
		i++
		box.End = uint32(i)
		box.Count = count
		parent := box.Next
		box.Next = uint32(used)
		if object && count > 1 {
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
	keyOff, keyEnd, hash, flags = 0, 0, 0, 0
	if !object {
		goto value
	}
	if i >= len(src) || src[i] != '"' {
		return t.failed(i, "expected a name in quotes")
	}
	{
		i++
		end, h, ok := i, uint64(hashStart), false
		for {
			if uint(end)+8 > uint(len(src)) {
				end, h, ok = quoted(src, i)
				break
			}
			w := binary.LittleEndian.Uint64(src[end:])
			stop := stops(w)
			seen |= w
			if stop == 0 {
				h = mix(h, w)
				end += 8
				continue
			}
			n := bits.TrailingZeros64(stop) >> 3
			end += n
			h = finish(mix(h, w&(1<<(n<<3&63)-1)), end-i)
			ok = src[end] == '"'
			break
		}
		if seen &= highs; seen != 0 {
			end, h, ok = quoted(src, i)
			seen = 0
		}
		keyOff, keyEnd, hash = uint32(i), uint32(end), uint32(h)
		if !ok {
			n := Node{KeyOff: keyOff}
			var err error
			if end, err = t.escapedKey(&n); err != nil {
				return err
			}
			keyOff, keyEnd, flags = n.KeyOff, n.KeyEnd, KeyEscaped
			hash = Hash(t.arena[keyOff:keyEnd])
		}
		i = end + 1
		if i >= len(src) || src[i] != ':' {
			if i = skip(src, i); i >= len(src) || src[i] != ':' {
				return t.failed(i, "expected :")
			}
		}
		i++
		goto value
	}
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

func (t *Tape) repeated(i int) error {
	n := &t.Nodes[i]
	at := n.KeyOff - 1
	if n.Flags&KeyEscaped != 0 {
		at = n.Off
	}
	return &SyntaxError{Offset: int(at), What: "the name " + ShowName(string(t.Key(i))) + " stands twice in one object"}
}

// number reads the grammar of RFC 8259 §6; whole as the flag Whole.
func number(src []byte, start int, lim *Limits) (end int, whole bool, err error) {
	i := start
	if src[i] == '-' {
		i++
	}
	first := i
	i = digits(src, i)
	bad := i == first || i > first+1 && src[first] == '0'
	whole = !bad && (i != first+1 || src[first] != '0' || first == start)
	huge := false
	if !bad && i < len(src) && src[i] == '.' {
		from := i + 1
		i = digits(src, from)
		bad, whole = i == from, false
	}
	if !bad && i < len(src) && src[i]|0x20 == 'e' {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		from := i
		i = digits(src, from)
		bad, whole = i == from, false
		huge = exponentBeyond(src[from:i], lim.Exponent)
	}
	if bad || i < len(src) && numberByte(src[i]) {
		return 0, false, &SyntaxError{Offset: start, What: "a number that JSON does not allow"}
	}
	if huge || i-start > lim.Digits {
		return 0, false, &SyntaxError{Offset: start, TooBig: true,
			What: fmt.Sprintf("a number of more than %d characters or an exponent beyond %d", lim.Digits, lim.Exponent)}
	}
	return i, whole, nil
}

func digits(src []byte, i int) int {
	for i < len(src) && src[i]-'0' <= 9 {
		i++
	}
	return i
}

func numberByte(c byte) bool {
	return c-'0' <= 9 || c == '+' || c == '-' || c == '.' || c|0x20 == 'e'
}

func exponentBeyond(digits []byte, limit int) bool {
	n := 0
	for _, c := range digits {
		if n = n*10 + int(c-'0'); n > limit {
			return true
		}
	}
	return false
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
