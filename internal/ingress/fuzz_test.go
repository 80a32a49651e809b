package ingress

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// tape is a connection that plays data in pieces and records what is written.
type tape struct {
	net.Conn
	data    []byte
	piece   int
	written bytes.Buffer
}

func (c *tape) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.data[:min(len(c.data), c.piece)])
	c.data = c.data[n:]
	return n, nil
}

func (c *tape) Write(p []byte) (int, error)      { return c.written.Write(p) }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }
func (c *tape) Close() error                     { return nil }

func quietServer(t testing.TB) *Server {
	t.Helper()
	s := &Server{config: Config{Log: slog.New(slog.DiscardHandler), Now: time.Now}, limits: Limits{}.withDefaults()}
	world, err := NewSnapshot(World{Sites: testSites(t), Caller: &fakeCaller{}, Sessions: &fakeSessions{}, Script: func(string) []byte { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	s.world.Store(world)
	return s
}

// messages are what the filter gave out, each complete message by itself; rest is an
// unfinished last one.
func messages(f *filterConn) (whole [][]byte, rest []byte) {
	buf := make([]byte, 512)
	for {
		n, err := f.Read(buf)
		rest = append(rest, buf[:n]...)
		if err != nil {
			return whole, rest
		}
		done := f.state == messageDone || f.state == readingLength && f.left == 0 || f.state == readingChunks && f.chunk.state == chunkDone
		if done && f.ready == 0 {
			whole, rest = append(whole, rest), nil
			f.done()
			f.next()
		}
	}
}

// FuzzFilterAgainstNetHTTP: whatever the filter lets through, net/http reads as exactly
// the same messages: same boundaries, same first line and host, no trailer, no error.
func FuzzFilterAgainstNetHTTP(f *testing.F) {
	for _, seed := range []string{
		request(get, hostH),
		request(post, hostH, "Content-Length: 3") + "abc" + request(get, hostH),
		request(post, hostH, "Transfer-Encoding: chunked") + "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n" + request(get, hostH),
		request(post, hostH, "Transfer-Encoding: Chunked", "Expect: 100-continue") + "00000003\r\nabc\r\n00\r\n\r\n",
		request(post, hostH, "Content-Length: 13", "Transfer-Encoding: chunked") + "0\r\n\r\nSMUGGLED",
		request(post, hostH, "Transfer-Encoding:", " chunked") + "0\r\n\r\n",
		request(post, hostH, "Content-Length: 003", "X-A:", "X-B:\t b \t") + "abc",
		request("POST /api/payments/x HTTP/1.0", hostH, "Content-Length: 3", "Connection: keep-alive") + "abc" + smuggled,
		request(get, hostH, "Content-Length: 0") + request("DELETE /a%20b?c=%zz HTTP/1.1", hostH),
		"GET / HTTP/1.1\nHost: gw.test\n\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		request(post, hostH, "Transfer-Encoding: chunked") + "1;\na\r\n0\r\nA: b\r\n\r\n",
	} {
		f.Add([]byte(seed), uint8(1))
		f.Add([]byte(seed), uint8(200))
	}
	server := quietServer(f)
	info := &connInfo{listener: &listener{role: rolePublic}, local: netip.MustParseAddr("127.0.0.1")}
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		c := &tape{data: bytes.Clone(data), piece: int(piece) + 1}
		whole, rest := messages(newFilterConn(c, info, server))
		passed := append(bytes.Join(whole, nil), rest...)
		if !bytes.HasPrefix(data, passed) {
			t.Fatalf("passed %q, which is not what came", passed)
		}
		for _, m := range whole {
			sameMessage(t, m)
		}
		if c.written.Len() > 0 {
			r, err := http.ReadResponse(bufio.NewReader(&c.written), nil)
			if err != nil || r.StatusCode < 400 || !r.Close {
				t.Fatalf("the reply is %v %v", r, err)
			}
		}
	})
}

// sameMessage reads m with net/http.
func sameMessage(t *testing.T, m []byte) {
	t.Helper()
	in := bufio.NewReaderSize(bytes.NewReader(m), 64<<10)
	r, err := http.ReadRequest(in)
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", m, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("net/http cannot read the body of %q: %v", m, err)
	}
	if left, _ := io.ReadAll(in); len(left) > 0 || len(r.Trailer) > 0 {
		t.Fatalf("net/http ends %q before %q, trailer %v", m, left, r.Trailer)
	}
	line, _, _ := strings.Cut(string(m), "\r\n")
	if line != r.Method+" "+r.RequestURI+" "+r.Proto {
		t.Fatalf("first line %q read as %s %s %s", line, r.Method, r.RequestURI, r.Proto)
	}
	if r.ContentLength >= 0 && int64(len(body)) != r.ContentLength {
		t.Fatalf("body of %q: %d bytes, announced %d", m, len(body), r.ContentLength)
	}
}

// FuzzTarget: an accepted path means one thing only: decoding it once gives no dot
// segment, no control character, nothing to decode again, and net/url agrees.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"/a/b?c=d", "/%2e%2e/", "/a%252fb", "/a%25b", "//x", "/a;b", "/caf%C3%A9", "/?", "/a?b#c", "/%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		path, query, p := checkTarget(target)
		if p != nil {
			return
		}
		if whole := path + "?" + query; whole != target && path != target {
			t.Fatalf("%q split into %q and %q", target, path, query)
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n")))
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", target, err)
		}
		if r.URL.EscapedPath() != path || r.URL.RawQuery != query || r.URL.Host != "" || r.URL.Fragment != "" {
			t.Fatalf("%q is %#v to net/url", target, r.URL)
		}
		for segment := range strings.SplitSeq(r.URL.Path, "/") {
			if segment == "." || segment == ".." || strings.ContainsAny(segment, "\\;\x00\r\n") {
				t.Fatalf("%q has segment %q", target, segment)
			}
		}
	})
}
