package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	backend "sallyport/backend/go"
	"sallyport/test/harness"
	"sallyport/test/servers"
)

// nodesConfig is a shop that several nodes serve from one PostgreSQL and one Redis.
const nodesConfig = `version: 1
listen:
  public: "127.0.0.1:0"
  tls: off
store: {url: "DATABASE", password: env:TEST_DB_PASSWORD}
shared_state: {url: "REDIS", password: env:TEST_REDIS_PASSWORD}
sites:
  shop:
    origins: [https://shop.example]
    connections:
      payments:
        provider: stripe
        mode: sandbox
        credentials: {secret_key: env:TEST_STRIPE_KEY}
        upstream: {url: "UPSTREAM", ca: ./ca.pem, private: true}
        backend: all
        browser:
          create-payment-intent: {fixed: {currency: eur}, sealed: [amount], returns: [id]}
      texts:
        provider: twilio
        mode: sandbox
        credentials: {account_sid: AC00000000000000000000000000000001, auth_token: env:TEST_TWILIO_TOKEN}
        upstream: {url: "UPSTREAM", ca: ./ca.pem, private: true}
        backend: all
      maps:
        provider: google-maps
        mode: mock
        backend: all
        browser: {geocode: {free: [address], returns: [status]}}
      counted:
        provider: google-maps
        mode: mock
        backend: all
        budget: {day: 110 calls}
`

// cluster is what nodes share.
type cluster struct {
	t        *testing.T
	config   string
	postgres *servers.Postgres
	upstream *harness.Upstream
	root     []byte
	env      []string
}

// newCluster makes a database on p, and an upstream that answers with h.
func newCluster(t *testing.T, p *servers.Postgres, h http.HandlerFunc) *cluster {
	t.Helper()
	r := servers.SharedRedis(t)
	c := &cluster{t: t, postgres: p, upstream: harness.Serve(t, h), root: make([]byte, 32), env: []string{"TEST_STRIPE_KEY=" + liveKey,
		"TEST_TWILIO_TOKEN=" + strings.Repeat("0123456789abcdef", 2), "TEST_DB_PASSWORD=" + p.Password, "TEST_REDIS_PASSWORD=" + r.Password}}
	if _, err := rand.Read(c.root); err != nil {
		t.Fatal(err)
	}
	c.config = strings.NewReplacer("{url: \"DATABASE\"", "{url: \""+p.URL(p.Database(t))+"\"", "{url: \"REDIS\"", "{url: \""+r.URL()+"\"", "UPSTREAM", c.upstream.URL).Replace(nodesConfig)
	return c
}

// make makes a node with a folder of its own and the root key of all; it does not run yet.
func (c *cluster) make(config string) *harness.Gate {
	c.t.Helper()
	g := harness.New(c.t, config, map[string][]byte{"ca.pem": c.upstream.CA}, c.env...)
	if err := os.Mkdir(filepath.Join(g.Dir, "data"), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.Dir, "data", "root.key"), c.root, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return g
}

func (c *cluster) start() *harness.Gate { c.t.Helper(); return c.make(c.config).Start() }

