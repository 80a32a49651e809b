package scheme

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// twilioAddresses are the forms in which Twilio may have signed an address, as twilio-node 6.2.0
// tries them (lib/webhooks/webhooks.js): as it stands without any port and with the standard one,
// then as a browser writes it, each also with the query encoded anew by Node's old querystring.
// All name the same host and path; none lets anybody choose what is signed.
func twilioAddresses(address string) []string {
	normal := normalAddress(address)
	out := []string{withoutPort(address), withPort(address), withoutPort(normal), withPort(normal)}
	out = append(out, legacyQuery(out[2]), legacyQuery(out[3]))
	slices.Sort(out)
	return slices.Compact(out)
}

// address is a URL cut in pieces, each as it stands.
type address struct{ scheme, user, host, port, path, query string }

func cutAddress(s string) (a address, ok bool) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme == "" {
		return a, false
	}
	authority := rest
	if at := strings.IndexAny(rest, "/?#"); at >= 0 {
		authority, rest = rest[:at], rest[at:]
	} else {
		rest = ""
	}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		a.user, authority = authority[:at+1], authority[at+1:]
	}
	after := strings.LastIndexByte(authority, ']') + 1 // behind the brackets of an IPv6 address
	if at := strings.IndexByte(authority[after:], ':'); at >= 0 {
		a.port, authority = authority[after+at:], authority[:after+at]
	}
	a.scheme, a.host, a.path = scheme+"://", authority, rest
	if at := strings.IndexByte(rest, '?'); at >= 0 {
		a.path, a.query = rest[:at], rest[at:]
	}
	return a, true
}

func (a address) String() string { return a.scheme + a.user + a.host + a.port + a.path + a.query }

// standardPort is the port that the scheme stands for.
func (a address) standardPort() string {
	if strings.EqualFold(a.scheme, "https://") {
		return ":443"
	}
	return ":80"
}

func withoutPort(s string) string {
	a, ok := cutAddress(s)
	if !ok {
		return s
	}
	a.port = ""
	return a.String()
}

func withPort(s string) string {
	a, ok := cutAddress(s)
	if !ok || a.port != "" {
		return s
	}
	a.port = a.standardPort()
	return a.String()
}

// normalAddress is how the URL standard (WHATWG) writes an address: scheme and host in lower case,
// no standard port, and some characters escaped.
func normalAddress(s string) string {
	a, ok := cutAddress(s)
	if !ok {
		return s
	}
	a.scheme, a.host = strings.ToLower(a.scheme), strings.ToLower(a.host)
	if a.port == a.standardPort() {
		a.port = ""
	}
	if a.path == "" {
		a.path = "/"
	}
	a.path = escapeBytes(a.path, func(c byte) bool { return c > ' ' && c < 0x7f && !strings.ContainsRune("\"<>`{}^", rune(c)) })
	if a.query != "" {
		a.query = escapeBytes(a.query, func(c byte) bool { return c > ' ' && c < 0x7f && !strings.ContainsRune("\"<>'", rune(c)) })
	}
	return a.String()
}

// legacyQuery reads a query and writes it anew as Node's querystring does.
func legacyQuery(s string) string {
	before, query, _ := strings.Cut(s, "?")
	if query == "" {
		return s
	}
	var names []string
	values := map[string][]string{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name = unescapeLoosely(name)
		if _, there := values[name]; !there {
			names = append(names, name)
		}
		values[name] = append(values[name], unescapeLoosely(value))
	}
	plain := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.!~*'()", c) >= 0
	}
	var out strings.Builder
	for _, name := range names {
		for _, value := range values[name] {
			if out.Len() > 0 {
				out.WriteByte('&')
			}
			out.WriteString(escapeBytes(name, plain) + "=" + escapeBytes(value, plain))
		}
	}
	return before + "?" + out.String()
}

func escapeBytes(s string, plain func(byte) bool) string {
	var out strings.Builder
	for i := range len(s) {
		if c := s[i]; plain(c) {
			out.WriteByte(c)
		} else {
			out.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return out.String()
}

// unescapeLoosely takes what is no escape as it stands.
func unescapeLoosely(s string) string {
	s = strings.ReplaceAll(s, "+", " ")
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if b, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return strings.ToValidUTF8(string(out), "\uFFFD")
}

// compareUTF16 orders texts as JavaScript and Java do, by UTF-16 units: what lies beyond the
// first 65,536 characters comes before U+E000.
func compareUTF16(a, b string) int {
	unit := func(r rune) rune {
		if r >= 0x10000 {
			return 0xD800 + (r-0x10000)>>10
		}
		return r
	}
	for a != "" && b != "" {
		x, n := utf8.DecodeRuneInString(a)
		y, m := utf8.DecodeRuneInString(b)
		if x != y {
			return cmp.Or(cmp.Compare(unit(x), unit(y)), cmp.Compare(x, y))
		}
		if a[:n] != b[:m] { // bytes that are no text
			return cmp.Compare(a, b)
		}
		a, b = a[n:], b[m:]
	}
	return cmp.Compare(len(a), len(b))
}
