package browser

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"sallyport/test/harness"
	"sallyport/test/servers"
)

// TestConnectInChromium lets visitors connect accounts at a certified identity provider that
// replaces its refresh tokens at each use. The canaries of sign-in hold here too: no person and
// no token is in the log or lies open in a file.
func TestConnectInChromium(t *testing.T) {
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
	idp := servers.StartOIDC(t, servers.OIDCOptions{
		Clients: []servers.OIDCClient{{ID: "shop", Secret: "a-secret:of/the+client%", Grants: []string{"authorization_code", "refresh_token"},
			Redirects: []string{gate + "/login/id/callback", gate + "/connect/id/callback"}}},
		Configuration: map[string]any{"rotateRefreshToken": true, "features": map[string]any{"revocation": map[string]any{"enabled": true}}}})
	startConnectGate(t, address, site, idp)
	seen := runScript(t, node, "connect.mjs", map[string]string{"NODE_MODULES": modules, "CHROMIUM": chromium, "SITE": site, "OTHER": other, "GATE": gate, "ISSUER": idp.Issuer})
	if seen < 6 {
		t.Errorf("only %d steps ran", seen)
	}
	if t.Failed() {
		t.Logf("the identity provider:\n%s", idp.Log())
	}
}

func startConnectGate(t *testing.T, address, site string, idp *servers.OIDC) {
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
        login: {issuer: %q}
        connect: {issuer: %q, scopes: [email]}
`, address, site, idp.Issuer, idp.Issuer, idp.Issuer)
	g := harness.New(t, config, map[string][]byte{harness.OwnCertificate: ca, harness.OwnKey: harness.KeyPEM(t, own), "idp.pem": idp.CA}, "ID_SECRET=a-secret:of/the+client%")
	g.Start()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gate:\n%s", g.Log())
		}
		g.Stop()
		canaries(t, g)
	})
}
