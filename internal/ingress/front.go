package ingress

import (
	"net/http"
	"strconv"
	"strings"

	"sallyport/internal/problem"
)

// field is one header line. The name is as received.
type field struct{ name, value string }

// head is what stands before a body, on either protocol.
type head struct {
	method, target, host string
	fields               []field
	minor                int   // of HTTP/1.x; 2 for HTTP/2, where the rest below is unused
	length               int64 // Content-Length; -1: not said
	chunked              bool
	expects              bool // 100-continue
	closing              bool
}

func (h *head) body() bool { return h.chunked || h.length > 0 }

// only is the value of a field that stands exactly once.
func (h *head) only(name string) string {
	value, n := "", 0
	for _, f := range h.fields {
		if strings.EqualFold(f.name, name) {
			value = f.value
			n++
		}
	}
	if n != 1 {
		return ""
	}
	return value
}

// check is the strict front: method, target, host, and what the fields mean together.
// Syntax and framing have been looked at before.
func (h *head) check() *problem.Error {
	if p := checkMethod(h.method); p != nil {
		return p
	}
	if _, _, p := checkTarget(h.target); p != nil {
		return p
	}
	if _, _, p := splitHost(h.host); p != nil {
		return p
	}
	if len(h.fields) > maxFields {
		return problem.New(problem.HeadersTooLarge, "the request has more than %d header fields", maxFields)
	}
	if p := h.checkFields(); p != nil {
		return p
	}
	if h.body() && (h.method == "GET" || h.method == "HEAD" || h.method == "OPTIONS") {
		return problem.New(problem.BadFraming, "a %s request has no body here", h.method)
	}
	return nil
}

// seen are the fields that may stand once only.
type seen uint32

// singleton gives each singleton its bit; 0: the field may be repeated.
func singleton(lower string) seen {
	switch lower {
	case "authorization":
		return 1 << 0
	case "host":
		return 1 << 1
	case "content-length":
		return 1 << 2
	case "content-type":
		return 1 << 3
	case "origin":
		return 1 << 4
	case "idempotency-key":
		return 1 << 5
	case "transfer-encoding":
		return 1 << 6
	case "expect":
		return 1 << 7
	case "sec-fetch-site":
		return 1 << 8
	case "access-control-request-method":
		return 1 << 9
	case "content-encoding":
		return 1 << 10
	case "proxy-authorization":
		return 1 << 11
	case "sec-fetch-mode":
		return 1 << 12
	case "access-control-request-private-network":
		return 1 << 13
	case "cookie": // HTTP/2 splits it; http2.Server has joined it again
		return 1 << 14
	}
	return 0
}

func (h *head) checkFields() *problem.Error {
	var had seen
	for _, f := range h.fields {
		name := strings.ToLower(f.name)
		if strings.IndexByte(name, '_') >= 0 {
			return badHeader("a header name holds an underscore, which some servers read as a hyphen").
				WithHint("use hyphens in header names")
		}
		if bit := singleton(name); bit != 0 {
			if had&bit != 0 {
				return badHeader("%s stands more than once", name)
			}
			had |= bit
		}
		if p := checkField(name, f.value); p != nil {
			return p
		}
	}
	return nil
}

func badHeader(format string, args ...any) *problem.Error {
	return problem.New(problem.BadHeader, format, args...)
}

func checkField(name, value string) *problem.Error {
	switch name {
	case "connection":
		return checkConnection(value)
	case "upgrade", "http2-settings":
		return badHeader("this listener does not upgrade connections").
			WithHint("use HTTP/2 by ALPN; WebSocket is not served")
	case "trailer":
		return problem.New(problem.BadFraming, "trailers are not accepted")
	case "te":
		if !strings.EqualFold(value, "trailers") {
			return badHeader("TE may only be trailers")
		}
	case "x-original-url", "x-rewrite-url", "x-http-method-override", "x-http-method", "x-method-override":
		return badHeader("%s would change the request behind its own first line", name).
			WithHint("send the method and path that you mean")
	case "expect":
		if !strings.EqualFold(value, "100-continue") {
			return problem.New(problem.Expectation, "only 100-continue can be expected")
		}
	case "content-encoding":
		if !strings.EqualFold(value, "identity") {
			return problem.New(problem.MediaType, "encoded request bodies are not accepted").
				WithHint("send the body without Content-Encoding")
		}
	case "origin":
		if len(value) > 512 {
			return badHeader("Origin is longer than any origin")
		}
	case "cookie":
		return checkCookies(value)
	}
	return nil
}

// checkConnection refuses Connection options that name fields: a hop that believed them
// would strip what the next one relies on.
func checkConnection(value string) *problem.Error {
	for option := range strings.SplitSeq(value, ",") {
		switch strings.ToLower(strings.Trim(option, " \t")) {
		case "", "close", "keep-alive", "te":
		default:
			return badHeader("Connection names more than close, keep-alive and te")
		}
	}
	return nil
}

// checkCookies refuses two cookies of one name: which of them counts differs between
// servers, and a subdomain can toss one in.
func checkCookies(value string) *problem.Error {
	names := make(map[string]bool, 8)
	for pair := range strings.SplitSeq(value, ";") {
		name, _, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
		if name == "" {
			continue
		}
		if names[name] {
			return badHeader("two cookies have the same name")
		}
		names[name] = true
	}
	return nil
}

// headOf makes a head of an HTTP/2 request. The fields that HTTP/2 forbids were refused
// by the HTTP/2 server.
func headOf(r *http.Request) (*head, *problem.Error) {
	h := &head{method: r.Method, target: r.RequestURI, host: r.Host, minor: 2, length: -1}
	for name, values := range r.Header {
		for _, v := range values {
			h.fields = append(h.fields, field{name, v})
		}
	}
	if r.TLS == nil { // http2.Server takes TLS away from a request that names another scheme
		return h, problem.New(problem.BadTarget, ":scheme is not that of the connection").WithHint("send :scheme https")
	}
	for _, f := range h.fields {
		if !plainValue(f.value) {
			return h, badHeader("a header value holds a byte outside ASCII or a control character")
		}
		if strings.Trim(f.value, " \t") != f.value { // RFC 9113 §8.2.1; HTTP/1.1 trims, so one byte string would mean two
			return h, badHeader("a header value begins or ends with white space")
		}
		switch {
		case strings.EqualFold(f.name, "Host") && !strings.EqualFold(f.value, r.Host):
			return h, problem.New(problem.BadHost, "host and :authority differ")
		case strings.EqualFold(f.name, "Content-Length"):
			n, err := strconv.ParseInt(f.value, 10, 64)
			if err != nil || n < 0 || r.ContentLength >= 0 && n != r.ContentLength {
				return h, problem.New(problem.BadFraming, "content-length is not the length of the body")
			}
		case strings.EqualFold(f.name, "Transfer-Encoding"):
			return h, problem.New(problem.BadFraming, "HTTP/2 has no Transfer-Encoding")
		}
	}
	if len(r.Trailer) > 0 { // http2.Server took the Trailer field away
		return h, problem.New(problem.BadFraming, "trailers are not accepted")
	}
	if r.ContentLength != 0 {
		h.chunked = true // a body follows, or may
	}
	return h, h.check()
}

// plainValue: visible ASCII, space and tab. Stricter than RFC 9110 §5.5, which has
// obs-text: no field that we read needs it, and no two servers agree on it.
func plainValue(v string) bool {
	for i := 0; i < len(v); i++ {
		if c := v[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}
