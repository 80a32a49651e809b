package tape

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Value is value i as a Go tree: string, json.Number, bool, nil, []any or map[string]any.
// It copies; it is for cold paths.
func (t *Tape) Value(i int) any {
	n := &t.Nodes[i]
	switch n.Kind {
	case False, True:
		return n.Kind == True
	case Number:
		return json.Number(t.Text(i))
	case String:
		return string(t.Text(i))
	case Array:
		list := make([]any, 0, n.Count)
		for c := i + 1; c < int(n.Next); c = int(t.Nodes[c].Next) {
			list = append(list, t.Value(c))
		}
		return list
	case Object:
		m := make(map[string]any, n.Count)
		for c := i + 1; c < int(n.Next); c = int(t.Nodes[c].Next) {
			m[string(t.Key(c))] = t.Value(c)
		}
		return m
	}
	return nil
}

// AppendJSON writes value i compactly, encoded again from what was read: strings escape
// only what JSON demands and DEL, numbers stand as they were written, members in order.
func (t *Tape) AppendJSON(dst []byte, i int) []byte {
	n := &t.Nodes[i]
	switch n.Kind {
	case String:
		return AppendString(dst, t.Text(i))
	case Array:
		dst = append(dst, '[')
		for c := i + 1; c < int(n.Next); c = int(t.Nodes[c].Next) {
			if c > i+1 {
				dst = append(dst, ',')
			}
			dst = t.AppendJSON(dst, c)
		}
		return append(dst, ']')
	case Object:
		dst = append(dst, '{')
		for c := i + 1; c < int(n.Next); c = int(t.Nodes[c].Next) {
			if c > i+1 {
				dst = append(dst, ',')
			}
			dst = append(AppendString(dst, t.Key(c)), ':')
			dst = t.AppendJSON(dst, c)
		}
		return append(dst, '}')
	}
	return append(dst, t.Text(i)...)
}

// AppendString writes s, which must be valid UTF-8, as a JSON string. It escapes quotes,
// backslashes, control characters and DEL, and nothing else.
func AppendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c != 0x7f {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		if c == '"' || c == '\\' {
			dst = append(dst, '\\', c)
			continue
		}
		dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// Member is where member or element i begins in Src: at its name's opening quote, or at
// the value. ok is false where Src does not hold it as JSON, or its name is escaped.
func (t *Tape) Member(i int) (off int, ok bool) {
	n := &t.Nodes[i]
	switch {
	case !t.Raw || n.Flags&KeyEscaped != 0:
		return 0, false
	case n.KeyOff > 0:
		return int(n.KeyOff) - 1, true
	}
	from, _ := t.Span(i)
	return from, true
}

// Span is value i's whole JSON text in Src, with a string's quotes. It means nothing
// where the tape is not Raw.
func (t *Tape) Span(i int) (off, end int) {
	n := &t.Nodes[i]
	if n.Kind == String {
		return int(n.Off) - 1, int(n.End) + 1
	}
	return int(n.Off), int(n.End)
}

// Parents gives the way from the root to node i: the index of every container that holds
// it, the root first, and i itself last.
func (t *Tape) Parents(dst []int, i int) []int {
	at := 0
	for at < len(t.Nodes) {
		dst = append(dst, at)
		if at == i {
			return dst
		}
		c := at + 1
		for c < int(t.Nodes[at].Next) && int(t.Nodes[c].Next) <= i {
			c = int(t.Nodes[c].Next)
		}
		at = c
	}
	return dst
}

// Pointer is the JSON pointer (RFC 6901) of node i, "" for the root.
func (t *Tape) Pointer(i int) string {
	var b strings.Builder
	way := t.Parents(nil, i)
	for k := 1; k < len(way); k++ {
		b.WriteByte('/')
		if box := way[k-1]; t.Nodes[box].Kind == Array {
			n := 0
			for c := box + 1; c < way[k]; c = int(t.Nodes[c].Next) {
				n++
			}
			b.WriteString(strconv.Itoa(n))
			continue
		}
		b.WriteString(escapePointer.Replace(string(t.Key(way[k]))))
	}
	return b.String()
}

var (
	escapePointer   = strings.NewReplacer("~", "~0", "/", "~1")
	unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")
)

// Resolve finds the value at a JSON pointer (RFC 6901), already freed of percent escapes.
func (t *Tape) Resolve(pointer string) (i int, ok bool) {
	if t.Empty() || pointer != "" && pointer[0] != '/' || !utf8.ValidString(pointer) {
		return 0, false
	}
	for pointer != "" {
		step, rest := pointer[1:], ""
		if k := strings.IndexByte(step, '/'); k >= 0 {
			step, rest = step[:k], step[k:]
		}
		switch t.Nodes[i].Kind {
		case Object:
			if i, ok = t.Find(i, unescapePointer.Replace(step)); !ok {
				return 0, false
			}
		case Array:
			n, err := strconv.Atoi(step)
			if err != nil || strconv.Itoa(n) != step {
				return 0, false
			}
			if i, ok = t.Element(i, n); !ok {
				return 0, false
			}
		default:
			return 0, false
		}
		pointer = rest
	}
	return i, true
}

// Element is the nth element of array i.
func (t *Tape) Element(i, n int) (int, bool) {
	box := &t.Nodes[i]
	if box.Kind != Array || n < 0 || n >= int(box.Count) {
		return 0, false
	}
	c := i + 1
	for ; n > 0; n-- {
		c = int(t.Nodes[c].Next)
	}
	return c, true
}
