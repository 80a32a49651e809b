package ingress

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/egress"
)

const (
	payHost = "api.pay.example"
	smsHost = "api.sms.example"
)

// sdkGate is a gate with an SDK port, and the certificates that it serves there.
type sdkGate struct {
	*gate
	roots *x509.CertPool
}

func startSDK(t testing.TB, change ...func(*Config, *World)) *sdkGate {
	t.Helper()
	out := &sdkGate{roots: x509.NewCertPool()}
	certs := map[string]*tls.Certificate{}
	for _, host := range []string{payHost, smsHost} {
		certs[host] = testLeaf(t, host)
		out.roots.AddCert(certs[host].Leaf)
	}
	out.gate = startGate(t, append([]func(*Config, *World){func(c *Config, w *World) {
		c.SDK = &SDK{Address: "127.0.0.1:0", Certificate: func(host string) (*tls.Certificate, error) {
			if cert := certs[host]; cert != nil {
				return cert, nil
			}
			return nil, errors.New("no such name")
		}}
		w.SDK = map[string][]egress.Target{payHost: {{Site: "shop", Connection: "payments"}}, smsHost: {{Site: "club", Connection: "sms", Base: "/v1"}}}
	}}, change...)...)
	return out
}

func testLeaf(t testing.TB, host string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{host}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (g *sdkGate) dial() net.Conn {
	g.t.Helper()
	c, err := net.Dial("tcp", g.SDKAddr().String())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	return c
}

// connect opens a tunnel to host, and TLS in it for name.
func (g *sdkGate) connect(host, name string) (*tls.Conn, error) {
	g.t.Helper()
	c := g.dial()
	io.WriteString(c, request("CONNECT "+host+":443 HTTP/1.1", "Host: "+host+":443"))
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	r, err := http.ReadResponse(bufio.NewReaderSize(c, 1024), &http.Request{Method: "CONNECT"})
	if err != nil || r.StatusCode != 200 {
		g.t.Fatalf("CONNECT %s: %v %v", host, r, err)
	}
	c.SetReadDeadline(time.Time{})
	t := tls.Client(c, &tls.Config{ServerName: name, RootCAs: g.roots, NextProtos: []string{"http/1.1"}})
	return t, t.Handshake()
}

func TestTunnelAnswersByTheSamePipeline(t *testing.T) {
	g := startSDK(t)
	proxy := &url.URL{Scheme: "http", Host: g.SDKAddr().String()}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: g.roots}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	for i := range 3 { // the tunnel is kept
		req, _ := http.NewRequest("POST", "https://"+smsHost+"/v1/messages?x=1", strings.NewReader("to=1"))
		req.Header.Set("X-Forwarded-For", "192.0.2.9")
		req.Header.Set("Cookie", "a=b")
		req.SetBasicAuth("AC", "token")
		r, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if r.StatusCode != 200 || r.ProtoMajor != 2 {
			t.Fatalf("call %d: %s %s", i, r.Proto, r.Status)
		}
	}
	c := g.caller.last()
	if c.Site != "" || c.Connection != "" || c.Path != "/v1/messages" || c.RawQuery != "x=1" || c.Origin != "" ||
		!reflect.DeepEqual(c.Among, []egress.Target{{Site: "club", Connection: "sms", Base: "/v1"}}) {
		t.Errorf("the pipeline got %+v", c)
	}
	if c.Client != netip.MustParseAddr("127.0.0.1") || c.Header.Get("X-Forwarded-For") != "" || c.Header.Get("Cookie") != "" {
		t.Errorf("client %s, header %v", c.Client, c.Header)
	}
	if n := g.Stats().Tunnels; n != 1 {
		t.Errorf("%d connections for three calls", n)
	}
}

