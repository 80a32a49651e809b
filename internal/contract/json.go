package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of any JSON text, in either direction.
const (
	maxDepth    = 64
	maxElements = 10_000 // of one array or one object
	maxDigits   = 128    // characters of one number
	maxExponent = 308    // of one number, either sign
)

// syntaxError is why a text is not acceptable JSON. Its words never hold a value.
type syntaxError struct {
	at      int // byte offset
	what    string
	tooHuge bool // well formed, but a number beyond what we compare exactly
}

func (e *syntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.at, e.what) }

// object is a JSON object that remembers the order of its members; only contract
// documents are read that way.
type object struct {
	keys   []string
	values map[string]any
}

// reader is a strict JSON reader (RFC 8259): valid UTF-8 without a byte order mark,
// no duplicate names, no lone surrogates, numbers kept as written.
type reader struct {
	src     []byte
	pos     int
	depth   int
	ordered bool
}

// readJSON reads src as map[string]any, []any, string, json.Number, bool or nil; with
// ordered, objects are *object instead.
func readJSON(src []byte, ordered bool) (any, error) {
	if bytes.HasPrefix(src, []byte("\xef\xbb\xbf")) || bytes.HasPrefix(src, []byte("\xff\xfe")) || bytes.HasPrefix(src, []byte("\xfe\xff")) {
		return nil, &syntaxError{what: "a byte order mark; write plain UTF-8"}
	}
	if !utf8.Valid(src) {
		return nil, &syntaxError{at: firstInvalid(src), what: "not valid UTF-8"}
	}
	r := &reader{src: src, ordered: ordered}
	v, err := r.value()
	if err != nil {
		return nil, err
	}
	r.space()
	if r.pos < len(src) {
		return nil, r.fail("something after the end of the value")
	}
	return v, nil
}

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

func (r *reader) fail(what string) error { return &syntaxError{at: r.pos, what: what} }

