package wire

// numberShape is how a number is written.
type numberShape uint8

const (
	notNumber    numberShape = iota
	plainInteger             // -?(0|[1-9][0-9]*), and not -0
	otherNumber              // with a fraction or an exponent, or -0
	hugeNumber               // valid, but beyond maxDigits or maxPower
)

// shapeOf reads s by the grammar of RFC 8259 §6.
func shapeOf(s []byte) numberShape {
	rest := s
	if len(rest) > 0 && rest[0] == '-' {
		rest = rest[1:]
	}
	whole := digits(rest)
	if whole == 0 || whole > 1 && rest[0] == '0' {
		return notNumber
	}
	plain := len(rest) == whole && !(len(s) == 2 && s[0] == '-' && s[1] == '0')
	rest = rest[whole:]
	if len(rest) > 0 && rest[0] == '.' {
		n := digits(rest[1:])
		if n == 0 {
			return notNumber
		}
		rest = rest[1+n:]
	}
	var power []byte
	if len(rest) > 0 && rest[0]|0x20 == 'e' {
		power = rest[1:]
		if len(power) > 0 && (power[0] == '+' || power[0] == '-') {
			power = power[1:]
		}
		if n := digits(power); n == 0 || n != len(power) {
			return notNumber
		}
		rest = nil
	}
	switch {
	case len(rest) > 0:
		return notNumber
	case len(s) > maxDigits || hugePower(power):
		return hugeNumber
	case plain:
		return plainInteger
	}
	return otherNumber
}

func digits(s []byte) int {
	n := 0
	for n < len(s) && s[n]-'0' <= 9 {
		n++
	}
	return n
}

func hugePower(e []byte) bool {
	n := 0
	for _, c := range e {
		if n = n*10 + int(c-'0'); n > maxPower {
			return true
		}
	}
	return false
}
