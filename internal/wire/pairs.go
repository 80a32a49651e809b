package wire

import (
	"bytes"
	"unicode/utf8"

	"sallyport/internal/problem"
)

// span is a part of a Reader's text.
type span struct{ off, end uint32 }

// pair is one name and value, decoded. open is where the name's first bracket stands, or
// where it ends.
type pair struct {
	key, value span
	open       uint32
}

// What a byte means between pairs.
const (
	plainByte = iota
	percentByte
	plusByte
	ampersandByte
	equalsByte
	semicolonByte
	controlByte
	highByte // part of a character beyond ASCII
)

var byteKind = func() (kinds [256]uint8) {
	for c := range kinds {
		switch {
		case c < 0x20 || c == 0x7f:
			kinds[c] = controlByte
		case c >= 0x80:
			kinds[c] = highByte
		}
	}
	kinds['%'], kinds['+'], kinds['&'], kinds['='], kinds[';'] = percentByte, plusByte, ampersandByte, equalsByte, semicolonByte
	return kinds
}()

// split reads a query or a form body into pairs (WHATWG URL §5.1, but strict): & separates,
// + is a space, and a semicolon, a bad escape, invalid UTF-8 or a control character that is
// not escaped is an error, because parsers differ over them. So is NUL in any shape.
func (r *Reader) split(src []byte) error {
	if cap(r.text) < len(src) {
		r.text = make([]byte, len(src)+64)
	}
	text, n := r.text[:cap(r.text)], 0
	for i := 0; i <= len(src); i++ {
		from := i
		p := pair{key: span{off: uint32(n)}}
		inKey, high := true, false
	scan:
		for ; i < len(src); i++ {
			for i < len(src) && n < len(text) && byteKind[src[i]] == plainByte {
				text[n] = src[i]
				i, n = i+1, n+1
			}
			if i >= len(src) {
				break
			}
			c := src[i]
			switch byteKind[c] {
			case plusByte:
				c = ' '
			case ampersandByte:
				break scan
			case equalsByte:
				if inKey {
					inKey, p.key.end = false, uint32(n)
					p.value.off = uint32(n)
					continue
				}
			case percentByte:
				d, ok := unhex(src, i+1)
				if !ok {
					return r.badPair("is not percent-encoded UTF-8")
				}
				c, i = d, i+2
				high = high || c >= 0x80
				if c == 0 {
					return r.badPair("holds a NUL character")
				}
			case highByte:
				high = true
			case semicolonByte:
				return problem.New(r.code, "a semicolon stands between parameters").WithHint("separate them with &; write %%3B where a value has a semicolon")
			default:
				return r.badPair("holds a control character that is not percent-encoded")
			}
			text[n] = c
			n++
		}
		if i == from {
			continue
		}
		if inKey {
			p.key.end = uint32(n)
			p.value.off = uint32(n)
		}
		p.value.end = uint32(n)
		if err := r.addPair(text, p, high); err != nil {
			return err
		}
	}
	r.text = text[:n]
	return nil
}

func (r *Reader) addPair(text []byte, p pair, high bool) error {
	if high && !(utf8.Valid(text[p.key.off:p.key.end]) && utf8.Valid(text[p.value.off:p.value.end])) {
		return r.badPair("is not percent-encoded UTF-8")
	}
	if p.key.off == p.key.end {
		return r.badPair("has no name")
	}
	if len(r.pairs) >= maxPairs {
		return refuse(r.code, "more than %d parameters", maxPairs)
	}
	p.open = p.key.end
	if open := bytes.IndexByte(text[p.key.off:p.key.end], '['); open >= 0 {
		p.open = p.key.off + uint32(open)
	}
	r.pairs = append(r.pairs, p)
	return nil
}

func (r *Reader) badPair(what string) error {
	return refuse(r.code, "parameter %d %s", len(r.pairs)+1, what)
}

// unhex reads the two hexadecimal digits of an escape.
func unhex(src []byte, i int) (byte, bool) {
	if i+2 > len(src) {
		return 0, false
	}
	high, low := hexValue(src[i]), hexValue(src[i+1])
	return high<<4 | low, high|low < 16
}

// hexValue is 0–15, or 0x80 for what is no digit.
func hexValue(c byte) byte {
	switch {
	case c-'0' <= 9:
		return c - '0'
	case (c|0x20)-'a' <= 5:
		return (c | 0x20) - 'a' + 10
	}
	return 0x80
}

const (
	unreserved = "-._~"              // RFC 3986 §2.3, beside letters and digits
	segment    = "-._~:@!$&'()*+,;=" // what a path's own text may hold
	upperHex   = "0123456789ABCDEF"
)

// appendEscaped keeps only the unreserved characters of RFC 3986 §2.3; a space is %20, which
// every decoder of queries and forms reads as a space.
func appendEscaped(dst, s []byte) []byte {
	for _, c := range s {
		if plainURL[c] {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
	}
	return dst
}

var plainURL = func() (plain [256]bool) {
	for c := range plain {
		plain[c] = c-'0' >= 0 && c-'0' <= 9 || c|0x20 >= 'a' && c|0x20 <= 'z' && c < 0x80
	}
	for _, c := range []byte(unreserved) {
		plain[c] = true
	}
	return plain
}()
