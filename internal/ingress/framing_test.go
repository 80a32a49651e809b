package ingress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	post  = "POST /api/payments/v1/things HTTP/1.1"
	get   = "GET /api/payments/v1/things HTTP/1.1"
	hostH = "Host: gw.test"
)

// smuggled is a request that must never be executed.
const smuggled = "GET /api/payments/smuggled HTTP/1.1\r\nHost: gw.test\r\n\r\n"

// hostile is one row of the attack list.
type hostile struct {
	name   string
	sent   string
	status []int
	code   string
	open   bool // the message was read and understood: the connection may stay
}

// run sends the row, with a second request behind it where the connection must close, and
// wants one refusal and nothing performed.
func (h hostile) run(t *testing.T, g *gate) {
	t.Helper()
	before := g.caller.count()
	sent := h.sent + smuggled
	if h.open {
		sent = strings.TrimSuffix(h.sent, "\r\n") + "Connection: close\r\n\r\n"
	}
	replies, closed := g.raw(sent)
	if len(replies) != 1 {
		t.Fatalf("%d replies, want 1", len(replies))
	}
	r := replies[0]
	if !slices.Contains(h.status, r.StatusCode) {
		t.Errorf("status %d, want one of %v: %s", r.StatusCode, h.status, r.body)
	}
	if h.code != "" && !strings.Contains(r.body, `"code":"`+h.code+`"`) {
		t.Errorf("want code %s in %s", h.code, r.body)
	}
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" && r.Request == nil && r.body != "" {
		t.Errorf("Content-Type %q", got)
	}
	for name, want := range map[string]string{
		"Vary": "Origin", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "",
		"Access-Control-Allow-Origin": "", "Access-Control-Allow-Credentials": "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r.Header.Get("Sallyport-Request-Id") == "" {
		t.Error("no request id")
	}
	if !h.open && !closed {
		t.Error("the connection stayed open")
	}
	if n := g.caller.count() - before; n != 0 {
		t.Errorf("%d calls reached the pipeline", n)
	}
}

