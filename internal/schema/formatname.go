package schema

import (
	"bytes"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Names of hosts, addresses and mailboxes.

func isIPv4(s []byte) bool {
	for part := range 4 {
		n := countDigits(s)
		if n == 0 || n > 3 || n > 1 && s[0] == '0' {
			return false
		}
		v := 0
		for _, c := range s[:n] {
			v = v*10 + int(c-'0')
		}
		if v > 255 {
			return false
		}
		s = s[n:]
		if part < 3 {
			if len(s) == 0 || s[0] != '.' {
				return false
			}
			s = s[1:]
		}
	}
	return len(s) == 0
}

func isIPv6(s []byte) bool {
	if len(s) > 45 || bytes.IndexByte(s, ':') < 0 {
		return false
	}
	addr, err := netip.ParseAddr(string(s))
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// isHostname reads a name of letters, digits and inner hyphens; what begins with xn-- has to
// stand for a name that IDNA2008 allows.
func isHostname(s []byte) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	for rest, more := s, true; more; {
		var label []byte
		label, rest, more = bytes.Cut(rest, []byte("."))
		if !isLabel(label) {
			return false
		}
		if len(label) >= 4 && label[2] == '-' && label[3] == '-' && !isPunycodeLabel(string(label)) {
			return false
		}
	}
	return true
}

func isLabel(label []byte) bool {
	if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, c := range label {
		if !isAlpha(c) && !isDigit(c) && c != '-' {
			return false
		}
	}
	return true
}

func isAlpha(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isPunycodeLabel reads a label with hyphens in third and fourth place: RFC 5891 §4.2.3.1 leaves
// no other than xn--.
func isPunycodeLabel(label string) bool {
	if !strings.EqualFold(label[:4], "xn--") {
		return false
	}
	text, err := idna.Punycode.ToUnicode(strings.ToLower(label))
	return err == nil && text != strings.ToLower(label) && isIDNHostname(text)
}

// isIDNHostname reads an internationalised name: each label is one that IDNA2008 (RFC 5891 §4,
// RFC 5892 with its contextual rules) registers.
func isIDNHostname(s string) bool {
	if s == "" || len(s) > 4*253 || !utf8.ValidString(s) {
		return false
	}
	s = strings.NewReplacer("。", ".", "．", ".", "｡", ".").Replace(s)
	profile := idna.New(idna.ValidateForRegistration(), idna.VerifyDNSLength(true), idna.StrictDomainName(true))
	ascii, err := profile.ToASCII(s)
	if err != nil || len(ascii) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if strings.HasPrefix(strings.ToLower(label), "xn--") && !isPunycodeLabel(label) {
			return false
		}
		if !isIDNLabel([]rune(label)) {
			return false
		}
	}
	return true
}

// isIDNLabel applies what package idna leaves out: the contextual rules of RFC 5892 appendix A
// and the code points that its table §2.6 excludes.
func isIDNLabel(label []rune) bool {
	if len(label) > 3 && label[2] == '-' && label[3] == '-' && !strings.EqualFold(string(label[:2]), "xn") {
		return false
	}
	arabic, extended := false, false
	for i, r := range label {
		switch {
		case r == 0x0640 || r == 0x07FA || r == 0x302E || r == 0x302F || r >= 0x3031 && r <= 0x3035 || r == 0x303B:
			return false
		case r == 0x00B7: // MIDDLE DOT, between two l
			if i == 0 || i == len(label)-1 || label[i-1] != 'l' || label[i+1] != 'l' {
				return false
			}
		case r == 0x0375: // GREEK KERAIA, before Greek
			if i == len(label)-1 || !unicode.Is(unicode.Greek, label[i+1]) {
				return false
			}
		case r == 0x05F3 || r == 0x05F4: // GERESH and GERSHAYIM, after Hebrew
			if i == 0 || !unicode.Is(unicode.Hebrew, label[i-1]) {
				return false
			}
		case r == 0x30FB: // KATAKANA MIDDLE DOT, beside Japanese
			if !hasJapanese(label) {
				return false
			}
		case r >= 0x0660 && r <= 0x0669:
			arabic = true
		case r >= 0x06F0 && r <= 0x06F9:
			extended = true
		}
	}
	return !arabic || !extended
}

func hasJapanese(label []rune) bool {
	for _, r := range label {
		if r != 0x30FB && unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han) {
			return true
		}
	}
	return false
}

// isEmail reads a mailbox: a dotted or quoted local part, and a host name or an address in brackets.
func isEmail(s []byte, international bool) bool {
	at := bytes.LastIndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 || !isLocalPart(s[:at], international) {
		return false
	}
	domain := s[at+1:]
	if len(domain) > 2 && domain[0] == '[' && domain[len(domain)-1] == ']' {
		domain = domain[1 : len(domain)-1]
		if len(domain) > 5 && bytes.EqualFold(domain[:5], []byte("IPv6:")) {
			return isIPv6(domain[5:])
		}
		return isIPv4(domain)
	}
	if international {
		return isIDNHostname(string(domain))
	}
	return isHostname(domain)
}

func isLocalPart(s []byte, international bool) bool {
	if s[0] == '"' {
		return isQuotedLocalPart(s, international)
	}
	dot := true // as if one stood before: none may come first
	for _, c := range s {
		switch {
		case c == '.':
			if dot {
				return false
			}
			dot = true
			continue
		case isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0:
		case c >= utf8.RuneSelf && international:
		default:
			return false
		}
		dot = false
	}
	return !dot
}

func isQuotedLocalPart(s []byte, international bool) bool {
	if len(s) < 2 || s[len(s)-1] != '"' {
		return false
	}
	s = s[1 : len(s)-1]
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			if i++; i == len(s) || s[i] < ' ' || s[i] > '~' {
				return false
			}
		case c == '"' || c < ' ' || c == 0x7F:
			return false
		case c >= utf8.RuneSelf && !international:
			return false
		}
	}
	return true
}
