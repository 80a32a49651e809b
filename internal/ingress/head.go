package ingress

import (
	"strconv"
	"strings"

	"sallyport/internal/problem"
)

func badFraming(format string, args ...any) *problem.Error {
	return problem.New(problem.BadFraming, format, args...)
}

// scanHead looks at the bytes that have come so far of a head. It returns the length of
// the head with its empty line once it is complete, 0 while it is not, and a problem as
// soon as no continuation could be accepted. from is where the last scan ended.
func scanHead(b []byte, from int) (int, *problem.Error) {
	if len(b) > 0 && !tokenByte(b[0]) {
		return 0, badFraming("the request does not start with a method").
			WithHint("speak HTTP/1.1 or HTTP/2; with https:// if this is the TLS port")
	}
	lines := 0
	for _, c := range b[:from] {
		if c == '\n' {
			lines++
		}
	}
	for i := from; i < len(b); i++ {
		if p := scanByte(b, i); p != nil {
			return 0, p
		}
		if lines == 0 && i > maxTarget+32 {
			return 0, problem.New(problem.URITooLong, "the request line is longer than %d bytes", maxTarget)
		}
		if b[i] != '\n' {
			continue
		}
		lines++
		if i >= 3 && b[i-2] == '\n' {
			return i + 1, nil
		}
		if lines > maxFields+1 {
			return 0, problem.New(problem.HeadersTooLarge, "the request has more than %d header fields", maxFields)
		}
	}
	if len(b) > maxTarget+maxHead {
		return 0, problem.New(problem.HeadersTooLarge, "the header fields are larger than %d bytes", maxHead)
	}
	return 0, nil
}

// scanByte judges b[i] by its neighbour before it.
func scanByte(b []byte, i int) *problem.Error {
	switch c := b[i]; {
	case c == 0:
		return badFraming("the head holds a NUL byte")
	case c == '\n' && (i == 0 || b[i-1] != '\r'):
		return badFraming("a line ends in a bare line feed").WithHint("end lines with CR LF")
	case c != '\n' && i > 0 && b[i-1] == '\r':
		return badFraming("the head holds a bare carriage return")
	}
	return nil
}

// parseHead reads a complete head. It returns as much as it understood beside the
// problem, for the reply.
func parseHead(raw string) (*head, *problem.Error) {
	h := &head{length: -1}
	line, rest, _ := strings.Cut(raw, "\r\n")
	if p := h.parseRequestLine(line); p != nil {
		return h, p
	}
	rest = strings.TrimSuffix(rest, "\r\n")
	if len(rest) > maxHead {
		return h, problem.New(problem.HeadersTooLarge, "the header fields are larger than %d bytes", maxHead)
	}
	h.fields = make([]field, 0, 16)
	for rest != "" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		if p := h.parseField(line); p != nil {
			return h, p
		}
	}
	if p := h.frame(); p != nil {
		return h, p
	}
	return h, h.check()
}

func (h *head) parseRequestLine(line string) *problem.Error {
	method, rest, ok1 := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok1 || !ok2 || !token(method) || target == "" {
		return badFraming("the request line is not METHOD TARGET HTTP/1.1")
	}
	h.method, h.target = method, target
	switch version {
	case "HTTP/1.1":
		h.minor = 1
		return nil
	case "HTTP/1.0":
		return nil
	}
	if len(version) == 8 && strings.HasPrefix(version, "HTTP/") && digit(version[5]) && version[6] == '.' && digit(version[7]) {
		return problem.New(problem.HTTPVersion, "this HTTP version is not spoken here").WithHint("use HTTP/1.1, or HTTP/2 by ALPN")
	}
	return badFraming("the request line does not end in HTTP/1.1")
}

func (h *head) parseField(line string) *problem.Error {
	if line[0] == ' ' || line[0] == '\t' {
		return badFraming("a header field is folded over lines").WithHint("send each field on one line")
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok || !token(name) {
		return badFraming("a header line is not NAME: VALUE").WithHint("no space may stand before the colon")
	}
	value = strings.Trim(value, " \t")
	if !plainValue(value) {
		return badHeader("a header value holds a byte outside ASCII or a control character")
	}
	h.fields = append(h.fields, field{name, value})
	return nil
}

// frame decides how long the body is (RFC 9112 §6.3), where there is exactly one answer.
func (h *head) frame() *problem.Error {
	var hosts, lengths, encodings int
	for _, f := range h.fields {
		switch {
		case strings.EqualFold(f.name, "Host"):
			hosts++
			h.host = f.value
		case strings.EqualFold(f.name, "Content-Length"):
			lengths++
			if p := h.parseLength(f.value); p != nil {
				return p
			}
		case strings.EqualFold(f.name, "Transfer-Encoding"):
			encodings++
			if !strings.EqualFold(f.value, "chunked") {
				return badFraming("Transfer-Encoding is not chunked, alone")
			}
			h.chunked = true
		case strings.EqualFold(f.name, "Expect"):
			h.expects = true
		case strings.EqualFold(f.name, "Connection"):
			h.closing = h.closing || strings.Contains(strings.ToLower(f.value), "close")
		}
	}
	switch {
	case encodings > 0 && lengths > 0:
		return badFraming("Content-Length and Transfer-Encoding stand together")
	case encodings > 1 || lengths > 1:
		return badFraming("the length of the body is given more than once")
	case encodings > 0 && h.minor == 0:
		return badFraming("HTTP/1.0 has no Transfer-Encoding")
	case h.minor == 0 && lengths == 0 && (h.method == "POST" || h.method == "PUT" || h.method == "PATCH"):
		// RFC 1945 §8.3: without a length the body ends with the connection, and on one
		// that is kept what follows could be a body or a request.
		return badFraming("a %s of HTTP/1.0 needs a Content-Length", h.method)
	case hosts != 1:
		return problem.New(problem.BadHost, "the request has %d Host fields", hosts).WithHint("send exactly one Host field")
	case h.expects && (h.minor == 0 || !h.body()):
		return problem.New(problem.Expectation, "100-continue is expected for a request without a body")
	}
	return nil
}

func (h *head) parseLength(v string) *problem.Error {
	if v == "" || len(v) > 18 {
		return badFraming("Content-Length is not a length")
	}
	for _, c := range []byte(v) {
		if !digit(c) {
			return badFraming("Content-Length is not a length")
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return badFraming("Content-Length is not a length")
	}
	h.length = n
	return nil
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// tokenByte is tchar of RFC 9110 §5.6.2.
func tokenByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', digit(c):
		return true
	}
	return c != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func token(s string) bool {
	for i := 0; i < len(s); i++ {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}
