package ingress

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// letsEncrypt is the directory used when none is named.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// issuer is a certmagic.Issuer whose every connection is made by the client that it was
// given. It answers challenges on the listeners that are already there.
type issuer struct {
	directory, email string
	client           *acmez.Client
	storage          certmagic.Storage
	allowed          func(host string) bool
	challenges       *challenges
}

func newIssuer(c Config, storage certmagic.Storage, allowed func(string) bool) *issuer {
	i := &issuer{
		directory: c.TLS.Auto.Directory, email: c.TLS.Auto.Email, storage: storage, allowed: allowed,
		challenges: &challenges{open: map[string]acme.Challenge{}},
	}
	if i.directory == "" {
		i.directory = letsEncrypt
	}
	i.client = &acmez.Client{
		Client:           &acme.Client{Directory: i.directory, HTTPClient: c.TLS.Auto.Client, UserAgent: "sallyport"},
		ChallengeSolvers: map[string]acmez.Solver{acme.ChallengeTypeTLSALPN01: i.challenges},
	}
	if c.HTTP != "" {
		i.client.ChallengeSolvers[acme.ChallengeTypeHTTP01] = i.challenges
	}
	return i
}

// IssuerKey implements certmagic.Issuer.
func (i *issuer) IssuerKey() string {
	sum := sha256.Sum256([]byte(i.directory))
	return "acme-" + hex.EncodeToString(sum[:6])
}

// Issue implements certmagic.Issuer.
func (i *issuer) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	for _, name := range csr.DNSNames {
		if !i.allowed(name) {
			return nil, fmt.Errorf("get certificate: %q is not a host of any site", name)
		}
	}
	out, err := i.order(ctx, csr)
	var p acme.Problem
	if errors.As(err, &p) && p.Type == acme.ProblemTypeAccountDoesNotExist {
		// The CA forgot the account: make a new one, once.
		if err := i.storage.Delete(ctx, i.accountKey()); err != nil {
			return nil, fmt.Errorf("drop ACME account: %w", err)
		}
		out, err = i.order(ctx, csr)
	}
	return out, err
}

func (i *issuer) order(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	account, err := i.account(ctx)
	if err != nil {
		return nil, err
	}
	params, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return nil, fmt.Errorf("make ACME order: %w", err)
	}
	chains, err := i.client.ObtainCertificate(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("get certificate: %w", err)
	}
	if len(chains) == 0 {
		return nil, errors.New("get certificate: the CA gave no chain")
	}
	return &certmagic.IssuedCertificate{Certificate: chains[0].ChainPEM}, nil
}

func (i *issuer) accountKey() string { return i.IssuerKey() + "/account.json" }

// stored is the account as it lies in the folder, which is ours alone.
type stored struct {
	Account acme.Account `json:"account"`
	Key     string       `json:"key"`
}

// account loads the account or makes one. The lock keeps two processes that share the
// folder from making two.
func (i *issuer) account(ctx context.Context) (acme.Account, error) {
	if err := i.storage.Lock(ctx, i.accountKey()); err != nil {
		return acme.Account{}, fmt.Errorf("lock ACME account: %w", err)
	}
	defer i.storage.Unlock(context.WithoutCancel(ctx), i.accountKey()) //nolint:errcheck // the lock also ages out
	raw, err := i.storage.Load(ctx, i.accountKey())
	if errors.Is(err, fs.ErrNotExist) {
		return i.register(ctx)
	}
	if err != nil {
		return acme.Account{}, fmt.Errorf("load ACME account: %w", err)
	}
	var s stored
	if err := json.Unmarshal(raw, &s); err != nil {
		return acme.Account{}, fmt.Errorf("read ACME account: %w", err)
	}
	s.Account.PrivateKey, err = certmagic.PEMDecodePrivateKey([]byte(s.Key))
	if err != nil {
		return acme.Account{}, fmt.Errorf("read ACME account key: %w", err)
	}
	return s.Account, nil
}

// register makes an account. Turning tls.auto on accepts the CA's terms.
func (i *issuer) register(ctx context.Context) (acme.Account, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return acme.Account{}, fmt.Errorf("make ACME account key: %w", err)
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if i.email != "" {
		account.Contact = []string{"mailto:" + i.email}
	}
	if account, err = i.client.NewAccount(ctx, account); err != nil {
		return acme.Account{}, fmt.Errorf("register ACME account: %w", err)
	}
	account.PrivateKey = key
	keyPEM, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		return acme.Account{}, fmt.Errorf("write ACME account key: %w", err)
	}
	raw, err := json.Marshal(stored{account, string(keyPEM)})
	if err != nil {
		return acme.Account{}, fmt.Errorf("write ACME account: %w", err)
	}
	if err := i.storage.Store(ctx, i.accountKey(), raw); err != nil {
		return acme.Account{}, fmt.Errorf("store ACME account: %w", err)
	}
	return account, nil
}

// challenges are those that are open, by type and host: as many as orders in progress.
type challenges struct {
	mu   sync.Mutex
	open map[string]acme.Challenge
}

func challengeKey(kind, host string) string { return kind + " " + strings.ToLower(host) }

// Present implements acmez.Solver.
func (c *challenges) Present(_ context.Context, challenge acme.Challenge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[challengeKey(challenge.Type, challenge.Identifier.Value)] = challenge
	return nil
}

// CleanUp implements acmez.Solver.
func (c *challenges) CleanUp(_ context.Context, challenge acme.Challenge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, challengeKey(challenge.Type, challenge.Identifier.Value))
	return nil
}

func (c *challenges) byHost(kind, host string) (acme.Challenge, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	challenge, ok := c.open[challengeKey(kind, host)]
	return challenge, ok
}
