package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"sallyport/test/harness"
)

// h2Target is a gate that serves https, with stripe-mock behind it.
func h2Target(t *testing.T) *target {
	t.Helper()
	up := harness.StripeMock(t)
	cert, pem := harness.Certificate(t)
	config := strings.Replace(shopConfig(up.URL), "tls: off", "tls: {cert: ./gate.pem, key: ./gate.key}", 1)
	g := harness.New(t, config, map[string][]byte{"ca.pem": up.CA, harness.OwnCertificate: pem, harness.OwnKey: harness.KeyPEM(t, cert)},
		"TEST_STRIPE_KEY="+liveKey).Start()
	return &target{t: t, g: g, up: up, host: strings.TrimPrefix(g.URL, "https://"), key: g.Key("shop")}
}

// frames speaks HTTP/2 frame by frame.
type frames struct {
	*http2.Framer
	conn net.Conn
	next uint32
}

func (x *target) h2(t *testing.T) *frames {
	t.Helper()
	tr, ok := x.g.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	c := tr.TLSClientConfig.Clone()
	c.NextProtos, c.ServerName = []string{"h2"}, "127.0.0.1"
	conn, err := tls.Dial("tcp", x.host, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := &frames{http2.NewFramer(conn, conn), conn, 1}
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return f
}

func block(fields ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

// ends reads until stream 1 or the connection ends: "200", "RST", "GOAWAY CODE", "closed"
// or "silence".
func (f *frames) ends() string {
	dec := hpack.NewDecoder(4096, nil)
	status := ""
	for {
		_ = f.conn.SetReadDeadline(time.Now().Add(6 * time.Second))
		frame, err := f.ReadFrame()
		var n net.Error
		if errors.As(err, &n) && n.Timeout() {
			return "silence"
		}
		if err != nil {
			return "closed"
		}
		switch frame := frame.(type) {
		case *http2.HeadersFrame:
			if fields, err := dec.DecodeFull(frame.HeaderBlockFragment()); err == nil && len(fields) > 0 {
				status = fields[0].Value
			}
			if frame.StreamEnded() {
				return status
			}
		case *http2.DataFrame:
			if frame.StreamEnded() {
				return status
			}
		case *http2.RSTStreamFrame:
			if status == "" {
				return "RST"
			}
			return status // cut off after the head of its refusal
		case *http2.GoAwayFrame:
			return "GOAWAY " + frame.ErrCode.String()
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		}
	}
}

// TestHostileHTTP2 is security reference §5.5 on the real binary: an authenticated request
// with one trick is refused, and a flood ends the connection.
func TestHostileHTTP2(t *testing.T) {
	t.Parallel()
	x := h2Target(t)
	call := func(more ...string) []string {
		return append([]string{":method", "GET", ":scheme", "https", ":authority", x.host, ":path", "/shop/api/payments/v1/products", "authorization", "Bearer " + x.key}, more...)
	}
	replace := func(name, value string, more ...string) []string {
		out := call(more...)
		out[slices.Index(out, name)+1] = value
		return out
	}
	post := func(more ...string) []string {
		out := replace(":method", "POST", append(more, "content-type", "application/x-www-form-urlencoded")...)
		out[slices.Index(out, ":path")+1] = "/shop/api/payments/v1/customers"
		return out
	}
	honest := x.h2(t)
	_ = honest.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(call()...), EndStream: true, EndHeaders: true})
	if got := honest.ends(); got != "200" || len(x.up.Requests()) != 1 {
		t.Fatalf("the honest request: %s, %d performed", got, len(x.up.Requests()))
	}
	for _, row := range []struct {
		name   string
		fields []string
		body   string
		want   []string
	}{
		{"transfer-encoding", call("transfer-encoding", "chunked"), "", []string{"400", "RST"}},
		{"connection", call("connection", "close"), "", []string{"400", "RST"}},
		{"te gzip", call("te", "gzip"), "", []string{"400", "RST"}},
		{"CR LF in a value", call("x-a", "a\r\nx-b: c"), "", []string{"RST"}},
		{"NUL in a value", call("x-a", "a\x00b"), "", []string{"RST"}},
		{"upper-case name", call("X-A", "b"), "", []string{"RST"}},
		{"second :path", call(":path", "/admin"), "", []string{"RST"}},
		{":scheme http", replace(":scheme", "http"), "", []string{"400"}},
		{"space before a value", call("x-a", " b"), "", []string{"400", "RST"}},
		{"host differs", call("host", "evil.test"), "", []string{"400", "RST"}},
		{"unknown :authority", replace(":authority", "evil.test"), "", []string{"421"}},
		{"content-length, no body", post("content-length", "5"), "", []string{"400", "RST"}},
		{"content-length too small", post("content-length", "2"), "name=Ada", []string{"400", "RST"}},
		{"GET with a body", call(), "name=Ada", []string{"400"}},
		{"dot segments", replace(":path", "/shop/api/payments/../payments/v1/products"), "", []string{"400"}},
		{"encoded slash", replace(":path", "/shop/api/payments/v1%2fproducts"), "", []string{"400"}},
		{"absolute :path", replace(":path", "http://169.254.169.254/latest"), "", []string{"400", "RST"}},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "127.0.0.1:22"}, "", []string{"405", "400", "RST"}},
		{"TRACE", replace(":method", "TRACE"), "", []string{"405"}},
		{"two authorizations", call("authorization", "Bearer x"), "", []string{"400"}},
		{"underscore", call("x_tenant", "1"), "", []string{"400"}},
		{"foreign origin", call("origin", "https://evil.example"), "", []string{"403"}},
		{"headers of 24 kB", call("x-a", strings.Repeat("a", 8<<10), "x-b", strings.Repeat("b", 8<<10), "x-c", strings.Repeat("c", 8<<10)), "", []string{"431", "GOAWAY PROTOCOL_ERROR"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := x.h2(t)
			b := block(row.fields...)
			first := b[:min(len(b), 16<<10)]
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first, EndStream: row.body == "", EndHeaders: len(first) == len(b)})
			if len(first) < len(b) {
				_ = f.WriteContinuation(1, true, b[len(first):])
			}
			if row.body != "" {
				_ = f.WriteData(1, true, []byte(row.body))
			}
			if got := f.ends(); !slices.Contains(row.want, got) {
				t.Errorf("%s, want %v", got, row.want)
			}
		})
	}
	if n := len(x.up.Requests()); n != 1 {
		t.Errorf("%d hostile requests reached the provider", n-1)
	}
	x.floods(t, call)
}

