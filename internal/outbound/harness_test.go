package outbound

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/problem"
	"sallyport/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority is a certificate authority made for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert: cert, key: key, pool: x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

// issue makes a server certificate for names (and 127.0.0.1 if there are none).
func (a *authority) issue(t testing.TB, notAfter time.Time, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test server"}, DNSNames: names,
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: notAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if len(names) == 0 {
		tmpl.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// upstream is a raw TLS listener: serve is given each connection, and may write
// what it wants, however wrong.
type upstream struct {
	url   string
	roots *x509.CertPool
	mu    sync.Mutex
	heads []string // the requests' heads and bodies, as read by answer()
	conns int
}

func rawUpstream(t testing.TB, serve func(u *upstream, c net.Conn)) *upstream {
	t.Helper()
	ca := newAuthority(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, time.Now().Add(time.Hour))}})
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{url: "https://" + ln.Addr().String(), roots: ca.pool}
	var open sync.WaitGroup
	var all []net.Conn
	open.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.conns++
			all = append(all, c)
			u.mu.Unlock()
			open.Go(func() { defer c.Close(); serve(u, c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		u.mu.Lock()
		for _, c := range all {
			c.Close()
		}
		u.mu.Unlock()
		open.Wait()
	})
	return u
}

// replying answers every request on every connection with the same bytes.
func replying(t testing.TB, response string) *upstream {
	return rawUpstream(t, func(u *upstream, c net.Conn) {
		br := bufio.NewReader(c)
		for u.read(br) {
			if _, err := io.WriteString(c, response); err != nil {
				return
			}
		}
	})
}

// read takes one request off the wire and keeps it.
func (u *upstream) read(br *bufio.Reader) bool {
	req, err := http.ReadRequest(br)
	if err != nil {
		return false
	}
	body, _ := io.ReadAll(req.Body)
	var b bytes.Buffer
	b.WriteString(req.Method + " " + req.RequestURI + "\n")
	_ = req.Header.Write(&b)
	b.WriteString("\n")
	b.Write(body)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.heads = append(u.heads, b.String())
	return true
}

func (u *upstream) seen() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.heads...)
}

// handling serves with net/http, for the tests whose upstream is well-behaved.
func handling(t testing.TB, h http.HandlerFunc) *upstream {
	t.Helper()
	ca := newAuthority(t)
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, time.Now().Add(time.Hour))}}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return &upstream{url: s.URL, roots: ca.pool}
}

// to makes a Host for u with short timeouts; change may alter its configuration.
func to(t testing.TB, u *upstream, change func(*HostConfig)) *Host {
	t.Helper()
	c := HostConfig{URL: u.url, Roots: u.roots, Private: true, Dialer: NewDialer(DialerConfig{Policy: PolicyProvider}),
		Retry:    RetryRule{MaxAttempts: 1},
		Timeouts: Timeouts{Header: 2 * time.Second, Idle: 2 * time.Second, Total: 5 * time.Second}}
	if change != nil {
		change(&c)
	}
	h, err := NewHost(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func get(path string) *Call {
	return &Call{Method: http.MethodGet, Path: path, Safety: Safe}
}

// wantProblem checks code and outcome of an error.
func wantProblem(t testing.TB, err error, code problem.Code, outcome problem.Outcome) *problem.Error {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", code)
	}
	p := problem.From(err)
	if p.Code != code || p.Outcome != outcome {
		t.Fatalf("got %s with outcome %q (%v), want %s with %q", p.Code, p.Outcome, err, code, outcome)
	}
	return p
}

func fixed(value string) Field {
	return Field{Read: func(context.Context) (secret.Value, error) { return secret.NewValue([]byte(value)), nil }}
}

func bearer(t testing.TB, value string) *Template {
	t.Helper()
	c, err := NewTemplate(Placement{Kind: KindHeader, Name: "Authorization", Value: "Bearer {key}"}, map[string]Field{"key": fixed(value)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// scaled is n, or more where the long form of the tests was asked for.
func scaled(n, torture int) int {
	if os.Getenv("SALLYPORT_TORTURE") == "1" {
		return torture
	}
	return n
}

func lines(s ...string) string { return strings.Join(s, "\r\n") }
