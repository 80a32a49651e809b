package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/ratelimit"
	"sallyport/internal/secret"
	"sallyport/test/servers"
)

// TestAwayAndBack takes Redis away in each way that happens, and holds the limiter to what
// docs/adr/0010 says: each node goes on with its share, nobody waits, one alert is told, and
// the shared count goes on when Redis is back.
func TestAwayAndBack(t *testing.T) {
	for name, test := range map[string]struct {
		away, back func(t *testing.T, r *servers.Redis)
		forgets    bool
	}{
		"stopped": {forgets: true, away: func(_ *testing.T, r *servers.Redis) { r.Stop() }, back: start},
		"hangs":   {away: func(_ *testing.T, r *servers.Redis) { r.Pause() }, back: func(_ *testing.T, r *servers.Redis) { r.Resume() }},
		"full": {away: func(t *testing.T, r *servers.Redis) { command(t, r, "CONFIG", "SET", "maxmemory", "1") },
			back: func(t *testing.T, r *servers.Redis) { command(t, r, "CONFIG", "SET", "maxmemory", "0") }},
		"made a replica": {away: func(t *testing.T, r *servers.Redis) { command(t, r, "REPLICAOF", "127.0.0.1", "1") },
			back: func(t *testing.T, r *servers.Redis) { command(t, r, "REPLICAOF", "NO", "ONE") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := servers.StartRedis(t)
			log := &logBuffer{}
			o := opening{server: server, key: newKey(t), log: log, change: func(o *Options) { o.Timeout = 200 * time.Millisecond }}
			node := o.open(t)
			l := node.limiter(2)
			c := l.Check(ratelimit.AtOperation, ratelimit.Rule{Calls: 10, Window: time.Hour, Per: ratelimit.PerSession}, &ratelimit.Subject{Session: "x"})
			for range 3 {
				take(t, l, c)
			}
			test.away(t, server)
			eventually(t, "it is noticed", func() bool {
				took := time.Now()
				take(t, l, c)
				if d := time.Since(took); d > 2*time.Second {
					t.Errorf("a call waited %s for a Redis that is away", d)
				}
				since, err := node.Away()
				return err != nil && errors.Is(err, ErrAway) && !since.IsZero()
			})
			passed := 0
			began := time.Now()
			for range 100 {
				if d := take(t, l, c); d.Allowed {
					passed++
				} else if d.Rule.Calls != 10 || d.Limit > 5 || d.RetryAfter <= 0 {
					t.Fatalf("%+v: the refusal names the rule of the file", d)
				}
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("100 calls took %s while Redis was away: they wait for it", took)
			}
			if passed > 5 {
				t.Errorf("%d calls passed while Redis was away; this node's share of 10 is 5", passed)
			}
			_, err := node.Once(time.Now).Use(t.Context(), [32]byte{1}, time.Now().Add(time.Minute))
			if p := problem.From(err); err == nil || p.Code != problem.StoreUnavailable || p.RetryAfter <= 0 {
				t.Errorf("what may be used once was not refused: %v", err)
			}
			if n := strings.Count(log.String(), "msg=alert"); n != 1 {
				t.Errorf("%d alerts, want 1:\n%s", n, log)
			}
			test.back(t, server)
			eventually(t, "it is back", func() bool { _, err := node.Away(); return err == nil })
			if !strings.Contains(log.String(), "redis answers again") {
				t.Errorf("nobody is told that it is back:\n%s", log)
			}
			want := 6 // 3 were counted before, one more now
			if test.forgets {
				want = 9
			}
			if d := take(t, l, c); !d.Allowed || d.Remaining < want-2 || d.Remaining > want {
				t.Errorf("after it came back: %+v; want %d left or one or two less", d, want)
			}
		})
	}
}

func start(t *testing.T, r *servers.Redis) {
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
}

// command runs a command on a server by a connection of its own.
func command(t testing.TB, r *servers.Redis, args ...any) string {
	t.Helper()
	s, err := Open(t.Context(), opening{server: r, key: newKey(t)}.options())
	if err != nil && !strings.Contains(err.Error(), "READONLY") {
		t.Fatal(err)
	}
	if s == nil { // it takes no writes, and is told to
		o := opening{server: r, key: newKey(t)}.options()
		s = &Server{client: newClient(o), o: o}
	}
	defer s.Close()
	out, err := s.client.Do(t.Context(), args...).Result()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(out)
}

