package outbound

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/problem"
)

// tap keeps every byte that arrives below TLS.
type tap struct {
	net.Conn
	mu  *sync.Mutex
	raw *bytes.Buffer
}

func (c tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(p[:n])
	return n, err
}

// A provider whose TLS is not in order gets no byte of a request, and so none of
// the credential.
func TestBrokenTLS(t *testing.T) {
	const key = "sk_live_very_secret_indeed"
	hour := time.Now().Add(time.Hour)
	ca, other := newAuthority(t), newAuthority(t)
	cbc := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, hour)}, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}
	tests := []struct {
		name   string
		server *tls.Config // nil: plain text
		code   problem.Code
	}{
		{"expired", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, time.Now().Add(-time.Hour))}}, problem.UpstreamTLS},
		{"wrong name", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, hour, "api.example.com")}}, problem.UpstreamTLS},
		{"unknown authority", &tls.Config{Certificates: []tls.Certificate{other.issue(t, hour)}}, problem.UpstreamTLS},
		{"TLS 1.1", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, hour)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, problem.UpstreamTLS},
		{"no AEAD suite", cbc, problem.UpstreamTLS},
		{"no TLS at all", nil, problem.UpstreamTLS},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var raw, plain bytes.Buffer
			done := make(chan struct{})
			go func() {
				defer close(done)
				c, err := ln.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				var tapped net.Conn = tap{c, &mu, &raw}
				if test.server == nil {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				} else {
					tapped = tls.Server(tapped, test.server)
				}
				if test.server != nil {
					_, _ = io.Copy(&plain, tapped)
				} else {
					_, _ = io.Copy(io.Discard, tapped)
				}
			}()
			h := to(t, &upstream{url: "https://" + ln.Addr().String(), roots: ca.pool}, func(c *HostConfig) { c.Retry.MaxAttempts = 3 })
			call := get("/v1/" + strings.Repeat("x", 100))
			call.Credential = bearer(t, key)
			_, err = h.Do(t.Context(), call)
			ln.Close()
			<-done
			wantProblem(t, err, test.code, problem.NotSent)
			mu.Lock()
			defer mu.Unlock()
			if plain.Len() > 0 {
				t.Errorf("the server read %d bytes: %q", plain.Len(), plain.String())
			}
			if raw.Len() == 0 || bytes.Contains(raw.Bytes(), []byte(key)) || bytes.Contains(raw.Bytes(), []byte("GET ")) {
				t.Errorf("%d bytes below TLS; they must hold a hello and nothing of the request", raw.Len())
			}
		})
	}
}

func TestNegotiatedTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		ca := newAuthority(t)
		ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, time.Now().Add(time.Hour))},
			MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		states := make(chan tls.ConnectionState, 1)
		go func() {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			buf := make([]byte, 4096)
			_, _ = c.Read(buf)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			if tc, ok := c.(*tls.Conn); ok {
				states <- tc.ConnectionState()
			}
		}()
		if _, err := to(t, &upstream{url: "https://" + ln.Addr().String(), roots: ca.pool}, nil).Do(t.Context(), get("/")); err != nil {
			t.Fatal(err)
		}
		if s := <-states; s.Version != version || s.NegotiatedProtocol != "http/1.1" {
			t.Errorf("negotiated version %x, protocol %q", s.Version, s.NegotiatedProtocol)
		}
	}
}
