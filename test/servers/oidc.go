package servers

import (
	"bytes"
	_ "embed" // the provider's script
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/test/stand"
)

//go:embed oidc-provider.mjs
var oidcScript string

// OIDCClient is a client that the provider knows, in the words of OpenID Connect Dynamic
// Client Registration.
type OIDCClient struct {
	ID        string   `json:"client_id"`
	Secret    string   `json:"client_secret"`
	Redirects []string `json:"redirect_uris"`
	// Grants are authorization_code unless it is set.
	Grants []string `json:"grant_types,omitempty"`
	Method string   `json:"token_endpoint_auth_method,omitempty"`
}

// OIDC is a running identity provider: npm oidc-provider, certified by the OpenID
// Foundation. Whoever signs in with its forms becomes the account of that name: its sub is
// the name, its e-mail address NAME@mail.example, verified unless the name begins with
// "unverified".
type OIDC struct {
	Issuer string
	CA     []byte // PEM that vouches for its https

	cmd *exec.Cmd
	log *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that was written.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// OIDCOptions say who may use the provider. Configuration is merged into that of
// oidc-provider.
type OIDCOptions struct {
	Clients       []OIDCClient
	Configuration map[string]any
}

// StartOIDC starts a provider on loopback that ends with the test.
func StartOIDC(t testing.TB, o OIDCOptions) *OIDC {
	t.Helper()
	node, ok := find("node")
	if !ok {
		missing(t, "Node.js", "nodejs")
	}
	modules := nodeModules(t, "oidc-provider")
	now := time.Now()
	cert, key, ca, err := stand.ServerFiles(now.Add(-time.Hour), now.Add(24*time.Hour), "127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	p := &OIDC{Issuer: fmt.Sprintf("https://127.0.0.1:%d", port), CA: ca, log: &lockedBuffer{}}
	settings, err := json.Marshal(map[string]any{"modules": modules, "port": port, "issuer": p.Issuer, "cert": string(cert), "key": string(key), "clients": o.Clients, "configuration": o.Configuration})
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "oidc-provider.mjs")
	if err := os.WriteFile(script, []byte(oidcScript), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(node, script)
	p.cmd.Env = append(os.Environ(), "SETTINGS="+string(settings), "NODE_ENV=test")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = p.cmd.Wait(); close(done) }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-done })
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(p.log.String(), "listening") {
			return p
		}
		select {
		case <-done:
			t.Fatalf("the identity provider ended at once:\n%s", p.log)
		default:
		}
	}
	t.Fatalf("the identity provider does not listen:\n%s", p.log)
	return nil
}

// Log is what the provider printed.
func (p *OIDC) Log() string { return p.log.String() }

// nodeModules finds the folder with a Node package, beside go.mod.
func nodeModules(t testing.TB, pkg string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	modules := filepath.Join(dir, "test", "node_modules")
	if _, err := os.Stat(filepath.Join(modules, pkg)); err != nil {
		text := "the Node package " + pkg + " is not installed; run ./scripts/deps"
		if os.Getenv("CI") == "true" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
	return modules
}
