package ingress

//lint:file-ignore SA1019 the client that belongs to the server under test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"sallyport/internal/egress"
)

// h2Client speaks HTTP/2 frame by frame.
type h2Client struct {
	*http2.Framer
	t    testing.TB
	c    *tls.Conn
	next uint32
}

func newH2(t testing.TB, g *gate, pool *x509.CertPool) *h2Client {
	t.Helper()
	c := dialTLS(t, g, pool, "h2")
	if got := c.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("protocol %q", got)
	}
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	f.WriteSettings()
	return &h2Client{f, t, c, 1}
}

func block(fields ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

// pseudo are the fields of an honest call, and more.
func pseudo(more ...string) []string {
	return append([]string{":method", "GET", ":scheme", "https", ":authority", "gw.test", ":path", "/api/payments/x"}, more...)
}

func (c *h2Client) headers(end bool, b []byte) uint32 {
	id := c.next
	c.next += 2
	c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b, EndStream: end, EndHeaders: true})
	return id
}

// outcome reads until stream id or the connection ends: "200", "RST PROTOCOL_ERROR",
// "GOAWAY ENHANCE_YOUR_CALM", "closed" or "silence".
func (c *h2Client) outcome(id uint32) string {
	dec := hpack.NewDecoder(4096, nil)
	status := ""
	for {
		c.c.SetReadDeadline(time.Now().Add(2 * time.Second))
		f, err := c.ReadFrame()
		var n net.Error
		switch {
		case errors.As(err, &n) && n.Timeout():
			return "silence"
		case err != nil:
			return "closed"
		}
		switch f := f.(type) {
		case *http2.HeadersFrame:
			fields, err := dec.DecodeFull(f.HeaderBlockFragment())
			if err != nil {
				c.t.Fatal(err)
			}
			if f.StreamID == id && fields[0].Name == ":status" {
				status = fields[0].Value
			}
			if f.StreamID == id && f.StreamEnded() {
				return status
			}
		case *http2.DataFrame:
			if f.StreamID == id && f.StreamEnded() {
				return status
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id && status == "" {
				return "RST " + f.ErrCode.String()
			}
			if f.StreamID == id { // cut off after the head of its refusal: the rest of the request was wrong too
				return status
			}
		case *http2.GoAwayFrame:
			return "GOAWAY " + f.ErrCode.String()
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.WriteSettingsAck()
			}
		}
	}
}