// TestFraming is security reference §5.1: every row refused, closed, nothing executed.
func TestFraming(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	chunked := func(body string, more ...string) string {
		return request(append([]string{post, hostH, "Transfer-Encoding: chunked"}, more...)...) + body
	}
	length := func(v string) string { return request(post, hostH, "Content-Length: "+v) + "abcd" }
	bad := []int{400}
	rows := []hostile{
		{name: "CL.TE", sent: request(post, hostH, "Content-Length: 13", "Transfer-Encoding: chunked") + "0\r\n\r\nSMUGGLED", status: bad, code: "bad_framing"},
		{name: "CL.TE with a whole request inside", sent: request(post, hostH, "Content-Length: 60", "Transfer-Encoding: chunked") + "0\r\n\r\n" + smuggled, status: bad},
		{name: "TE.CL", sent: request(post, hostH, "Content-Length: 4", "Transfer-Encoding: chunked") + "5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n", status: bad},
		{name: "TE before CL", sent: request(post, hostH, "Transfer-Encoding: chunked", "Content-Length: 4") + "0\r\n\r\n", status: bad},
		{name: "TE space before colon", sent: request(post, hostH, "Transfer-Encoding : chunked") + "0\r\n\r\n", status: bad},
		{name: "TE xchunked", sent: request(post, hostH, "Transfer-Encoding: xchunked") + "0\r\n\r\n", status: bad},
		{name: "TE chunked, identity", sent: request(post, hostH, "Transfer-Encoding: chunked, identity") + "0\r\n\r\n", status: bad},
		{name: "TE gzip, chunked", sent: request(post, hostH, "Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", status: bad},
		{name: "TE empty", sent: request(post, hostH, "Transfer-Encoding:") + "0\r\n\r\n", status: bad},
		{name: "two TE lines", sent: request(post, hostH, "Transfer-Encoding: chunked", "Transfer-Encoding: identity") + "0\r\n\r\n", status: bad},
		{name: "two equal TE lines", sent: request(post, hostH, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n", status: bad},
		{name: "TE vertical tab", sent: request(post, hostH, "Transfer-Encoding:\x0bchunked") + "0\r\n\r\n", status: bad},
		{name: "TE obs-fold", sent: request(post, hostH, "Transfer-Encoding:", " chunked") + "0\r\n\r\n", status: bad},
		{name: "TE on HTTP/1.0 with CL", sent: request("POST /api/payments/x HTTP/1.0", hostH, "Content-Length: 4", "Transfer-Encoding: chunked") + "0\r\n\r\n", status: bad},
		{name: "TE on HTTP/1.0", sent: request("POST /api/payments/x HTTP/1.0", hostH, "Transfer-Encoding: chunked") + "0\r\n\r\n", status: bad},
		{name: "POST of HTTP/1.0 without a length, kept", sent: request("POST /api/payments/x HTTP/1.0", hostH, "Connection: keep-alive"), status: bad, code: "bad_framing"},
		{name: "POST of HTTP/1.0 without a length", sent: request("POST /api/payments/x HTTP/1.0", hostH), status: bad},
		{name: "TE with parameters", sent: request(post, hostH, "Transfer-Encoding: chunked;a=b") + "0\r\n\r\n", status: bad},
		{name: "TE chunked and a comma", sent: request(post, hostH, "Transfer-Encoding: chunked,") + "0\r\n\r\n", status: bad},
		{name: "TE quoted", sent: request(post, hostH, "Transfer-Encoding: \"chunked\"") + "0\r\n\r\n", status: bad},
		{name: "TE no-break space", sent: request(post, hostH, "Transfer-Encoding: chunked\xa0") + "0\r\n\r\n", status: bad},
		{name: "5,000 zeros before a chunk size", sent: chunked(strings.Repeat("0", 5000) + "1\r\na\r\n0\r\n\r\n"), status: bad},
		{name: "5,000 zeros before a length", sent: length(strings.Repeat("0", 5000) + "4"), status: bad},
		{name: "CL 4 and 5", sent: request(post, hostH, "Content-Length: 4", "Content-Length: 5") + "abcd", status: bad},
		{name: "CL 4 and 4", sent: request(post, hostH, "Content-Length: 4", "Content-Length: 4") + "abcd", status: bad},
		{name: "CL list", sent: length("4, 4"), status: bad},
		{name: "CL plus", sent: length("+4"), status: bad},
		{name: "CL minus", sent: length("-1"), status: bad},
		{name: "CL hex", sent: length("0x4"), status: bad},
		{name: "CL 10^20-1", sent: length("99999999999999999999"), status: bad},
		{name: "CL empty", sent: length(""), status: bad},
		{name: "CL with space inside", sent: length("4 4"), status: bad},
		{name: "CL larger than allowed", sent: length("1048577"), status: []int{413}, code: "body_too_large"},
		{name: "GET with body", sent: request(get, hostH, "Content-Length: 4") + "abcd", status: bad},
		{name: "GET with chunked body", sent: request(get, hostH, "Transfer-Encoding: chunked") + "0\r\n\r\n", status: bad},
		{name: "chunk size overflow", sent: chunked("10000000000000000\r\nabc\r\n0\r\n\r\n"), status: bad, code: "bad_framing"},
		{name: "chunk size 0x1", sent: chunked("0x1\r\na\r\n0\r\n\r\n"), status: bad},
		{name: "chunk size empty", sent: chunked("\r\na\r\n0\r\n\r\n"), status: bad},
		{name: "chunk size minus", sent: chunked("-1\r\na\r\n0\r\n\r\n"), status: bad},
		{name: "chunk size space", sent: chunked("1 \r\na\r\n0\r\n\r\n"), status: bad},
		{name: "chunk extension with bare LF", sent: chunked("1;\na\r\n0\r\n\r\n"), status: bad},
		{name: "chunk extension", sent: chunked("1;a=b\r\na\r\n0\r\n\r\n"), status: bad},
		{name: "chunk size bare LF", sent: chunked("1\na\r\n0\r\n\r\n"), status: bad},
		{name: "chunk data without CR LF", sent: chunked("1\r\nab\r\n0\r\n\r\n"), status: bad},
		{name: "chunk data bare LF", sent: chunked("1\r\na\n0\r\n\r\n"), status: bad},
		{name: "last chunk bare LF", sent: chunked("1\r\na\r\n0\r\n\n"), status: bad},
		{name: "trailer", sent: chunked("1\r\na\r\n0\r\nAuthorization: evil\r\n\r\n", "Trailer: Authorization"), status: bad},
		{name: "trailer without announcement", sent: chunked("1\r\na\r\n0\r\nAuthorization: evil\r\n\r\n"), status: bad},
		{name: "bare LF line ends", sent: "GET /api/payments/x HTTP/1.1\nHost: gw.test\n\n", status: bad},
		{name: "one bare LF", sent: "GET /api/payments/x HTTP/1.1\r\nHost: gw.test\nX-A: b\r\n\r\n", status: bad},
		{name: "bare CR in value", sent: request(get, hostH, "X-A: a\rX-B: b"), status: bad},
		{name: "CR CR LF", sent: "GET /api/payments/x HTTP/1.1\r\r\nHost: gw.test\r\n\r\n", status: bad},
		{name: "NUL in value", sent: request(get, hostH, "X-A: a\x00b"), status: bad},
		{name: "NUL in name", sent: request(get, hostH, "X-\x00A: ab"), status: bad},
		{name: "obs-fold", sent: request(get, hostH, "X-A: a", " b"), status: bad},
		{name: "obs-fold tab", sent: request(get, hostH, "X-A: a", "\tb"), status: bad},
		{name: "obs-fold before the first field", sent: request(get, " Host: gw.test", hostH), status: bad},
		{name: "header name with space", sent: request(get, hostH, "X A: b"), status: bad},
		{name: "header name empty", sent: request(get, hostH, ": b"), status: bad},
		{name: "header name leading space", sent: request(get, " X-A: b", hostH), status: bad},
		{name: "header name trailing tab", sent: request(get, hostH, "X-A\t: b"), status: bad},
		{name: "header line without colon", sent: request(get, hostH, "X-A"), status: bad},
		{name: "header name non-ASCII", sent: request(get, hostH, "X-\xc3\xa9: b"), status: bad},
		{name: "header value non-ASCII", sent: request(get, hostH, "X-A: \xff"), status: bad},
		{name: "leading CR LF", sent: "\r\n" + request(get, hostH), status: bad},
		{name: "leading space", sent: " " + request(get, hostH), status: bad},
		{name: "Expect 200-ok", sent: request(post, hostH, "Content-Length: 4", "Expect: 200-ok") + "abcd", status: []int{417}},
		{name: "Expect 100-continue without body", sent: request(post, hostH, "Expect: 100-continue"), status: []int{417}},
		{name: "Upgrade h2c", sent: request(get, hostH, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), status: bad},
		{name: "Upgrade h2c without Connection", sent: request(get, hostH, "Upgrade: h2c"), status: bad},
		{name: "Upgrade websocket bogus version", sent: request(get, hostH, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 777", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), status: bad},
		{name: "HTTP/1.2", sent: request("GET /api/payments/x HTTP/1.2", hostH), status: []int{505}},
		{name: "HTTP/9.9", sent: request("GET /api/payments/x HTTP/9.9", hostH), status: []int{505}},
		{name: "HTTP/2.0 preface", sent: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: []int{505}},
		{name: "HTTP/0.9", sent: "GET /api/payments/x\r\n\r\n", status: bad},
		{name: "lower-case http/1.1", sent: request("GET /api/payments/x http/1.1", hostH), status: bad},
		{name: "two spaces in the request line", sent: request("GET  /api/payments/x HTTP/1.1", hostH), status: bad},
		{name: "tab in the request line", sent: request("GET\t/api/payments/x HTTP/1.1", hostH), status: bad},
		{name: "TLS on the plain port", sent: "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1", status: bad},
		{name: "Content-Encoding gzip", sent: request(post, hostH, "Content-Length: 4", "Content-Encoding: gzip") + "abcd", status: []int{415}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { row.run(t, g) })
	}
}

// TestShortBody: a body that stops or ends early is never a performed call.
func TestShortBody(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	for _, row := range []struct {
		name  string
		sent  string
		close bool
		want  int
	}{
		{"length, stall", request(post, hostH, "Content-Length: 10") + "abc", false, 408},
		{"length, close", request(post, hostH, "Content-Length: 10") + "abc", true, 400},
		{"chunk, stall", request(post, hostH, "Transfer-Encoding: chunked") + "5\r\nabc", false, 408},
		{"chunk, close", request(post, hostH, "Transfer-Encoding: chunked") + "5\r\nabc", true, 400},
		{"chunk size, stall", request(post, hostH, "Transfer-Encoding: chunked") + "5", false, 408},
		{"100-continue, stall", request(post, hostH, "Expect: 100-continue", "Content-Length: 10"), false, 408},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := net.Dial("tcp", g.PublicAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, row.sent)
			if row.close {
				c.(*net.TCPConn).CloseWrite()
			}
			replies, closed := readReplies(t, c, 2*time.Second)
			if n := len(replies); n == 0 || replies[n-1].StatusCode != row.want || !closed {
				t.Errorf("closed %v, want status %d, got %d replies %+v", closed, row.want, n, replies)
			}
		})
	}
	if n := g.caller.count(); n != 0 {
		t.Errorf("%d calls performed", n)
	}
}

// TestPipelining: two requests in one packet are two calls in order, with bodies of
// either framing between them, and a refusal of the second comes after the first reply.
func TestPipelining(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	chunked := request(post, hostH, "Transfer-Encoding: chunked") + "3\r\none\r\n0\r\n\r\n"
	length := request(post, hostH, "Content-Length: 3") + "two"
	last := request(get, hostH, "Connection: close")
	replies, closed := g.raw(chunked + length + chunked + last)
	if len(replies) != 4 || !closed {
		t.Fatalf("%d replies, closed %v", len(replies), closed)
	}
	if got := strings.Join(g.caller.bodies, ","); got != "one,two,one," {
		t.Errorf("bodies %q", got)
	}
	before := g.caller.count()
	replies, closed = g.raw(length + "GET /api/payments/x HTTP/1.1\nHost: gw.test\n\n" + smuggled)
	if len(replies) != 2 || replies[0].StatusCode != 200 || replies[1].StatusCode != 400 || !closed {
		t.Errorf("replies %v, closed %v", replies, closed)
	}
	if n := g.caller.count() - before; n != 1 {
		t.Errorf("%d calls, want the first alone", n)
	}
}

// TestNothingAfterTheLast: what follows a request that ends its connection is not read as
// another one.
func TestNothingAfterTheLast(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	for name, first := range map[string]string{
		"close": request(get, hostH, "Connection: close"), "keep-alive, close": request(get, hostH, "Connection: keep-alive, close"),
		"close in a second line": request(get, hostH, "Connection: keep-alive", "Connection: close"), "HTTP/1.0": request("GET /api/payments/x HTTP/1.0", hostH),
		"HTTP/1.0 with a body": request("POST /api/payments/x HTTP/1.0", hostH, "Content-Length: 3") + "abc",
	} {
		before := g.caller.count()
		if replies, closed := g.raw(first + smuggled); len(replies) != 1 || replies[0].StatusCode != 200 || !closed || g.caller.count() != before+1 {
			t.Errorf("%s: %d replies, closed %v, %d performed", name, len(replies), closed, g.caller.count()-before)
		}
	}
}

// TestBytewise: the same requests, one byte at a time, give the same answers.
func TestBytewise(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	c, err := net.Dial("tcp", g.PublicAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent := request(post, hostH, "Transfer-Encoding: chunked") + "3\r\none\r\n0\r\n\r\n" +
		request(get, hostH) + request(post, hostH, "Content-Length : 3") + "two"
	for i := range len(sent) {
		if _, err := io.WriteString(c, sent[i:i+1]); err != nil {
			break
		}
	}
	replies, closed := readReplies(t, c, time.Second)
	if len(replies) != 3 || replies[0].StatusCode != 200 || replies[1].StatusCode != 200 || replies[2].StatusCode != 400 || !closed {
		t.Fatalf("replies %v, closed %v", replies, closed)
	}
	if g.caller.count() != 2 {
		t.Errorf("%d calls", g.caller.count())
	}
}

// TestContinue: 100 is sent when the body is wanted, and the call is then performed.
func TestContinue(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	c, err := net.Dial("tcp", g.PublicAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, request(post, hostH, "Expect: 100-continue", "Content-Length: 3"))
	want := "HTTP/1.1 100 Continue\r\n\r\n"
	got := make([]byte, len(want))
	c.SetReadDeadline(time.Now().Add(3 * time.Second))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("%q %v", got, err)
	}
	replies, _ := exchangeRaw(t, c, "abc")
	if len(replies) != 1 || replies[0].StatusCode != 200 || g.caller.bodies[0] != "abc" || g.caller.last().Header.Get("Expect") != "" {
		t.Errorf("%+v", replies)
	}
}

// TestKeptConnection: many calls of every framing on one connection, none mixed up.
func TestKeptConnection(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	c, err := net.Dial("tcp", g.PublicAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for i := range 200 {
		want := strings.Repeat("x", i*37)
		sent := request(post, hostH, fmt.Sprintf("Content-Length: %d", len(want))) + want
		if i%2 == 1 {
			sent = request(post, hostH, "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(want), want)
		}
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
		if r.StatusCode != 200 || g.caller.bodies[i] != want {
			t.Fatalf("call %d: status %d", i, r.StatusCode)
		}
	}
}
