package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/test/harness"
	"sallyport/test/servers"
)

const tokensConfig = `version: 1
listen:
  public: "127.0.0.1:0"
  tls: off
store: STORE
sites:
  shop:
    connections:
      paypal: {provider: paypal, mode: sandbox, credentials: {client_id: AZDxjDScFpQtjWTOUtWKbyN_bDt4OgqaF4eYXlewfBP4, client_secret: env:TEST_PAYPAL_SECRET}, upstream: {url: "UPSTREAM", ca: ./ca.pem, private: true}, backend: [retrieve-order]}
      texts: {provider: twilio, mode: sandbox, auth: oauth, credentials: {account_sid: AC00000000000000000000000000000001, oauth_client_id: OQ0123456789abcdef0123456789abcdef, oauth_client_secret: env:TEST_TWILIO_SECRET}, upstream: {url: "UPSTREAM", ca: ./ca.pem, private: true}, backend: [create-message]}
      calls: {provider: vonage, mode: sandbox, credentials: {application_id: aaaaaaaa-bbbb-cccc-dddd-0123456789ab, private_key: "file:./vonage.pem"}, upstream: {url: "UPSTREAM", ca: ./ca.pem, private: true}, backend: [create-call]}
`

const (
	paypalSecret = "CANARYpaypalSecret7f3c9aQwErTyUiOp"
	twilioSecret = "CANARYtwilioSecret7f3c9aAsDfGhJkLz"
)

// granting is a provider that gives tokens and takes only the latest one.
type granting struct {
	mu     sync.Mutex
	asked  []string // forms with the Authorization before them
	tokens int
	good   string
	down   bool
	naked  int // calls without a token that it gave
	calls  []string
	echo   bool
}

func (g *granting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/v1/oauth2/token", "/v2/token":
		body, _ := io.ReadAll(r.Body)
		g.asked = append(g.asked, r.Header.Get("Authorization")+" "+string(body))
		if g.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		g.tokens++
		g.good = fmt.Sprintf("CANARYtoken-%s-%d", strings.Repeat("x", 20), g.tokens)
		_, _ = fmt.Fprintf(w, `{"access_token":"%s","token_type":"Bearer","expires_in":32400,"refresh_token":null}`, g.good)
		return
	}
	g.calls = append(g.calls, r.Header.Get("Authorization"))
	switch {
	case !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "):
		g.naked++
		fallthrough
	case r.URL.Path != "/v1/calls" && r.Header.Get("Authorization") != "Bearer "+g.good:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_token"}`)
	case g.echo:
		_, _ = fmt.Fprintf(w, `{"id":"5O190127TN364715T","status":"%s"}`, g.good)
	case r.URL.Path == "/v1/calls":
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"uuid":"63f61863-4a51-4f6b-86e1-46edebcf9356","status":"started","direction":"outbound","conversation_uuid":"CON-f972836a"}`)
	case strings.HasSuffix(r.URL.Path, "/Messages.json"):
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid":"SM00000000000000000000000000000001","status":"queued"}`)
	default:
		_, _ = io.WriteString(w, `{"id":"5O190127TN364715T","status":"APPROVED"}`)
	}
}

func (g *granting) set(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func (g *granting) requests() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.asked)
}

func vonageKey(t *testing.T) (*rsa.PrivateKey, []byte) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return k, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

const order = "/shop/api/paypal/v2/checkout/orders/5O190127TN364715T"

// orders reads an order n times at once on each gate and wants this status.
func orders(t *testing.T, status, n int, key string, gates ...*harness.Gate) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n * len(gates) {
		wg.Go(func() {
			r := gates[i%len(gates)].Do("GET", order, "", bearerHeader(key))
			for range 20 { // the catalog allows few calls a second
				if r.Status != http.StatusTooManyRequests {
					break
				}
				time.Sleep(time.Second)
				r = gates[i%len(gates)].Do("GET", order, "", bearerHeader(key))
			}
			if r.Status != status {
				t.Errorf("order: %d %s, want %d", r.Status, r.Body, status)
			}
		})
	}
	wg.Wait()
}

