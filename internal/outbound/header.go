package outbound

import (
	"net/http"
	"slices"
	"strings"
)

// wireFields frame or route a message: only the wire sets them, and none come back.
var wireFields = []string{"Connection", "Content-Length", "Expect", "Host", "Http2-Settings", "Keep-Alive",
	"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Accept-Encoding", "Content-Encoding"}

// wireOnly reports whether a field of that name belongs to the wire.
func wireOnly(name string) bool {
	for _, w := range wireFields {
		if strings.EqualFold(w, name) {
			return true
		}
	}
	return false
}

// neverBack are response fields that would act on the caller's browser, or tell
// who the provider is, in the gate's name.
var neverBack = []string{"Set-Cookie", "Set-Cookie2", "Location", "Content-Location", "Refresh", "Server", "Via", "Alt-Svc",
	"X-Powered-By", "Strict-Transport-Security", "Public-Key-Pins", "Clear-Site-Data", "Service-Worker-Allowed",
	"Www-Authenticate", "Link", "Sourcemap", "Nel", "Report-To", "Reporting-Endpoints", "Origin-Agent-Cluster"}

// mayReturn reports whether the field may reach a caller who wants it.
func mayReturn(name string) bool {
	if wireOnly(name) {
		return false
	}
	for _, n := range neverBack {
		if strings.EqualFold(n, name) {
			return false
		}
	}
	lower := strings.ToLower(name)
	return !strings.HasPrefix(lower, "access-control-") && !strings.HasPrefix(lower, "content-security-policy") &&
		!strings.HasPrefix(lower, "cross-origin-") && !strings.HasPrefix(lower, "sec-")
}

// kept is what of header the call wants and may have.
func kept(header http.Header, keep []string) http.Header {
	out := http.Header{}
	for _, name := range append([]string{"Content-Type"}, keep...) {
		name = http.CanonicalHeaderKey(name)
		if values := header[name]; len(values) > 0 && mayReturn(name) && !slices.ContainsFunc(values, beyondASCII) {
			out[name] = append([]string(nil), values...)
		}
	}
	return out
}

// beyondASCII reports whether s holds a byte that no two readers agree on (obs-text, RFC 9110 §5.5).
func beyondASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x7f }) >= 0
}

// isToken reports whether s is an RFC 9110 token, the grammar of methods and field names.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			continue
		}
		if strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
