package ingress

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport/internal/problem"
)

// methods that may exist here at all; everything else, CONNECT and TRACE and any other
// case included, is 405 before routing.
const allMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

func checkMethod(method string) *problem.Error {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return nil
	}
	return problem.New(problem.MethodNotAllowed, "this method is not served here").
		WithHint("use one of %s, in upper case", allMethods)
}

// checkTarget refuses every request target that two parsers could read differently, and
// splits it into the escaped path and the raw query (RFC 9112 §3.2.1: origin-form only).
func checkTarget(target string) (path, query string, p *problem.Error) {
	if len(target) > maxTarget {
		return "", "", problem.New(problem.URITooLong, "the request target is longer than %d bytes", maxTarget).
			WithHint("send long parameters in a body")
	}
	if target == "" || target[0] != '/' {
		return "", "", problem.New(problem.BadTarget, "the request target does not start with /").
			WithHint("send the path alone (GET /path HTTP/1.1), as to an origin server and not as to a proxy")
	}
	path, query, _ = strings.Cut(target, "?")
	if p := checkPath(path); p != nil {
		return "", "", p
	}
	if p := checkQuery(query); p != nil {
		return "", "", p
	}
	return path, query, nil
}

func badPath(what string) *problem.Error {
	return problem.New(problem.BadTarget, "the path holds %s", what).
		WithHint("send the path as the provider documents it, each segment percent-encoded once")
}

// checkPath looks at the path after exactly one decoding.
func checkPath(path string) *problem.Error {
	if strings.Contains(path, "//") {
		return badPath("an empty segment (//)")
	}
	decoded := make([]byte, 0, 256)
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c != '%' {
			if !pathByte(c) {
				return badPath("a byte that no path has")
			}
			decoded = append(decoded, c)
			continue
		}
		v, ok := unhex(path, i+1)
		if !ok {
			return badPath("a percent sign without two hex digits")
		}
		if p := checkEncoded(v); p != nil {
			return p
		}
		decoded = append(decoded, v)
		i += 2
	}
	if !utf8.Valid(decoded) {
		return badPath("bytes that are not UTF-8")
	}
	if encodedTwice(string(decoded)) {
		return badPath("a doubly encoded character")
	}
	for segment := range strings.SplitSeq(string(decoded), "/") {
		if segment == "." || segment == ".." {
			return badPath("a dot segment")
		}
	}
	return nil
}

// checkEncoded judges a byte that stands percent-encoded.
func checkEncoded(v byte) *problem.Error {
	switch {
	case v == '/' || v == '\\':
		return badPath("an encoded slash or backslash")
	case v == ';':
		return badPath("an encoded semicolon")
	case v < 0x20 || v == 0x7f:
		return badPath("an encoded control character")
	}
	return nil
}

// encodedTwice reports whether another decoding would find something to decode.
func encodedTwice(decoded string) bool {
	for i := range len(decoded) {
		if decoded[i] == '%' {
			if _, ok := unhex(decoded, i+1); ok {
				return true
			}
		}
	}
	return false
}

// pathByte is pchar of RFC 3986 §3.3 and the slash, without the semicolon, which some
// servers cut paths at.
func pathByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return strings.IndexByte("/-._~!$&'()*+,=:@", c) >= 0
}

// checkQuery leaves names and values to the contract. Browsers send brackets and a few
// other visible characters unencoded, so those pass.
func checkQuery(query string) *problem.Error {
	for i := 0; i < len(query); i++ {
		switch c := query[i]; {
		case c == ';':
			return problem.New(problem.BadQuery, "the query holds a semicolon, which servers split at or do not").
				WithHint("separate parameters with & and send a semicolon in a value as %%3B")
		case c <= ' ' || c >= 0x7f || c == '#' || c == '"' || c == '<' || c == '>' || c == '\\':
			return problem.New(problem.BadQuery, "the query holds a byte that no query has").
				WithHint("percent-encode parameter values")
		case c == '%':
			if _, ok := unhex(query, i+1); !ok {
				return problem.New(problem.BadQuery, "the query holds a percent sign without two hex digits").
					WithHint("percent-encode parameter values; a percent sign itself is %%25")
			}
			i += 2
		}
	}
	return nil
}

func unhex(s string, i int) (byte, bool) {
	if i+2 > len(s) {
		return 0, false
	}
	hi, ok1 := hexDigit(s[i])
	lo, ok2 := hexDigit(s[i+1])
	return hi<<4 | lo, ok1 && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// splitHost checks the syntax of a Host field or :authority and gives the name in lower
// case, with the brackets of an IPv6 literal, and the port as written.
func splitHost(host string) (name, port string, p *problem.Error) {
	bad := func(what string) (string, string, *problem.Error) {
		return "", "", problem.New(problem.BadHost, "the host %s", what).
			WithHint("send Host: NAME or Host: NAME:PORT")
	}
	if host == "" || len(host) > 261 {
		return bad("is empty or longer than a name can be")
	}
	name = host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name, port = host[:i], host[i+1:]
		if _, ok := parsePort(port); !ok {
			return bad("has a port that is not a number from 1 to 65535")
		}
	}
	if strings.HasPrefix(name, "[") {
		a, err := netip.ParseAddr(strings.TrimSuffix(name[1:], "]"))
		if err != nil || !a.Is6() || a.Zone() != "" || !strings.HasSuffix(name, "]") {
			return bad("is not an IPv6 literal")
		}
		return strings.ToLower(name), port, nil
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_') {
			return bad("holds a character that no name has")
		}
	}
	if name == "" || name[0] == '.' || strings.Contains(name, "..") {
		return bad("has an empty label")
	}
	return strings.ToLower(name), port, nil
}

func parsePort(s string) (uint16, bool) {
	if s == "" || len(s) > 5 {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n > 0
}