// drain only reads, as another goroutine writes, until the connection ends.
func (f *frames) drain() string {
	got := "closed"
	for {
		_ = f.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		frame, err := f.ReadFrame()
		var n net.Error
		switch {
		case errors.As(err, &n) && n.Timeout():
			return "silence"
		case err != nil:
			return got
		}
		if frame, ok := frame.(*http2.GoAwayFrame); ok {
			got = "GOAWAY " + frame.ErrCode.String()
		}
	}
}

// floods sends what no honest client sends so often; each ends in GOAWAY, and the gate
// still serves others.
func (x *target) floods(t *testing.T, call func(...string) []string) {
	t.Helper()
	for name, flood := range map[string]func(f *frames, i int) error{
		"PING":     func(f *frames, _ int) error { return f.WritePing(false, [8]byte{}) },
		"SETTINGS": func(f *frames, _ int) error { return f.WriteSettings() },
		"CONTINUATION": func(f *frames, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(call()...), EndStream: true})
			}
			return f.WriteContinuation(1, false, block("x-a", "b"))
		},
		"rapid reset": func(f *frames, _ int) error {
			id := f.next
			f.next += 2
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(call()...), EndStream: true, EndHeaders: true}); err != nil {
				return err
			}
			return f.WriteRSTStream(id, http2.ErrCodeCancel)
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(x.up.Requests())
			f := x.h2(t)
			ended := make(chan string, 1)
			go func() { ended <- f.drain() }()
			for i := range 25000 {
				if flood(f, i) != nil {
					break
				}
			}
			if got := <-ended; got == "silence" {
				t.Errorf("%s: a flood did not end the connection", got)
			}
			if n := len(x.up.Requests()) - before; n > 100 {
				t.Errorf("%d calls were made of one flood", n)
			}
		})
	}
	if r := x.g.Do("GET", "/readyz", "", nil); r.Status != 200 {
		t.Errorf("after the floods: %d", r.Status)
	}
}
