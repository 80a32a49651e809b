package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/ingress"
	"sallyport/internal/mock"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// snapshot builds the whole new world of a configuration.
func (g *Gate) snapshot(file *config.File) (*ingress.Snapshot, error) {
	gate, err := egress.New(file.Sites, file.Catalog, egress.Deps{
		Sessions: g.verifier, Keys: g.siteKeys, Tokens: g.siteKeys, Limiter: g.limits, Freezes: g.freezes, Audit: g.audit,
		Idempotency: g.store, Flights: &g.flights, Answers: answers{g.keyring}, Owned: g.owned, Recorder: recorder{log: g.log, config: file.Hash}, Alerts: g.bell, Guards: g.guards, Config: file.Hash,
		Budgets: g.budgets, PermitReader: g.permitReader, Permits: g.store, Receipts: g.receipts,
		Challenges: g.work, Upstream: g.upstream, Now: g.options.Now, Steady: g.options.Steady,
	})
	if err != nil {
		return nil, fmt.Errorf("build the pipeline: %w", err)
	}
	scripts, err := g.scripts(file)
	if err != nil {
		return nil, err
	}
	calls := &visits{gate: g, sites: file.Sites, calls: gate}
	logins := &counter{gate: g, file: file, visit: calls}
	providers, err := g.openIDs(logins)
	if err != nil {
		return nil, err
	}
	events, err := g.hooksOf(file)
	if err != nil {
		return nil, err
	}
	return ingress.NewSnapshot(ingress.World{
		Hooks:  events,
		Logins: logins, OpenID: providers, Connects: &connecting{gate: g, file: file, visit: calls},
		Receipts: desk{gate: g, config: file.Hash}, SDK: g.sdkConnections(file),
		Sites: file.Sites, GateHosts: file.Listen.Names, Caller: gate, Sessions: calls,
		Script:  func(name string) []byte { return scripts[name] },
		Methods: func(c *site.Connection) []string { return browserMethods(file.Catalog, c) },
		Headers: func(c *site.Connection) []string { return browserHeaders(file.Catalog, c) },
	})
}

func (g *Gate) upstream(c *site.Connection, p *provider.Pack, op *contract.Operation) (egress.Upstream, error) {
	if c.Mode == provider.Mock && c.Upstream == nil {
		return g.mocks.of(c, p), nil
	}
	return g.way.upstream(c, p, op)
}

func browserMethods(catalog config.Catalog, c *site.Connection) []string {
	pack, err := catalog.Find(c.Provider)
	if err != nil {
		return nil
	}
	var out []string
	for name := range c.Browser {
		if op, ok := pack.Contract().Find(name); ok && !slices.Contains(out, op.Method) {
			out = append(out, op.Method)
		}
	}
	slices.Sort(out)
	return out
}

// browserHeaders are the header parameters that a rule of the file leaves to the page.
func browserHeaders(catalog config.Catalog, c *site.Connection) []string {
	pack, err := catalog.Find(c.Provider)
	if err != nil {
		return nil
	}
	var out []string
	for name, rule := range c.Browser {
		op, ok := pack.Contract().Find(name)
		if !ok {
			continue
		}
		for _, p := range op.Params {
			if p.In == contract.InHeader && rule.Leaves(p.Name) && !slices.Contains(out, p.Wire) {
				out = append(out, p.Wire)
			}
		}
	}
	slices.Sort(out)
	return out
}

// mocks keeps the mock of each connection over reloads, so that what was created can
// still be read after a change of the file.
type mocks struct {
	now func() time.Time

	mu   sync.Mutex
	made map[string]*mockEntry
}

type mockEntry struct {
	faults site.MockFaults
	pack   string // its Digest: an imported pack may change while the gate runs
	mock   *mock.Provider
}

func (m *mocks) of(c *site.Connection, p *provider.Pack) *mock.Provider {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := c.Site + "\x00" + c.Name + "\x00" + c.Provider
	if e, ok := m.made[key]; ok && e.faults == c.Mock && e.pack == p.Digest() {
		return e.mock
	}
	e := &mockEntry{faults: c.Mock, pack: p.Digest(), mock: mock.New(p, c.Mock, m.now)}
	m.made[key] = e
	return e.mock
}

func (g *Gate) ingressConfig(f *config.File) (ingress.Config, error) {
	c := ingress.Config{Public: f.Listen.Public, HTTP: f.Listen.HTTP, Log: g.log, Now: g.options.Now, Ready: g.ready, Degraded: g.degraded, SDK: g.sdkListener(f), Refused: g.refusedOutside}
	if b := f.Listen.Behind; b != nil {
		c.Behind = ingress.Behind{From: b.From, Header: b.ClientIP}
	}
	switch f.Listen.TLS.Kind {
	case config.TLSOff:
		c.TLS.Off = true
	case config.TLSFiles:
		c.TLS.CertFile, c.TLS.KeyFile = f.Listen.TLS.Cert, f.Listen.TLS.Key
	case config.TLSAuto:
		client, err := g.acmeClient(f.Listen.TLS.CARoot)
		if err != nil {
			return c, err
		}
		c.TLS.Auto = &ingress.Auto{Email: f.Listen.TLS.Email, Directory: f.Listen.TLS.CA, Client: client,
			Storage: f.Certificates}
	}
	return c, nil
}

// acmeClient makes requests to the certificate authority through outbound's
// infrastructure policy, without redirects to elsewhere and without an environment proxy.
func (g *Gate) acmeClient(root string) (*http.Client, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if root != "" {
		pem, err := os.ReadFile(root)
		if err != nil {
			return nil, fmt.Errorf("read listen.tls.auto.ca_root: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("listen.tls.auto.ca_root: %s holds no PEM certificate", root)
		}
	}
	dial := g.dialer()
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dial.DialContext(ctx, network, addr)
		},
		TLSClientConfig: t, TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true, MaxIdleConns: 4,
		IdleConnTimeout: 30 * time.Second, ResponseHeaderTimeout: 20 * time.Second,
	}}, nil
}
