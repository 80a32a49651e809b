package ingress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"golang.org/x/net/dns/dnsmessage"
)

// pebble is an ACME server on loopback that rejects 15 % of good nonces.
type pebble struct {
	directory string
	client    *http.Client
	roots     *x509.CertPool
	requests  *atomic.Int64
}

// startPebble runs Let's Encrypt's test CA. It reaches our listeners on the given ports
// under every name, as its own DNS says that all names are loopback. life is how long a
// certificate lives, in seconds.
func startPebble(t *testing.T, httpPort, tlsPort int, life uint64) pebble {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: life}})
	validation := va.New(quiet, httpPort, tlsPort, false, loopbackDNS(t), store)
	front := wfe.New(quiet, store, validation, authority, []string{"pebble.test"}, false, false, 1, 1)
	p := pebble{requests: &atomic.Int64{}, roots: x509.NewCertPool()}
	handler := front.Handler()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	p.directory, p.client = s.URL+"/dir", s.Client()
	if !p.roots.AppendCertsFromPEM(authority.GetRootCert(0).PEM()) {
		t.Fatal("no root")
	}
	return p
}

// loopbackDNS answers 127.0.0.1 to every A question and nothing to others, over TCP as
// pebble asks.
func loopbackDNS(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(5 * time.Second))
				answerDNS(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// answerDNS answers one question.
func answerDNS(c net.Conn) {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, buf); err != nil {
		return
	}
	var m dnsmessage.Message
	if m.Unpack(buf) != nil {
		return
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			})
		}
	}
	out, err := m.AppendPack([]byte{0, 0})
	if err != nil {
		return
	}
	binary.BigEndian.PutUint16(out, uint16(len(out)-2))
	c.Write(out)
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// serialOf handshakes under name until it gets a certificate other than not.
func serialOf(t *testing.T, address, name, not string, roots *x509.CertPool) string {
	t.Helper()
	var last error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		c, err := tls.Dial("tcp", address, &tls.Config{ServerName: name, RootCAs: roots})
		if err != nil {
			last = err
			continue
		}
		leaf := c.ConnectionState().PeerCertificates[0]
		c.Close()
		if s := leaf.SerialNumber.String(); s != not {
			return s
		}
		last = errors.New("still the old certificate")
	}
	t.Fatalf("%s: %v", name, last)
	return ""
}

// TestAutomaticHTTPS: issue by TLS-ALPN-01, refuse names that no site has, renew, take a
// new host into a running server, and find all of it again after a restart without
// asking the CA.
func TestAutomaticHTTPS(t *testing.T) {
	t.Parallel()
	address, folder := freePort(t), filepath.Join(t.TempDir(), "acme")
	p := startPebble(t, 1, portOf(t, address), 6)
	config := func(c *Config, _ *World) {
		c.Public = address
		c.TLS = TLS{Auto: &Auto{
			Email: "ops@gw.test", Directory: p.directory, Storage: folder, Client: p.client,
			RenewalRatio: 0.7, RenewCheck: 200 * time.Millisecond,
		}}
	}
	g := startGate(t, config)
	first := serialOf(t, address, "gw.test", "", p.roots)
	serialOf(t, address, "maps.gw.test", "", p.roots)
	for _, name := range []string{"evil.test", "club.test", ""} {
		if c, err := tls.Dial("tcp", address, &tls.Config{ServerName: name, InsecureSkipVerify: true}); err == nil { //nolint:gosec // any certificate would be a fault
			c.Close()
			t.Errorf("a certificate for %q", name)
		}
	}
	if _, err := g.certs.(*autoCertificates).issuer.Issue(context.Background(), &x509.CertificateRequest{DNSNames: []string{"evil.test"}}); err == nil || !strings.Contains(err.Error(), "evil.test") {
		t.Errorf("the issuer does not know the host policy: %v", err)
	}
	if second := serialOf(t, address, "gw.test", first, p.roots); second == first {
		t.Error("not renewed")
	}
	next := g.world
	next.Sites = testSites(t)
	next.Sites[1].ServedAt = []string{"club.test"}
	swap(t, g, next, true)
	serialOf(t, address, "club.test", "", p.roots)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the folder of keys: %v %v", info.Mode(), err)
	}
}

// TestChallengeOverHTTP: http-01 is answered on the http port, for the open challenge
// alone, and a restart uses what lies in the folder.
func TestChallengeOverHTTP(t *testing.T) {
	t.Parallel()
	address, plain, folder := freePort(t), freePort(t), filepath.Join(t.TempDir(), "acme")
	p := startPebble(t, portOf(t, plain), 1, 3600) // tls-alpn-01 would go to a dead port
	config := func(c *Config, _ *World) {
		c.Public, c.HTTP = address, plain
		c.TLS = TLS{Auto: &Auto{Directory: p.directory, Storage: folder, Client: p.client}}
	}
	g := startGate(t, config)
	delete(g.certs.(*autoCertificates).issuer.client.ChallengeSolvers, "tls-alpn-01")
	first := serialOf(t, address, "gw.test", "", p.roots)
	serialOf(t, address, "maps.gw.test", "", p.roots)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	asked := p.requests.Load()
	startGate(t, config)
	if again := serialOf(t, address, "gw.test", "", p.roots); again != first {
		t.Error("another certificate after a restart")
	}
	if n := p.requests.Load() - asked; n != 0 {
		t.Errorf("%d requests to the CA after a restart", n)
	}
}

func TestAutoRefusesPrivateNames(t *testing.T) {
	t.Parallel()
	for _, h := range []string{"localhost", "10.0.0.1", "gw.internal", "*.gw.test", "127.0.0.1"} {
		c := Config{TLS: TLS{Auto: &Auto{Storage: t.TempDir(), Client: http.DefaultClient}}}
		if _, err := newAuto(c, []string{h}); err == nil || !strings.Contains(err.Error(), h) {
			t.Errorf("%s: %v", h, err)
		}
	}
}
