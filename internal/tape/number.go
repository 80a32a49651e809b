package tape

import "fmt"

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

// nonDigits has the highest bit set in each byte of w that is no digit; only the lowest such
// bit is exact.
func nonDigits(w uint64) uint64 {
	w ^= '0' * ones
	return (w | (w + 0x76*ones)) & highs
}

// leading is how many bytes of a word come before the first that has its highest bit set: all
// eight where there is none.
func leading(w uint64) int { return int(((w - 1) &^ w) >> 7 & ones * ones >> 56) }
