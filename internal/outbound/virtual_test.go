package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/provider"
)

// virtual is a provider in memory whose time is that of a synctest bubble: TLS and
// net/http over pipes.
type virtual struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	quiet syscall.RawConn // of a socket that nothing is sent to
}

// Accept implements net.Listener.
func (v *virtual) Accept() (net.Conn, error) {
	select {
	case c := <-v.conns:
		return c, nil
	case <-v.done:
		return nil, net.ErrClosed
	}
}

func (v *virtual) Close() error   { v.once.Do(func() { close(v.done) }); return nil }
func (v *virtual) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(203, 0, 114, 1), Port: 443} }

// silentPipe is a pipe that can be asked, as a socket can, whether something came.
type silentPipe struct {
	net.Conn
	raw syscall.RawConn
}

func (p silentPipe) SyscallConn() (syscall.RawConn, error) { return p.raw, nil }

func (v *virtual) dial(_ context.Context, _ netip.AddrPort) (net.Conn, error) {
	mine, theirs := net.Pipe()
	select {
	case v.conns <- theirs:
		return silentPipe{mine, v.quiet}, nil
	case <-v.done:
		return nil, net.ErrClosed
	}
}

// publicHost has what a provider in memory needs from outside of a bubble.
type publicHost struct {
	ca    *authority
	cert  tls.Certificate
	quiet syscall.RawConn
}

func newPublicHost(t *testing.T) *publicHost {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	p := &publicHost{ca: newAuthority(t)}
	p.cert = p.ca.issue(t, time.Now().Add(time.Hour), "api.provider.example")
	if p.quiet, err = socket.SyscallConn(); err != nil {
		t.Fatal(err)
	}
	return p
}

// serve makes a Host on the provider's public name, inside a bubble; serve gets each
// connection after its handshake. What stop ends has to be ended there.
func (p *publicHost) serve(t *testing.T, timeouts Timeouts, serve func(net.Conn)) (host *Host, stop func()) {
	t.Helper()
	v := &virtual{conns: make(chan net.Conn), done: make(chan struct{}), quiet: p.quiet}
	l := tls.NewListener(v, &tls.Config{Certificates: []tls.Certificate{p.cert}, Time: realNow(p.cert)})
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { defer c.Close(); serve(c) })
		}
	})
	d := NewDialer(DialerConfig{Policy: PolicyProvider, Resolver: resolverFunc(func(string) ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("203.0.114.1")}, nil })})
	d.via = v.dial
	host, err := NewHost(HostConfig{URL: "https://api.provider.example", Roots: p.ca.pool, Dialer: d, Timeouts: timeouts})
	if err != nil {
		t.Fatal(err)
	}
	host.tls.Time = realNow(p.cert)
	return host, func() {
		host.Close()
		v.Close()
		open.Wait()
	}
}

// serveHTTP is serve with net/http as the provider.
func (p *publicHost) serveHTTP(t *testing.T, h http.Handler) (host *Host, stop func()) {
	t.Helper()
	one := make(chan net.Conn)
	served := make(chan struct{})
	inner := &virtual{conns: one, done: make(chan struct{})}
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { defer close(served); _ = server.Serve(inner) }()
	host, stopConns := p.serve(t, Timeouts{Total: 15 * time.Second}, func(c net.Conn) {
		done := make(chan struct{})
		select {
		case one <- closing{c, sync.OnceFunc(func() { close(done) })}:
			<-done
		case <-inner.done:
		}
	})
	return host, func() {
		host.Close()
		server.Close()
		<-served
		stopConns()
	}
}

// closing tells when a connection was closed.
type closing struct {
	net.Conn
	closed func()
}

func (c closing) Close() error { defer c.closed(); return c.Conn.Close() }

// realNow: the certificate was made outside of the bubble, whose clock begins in 2000.
func realNow(cert tls.Certificate) func() time.Time {
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		panic(err)
	}
	return func() time.Time { return leaf.NotAfter.Add(-time.Minute) }
}

// TestEveryLimitThroughTheHost pushes three times each limit of the catalog through all of
// the way out: Host, its connections over TLS, and net/http as the provider, which answers
// 429 to what is over the limit. Time is virtual, so that also hours and the limits of
// mode live can be pushed.
func TestEveryLimitThroughTheHost(t *testing.T) {
	public := newPublicHost(t)
	packs, err := provider.Builtin().Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, pack := range packs {
		for _, l := range pack.Limits {
			per, err := time.ParseDuration(l.Per)
			if err != nil {
				continue // calls at once: TestEveryLimitOfTheCatalog
			}
			t.Run(fmt.Sprintf("%s %g per %s per %s", pack.ID, l.Calls, l.Per, l.Scope), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := &enforcer{limit: int(l.Calls), window: per}
					host, stop := public.serveHTTP(t, c)
					defer stop()
					c.push(t, host, l)
				})
			})
		}
	}
}

// enforcer answers 429 to what is over its limit in any window.
type enforcer struct {
	arrivals
	limit   int
	window  time.Duration
	refused atomic.Int64
}

func (e *enforcer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	now := time.Now()
	e.mu.Lock()
	over := len(e.at) >= e.limit && now.Sub(e.at[len(e.at)-e.limit]) < e.window
	if !over {
		e.at = append(e.at, now)
	}
	e.mu.Unlock()
	if over {
		e.refused.Add(1)
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	time.Sleep(80 * time.Millisecond)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}")
}

func (e *enforcer) push(t *testing.T, host *Host, l provider.Limit) {
	t.Helper()
	limit := BucketConfig{Calls: l.Calls, Per: e.window}
	bucket, objects := NewBucket(limit), NewObjects(limit, NewRoom(0))
	credential := bearer(t, "sk_live_0123456789abcdef")
	windows := scaled(2, 20)
	var held atomic.Int64
	var wg sync.WaitGroup
	tick := time.Duration(float64(e.window) / l.Calls / 3)
	for began := time.Now(); time.Since(began) < time.Duration(windows)*e.window; time.Sleep(tick) {
		wg.Go(func() {
			call := get("/")
			call.Credential, call.Safety, call.Buckets = credential, Never, []*Bucket{bucket}
			if l.EachNamed() {
				b, release := objects.Hold("one")
				defer release()
				call.Buckets = []*Bucket{b}
			}
			_, err := host.Do(t.Context(), call)
			if err == nil {
				return // a 429 is counted where it is answered
			}
			if code := problem.From(err).Code; code != problem.UpstreamThrottled && code != problem.Overloaded {
				t.Error(err)
			}
			held.Add(1)
		})
	}
	wg.Wait()
	if e.refused.Load() > 0 || len(e.at) < windows*e.limit*9/10 || held.Load() == 0 {
		t.Errorf("%d of %d calls used, %d refused by the provider, %d held back", len(e.at), windows*e.limit, e.refused.Load(), held.Load())
	}
}
