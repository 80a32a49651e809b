package interop

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/oauth"
	"sallyport/internal/outbound"
	"sallyport/internal/secret"
	"sallyport/test/harness"
)

// awkward is a client secret with everything in it that two sides could encode differently.
const awkward = `se+cret/%:x =&"~" for the client`

// issuer is oidc-provider, over https on loopback.
type issuer struct {
	url  string
	host *outbound.Host
	said chan string
}

func startIssuer(t *testing.T) *issuer {
	t.Helper()
	harness.Need(t, "node")
	if _, err := os.Stat(filepath.Join("..", "node_modules", "oidc-provider")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("oidc-provider is not installed; run scripts/deps")
		}
		t.Skip("oidc-provider is not installed; run scripts/deps")
	}
	pair, certificate := harness.Certificate(t)
	dir := t.TempDir()
	for name, data := range map[string][]byte{"cert.pem": certificate, "key.pem": harness.KeyPEM(t, pair)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "node", filepath.Join("testdata", "issuer.mjs"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), awkward)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	i := &issuer{said: make(chan string, 64)}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the issuer did not start")
	}
	i.url = lines.Text()
	go func() {
		for lines.Scan() {
			i.said <- lines.Text()
		}
	}()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	i.host, err = outbound.NewHost(outbound.HostConfig{URL: i.url, Dialer: outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyProvider}), Roots: roots, Private: true,
		Timeouts: oauth.EndpointTimeouts(), Limits: oauth.EndpointLimits(), Retry: oauth.EndpointRetry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.host.Close)
	return i
}

func (i *issuer) heard(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-i.said:
		if got != want {
			t.Errorf("the issuer says %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("the issuer says nothing, want %q", want)
	}
}

func (i *issuer) client(t *testing.T, id, clientSecret string, style oauth.ClientStyle) oauth.Source {
	t.Helper()
	fixed := func(s string) oauth.Text {
		return oauth.Text{Template: "{field}", Fields: map[string]outbound.Field{"field": {Read: func(context.Context) (secret.Value, error) { return secret.NewValue([]byte(s)), nil }}}}
	}
	s, err := oauth.NewClientCredentials(oauth.Client{Host: i.host, Path: "/token", URL: i.url + "/token", Style: style, ID: fixed(id), Secret: fixed(clientSecret)}, "orders")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCertifiedIssuerGrantsTokens: a token endpoint that we did not write takes what the gate
// sends, and the tokens are good there.
func TestCertifiedIssuerGrantsTokens(t *testing.T) {
	i := startIssuer(t)
	for id, style := range map[string]oauth.ClientStyle{"by+header": oauth.ClientBasic, "by+form": oauth.ClientPost} {
		token, err := i.client(t, id, awkward, style).Fetch(t.Context(), time.Now)
		if err != nil {
			t.Errorf("%s: %v", style, err)
			continue
		}
		i.heard(t, "granted "+id+" orders")
		if life := token.Expires.Sub(token.Issued); life != 10*time.Minute {
			t.Errorf("%s: a life of %s", style, life)
		}
		if !i.active(t, string(token.Value.Expose())) {
			t.Errorf("%s: the issuer does not know its token", style)
		}
		_, err = i.client(t, id, awkward+"!", style).Fetch(t.Context(), time.Now)
		var f *oauth.Fault
		if !errors.As(err, &f) || f.Reason != oauth.ReasonRefused || !strings.Contains(err.Error(), "invalid_client") {
			t.Errorf("%s, a wrong secret: %v", style, err)
		}
		i.heard(t, "refused invalid_client")
	}
}

// active asks the issuer about a token (RFC 7662).
func (i *issuer) active(t *testing.T, token string) bool {
	t.Helper()
	form := url.Values{"token": {token}, "client_id": {"by+form"}, "client_secret": {awkward}}
	r, err := i.host.Do(t.Context(), &outbound.Call{Method: http.MethodPost, Path: "/token/introspection", Body: []byte(form.Encode()),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}})
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ Active bool }
	if err := json.Unmarshal(r.Body, &said); err != nil {
		t.Fatalf("%d %s: %v", r.Status, r.Body, err)
	}
	return said.Active
}
