package session_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/problem"
	"sallyport/internal/ratelimit"
	"sallyport/internal/secret"
	"sallyport/internal/secret/seal"
	"sallyport/internal/session"
	"sallyport/internal/site"
	"sallyport/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuerName = "https://gate.example"
	shop       = "shop"
	origin     = site.Origin("https://shop.example")
)

var client = netip.MustParseAddr("203.0.113.7")

// clock is a clock that a test moves. It starts at a whole second.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// gate is everything of this package over a real store.
type gate struct {
	clock    *clock
	store    *sqlite.Store
	sealer   *seal.Sealer
	keys     *session.Keys
	limiter  *ratelimit.Limiter
	issuer   *session.Issuer
	verifier *session.Verifier
}

func rootSealer(t testing.TB, b byte) *seal.Sealer {
	t.Helper()
	s, err := seal.NewRoot(secret.NewValue(bytes.Repeat([]byte{b}, seal.RootSize)))
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openStore(t testing.TB) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(t.TempDir(), "gate.db"), Role: sqlite.Serve})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func newGate(t testing.TB) *gate {
	t.Helper()
	g := &gate{clock: newClock(), store: openStore(t), sealer: rootSealer(t, 1), limiter: ratelimit.New(1 << 12)}
	g.keys = g.openKeys(t)
	var err error
	g.issuer, err = session.NewIssuer(session.IssuerOptions{Name: issuerName, Keys: g.keys, Limiter: g.limiter, Now: g.clock.now})
	must(t, err)
	g.verifier = g.openVerifier(t, g.keys)
	return g
}

func (g *gate) openKeys(t testing.TB) *session.Keys {
	t.Helper()
	k, err := session.OpenKeys(context.Background(), session.KeysOptions{Store: g.store, Sealer: g.sealer, Now: g.clock.now})
	must(t, err)
	return k
}

func (g *gate) openVerifier(t testing.TB, keys *session.Keys) *session.Verifier {
	t.Helper()
	v, err := session.OpenVerifier(context.Background(), session.VerifierOptions{
		Name: issuerName, Keys: keys, Store: g.store, Now: g.clock.now, CacheEntries: 1 << 10})
	must(t, err)
	return v
}

func (g *gate) mint(t testing.TB) session.Minted {
	t.Helper()
	m, err := g.issuer.Mint(t.Context(), session.Request{Site: shop, Origin: origin, Client: client})
	must(t, err)
	return m
}

// plant puts a signing key of the test's own into the store, so that the test can sign
// whatever it likes with a key that the gate knows.
func (g *gate) plant(t testing.TB, kid string) ed25519.PrivateKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	sealed, err := g.sealer.Seal(private.Seed(), "session-signing-key/"+kid)
	must(t, err)
	must(t, g.store.CreateSigningKey(t.Context(), session.StoredSigningKey{
		ID: kid, Public: public, Sealed: sealed, Predecessor: "p-" + kid, CreatedAt: g.clock.now(), SignsFrom: g.clock.now()}))
	must(t, g.keys.Refresh(t.Context()))
	return private
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// token signs exactly these bytes.
func token(key ed25519.PrivateKey, header, payload string) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + b64(string(ed25519.Sign(key, []byte(input))))
}

// refusedAlike fails unless err is the one uniform refusal.
func refusedAlike(t *testing.T, what string, err error) {
	t.Helper()
	want := `{"type":"about:blank#unauthenticated","title":"Not authenticated","status":401,"code":"unauthenticated",` +
		`"detail":"the session or key is missing, expired or not valid here",` +
		`"hint":"browsers: POST session again from one of the site's origins; backends: check the site key"}`
	var p *problem.Error
	if !errors.As(err, &p) {
		t.Errorf("%s: %v; want the uniform refusal", what, err)
		return
	}
	if got := string(p.Document("")); got != want {
		t.Errorf("%s: refused with\n%s\nwant\n%s", what, got, want)
	}
}
