package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/test/servers"
)

const sharedFile = `version: 1
listen: {public: "127.0.0.1:0", tls: off}
shared_state: {url: "%s", password: "file:redis-password"}
sites:
  shop:
    origins: [https://shop.example]
    connections:
      polls:
        provider: zigpoll
        mode: mock
        browser:
          list-accounts: {returns: ["body[].title"], limit: 7 per hour per prefix}
`

// sharedNode runs a gate that counts in a Redis; all that are given one root share its counts.
func sharedNode(t *testing.T, redis *servers.Redis, root []byte, file string) *Gate {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"sallyport.yaml": fmt.Sprintf(file, redis.URL()), "redis-password": redis.Password, "data/root.key": string(root)} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g, err := Open(t.Context(), Options{Path: filepath.Join(dir, "sallyport.yaml"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = g.Run(ctx, nil) })
	t.Cleanup(func() {
		cancel()
		work.Wait()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// visit starts a visit at a gate and gives its token.
func visit(t *testing.T, g *Gate) string {
	t.Helper()
	status, body := request(t, g, "POST", "/shop/session", "")
	var answer struct{ Token string }
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
		t.Fatalf("POST session: %d %s", status, body)
	}
	return answer.Token
}

func request(t *testing.T, g *Gate, method, path, token string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+g.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://shop.example")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body
}

// TestNodesShareLimits: callers of two gates are held to one count, and when Redis goes away
// both go on, tell so, and share again afterwards.
func TestNodesShareLimits(t *testing.T) {
	redis := servers.StartRedis(t)
	root := []byte(strings.Repeat("r", 32))
	gates := []*Gate{sharedNode(t, redis, root, sharedFile), sharedNode(t, redis, root, sharedFile)}
	tokens := []string{visit(t, gates[0]), visit(t, gates[1])}
	call := func(i int) int {
		status, body := request(t, gates[i], "GET", "/shop/api/polls/accounts", tokens[i])
		if status == http.StatusTooManyRequests && !strings.Contains(string(body), "rate_limited") {
			t.Errorf("%d %s", status, body)
		}
		return status
	}
	var passed, refused atomic.Int64
	var work sync.WaitGroup
	for i := range 24 {
		work.Go(func() {
			switch status := call(i % 2); status {
			case http.StatusTooManyRequests:
				refused.Add(1)
			default:
				passed.Add(1)
			}
		})
	}
	work.Wait()
	if passed.Load() != 7 || refused.Load() != 17 {
		t.Errorf("%d passed and %d were refused on both nodes together; the limit is 7", passed.Load(), refused.Load())
	}
	ready := func() string { _, body := request(t, gates[0], "GET", "/readyz", ""); return string(body) }
	if r := ready(); r != `{"status":"ready"}` {
		t.Errorf("readyz %s", r)
	}
	redis.Stop()
	waitFor(t, "it is noticed", func() bool { call(0); return strings.Contains(ready(), `"degraded":["shared_state"]`) })
	if status, body := request(t, gates[0], "GET", "/readyz", ""); status != http.StatusOK {
		t.Errorf("readyz %d %s; a node that counts alone still serves", status, body)
	}
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it is back", func() bool { return !strings.Contains(ready(), "degraded") })
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}

// TestAStartRefusesWhatWaitingWillNotMend: a wrong password is an error that names the way out.
func TestAStartRefusesWhatWaitingWillNotMend(t *testing.T) {
	redis := servers.SharedRedis(t)
	dir := t.TempDir()
	for name, content := range map[string]string{"sallyport.yaml": fmt.Sprintf(sharedFile, redis.URL()), "redis-password": "CANARY-wrong"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Open(t.Context(), Options{Path: filepath.Join(dir, "sallyport.yaml"), Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "refuses the user or the password") || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("%v", err)
	}
}
