package wire

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"sallyport/internal/problem"
)

// span is a part of a Reader's text.
type span struct{ off, end uint32 }

// pair is one name and value, decoded. Its name's brackets are Reader.cuts[cut:cutEnd].
type pair struct {
	key, value  span
	cut, cutEnd uint32
}

// What a byte means between pairs.
const (
	plainByte = iota
	percentByte
	plusByte
	ampersandByte
	equalsByte
	semicolonByte
	bracketByte
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
	kinds['['], kinds[']'] = bracketByte, bracketByte
	return kinds
}()

// rawPair is a pair that is being read.
type rawPair struct {
	from    int  // where its name begins
	equals  int  // where the first = stands; 0 without one: then the name would be empty
	escaped int  // where the first escape of the value stands, or 0
	inKey   bool // there is an escape in the name
	high    bool // there are bytes beyond ASCII
	cut     uint32
}

// split reads a query or a form body into pairs (WHATWG URL §5.1, but strict): & separates,
// + is a space, and a semicolon, a bad escape, invalid UTF-8 or a control character that is
// not escaped is an error, because parsers differ over them. So is NUL in any shape.
//
// The text is copied as it is and looked at 64 bytes at once for what is not plain; only what
// is escaped is written again, where it stands.
func (r *Reader) split(src []byte) error {
	n := len(src)
	if cap(r.text) < n+2*block {
		r.text = make([]byte, n+3*block)
	}
	text := r.text[:n+2*block]
	copy(text, src)
	for i := n; i < len(text); i++ {
		text[i] = '&' // ends the last pair, and fills the last block
	}
	p := rawPair{cut: uint32(len(r.cuts))}
	for base := 0; base <= n; base += block {
		for stops := stopsIn((*[block]byte)(text[base:])); stops != 0; stops &= stops - 1 {
			at := base + bits.TrailingZeros64(stops)
			switch byteKind[text[at]] {
			case ampersandByte:
				if at > p.from {
					if err := r.addPair(text, &p, at); err != nil {
						return err
					}
				}
				p = rawPair{from: at + 1, cut: uint32(len(r.cuts))}
			case equalsByte:
				if p.equals == 0 {
					if p.equals = at; at == p.from {
						return r.badPair("has no name")
					}
				}
			case bracketByte:
				if p.equals == 0 {
					r.cuts = append(r.cuts, uint32(at))
				}
			case percentByte, plusByte:
				switch {
				case p.equals == 0:
					p.inKey = true
				case p.escaped == 0:
					p.escaped = at
				}
			case highByte:
				p.high = true
			case semicolonByte:
				return problem.New(r.code, "a semicolon stands between parameters").WithHint("separate them with &; write %%3B where a value has a semicolon")
			case controlByte:
				return r.badPair("holds a control character that is not percent-encoded")
			}
		}
	}
	r.text = text[:n]
	return nil
}

// addPair adds a pair that ends before end.
func (r *Reader) addPair(text []byte, raw *rawPair, end int) error {
	p := pair{key: span{uint32(raw.from), uint32(end)}, value: span{uint32(end), uint32(end)}, cut: raw.cut}
	if raw.equals != 0 {
		p.key.end, p.value.off = uint32(raw.equals), uint32(raw.equals)+1
	}
	if raw.inKey {
		if err := r.unescape(text, &p.key, p.key.off, &raw.high); err != nil {
			return err
		}
		r.cuts = r.cuts[:p.cut]
		for i := p.key.off; i < p.key.end; i++ {
			if byteKind[text[i]] == bracketByte {
				r.cuts = append(r.cuts, i)
			}
		}
	}
	if raw.escaped != 0 {
		if err := r.unescape(text, &p.value, uint32(raw.escaped), &raw.high); err != nil {
			return err
		}
	}
	if raw.high && !(utf8.Valid(text[p.key.off:p.key.end]) && utf8.Valid(text[p.value.off:p.value.end])) {
		return r.badPair("is not percent-encoded UTF-8")
	}
	if len(r.pairs) >= maxPairs {
		return refuse(r.code, "more than %d parameters", maxPairs)
	}
	p.cutEnd = uint32(len(r.cuts))
	r.pairs = append(r.pairs, p)
	return nil
}

// unescape decodes a part of the text where it stands; before from there is nothing to do.
func (r *Reader) unescape(text []byte, s *span, from uint32, high *bool) error {
	part, n := text[:s.end], from
	for i := int(from); i < len(part); i++ {
		c := part[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			d, ok := unhex(part, i+1)
			if !ok {
				return r.badPair("is not percent-encoded UTF-8")
			}
			if d == 0 {
				return r.badPair("holds a NUL character")
			}
			c, i = d, i+2
			*high = *high || c >= 0x80
		}
		part[n] = c
		n++
	}
	clear(part[n:]) // half a character may stand there, and the text as a whole is UTF-8
	s.end = n
	return nil
}

// block is how many bytes are looked at together.
const block = 64

// stopsIn has a bit for every byte that is not plain.
func stopsIn(text *[block]byte) (stops uint64) {
	for k := 0; k < block; k += 8 {
		w := binary.LittleEndian.Uint64(text[k:])
		// Bytes beyond ASCII are stops anyway, so the others may be taken as seven bits.
		low := w &^ highs
		plain := above(low, 0x1f) & other(low, 0x7f) & other(low, '%') & other(low, '&') & other(low, '+') &
			other(low, ';') & other(low, '=') & other(low, '[') & other(low, ']')
		stops |= ((^plain | w) & highs >> 7 * 0x0102040810204080 >> 56) << k
	}
	return stops
}

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// above has the highest bit set of every byte of seven bits that is above c.
func above(low uint64, c uint64) uint64 { return low + (0x7f-c)*ones }

// other has the highest bit set of every byte of seven bits that is not c.
func other(low uint64, c uint64) uint64 { return (low ^ c*ones) + 0x7f*ones }

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
