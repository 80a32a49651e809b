package outbound

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/problem"
)

// hold keeps a connection open until the other side gives up.
func hold(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// Every phase that hangs ends in upstream_timeout, in its own time.
func TestPhasesTimeOut(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"
	limits := Timeouts{Dial: time.Second, TLS: 2 * time.Second, Header: 5 * time.Second, Idle: 7 * time.Second, Total: 20 * time.Second}
	drip := func(c net.Conn, start, piece string) {
		_, _ = io.WriteString(c, start)
		for range 60 {
			time.Sleep(time.Second)
			if _, err := io.WriteString(c, piece); err != nil {
				return
			}
		}
	}
	tests := []struct {
		name    string
		serve   func(c net.Conn)
		outcome problem.Outcome
		after   time.Duration
	}{
		{"before the head", hold, problem.Unknown, limits.Header},
		{"within the head", func(c net.Conn) { _, _ = io.WriteString(c, head); hold(c) }, problem.Unknown, limits.Header},
		{"head in drops", func(c net.Conn) { drip(c, head, "X-A: a\r\n") }, problem.Unknown, limits.Header},
		{"within the body", func(c net.Conn) { _, _ = io.WriteString(c, head+"\r\nabc"); hold(c) }, problem.Performed, limits.Idle},
		{"body in drops", func(c net.Conn) { drip(c, head+"\r\n", "a") }, problem.Unknown, limits.Total},
	}
	public := newPublicHost(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var u upstream
				h, stop := public.serve(t, limits, func(c net.Conn) {
					if u.read(bufio.NewReader(c)) {
						test.serve(c)
					}
				})
				defer stop()
				began := time.Now()
				_, err := h.Do(t.Context(), &Call{Method: http.MethodPost, Path: "/", Finish: true})
				if took := time.Since(began); took != test.after {
					t.Errorf("took %s, want %s", took, test.after)
				}
				wantProblem(t, err, problem.UpstreamTimeout, test.outcome)
			})
		})
	}
}

func TestHandshakeTimesOut(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	h := to(t, &upstream{url: "https://" + ln.Addr().String()}, func(c *HostConfig) { c.Timeouts.TLS = 50 * time.Millisecond })
	_, err = h.Do(t.Context(), get("/"))
	wantProblem(t, err, problem.UpstreamTimeout, problem.NotSent)
}

func TestResetsAreNamed(t *testing.T) {
	reset := func(c net.Conn) {
		nc, _ := c.(interface{ NetConn() net.Conn })
		tcp, _ := nc.NetConn().(*net.TCPConn)
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
	}
	tests := []struct {
		name    string
		before  string
		code    problem.Code
		outcome problem.Outcome
	}{
		{"before the head", "", problem.UpstreamUnreachable, problem.Unknown},
		{"within the body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", problem.UpstreamMalformed, problem.Performed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u := rawUpstream(t, func(u *upstream, c net.Conn) {
				if u.read(bufio.NewReader(c)) {
					_, _ = io.WriteString(c, test.before)
					time.Sleep(700 * time.Millisecond) // what was written is read first
					reset(c)
				}
			})
			_, err := to(t, u, nil).Do(t.Context(), get("/"))
			wantProblem(t, err, test.code, test.outcome)
		})
	}
}

// A caller who hangs up cuts a read off, and does not cut a payment off.
func TestCallerHangsUp(t *testing.T) {
	for _, finish := range []bool{false, true} {
		got, release := make(chan struct{}), make(chan struct{})
		var answered atomic.Bool
		u := handling(t, func(w http.ResponseWriter, r *http.Request) {
			close(got)
			select {
			case <-release:
				answered.Store(true)
			case <-r.Context().Done():
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-got
			cancel()
			time.Sleep(30 * time.Millisecond)
			close(release)
		}()
		res, err := to(t, u, nil).Do(ctx, &Call{Method: http.MethodPost, Path: "/", Finish: finish})
		if finish {
			if err != nil || res.Outcome != problem.Performed || !answered.Load() {
				t.Errorf("finish: got %v, %v", res, err)
			}
			continue
		}
		wantProblem(t, err, problem.UpstreamTimeout, problem.Unknown)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the cause is lost: %v", err)
		}
	}
}

// A caller who hung up before the first byte causes none.
func TestCancelledBeforeSending(t *testing.T) {
	u := replying(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	h := to(t, u, nil)
	ctx, cancel := context.WithCancel(t.Context())
	call := &Call{Method: http.MethodPost, Path: "/", Finish: true, Intent: func(context.Context, int) error { cancel(); return nil }}
	_, err := h.Do(ctx, call)
	wantProblem(t, err, problem.UpstreamTimeout, problem.NotSent)
	if n := len(u.seen()); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// What goes out is exactly what was encoded, in a fixed order, and nothing that
// could change its framing.
func TestRequestOnTheWire(t *testing.T) {
	u := replying(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	base := &upstream{url: u.url + "/base", roots: u.roots}
	call := &Call{Method: http.MethodPost, Path: "/v1/x%2Fy", RawQuery: "a=b%20c", Body: []byte("amount=5"),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Stripe-Version": {"2026-09-30.endive"}}}
	if _, err := to(t, base, nil).Do(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	want := "POST /base/v1/x%2Fy?a=b%20c\nAccept-Encoding: gzip\r\nContent-Length: 8\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
		"Stripe-Version: 2026-09-30.endive\r\nUser-Agent: Sallyport\r\n\namount=5"
	if got := u.seen(); len(got) != 1 || got[0] != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestRequestsThatAreNotSent(t *testing.T) {
	u := replying(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	h := to(t, u, nil)
	with := func(name, value string) *Call {
		c := get("/")
		c.Header = http.Header{name: {value}}
		return c
	}
	calls := map[string]*Call{
		"method in lower case": {Method: "get", Path: "/"}, "method with space": {Method: "GET /x", Path: "/"}, "CONNECT": {Method: "CONNECT", Path: "/"},
		"TRACE": {Method: "TRACE", Path: "/"}, "no path": get(""), "absolute": get("https://evil.test/"), "space": get("/a b"), "CRLF": get("/a\r\nX: y"),
		"fragment": get("/a#b"), "raw UTF-8": get("/é"), "query with LF": {Method: "GET", Path: "/", RawQuery: "a\nb"},
		"header CRLF": with("X-A", "a\r\nX-B: b"), "header NUL": with("X-A", "a\x00"), "header name": with("X A", "a"), "host": with("Host", "evil.test"),
		"te": with("Transfer-Encoding", "chunked"), "cl": with("content-length", "5"), "upgrade": with("Upgrade", "h2c"), "encoding": with("Accept-Encoding", "br"),
	}
	for name, call := range calls {
		_, err := h.Do(t.Context(), call)
		if err == nil {
			t.Errorf("%s: was sent", name)
			continue
		}
		wantProblem(t, err, problem.Internal, problem.NotSent)
	}
	if n := len(u.seen()); n != 0 {
		t.Errorf("%d requests arrived: %s", n, strings.Join(u.seen(), "\n"))
	}
}
