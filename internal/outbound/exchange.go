package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/problem"
)

// fault is an exchange that brought no usable answer.
type fault struct {
	problem *problem.Error
	// status is set where the head was well-formed and only what followed was not.
	status int
	// again: another attempt may fare better, if the operation allows one.
	again bool
}

func (f *fault) Error() string { return f.problem.Error() }
func (f *fault) Unwrap() error { return f.problem }

// exchange sends r over c and reads the answer; sent reports whether a byte of r
// went out. It closes c or puts it back. When ctx ends, the connection is cut.
func (h *Host) exchange(ctx context.Context, c *conn, r *Request, written func()) (a *answer, sent bool, err error) {
	stop := context.AfterFunc(ctx, c.close)
	before := c.raw.written
	a, err = h.speak(c, r, written)
	sent = c.raw.written > before
	if alive := stop(); err == nil && alive && a.reusable && c.br.Buffered() == 0 {
		h.pool.put(c)
		return a, sent, nil
	}
	c.close()
	if err != nil {
		err = h.exchangeProblem(ctx, err)
	}
	return a, sent, err
}

func (h *Host) speak(c *conn, r *Request, written func()) (*answer, error) {
	if err := h.send(c, r); err != nil {
		return nil, fmt.Errorf("send request: %w", err)
	}
	written()
	c.idle = 0
	if err := c.raw.SetReadDeadline(time.Now().Add(h.timeouts.Header)); err != nil {
		return nil, err
	}
	a, err := h.readHead(c)
	if err != nil {
		return nil, err
	}
	c.idle = h.timeouts.Idle
	return a, h.readBody(c, a, r.Method)
}

// exchangeProblem says in the callers' words what went wrong on the wire.
func (h *Host) exchangeProblem(ctx context.Context, err error) error {
	var f *fault
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return &fault{problem: problem.Wrap(ctx.Err(), problem.UpstreamTimeout, "the caller went away before the provider answered")}
	case ctx.Err() != nil:
		return &fault{problem: problem.Wrap(err, problem.UpstreamTimeout, "the provider did not answer within the call's time")}
	case errors.As(err, &f):
		return f
	case isTimeout(err):
		return &fault{problem: problem.Wrap(err, problem.UpstreamTimeout, "the provider did not answer in time"), again: true}
	default:
		return &fault{problem: problem.Wrap(err, problem.UpstreamUnreachable, "the provider closed the connection without an answer"), again: true}
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// piecewise is how much is written under one deadline.
const piecewise = 64 << 10

// send writes the request. Its buffer holds the credential and is cleared.
func (h *Host) send(c *conn, r *Request) error {
	buf, err := h.encode(r)
	if err != nil {
		return err
	}
	defer clear(buf)
	for part := range slices.Chunk(buf, piecewise) {
		if err := c.raw.SetWriteDeadline(time.Now().Add(h.timeouts.Idle)); err != nil {
			return err
		}
		if _, err := c.tls.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// encode checks every part once more: what is written here is framing.
func (h *Host) encode(r *Request) ([]byte, error) {
	target := h.path + r.Path
	if r.RawQuery != "" {
		target += "?" + r.RawQuery
	}
	if err := checkTarget(r.Method, r.Path, target); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, 512+len(target)+len(r.Body))
	buf = append(append(append(buf, r.Method...), ' '), target...)
	buf = append(append(append(buf, " HTTP/1.1\r\nHost: "...), h.authority...), "\r\nAccept-Encoding: gzip\r\n"...)
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !isToken(name) || wireOnly(name) {
			return nil, refused("the request's header field %q is not one that may be sent", name)
		}
		for _, value := range r.Header[name] {
			if !isFieldValue(value) {
				return nil, refused("the value of the request's header field %q holds a control character", name)
			}
			buf = append(append(append(append(buf, name...), ": "...), value...), "\r\n"...)
		}
	}
	if r.Header.Get("User-Agent") == "" {
		buf = append(buf, "User-Agent: Sallyport\r\n"...)
	}
	if len(r.Body) > 0 || r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
		buf = append(buf, "Content-Length: "...)
		buf = append(strconv.AppendInt(buf, int64(len(r.Body)), 10), "\r\n"...)
	}
	return append(append(buf, "\r\n"...), r.Body...), nil
}

func checkTarget(method, path, target string) error {
	if !isToken(method) || strings.ToUpper(method) != method || method == http.MethodConnect || method == http.MethodTrace {
		return refused("the request's method %q is not one that may be sent", method)
	}
	if !strings.HasPrefix(path, "/") {
		return refused("the request's path does not begin with /")
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return refused("the request's path or query holds a byte that must be percent-encoded")
		}
	}
	return nil
}

// refused is a request that we ourselves made wrongly; nothing of it was sent.
func refused(format string, args ...any) error {
	return &fault{problem: problem.New(problem.Internal, format, args...)}
}

// isFieldValue reports whether s can stand in a header field: no control characters but tab.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
