package schema

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// References of RFC 3986 and RFC 3987, templates of RFC 6570, JSON pointers, encodings.

const (
	subDelims = "!$&'()*+,;="
	pathChars = subDelims + ":@/"
)

// isURI reads a URI, or also a relative reference; international allows what RFC 3987 adds.
func isURI(s []byte, international, relative bool) bool {
	scheme := readScheme(s)
	if scheme == 0 && !relative {
		return false
	}
	rest := s
	if scheme > 0 {
		rest = s[scheme+1:]
	}
	rest, fragment, _ := bytes.Cut(rest, []byte("#"))
	rest, query, _ := bytes.Cut(rest, []byte("?"))
	if !inSet(fragment, pathChars+"?", international) || !inQuery(query, international) {
		return false
	}
	if bytes.HasPrefix(rest, []byte("//")) {
		authority, path := rest[2:], []byte(nil)
		if i := bytes.IndexByte(authority, '/'); i >= 0 {
			authority, path = authority[:i], authority[i:]
		}
		return isAuthority(authority, international) && inSet(path, pathChars, international)
	}
	if scheme == 0 { // the first segment may not look like a scheme
		first, _, _ := bytes.Cut(rest, []byte("/"))
		if bytes.IndexByte(first, ':') >= 0 {
			return false
		}
	}
	return inSet(rest, pathChars, international)
}

// readScheme gives the length of the scheme, or 0.
func readScheme(s []byte) int {
	if len(s) == 0 || !isAlpha(s[0]) {
		return 0
	}
	for i, c := range s {
		switch {
		case c == ':':
			return i
		case isAlpha(c) || isDigit(c) || c == '+' || c == '-' || c == '.':
		default:
			return 0
		}
	}
	return 0
}

func isAuthority(s []byte, international bool) bool {
	if at := bytes.IndexByte(s, '@'); at >= 0 {
		if !inSet(s[:at], subDelims+":", international) {
			return false
		}
		s = s[at+1:]
	}
	host, port := s, []byte(nil)
	if end := bytes.IndexByte(s, ']'); end >= 0 {
		host, port = s[:end+1], s[end+1:]
		if len(port) > 0 && port[0] != ':' {
			return false
		}
		port = bytes.TrimPrefix(port, []byte(":"))
	} else {
		host, port, _ = bytes.Cut(s, []byte(":"))
	}
	if countDigits(port) != len(port) {
		return false
	}
	if len(host) > 0 && host[0] == '[' {
		return isIPLiteral(host)
	}
	return inSet(host, subDelims, international)
}

func isIPLiteral(s []byte) bool {
	if len(s) < 2 || s[len(s)-1] != ']' {
		return false
	}
	s = s[1 : len(s)-1]
	if len(s) > 0 && (s[0] == 'v' || s[0] == 'V') {
		version, rest, ok := bytes.Cut(s[1:], []byte("."))
		for _, c := range version {
			if !isHex(c) {
				return false
			}
		}
		return ok && len(version) > 0 && len(rest) > 0 && bytes.IndexByte(rest, '%') < 0 && inSet(rest, subDelims+":", false)
	}
	return isIPv6(s)
}

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// inSet tells whether all of s is unreserved, percent-encoded or in extra.
func inSet(s []byte, extra string, international bool) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case isAlpha(c) || isDigit(c) || c == '-' || c == '.' || c == '_' || c == '~':
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
			i += 2
		case c >= utf8.RuneSelf:
			if !international {
				return false
			}
			r, n := utf8.DecodeRune(s[i:])
			if !isUCSChar(r) {
				return false
			}
			i += n - 1
		case strings.IndexByte(extra, c) < 0:
			return false
		}
	}
	return true
}

// inQuery is inSet for a query, where RFC 3987 allows private characters too.
func inQuery(s []byte, international bool) bool {
	if international {
		s = bytes.Map(func(r rune) rune {
			if r >= 0xE000 && r <= 0xF8FF || r >= 0xF0000 && r <= 0xFFFFD || r >= 0x100000 && r <= 0x10FFFD {
				return 'x'
			}
			return r
		}, s)
	}
	return inSet(s, pathChars+"?", international)
}