func (r *reader) space() {
	for r.pos < len(r.src) {
		switch r.src[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

// next skips space and returns the next byte; 0 at the end.
func (r *reader) next() byte {
	r.space()
	if r.pos >= len(r.src) {
		return 0
	}
	return r.src[r.pos]
}

func (r *reader) value() (any, error) {
	switch c := r.next(); {
	case c == '{' || c == '[':
		if r.depth++; r.depth > maxDepth {
			return nil, r.fail(fmt.Sprintf("nested deeper than %d levels", maxDepth))
		}
		defer func() { r.depth-- }()
		if c == '{' {
			return r.object()
		}
		return r.array()
	case c == '"':
		return r.str()
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	case c == 't':
		return true, r.literal("true")
	case c == 'f':
		return false, r.literal("false")
	case c == 'n':
		return nil, r.literal("null")
	case r.pos >= len(r.src):
		return nil, r.fail("the text ends where a value should be")
	}
	return nil, r.fail("expected a value")
}

func (r *reader) literal(word string) error {
	if !bytes.HasPrefix(r.src[r.pos:], []byte(word)) {
		return r.fail("expected " + word)
	}
	r.pos += len(word)
	return nil
}

func (r *reader) array() (any, error) {
	r.pos++
	list := []any{}
	if r.next() == ']' {
		r.pos++
		return list, nil
	}
	for {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		if len(list) >= maxElements {
			return nil, r.fail(fmt.Sprintf("an array of more than %d elements", maxElements))
		}
		list = append(list, v)
		switch r.next() {
		case ',':
			r.pos++
		case ']':
			r.pos++
			return list, nil
		default:
			return nil, r.fail("expected , or ]")
		}
	}
}

func (r *reader) object() (any, error) {
	r.pos++
	o := &object{values: map[string]any{}}
	if r.next() == '}' {
		r.pos++
		return r.close(o), nil
	}
	for {
		if err := r.member(o); err != nil {
			return nil, err
		}
		switch r.next() {
		case ',':
			r.pos++
		case '}':
			r.pos++
			return r.close(o), nil
		default:
			return nil, r.fail("expected , or }")
		}
	}
}

func (r *reader) close(o *object) any {
	if r.ordered {
		return o
	}
	return o.values
}

func (r *reader) member(o *object) error {
	if r.next() != '"' {
		return r.fail("expected a name in quotes")
	}
	start := r.pos
	name, err := r.str()
	if err != nil {
		return err
	}
	if _, twice := o.values[name]; twice {
		return &syntaxError{at: start, what: "the name " + showName(name) + " stands twice in one object"}
	}
	if len(o.values) >= maxElements {
		return r.fail(fmt.Sprintf("an object of more than %d names", maxElements))
	}
	if r.next() != ':' {
		return r.fail("expected :")
	}
	r.pos++
	v, err := r.value()
	if err != nil {
		return err
	}
	o.values[name] = v
	if r.ordered {
		o.keys = append(o.keys, name)
	}
	return nil
}

func (r *reader) str() (string, error) {
	r.pos++
	start := r.pos
	for r.pos < len(r.src) {
		switch c := r.src[r.pos]; {
		case c == '"':
			s := string(r.src[start:r.pos])
			r.pos++
			return s, nil
		case c == '\\':
			return r.escaped(start)
		case c < 0x20:
			return "", r.fail("a control character inside a string")
		}
		r.pos++
	}
	return "", r.fail("a string without its closing quote")
}

// escaped goes on with a string at its first backslash.
func (r *reader) escaped(start int) (string, error) {
	out := append([]byte(nil), r.src[start:r.pos]...)
	for r.pos < len(r.src) {
		switch c := r.src[r.pos]; {
		case c == '"':
			r.pos++
			return string(out), nil
		case c < 0x20:
			return "", r.fail("a control character inside a string")
		case c != '\\':
			out = append(out, c)
			r.pos++
		default:
			var err error
			if out, err = r.escape(out); err != nil {
				return "", err
			}
		}
	}
	return "", r.fail("a string without its closing quote")
}

func (r *reader) escape(out []byte) ([]byte, error) {
	if r.pos+1 >= len(r.src) {
		return nil, r.fail("a string without its closing quote")
	}
	c := r.src[r.pos+1]
	if i := bytes.IndexByte([]byte(`"\/bfnrt`), c); i >= 0 {
		r.pos += 2
		return append(out, "\"\\/\b\f\n\r\t"[i]), nil
	}
	if c != 'u' {
		return nil, r.fail("an unknown escape in a string")
	}
	first, err := r.hex4()
	if err != nil {
		return nil, err
	}
	if !utf16.IsSurrogate(first) {
		return utf8.AppendRune(out, first), nil
	}
	if r.pos+1 < len(r.src) && r.src[r.pos] == '\\' && r.src[r.pos+1] == 'u' {
		second, err := r.hex4()
		if err != nil {
			return nil, err
		}
		if c := utf16.DecodeRune(first, second); c != utf8.RuneError {
			return utf8.AppendRune(out, c), nil
		}
	}
	return nil, r.fail("half of a surrogate pair")
}

// hex4 reads \uXXXX.
func (r *reader) hex4() (rune, error) {
	if r.pos+6 > len(r.src) {
		return 0, r.fail(`\u needs four hexadecimal digits`)
	}
	n, err := strconv.ParseUint(string(r.src[r.pos+2:r.pos+6]), 16, 32)
	if err != nil {
		return 0, r.fail(`\u needs four hexadecimal digits`)
	}
	r.pos += 6
	return rune(n), nil
}

func (r *reader) number() (any, error) {
	start := r.pos
	for r.pos < len(r.src) && bytes.IndexByte([]byte("+-.eE0123456789"), r.src[r.pos]) >= 0 {
		r.pos++
	}
	text := string(r.src[start:r.pos])
	switch shape := numberShape(text); shape {
	case notNumber:
		return nil, &syntaxError{at: start, what: "a number that JSON does not allow"}
	case hugeNumber:
		return nil, &syntaxError{at: start, tooHuge: true,
			what: fmt.Sprintf("a number of more than %d characters or an exponent beyond %d", maxDigits, maxExponent)}
	}
	return json.Number(text), nil
}
