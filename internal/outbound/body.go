package outbound

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"sallyport/internal/problem"
)

const (
	// ratioFloor and ratio bound what a compressed body may grow to: 1 MiB, or ten
	// times its size if that is more, and Limits.Body in any case. Lists of similar
	// JSON objects compress better than ten to one, which is why small ones may.
	ratioFloor = 1 << 20
	ratio      = 10
	// chunkOverhead bounds chunk-size lines and trailers of one body.
	chunkOverhead = 1 << 20
	maxTrailers   = 32
)

// readBody reads and decodes the body of a. Faults carry the status, which was
// well-formed and is part of what is known about the outcome.
func (h *Host) readBody(c *conn, a *answer, method string) error {
	body, err := h.rawBody(c, a, method)
	if err == nil {
		a.body, err = h.decode(a.header, body)
	}
	var f *fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		f.status = a.status
		return f
	case isTimeout(err):
		p := problem.Wrap(err, problem.UpstreamTimeout, "the body of the provider's answer did not come in time")
		return &fault{problem: p, status: a.status, again: true}
	default:
		return cutOff(a.status, err)
	}
}

// rawBody reads the body by its framing (RFC 9112 §6.3), refusing every framing
// that two readers could understand differently.
func (h *Host) rawBody(c *conn, a *answer, method string) ([]byte, error) {
	length, chunked, err := framing(a.header)
	if err != nil {
		return nil, err
	}
	switch {
	case method == http.MethodHead, a.status == http.StatusNotModified:
		return nil, nil
	case a.status == http.StatusNoContent:
		if length > 0 || chunked {
			return nil, malformed("the provider's 204 announces a body")
		}
		return nil, nil
	case chunked:
		if a.old {
			return nil, malformed("the provider's HTTP/1.0 answer is chunked")
		}
		return h.readChunks(c)
	case length > h.limits.Body:
		return nil, h.tooLarge()
	case length >= 0:
		return appendFull(nil, c.br, length)
	default:
		a.reusable = false
		return h.readToEnd(c)
	}
}

func (h *Host) tooLarge() *fault {
	return &fault{problem: problem.New(problem.UpstreamTooLarge, "the provider's answer is larger than %d bytes", h.limits.Body)}
}

// framing reads Content-Length (-1: none) and Transfer-Encoding.
func framing(header http.Header) (length int64, chunked bool, err error) {
	lengths, codings := header["Content-Length"], header["Transfer-Encoding"]
	switch {
	case len(lengths) > 0 && len(codings) > 0:
		return 0, false, malformed("the provider's answer has both Content-Length and Transfer-Encoding")
	case len(lengths) > 1 || len(codings) > 1:
		return 0, false, malformed("the provider's answer has more than one Content-Length or Transfer-Encoding")
	case len(codings) == 1:
		if !strings.EqualFold(codings[0], "chunked") {
			return 0, false, malformed("the provider's answer has a transfer coding other than chunked")
		}
		return -1, true, nil
	case len(lengths) == 0:
		return -1, false, nil
	}
	n, ok := digits(lengths[0])
	if !ok {
		return 0, false, malformed("the Content-Length of the provider's answer is not a number")
	}
	return n, false, nil
}

// digits reads 1 to 15 decimal digits and nothing else.
func digits(s string) (n int64, ok bool) {
	if s == "" || len(s) > 15 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// appendFull appends n bytes of r. Memory grows with what came, not with what was announced.
func appendFull(body []byte, r io.Reader, n int64) ([]byte, error) {
	for n > 0 {
		step := int(min(n, 64<<10))
		from := len(body)
		body = slices.Grow(body, step)[:from+step]
		if _, err := io.ReadFull(r, body[from:]); err != nil {
			return nil, err
		}
		n -= int64(step)
	}
	return body, nil
}

// readToEnd reads a body that ends with the connection. Only close_notify is a
// proper end; crypto/tls takes a cut for one, so we look below it.
func (h *Host) readToEnd(c *conn) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(c.br, h.limits.Body+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(body)) > h.limits.Body:
		return nil, h.tooLarge()
	case c.raw.ended:
		return nil, io.ErrUnexpectedEOF
	default:
		return body, nil
	}
}

// readChunks reads a chunked body and drops extensions and trailers (RFC 9112 §7.1).
func (h *Host) readChunks(c *conn) ([]byte, error) {
	lines := &lineReader{br: c.br, bytes: chunkOverhead, fields: maxTrailers}
	var body []byte
	for {
		size, err := lines.chunkSize()
		if err != nil {
			return nil, err
		}
		if size == 0 {
			return body, lines.readFields(http.Header{})
		}
		if int64(len(body))+size > h.limits.Body {
			return nil, h.tooLarge()
		}
		if body, err = appendFull(body, c.br, size); err != nil {
			return nil, err
		}
		end, err := lines.next()
		if err != nil {
			return nil, err
		}
		if len(end) > 0 {
			return nil, malformed("a chunk of the provider's answer is longer than it says")
		}
	}
}

func (l *lineReader) chunkSize() (int64, error) {
	line, err := l.next()
	if err != nil {
		return 0, err
	}
	size, _, _ := bytes.Cut(line, []byte(";"))
	size = bytes.TrimRight(size, " \t")
	var n int64
	for _, c := range size {
		v := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
		if c < '0' || v < 0 {
			return 0, malformed("a chunk size of the provider's answer is not a number")
		}
		n = n<<4 | int64(v)
	}
	if len(size) == 0 || len(size) > 8 {
		return 0, malformed("a chunk size of the provider's answer is malformed")
	}
	return n, nil
}

// decode undoes the content coding. We ask for gzip or none, and accept no other.
func (h *Host) decode(header http.Header, body []byte) ([]byte, error) {
	codings := header["Content-Encoding"]
	coding := strings.ToLower(strings.Join(codings, ","))
	switch {
	case coding == "" || coding == "identity":
		return body, nil
	case coding != "gzip" && coding != "x-gzip":
		return nil, malformed("the provider's answer has a content coding that was not asked for")
	case len(body) == 0:
		return nil, nil
	}
	return h.gunzip(body)
}

var gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}

func (h *Host) gunzip(body []byte) ([]byte, error) {
	r, _ := gzipReaders.Get().(*gzip.Reader)
	defer gzipReaders.Put(r)
	if err := r.Reset(bytes.NewReader(body)); err != nil {
		return nil, malformed("the provider's answer is not the gzip that it says")
	}
	limit := min(h.limits.Body, max(ratioFloor, ratio*int64(len(body))))
	out, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, malformed("the provider's answer is not the gzip that it says")
	case int64(len(out)) > limit:
		return nil, &fault{problem: problem.New(problem.UpstreamTooLarge, "the provider's answer decompresses to more than %d bytes", limit)}
	}
	return out, nil
}