func TestTunnelRefusesTargets(t *testing.T) {
	g := startSDK(t)
	connect := func(target string) string { return request("CONNECT "+target+" HTTP/1.1", "Host: "+target) }
	for _, test := range []struct {
		what, sent, code string
		status           int
	}{
		{"metadata service", connect("169.254.169.254:443"), "tunnel_refused", 403},
		{"localhost", connect("localhost:443"), "tunnel_refused", 403},
		{"loopback", connect("127.0.0.1:443"), "tunnel_refused", 403},
		{"the gate itself", connect(g.PublicAddr().String()), "tunnel_refused", 403},
		{"IPv6 loopback", connect("[::1]:443"), "", 0},
		{"another host", connect("bank.example:443"), "tunnel_refused", 403},
		{"a name below", connect("x." + payHost + ":443"), "tunnel_refused", 403},
		{"the name above", connect("pay.example:443"), "tunnel_refused", 403},
		{"another port", connect(payHost + ":80"), "tunnel_refused", 403},
		{"the SSH port", connect(payHost + ":22"), "tunnel_refused", 403},
		{"a port with a zero", connect(payHost + ":0443"), "tunnel_refused", 403},
		{"a port too large", connect(payHost + ":65979"), "tunnel_refused", 403},
		{"no port", connect(payHost), "bad_target", 400},
		{"an empty port", connect(payHost + ":"), "bad_target", 400},
		{"a dot at the end", connect(payHost + ".:443"), "tunnel_refused", 403},
		{"upper case", connect("API.pay.example:443"), "tunnel_refused", 403},
		{"unicode", connect("api.päy.example:443"), "", 400},
		{"full-width dots", connect("api。pay。example:443"), "", 400},
		{"user", connect("evil@" + payHost + ":443"), "tunnel_refused", 403},
		{"a NUL", connect(payHost + "\x00.evil.example:443"), "bad_framing", 400},
		{"another Host", request("CONNECT "+payHost+":443 HTTP/1.1", "Host: bank.example:443"), "bad_host", 400},
		{"two Hosts", request("CONNECT "+payHost+":443 HTTP/1.1", "Host: "+payHost, "Host: "+payHost), "bad_host", 400},
		{"no Host", request("CONNECT " + payHost + ":443 HTTP/1.1"), "bad_host", 400},
		{"absolute form", request("GET http://169.254.169.254/latest HTTP/1.1", "Host: 169.254.169.254"), "tunnel_refused", 403},
		{"absolute form of a host", request("POST https://"+payHost+"/v1 HTTP/1.1", "Host: "+payHost, "Content-Length: 0"), "tunnel_refused", 403},
		{"origin form", request("GET /healthz HTTP/1.1", "Host: "+payHost), "tunnel_refused", 403},
		{"session", request("POST /shop/session HTTP/1.1", "Host: 127.0.0.1", "Origin: https://example.com"), "tunnel_refused", 403},
		{"HTTP/1.0", request("CONNECT "+payHost+":443 HTTP/1.0", "Host: "+payHost), "http_version", 505},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http_version", 505},
		{"lower case method", request("connect "+payHost+":443 HTTP/1.1", "Host: "+payHost), "tunnel_refused", 403},
		{"a body", request("CONNECT "+payHost+":443 HTTP/1.1", "Host: "+payHost, "Content-Length: 5") + "hello", "bad_framing", 400},
		{"chunks", request("CONNECT "+payHost+":443 HTTP/1.1", "Host: "+payHost, "Transfer-Encoding: chunked") + "0\r\n\r\n", "bad_framing", 400},
		{"both lengths", request("CONNECT "+payHost+":443 HTTP/1.1", "Host: "+payHost, "Transfer-Encoding: chunked", "Content-Length: 0"), "bad_framing", 400},
		{"early bytes", connect(payHost+":443") + "\x16\x03\x01\x00\x05hello", "bad_framing", 400},
		{"a second request", connect(payHost+":443") + connect("169.254.169.254:443"), "bad_framing", 400},
		{"bare line feeds", "CONNECT " + payHost + ":443 HTTP/1.1\nHost: " + payHost + "\n\n", "bad_framing", 400},
		{"a folded field", request("CONNECT "+payHost+":443 HTTP/1.1", "Host: "+payHost, "X: a", " b"), "bad_framing", 400},
		{"a field without end", "CONNECT " + payHost + ":443 HTTP/1.1\r\nX: " + strings.Repeat("a", 64<<10), "", 431},
		{"a target without end", "CONNECT " + strings.Repeat("a", 64<<10), "uri_too_long", 414},
		{"TLS at once", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "bad_framing", 400},
	} {
		replies, closed := exchangeRaw(t, g.dial(), test.sent)
		if len(replies) != 1 || !closed {
			t.Errorf("%s: %d replies, closed %v", test.what, len(replies), closed)
			continue
		}
		r := replies[0]
		if test.status != 0 && r.StatusCode != test.status || r.StatusCode < 400 || !strings.Contains(r.body, `"code":"`+test.code) {
			t.Errorf("%s: %s %s; want %d %s", test.what, r.Status, r.body, test.status, test.code)
		}
	}
	if g.caller.count() != 0 {
		t.Error("a call was made")
	}
}

