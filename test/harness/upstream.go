package harness

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"sallyport/test/stand"
)

// Certificate makes a self-signed certificate that holds for a day, for loopback, and its PEM.
func Certificate(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	return CertificateFor(t, time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour), "127.0.0.1", "localhost")
}

// CertificateFor makes a self-signed certificate for names and addresses that holds from
// begin to end, and its PEM.
func CertificateFor(t testing.TB, begin, end time.Time, names ...string) (tls.Certificate, []byte) {
	t.Helper()
	cert, text, err := stand.Certificate(begin, end, names...)
	if err != nil {
		t.Fatal(err)
	}
	return cert, text
}

// Upstream is a provider's stand-in over TLS that keeps what it was sent.
type Upstream struct {
	URL string
	CA  []byte

	mu   sync.Mutex
	seen []Seen
}

// Seen is one request as the upstream received it.
type Seen struct {
	Method, Target, Body string
	Header               http.Header
}

// Serve starts an upstream with the given handler.
func Serve(t testing.TB, h http.Handler) *Upstream {
	cert, ca := Certificate(t)
	return ServeWith(t, h, cert, ca)
}

// ServeBetween starts an upstream whose certificate holds from begin to end.
func ServeBetween(t testing.TB, h http.Handler, begin, end time.Time) *Upstream {
	t.Helper()
	cert, ca := CertificateFor(t, begin, end, "127.0.0.1", "localhost")
	return ServeWith(t, h, cert, ca)
}

// ServeWith starts an upstream with the given certificate; ca is what a gate may trust.
func ServeWith(t testing.TB, h http.Handler, cert tls.Certificate, ca []byte) *Upstream {
	t.Helper()
	u := &Upstream{CA: ca}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		u.mu.Lock()
		u.seen = append(u.seen, Seen{Method: r.Method, Target: r.RequestURI, Body: string(body), Header: r.Header.Clone()})
		u.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what some tests want
	s.StartTLS()
	t.Cleanup(s.Close)
	u.URL = s.URL
	return u
}

// Requests are all requests so far.
func (u *Upstream) Requests() []Seen {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]Seen(nil), u.seen...)
}

// StripeMock starts stripe-mock (github.com/stripe/stripe-mock, the provider's own) over TLS.
func StripeMock(t testing.TB) *Upstream {
	t.Helper()
	mock, err := stand.StripeMock()
	if err != nil {
		t.Fatal(err)
	}
	return Serve(t, mock)
}

// KeyPEM is the private key of a certificate in PEM.
func KeyPEM(t testing.TB, c tls.Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
