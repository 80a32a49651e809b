package outbound

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"sallyport/internal/problem"
)

// maxInterim is how many 1xx responses are dropped before an answer.
const maxInterim = 5

// answer is one response as read from the wire.
type answer struct {
	status   int
	header   http.Header
	body     []byte
	old      bool // HTTP/1.0
	reusable bool // the connection may carry another exchange
}

func malformed(format string, args ...any) *fault {
	return &fault{problem: problem.New(problem.UpstreamMalformed, format, args...)}
}

// readHead reads up to the end of the final response's head. All interim responses
// share its budget of bytes and fields.
func (h *Host) readHead(c *conn) (*answer, error) {
	lines := &lineReader{br: c.br, bytes: h.limits.HeaderBytes, fields: h.limits.HeaderCount}
	for interim := 0; ; interim++ {
		a, err := lines.head()
		switch {
		case err != nil:
			return nil, err
		case a.status == http.StatusSwitchingProtocols:
			return nil, malformed("the provider switched protocols, which nobody asked for")
		case a.status >= 200 && a.status <= 599:
			return a, nil
		case a.status < 100 || a.status > 599:
			return nil, malformed("the provider answered with a status outside 200 to 599")
		case interim >= maxInterim:
			return nil, malformed("the provider sent more than %d interim responses", maxInterim)
		}
	}
}

// lineReader reads the lines of heads, chunk sizes and trailers within a budget.
type lineReader struct {
	br     *bufio.Reader
	bytes  int
	fields int
	line   []byte
}

// next reads one line without its CRLF; it is valid until the next call.
func (l *lineReader) next() ([]byte, error) {
	l.line = l.line[:0]
	for {
		part, err := l.br.ReadSlice('\n')
		if l.bytes -= len(part); l.bytes < 0 {
			return nil, &fault{problem: problem.New(problem.UpstreamTooLarge, "the head of the provider's answer is too large")}
		}
		l.line = append(l.line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) && len(l.line) > 0 {
				return nil, malformed("the provider's answer ends within a line")
			}
			return nil, err
		}
	}
	n := len(l.line)
	if n < 2 || l.line[n-2] != '\r' {
		return nil, malformed("a line of the provider's answer does not end with CRLF")
	}
	return l.line[:n-2], nil
}

// head reads one status line and its fields.
func (l *lineReader) head() (*answer, error) {
	line, err := l.next()
	if err != nil {
		return nil, err
	}
	status, minor, err := statusLine(line)
	if err != nil {
		return nil, err
	}
	a := &answer{status: status, old: minor == '0', header: make(http.Header, 16)}
	if err := l.readFields(a.header); err != nil {
		return nil, err
	}
	a.reusable = !a.old && !closes(a.header)
	return a, nil
}

// statusLine reads "HTTP/1.1 200 OK" (RFC 9112 §4); the reason may be missing.
func statusLine(line []byte) (status int, minor byte, err error) {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' {
		return 0, 0, malformed("the provider's answer is not HTTP/1.1")
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return 0, 0, malformed("the status of the provider's answer is not a number")
		}
		status = status*10 + int(c-'0')
	}
	if len(line) > 12 && line[12] != ' ' || !isFieldValue(string(line[12:])) {
		return 0, 0, malformed("the status line of the provider's answer is malformed")
	}
	return status, line[7], nil
}

// readFields reads field lines up to the empty line (RFC 9112 §5).
func (l *lineReader) readFields(into http.Header) error {
	for {
		line, err := l.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return malformed("the head of the provider's answer is cut off")
			}
			return err
		}
		if len(line) == 0 {
			return nil
		}
		if l.fields--; l.fields < 0 {
			return &fault{problem: problem.New(problem.UpstreamTooLarge, "the provider's answer has too many header fields")}
		}
		name, value, ok := strings.Cut(string(line), ":")
		if !ok || !isToken(name) {
			return malformed("a header field name of the provider's answer is malformed or folded")
		}
		if value = strings.Trim(value, " \t"); !isFieldValue(value) {
			return malformed("a header field of the provider's answer holds a control character")
		}
		name = http.CanonicalHeaderKey(name)
		into[name] = append(into[name], value)
	}
}

// closes reports whether a Connection field asks to close.
func closes(header http.Header) bool {
	for _, line := range header["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(option), "close") {
				return true
			}
		}
	}
	return false
}

// cutOff is an answer that ended before its end: never a clean one.
func cutOff(status int, err error) *fault {
	p := problem.Wrap(fmt.Errorf("read body: %w", err), problem.UpstreamMalformed, "the provider's answer is cut off")
	return &fault{problem: p, status: status, again: true}
}
