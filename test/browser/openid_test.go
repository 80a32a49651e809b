package browser

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"encoding/pem"

	"sallyport/test/harness"
	"sallyport/test/servers"
)

// TestOpenIDInChromium: the gate is the OpenID provider of a server-rendered site. The site
// uses openid-client (the certified library that Auth.js is built on) and knows nothing but
// the gate's address; visitors sign in at a certified identity provider behind it.
func TestOpenIDInChromium(t *testing.T) {
	node, chromium := harness.Need(t, "node"), harness.Need(t, "chromium")
	modules, err := filepath.Abs("../node_modules")
	if err != nil {
		t.Fatal(err)
	}
	address, siteAddress := harness.FreeAddress(t), harness.FreeAddress(t)
	gate, site := "https://gate.shop.test:"+portOf(t, address), "https://shop.test:"+portOf(t, siteAddress)
	idp := servers.StartOIDC(t, servers.OIDCOptions{Clients: []servers.OIDCClient{{ID: "shop", Secret: "a-secret:of/the+client%", Redirects: []string{gate + "/login/id/callback"}}}})
	now, dir := time.Now(), t.TempDir()
	own, ca := harness.CertificateFor(t, now.Add(-time.Hour), now.Add(time.Hour), "gate.shop.test", "127.0.0.1")
	its, _ := harness.CertificateFor(t, now.Add(-time.Hour), now.Add(time.Hour), "shop.test")
	file := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const secret = "a-secret-that-both-sides-know-0123456789"
	config := fmt.Sprintf(`version: 1
listen: {public: %q, tls: {cert: gate.pem, key: gate.key}}
sites:
  shop:
    served_at: [gate.shop.test]
    origins: [%q]
    openid:
      clients:
        website: {secret: "env:WEBSITE_SECRET", redirects: [%q], after_logout: [%q]}
    connections:
      id:
        provider: oidc
        mode: sandbox
        credentials: {client_id: shop, client_secret: "env:ID_SECRET"}
        upstream: {url: %q, ca: idp.pem, private: true}
        login: {issuer: %q, claims: [email, name]}
`, address, site, site+"/auth/callback", site+"/bye", idp.Issuer, idp.Issuer)
	g := harness.New(t, config, map[string][]byte{harness.OwnCertificate: ca, harness.OwnKey: harness.KeyPEM(t, own), "idp.pem": idp.CA},
		"ID_SECRET=a-secret:of/the+client%", "WEBSITE_SECRET="+secret)
	g.Start()
	seen := runScript(t, node, "openid.mjs", map[string]string{"NODE_MODULES": modules, "CHROMIUM": chromium, "SITE": site, "GATE": gate, "ISSUER": idp.Issuer, "SECRET": secret,
		"GATE_CA": file("gate.pem", ca), "SITE_KEY": file("site.key", harness.KeyPEM(t, its)),
		"SITE_CERT": file("site.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: its.Certificate[0]}))})
	if seen < 9 {
		t.Errorf("only %d steps ran", seen)
	}
	if t.Failed() {
		t.Logf("the gate:\n%s\nthe identity provider:\n%s", g.Log(), idp.Log())
	}
	g.Stop()
	g.MustRun("", "audit", "verify")
	canaries(t, g)
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