func nodeAnswer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"id":"pi_7","object":"payment_intent","status":"succeeded","amount":1900}`)
}

func bearerHeader(key string, extra ...string) map[string]string {
	h := map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/x-www-form-urlencoded"}
	for i := 0; i+1 < len(extra); i += 2 {
		h[extra[i]] = extra[i+1]
	}
	return h
}

const (
	nodeIntents  = "/shop/api/payments/v1/payment_intents"
	nodeMessages = "/shop/api/texts/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json"
	oneMessage   = "To=%2B4915170005551&Body=x&From=%2B15005550006"
)

// TestTwoNodes: what one node knows holds on the other.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, servers.SharedPostgres(t), func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(100 * time.Millisecond) // long enough for two to be under way at once
		nodeAnswer(w, r)
	})
	a, b := c.start(), c.start()
	nodes := []*harness.Gate{a, b}

	token := a.Session("shop", origin)
	geocode := func(g *harness.Gate) harness.Reply {
		return g.Do("GET", "/shop/api/maps/maps/api/geocode/json?address=Kiel", "", map[string]string{"Origin": origin, "Authorization": "Bearer " + token})
	}
	for i, g := range nodes {
		if r := geocode(g); r.Status != 200 {
			t.Errorf("a visit that began on node 0, on node %d: %d %s", i, r.Status, r.Body)
		}
	}
	key := a.Key("shop")
	for i, g := range nodes {
		if r := g.Do("POST", nodeIntents, "amount=1900&currency=eur", bearerHeader(key)); r.Status != 200 {
			t.Errorf("a key that was made beside node 0, on node %d: %d %s", i, r.Status, r.Body)
		}
	}
	t.Run("one key, one call", func(t *testing.T) { oneCall(t, c, nodes, key) })
	t.Run("the last ten of a budget", func(t *testing.T) { lastTen(t, nodes, key) })
	t.Run("a permit's uses", func(t *testing.T) { permitUses(t, c, nodes, key) })

	if r := a.Do("DELETE", "/shop/session", "", map[string]string{"Origin": origin, "Authorization": "Bearer " + token}); r.Status >= 300 {
		t.Fatalf("end of the visit: %d %s", r.Status, r.Body)
	}
	if r := geocode(b); r.Status != 401 {
		t.Errorf("a visit that was ended on node 0, on node 1: %d %s", r.Status, r.Body)
	}
	id := field(t, strings.Trim(b.MustRun("", "keys", "list", "shop", "--json"), "[] \n"), "id").(string)
	b.MustRun("", "keys", "revoke", id)
	for i, g := range nodes {
		if r := g.Do("POST", nodeIntents, "amount=1900&currency=eur", bearerHeader(key)); r.Status != 401 {
			t.Errorf("a revoked key, on node %d: %d %s", i, r.Status, r.Body)
		}
	}
	t.Run("audit", func(t *testing.T) { auditOf(t, nodes, id) })
}

// oneCall sends one Idempotency-Key to both nodes at once, many times.
func oneCall(t *testing.T, c *cluster, nodes []*harness.Gate, key string) {
	for round := range 5 {
		before := len(c.upstream.Requests())
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				r := nodes[i%2].Do("POST", nodeIntents, "amount=1900&currency=eur", bearerHeader(key, "Idempotency-Key", fmt.Sprint("round-", round)))
				if r.Status != 200 || !strings.Contains(r.Body, "pi_7") {
					t.Errorf("round %d, node %d: %d %s", round, i%2, r.Status, r.Body)
				}
			})
		}
		wg.Wait()
		if n := len(c.upstream.Requests()) - before; n != 1 {
			t.Errorf("round %d: the provider saw %d calls of one key", round, n)
		}
	}
}

// permitUses spends a permit of three uses on both nodes at once.
func permitUses(t *testing.T, c *cluster, nodes []*harness.Gate, key string) {
	permit, err := backend.SignPermit(key, backend.Permit{Site: "shop", Connection: "payments", Mode: "sandbox",
		Operation: "create-payment-intent", Origin: origin, Session: backend.AnySession, Sealed: map[string]any{"amount": 1900}, Uses: 3})
	if err != nil {
		t.Fatal(err)
	}
	before := len(c.upstream.Requests())
	var done, spent atomic.Int64
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			g := nodes[i%2]
			r := browserCall(g, g.Session("shop", origin), nodeIntents, `{}`, "Sallyport-Permit", permit)
			switch {
			case r.Status == 200:
				done.Add(1)
			case strings.Contains(r.Body, `"permit_spent"`):
				spent.Add(1)
			default:
				t.Errorf("%d %s", r.Status, r.Body)
			}
		})
	}
	wg.Wait()
	if n := len(c.upstream.Requests()) - before; done.Load() != 3 || spent.Load() != 9 || n != 3 {
		t.Errorf("%d calls passed, %d were told that the permit is spent, the provider saw %d; want 3, 9, 3", done.Load(), spent.Load(), n)
	}
}

// lastTen spends a hundred calls of a budget of 110 on both nodes, then asks for many at once.
func lastTen(t *testing.T, nodes []*harness.Gate, key string) {
	spend := func(calls int) int {
		var passed atomic.Int64
		var wg sync.WaitGroup
		for i := range calls {
			wg.Go(func() {
				r := nodes[i%2].Do("GET", "/shop/api/counted/maps/api/geocode/json?address=Kiel&key="+key, "", nil)
				switch {
				case r.Status == 200:
					passed.Add(1)
				case !strings.Contains(r.Body, `"budget_exhausted"`):
					t.Errorf("%d %s", r.Status, r.Body)
				}
			})
		}
		wg.Wait()
		return int(passed.Load())
	}
	if n := spend(100); n != 100 {
		t.Fatalf("%d of the first 100 calls passed", n)
	}
	if n := spend(200); n != 10 {
		t.Errorf("%d of 200 calls at once on two nodes passed against the last 10", n)
	}
	for i, g := range nodes {
		if out, _ := g.Run("", "status"); !strings.Contains(out, "110 calls a day") { // exit code 1: it is spent
			t.Errorf("status beside node %d:\n%s", i, out)
		}
	}
}

// auditOf: every log is whole, and an act of an operator stands in exactly one of them.
func auditOf(t *testing.T, nodes []*harness.Gate, id string) {
	found := func() (n int) {
		for _, g := range nodes {
			n += strings.Count(g.MustRun("", "audit", "show", "--kind", "key-revoked", "--json"), id)
		}
		return n
	}
	for end := time.Now().Add(5 * time.Second); found() == 0 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	if n := found(); n != 1 {
		t.Errorf("the revocation stands in the logs %d times", n)
	}
	for i, g := range nodes {
		if out := g.MustRun("", "audit", "verify"); !strings.Contains(out, "whole") {
			t.Errorf("node %d: %s", i, out)
		}
	}
}

// TestFreezeOfTwoNodes: once the command is done no call passes anywhere.
func TestFreezeOfTwoNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, servers.SharedPostgres(t), nodeAnswer)
	nodes := []*harness.Gate{c.start(), c.start()}
	key := nodes[0].Key("shop")
	call := func(g *harness.Gate) bool {
		return g.Do("GET", "/shop/api/payments/v1/payment_intents/pi_7", "", bearerHeader(key)).Status == 200
	}
	rounds := 3
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		rounds = 50
	}
	var longest, fromStart time.Duration
	for round := range rounds {
		var began, done, last atomic.Int64
		var stop atomic.Bool
		var wg sync.WaitGroup
		for i, g := range nodes {
			if !call(g) {
				t.Fatalf("round %d: no call passes node %d", round, i)
			}
			wg.Go(func() {
				for !stop.Load() {
					at := time.Now().UnixNano()
					if !call(g) {
						continue
					}
					if end := done.Load(); end != 0 && at > end {
						t.Errorf("round %d: a call passed node %d after the freeze was done", round, i)
					}
					for old := last.Load(); at > old && !last.CompareAndSwap(old, at); old = last.Load() {
					}
				}
			})
		}
		began.Store(time.Now().UnixNano())
		nodes[round%2].MustRun("", "freeze", "shop")
		done.Store(time.Now().UnixNano())
		time.Sleep(100 * time.Millisecond)
		stop.Store(true)
		wg.Wait()
		at, err := time.Parse(time.RFC3339Nano, field(t, strings.Trim(nodes[0].MustRun("", "freeze", "--json"), "[] \n"), "at").(string))
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Unix(0, last.Load()).Sub(at))
		fromStart = max(fromStart, time.Duration(last.Load()-began.Load()))
		nodes[(round+1)%2].MustRun("", "thaw", "shop")
	}
	if longest > time.Second {
		t.Errorf("a call passed %s after the freeze was given to the store", longest)
	}
	t.Logf("%d freezes of two nodes by the command: the last call that passed began %s after the freeze was given to the store, %s after the process of the command was started",
		rounds, longest, fromStart)
}

// TestNodeIsKilled: the calls of a node that is killed are unknown on the other one, which
// goes on.
func TestNodeIsKilled(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	c := newCluster(t, servers.SharedPostgres(t), func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.RequestURI, "Messages") {
			arrived <- struct{}{}
			<-release
		}
		nodeAnswer(w, r)
	})
	defer close(release)
	a, b := c.start(), c.start()
	key := a.Key("shop")
	header := map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("AC:"+key)),
		"Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": "one-message"}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		r, err := http.NewRequest("POST", a.URL+nodeMessages, bytes.NewReader([]byte(oneMessage))) //nolint:noctx // it is cut off
		if err != nil {
			t.Error(err)
			return
		}
		for k, v := range header {
			r.Header.Set(k, v)
		}
		if resp, err := a.Client().Do(r); err == nil {
			raw, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			t.Errorf("the call was answered: %d %s", resp.StatusCode, raw)
		}
	}()
	select {
	case <-arrived:
	case <-time.After(20 * time.Second):
		t.Fatalf("the call did not reach the provider:\n%s", a.Log())
	}
	a.Kill()
	<-gone
	if r := b.Do("POST", nodeIntents, "amount=1900&currency=eur", bearerHeader(key)); r.Status != 200 {
		t.Errorf("the other node: %d %s", r.Status, r.Body)
	}
	began := time.Now()
	r := b.Do("POST", nodeMessages, oneMessage, header) // it waits until the node is declared dead
	if r.Status != 409 || !strings.Contains(r.Body, "idempotency_unknown") || !strings.Contains(r.Body, `"unknown"`) {
		t.Errorf("the repeat after %s: %d %s", time.Since(began), r.Status, r.Body)
	}
	if n := len(c.upstream.Requests()); n != 2 {
		t.Errorf("the provider saw %d calls, want the message once and the intent", n)
	}
	again := a.Start() // it comes back as another node, and takes its share of the provider's limit bit by bit
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		r := again.Do("POST", nodeIntents, "amount=1900&currency=eur", bearerHeader(key))
		if r.Status == 200 {
			break
		}
		if r.Status != 429 || time.Now().After(end) {
			t.Fatalf("the node that came back: %d %s", r.Status, r.Body)
		}
	}
}

// TestDatabaseAway: without the database calls are refused, and pass again by themselves.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	p := servers.StartPostgres(t, servers.PostgresOptions{Durable: true})
	c := newCluster(t, p, nodeAnswer)
	g := c.start()
	key := g.Key("shop")
	call := func() harness.Reply {
		return g.Do("POST", nodeIntents, "amount=1900&currency=eur", bearerHeader(key))
	}
	if r := call(); r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	p.Stop()
	time.Sleep(1200 * time.Millisecond) // the lease, and a little
	before := len(c.upstream.Requests())
	for range 5 {
		began := time.Now()
		if r := call(); r.Status != 503 || !strings.Contains(r.Body, `"store_unavailable"`) || time.Since(began) > 2*time.Second {
			t.Errorf("without the database, after %s: %d %s", time.Since(began), r.Status, r.Body)
		}
	}
	if r := g.Do("GET", "/readyz", "", nil); r.Status != 503 {
		t.Errorf("/readyz: %d %s", r.Status, r.Body)
	}
	if out, err := g.Run("", "freeze", "shop"); err == nil || !strings.Contains(out, "hint:") || strings.Contains(out, p.Password) {
		t.Errorf("freeze without the database: %v\n%s", err, out)
	}
	if n := len(c.upstream.Requests()); n != before {
		t.Errorf("%d calls reached the provider", n-before)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		r := call()
		if r.Status == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("calls do not pass again: %d %s\n%s", r.Status, r.Body, g.Log())
		}
	}
	if strings.Contains(g.Seen(), p.Password) || strings.Contains(g.Seen(), base64.StdEncoding.EncodeToString(c.root)) {
		t.Error("a secret was printed")
	}
}

// TestNodesThatDoNotFit: limits of one's own, and another root key, are told at the start.
func TestNodesThatDoNotFit(t *testing.T) {
	t.Parallel()
	c := newCluster(t, servers.SharedPostgres(t), nodeAnswer)
	c.start()
	alone := c.make(strings.Replace(c.config, "shared_state:", "# shared_state:", 1))
	if out, err := alone.Run("", "run"); err == nil || !strings.Contains(out, "another node serves") || !strings.Contains(out, "shared_state: redis://") {
		t.Errorf("a node with limits of its own: %v\n%s", err, out)
	}
	for name, root := range map[string][]byte{"another root key": bytes.Repeat([]byte{7}, 32), "no root key": nil} {
		other := c.make(c.config)
		file := filepath.Join(other.Dir, "data", "root.key")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if root != nil {
			if err := os.WriteFile(file, root, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := other.Run("", "run"); err == nil || !strings.Contains(out, "root key") || !strings.Contains(out, "hint:") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if _, err := os.Stat(file); root == nil && !os.IsNotExist(err) {
			t.Errorf("%s: one was made: %v", name, err)
		}
	}
}
