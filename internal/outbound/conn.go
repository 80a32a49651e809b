package outbound

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"sallyport/internal/problem"
)

// countingConn knows how many bytes the kernel took, which is how we know whether
// any byte of a request was sent, and whether the peer just stopped.
type countingConn struct {
	net.Conn
	written int64
	ended   bool // the network ended, as against TLS saying that it does
}

func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.ended = c.ended || errors.Is(err, io.EOF)
	return n, err
}

func (c *countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written += int64(n)
	return n, err
}

// conn is one TLS connection to a host. It is used by one attempt at a time.
type conn struct {
	raw  *countingConn
	tls  *tls.Conn
	br   *bufio.Reader
	idle time.Duration // if set, each read of the network has this long
	used bool          // has carried an exchange before
	free time.Time     // since when it is idle
}

// Read renews the deadline in the phase of the body; in the phase of the head one
// deadline was set for all of it.
func (c *conn) Read(p []byte) (int, error) {
	if c.idle > 0 {
		if err := c.raw.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
			return 0, err
		}
	}
	return c.tls.Read(p)
}

func (c *conn) close() { _ = c.raw.Close() }

// connect dials and shakes hands. Nothing of the request is sent yet.
func (h *Host) connect(ctx context.Context) (*conn, error) {
	dialing, cancel := context.WithTimeout(ctx, h.timeouts.Dial)
	defer cancel()
	raw, err := h.dialer.dial(dialing, "tcp", h.address, h.private)
	if err != nil {
		return nil, err
	}
	c := &conn{raw: &countingConn{Conn: raw}}
	c.tls = tls.Client(c.raw, h.tls)
	shaking, cancel := context.WithTimeout(ctx, h.timeouts.TLS)
	defer cancel()
	if err := c.tls.HandshakeContext(shaking); err != nil {
		c.close()
		return nil, handshakeProblem(shaking, err)
	}
	c.br = bufio.NewReader(c)
	return c, nil
}

func handshakeProblem(ctx context.Context, err error) error {
	var ne net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return problem.Wrap(err, problem.UpstreamTimeout, "the caller went away while connecting")
	case ctx.Err() != nil, errors.As(err, &ne) && ne.Timeout():
		return problem.Wrap(err, problem.UpstreamTimeout, "the provider did not complete the TLS handshake in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return problem.Wrap(err, problem.UpstreamUnreachable, "the provider closed the connection during the TLS handshake")
	default:
		return problem.Wrap(err, problem.UpstreamTLS, "the provider's TLS connection could not be verified; nothing was sent").
			WithHint("the certificate must be valid for the host and signed by a trusted authority; verification cannot be switched off")
	}
}

// secureTLS: TLS 1.2 or later, AEAD suites with forward secrecy only, always verified.
func secureTLS(name string, roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		ServerName: name,
		RootCAs:    roots,
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos:         []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(32),
	}
}