// isUCSChar is RFC 3987 §2.2's ucschar.
func isUCSChar(r rune) bool {
	switch {
	case r >= 0xA0 && r <= 0xD7FF, r >= 0xF900 && r <= 0xFDCF, r >= 0xFDF0 && r <= 0xFFEF:
		return true
	case r >= 0x10000 && r <= 0xEFFFD:
		return r&0xFFFF <= 0xFFFD && (r < 0xE0000 || r >= 0xE1000)
	}
	return false
}

// isURITemplate reads literals and {expressions} of RFC 6570 §2.
func isURITemplate(s []byte) bool {
	for len(s) > 0 {
		switch c := s[0]; {
		case c == '{':
			end := bytes.IndexByte(s, '}')
			if end < 0 || !isExpression(s[1:end]) {
				return false
			}
			s = s[end+1:]
			continue
		case c == '%':
			if len(s) < 3 || !isHex(s[1]) || !isHex(s[2]) {
				return false
			}
			s = s[3:]
			continue
		case c <= ' ' || c == 0x7F || strings.IndexByte("\"'<>\\^`|}", c) >= 0 && c != '\'':
			return false
		}
		_, n := utf8.DecodeRune(s)
		s = s[n:]
	}
	return true
}

func isExpression(s []byte) bool {
	if len(s) > 0 && strings.IndexByte("+#./;?&=,!@|", s[0]) >= 0 {
		s = s[1:]
	}
	for name := range bytes.SplitSeq(s, []byte(",")) {
		name = bytes.TrimSuffix(name, []byte("*"))
		if before, prefix, ok := bytes.Cut(name, []byte(":")); ok {
			if len(prefix) == 0 || len(prefix) > 4 || prefix[0] == '0' || countDigits(prefix) != len(prefix) {
				return false
			}
			name = before
		}
		if !isVariable(name) {
			return false
		}
	}
	return true
}

func isVariable(s []byte) bool {
	if len(s) == 0 || s[0] == '.' || s[len(s)-1] == '.' || bytes.Contains(s, []byte("..")) {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isAlpha(c) || isDigit(c) || c == '_' || c == '.':
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			i += 2
		default:
			return false
		}
	}
	return true
}

func isJSONPointer(s []byte) bool {
	if len(s) > 0 && s[0] != '/' {
		return false
	}
	for i, c := range s {
		if c == '~' && (i+1 == len(s) || s[i+1] != '0' && s[i+1] != '1') {
			return false
		}
	}
	return true
}

func isRelativeJSONPointer(s []byte) bool {
	n := countDigits(s)
	if n == 0 || n > 1 && s[0] == '0' {
		return false
	}
	s = s[n:]
	if len(s) > 1 && (s[0] == '+' || s[0] == '-') { // an index moved: draft-bhutton-relative-json-pointer-00 §3
		if n = countDigits(s[1:]); n == 0 || s[1] == '0' {
			return false
		}
		s = s[1+n:]
	}
	return len(s) == 1 && s[0] == '#' || isJSONPointer(s)
}

func isUUID(s []byte) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !isHex(c) {
			return false
		}
	}
	return true
}

// isBase64 reads whole groups, the last padded or without its padding.
func isBase64(s []byte, plus, slash byte) bool {
	if padded := len(s); padded > 0 && s[padded-1] == '=' {
		s = bytes.TrimSuffix(s[:padded-1], []byte("="))
		if padded%4 != 0 || len(s)%4 < 2 {
			return false
		}
	}
	for _, c := range s {
		if !isAlpha(c) && !isDigit(c) && c != plus && c != slash {
			return false
		}
	}
	return len(s)%4 != 1
}

func isOneCharacter(s []byte) bool {
	_, n := utf8.DecodeRune(s)
	return n > 0 && n == len(s)
}

func isDigits(s []byte) bool {
	s = bytes.TrimPrefix(s, []byte("-"))
	return len(s) > 0 && countDigits(s) == len(s)
}

// isDecimal reads an optional sign, digits with an optional point, and an optional exponent.
func isDecimal(s []byte) bool {
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	whole := countDigits(s)
	s = s[whole:]
	part := 0
	if len(s) > 0 && s[0] == '.' {
		part = countDigits(s[1:])
		s = s[1+part:]
	}
	if whole+part == 0 {
		return false
	}
	if len(s) > 0 && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
			s = s[1:]
		}
		return len(s) > 0 && countDigits(s) == len(s)
	}
	return len(s) == 0
}
