package ingress

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

func TestMain(m *testing.M) {
	// Pebble reads its settings from the environment: no pauses, 15 % of good nonces
	// rejected, no authorization used twice.
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "15", "PEBBLE_AUTHZREUSE": "0"} {
		os.Setenv(name, value)
	}
	goleak.VerifyTestMain(m,
		// certmagic's lock files are watched by a sleeper that ends within 5 seconds.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
		goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"),
	)
}

// fakeCaller stands for the pipeline. Like it, it reads the body before it does anything
// that a provider would notice; only then is a call performed.
type fakeCaller struct {
	mu        sync.Mutex
	seen      []*egress.Call
	bodies    []string
	answer    func(*egress.Call) *egress.Answer
	performed int
}

func (f *fakeCaller) Call(ctx context.Context, c *egress.Call) *egress.Answer {
	f.mu.Lock()
	f.seen = append(f.seen, c)
	answer := f.answer
	f.mu.Unlock()
	body, err := c.ReadBody(1 << 20)
	if err != nil {
		return &egress.Answer{Problem: problem.From(err)}
	}
	f.mu.Lock()
	f.performed++
	f.bodies = append(f.bodies, string(body))
	f.mu.Unlock()
	if answer != nil {
		return answer(c)
	}
	return &egress.Answer{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"ok":true}`)}
}

func (f *fakeCaller) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.performed
}

func (f *fakeCaller) last() *egress.Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.seen) == 0 {
		return nil
	}
	return f.seen[len(f.seen)-1]
}

// fakeSessions mints tokens that say what they are for.
type fakeSessions struct {
	mu      sync.Mutex
	minted  []string
	revoked []string
	err     error
}

func (f *fakeSessions) Mint(_ context.Context, s string, o site.Origin, c netip.Addr) (string, time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return "", time.Time{}, f.err
	}
	token := s + "|" + string(o) + "|" + c.String()
	f.minted = append(f.minted, token)
	return token, time.Now().Add(15*time.Minute + 500*time.Millisecond), nil
}

func (f *fakeSessions) Revoke(_ context.Context, s string, o site.Origin, token string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if token != "good" {
		return problem.New(problem.Unauthenticated, "the token is not valid")
	}
	f.revoked = append(f.revoked, token)
	return nil
}

func (f *fakeSessions) Renew(_ context.Context, r VisitRequest) (string, time.Time, error) {
	if r.Token != "good" {
		return "", time.Time{}, problem.New(problem.Unauthenticated, "the token is not valid")
	}
	return "renewed", time.Now().Add(time.Minute + 500*time.Millisecond), nil
}

func (f *fakeSessions) Describe(_ context.Context, r VisitRequest) (Visit, error) {
	if r.Token != "good" {
		return Visit{}, problem.New(problem.Unauthenticated, "the token is not valid")
	}
	return Visit{ID: "visit-1", Vouched: "nobody", Expires: time.Now().Add(time.Minute + 500*time.Millisecond), Challenge: map[string]string{"salt": "s"}}, nil
}

func (f *fakeSessions) Raise(_ context.Context, r VisitRequest, e Evidence) (string, time.Time, error) {
	if r.Token != "good" {
		return "", time.Time{}, problem.New(problem.Unauthenticated, "the token is not valid")
	}
	if e.Proof != "work good" && e.Voucher != "good" {
		p := problem.New(problem.ChallengeRefused, "no")
		p.Extra = map[string]any{"challenge": "again"}
		return "", time.Time{}, p
	}
	return "raised", time.Now().Add(time.Minute + 500*time.Millisecond), nil
}

func (f *fakeSessions) KeySet() []byte { return []byte(`{"keys":[]}`) }

// gate is a running server with its fakes.
type gate struct {
	*Server
	t        testing.TB
	caller   *fakeCaller
	sessions *fakeSessions
	receipts *fakeReceipts
	world    World
	log      *bytes.Buffer
	stop     func() error
}

// lockedBuffer may be written by many.
type lockedBuffer struct {
	mu sync.Mutex
	b  *bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func testSites(t testing.TB) []*site.Site {
	t.Helper()
	preview, err := site.ParsePreview("https://preview-*--shop.example")
	if err != nil {
		t.Fatal(err)
	}
	conn := func(s, name string, mode provider.Mode, at ...string) *site.Connection {
		return &site.Connection{Site: s, Name: name, Provider: "stripe", Mode: mode, ServedAt: at}
	}
	return []*site.Site{
		{
			Name: "shop", ServedAt: []string{"gw.test"}, Origins: []site.Origin{"https://example.com"},
			PreviewOrigins: []site.Preview{preview},
			Connections: map[string]*site.Connection{
				"payments": conn("shop", "payments", provider.Live),
				"maps":     conn("shop", "maps", provider.Sandbox, "maps.gw.test"),
			},
		},
		{
			Name: "club", Origins: []site.Origin{"https://club.example"},
			Connections: map[string]*site.Connection{"sms": conn("club", "sms", provider.Mock)},
		},
	}
}

// startGate runs a plain HTTP gate on loopback; change adjusts its configuration.
func startGate(t testing.TB, change ...func(*Config, *World)) *gate {
	t.Helper()
	g := &gate{t: t, caller: &fakeCaller{}, sessions: &fakeSessions{}, receipts: &fakeReceipts{}, log: &bytes.Buffer{}}
	g.world = World{
		Sites: testSites(t), Caller: g.caller, Sessions: g.sessions, Receipts: g.receipts,
		Script: func(name string) []byte { return []byte("export const site = '" + name + "'\n") },
	}
	c := Config{
		Public: "127.0.0.1:0", TLS: TLS{Off: true},
		Log: slog.New(slog.NewJSONHandler(&lockedBuffer{b: g.log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Limits: Limits{
			HeaderTime: 400 * time.Millisecond, BodyIdle: 400 * time.Millisecond, ReadTotal: 2 * time.Second,
			Idle: 3 * time.Second, Handshake: 2 * time.Second, Drain: 3 * time.Second, WriteIdle: time.Second, Reply: 5 * time.Second,
		},
	}
	for _, f := range change {
		f(&c, &g.world)
	}
	first, err := NewSnapshot(g.world)
	if err != nil {
		t.Fatal(err)
	}
	if g.Server, err = Open(c, first); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	var once sync.Once
	var result error
	g.stop = func() error {
		once.Do(func() {
			cancel()
			select {
			case result = <-ended:
			case <-time.After(20 * time.Second):
				result = errors.New("the server did not stop")
			}
		})
		return result
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			text := g.log.String()
			t.Logf("log: %s", text[:min(len(text), 4000)])
		}
	})
	return g
}

// raw sends bytes and reads until the server closes or is silent. closed tells which.
func (g *gate) raw(sent string) (replies []*reply, closed bool) {
	g.t.Helper()
	c, err := net.Dial("tcp", g.PublicAddr().String())
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	return exchangeRaw(g.t, c, sent)
}

// reply is one answer as read from the wire.
type reply struct {
	*http.Response
	body string
}

func exchangeRaw(t testing.TB, c net.Conn, sent string) (replies []*reply, closed bool) {
	t.Helper()
	if _, err := io.WriteString(c, sent); err != nil {
		t.Logf("write: %v", err) // the server may close first; the reply still counts
	}
	return readRepliesTo(t, c, sent, 400*time.Millisecond)
}

// readReplies reads every reply that comes before the server closes or has been silent
// for quiet; the first may take longer.
func readReplies(t testing.TB, c net.Conn, quiet time.Duration) (replies []*reply, closed bool) {
	t.Helper()
	return readRepliesTo(t, c, "", quiet)
}

// readRepliesTo is readReplies for a request that may be a HEAD.
func readRepliesTo(t testing.TB, c net.Conn, sent string, quiet time.Duration) (replies []*reply, closed bool) {
	t.Helper()
	r := bufio.NewReader(c)
	var asked *http.Request
	if strings.HasPrefix(sent, "HEAD ") {
		asked = &http.Request{Method: "HEAD"}
	}
	for wait := 5 * time.Second; ; wait = quiet {
		c.SetReadDeadline(time.Now().Add(wait))
		if _, err := r.Peek(1); err != nil {
			var n net.Error
			return replies, !(errors.As(err, &n) && n.Timeout())
		}
		resp, err := http.ReadResponse(r, asked)
		if err != nil {
			t.Fatalf("the server wrote something that is not a reply: %v", err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("read reply: %v", err)
		}
		replies = append(replies, &reply{resp, string(body)})
	}
}

// request is a head with Host and an empty line, each line ended rightly.
func request(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }
