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
		t.Nodes = make([]Node, 0, min(len(src)/16+8, 1<<12))
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

// scan is the tokeniser. While a container is open, its Next holds its parent's index.
func (t *Tape) scan(lim *Limits) error {
	var (
		src    = t.Src
		nodes  = t.Nodes
		i      int
		open   = none
		object bool
		depth  int
		node   Node
	)
value:
	if i = skip(src, i); i >= len(src) {
		return t.failed(i, "the text ends where a value should be")
	}
	node.Off = uint32(i)
	switch c := src[i]; c {
	case '"':
		end, hash, ok := quoted(src, i+1)
		_ = hash
		node.Kind, node.Off = String, uint32(i+1)
		if !ok {
			var err error
			if end, node.Count, err = t.escapedValue(i + 1); err != nil {
				return err
			}
			node.Flags |= Escaped
		}
		node.End = uint32(end)
		i = end + 1
	case '{', '[':
		if depth++; depth > lim.Depth {
			return t.failed(i, fmt.Sprintf("nested deeper than %d levels", lim.Depth))
		}
		node.Kind, node.Next = Array, open
		object = c == '{'
		if object {
			node.Kind = Object
		}
		open = uint32(len(nodes))
		nodes = append(nodes, node)
		if i = skip(src, i+1); i < len(src) && src[i] == c+2 {
			goto closed
		}
		goto child
	case 't', 'f', 'n':
		word := "true"
		node.Kind = True
		switch c {
		case 'f':
			word, node.Kind = "false", False
		case 'n':
			word, node.Kind = "null", Null
		}
		if len(src)-i < len(word) || string(src[i:i+len(word)]) != word {
			return t.failed(i, "expected "+word)
		}
		i += len(word)
		node.End = uint32(i)
	default:
		if c != '-' && (c < '0' || c > '9') {
			return t.failed(i, "expected a value")
		}
		end, whole, err := number(src, i, lim)
		if err != nil {
			return err
		}
		node.Kind, node.End = Number, uint32(end)
		if whole {
			node.Flags |= Whole
		}
		i = end
	}
	node.Next = uint32(len(nodes) + 1)
	nodes = append(nodes, node)
after:
	i = skip(src, i)
	if open == none {
		t.Nodes = nodes
		if i < len(src) {
			return t.failed(i, "something after the end of the value")
		}
		return nil
	}
	if i < len(src) && src[i] == ',' {
		i = skip(src, i+1)
		goto child
	}
	if i >= len(src) || src[i] != nodes[open].Kind.closing() {
		return t.failed(i, "expected , or "+string(nodes[open].Kind.closing()))
	}
closed:
	{
		box := &nodes[open]
		i++
		box.End = uint32(i)
		parent := box.Next
		box.Next = uint32(len(nodes))
		if object {
			t.Nodes = nodes
			if twin := t.twin(int(open)); twin >= 0 {
				return t.repeated(twin)
			}
		}
		open = parent
		object = open != none && nodes[open].Kind == Object
		depth--
		goto after
	}
child:
	node = Node{}
	if len(nodes) >= lim.Nodes {
		return t.failed(i, fmt.Sprintf("more than %d values", lim.Nodes))
	}
	if nodes[open].Count++; nodes[open].Count > uint32(lim.Elements) {
		if object {
			return t.failed(i, fmt.Sprintf("an object of more than %d names", lim.Elements))
		}
		return t.failed(i, fmt.Sprintf("an array of more than %d elements", lim.Elements))
	}
	if !object {
		goto value
	}
	if i >= len(src) || src[i] != '"' {
		return t.failed(i, "expected a name in quotes")
	}
	{
		end, hash, ok := quoted(src, i+1)
		node.KeyOff, node.KeyEnd = uint32(i+1), uint32(end)
		if !ok {
			var err error
			if end, err = t.escapedKey(&node); err != nil {
				return err
			}
			hash = Hash(t.arena[node.KeyOff:node.KeyEnd])
		}
		node.Hash = hash
		if i = skip(src, end+1); i >= len(src) || src[i] != ':' {
			return t.failed(i, "expected :")
		}
		i++
		goto value
	}
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
