package schema

import (
	"bytes"
	"math/big"
	"math/bits"
)

// A number is the exact value of a JSON number's text: 0.d₁d₂d₃… × 10^exp. Nothing is
// rounded and, for numbers of up to 19 significant digits, nothing is allocated. Exponents
// are never expanded into digits, so 1e999999999 costs no more than 1.
//
// The text is the grammar of RFC 8259 §6; what is not is read as zero. It is kept, not copied.
type number struct {
	neg    bool
	exp    int64  // position of the decimal point; 0 for zero, capped at ±maxExp
	count  int    // significant digits: first and last are not 0; none for zero
	coef   uint64 // the significant digits as a whole number, where count ≤ maxCoef
	digits []byte // from the first significant digit to the last, perhaps with a point among them
}

const (
	maxCoef  = 19             // digits that always fit in a uint64
	maxSmall = 18             // digits that always fit in an int64
	maxExp   = int64(1) << 40 // exponents beyond are taken for this one: such numbers differ in no test but size
)

// smallInt reads a whole number of up to 18 digits as it is usually written, without
// fraction, exponent and needless zeros. It is the fast path of every numeric keyword.
func smallInt(text []byte) (int64, bool) {
	s := text
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > maxSmall || s[0] == '0' && len(text) > 1 {
		return 0, false
	}
	var n int64
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if neg {
		n = -n
	}
	return n, true
}

// readNumber reads the text of a JSON number.
func readNumber(text []byte) number {
	var n number
	if len(text) > 0 && text[0] == '-' {
		n.neg, text = true, text[1:]
	}
	mantissa, exponent := text, []byte(nil)
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], text[i+1:]
	}
	whole := len(mantissa)
	if i := bytes.IndexByte(mantissa, '.'); i >= 0 {
		whole = i
	}
	first, last := -1, -1
	for i, c := range mantissa {
		if c >= '1' && c <= '9' {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return number{}
	}
	n.digits = mantissa[first : last+1]
	n.count = len(n.digits)
	if first < whole {
		n.exp = int64(whole - first)
		if last > whole {
			n.count--
		}
	} else {
		n.exp = int64(whole + 1 - first)
	}
	n.exp = capExp(n.exp + readExponent(exponent))
	if n.count <= maxCoef {
		for _, c := range n.digits {
			if c != '.' {
				n.coef = n.coef*10 + uint64(c-'0')
			}
		}
	}
	return n
}

func readExponent(s []byte) int64 {
	neg := false
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		neg, s = s[0] == '-', s[1:]
	}
	var e int64
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0
		}
		if e = e*10 + int64(c-'0'); e > maxExp {
			e = maxExp
		}
	}
	if neg {
		return -e
	}
	return e
}

func capExp(e int64) int64 { return max(-maxExp, min(e, maxExp)) }

func (n number) zero() bool { return n.count == 0 }

// whole tells whether the value is a whole number, however it is written: 1e3, 1.0, -0.
func (n number) whole() bool { return n.exp >= int64(n.count) }

// compareNumbers gives -1, 0 or +1 as the value of text a is less than, equal to or greater than that of b.
func compareNumbers(a, b []byte) int {
	if x, ok := smallInt(a); ok {
		if y, ok := smallInt(b); ok {
			return compareInts(x, y)
		}
	}
	return readNumber(a).compare(readNumber(b))
}

func compareInts(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (n number) sign() int {
	switch {
	case n.zero():
		return 0
	case n.neg:
		return -1
	}
	return 1
}

func (n number) compare(m number) int {
	if a, b := n.sign(), m.sign(); a != b || a == 0 {
		return compareInts(int64(a), int64(b))
	}
	c := n.compareSize(m)
	if n.neg {
		return -c
	}
	return c
}

// compareSize compares without the signs; neither is zero.
func (n number) compareSize(m number) int {
	if n.exp != m.exp {
		return compareInts(n.exp, m.exp)
	}
	a, b := n.digits, m.digits
	for {
		if len(a) > 0 && a[0] == '.' {
			a = a[1:]
		}
		if len(b) > 0 && b[0] == '.' {
			b = b[1:]
		}
		switch {
		case len(a) == 0 || len(b) == 0:
			return compareInts(int64(len(a)), int64(len(b)))
		case a[0] != b[0]:
			return compareInts(int64(a[0]), int64(b[0]))
		}
		a, b = a[1:], b[1:]
	}
}

// appendCanonical appends the one way to write this value that two equal numbers share:
// its significant digits, then e and the exponent of the last of them.
func (n number) appendCanonical(dst []byte) []byte {
	if n.zero() {
		return append(dst, '0')
	}
	if n.neg {
		dst = append(dst, '-')
	}
	for _, c := range n.digits {
		if c != '.' {
			dst = append(dst, c)
		}
	}
	if e := n.exp - int64(n.count); e != 0 {
		dst = append(dst, 'e')
		return appendInt(dst, e)
	}
	return dst
}

func appendInt(dst []byte, n int64) []byte {
	if n < 0 {
		dst, n = append(dst, '-'), -n
	}
	var buf [20]byte
	i := len(buf)
	for {
		i--
		buf[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return append(dst, buf[i:]...)
		}
	}
}

// multipleOf tells whether n is a whole multiple of d. Zero is a multiple of everything;
// nothing else is a multiple of zero.
//
// With both coefficients freed of trailing zeros, n = c×10^k and d = e×10^j: for k < j the
// quotient has a factor 10 left below the line that c cannot cancel, otherwise it is whole
// exactly if e divides c×10^(k-j). That is decided by remainders, without expanding the power.
func (n number) multipleOf(d number) bool {
	if n.zero() {
		return true
	}
	if d.zero() {
		return false
	}
	shift := (n.exp - int64(n.count)) - (d.exp - int64(d.count))
	if shift < 0 {
		return false
	}
	if d.count > maxCoef {
		return n.multipleOfLong(d, shift)
	}
	rest := n.remainder(d.coef)
	return mulMod(rest, powMod(10%d.coef, uint64(shift), d.coef), d.coef) == 0
}

// remainder is the coefficient's remainder by m.
func (n number) remainder(m uint64) uint64 {
	if n.count <= maxCoef {
		return n.coef % m
	}
	var r uint64
	for _, c := range n.digits {
		if c == '.' {
			continue
		}
		hi, lo := bits.Mul64(r, 10)
		lo, carry := bits.Add64(lo, uint64(c-'0'), 0)
		r = bits.Rem64(hi+carry, lo, m)
	}
	return r
}

func mulMod(a, b, m uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return bits.Rem64(hi, lo, m)
}

func powMod(base, exp, m uint64) uint64 {
	result := 1 % m
	for ; exp > 0; exp >>= 1 {
		if exp&1 == 1 {
			result = mulMod(result, base, m)
		}
		base = mulMod(base, base, m)
	}
	return result
}

// multipleOfLong is for divisors of 20 digits and more, which schemas hardly ever have.
func (n number) multipleOfLong(d number, shift int64) bool {
	c, e := n.bigCoef(), d.bigCoef()
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(shift), e)
	return c.Mul(c, power).Mod(c, e).Sign() == 0
}

func (n number) bigCoef() *big.Int {
	text := make([]byte, 0, n.count)
	for _, c := range n.digits {
		if c != '.' {
			text = append(text, c)
		}
	}
	v, _ := new(big.Int).SetString(string(text), 10)
	return v
}
