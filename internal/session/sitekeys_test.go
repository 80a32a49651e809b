package session_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/session"
	"sallyport/internal/store/sqlite"
)

func twilioShape() provider.KeyShape {
	return provider.KeyShape{Name: "twilio", Prefix: "", Length: 32, Alphabet: "hex", User: "AC", UserLen: 32}
}

func stripeShape() provider.KeyShape {
	return provider.KeyShape{Name: "stripe-test", Prefix: "sk_test_", Length: 64, Alphabet: "base62", Mode: provider.Sandbox}
}

// countingStore counts look-ups and can fail.
type countingStore struct {
	session.SiteKeyStore
	finds  atomic.Int64
	broken atomic.Bool
}

func (c *countingStore) FindSiteKey(ctx context.Context, h [32]byte) (session.StoredKey, error) {
	c.finds.Add(1)
	if c.broken.Load() {
		return session.StoredKey{}, errors.New("disk I/O error at /var/lib/x")
	}
	return c.SiteKeyStore.FindSiteKey(ctx, h)
}

type keyGate struct {
	*gate
	store *countingStore
	keys  *session.SiteKeys
}

func newKeyGate(t testing.TB) *keyGate {
	t.Helper()
	g := newGate(t)
	k := &keyGate{gate: g, store: &countingStore{SiteKeyStore: g.store}}
	var err error
	k.keys, err = session.NewSiteKeys(session.SiteKeysOptions{Store: k.store, Limiter: g.limiter, Now: g.clock.now})
	must(t, err)
	return k
}

// create makes and stores a key, and returns what a caller would present.
func (k *keyGate) create(t testing.TB, shape provider.KeyShape, site, connection string) ([]string, session.StoredKey) {
	t.Helper()
	p, stored, err := session.NewSiteKey(shape, site, connection, k.clock.now().Truncate(time.Millisecond).UTC())
	must(t, err)
	must(t, k.store.CreateSiteKey(context.Background(), stored))
	values := []string{string(p.Secret.Expose())}
	if p.User != "" {
		values = []string{p.User, values[0]}
	}
	return values, stored
}

func (k *keyGate) verify(site, connection string, values ...string) (session.StoredKey, error) {
	return k.keys.Verify(context.Background(), session.Attempt{
		Site: site, Connection: connection, Client: client, Presented: session.ParsePresented(values...)})
}

func TestPrintedShapes(t *testing.T) {
	for _, c := range []struct {
		shape        provider.KeyShape
		secret, user string
	}{
		{session.DefaultShape(), `^spk_[0-9A-Za-z]{43}$`, `^$`},
		{stripeShape(), `^sk_test_[0-9A-Za-z]{64}$`, `^$`},
		{twilioShape(), `^[0-9a-f]{32}$`, `^AC[0-9a-f]{32}$`},
		{provider.KeyShape{Name: "x", Length: 22, Alphabet: "base64url"}, `^[0-9A-Za-z_-]{22}$`, `^$`},
	} {
		p, k, err := session.NewSiteKey(c.shape, shop, "", time.Now())
		must(t, err)
		value := string(p.Secret.Expose())
		if !regexp.MustCompile(c.secret).MatchString(value) || !regexp.MustCompile(c.user).MatchString(p.User) {
			t.Errorf("%s: printed %q and %q", c.shape.Name, value, p.User)
		}
		if s := fmt.Sprintf("%+v %#v %s", p, p, p.Secret) + fmt.Sprintf("%+v", k); strings.Contains(s, value) {
			t.Errorf("%s: the key prints itself", c.shape.Name)
		}
		if k.Shape != c.shape.Name || k.Site != shop || !strings.HasPrefix(k.ID, "key_") {
			t.Errorf("stored %+v", k)
		}
	}
}

