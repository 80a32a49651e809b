package tape

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plain scans a string's content from i on, eight bytes at a time, and returns the index of
// the closing quote. ok is false where the string is not plain: an escape, a fault, or the end
// of the text; the slow way says which.
func plain(src []byte, i int) (end int, ok bool) {
	start, seen := i, uint64(0)
	for i+8 <= len(src) {
		w := binary.LittleEndian.Uint64(src[i:])
		stop := stops(w)
		if stop == 0 {
			seen |= w
			i += 8
			continue
		}
		n := bits.TrailingZeros64(stop) >> 3
		w &= 1<<(n<<3&63) - 1
		i += n
		return i, src[i] == '"' && ((seen|w)&highs == 0 || utf8.Valid(src[start:i]))
	}
	return plainTail(src, start, i)
}

// plainTail is plain for the last bytes of the text.
func plainTail(src []byte, start, i int) (end int, ok bool) {
	for i < len(src) && src[i] >= 0x20 && src[i] != '"' && src[i] != '\\' {
		i++
	}
	return i, i < len(src) && src[i] == '"' && utf8.Valid(src[start:i])
}

// stops has a bit set in each byte of w that ends a plain piece of a string: a quote, a
// backslash or a control character. Only the lowest bit is exact; borrows can set others
// above it.
func stops(w uint64) uint64 {
	return (((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones) | (w - 0x20*ones)) & ^w & highs
}

// escapedKey decodes the name that starts at n.KeyOff into the arena.
func (t *Tape) escapedKey(n *Node) (end int, err error) {
	from := len(t.arena)
	if end, err = t.unescape(int(n.KeyOff)); err != nil {
		return 0, err
	}
	n.Flags |= KeyEscaped
	n.KeyOff, n.KeyEnd = uint32(from), uint32(len(t.arena))
	return end, nil
}

// escapedValue decodes the string at start into the arena, behind its length; at is where
// the text begins.
func (t *Tape) escapedValue(start int) (end int, at uint32, err error) {
	t.arena = append(t.arena, 0, 0, 0, 0)
	from := len(t.arena)
	if end, err = t.unescape(start); err != nil {
		return 0, 0, err
	}
	binary.LittleEndian.PutUint32(t.arena[from-4:], uint32(len(t.arena)-from))
	return end, uint32(from), nil
}

// unescape appends a string's decoded content to the arena and returns the index of its
// closing quote.
func (t *Tape) unescape(start int) (end int, err error) {
	src, i := t.Src, start
	for {
		from := i
		for i < len(src) && src[i] != '"' && src[i] != '\\' && src[i] >= 0x20 {
			i++
		}
		if bad := firstInvalid(src[from:i]); bad < i-from {
			return 0, t.failed(from+bad, "not valid UTF-8")
		}
		t.arena = append(t.arena, src[from:i]...)
		switch {
		case i >= len(src):
			return 0, t.failed(i, "a string without its closing quote")
		case src[i] == '"':
			return i, nil
		case src[i] < 0x20:
			return 0, t.failed(i, "a control character inside a string")
		}
		if i, err = t.escape(i); err != nil {
			return 0, err
		}
	}
}

// escape decodes the escape at i and returns where it ends.
func (t *Tape) escape(i int) (int, error) {
	src := t.Src
	if i+1 >= len(src) {
		return 0, t.failed(i, "a string without its closing quote")
	}
	if k := strings.IndexByte(`"\/bfnrt`, src[i+1]); k >= 0 {
		t.arena = append(t.arena, "\"\\/\b\f\n\r\t"[k])
		return i + 2, nil
	}
	if src[i+1] != 'u' {
		return 0, t.failed(i, "an unknown escape in a string")
	}
	first, ok := hex4(src, i)
	if !ok {
		return 0, t.failed(i, `\u needs four hexadecimal digits`)
	}
	if !utf16.IsSurrogate(first) {
		t.arena = utf8.AppendRune(t.arena, first)
		return i + 6, nil
	}
	if i+7 < len(src) && src[i+6] == '\\' && src[i+7] == 'u' {
		second, ok := hex4(src, i+6)
		if !ok {
			return 0, t.failed(i+6, `\u needs four hexadecimal digits`)
		}
		if c := utf16.DecodeRune(first, second); c != utf8.RuneError {
			t.arena = utf8.AppendRune(t.arena, c)
			return i + 12, nil
		}
	}
	return 0, t.failed(i, "half of a surrogate pair")
}

// hex4 reads the four hexadecimal digits of the escape at i.
func hex4(src []byte, i int) (rune, bool) {
	if i+6 > len(src) {
		return 0, false
	}
	var n rune
	for _, c := range src[i+2 : i+6] {
		switch {
		case c-'0' <= 9:
			n = n<<4 | rune(c-'0')
		case (c|0x20)-'a' <= 5:
			n = n<<4 | rune((c|0x20)-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// ShowName writes a name that somebody else chose: bounded, printable, and not at all
// where it looks like a value (a card number or an address pasted as a name).
func ShowName(name string) string {
	digits := 0
	for i := 0; i < len(name); i++ {
		if name[i]-'0' <= 9 {
			digits++
		}
	}
	if name == "" || len(name) > 64 || digits > 8 || strings.ContainsRune(name, '@') {
		return "of " + strconv.Itoa(len(name)) + " bytes"
	}
	return strconv.QuoteToASCII(name)
}
