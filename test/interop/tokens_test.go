package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/oauth"
	"sallyport/internal/outbound"
	"sallyport/internal/secret"
	"sallyport/internal/secret/seal"
	"sallyport/internal/store/postgres"
	"sallyport/test/harness"
	"sallyport/test/servers"
)

// tokenNode is what a process of TestTokensOverProcesses is told.
type tokenNode struct {
	Port                          int
	Database, Password, URL, Name string
	CA                            []byte
}

// nodeVariable makes this test binary such a process.
const nodeVariable = "SALLYPORT_TEST_TOKEN_NODE"

// TestTokenNode is the process itself: a keeper on the database. It reads "go N HOURS" and makes
// N calls at once, so many hours from now, and prints the tokens that they would carry.
func TestTokenNode(t *testing.T) {
	told := os.Getenv(nodeVariable)
	if told == "" {
		return // only TestTokensOverProcesses starts it
	}
	var n tokenNode
	if err := json.Unmarshal([]byte(told), &n); err != nil {
		t.Fatal(err)
	}
	c, ahead := n.credential(t)
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var calls, hours int
		if _, err := fmt.Sscanf(in.Text(), "go %d %d", &calls, &hours); err != nil {
			t.Fatal(err)
		}
		ahead.Store(int64(hours))
		fmt.Println("done " + carried(t.Context(), c, calls))
	}
}

// credential is a keeper's on a database and a clock that can be put forward by hours.
func (n tokenNode) credential(t *testing.T) (outbound.Credential, *atomic.Int64) {
	t.Helper()
	infrastructure := outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyInfrastructure})
	store, err := postgres.Open(t.Context(), postgres.Options{Host: "127.0.0.1", Port: n.Port, Database: n.Database, User: "sallyport",
		Password: secret.NewValue([]byte(n.Password)), Dial: infrastructure.DialContext, Role: postgres.Serve, Shares: true, Name: n.Name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	root, err := seal.NewRoot(secret.NewValue(bytes.Repeat([]byte{5}, seal.RootSize)))
	if err != nil {
		t.Fatal(err)
	}
	ahead := new(atomic.Int64)
	keeper := oauth.NewKeeper(oauth.Options{Store: store, Sealer: siteKeys{seal.NewKeyring(root, store)}, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load()) * time.Hour) }})
	t.Cleanup(func() { _ = keeper.Close() })
	c, err := keeper.Credential(oauth.Key{Site: "shop", Connection: "payments", Name: "client-credentials"}, n.source(t), oauth.Bearer(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, ahead
}

func (n tokenNode) source(t *testing.T) oauth.Source {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(n.CA) {
		t.Fatal("no certificate")
	}
	host, err := outbound.NewHost(outbound.HostConfig{URL: n.URL, Dialer: outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyProvider}), Roots: roots, Private: true,
		Timeouts: oauth.EndpointTimeouts(), Limits: oauth.EndpointLimits(), Retry: oauth.EndpointRetry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	fixed := func(s string) oauth.Text {
		return oauth.Text{Template: "{field}", Fields: map[string]outbound.Field{"field": {Read: func(context.Context) (secret.Value, error) { return secret.NewValue([]byte(s)), nil }}}}
	}
	s, err := oauth.NewClientCredentials(oauth.Client{Host: host, Path: "/token", URL: n.URL + "/token", ID: fixed("shop-client"), Secret: fixed("shop-client-secret")}, "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// siteKeys seals with the data key of a site, as the gate does.
type siteKeys struct{ ring *seal.Keyring }

func (s siteKeys) Seal(ctx context.Context, site, purpose string, b []byte) ([]byte, error) {
	k, err := s.ring.DataKey(ctx, site)
	if err != nil {
		return nil, err
	}
	return k.Seal(b, purpose)
}

func (s siteKeys) Open(ctx context.Context, site, purpose string, b []byte) ([]byte, error) {
	k, err := s.ring.DataKey(ctx, site)
	if err != nil {
		return nil, err
	}
	return k.Open(b, purpose)
}

// carried makes calls at once and tells which tokens went out with them.
func carried(ctx context.Context, c outbound.Credential, calls int) string {
	var mu sync.Mutex
	var out []string
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			r := &outbound.Request{Header: http.Header{}}
			word := "failed"
			if _, err := c.Apply(ctx, r); err == nil {
				word = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			} else {
				fmt.Fprintln(os.Stderr, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if !slices.Contains(out, word) {
				out = append(out, word)
			}
		})
	}
	wg.Wait()
	return strings.Join(out, ",")
}

// process is a running tokenNode.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
}

func (n tokenNode) start(t *testing.T) *process {
	t.Helper()
	told, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(os.Args[0], "-test.run=^TestTokenNode$", "-test.count=1"), lines: make(chan string, 8)}
	p.cmd.Env = append(os.Environ(), nodeVariable+"="+string(told))
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	if got := p.line(t); got != "ready" {
		t.Fatalf("a node begins with %q", got)
	}
	return p
}

func (p *process) line(t *testing.T) string {
	t.Helper()
	select {
	case s := <-p.lines:
		return s
	case <-time.After(time.Minute):
		t.Fatal("a node says nothing")
		return ""
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// TestTokensOverProcesses: two processes on one PostgreSQL make 500 calls when the token has
// ended. The provider is asked for exactly one token, and for at most one more where a process
// is killed at any moment of it; the other one's calls all go out.
func TestTokensOverProcesses(t *testing.T) {
	p := servers.SharedPostgres(t)
	var asked atomic.Int64
	up := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := asked.Add(1)
		time.Sleep(20 * time.Millisecond)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"token-number-%d","token_type":"Bearer","expires_in":3600}`, n)
	}))
	n := tokenNode{Port: p.Port, Database: p.Database(t), Password: p.Password, URL: up.URL, CA: up.CA, Name: "tokens"}
	nodes := []*process{n.start(t), n.start(t)}
	hours := 0
	expire := func() {
		hours += 2
		for _, node := range nodes {
			_, _ = fmt.Fprintf(node.in, "go 250 %d\n", hours)
		}
	}
	for round := range 5 {
		before := asked.Load()
		expire()
		a, b := nodes[0].line(t), nodes[1].line(t)
		if got := asked.Load() - before; got != 1 || a != b || a != fmt.Sprintf("done token-number-%d", asked.Load()) {
			t.Fatalf("round %d: asked %d times; calls went out with %q and %q", round, got, a, b)
		}
	}
	kills := 4
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		kills = 200
	}
	extra := 0
	for range kills {
		before := asked.Load()
		expire()
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
		victim := rand.IntN(2)
		nodes[victim].kill()
		if got := nodes[1-victim].line(t); !strings.HasPrefix(got, "done token-number-") || strings.ContainsAny(got, ",") {
			t.Fatalf("the node that lived: %q", got)
		}
		got := asked.Load() - before
		if got < 1 || got > 2 {
			t.Fatalf("with one kill the provider was asked %d times", got)
		}
		extra += int(got) - 1
		nodes[victim] = n.start(t)
	}
	t.Logf("%d kills cost %d further tokens", kills, extra)
}