// TestHTTP2Requests is security reference §5.5, requests: none reaches the pipeline.
func TestHTTP2Requests(t *testing.T) {
	t.Parallel()
	g, pool := startTLSGate(t)
	const rst = "RST PROTOCOL_ERROR"
	replace := func(name, value string) []string {
		out := pseudo()
		for i := 0; i < len(out); i += 2 {
			if out[i] == name {
				out[i+1] = value
			}
		}
		return out
	}
	for _, row := range []struct {
		name   string
		fields []string
		body   string // sent when not empty; the stream is left open then
		want   []string
	}{
		{"transfer-encoding", pseudo("transfer-encoding", "chunked"), "", []string{"400", rst}},
		{"connection", pseudo("connection", "close"), "", []string{"400", rst}},
		{"te gzip", pseudo("te", "gzip"), "", []string{"400", rst}},
		{"upgrade", pseudo("upgrade", "h2c"), "", []string{"400", rst}},
		{"CRLF in value", pseudo("x-a", "a\r\nx-b: c"), "", []string{rst}},
		{"NUL in value", pseudo("x-a", "a\x00b"), "", []string{rst}},
		{"CRLF in name", pseudo("x-a\r\nx-b", "c"), "", []string{rst}},
		{"space in name", pseudo("x a", "c"), "", []string{rst}},
		{"upper-case name", pseudo("X-A", "b"), "", []string{rst}},
		{"second :path", pseudo(":path", "/admin"), "", []string{rst}},
		{"unknown pseudo-header", pseudo(":evil", "x"), "", []string{rst}},
		{"pseudo-header after field", append([]string{"x-a", "b"}, pseudo()...), "", []string{rst}},
		{"no :path", []string{":method", "GET", ":scheme", "https", ":authority", "gw.test"}, "", []string{rst}},
		{":scheme http", replace(":scheme", "http"), "", []string{"400"}},
		{":scheme ftp", replace(":scheme", "ftp"), "", []string{rst}},
		{":protocol", append(replace(":method", "CONNECT"), ":protocol", "websocket"), "", []string{rst}},
		{"space before a value", pseudo("x-a", " b"), "", []string{"400", rst}},
		{"tab after a value", pseudo("x-a", "b\t"), "", []string{"400", rst}},
		{"space before an origin", pseudo("origin", " https://example.com", "authorization", "Bearer t"), "", []string{"400", rst}},
		{"empty name", pseudo("", "a"), "", []string{rst}},
		{"keep-alive", pseudo("keep-alive", "5"), "", []string{"400", rst}},
		{"CRLF in :method", replace(":method", "GET\r\n"), "", []string{rst}},
		{"CRLF in :authority", replace(":authority", "gw.test\r\nx: y"), "", []string{rst}},
		{"a version in :path", replace(":path", "/api/payments/x HTTP/1.1"), "", []string{"400", rst}},
		{"two sid cookies in two fields", pseudo("cookie", "sid=a", "cookie", "sid=b"), "", []string{"400"}},
		{"host differs from :authority", pseudo("host", "evil.test"), "", []string{"400", rst}},
		{"unknown :authority", replace(":authority", "evil.test"), "", []string{"421"}},
		{":authority with user", replace(":authority", "a@gw.test"), "", []string{"400", rst}},
		{":authority empty", replace(":authority", ""), "", []string{"400", rst}},
		{"content-length without body", append(replace(":method", "POST"), "content-length", "5"), "", []string{"400", rst}},
		{"content-length on GET without body", pseudo("content-length", "5"), "", []string{"400", rst}},
		{"content-length not a number", append(replace(":method", "POST"), "content-length", "+5"), "abcde", []string{"400", rst}},
		{"content-length too small", append(replace(":method", "POST"), "content-length", "2"), "abcde", []string{"400", rst}},
		{"content-length too large", append(replace(":method", "POST"), "content-length", "9"), "abcde", []string{"400", rst}},
		{"content-length over the bound", append(replace(":method", "POST"), "content-length", "1048577"), "abcde", []string{"413", "400", rst}},
		{"two content-lengths", append(replace(":method", "POST"), "content-length", "5", "content-length", "5"), "abcde", []string{"400", rst}},
		{"GET with body", pseudo(), "abcde", []string{"400"}},
		{"trailer announced", append(replace(":method", "POST"), "trailer", "authorization"), "abcde", []string{"400"}},
		{"dot segment", replace(":path", "/api/../admin"), "", []string{"400"}},
		{"//", replace(":path", "//evil.com/x"), "", []string{"400", rst}},
		{"absolute :path", replace(":path", "http://169.254.169.254/latest"), "", []string{"400", rst}},
		{"encoded slash", replace(":path", "/api/payments/a%2fb"), "", []string{"400"}},
		{"semicolon", replace(":path", "/api/payments/a;b"), "", []string{"400"}},
		{"raw UTF-8 in :path", replace(":path", "/api/payments/\xc3\xa9"), "", []string{"400", rst}},
		{"fragment", replace(":path", "/api/payments/a#b"), "", []string{"400", rst}},
		{"long :path", replace(":path", "/"+strings.Repeat("a", 9<<10)), "", []string{"414"}},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "127.0.0.1:22"}, "", []string{"405", "400", rst}},
		{"TRACE", replace(":method", "TRACE"), "", []string{"405"}},
		{"get", replace(":method", "get"), "", []string{"405"}},
		{"override header", pseudo("x-http-method-override", "DELETE"), "", []string{"400"}},
		{"underscore", pseudo("x_tenant", "1"), "", []string{"400"}},
		{"two authorizations", pseudo("authorization", "Bearer a", "authorization", "Bearer b"), "", []string{"400"}},
		{"two origins", pseudo("origin", "https://example.com", "origin", "https://example.com"), "", []string{"400"}},
		{"foreign origin", pseudo("origin", "https://evil.test", "authorization", "Bearer key"), "", []string{"403"}},
		{"obs-text", pseudo("x-a", "\xff"), "", []string{"400", rst}},
		{"header 20 kB", pseudo("x-a", strings.Repeat("a", 20<<10)), "", []string{"431", "GOAWAY COMPRESSION_ERROR"}},
		{"20 headers of 1 kB", pseudo(kilobytes(20)...), "", []string{"431"}},
		{"101 headers", pseudo(small(101)...), "", []string{"431"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newH2(t, g, pool)
			b := block(row.fields...)
			first := b[:min(len(b), 16<<10)]
			c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first, EndStream: row.body == "", EndHeaders: len(first) == len(b)})
			if len(first) < len(b) {
				c.WriteContinuation(1, true, b[len(first):])
			}
			if row.body != "" {
				c.WriteData(1, true, []byte(row.body))
			}
			got := c.outcome(1)
			for _, want := range row.want {
				if got == want {
					return
				}
			}
			t.Errorf("%s, want one of %v", got, row.want)
		})
	}
	if n := g.caller.count(); n != 0 {
		t.Errorf("%d calls performed", n)
	}
}

func kilobytes(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("x-%d", i), strings.Repeat("a", 1024))
	}
	return out
}

func small(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("x-%d", i), "a")
	}
	return out
}

