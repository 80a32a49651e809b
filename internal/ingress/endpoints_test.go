package ingress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

func TestSession(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	origin := "Origin: https://example.com"
	r := one(t, g, "POST /session HTTP/1.1", hostH, origin)
	var out struct {
		Token     string `json:"token"`
		ExpiresIn int    `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(r.body), &out); err != nil || out.Token != "shop|https://example.com|127.0.0.1" || out.ExpiresIn != 900 {
		t.Errorf("%v %+v", err, out)
	}
	if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Set-Cookie") != "" {
		t.Errorf("headers %v", r.Header)
	}
	body := func(kind, b string) []string {
		return []string{"POST /session HTTP/1.1", hostH, origin, "Content-Type: " + kind, fmt.Sprintf("Content-Length: %d", len(b)), "Connection: close", "", b}
	}
	for _, row := range []struct {
		name   string
		lines  []string
		status int
	}{
		{"empty object", body("application/json", "{}"), 200},
		{"text/plain", body("text/plain", "{}"), 415},
		{"form", body("application/x-www-form-urlencoded", "a=b"), 415},
		{"parameters", body("application/json", `{"ttl":1}`), 400},
		{"too large", body("application/json", strings.Repeat(" ", 1025)), 413},
		{"renew", []string{"POST /session HTTP/1.1", hostH, "Connection: close", origin, "Authorization: Bearer good", "", ""}, 200},
		{"renew with bad token", []string{"POST /session HTTP/1.1", hostH, "Connection: close", origin, "Authorization: Bearer bad", "", ""}, 401},
		{"renew with no bearer token", []string{"POST /session HTTP/1.1", hostH, "Connection: close", origin, "Authorization: Basic good", "", ""}, 401},
		{"renew without a token", []string{"POST /session HTTP/1.1", hostH, "Connection: close", origin, "Authorization: ", "", ""}, 401},
		{"end without token", []string{"DELETE /session HTTP/1.1", hostH, "Connection: close", origin}, 401},
		{"end with bad token", []string{"DELETE /session HTTP/1.1", hostH, "Connection: close", origin, "Authorization: Bearer bad"}, 401},
		{"end", []string{"DELETE /session HTTP/1.1", hostH, "Connection: close", origin, "Authorization: Bearer good"}, 204},
		{"end from elsewhere", []string{"DELETE /session HTTP/1.1", hostH, "Connection: close", "Origin: https://evil.test", "Authorization: Bearer good"}, 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			replies, _ := g.raw(strings.TrimSuffix(request(row.lines...), map[bool]string{true: "\r\n\r\n"}[strings.Contains(row.lines[0], "POST")]))
			if len(replies) != 1 || replies[0].StatusCode != row.status {
				t.Errorf("got %+v", replies)
			}
		})
	}
	if len(g.sessions.minted) != 2 || len(g.sessions.revoked) != 1 {
		t.Errorf("minted %v revoked %v", g.sessions.minted, g.sessions.revoked)
	}
	g.sessions.err = &problem.Error{Code: problem.RateLimited, RetryAfter: 1500 * time.Millisecond}
	if r := one(t, g, "POST /session HTTP/1.1", hostH, origin); r.StatusCode != 429 || r.Header.Get("Retry-After") != "2" {
		t.Errorf("limited: %d %v", r.StatusCode, r.Header)
	}
	g.sessions.err = errors.New("CANARY store down")
	if r := one(t, g, "POST /session HTTP/1.1", hostH, origin); r.StatusCode != 500 || strings.Contains(r.body, "CANARY") {
		t.Errorf("broken: %d %s", r.StatusCode, r.body)
	}
}

func TestScriptKeysHealth(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	r := one(t, g, "GET /client.js HTTP/1.1", hostH)
	if r.body != "export const site = 'shop'\n" || r.Header.Get("Cross-Origin-Resource-Policy") != "cross-origin" ||
		r.Header.Get("Content-Type") != "text/javascript; charset=utf-8" || !strings.Contains(r.Header.Get("Cache-Control"), "max-age=300") {
		t.Errorf("%v %q", r.Header, r.body)
	}
	etag := r.Header.Get("ETag")
	for sent, want := range map[string]int{etag: 304, "W/" + etag: 304, `"x", ` + etag: 304, `"x"`: 200, "*": 304} {
		if r := one(t, g, "GET /client.js HTTP/1.1", hostH, "If-None-Match: "+sent); r.StatusCode != want {
			t.Errorf("If-None-Match %s: %d", sent, r.StatusCode)
		}
	}
	if r := one(t, g, "GET /client.js HTTP/1.1", hostH, "Origin: https://evil.test"); r.StatusCode != 403 || strings.Contains(r.body, "export") {
		t.Errorf("foreign import: %d", r.StatusCode)
	}
	if r := one(t, g, "HEAD /client.js HTTP/1.1", hostH); r.StatusCode != 200 || r.body != "" {
		t.Errorf("HEAD: %d %q", r.StatusCode, r.body)
	}
	if r := one(t, g, "GET /club/client.js HTTP/1.1", "Host: localhost"); r.body != "export const site = 'club'\n" {
		t.Errorf("by path: %q", r.body)
	}
	for path, want := range map[string]string{
		"/.well-known/jwks.json": `{"keys":[]}`, "/healthz": `{"status":"ok"}`, "/readyz": `{"status":"ready"}`,
	} {
		for _, host := range []string{"gw.test", "127.0.0.1", "localhost"} {
			if r := one(t, g, "GET "+path+" HTTP/1.1", "Host: "+host); r.StatusCode != 200 || r.body != want {
				t.Errorf("%s on %s: %d %q", path, host, r.StatusCode, r.body)
			}
		}
	}
}

func TestReadyAndPanic(t *testing.T) {
	t.Parallel()
	g := startGate(t, func(c *Config, w *World) {
		c.Ready = func(context.Context) error { return errors.New("CANARY disk full") }
	})
	if r := one(t, g, "GET /readyz HTTP/1.1", hostH); r.StatusCode != 503 || strings.Contains(r.body, "CANARY") {
		t.Errorf("readyz %d %s", r.StatusCode, r.body)
	}
	g.draining.Store(true)
	if r := one(t, g, "GET /readyz HTTP/1.1", hostH); r.StatusCode != 503 || !strings.Contains(r.body, "shutting_down") {
		t.Errorf("readyz while draining %d %s", r.StatusCode, r.body)
	}
	g.caller.answer = func(*egress.Call) *egress.Answer { panic("CANARY in a panic") }
	r := one(t, g, get, hostH)
	if r.StatusCode != 500 || strings.Contains(r.body, "CANARY") || !strings.Contains(r.body, r.Header.Get("Sallyport-Request-Id")) {
		t.Errorf("panic: %d %s", r.StatusCode, r.body)
	}
	if g.Stats().Panics != 1 {
		t.Error("panic not counted")
	}
	g.stop()
	if strings.Contains(g.log.String(), "CANARY in a panic") {
		t.Error("the panic's value is in the log")
	}
}

// TestClientAddress: only named peers may say who the client is.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	behind := Behind{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}, Header: "X-Forwarded-For"}
	forwarded := Behind{From: behind.From, Header: "Forwarded"}
	for _, row := range []struct {
		name   string
		behind Behind
		lines  []string
		want   string // "": 400
	}{
		{"nobody is named", Behind{}, []string{"X-Forwarded-For: 192.0.2.7"}, "127.0.0.1"},
		{"other peers are named", Behind{From: behind.From[1:], Header: "X-Forwarded-For"}, []string{"X-Forwarded-For: 192.0.2.7"}, "127.0.0.1"},
		{"one hop", behind, []string{"X-Forwarded-For: 192.0.2.7"}, "192.0.2.7"},
		{"client lies in front", behind, []string{"X-Forwarded-For: 1.1.1.1, 192.0.2.7"}, "192.0.2.7"},
		{"client lies in another line", behind, []string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 192.0.2.7"}, "192.0.2.7"},
		{"two of ours", behind, []string{"X-Forwarded-For: 1.1.1.1, 192.0.2.7, 10.1.2.3"}, "192.0.2.7"},
		{"all ours", behind, []string{"X-Forwarded-For: 10.0.0.9, 10.1.2.3"}, "10.0.0.9"},
		{"lie with garbage far left", behind, []string{"X-Forwarded-For: <script>, 192.0.2.7"}, "192.0.2.7"},
		{"IPv6 with port", behind, []string{"X-Forwarded-For: [2001:db8::7]:443"}, "2001:db8::7"},
		{"IPv4-mapped", behind, []string{"X-Forwarded-For: ::ffff:192.0.2.7"}, "192.0.2.7"},
		{"missing", behind, nil, ""},
		{"empty", behind, []string{"X-Forwarded-For:"}, ""},
		{"a name", behind, []string{"X-Forwarded-For: unknown"}, ""},
		{"garbage where ours should be", behind, []string{"X-Forwarded-For: 192.0.2.7, x"}, ""},
		{"another header", behind, []string{"X-Real-IP: 192.0.2.7"}, ""},
		{"Forwarded", forwarded, []string{`Forwarded: for=1.1.1.1, for="[2001:db8::7]:80";proto=https`}, "2001:db8::7"},
		{"Forwarded obfuscated", forwarded, []string{"Forwarded: for=_hidden"}, ""},
		{"Forwarded without for", forwarded, []string{"Forwarded: by=10.0.0.1"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := startGate(t, func(c *Config, _ *World) { c.Behind = row.behind })
			r := one(t, g, append([]string{get, hostH}, row.lines...)...)
			if row.want == "" {
				if r.StatusCode != 400 || !strings.Contains(r.body, "client_address_missing") || g.caller.count() != 0 {
					t.Errorf("%d %s", r.StatusCode, r.body)
				}
				return
			}
			if got := g.caller.last(); got == nil || got.Client.String() != row.want || got.Header.Get(row.behind.Header) != "" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestPlainPort: calls are refused, never redirected; pages are.
func TestPlainPort(t *testing.T) {
	t.Parallel()
	g := startGate(t, func(c *Config, _ *World) { c.HTTP = "127.0.0.1:0" })
	for _, row := range []struct {
		name     string
		lines    []string
		status   int
		location string
	}{
		{"page", []string{"GET /privacy?a=b HTTP/1.1", hostH, "Accept: text/html,*/*"}, 301, "https://gw.test/privacy?a=b"},
		{"call", []string{get, hostH, "Accept: text/html"}, 403, ""},
		{"call with key", []string{get, hostH, "Authorization: Bearer k"}, 403, ""},
		{"page with key", []string{"GET /privacy HTTP/1.1", hostH, "Accept: text/html", "Authorization: Bearer k"}, 403, ""},
		{"post", []string{"POST /privacy HTTP/1.1", hostH, "Accept: text/html"}, 403, ""},
		{"session", []string{"POST /session HTTP/1.1", hostH, "Origin: https://example.com"}, 403, ""},
		{"fetch", []string{"GET /privacy HTTP/1.1", hostH, "Accept: */*"}, 403, ""},
		{"client.js", []string{"GET /client.js HTTP/1.1", hostH, "Accept: text/html"}, 403, ""},
		{"jwks", []string{"GET /.well-known/jwks.json HTTP/1.1", hostH, "Accept: text/html"}, 403, ""},
		{"challenge that is not ours", []string{"GET /.well-known/acme-challenge/x HTTP/1.1", hostH, "Accept: text/html"}, 403, ""},
		{"unknown host", []string{"GET / HTTP/1.1", "Host: evil.test", "Accept: text/html"}, 421, ""},
		{"split in target", []string{"GET /a%0d%0aX HTTP/1.1", hostH, "Accept: text/html"}, 400, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := net.Dial("tcp", g.HTTPAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			replies, _ := exchangeRaw(t, c, request(append(row.lines, "Connection: close")...))
			if len(replies) != 1 || replies[0].StatusCode != row.status || replies[0].Header.Get("Location") != row.location {
				t.Errorf("%+v", replies)
			}
			if len(replies) == 1 && replies[0].Header.Get("Strict-Transport-Security") != "" {
				t.Error("HSTS over http")
			}
		})
	}
	if g.caller.count() != 0 {
		t.Error("a call was performed over http")
	}
}

// TestOwnHostAndPort: the provider's paths start at the root, and nothing else is there.
func TestOwnHostAndPort(t *testing.T) {
	t.Parallel()
	own := freePort(t)
	sites := testSites(t)
	sites[1].Connections["sms"].ServedAt = []string{own}
	g := startGate(t, func(_ *Config, w *World) { w.Sites = sites })
	if r := one(t, g, "GET /v1/things?a=b HTTP/1.1", "Host: maps.gw.test"); r.StatusCode != 200 {
		t.Errorf("own host: %d %s", r.StatusCode, r.body)
	}
	if c := g.caller.last(); c.Connection != "maps" || c.Path != "/v1/things" || c.Site != "shop" {
		t.Errorf("own host: %+v", c)
	}
	ask := func(host, path string) *reply {
		c, err := net.Dial("tcp", own)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		replies, _ := exchangeRaw(t, c, request("GET "+path+" HTTP/1.1", "Host: "+host, "Connection: close"))
		if len(replies) != 1 {
			t.Fatalf("%d replies", len(replies))
		}
		return replies[0]
	}
	if r := ask(own, "/healthz"); r.StatusCode != 200 || g.caller.last().Path != "/healthz" || g.caller.last().Connection != "sms" {
		t.Errorf("own port: %d %+v", r.StatusCode, g.caller.last())
	}
	if r := ask("gw.test", "/api/payments/x"); r.StatusCode != 421 {
		t.Errorf("another host on the own port: %d", r.StatusCode)
	}
	if r := one(t, g, "GET /club/client.js HTTP/1.1", "Host: "+own); r.StatusCode != 200 {
		t.Errorf("the public port knows its address with any port: %d", r.StatusCode)
	}
	// A world without that port closes it; one that adds a taken port changes nothing.
	sites = testSites(t)
	next := g.world
	next.Sites = sites
	swap(t, g, next, true)
	if c, err := net.DialTimeout("tcp", own, time.Second); err == nil {
		c.Close()
		t.Error("the dropped port is still open")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	bad := testSites(t)
	bad[0].ServedAt = []string{"other.test"}
	bad[1].Connections["sms"].ServedAt = []string{taken.Addr().String()}
	next.Sites = bad
	swap(t, g, next, false)
	if r := one(t, g, "GET /client.js HTTP/1.1", hostH); r.StatusCode != 200 {
		t.Errorf("a failed swap changed the world: %d", r.StatusCode)
	}
}

func swap(t *testing.T, g *gate, w World, ok bool) {
	t.Helper()
	s, err := NewSnapshot(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Swap(s); (err == nil) != ok {
		t.Fatalf("swap: %v", err)
	}
}

// freePort is below the ports that the kernel gives to outgoing connections: one of these
// could take it before the gate does.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := "127.0.0.1:" + strconv.Itoa(20000+rand.IntN(12000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port between 20000 and 32000 is free")
	return ""
}

// TestSnapshotClashes: names that two owners claim are an error at load.
func TestSnapshotClashes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(w *World)
		want   string
	}{
		{"two sites, one host", func(w *World) { w.Sites[1].ServedAt = []string{"GW.test"} }, `"gw.test" is taken`},
		{"connection takes a site's host", func(w *World) { w.Sites[1].Connections["sms"].ServedAt = []string{"gw.test"} }, "is taken"},
		{"site takes the gate's host", func(w *World) { w.GateHosts = []string{"gw.test"} }, "is taken"},
		{"two connections, one port", func(w *World) {
			w.Sites[1].Connections["sms"].ServedAt = []string{"127.0.0.1:9"}
			w.Sites[0].Connections["maps"].ServedAt = []string{"127.0.0.1:9"}
		}, "is taken"},
		{"bad port", func(w *World) { w.Sites[1].Connections["sms"].ServedAt = []string{"h:0"} }, "port"},
		{"site called healthz", func(w *World) { w.Sites[1].Name = "healthz" }, "healthz"},
		{"site with slash", func(w *World) { w.Sites[1].Name = "a/b" }, "a/b"},
		{"no caller", func(w *World) { w.Caller = nil }, "Caller"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := World{Sites: testSites(t), Caller: &fakeCaller{}, Sessions: &fakeSessions{}, Script: func(string) []byte { return nil }}
			row.change(&w)
			if _, err := NewSnapshot(w); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
	s, err := NewSnapshot(World{Caller: &fakeCaller{}, Sessions: &fakeSessions{}, Script: func(string) []byte { return nil }, Sites: []*site.Site{{
		Name: "a", ServedAt: []string{"A.test"}, Connections: map[string]*site.Connection{
			"x": {Name: "x", Mode: provider.Mock, ServedAt: []string{"x.test:8443", "[::1]:9000", ":7000", "y.test"}},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s.Addresses(), s.Hosts()); got != "[:7000 :8443 [::1]:9000] [a.test x.test y.test]" {
		t.Errorf("addresses and hosts %s", got)
	}
}

// TestSlowClients: each phase has its time, and what is not honest is cut.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	for _, row := range []struct {
		name   string
		sent   []string // with 150 ms between them
		status int      // 0: closed without a word
		within time.Duration
	}{
		{"silence", nil, 0, 2 * time.Second},
		{"slowloris", []string{"GET / HTTP/1.1\r\nHost: gw.test", "\r\nX-A: b", "\r\nX-B: c", "\r\nX-C: d", "\r\nX-D: d", "\r\nX-E: d"}, 408, 2 * time.Second},
		{"slow body", []string{request(post, hostH, "Content-Length: 100"), "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"}, 408, 3500 * time.Millisecond},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", g.PublicAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			begun := time.Now()
			go func() {
				for _, s := range row.sent {
					if _, err := io.WriteString(c, s); err != nil {
						return
					}
					time.Sleep(150 * time.Millisecond)
				}
			}()
			replies, closed := readReplies(t, c, time.Second)
			if took := time.Since(begun); !closed || took > row.within {
				t.Errorf("closed %v after %v", closed, took)
			}
			if row.status == 0 && len(replies) != 0 || row.status != 0 && (len(replies) != 1 || replies[0].StatusCode != row.status) {
				t.Errorf("replies %+v", replies)
			}
		})
	}
}

// TestSlowSecondHead: the time of a head counts on a kept connection too.
func TestSlowSecondHead(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	c, err := net.Dial("tcp", g.PublicAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, request(get, hostH)+"GET / HT")
	begun := time.Now()
	replies, closed := readReplies(t, c, 3*time.Second)
	if len(replies) != 2 || replies[1].StatusCode != 408 || !closed || time.Since(begun) > 2*time.Second {
		t.Errorf("%d replies, closed %v, %v", len(replies), closed, time.Since(begun))
	}
}

// TestSlowReader: a client that does not take its reply is given up.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.caller.answer = func(*egress.Call) *egress.Answer {
		return &egress.Answer{Status: 200, Header: http.Header{}, Body: make([]byte, 16<<20)}
	}
	c, err := net.Dial("tcp", g.PublicAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(*net.TCPConn).SetReadBuffer(4096)
	io.WriteString(c, request(get, hostH))
	deadline := time.Now().Add(4 * time.Second)
	for g.Stats().Connections > 0 || g.caller.count() == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the connection is still held")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestClientGone: a client that goes away cancels its call.
func TestClientGone(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	canceled, called := make(chan struct{}), make(chan struct{})
	g.caller.answer = nil
	waiting := &waitingCaller{called: called, canceled: canceled}
	next := g.world
	next.Caller = waiting
	swap(t, g, next, true)
	c, err := net.Dial("tcp", g.PublicAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, request(get, hostH))
	<-called
	c.Close()
	select {
	case <-canceled:
	case <-time.After(3 * time.Second):
		t.Error("the call's context was not canceled")
	}
}

// waitingCaller waits for the end of its context.
type waitingCaller struct{ called, canceled chan struct{} }

func (w *waitingCaller) Call(ctx context.Context, _ *egress.Call) *egress.Answer {
	close(w.called)
	select {
	case <-ctx.Done():
		close(w.canceled)
	case <-time.After(8 * time.Second):
	}
	return &egress.Answer{Problem: problem.New(problem.Internal, "x")}
}

// TestConnectionBounds: a prefix cannot take all places, a named proxy is exempt.
func TestConnectionBounds(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		limits Limits
		behind Behind
		want   int
	}{
		{"per prefix", Limits{PerPrefix: 3, Connections: 100}, Behind{}, 3},
		{"per server", Limits{PerPrefix: 100, Connections: 4}, Behind{}, 4},
		{"proxy", Limits{PerPrefix: 3, Connections: 6}, Behind{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Header: "X-Real-IP"}, 6},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := startGate(t, func(c *Config, _ *World) {
				c.Limits.PerPrefix, c.Limits.Connections, c.Behind = row.limits.PerPrefix, row.limits.Connections, row.behind
				c.Limits.HeaderTime = 10 * time.Second
			})
			for range row.want + 2 {
				c, err := net.Dial("tcp", g.PublicAddr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
			deadline := time.Now().Add(3 * time.Second)
			for g.Stats().TurnedAway < 2 && time.Now().Before(deadline) {
				time.Sleep(5 * time.Millisecond)
			}
			if s := g.Stats(); s.TurnedAway != 2 || s.Connections != row.want {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestDrain: requests in flight end well, new ones are not taken, and what is over the
// deadline is counted.
func TestDrain(t *testing.T) {
	t.Parallel()
	g := startGate(t, func(c *Config, _ *World) { c.Limits.Drain = 600 * time.Millisecond })
	release := make(chan struct{})
	entered := make(chan struct{}, 2)
	g.caller.answer = func(c *egress.Call) *egress.Answer {
		entered <- struct{}{}
		if c.Path == "/slow" {
			<-release
		} else {
			time.Sleep(300 * time.Millisecond)
		}
		return &egress.Answer{Status: 200, Header: http.Header{}, Body: []byte("ok")}
	}
	open := func(path string) net.Conn {
		c, err := net.Dial("tcp", g.PublicAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, request("GET /api/payments"+path+" HTTP/1.1", hostH))
		return c
	}
	quick, slow := open("/quick"), open("/slow")
	defer quick.Close()
	defer slow.Close()
	<-entered
	<-entered
	time.AfterFunc(1200*time.Millisecond, func() { close(release) })
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if replies, closed := readReplies(t, quick, time.Second); len(replies) != 1 || replies[0].StatusCode != 200 || !closed {
		t.Errorf("in flight: %v closed %v", replies, closed)
	}
	if s := g.Stats(); s.Overdue != 1 {
		t.Errorf("%+v", s)
	}
	if c, err := net.DialTimeout("tcp", g.PublicAddr().String(), time.Second); err == nil {
		c.Close()
		t.Error("still accepting")
	}
}

// TestOwnPortUnderTheSitesName: the site's own names reach its connection's port, other
// names do not.
func TestOwnPortUnderTheSitesName(t *testing.T) {
	t.Parallel()
	sites := testSites(t)
	sites[0].Connections["payments"].ServedAt = []string{"127.0.0.1:9001"}
	s, err := NewSnapshot(World{Sites: sites, Caller: &fakeCaller{}, Sessions: &fakeSessions{}, Script: func(string) []byte { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	info := &connInfo{listener: &listener{role: roleOwn, address: "127.0.0.1:9001"}, local: netip.MustParseAddr("127.0.0.1")}
	for host, ok := range map[string]bool{
		"gw.test:9001": true, "127.0.0.1:9001": true, "localhost": true, "GW.test": true,
		"evil.test": false, "maps.gw.test": false, "10.0.0.1": false, "": false,
	} {
		r, p := s.find(info, host, "/session")
		if (p == nil) != ok || ok && (r.end != endCall || r.name != "payments" || r.path != "/session") {
			t.Errorf("%q: %+v %v", host, r, p)
		}
	}
}
