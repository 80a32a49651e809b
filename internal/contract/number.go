package contract

import (
	"math/big"
	"strconv"
	"strings"
)

// shape is how a number is written.
type shape int

const (
	notNumber    shape = iota
	plainInteger       // -?(0|[1-9][0-9]*), and not -0
	otherNumber        // with a fraction or an exponent, or -0
	hugeNumber         // valid, but beyond maxDigits or maxExponent
)

// numberShape reads s by the grammar of RFC 8259 §6.
func numberShape(s string) shape {
	rest := strings.TrimPrefix(s, "-")
	whole := digits(rest)
	if whole == 0 || whole > 1 && rest[0] == '0' {
		return notNumber
	}
	rest = rest[whole:]
	plain := rest == "" && s != "-0"
	if strings.HasPrefix(rest, ".") {
		n := digits(rest[1:])
		if n == 0 {
			return notNumber
		}
		rest = rest[1+n:]
	}
	exponent := ""
	if rest != "" && (rest[0] == 'e' || rest[0] == 'E') {
		exponent = rest[1:]
		if strings.HasPrefix(exponent, "+") || strings.HasPrefix(exponent, "-") {
			exponent = exponent[1:]
		}
		if n := digits(exponent); n == 0 || n != len(exponent) {
			return notNumber
		}
		rest = ""
	}
	switch {
	case rest != "":
		return notNumber
	case len(s) > maxDigits || hugeExponent(exponent):
		return hugeNumber
	case plain:
		return plainInteger
	}
	return otherNumber
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

func hugeExponent(e string) bool {
	e = strings.TrimLeft(e, "0")
	if len(e) > 3 {
		return true
	}
	n, _ := strconv.Atoi(e)
	return n > maxExponent
}

// exact is the value of a number that numberShape accepted.
func exact(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return new(big.Rat)
	}
	return r
}

func itoa(i int) string { return strconv.Itoa(i) }
