package outbound

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
)

// What we accept, net/http reads the same way: the same status and the same body.
// (The reverse does not hold: net/http accepts more.)
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nto the end",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nab\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: b\r\n\r\n",
		"HTTP/1.1 500 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	h := &Host{limits: Limits{}.filled()}
	f.Fuzz(func(t *testing.T, wire []byte) {
		c := &conn{raw: &countingConn{}, br: bufio.NewReader(bytes.NewReader(wire))}
		a, err := h.readHead(c)
		if err != nil {
			return
		}
		body, err := h.rawBody(c, a, http.MethodGet)
		if err != nil {
			return
		}
		res, theirs, err := netHTTP(wire)
		if err != nil || res.StatusCode != a.status || !bytes.Equal(theirs, body) {
			t.Fatalf("we read %d %q; net/http reads %v %q, %v", a.status, body, res, theirs, err)
		}
	})
}

func netHTTP(wire []byte) (*http.Response, []byte, error) {
	br := bufio.NewReader(bytes.NewReader(wire))
	for {
		res, err := http.ReadResponse(br, &http.Request{Method: http.MethodGet})
		if err != nil {
			return nil, nil, err
		}
		if res.StatusCode < 200 {
			continue
		}
		body, err := io.ReadAll(res.Body)
		return res, body, err
	}
}

// Undoing escapes never panics and never grows a text.
func FuzzUnescape(f *testing.F) {
	f.Add([]byte(`a\u0041\/\\%41%zz\u12`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := len(unescapeJSON(b)); n > len(b) {
			t.Fatalf("%d bytes became %d", len(b), n)
		}
		if n := len(unescapePercent(b)); n > len(b) {
			t.Fatalf("%d bytes became %d", len(b), n)
		}
	})
}
