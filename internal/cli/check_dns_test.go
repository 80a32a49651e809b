package cli

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/provider"
	"sallyport/internal/session"
	"sallyport/test/stand"
)

// names is a resolver that knows some names, all of loopback.
type names map[string]string // to their alias, or to themselves

// LookupNetIP implements Resolver.
func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if n[host] == "" {
		return nil, errors.New("no such host")
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// LookupCNAME implements Resolver.
func (n names) LookupCNAME(_ context.Context, host string) (string, error) {
	if n[host] == "" {
		return "", errors.New("no such host")
	}
	return n[host] + ".", nil
}

// TestCheckDNS: a name leads to this gate when its keys are published there, and else the
// lines that make it so are printed.
func TestCheckDNS(t *testing.T) {
	cert, key, _, err := stand.ServerFiles(time.Now(), time.Now().Add(time.Hour), "api.shop.example", "api.blog.example", "api.news.example")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Host[:strings.IndexByte(r.Host, ':')] {
		case "api.blog.example":
			fmt.Fprint(w, `{"keys": [{"kid": "k-another"}]}`)
		case "api.news.example":
			fmt.Fprint(w, "Welcome to nginx!")
		default:
			fmt.Fprint(w, `{"keys": [{"kid": "k-ours"}]}`)
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	for name, content := range map[string][]byte{"cert.pem": cert, "key.pem": key, "sallyport.yaml": fmt.Appendf(nil, `version: 1
listen: {public: %q, names: [gate.agency.example], tls: {cert: ./cert.pem, key: ./key.pem}}
store: "sqlite:./sallyport.db"
sites:
  shop: {served_at: [api.shop.example], origins: ["https://shop.example"], connections: {payments: {provider: stripe, mode: mock, backend: all}}}
  blog: {served_at: [api.blog.example], connections: {payments: {provider: stripe, mode: mock, backend: all}}}
  news: {served_at: [api.news.example], connections: {payments: {provider: stripe, mode: mock, backend: all}}}
  poll: {served_at: [api.poll.example], connections: {payments: {provider: stripe, mode: mock, backend: all}}}
`, server.Listener.Addr().String())} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "sallyport.yaml")
	look := func() (string, int) {
		var out, errs bytes.Buffer
		p := &Program{Out: &out, Err: &errs, In: strings.NewReader(""), Catalog: provider.Builtin(),
			Resolver: names{"api.shop.example": "gate.agency.example", "api.blog.example": "api.blog.example", "api.news.example": "api.news.example"}}
		code := p.Main(t.Context(), []string{"check", "--dns", "-c", file})
		return out.String() + errs.String(), code
	}
	if got, code := look(); code != exitProblem || !strings.Contains(got, "this one has never been started") {
		t.Errorf("before the first start: %d\n%s", code, got)
	}
	loaded, faults := config.Load(file, provider.Builtin())
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	store, err := app.OpenStore(t.Context(), loaded, app.StoreOptions{Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.CreateSigningKey(t.Context(), session.StoredSigningKey{ID: "k-ours", Public: public, Sealed: []byte("x"), CreatedAt: time.Now(), SignsFrom: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	got, code := look()
	for _, want := range []string{
		"name: api.shop.example of shop (alias of gate.agency.example; 127.0.0.1): leads to this gate\n",
		"name: api.blog.example of blog (127.0.0.1): another gate answers there",
		"name: api.news.example of news (127.0.0.1): another server answers there (status 200)",
		"name: api.poll.example of poll: there is no such name yet",
		"    DNS:    api.poll.example. 3600 IN CNAME gate.agency.example.\n",
		"            proxy_set_header Host $host;\n",
		"error: not leading to this gate: 3 names",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q", want)
		}
	}
	if code != exitProblem || t.Failed() {
		t.Errorf("exit code %d\n%s", code, got)
	}
}