func TestHTTP2Honest(t *testing.T) {
	t.Parallel()
	g, pool := startTLSGate(t)
	client := &http.Client{Transport: &http2.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "gw.test"},
		DialTLSContext: func(_ context.Context, network, _ string, c *tls.Config) (net.Conn, error) {
			return tls.Dial(network, g.PublicAddr().String(), c)
		}}}
	defer client.CloseIdleConnections()
	for i := range 50 {
		r, err := client.Post("https://gw.test/api/payments/v1/x?y=z", "application/json", strings.NewReader(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 200 || string(b) != `{"ok":true}` || r.ProtoMajor != 2 || r.Header.Get("Strict-Transport-Security") == "" {
			t.Fatalf("%d %s %v", r.StatusCode, b, r.Header)
		}
	}
	if c := g.caller.last(); c.Path != "/v1/x" || c.RawQuery != "y=z" || g.caller.bodies[49] != "49" {
		t.Errorf("%+v %q", c, g.caller.bodies[49])
	}
	if g.Stats().Floods != 0 {
		t.Error("an honest client was taken for a flood")
	}
}

// TestHPACKBomb: a block that grows to megabytes is refused by its decoded size.
func TestHPACKBomb(t *testing.T) {
	t.Parallel()
	g, pool := startTLSGate(t)
	c := newH2(t, g, pool)
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i, f := 0, pseudo(); i < len(f); i += 2 {
		e.WriteField(hpack.HeaderField{Name: f[i], Value: f[i+1]})
	}
	for range 5000 {
		e.WriteField(hpack.HeaderField{Name: "x-a", Value: strings.Repeat("a", 3800)})
	}
	c.headers(true, b.Bytes())
	if got := c.outcome(1); got != "431" && got != "RST PROTOCOL_ERROR" && !strings.HasPrefix(got, "GOAWAY") {
		t.Errorf("got %s for %d bytes", got, b.Len())
	}
	if g.caller.count() != 0 {
		t.Error("performed")
	}
}

// TestStreamBound: more than 100 open streams are refused one by one.
func TestStreamBound(t *testing.T) {
	t.Parallel()
	g, pool := startTLSGate(t)
	c := newH2(t, g, pool)
	for range 1000 {
		c.headers(false, block(":method", "POST", ":scheme", "https", ":authority", "gw.test", ":path", "/api/payments/x"))
	}
	refused := 0
	for deadline := time.Now().Add(time.Second); refused < 900; {
		c.c.SetReadDeadline(deadline)
		f, err := c.ReadFrame()
		if err != nil {
			break
		}
		if f, ok := f.(*http2.RSTStreamFrame); ok && (f.ErrCode == http2.ErrCodeRefusedStream || f.ErrCode == http2.ErrCodeProtocol) {
			refused++
		}
	}
	if open := g.Stats().InFlight; open > maxStreams || refused == 0 {
		t.Errorf("%d in flight, %d refused", open, refused)
	}
}

// TestWindowStall: a client that never opens its window does not hold a stream for ever.
func TestWindowStall(t *testing.T) {
	t.Parallel()
	g, pool := startTLSGate(t, func(c *Config, _ *World) { c.Limits.Reply = 600 * time.Millisecond })
	g.caller.answer = func(*egress.Call) *egress.Answer {
		return &egress.Answer{Status: 200, Header: http.Header{}, Body: make([]byte, 1<<20)}
	}
	c := newH2(t, g, pool)
	c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	c.headers(true, block(pseudo()...))
	for deadline := time.Now().Add(4 * time.Second); g.caller.count() == 0 || g.Stats().InFlight > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the stream is still held")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestHTTP2SlowBody: a body that stops is refused and performs nothing.
func TestHTTP2SlowBody(t *testing.T) {
	t.Parallel()
	g, pool := startTLSGate(t, func(c *Config, _ *World) { c.Limits.ReadTotal = 300 * time.Millisecond })
	c := newH2(t, g, pool)
	id := c.headers(false, block(":method", "POST", ":scheme", "https", ":authority", "gw.test", ":path", "/api/payments/x"))
	c.WriteData(id, false, []byte("abc"))
	if got := c.outcome(id); got != "408" || g.caller.count() != 0 {
		t.Errorf("%s, %d calls", got, g.caller.count())
	}
}

// TestHTTP2Drain: GOAWAY first, and the stream in flight ends well.
func TestHTTP2Drain(t *testing.T) {
	t.Parallel()
	g, pool := startTLSGate(t)
	entered := make(chan struct{})
	g.caller.answer = func(*egress.Call) *egress.Answer {
		close(entered)
		time.Sleep(300 * time.Millisecond)
		return &egress.Answer{Status: 200, Header: http.Header{}, Body: []byte("ok")}
	}
	c := newH2(t, g, pool)
	id := c.headers(true, block(pseudo()...))
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- g.stop() }()
	if got := c.outcome(id); got != "GOAWAY NO_ERROR" {
		t.Errorf("first %s", got)
	}
	if got := c.outcome(id); got != "200" {
		t.Errorf("then %s", got)
	}
	c.c.Close()
	if err := <-stopped; err != nil || g.Stats().Overdue != 0 {
		t.Errorf("%v %+v", err, g.Stats())
	}
}
