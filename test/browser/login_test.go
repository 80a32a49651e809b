package browser

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/test/harness"
	"sallyport/test/servers"
)

// sitePage is a page of the site: it loads client.js from the gate and says when it is there.
const sitePage = `<!doctype html><html lang="en"><meta charset="utf-8"><title>shop</title><h1>shop</h1><script type="module">
import * as sallyport from "%s/client.js"; window.sallyport = sallyport; document.documentElement.dataset.ready = "";
</script></html>`

// serveTLS serves a page on loopback over https and gives its port.
func serveTLS(t *testing.T, page string, names ...string) string {
	t.Helper()
	now := time.Now()
	cert, _ := harness.CertificateFor(t, now.Add(-time.Hour), now.Add(time.Hour), names...)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(page))
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestLoginInChromium runs all steps of login.mjs: the real binary, a certified identity
// provider, a site and its gate under one domain.
func TestLoginInChromium(t *testing.T) {
	node, chromium := harness.Need(t, "node"), harness.Need(t, "chromium")
	modules, err := filepath.Abs("../node_modules")
	if err != nil {
		t.Fatal(err)
	}
	address := harness.FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	gate := "https://gate.shop.test:" + port
	site := "https://shop.test:" + serveTLS(t, fmt.Sprintf(sitePage, gate), "shop.test")
	other := "https://blog.shop.test:" + serveTLS(t, "<!doctype html><title>a sibling</title>", "blog.shop.test")
	foreign := "https://evil.test:" + serveTLS(t, "<!doctype html><title>another site</title>", "evil.test")
	idp := servers.StartOIDC(t, servers.OIDCOptions{Clients: []servers.OIDCClient{{ID: "shop", Secret: "a-secret:of/the+client%", Redirects: []string{gate + "/login/id/callback"}}}})
	startLoginGate(t, address, site, idp)
	seen := runScript(t, node, "login.mjs", map[string]string{"NODE_MODULES": modules, "CHROMIUM": chromium, "SITE": site, "OTHER": other, "GATE": gate, "ISSUER": idp.Issuer, "FOREIGN": foreign})
	if seen < 13 {
		t.Errorf("only %d steps ran", seen)
	}
	if t.Failed() {
		t.Logf("the identity provider:\n%s", idp.Log())
	}
}

func startLoginGate(t *testing.T, address, site string, idp *servers.OIDC) *harness.Gate {
	t.Helper()
	now := time.Now()
	own, ca := harness.CertificateFor(t, now.Add(-time.Hour), now.Add(time.Hour), "gate.shop.test", "127.0.0.1")
	config := fmt.Sprintf(`version: 1
listen: {public: %q, tls: {cert: gate.pem, key: gate.key}}
sites:
  shop:
    served_at: [gate.shop.test]
    origins: [%q]
    connections:
      id:
        provider: oidc
        mode: sandbox
        credentials: {client_id: shop, client_secret: "env:ID_SECRET"}
        upstream: {url: %q, ca: idp.pem, private: true}
        login: {issuer: %q, claims: [email, name]}
      maps:
        provider: google-maps
        mode: mock
        browser:
          geocode: {free: [address], returns: [status], vouched: login}
`, address, site, idp.Issuer, idp.Issuer)
	g := harness.New(t, config, map[string][]byte{harness.OwnCertificate: ca, harness.OwnKey: harness.KeyPEM(t, own), "idp.pem": idp.CA}, "ID_SECRET=a-secret:of/the+client%")
	g.Start()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gate:\n%s", g.Log())
		}
		g.Stop()
		canaries(t, g)
	})
	return g
}

// canaries looks for what nobody may keep or print: persons, codes, the client's secret, the
// tokens' beginnings, in the log and in every file of the gate but those that hold its own
// settings.
func canaries(t *testing.T, g *harness.Gate) {
	t.Helper()
	all := map[string][]byte{"the log": []byte(g.Log())}
	err := filepath.WalkDir(filepath.Join(g.Dir, "data"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	})
	if err != nil || len(all) < 4 {
		t.Errorf("only %d places were searched: %v", len(all), err)
	}
	seen := false
	for place, data := range all {
		seen = seen || bytes.Contains(data, []byte("\"kind\":\"login\"")) && bytes.Contains(data, []byte("\"kind\":\"logout\""))
		for _, canary := range []string{"mail.example", "Name of", "code=", "a-secret", "eyJhbGciOiJSUzI1NiI", "state="} {
			if bytes.Contains(data, []byte(canary)) {
				t.Errorf("%s holds %q", place, canary)
			}
		}
	}
	if !seen {
		t.Error("the audit log has no login and logout")
	}
}

// runScript makes a subtest of each step that a script reports, and returns their number.
func runScript(t *testing.T, node, script string, env map[string]string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, script)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	count := 0
	for line := range strings.Lines(stdout.String()) {
		var s step
		if json.Unmarshal([]byte(line), &s) != nil {
			t.Log(line)
			continue
		}
		count++
		t.Run(s.Name, func(t *testing.T) {
			if s.Error != "" {
				t.Error(s.Error)
			}
		})
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", script, err, stderr.String())
	}
	return count
}