// TestTunnelInside: what comes through a tunnel is as strictly read as on the public port, and
// only for the host of the CONNECT.
func TestTunnelInside(t *testing.T) {
	g := startSDK(t)
	head := func(lines ...string) string {
		return request(append(lines, "Authorization: Bearer sk_test_1234567890")...)
	}
	for _, test := range []struct {
		what, sent string
		status     int
		code       string
	}{
		{"another Host", head("GET /v1/x HTTP/1.1", "Host: "+smsHost), 400, "bad_host"},
		{"another port in Host", head("GET /v1/x HTTP/1.1", "Host: "+payHost+":8443"), 400, "bad_host"},
		{"the metadata service as Host", head("GET /latest HTTP/1.1", "Host: 169.254.169.254"), 400, "bad_host"},
		{"upper case Host", head("GET /v1/x HTTP/1.1", "Host: API.PAY.EXAMPLE"), 400, "bad_host"},
		{"a dot after Host", head("GET /v1/x HTTP/1.1", "Host: "+payHost+"."), 400, "bad_host"},
		{"two Hosts", head("GET /v1/x HTTP/1.1", "Host: "+payHost, "Host: "+smsHost), 400, "bad_host"},
		{"absolute form", head("GET https://"+smsHost+"/v1/x HTTP/1.1", "Host: "+payHost), 400, "bad_target"},
		{"a CONNECT inside", head("CONNECT "+smsHost+":443 HTTP/1.1", "Host: "+smsHost+":443"), 0, ""},
		{"a page", head("POST /v1/x HTTP/1.1", "Host: "+payHost, "Origin: https://example.com", "Content-Length: 0"), 403, "origin_refused"},
		{"a page with null", head("POST /v1/x HTTP/1.1", "Host: "+payHost, "Origin: null", "Content-Length: 0"), 403, "origin_refused"},
		{"a navigation", head("GET /v1/x HTTP/1.1", "Host: "+payHost, "Sec-Fetch-Site: cross-site"), 403, "origin_refused"},
		{"a preflight", head("OPTIONS /v1/x HTTP/1.1", "Host: "+payHost), 405, "method_not_allowed"},
		{"HEAD", head("HEAD /v1/x HTTP/1.1", "Host: "+payHost), 405, ""},
		{"both lengths", head("POST /v1/x HTTP/1.1", "Host: "+payHost, "Content-Length: 4", "Transfer-Encoding: chunked") + "0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_framing"},
		{"two lengths", head("POST /v1/x HTTP/1.1", "Host: "+payHost, "Content-Length: 4", "Content-Length: 0") + "GET ", 400, "bad_framing"},
		{"an odd encoding", head("POST /v1/x HTTP/1.1", "Host: "+payHost, "Transfer-Encoding: xchunked"), 400, "bad_framing"},
		{"a bad chunk", head("POST /v1/x HTTP/1.1", "Host: "+payHost, "Transfer-Encoding: chunked") + "5;x\nhello\r\n0\r\n\r\n", 400, "bad_framing"},
		{"a doubly encoded path", head("GET /v1/%252e%252e/x HTTP/1.1", "Host: "+payHost), 400, "bad_target"},
		{"dots", head("GET /v1/../x HTTP/1.1", "Host: "+payHost), 400, "bad_target"},
	} {
		c, err := g.connect(payHost, payHost)
		if err != nil {
			t.Fatal(err)
		}
		before := g.caller.count()
		replies, _ := exchangeRaw(t, c, test.sent)
		c.Close()
		if len(replies) != 1 || test.status != 0 && replies[0].StatusCode != test.status || replies[0].StatusCode < 400 || !strings.Contains(replies[0].body, test.code) {
			t.Errorf("%s: %d replies, %+v", test.what, len(replies), replies)
		}
		if g.caller.count() != before {
			t.Errorf("%s: a call was made", test.what)
		}
	}
	// Paths of the gate's own are the provider's here.
	for _, path := range []string{"/shop/session", "/session", "/shop/client.js", "/healthz", "/readyz", "/.well-known/jwks.json", "/shop/api/payments/v1/x", "/login/google", "/hooks/stripe"} {
		c, err := g.connect(payHost, payHost)
		if err != nil {
			t.Fatal(err)
		}
		exchangeRaw(t, c, head("GET "+path+" HTTP/1.1", "Host: "+payHost, "Connection: close"))
		c.Close()
		if last := g.caller.last(); last == nil || last.Path != path || len(last.Among) == 0 || last.Site != "" {
			t.Errorf("%s did not go to the pipeline as the provider's path: %+v", path, last)
		}
	}
	if len(g.sessions.minted) != 0 {
		t.Error("a session was made on the SDK port")
	}
}

