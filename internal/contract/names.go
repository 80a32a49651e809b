package contract

import "strconv"

// showName writes a name that somebody else chose: bounded, printable, and not at all
// where it looks like a value (a card number pasted as a name).
func showName(name string) string {
	if !showable(name) {
		return "of " + strconv.Itoa(len(name)) + " bytes"
	}
	return strconv.QuoteToASCII(name)
}

// showable reports whether a name looks like a name.
func showable[T ~string | ~[]byte](name T) bool {
	digits := 0
	for i := 0; i < len(name); i++ {
		if c := name[i]; c >= '0' && c <= '9' {
			digits++
		} else if c == '@' {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 64 && digits <= 8
}
