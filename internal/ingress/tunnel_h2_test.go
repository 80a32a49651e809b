package ingress

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"sallyport/internal/egress"
)

// h2 opens a tunnel to host and speaks HTTP/2 in it frame by frame.
func (g *sdkGate) h2(host string) *h2Client {
	g.t.Helper()
	c := tls.Client(g.tunnelTo(host), &tls.Config{ServerName: host, RootCAs: g.roots, NextProtos: []string{"h2"}})
	if err := c.Handshake(); err != nil || c.ConnectionState().NegotiatedProtocol != "h2" {
		g.t.Fatalf("HTTP/2 in a tunnel: %v %q", err, c.ConnectionState().NegotiatedProtocol)
	}
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	f.WriteSettings()
	return &h2Client{f, g.t, c, 1}
}

// TestTunnelHTTP2: streams are for the host of the CONNECT, each of them, and read as strictly
// as on the public port.
func TestTunnelHTTP2(t *testing.T) {
	g := startSDK(t)
	request := func(authority string, more ...string) []byte {
		return block(append([]string{":method", "GET", ":scheme", "https", ":authority", authority, ":path", "/v1/x"}, more...)...)
	}
	for _, row := range []struct {
		what  string
		block []byte
		want  []string
	}{
		{"another host", request(smsHost), []string{"400"}},
		{"another port", request(payHost + ":8443"), []string{"400"}},
		{"the metadata service", request("169.254.169.254"), []string{"400"}},
		{"a host with a user", request("x@" + payHost), []string{"400", "RST PROTOCOL_ERROR"}},
		{"a page", request(payHost, "origin", "https://example.com"), []string{"403"}},
		{"a navigation", request(payHost, "sec-fetch-site", "cross-site"), []string{"403"}},
		{"a CONNECT", block(":method", "CONNECT", ":authority", smsHost+":443"), []string{"405", "400"}},
		{"dots", block(":method", "GET", ":scheme", "https", ":authority", payHost, ":path", "/v1/../x"), []string{"400"}},
		{"a framing field", request(payHost, "transfer-encoding", "chunked"), []string{"400", "RST PROTOCOL_ERROR"}},
	} {
		c := g.h2(payHost) // whose frames are read with tables of their own
		got := c.outcome(c.headers(true, row.block))
		ok := false
		for _, want := range row.want {
			ok = ok || got == want
		}
		if !ok {
			t.Errorf("%s: %s, want one of %v", row.what, got, row.want)
		}
	}
	if g.caller.count() != 0 {
		t.Fatal("a call was made")
	}
	c := g.h2(payHost)
	if got := c.outcome(c.headers(true, request(payHost))); got != "200" {
		t.Fatalf("a good call: %s", got)
	}
	if last := g.caller.last(); last.Site != "" || len(last.Among) != 1 || last.Path != "/v1/x" {
		t.Errorf("the pipeline got %+v", last)
	}
	world := g.world
	world.SDK = map[string][]egress.Target{smsHost: g.world.SDK[smsHost]}
	next, err := NewSnapshot(world)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Swap(next); err != nil {
		t.Fatal(err)
	}
	c.headers(true, request(payHost))
	for deadline := time.Now().Add(2 * time.Second); g.Stats().Refused["tunnel_refused"] == 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if g.caller.count() != 1 {
		t.Error("a stream outlived its host")
	}
}

// TestSlowTunnels: who sends a byte now and then holds no connection longer than who is silent.
func TestSlowTunnels(t *testing.T) {
	g := startSDK(t, func(c *Config, _ *World) {
		c.Limits.HeaderTime, c.Limits.Handshake = 700*time.Millisecond, 700*time.Millisecond
	})
	inside, err := g.connect(payHost, payHost)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		conn net.Conn
		text string
	}{
		"the CONNECT":      {g.dial(), "CONNECT " + payHost + ":443 HTTP/1.1\r\nHost: " + payHost + "\r\nX: " + strings.Repeat("a", 900)},
		"TLS":              {g.tunnelTo(payHost), "\x16\x03\x01\x03\x00\x01" + strings.Repeat("\x00", 900)},
		"a request within": {inside, "GET /v1/x HTTP/1.1\r\nHost: " + payHost + "\r\nX: " + strings.Repeat("a", 900)},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				io.Copy(io.Discard, c.conn)
			}()
			for i := range len(c.text) {
				if _, err := io.WriteString(c.conn, c.text[i:i+1]); err != nil {
					break
				}
				select {
				case <-ended:
					return
				case <-time.After(20 * time.Millisecond):
				}
				if time.Since(begun) > 5*time.Second {
					c.conn.Close()
					t.Fatal("a connection that drips is still open")
				}
			}
		})
	}
}
