package ingress

//lint:file-ignore SA1019 x/net's http2.Server takes a wrapped TLS connection, which http.Server
// does not; with Go 1.27 it becomes a thin layer over net/http's own.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// Server listens. Open binds the addresses, Run serves until its context ends, Swap
// exchanges the world under running requests. All methods are safe for concurrent use.
type Server struct {
	config   Config
	limits   Limits
	certs    certificates
	tls      *tls.Config  // one, so that session tickets work
	h1, base *http.Server // base carries HTTP/2's limits
	h2       *http2.Server
	queue    *handoff
	world    atomic.Pointer[Snapshot]
	door     door
	tunnels  door // of the SDK port: its connections take no place of the public ones
	draining atomic.Bool
	inFlight atomic.Int64
	bodies   atomic.Int64 // bytes of large bodies in memory
	counts   counters
	conns    sync.WaitGroup // everything that handles a connection

	swapping  sync.Mutex // one Swap at a time
	mu        sync.Mutex // listeners, running, closed
	listeners map[string]*listener
	running   bool
	closed    bool
	accepting sync.WaitGroup
	failed    chan error
}

// role is what a listener is for. The zero value answers nothing but redirects.
type role int

const (
	roleHTTP   role = iota // ACME and redirects
	rolePublic             // sites, and connections with a host of their own
	roleOwn                // connections with a port of their own
	roleSDK                // CONNECT, for SDKs that take no address
)

// listener is one bound address.
type listener struct {
	net.Listener
	role    role
	address string // as configured: the key into Snapshot.ownPorts
}

// Open binds the addresses of c and of first. Nothing is accepted before Run.
func Open(c Config, first *Snapshot) (*Server, error) {
	if c.Log == nil {
		return nil, errors.New("open listener: Log is needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.SDK != nil {
		if err := c.SDK.check(); err != nil {
			return nil, err
		}
	}
	s := &Server{config: c, limits: c.Limits.withDefaults(), listeners: map[string]*listener{}, failed: make(chan error, 1)}
	certs, err := newCertificates(c, first.Hosts())
	if err != nil {
		return nil, err
	}
	s.certs = certs
	s.tls = s.tlsConfig()
	s.door = door{total: s.limits.Connections, perPrefix: s.limits.PerPrefix, exempt: c.Behind.From, held: map[string]int{}}
	s.tunnels = door{total: maxTunnels, perPrefix: maxTunnels, held: map[string]int{}}
	s.prepareHTTP()
	if err := s.bind(c.Public, rolePublic); err != nil {
		return nil, err
	}
	if c.SDK != nil {
		if err := s.bind(c.SDK.Address, roleSDK); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if c.HTTP != "" {
		if err := s.bind(c.HTTP, roleHTTP); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if err := s.Swap(first); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepareHTTP makes the two HTTP servers. Their timeouts stand in the connection
// wrappers, which know where a message begins and ends.
func (s *Server) prepareHTTP() {
	quiet := slog.NewLogLogger(quietHandler{s.config.Log.Handler()}, slog.LevelDebug)
	s.queue = newHandoff()
	s.h1 = &http.Server{
		Handler: http.HandlerFunc(s.serve), IdleTimeout: s.limits.Idle,
		MaxHeaderBytes: maxTarget + maxHead + 1024, ErrorLog: quiet,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c.(*filterConn).info)
		},
		ConnState: func(c net.Conn, st http.ConnState) {
			if st == http.StateIdle {
				c.(*filterConn).next()
			}
		},
	}
	s.base = &http.Server{
		Handler: s.h1.Handler, MaxHeaderBytes: maxHead, IdleTimeout: s.limits.Idle,
		WriteTimeout: s.limits.Reply, ReadTimeout: s.limits.ReadTotal, ErrorLog: quiet,
	}
	s.h2 = &http2.Server{MaxConcurrentStreams: maxStreams, IdleTimeout: s.limits.Idle, WriteByteTimeout: s.limits.WriteIdle}
	if err := http2.ConfigureServer(s.base, s.h2); err != nil {
		// Only a TLSConfig that forbids HTTP/2's cipher makes an error; base has none.
		panic(err)
	}
}

// bind listens on address, and serves at once when the server runs. It is called with
// mu not held.
func (s *Server) bind(address string, r role) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		l.Close()
		return errors.New("listen: the server is closed")
	}
	own := &listener{Listener: l, role: r, address: address}
	s.listeners[fmt.Sprint(r, address)] = own
	if s.running {
		s.start(own)
	}
	return nil
}