// TestMachineTokens: the real binary with providers that want tokens.
func TestMachineTokens(t *testing.T) {
	t.Parallel()
	provider := &granting{}
	up := harness.Serve(t, provider)
	private, file := vonageKey(t)
	config := strings.NewReplacer("STORE", `"sqlite:./data/sallyport.db"`, "UPSTREAM", up.URL).Replace(tokensConfig)
	g := harness.New(t, config, map[string][]byte{"ca.pem": up.CA, "vonage.pem": file}, "TEST_PAYPAL_SECRET="+paypalSecret, "TEST_TWILIO_SECRET="+twilioSecret).Start()
	key := g.Key("shop")

	orders(t, 200, 8, key, g)
	if n := provider.requests(); n != 1 || provider.asked[0] != "Basic QVpEeGpEU2NGcFF0aldUT1V0V0tieU5fYkR0NE9ncWFGNGVZWGxld2ZCUDQ6"+
		"Q0FOQVJZcGF5cGFsU2VjcmV0N2YzYzlhUXdFclR5VWlPcA== grant_type=client_credentials" {
		t.Fatalf("8 calls at once asked for %d tokens: %q", n, provider.asked)
	}
	provider.set(func() { provider.good = "revoked" })
	orders(t, 200, 8, key, g)
	if n := provider.requests(); n != 2 {
		t.Errorf("a revoked token was replaced by %d requests", n-1)
	}

	g.Stop()
	g.Start()
	orders(t, 200, 2, key, g)
	if n := provider.requests(); n != 2 {
		t.Errorf("a restart asked for %d tokens", n-2)
	}

	provider.set(func() { provider.echo = true })
	if r := g.Do("GET", order, "", bearerHeader(key)); r.Status != 502 || !strings.Contains(r.Body, "upstream_echo") {
		t.Errorf("an answer with the token in it: %d %s", r.Status, r.Body)
	}
	provider.set(func() { provider.echo, provider.down, provider.good = false, true, "revoked again" })
	if r := g.Do("GET", order, "", bearerHeader(key)); r.Status != 502 || !strings.Contains(r.Body, "credential_refused") {
		t.Errorf("a refused token while there is no other: %d %s", r.Status, r.Body)
	}
	if r := g.Do("POST", "/shop/api/texts/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json", oneMessage, bearerHeader(key)); r.Status != 503 ||
		!strings.Contains(r.Body, "credential_unavailable") || strings.Contains(r.Body, `"outcome"`) || r.Header.Get("Retry-After") == "" {
		t.Errorf("no token at all: %d %v %s", r.Status, r.Header, r.Body)
	}
	g.WaitLog(`"check":"tokens"`)
	provider.set(func() { provider.down = false })
	texts(t, g, key, provider)
	calls(t, g, key, provider, &private.PublicKey)
	if provider.naked != 0 {
		t.Errorf("%d calls went out without a token", provider.naked)
	}
	g.Stop()
	nowhere(t, g, "CANARY")
}

// texts sends a message with a token of Twilio's OAuth app.
func texts(t *testing.T, g *harness.Gate, key string, provider *granting) {
	t.Helper()
	var r harness.Reply
	for range 50 { // the pause after the failure
		r = g.Do("POST", "/shop/api/texts/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json", oneMessage, bearerHeader(key))
		if r.Status == 201 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	last := provider.asked[len(provider.asked)-1]
	if r.Status != 201 || last != " client_id=OQ0123456789abcdef0123456789abcdef&client_secret="+twilioSecret && !strings.HasPrefix(last, " grant_type=client_credentials&client_id=OQ") {
		t.Errorf("a message: %d %s; asked with %q", r.Status, r.Body, last)
	}
}

// calls starts a phone call with a token that the gate signed.
func calls(t *testing.T, g *harness.Gate, key string, provider *granting, public *rsa.PublicKey) {
	t.Helper()
	h := bearerHeader(key, "Content-Type", "application/json")
	r := g.Do("POST", "/shop/api/calls/v1/calls", `{"to":[{"type":"phone","number":"4915170005551"}],"from":{"type":"phone","number":"4915170005552"},"ncco":[{"action":"talk","text":"Hello"}]}`, h)
	if r.Status != 201 {
		t.Fatalf("a call: %d %s", r.Status, r.Body)
	}
	token := strings.TrimPrefix(provider.calls[len(provider.calls)-1], "Bearer ")
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(public)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		App      string `json:"application_id"`
		ID       string `json:"jti"`
		Iat, Exp int64
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.App != "aaaaaaaa-bbbb-cccc-dddd-0123456789ab" || claims.ID == "" || claims.Exp != claims.Iat+900 || time.Since(time.Unix(claims.Iat, 0)).Abs() > time.Minute {
		t.Errorf("claims %s, %v", payload, err)
	}
	if g.Saw(""); strings.Contains(g.Seen(), token) {
		t.Error("the signed token was seen outside")
	}
}

// nowhere wants a text in no output of the gate and in none of its data.
func nowhere(t *testing.T, g *harness.Gate, text string) {
	t.Helper()
	if strings.Contains(g.Seen(), text) {
		t.Errorf("%s stands in an answer or in the log", text)
	}
	err := filepath.WalkDir(filepath.Join(g.Dir, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if strings.Contains(string(raw), text) {
			t.Errorf("%s stands in %s", text, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestMachineTokensOverNodes: two nodes on one database ask for one token.
func TestMachineTokensOverNodes(t *testing.T) {
	t.Parallel()
	provider := &granting{}
	c := newCluster(t, servers.SharedPostgres(t), provider.ServeHTTP)
	_, file := vonageKey(t)
	store := c.config[strings.Index(c.config, "store: ")+len("store: "):]
	store, _, _ = strings.Cut(store, "\nsites:")
	config := strings.NewReplacer("STORE", store, "UPSTREAM", c.upstream.URL).Replace(tokensConfig)
	c.env = append(c.env, "TEST_PAYPAL_SECRET="+paypalSecret, "TEST_TWILIO_SECRET="+twilioSecret)
	a, b := c.make(config), c.make(config)
	for _, g := range []*harness.Gate{a, b} {
		if err := os.WriteFile(filepath.Join(g.Dir, "vonage.pem"), file, 0o600); err != nil {
			t.Fatal(err)
		}
		g.Start()
	}
	key := a.Key("shop")
	orders(t, 200, 2, key, a, b) // each node has half of what the catalog allows
	if n := provider.requests(); n != 1 {
		t.Errorf("two nodes asked for %d tokens", n)
	}
	a.Kill()
	orders(t, 200, 2, key, b)
	if n := provider.requests(); n != 1 {
		t.Errorf("a node that went away cost %d tokens", n-1)
	}
}