func TestShapesThatAreTooWeakOrBroken(t *testing.T) {
	for name, s := range map[string]provider.KeyShape{
		"too few bits": {Length: 21, Alphabet: "base62"}, "hex of 31": {Length: 31, Alphabet: "hex"}, "no length": {Alphabet: "base62"},
		"unknown alphabet": {Length: 64, Alphabet: "klingon"}, "too long": {Length: 300, Alphabet: "hex"},
		"space in prefix": {Prefix: "sk ", Length: 64, Alphabet: "hex"}, "user too short": {Length: 64, Alphabet: "hex", User: "AC", UserLen: 1},
	} {
		if _, _, err := session.NewSiteKey(s, shop, "", time.Now()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, _, err := session.NewSiteKey(session.DefaultShape(), "", "", time.Now()); err == nil {
		t.Error("a key without a site was made")
	}
}

// TestAlphabetIsEven draws many characters and looks at how often each came (chi squared).
func TestAlphabetIsEven(t *testing.T) {
	counts, n := map[rune]int{}, 0
	for range 400 {
		p, _, err := session.NewSiteKey(session.DefaultShape(), shop, "", time.Now())
		must(t, err)
		for _, c := range strings.TrimPrefix(string(p.Secret.Expose()), "spk_") {
			counts[c]++
			n++
		}
	}
	want, chi := float64(n)/62, 0.0
	for _, got := range counts {
		chi += math.Pow(float64(got)-want, 2) / want
	}
	if len(counts) != 62 || chi > 130 { // 61 degrees of freedom: beyond 130 once in a million
		t.Errorf("%d characters, chi squared %.0f", len(counts), chi)
	}
}

// TestStoredPartCannotForge derives both halves independently (RFC 5869) and checks that
// what is stored is the hash and the public half only.
func TestStoredPartCannotForge(t *testing.T) {
	p, k, err := session.NewSiteKey(session.DefaultShape(), shop, "", time.Now())
	must(t, err)
	derive := func(info string) []byte {
		b, err := hkdf.Key(sha256.New, p.Secret.Expose(), nil, info, 32)
		must(t, err)
		return b
	}
	auth := derive("sallyport/v1/site-key/authentication")
	if k.AuthHash != sha256.Sum256(auth) {
		t.Error("the stored hash is not of the derived secret")
	}
	permit := ed25519.NewKeyFromSeed(derive("sallyport/v1/site-key/permit"))
	message := []byte("permit")
	if !ed25519.Verify(k.PermitKey, message, ed25519.Sign(permit, message)) {
		t.Error("the holder's permit does not verify with the stored key")
	}
	g := newKeyGate(t)
	must(t, g.store.CreateSiteKey(t.Context(), k))
	for name, v := range map[string]string{
		"the stored hash": string(k.AuthHash[:]), "in hex": fmt.Sprintf("%x", k.AuthHash), "the derived secret": fmt.Sprintf("%x", auth), "the id": k.ID,
	} {
		_, err := g.verify(shop, "payments", v)
		refusedAlike(t, name, err)
	}
}

func TestKeyOpensItsSiteAndConnection(t *testing.T) {
	g := newKeyGate(t)
	all, allKey := g.create(t, session.DefaultShape(), shop, "")
	one, oneKey := g.create(t, stripeShape(), shop, "payments")
	pair, pairKey := g.create(t, twilioShape(), shop, "sms")
	otherPair, _ := g.create(t, twilioShape(), shop, "sms")
	for range 2 { // from the store, then from memory
		for name, c := range map[string]struct {
			connection string
			values     []string
			want       session.StoredKey
		}{
			"all, payments": {"payments", all, allKey}, "all, maps": {"maps", all, allKey}, "one": {"payments", one, oneKey},
			"Basic with an empty password": {"payments", []string{one[0], ""}, oneKey}, "pair": {"sms", pair, pairKey},
			"pair the other way": {"sms", []string{pair[1], pair[0]}, pairKey}, "beside other values": {"payments", []string{"an-unrelated-value", one[0]}, oneKey},
		} {
			if k, err := g.verify(shop, c.connection, c.values...); err != nil || k.ID != c.want.ID || string(k.PermitKey) != string(c.want.PermitKey) {
				t.Errorf("%s: %+v, %v", name, k, err)
			}
		}
		for name, c := range map[string]struct {
			site, connection string
			values           []string
		}{
			"another site": {"blog", "payments", all}, "another connection": {shop, "maps", one}, "no site": {"", "payments", all},
			"nothing": {shop, "payments", nil}, "empty": {shop, "payments", []string{""}}, "unknown": {shop, "payments", []string{"spk_" + strings.Repeat("a", 43)}},
			"half of the pair": {shop, "sms", pair[1:]}, "user twice": {shop, "sms", []string{pair[0], pair[0]}}, "secret twice": {shop, "sms", []string{pair[1], pair[1]}},
			"another pair's user": {shop, "sms", []string{otherPair[0], pair[1]}}, "two keys": {shop, "payments", []string{all[0], one[0]}},
			"in capitals": {shop, "payments", []string{strings.ToUpper(one[0])}}, "with a space": {shop, "payments", []string{one[0] + " "}},
			"cut": {shop, "payments", []string{one[0][:len(one[0])-1]}}, "longer": {shop, "payments", []string{one[0] + "a"}},
			"very long": {shop, "payments", []string{strings.Repeat("a", 1<<20)}}, "fifth": {shop, "payments", []string{"value-one", "value-two", "value-three", "value-four", one[0]}},
		} {
			_, err := g.verify(c.site, c.connection, c.values...)
			refusedAlike(t, name, err)
		}
		g.clock.advance(10 * time.Minute) // the failures are forgotten, the memory is stale
	}
}

func TestHotKeyIsFoundInMemory(t *testing.T) {
	g := newKeyGate(t)
	pair, _ := g.create(t, twilioShape(), shop, "")
	if _, err := g.verify(shop, "sms", pair...); err != nil {
		t.Fatal(err)
	}
	g.store.finds.Store(0)
	for range 50 {
		if _, err := g.verify(shop, "sms", pair...); err != nil {
			t.Fatal(err)
		}
	}
	if n := g.store.finds.Load(); n != 0 {
		t.Errorf("%d look-ups for a key just found, want 0", n)
	}
	g.clock.advance(500 * time.Millisecond)
	if _, err := g.verify(shop, "sms", pair...); err != nil || g.store.finds.Load() != 1 {
		t.Errorf("after half a second: %v, %d look-ups; want 1", err, g.store.finds.Load())
	}
}

// TestRevocationByTheCLI revokes through a store of its own, as another process does.
func TestRevocationByTheCLI(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gate.db")
	serving, err := sqlite.Open(t.Context(), sqlite.Options{Path: file, Role: sqlite.Serve})
	must(t, err)
	defer serving.Close()
	tool, err := sqlite.Open(t.Context(), sqlite.Options{Path: file})
	must(t, err)
	defer tool.Close()
	keys, err := session.NewSiteKeys(session.SiteKeysOptions{Store: serving, Limiter: ratelimit.New(64), Now: time.Now})
	must(t, err)
	p, stored, err := session.NewSiteKey(session.DefaultShape(), shop, "", time.Now())
	must(t, err)
	must(t, tool.CreateSiteKey(t.Context(), stored))
	a := session.Attempt{Site: shop, Connection: "payments", Client: client, Presented: session.ParsePresented(string(p.Secret.Expose()))}
	if _, err := keys.Verify(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	must(t, tool.RevokeSiteKey(t.Context(), stored.ID, time.Now()))
	revoked := time.Now()
	for ; ; time.Sleep(5 * time.Millisecond) {
		if _, err = keys.Verify(t.Context(), a); err != nil {
			break
		}
		if time.Since(revoked) > time.Second {
			t.Fatal("a second after its revocation the key still opens")
		}
	}
	refusedAlike(t, "revoked", err)
}

func TestStoreFaultIsNotARefusal(t *testing.T) {
	g := newKeyGate(t)
	key, _ := g.create(t, session.DefaultShape(), shop, "")
	g.store.broken.Store(true)
	_, err := g.verify(shop, "payments", key...)
	if code(err) != problem.StoreUnavailable || strings.Contains(string(problem.From(err).Document("")), "disk") {
		t.Errorf("a broken store: %v; want store_unavailable without the inner error", err)
	}
}

func TestGuessersAreHeldBackAndOthersAreNot(t *testing.T) {
	g := newKeyGate(t)
	known, _ := g.create(t, twilioShape(), shop, "")
	late, _ := g.create(t, session.DefaultShape(), shop, "")
	if _, err := g.verify(shop, "sms", known...); err != nil {
		t.Fatal(err)
	}
	g.store.finds.Store(0)
	refusals := map[problem.Code]int{}
	for i := range 500 {
		_, err := g.verify(shop, "payments", fmt.Sprintf("spk_%043d", i))
		refusals[code(err)]++
	}
	if refusals[problem.Unauthenticated] != 30 || refusals[problem.RateLimited] != 470 || g.store.finds.Load() != 30 {
		t.Errorf("500 guesses: %v, %d look-ups; want 30 refused, the rest held back without a look-up", refusals, g.store.finds.Load())
	}
	_, err := g.verify(shop, "payments", late...)
	if p := problem.From(err); p.Code != problem.RateLimited || p.RetryAfterSeconds() < 1 {
		t.Errorf("a key never seen, from the guesser's network: %v; want to be told to wait", err)
	}
	g.clock.advance(time.Second) // the known key is to be asked for again
	if _, err := g.verify(shop, "sms", known...); err != nil {
		t.Errorf("a key in use, from the guesser's network: %v", err)
	}
	elsewhere := session.Attempt{Site: shop, Connection: "payments", Client: netip.MustParseAddr("198.51.100.1"), Presented: session.ParsePresented(late...)}
	if _, err := g.keys.Verify(t.Context(), elsewhere); err != nil {
		t.Errorf("another network: %v", err)
	}
	g.clock.advance(time.Minute)
	if _, err := g.verify(shop, "payments", late...); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestLastUseIsStored(t *testing.T) {
	g := newKeyGate(t)
	values, stored := g.create(t, session.DefaultShape(), shop, "")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- g.keys.Run(ctx) }()
	g.clock.advance(time.Hour)
	if _, err := g.verify(shop, "payments", values...); err != nil {
		t.Fatal(err)
	}
	stop()
	must(t, <-done) // Run stores what is left when it ends
	got, err := g.store.FindSiteKey(t.Context(), stored.AuthHash)
	if err != nil || !got.LastUsedAt.Equal(stored.CreatedAt.Add(time.Hour)) {
		t.Errorf("last used %s, %v; want %s", got.LastUsedAt, err, stored.CreatedAt.Add(time.Hour))
	}
}

func TestSiteKeysFromManyGoroutines(t *testing.T) {
	g := newKeyGate(t)
	var values [][]string
	var stored []session.StoredKey
	for i := range 4 {
		v, k := g.create(t, []provider.KeyShape{session.DefaultShape(), twilioShape()}[i%2], shop, "")
		values, stored = append(values, v), append(stored, k)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 100 {
				n := (i + w) % len(values)
				if k, err := g.verify(shop, "sms", values[n]...); err != nil || k.ID != stored[n].ID {
					t.Errorf("key %d: %s, %v", n, k.ID, err)
				}
				if i%20 == 0 {
					g.clock.advance(200 * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkSiteKeyHot(b *testing.B) {
	g := newKeyGate(b)
	values, _ := g.create(b, stripeShape(), shop, "")
	a := session.Attempt{Site: shop, Connection: "payments", Client: client, Presented: session.ParsePresented(values...)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.keys.Verify(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
}