func (s *Server) start(l *listener) {
	s.accepting.Add(1)
	go func() {
		defer s.accepting.Done()
		s.accept(l)
	}()
}

// Swap makes next the world of all requests that begin from now on. It binds the ports
// that next adds before it swaps and closes those that next drops after; when a port
// cannot be bound, nothing changes.
func (s *Server) Swap(next *Snapshot) error {
	s.swapping.Lock()
	defer s.swapping.Unlock()
	var added []string
	for _, a := range next.Addresses() {
		if s.find(roleOwn, a) != nil {
			continue
		}
		if err := s.bind(a, roleOwn); err != nil {
			s.drop(added)
			return err
		}
		added = append(added, a)
	}
	if err := s.certs.SetHosts(next.Hosts()); err != nil {
		s.drop(added)
		return err
	}
	s.world.Store(next)
	var gone []string
	s.mu.Lock()
	for _, l := range s.listeners {
		if l.role == roleOwn && next.ownPorts[l.address] == nil {
			gone = append(gone, l.address)
		}
	}
	s.mu.Unlock()
	s.drop(gone)
	return nil
}

func (s *Server) find(r role, address string) *listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listeners[fmt.Sprint(r, address)]
}

func (s *Server) drop(addresses []string) {
	for _, a := range addresses {
		if l := s.find(roleOwn, a); l != nil {
			l.Close()
			s.mu.Lock()
			delete(s.listeners, fmt.Sprint(roleOwn, a))
			s.mu.Unlock()
		}
	}
}

// Addrs are the bound addresses of all listeners, those of connections with a port of
// their own included.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]net.Addr, 0, len(s.listeners))
	for _, l := range s.listeners {
		out = append(out, l.Addr())
	}
	return out
}

// PublicAddr is the bound address of the data plane.
func (s *Server) PublicAddr() net.Addr { return s.find(rolePublic, s.config.Public).Addr() }

// HTTPAddr is the bound address for ACME and redirects; nil when there is none.
func (s *Server) HTTPAddr() net.Addr {
	if l := s.find(roleHTTP, s.config.HTTP); l != nil {
		return l.Addr()
	}
	return nil
}

// Run accepts until ctx ends, then drains: no new connections, /readyz red, GOAWAY and
// Connection: close, at most Limits.Drain for requests in flight. Requests that are
// over that deadline are cut and counted in Stats. Run may be called once.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.running || s.closed {
		s.mu.Unlock()
		return errors.New("run listener: it has already run")
	}
	s.running = true
	for _, l := range s.listeners {
		s.start(l)
	}
	s.mu.Unlock()
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.h1.Serve(s.queue) //nolint:errcheck // always http.ErrServerClosed: the queue ends only with it
	}()
	s.certs.Run(ctx)
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-s.failed:
	}
	s.drain(ctx)
	<-served
	return failure
}

// drain ends everything that Run started. The caller's context is over; only its values
// are kept.
func (s *Server) drain(ctx context.Context) {
	s.draining.Store(true)
	s.closeListeners()
	s.accepting.Wait()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.Drain)
	defer cancel()
	// base holds no connections: its Shutdown sends GOAWAY on those of HTTP/2.
	s.base.Shutdown(deadline) //nolint:errcheck // see above: nothing to wait for
	err := s.h1.Shutdown(deadline)
	if done := s.wait(deadline); err != nil || !done {
		over := s.inFlight.Load()
		s.counts.overdue.Add(over)
		s.config.Log.Warn("requests cut at the end of the drain time", "count", over)
		s.h1.Close()
		s.door.closeAll()
		s.tunnels.closeAll()
		s.conns.Wait()
	}
	s.certs.Close()
}

// wait reports whether all connections ended before ctx did.
func (s *Server) wait(ctx context.Context) bool {
	ended := make(chan struct{})
	go func() {
		s.conns.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Server) closeListeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, l := range s.listeners {
		l.Close()
	}
}

// Close releases the addresses of a server that never ran.
func (s *Server) Close() error {
	s.closeListeners()
	s.certs.Close()
	return nil
}

// tlsConfig is TLS 1.2 with AEAD suites, or 1.3.
func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos:     append([]string{"h2", "http/1.1"}, s.certs.Protocols()...),
		GetCertificate: s.certs.Get,
		Time:           s.config.Now,
	}
}
