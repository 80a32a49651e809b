package ingress

//lint:file-ignore SA1019 x/net's http2.Server takes a wrapped TLS connection, which http.Server
// does not; with Go 1.27 it becomes a thin layer over net/http's own.

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// connKey finds the connInfo of a request's connection in its context.
type connKey struct{}

// connInfo is what is known about a connection.
type connInfo struct {
	listener *listener
	peer     netip.Addr
	local    netip.Addr
	secure   bool   // TLS ends here
	tunnel   string // the host of the CONNECT that it came through; empty: none
}

// accept hands out connections until its listener closes. A listener that dies on its
// own ends the server: an unreachable gate must not look alive.
func (s *Server) accept(l *listener) {
	for delay := time.Duration(0); ; {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil && delay < time.Second: // out of descriptors, say: wait and go on
			delay = max(2*delay, 5*time.Millisecond)
			s.config.Log.Error("cannot accept", "listen", l.address, "error", err)
			time.Sleep(delay)
			continue
		case err != nil:
			select {
			case s.failed <- err:
			default:
			}
			return
		}
		delay = 0
		s.admit(l, c)
	}
}

// admit counts the connection in or closes it.
func (s *Server) admit(l *listener, c net.Conn) {
	peer := addrOf(c.RemoteAddr())
	d := &s.door
	if l.role == roleSDK {
		d = &s.tunnels
	}
	held, ok := d.enter(c, peer)
	if !ok {
		s.counts.turnedAway.Add(1)
		c.Close()
		return
	}
	s.conns.Add(1)
	go func() {
		info := &connInfo{listener: l, peer: peer, local: addrOf(c.LocalAddr())}
		if !s.handle(held, info) {
			held.Close()
		}
	}()
}

// handle brings a connection to its protocol. It reports whether the connection was
// taken over; heldConn.Close ends the count either way.
func (s *Server) handle(c *heldConn, info *connInfo) bool {
	c.done = s.conns.Done
	if info.listener.role == roleSDK {
		return s.tunnel(c, info)
	}
	if s.config.TLS.Off || info.listener.role == roleHTTP {
		return s.queue.offer(newFilterConn(c, info, s))
	}
	info.secure = true
	t := tls.Server(c, s.tls)
	ctx, cancel := context.WithTimeout(context.Background(), s.limits.Handshake)
	err := t.HandshakeContext(ctx)
	cancel()
	if err != nil {
		s.counts.handshakes.Add(1)
		return false
	}
	switch t.ConnectionState().NegotiatedProtocol {
	case "h2":
		s.serveH2(t, info)
		t.Close()
		return true
	case "", "http/1.1":
		return s.queue.offer(newFilterConn(t, info, s))
	default: // acme-tls/1: the certificate was the answer
		t.Close()
		return true
	}
}

func (s *Server) serveH2(t *tls.Conn, info *connInfo) {
	limited := newFrameLimiter(t, s.config.Now, s.counts.flood)
	s.h2.ServeConn(limited, &http2.ServeConnOpts{
		Context:    context.WithValue(context.Background(), connKey{}, info),
		BaseConfig: s.base, Handler: s.base.Handler,
	})
}

func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return ap.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// door bounds connections, in all and by client prefix.
type door struct {
	total, perPrefix int
	exempt           []netip.Prefix

	mu    sync.Mutex
	held  map[string]int // by prefix; an entry lives as long as a connection
	conns map[*heldConn]struct{}
}

// heldConn gives its place back when it is closed.
type heldConn struct {
	net.Conn
	door   *door
	prefix string
	done   func()
	once   sync.Once
}

func (d *door) enter(c net.Conn, peer netip.Addr) (*heldConn, bool) {
	prefix := clientPrefix(peer)
	if contains(d.exempt, peer) {
		prefix = ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.conns) >= d.total || prefix != "" && d.held[prefix] >= d.perPrefix {
		return nil, false
	}
	if d.conns == nil {
		d.conns = map[*heldConn]struct{}{}
	}
	h := &heldConn{Conn: c, door: d, prefix: prefix}
	d.conns[h] = struct{}{}
	if prefix != "" {
		d.held[prefix]++
	}
	return h, true
}

// Close closes the connection and leaves the door, once.
func (h *heldConn) Close() error {
	err := h.Conn.Close()
	h.once.Do(func() {
		h.door.leave(h)
		if h.done != nil {
			h.done()
		}
	})
	return err
}

func (d *door) leave(h *heldConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, h)
	if h.prefix == "" {
		return
	}
	if d.held[h.prefix]--; d.held[h.prefix] <= 0 {
		delete(d.held, h.prefix)
	}
}

func (d *door) closeAll() {
	d.mu.Lock()
	all := make([]*heldConn, 0, len(d.conns))
	for h := range d.conns {
		all = append(all, h)
	}
	d.mu.Unlock()
	for _, h := range all {
		h.Close()
	}
}

func (d *door) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

// clientPrefix is the unit of limits: v4 /24, v6 /56.
func clientPrefix(a netip.Addr) string {
	bits := 56
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return p.String()
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// handoff is the net.Listener through which http.Server gets filtered connections.
type handoff struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandoff() *handoff {
	return &handoff{conns: make(chan net.Conn), done: make(chan struct{})}
}

// offer passes c on; false: the server is closing.
func (h *handoff) offer(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.done:
		return false
	}
}

// Accept implements net.Listener.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handoff) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handoff) Addr() net.Addr { return &net.TCPAddr{} }

// quietHandler turns net/http's own complaints about peers into debug lines.
type quietHandler struct{ slog.Handler }

// CloseWrite ends our half of the connection.
func (h *heldConn) CloseWrite() error {
	if c, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
