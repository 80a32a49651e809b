package ingress

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
)

// safeHeaders are wanted on every reply of whatever kind; only the two public files may
// be kept by caches.
func safeHeaders(t *testing.T, h http.Header, secure, file bool) {
	t.Helper()
	hsts, cache := "", "no-store"
	if secure {
		hsts = "max-age=31536000"
	}
	if file {
		cache = "public, max-age=300"
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": hsts,
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cache-Control": cache,
		"Server": "", "X-Powered-By": "", "Set-Cookie": "", "Via": "", "Access-Control-Allow-Credentials": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(h.Get("Vary"), "Origin") || h.Get("Sallyport-Request-Id") == "" {
		t.Errorf("Vary %q, id %q", h.Get("Vary"), h.Get("Sallyport-Request-Id"))
	}
	if h.Get("Cross-Origin-Resource-Policy") != "same-origin" && h.Get("ETag") == "" {
		t.Errorf("Cross-Origin-Resource-Policy %q", h.Get("Cross-Origin-Resource-Policy"))
	}
}

// TestHeadersOnEveryReply: success and every kind of refusal, from the filter, from
// net/http's place and from the pipeline, over http and https, has the safe headers.
func TestHeadersOnEveryReply(t *testing.T) {
	t.Parallel()
	plain := startGate(t)
	secure, pool := startTLSGate(t)
	for _, g := range []*gate{plain, secure} {
		g.caller.answer = func(c *egress.Call) *egress.Answer {
			switch c.Path {
			case "/limited":
				return &egress.Answer{Problem: problem.New(problem.RateLimited, "x")}
			case "/broken":
				return &egress.Answer{Problem: problem.New(problem.UpstreamMalformed, "x")}
			case "/panic":
				panic("x")
			}
			return &egress.Answer{Status: 200, Header: http.Header{"Server": {"nginx"}, "X-Powered-By": {"PHP"}, "Via": {"1.1 x"}}, Body: []byte("{}")}
		}
	}
	api := func(path string) string { return "GET /api/payments" + path + " HTTP/1.1" }
	for _, row := range []struct {
		name   string
		sent   string
		status int
	}{
		{"call", request(api("/x"), hostH), 200},
		{"session", request("POST /session HTTP/1.1", hostH, "Origin: https://example.com"), 200},
		{"preflight", request("OPTIONS /session HTTP/1.1", hostH, "Origin: https://example.com", "Access-Control-Request-Method: POST"), 204},
		{"script", request("GET /client.js HTTP/1.1", hostH), 200},
		{"script unchanged", request("GET /client.js HTTP/1.1", hostH, "If-None-Match: *"), 304},
		{"keys", request("GET /.well-known/jwks.json HTTP/1.1", hostH), 200},
		{"health", request("GET /healthz HTTP/1.1", hostH), 200},
		{"framing", request(post, hostH, "Content-Length: 1", "Transfer-Encoding: chunked"), 400},
		{"target", request(api("/a/../b"), hostH), 400},
		{"header", request(api("/x"), hostH, "X-Original-URL: /a"), 400},
		{"no token", request(api("/x"), hostH, "Origin: https://example.com"), 401},
		{"foreign origin", request(api("/x"), hostH, "Origin: https://evil.test"), 403},
		{"unknown path", request("GET /nothing HTTP/1.1", hostH), 404},
		{"method", request("TRACE / HTTP/1.1", hostH), 405},
		{"method of a path", request("PUT /session HTTP/1.1", hostH), 405},
		{"stalled head", "GET / HTTP/1.1\r\nHost:", 408},
		{"large body", request(post, hostH, "Content-Length: 1048577"), 413},
		{"long target", request(api("/"+strings.Repeat("a", 9000)), hostH), 414},
		{"encoded body", request(post, hostH, "Content-Length: 1", "Content-Encoding: br") + "a", 415},
		{"expectation", request(post, hostH, "Content-Length: 1", "Expect: x") + "a", 417},
		{"unknown host", request(api("/x"), "Host: evil.test"), 421},
		{"limited", request(api("/limited"), hostH), 429},
		{"large header", request(api("/x"), hostH, "X-A: "+strings.Repeat("a", 20<<10)), 431},
		{"panic", request(api("/panic"), hostH), 500},
		{"broken provider", request(api("/broken"), hostH), 502},
		{"version", request("GET / HTTP/1.2", hostH), 505},
	} {
		t.Run(row.name, func(t *testing.T) {
			sent := strings.Replace(row.sent, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)
			replies, _ := plain.raw(sent)
			overTLS, _ := exchangeRaw(t, dialTLS(t, secure, pool, "http/1.1"), sent)
			for i, got := range [][]*reply{replies, overTLS} {
				if len(got) != 1 || got[0].StatusCode != row.status {
					t.Fatalf("%d replies %+v, want status %d", len(got), got, row.status)
				}
				safeHeaders(t, got[0].Header, i == 1, row.status < 400 && (strings.HasPrefix(row.name, "script") || row.name == "keys"))
			}
		})
	}
}

// TestUnkeyedHeadersChangeNothing: what a cache does not put into its key cannot change
// what it keeps, and no range makes a part look whole (§5.6 cache poisoning).
func TestUnkeyedHeadersChangeNothing(t *testing.T) {
	t.Parallel()
	g := startGate(t, func(c *Config, _ *World) { c.HTTP = "127.0.0.1:0" })
	evil := []string{
		"X-Forwarded-Host: evil.test", "X-Forwarded-Scheme: http", "X-Forwarded-Proto: http", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil",
		"X-Forwarded-Server: evil.test", "X-Host: evil.test", "Forwarded: host=evil.test;proto=http", "X-Real-IP: 10.0.0.1", "Via: 1.1 evil.test",
		"X-Accel-Redirect: /etc/passwd", "X-Sendfile: /etc/passwd", "Range: bytes=0-0", "If-Range: x", "Accept-Language: evil", "User-Agent: evil", "Referer: https://evil.test/",
		"Accept-Encoding: evil, gzip", "Cookie: a=evil", "Pragma: evil", "Cache-Control: only-if-cached", "Surrogate-Control: max-age=99",
	}
	ask := func(address, path string, more ...string) *reply {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		replies, _ := exchangeRaw(t, c, request(append([]string{"GET " + path + " HTTP/1.1", hostH, "Accept: text/html", "Connection: close"}, more...)...))
		if len(replies) != 1 {
			t.Fatalf("%s: %d replies", path, len(replies))
		}
		replies[0].Header.Del("Sallyport-Request-Id")
		replies[0].Header.Del("Date")
		return replies[0]
	}
	public, http := g.PublicAddr().String(), g.HTTPAddr().String()
	for _, row := range []struct {
		address, path string
		status        int
	}{{public, "/client.js", 200}, {public, "/.well-known/jwks.json", 200}, {public, "/healthz", 200}, {public, "/api/payments/x", 200}, {http, "/privacy", 301}} {
		plain, poisoned := ask(row.address, row.path), ask(row.address, row.path, evil...)
		if plain.StatusCode != row.status || poisoned.StatusCode != row.status || plain.body != poisoned.body || fmt.Sprint(plain.Header) != fmt.Sprint(poisoned.Header) {
			t.Errorf("%s: %d %v %q\nis with evil headers %d %v %q", row.path, plain.StatusCode, plain.Header, plain.body, poisoned.StatusCode, poisoned.Header, poisoned.body)
		}
	}
}

// rsaFiles is certFiles with an RSA key, which the suites without key agreement need.
func rsaFiles(t testing.TB, dir string) (cert, key string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"gw.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "rsa.pem"), filepath.Join(dir, "rsa.key")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestEverySuite forces each suite that crypto/tls knows, in each version, against an
// ECDSA and an RSA certificate: only AEAD with forward secrecy gets a handshake.
func TestEverySuite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rsaCert, rsaKey := rsaFiles(t, dir)
	elliptic, _ := startTLSGate(t)
	classic, _ := startTLSGate(t, func(c *Config, _ *World) { c.TLS = TLS{CertFile: rsaCert, KeyFile: rsaKey} })
	good := map[*gate]int{}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
			for _, g := range []*gate{elliptic, classic} {
				c, err := tls.Dial("tcp", g.PublicAddr().String(), &tls.Config{ServerName: "gw.test", InsecureSkipVerify: true, //nolint:gosec // only the negotiation counts
					MinVersion: version, MaxVersion: version, CipherSuites: []uint16{suite.ID}})
				if err != nil {
					continue
				}
				c.Close()
				strong := strings.HasPrefix(suite.Name, "TLS_ECDHE_") && (strings.Contains(suite.Name, "_GCM_") || strings.Contains(suite.Name, "POLY1305"))
				if version != tls.VersionTLS12 || !strong {
					t.Errorf("a handshake with %s in %s", suite.Name, tls.VersionName(version))
				}
				good[g]++
			}
		}
	}
	if good[elliptic] != 3 || good[classic] != 3 {
		t.Errorf("%d and %d suites of TLS 1.2 were taken, want 3 and 3", good[elliptic], good[classic])
	}
	c, err := tls.Dial("tcp", elliptic.PublicAddr().String(), &tls.Config{ServerName: "gw.test", InsecureSkipVerify: true}) //nolint:gosec // as above
	if err != nil || c.ConnectionState().Version != tls.VersionTLS13 {
		t.Fatalf("TLS 1.3: %v", err)
	}
	c.Close()
}

// TestDefaultTimes: without any setting, each phase of a slow client ends within the
// attack list's time.
func TestDefaultTimes(t *testing.T) {
	t.Parallel()
	l := Limits{}.withDefaults()
	for name, got := range map[string]time.Duration{"head": l.HeaderTime, "between bytes of a body": l.BodyIdle, "handshake": l.Handshake} {
		if got <= 0 || got > 10*time.Second {
			t.Errorf("%s: %v", name, got)
		}
	}
	if l.ReadTotal <= 0 || l.ReadTotal > time.Minute || l.WriteIdle <= 0 || l.WriteIdle > 30*time.Second || l.Reply <= 0 || l.Body > 1<<20 {
		t.Errorf("%+v", l)
	}
}
