package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// acmeProtocol is the ALPN name of tls-alpn-01 (RFC 8737 §4).
const acmeProtocol = "acme-tls/1"

// autoCertificates gets and renews certificates by ACME. certmagic keeps, loads and
// renews them; issuing is ours (acme.go), because certmagic's own issuer and its OCSP
// dial for themselves, and only outbound may dial here.
type autoCertificates struct {
	config Config
	cache  *certmagic.Cache
	magic  *certmagic.Config
	issuer *issuer

	storage *autoStorage

	mu      sync.Mutex
	hosts   map[string]bool
	running context.Context // nil before Run
	cancel  context.CancelFunc
}

func newAuto(c Config, hosts []string) (*autoCertificates, error) {
	if c.TLS.Auto.Client == nil || c.TLS.Auto.Storage == "" {
		return nil, errors.New("open listener: tls.auto needs a client and a folder")
	}
	a := &autoCertificates{config: c, hosts: map[string]bool{}}
	storage := &autoStorage{FileStorage: &certmagic.FileStorage{Path: c.TLS.Auto.Storage}}
	a.storage = storage
	a.issuer = newIssuer(c, storage, a.allowed)
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return a.magic, nil },
		RenewCheckInterval: c.TLS.Auto.RenewCheck,
		Logger:             zap.NewNop(),
	})
	a.magic = certmagic.New(a.cache, certmagic.Config{
		Storage: storage, Issuers: []certmagic.Issuer{a.issuer}, OnEvent: a.report,
		RenewalWindowRatio: c.TLS.Auto.RenewalRatio, DisableARI: true,
		OCSP: certmagic.OCSPConfig{DisableStapling: true}, Logger: zap.NewNop(),
	})
	if err := a.SetHosts(hosts); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// report logs what certmagic tells.
func (a *autoCertificates) report(_ context.Context, event string, data map[string]any) error {
	switch event {
	case "cert_obtained":
		a.config.Log.Info("certificate obtained", "host", data["identifier"], "renewal", data["renewal"])
	case "cert_failed":
		a.config.Log.Error("certificate not obtained; it will be tried again", "host", data["identifier"], "renewal", data["renewal"], "error", data["error"])
	}
	return nil
}

// allowed reports whether there may be a certificate for host: the host policy.
func (a *autoCertificates) allowed(host string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hosts[strings.ToLower(host)]
}

// Get implements certificates.
func (a *autoCertificates) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acmeProtocol}) {
		challenge, ok := a.issuer.challenges.byHost(acme.ChallengeTypeTLSALPN01, hello.ServerName)
		if !ok {
			return nil, errors.New("no ACME challenge is open for that name")
		}
		return acmez.TLSALPN01ChallengeCert(challenge)
	}
	if !a.allowed(hello.ServerName) {
		return nil, errors.New("no site has that name")
	}
	return a.magic.GetCertificate(hello)
}

// Protocols implements certificates.
func (a *autoCertificates) Protocols() []string { return []string{acmeProtocol} }

// SetHosts implements certificates. Names that no public CA certifies are refused here,
// before a CA is asked for them again and again.
func (a *autoCertificates) SetHosts(hosts []string) error {
	next := make(map[string]bool, len(hosts))
	for _, h := range hosts {
		if !certmagic.SubjectQualifiesForPublicCert(h) || strings.Contains(h, "*") || certmagic.SubjectIsIP(h) {
			return fmt.Errorf("tls.auto cannot get a certificate for %q: name a public host, or give cert and key files", h)
		}
		next[h] = true
	}
	a.mu.Lock()
	before, running := a.hosts, a.running
	a.hosts = next
	a.mu.Unlock()
	if running == nil {
		return nil
	}
	var gone []certmagic.SubjectIssuer
	for h := range before {
		if !next[h] {
			gone = append(gone, certmagic.SubjectIssuer{Subject: h})
		}
	}
	a.cache.RemoveManaged(gone)
	return a.manage(running, hosts)
}

func (a *autoCertificates) manage(ctx context.Context, hosts []string) error {
	if err := a.magic.ManageAsync(ctx, hosts); err != nil {
		return fmt.Errorf("manage certificates: %w", err)
	}
	return nil
}

// HTTPChallenge implements certificates (RFC 8555 §8.3).
func (a *autoCertificates) HTTPChallenge(method, host, path string) ([]byte, bool) {
	token, ok := strings.CutPrefix(path, "/.well-known/acme-challenge/")
	if !ok || method != "GET" {
		return nil, false
	}
	name, _, p := splitHost(host)
	if p != nil {
		return nil, false
	}
	challenge, ok := a.issuer.challenges.byHost(acme.ChallengeTypeHTTP01, name)
	if !ok || challenge.Token != token {
		return nil, false
	}
	return []byte(challenge.KeyAuthorization), true
}

// Run implements certificates.
func (a *autoCertificates) Run(ctx context.Context) {
	a.mu.Lock()
	a.running, a.cancel = context.WithCancel(ctx)
	running, hosts := a.running, slices.Sorted(maps.Keys(a.hosts))
	a.mu.Unlock()
	if err := a.manage(running, hosts); err != nil {
		a.config.Log.Error("certificates", "error", err)
	}
}

// Close implements certificates.
func (a *autoCertificates) Close() {
	a.mu.Lock()
	cancel := a.cancel
	a.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	a.cache.Stop()
	a.storage.close(writingTime)
}

// writingTime is how long Close waits for a certificate that is being fetched: its
// requests end with Run's context, what was issued is written in no time.
const writingTime = 5 * time.Second
