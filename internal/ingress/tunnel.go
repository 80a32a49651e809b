package ingress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"sallyport/internal/problem"
)

// SDK is the port for official SDKs that take no address of their own: a CONNECT proxy that
// forwards nothing. A CONNECT to one of the snapshot's SDK hosts on port 443 is answered with
// TLS of our own, and what comes through it goes the way of every other call: framing filter,
// handler, pipeline. Everything else is refused, and nothing is ever dialled.
type SDK struct {
	// Address is where to listen, such as "127.0.0.1:8445".
	Address string
	// From are the networks that may connect beside this machine itself.
	From []netip.Prefix
	// Certificate gives the certificate for one exact host name; required.
	Certificate func(host string) (*tls.Certificate, error)
}

// tunnelPort is the one port that a CONNECT may name.
const tunnelPort = "443"

// admits reports whether peer may use the port.
func (c *SDK) admits(peer netip.Addr) bool {
	return peer.IsLoopback() || contains(c.From, peer)
}

// tunnel answers a CONNECT and hands what is inside to http.Server. Like handle, it reports
// whether the connection was taken over.
func (s *Server) tunnel(c *heldConn, info *connInfo) bool {
	outer := newFilterConn(c, info, s)
	h, p, err := outer.connectHead()
	if err != nil {
		outer.Close()
		return true
	}
	host := ""
	if p == nil {
		host, p = s.tunnelHost(info, h)
	}
	if p != nil {
		outer.answer(h, p) //nolint:errcheck // the peer is gone: nobody to tell
		outer.Close()
		return true
	}
	if _, err := outer.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		outer.Close()
		return true
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return false
	}
	info.tunnel, info.secure = host, true
	inner, ok := s.inside(c, info)
	if !ok {
		return false
	}
	if inner.ConnectionState().NegotiatedProtocol == "h2" {
		s.serveH2(inner, info)
		inner.Close()
		return true
	}
	return s.queue.offer(newFilterConn(inner, info, s))
}

// connectHead collects the head of a CONNECT within HeaderTime. Nothing may follow it before
// our answer: what does was written for somebody who does not look.
func (f *filterConn) connectHead() (*head, *problem.Error, error) {
	for {
		if err := f.fill(); err != nil {
			if len(f.in) > 0 && !errors.Is(err, io.EOF) {
				return &head{}, problem.New(problem.RequestTimeout, "the head did not arrive in time"), nil
			}
			return nil, nil, err
		}
		n, p := scanHead(f.in, f.seen)
		f.seen = len(f.in)
		if p != nil {
			return &head{}, p, nil
		}
		if n == 0 {
			continue
		}
		h, p := parseConnect(string(f.in[:n]))
		if p == nil && len(f.in) > n {
			p = badFraming("something follows the CONNECT before it was answered")
		}
		return h, p, nil
	}
}

// parseConnect is parseHead for a CONNECT, whose target is host:port (RFC 9112 §3.2.3).
func parseConnect(raw string) (*head, *problem.Error) {
	h := &head{length: -1}
	line, rest, _ := strings.Cut(raw, "\r\n")
	if p := h.parseRequestLine(line); p != nil {
		return h, p
	}
	rest = strings.TrimSuffix(rest, "\r\n")
	for rest != "" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		if p := h.parseField(line); p != nil {
			return h, p
		}
	}
	switch {
	case h.method != http.MethodConnect:
		return h, problem.New(problem.TunnelRefused, "this port takes CONNECT and nothing else").
			WithHint("make it the https proxy of one SDK's agent; give calls without an SDK the gate's own address")
	case h.minor != 1:
		return h, problem.New(problem.HTTPVersion, "this HTTP version is not spoken here").WithHint("use HTTP/1.1")
	}
	if p := h.frame(); p != nil {
		return h, p
	}
	if h.chunked || h.length > 0 {
		return h, badFraming("a CONNECT has no body")
	}
	return h, nil
}

// tunnelHost is the name that a CONNECT may lead to: exactly one of the snapshot's, byte for
// byte, on port 443.
func (s *Server) tunnelHost(info *connInfo, h *head) (string, *problem.Error) {
	if !s.config.SDK.admits(info.peer) {
		return "", problem.New(problem.TunnelRefused, "this address may not use the SDK port").
			WithHint("name its network under listen.sdk.from in sallyport.yaml")
	}
	host, port, ok := strings.Cut(h.target, ":")
	if !ok || host == "" || port == "" {
		return "", problem.New(problem.BadTarget, "the target of a CONNECT is HOST:443")
	}
	if h.host != h.target && h.host != host {
		return "", problem.New(problem.BadHost, "the Host field names another host than the CONNECT").WithHint("send Host: as the target is written")
	}
	if port != tunnelPort || s.world.Load().tunnels[host] == nil {
		return "", tunnelRefused()
	}
	return host, nil
}

