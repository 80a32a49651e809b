package harness

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"
)

// Certificate makes a self-signed certificate for loopback and its PEM.
func Certificate(t testing.TB, notAfter time.Time) (tls.Certificate, []byte) {
	t.Helper()
	return CertificateFor(t, notAfter, "127.0.0.1", "localhost")
}

// CertificateFor makes a self-signed certificate for names and addresses, and its PEM.
func CertificateFor(t testing.TB, notAfter time.Time, names ...string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test upstream"},
		NotBefore: notAfter.Add(-48 * time.Hour), NotAfter: notAfter, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
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
	return ServeUntil(t, h, time.Now().Add(24*time.Hour))
}

// ServeUntil starts an upstream whose certificate ends at notAfter.
func ServeUntil(t testing.TB, h http.Handler, notAfter time.Time) *Upstream {
	t.Helper()
	cert, ca := Certificate(t, notAfter)
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
	stub, err := stripe()
	if err != nil {
		t.Fatal(err)
	}
	return Serve(t, &server.DoubleSlashFixHandler{Mux: http.HandlerFunc(stub.HandleRequest)})
}

// stripe reads the specification once, which takes a second; the stub keeps no state.
var stripe = sync.OnceValues(func() (*server.StubServer, error) {
	spec, err := server.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		return nil, err
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		return nil, err
	}
	return server.NewStubServer(fixtures, spec, false, false)
})

// KeyPEM is the private key of a certificate in PEM.
func KeyPEM(t testing.TB, c tls.Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
