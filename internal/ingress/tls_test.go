package ingress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certFiles writes a self-signed pair for names and returns where, and the pool that
// trusts it.
func certFiles(t testing.TB, dir string, serial int64, names ...string) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write := func(name string, b []byte) {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(cert, certPEM)
	write(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return cert, key, pool
}

// startTLSGate is startGate with a certificate for gw.test.
func startTLSGate(t testing.TB, change ...func(*Config, *World)) (*gate, *x509.CertPool) {
	t.Helper()
	cert, key, pool := certFiles(t, t.TempDir(), 1, "gw.test")
	all := append([]func(*Config, *World){func(c *Config, _ *World) {
		c.TLS = TLS{CertFile: cert, KeyFile: key}
	}}, change...)
	return startGate(t, all...), pool
}

func dialTLS(t testing.TB, g *gate, pool *x509.CertPool, protocols ...string) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", g.PublicAddr().String(), &tls.Config{RootCAs: pool, ServerName: "gw.test", NextProtos: protocols})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestTLSListener(t *testing.T) {
	t.Parallel()
	g, pool := startTLSGate(t)
	c := dialTLS(t, g, pool, "http/1.1")
	replies, closed := exchangeRaw(t, c, request(get, hostH, "Connection: close"))
	if len(replies) != 1 || replies[0].StatusCode != 200 || !closed {
		t.Fatalf("%+v", replies)
	}
	if got := replies[0].Header.Get("Strict-Transport-Security"); !strings.HasPrefix(got, "max-age=31536000") {
		t.Errorf("HSTS %q", got)
	}
	// The filter stands in front of TLS connections too, and its refusal arrives whole.
	c = dialTLS(t, g, pool)
	replies, closed = exchangeRaw(t, c, request(post, hostH, "Content-Length: 4", "Transfer-Encoding: chunked")+smuggled)
	if len(replies) != 1 || replies[0].StatusCode != 400 || !closed {
		t.Errorf("%+v closed %v", replies, closed)
	}
	for _, row := range []struct {
		name string
		with *tls.Config
	}{
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}},
		{"CBC suite", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}},
		{"unknown protocol", &tls.Config{NextProtos: []string{"spdy/3"}}},
	} {
		row.with.RootCAs, row.with.ServerName = pool, "gw.test"
		if c, err := tls.Dial("tcp", g.PublicAddr().String(), row.with); err == nil {
			c.Close()
			t.Errorf("%s: a handshake succeeded", row.name)
		}
	}
	if g.caller.count() != 1 {
		t.Errorf("%d calls", g.caller.count())
	}
}

// TestHandshakeTime: a peer that does not finish its handshake loses its place.
func TestHandshakeTime(t *testing.T) {
	t.Parallel()
	g, _ := startTLSGate(t, func(c *Config, _ *World) { c.Limits.Handshake = 200 * time.Millisecond })
	c, err := net.Dial("tcp", g.PublicAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if replies, closed := readReplies(t, c, time.Second); len(replies) != 0 || !closed {
		t.Error("still open")
	}
}

// TestCertificateReload: new files are used, broken ones are not.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key, _ := certFiles(t, dir, 1, "gw.test")
	f, err := newFileCertificates(Config{TLS: TLS{CertFile: cert, KeyFile: key}})
	if err != nil {
		t.Fatal(err)
	}
	serial := func() string {
		t.Helper()
		c, err := f.Get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.SerialNumber.String()
	}
	certFiles(t, dir, 2, "gw.test")
	later := time.Now().Add(time.Minute)
	os.Chtimes(cert, later, later)
	if err := f.load(); err != nil || serial() != "2" {
		t.Errorf("after renewal: %v, serial %s", err, serial())
	}
	if err := os.WriteFile(cert, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	later = later.Add(time.Minute)
	os.Chtimes(cert, later, later)
	if err := f.load(); err == nil || serial() != "2" {
		t.Errorf("after a half-written file: %v, serial %s", err, serial())
	}
	if _, err := newFileCertificates(Config{TLS: TLS{CertFile: cert, KeyFile: key}}); err == nil {
		t.Error("opened with a broken certificate")
	}
}

func TestTLSNeedsOneSource(t *testing.T) {
	t.Parallel()
	for _, row := range []TLS{{}, {Off: true, CertFile: "x", KeyFile: "y"}, {Off: true, Auto: &Auto{}}} {
		if _, err := newCertificates(Config{TLS: row}, nil); err == nil {
			t.Errorf("%+v was accepted", row)
		}
	}
}