func tunnelRefused() *problem.Error {
	return problem.New(problem.TunnelRefused, "the SDK port answers for the hosts of this gate's connections on port 443 only; nothing is forwarded").
		WithHint("`sallyport ca show` lists the names; make this the proxy of one SDK's agent, never of a whole process")
}

// inside ends TLS for the tunnel's host. The name that the client asks for must be the one of
// the CONNECT, and sessions are not resumed, so that no ticket stands in for that.
func (s *Server) inside(c *heldConn, info *connInfo) (*tls.Conn, bool) {
	cert, err := s.config.SDK.Certificate(info.tunnel)
	if err != nil {
		s.config.Log.Error("no certificate for the SDK port", "error", err)
		return nil, false
	}
	t := tls.Server(c, s.tunnelTLS(info.tunnel, cert))
	ctx, cancel := context.WithTimeout(context.Background(), s.limits.Handshake)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		s.counts.handshakes.Add(1)
		s.tellPlain(c, info, err)
		return nil, false
	}
	return t, true
}

func (s *Server) tunnelTLS(host string, cert *tls.Certificate) *tls.Config {
	c := s.tls.Clone()
	c.NextProtos = []string{"h2", "http/1.1"}
	c.SessionTicketsDisabled = true
	c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName != host {
			return nil, errors.New("the name asked for in TLS is not that of the CONNECT")
		}
		return cert, nil
	}
	return c
}

// tellPlain answers who speaks HTTP where TLS belongs.
func (s *Server) tellPlain(c *heldConn, info *connInfo, err error) {
	var record tls.RecordHeaderError
	if !errors.As(err, &record) || record.Conn == nil || !looksLikeHTTP(record.RecordHeader[:]) {
		return
	}
	p := badFraming("plain HTTP came through the tunnel").WithHint("use an https:// address; the tunnel takes TLS for the name of the CONNECT")
	s.counts.count(p.Code)
	reply := s.refusalOf(info, &head{}, p)
	if c.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
		io.Copy(c, bytes.NewReader(reply)) //nolint:errcheck // the peer is gone: nobody to tell
	}
}

func looksLikeHTTP(begin []byte) bool {
	for _, c := range begin {
		if (c < 'A' || c > 'Z') && c != ' ' && c != '/' {
			return false
		}
	}
	return len(begin) > 0
}

// tunnelled answers a request that came through a tunnel. Everything below a provider's host is
// the provider's: there is no session, no login, no hook and no page here.
func (x *exchange) tunnelled() *problem.Error {
	host := x.info.tunnel
	if x.r.Host != host && x.r.Host != host+":"+tunnelPort {
		return problem.New(problem.BadHost, "the Host field names another host than the tunnel").
			WithHint("send one Host field with the host of the CONNECT")
	}
	if _, has := x.r.Header["Origin"]; has || x.r.Header.Get("Sec-Fetch-Site") != "" {
		return problem.New(problem.OriginRefused, "the SDK port is for backends: a page may not use it").
			WithHint("pages call the gate's own address, with client.js")
	}
	if x.r.Method == http.MethodOptions || x.r.Method == http.MethodHead {
		x.w.Header().Set("Allow", "GET, POST, PUT, PATCH, DELETE")
		return problem.New(problem.MethodNotAllowed, "this method is not served here")
	}
	if x.among = x.world.tunnels[host]; x.among == nil { // dropped by a Swap
		return tunnelRefused()
	}
	x.client, x.origin = x.info.peer, ""
	x.route = route{end: endCall, path: x.path}
	return x.call()
}

// check refuses an SDK port that could not answer.
func (c *SDK) check() error {
	if c.Certificate == nil || c.Address == "" {
		return errors.New("open SDK port: Address and Certificate are needed")
	}
	return nil
}

// SDKAddr is the bound address of the SDK port; nil when there is none.
func (s *Server) SDKAddr() net.Addr {
	if s.config.SDK == nil {
		return nil
	}
	if l := s.find(roleSDK, s.config.SDK.Address); l != nil {
		return l.Addr()
	}
	return nil
}