func TestTunnelTLSIsForItsHost(t *testing.T) {
	g := startSDK(t)
	for _, name := range []string{smsHost, "bank.example", "x." + payHost} {
		if c, err := g.connect(payHost, name); err == nil {
			t.Errorf("TLS for %q in a tunnel to %s: certificate for %v", name, payHost, c.ConnectionState().PeerCertificates[0].DNSNames)
		}
	}
	// No name at all.
	c := g.tunnelTo(payHost)
	if err := tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
		t.Error("TLS without a name")
	}
	// Old TLS, and a protocol that is not spoken.
	for what, config := range map[string]*tls.Config{
		"TLS 1.1":    {ServerName: payHost, RootCAs: g.roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"a protocol": {ServerName: payHost, RootCAs: g.roots, NextProtos: []string{"spdy/3"}},
	} {
		if err := tls.Client(g.tunnelTo(payHost), config).Handshake(); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	// A session is not resumed: a ticket could stand in for the name.
	cache := tls.NewLRUClientSessionCache(4)
	for range 2 {
		in := tls.Client(g.tunnelTo(payHost), &tls.Config{ServerName: payHost, RootCAs: g.roots, ClientSessionCache: cache})
		if replies, _ := exchangeRaw(t, in, request("GET /v1/x HTTP/1.1", "Host: "+payHost)); len(replies) != 1 || replies[0].StatusCode != 200 {
			t.Errorf("a good call: %+v", replies)
		}
		if in.ConnectionState().DidResume {
			t.Error("a TLS session was resumed")
		}
	}
	// Plain HTTP is told so.
	replies, closed := exchangeRaw(t, g.tunnelTo(payHost), request("GET /v1/x HTTP/1.1", "Host: "+payHost))
	if len(replies) != 1 || replies[0].StatusCode != 400 || !closed || !strings.Contains(replies[0].body, "plain HTTP") {
		t.Errorf("plain HTTP: %+v", replies)
	}
}

// tunnelTo opens a tunnel and leaves it empty.
func (g *sdkGate) tunnelTo(host string) net.Conn {
	g.t.Helper()
	c := g.dial()
	io.WriteString(c, request("CONNECT "+host+":443 HTTP/1.1", "Host: "+host))
	answer := make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n"))
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(c, answer); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		g.t.Fatalf("CONNECT: %q %v", answer, err)
	}
	return c
}

func TestTunnelOutlivesNoSwap(t *testing.T) {
	g := startSDK(t)
	in, err := g.connect(payHost, payHost)
	if err != nil {
		t.Fatal(err)
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
	if replies, _ := exchangeRaw(t, in, request("GET /v1/x HTTP/1.1", "Host: "+payHost)); len(replies) != 1 || replies[0].StatusCode != 403 {
		t.Errorf("through a tunnel of before: %+v", replies)
	}
	if replies, _ := exchangeRaw(t, g.dial(), request("CONNECT "+payHost+":443 HTTP/1.1", "Host: "+payHost)); len(replies) != 1 || replies[0].StatusCode != 403 {
		t.Errorf("a new tunnel: %+v", replies)
	}
	if g.caller.count() != 0 {
		t.Error("a call was made")
	}
}

// TestIdleTunnels: connections that say nothing, or stop half way, end; more than the bound are
// turned away; and the public listener has lost no place.
func TestIdleTunnels(t *testing.T) {
	g := startSDK(t, func(c *Config, _ *World) { c.Limits.Connections, c.Limits.HeaderTime = 8, 1500*time.Millisecond })
	var wait sync.WaitGroup
	for range maxTunnels + 20 {
		c, err := net.Dial("tcp", g.SDKAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		wait.Go(func() { // silent, or half a head
			io.WriteString(c, "CONNECT "+payHost)
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			io.Copy(io.Discard, c)
		})
	}
	if replies, _ := g.raw(request("GET /healthz HTTP/1.1", "Host: 127.0.0.1")); len(replies) != 1 || replies[0].StatusCode != 200 {
		t.Errorf("the public listener: %+v", replies)
	}
	wait.Wait()
	for deadline := time.Now().Add(5 * time.Second); g.Stats().Tunnels > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if s := g.Stats(); s.Tunnels != 0 || s.TurnedAway < 20 {
		t.Errorf("%d tunnels are left, %d were turned away", s.Tunnels, s.TurnedAway)
	}
	// A tunnel without TLS, and TLS without a request, end as well.
	for what, c := range map[string]net.Conn{"without TLS": g.tunnelTo(payHost), "without a request": func() net.Conn { c, _ := g.connect(payHost, payHost); return c }()} {
		c.SetReadDeadline(time.Now().Add(8 * time.Second))
		_, err := io.Copy(io.Discard, c)
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			t.Errorf("a tunnel %s is still open", what)
		}
	}
}

func TestWhoMayUseTheSDKPort(t *testing.T) {
	c := SDK{From: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	for a, want := range map[string]bool{"127.0.0.1": true, "::1": true, "10.1.2.3": true, "10.2.0.1": false, "192.0.2.1": false, "2001:db8::1": false} {
		if c.admits(netip.MustParseAddr(a)) != want {
			t.Errorf("%s: want %v", a, want)
		}
	}
	for _, bad := range []*SDK{{}, {Address: "127.0.0.1:0"}} {
		if s, err := Open(Config{Public: "127.0.0.1:0", TLS: TLS{Off: true}, SDK: bad, Log: startGate(t).config.Log}, &Snapshot{}); err == nil {
			s.Close()
			t.Errorf("%+v was opened", bad)
		}
	}
}