func take(t testing.TB, l *Limiter, c ratelimit.Check) ratelimit.Decision {
	t.Helper()
	d, err := l.AllowAll(t.Context(), time.Now(), []ratelimit.Check{c})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFlushedScriptsAndCountsAreMadeAgain(t *testing.T) {
	server := servers.StartRedis(t)
	node := opening{server: server, key: newKey(t)}.open(t)
	l := node.limiter(1)
	c := l.Check(ratelimit.AtOperation, ratelimit.Rule{Calls: 3, Window: time.Hour, Per: ratelimit.PerSession}, &ratelimit.Subject{Session: "x"})
	for _, forget := range [][]any{{"SCRIPT", "FLUSH"}, {"FLUSHALL"}} {
		take(t, l, c)
		command(t, server, forget...)
		if d := take(t, l, c); !d.Allowed {
			t.Errorf("after %v: %+v", forget, d)
		}
		if _, err := node.Away(); err != nil {
			t.Errorf("after %v: %v", forget, err)
		}
	}
}

func TestAStartTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	server := servers.StartRedis(t)
	replica := servers.StartRedis(t, "--replicaof", "127.0.0.1", "1", "--masterauth", "x")
	http := answering(t, "HTTP/1.1 400 Bad Request\r\n\r\n")
	for name, test := range map[string]struct {
		server *servers.Redis
		change func(*Options)
		want   string
	}{
		"wrong password": {server, func(o *Options) {
			o.Password = func(context.Context) (secret.Value, error) { return secret.NewValue([]byte("WRONG-CANARY")), nil }
		}, "refuses the user or the password"},
		"no password":   {server, func(o *Options) { o.Password = nil }, "asks for a password"},
		"unknown user":  {server, func(o *Options) { o.User = "nobody" }, "refuses the user or the password"},
		"replica":       {replica, nil, "replica"},
		"no such base":  {server, func(o *Options) { o.Database = 99 }, "no database"},
		"not Redis":     {server, func(o *Options) { o.Address = http }, "not Redis"},
		"no address":    {server, func(o *Options) { o.Address = "" }, "address"},
		"key too short": {server, func(o *Options) { o.Key = []byte("short") }, "32 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), opening{server: test.server, key: newKey(t), change: test.change}.options())
			if err == nil {
				_ = s.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%v; want it to say %q, and never the password", err, test.want)
			}
		})
	}
}

// answering is a server that says one thing to whoever connects.
func answering(t testing.TB, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(text))
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); work.Wait() })
	return l.Addr().String()
}

// TestAStartWithoutRedisBeginsAlone: an outage of Redis keeps no node from starting.
func TestAStartWithoutRedisBeginsAlone(t *testing.T) {
	t.Parallel()
	server := servers.StartRedis(t)
	server.Stop()
	log := &logBuffer{}
	node := opening{server: server, key: newKey(t), log: log}.open(t)
	if _, err := node.Away(); err == nil || !strings.Contains(log.String(), "msg=alert") {
		t.Fatalf("%v, log: %s", err, log)
	}
	start(t, server)
	eventually(t, "it is found", func() bool { _, err := node.Away(); return err == nil })
}

func TestEvictionIsWarnedOf(t *testing.T) {
	t.Parallel()
	server := servers.StartRedis(t, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
	log := &logBuffer{}
	node := opening{server: server, key: newKey(t), log: log}.open(t)
	if doubts := node.Doubts(t.Context()); len(doubts) != 1 || !strings.Contains(doubts[0], "allkeys-lru") || !strings.Contains(log.String(), "noeviction") {
		t.Errorf("doubts %q, log %s", doubts, log)
	}
	careful := opening{server: servers.SharedRedis(t), key: newKey(t)}.open(t)
	if doubts := careful.Doubts(t.Context()); len(doubts) != 0 {
		t.Errorf("of Redis as Debian ships it: %q", doubts)
	}
}

// TestACallerThatLeavesSaysNothingOfRedis: else strangers who hang up could turn sharing off.
func TestACallerThatLeavesSaysNothingOfRedis(t *testing.T) {
	node := opening{server: servers.SharedRedis(t), key: newKey(t)}.open(t)
	l := node.limiter(1)
	c := l.Check(ratelimit.AtOperation, ratelimit.Rule{Calls: 1000, Window: time.Hour, Per: ratelimit.PerSession}, &ratelimit.Subject{Session: "x"})
	take(t, l, c)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if d, err := l.AllowAll(gone, time.Now(), []ratelimit.Check{c}); err == nil || d.Allowed {
			t.Fatalf("%+v, %v: a call of a caller that left was counted", d, err)
		}
	}
	if _, err := node.Away(); err != nil {
		t.Error(err)
	}
	if d := take(t, l, c); d.Remaining < 970 {
		t.Errorf("%+v", d)
	}
}

// TestHangingRedisCostsLittle: of many calls that arrive while Redis hangs, none waits
// longer than one question may take, and those after it was noticed wait not at all.
func TestHangingRedisCostsLittle(t *testing.T) {
	t.Parallel()
	server := servers.StartRedis(t)
	node := opening{server: server, key: newKey(t), change: func(o *Options) { o.Timeout = 0 }}.open(t)
	l := node.limiter(1)
	c := l.Check(ratelimit.AtOperation, ratelimit.Rule{Calls: 1_000_000, Window: time.Hour, Per: ratelimit.PerSession}, &ratelimit.Subject{Session: "x"})
	take(t, l, c)
	server.Pause()
	defer server.Resume()
	var longest atomic.Int64
	var work sync.WaitGroup
	for range 200 {
		work.Go(func() {
			began := time.Now()
			take(t, l, c)
			for d := int64(time.Since(began)); ; {
				if old := longest.Load(); d <= old || longest.CompareAndSwap(old, d) {
					return
				}
			}
		})
	}
	work.Wait()
	if d := time.Duration(longest.Load()); d > time.Second {
		t.Errorf("a call waited %s; one question may take %s", d, DefaultTimeout)
	}
	if _, err := node.Away(); err == nil {
		t.Error("it is not noticed")
	}
}
