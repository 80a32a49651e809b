package redis

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/ratelimit"
	"sallyport/internal/secret"
	"sallyport/test/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Ending(m)) }

// opening says how a test's Server is made.
type opening struct {
	server   *servers.Redis
	key      []byte
	password string
	change   func(*Options)
	log      io.Writer
}

func (o opening) options() Options {
	if o.password == "" {
		o.password = o.server.Password
	}
	if o.log == nil {
		o.log = io.Discard
	}
	out := Options{Address: o.server.Addr, Key: o.key, Dial: (&net.Dialer{}).DialContext,
		// Generous: other tests run on this machine at the same time.
		Timeout: 2 * time.Second, Log: slog.New(slog.NewTextHandler(o.log, nil)),
		Password: func(context.Context) (secret.Value, error) { return secret.NewValue([]byte(o.password)), nil }}
	if o.change != nil {
		o.change(&out)
	}
	return out
}

// open opens a Server that is watched until the test ends.
func (o opening) open(t testing.TB) *Server {
	t.Helper()
	s, err := Open(t.Context(), o.options())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		work.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newKey is a key of the test's own, so that tests share a Redis without meeting.
func newKey(t testing.TB) []byte {
	key := make([]byte, KeySize)
	copy(key, t.Name()+strings.Repeat(".", KeySize))
	copy(key[KeySize-8:], time.Now().Format("05.00000"))
	return key
}

func (s *Server) limiter(nodes int) *Limiter {
	return s.Limiter(ratelimit.New(1<<10), func() int { return nodes })
}

// logBuffer is written by the server's goroutines and read by the test.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// eventually waits until ok, at most 10 s.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}
