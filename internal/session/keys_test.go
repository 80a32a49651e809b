package session_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/secret/seal"
	"sallyport/internal/session"
	"sallyport/internal/store/sqlite"
)

// published is what a stranger reads from a JWKS document.
func published(t *testing.T, k *session.Keys) map[string]ed25519.PublicKey {
	t.Helper()
	var doc struct {
		Keys []map[string]string `json:"keys"`
	}
	must(t, json.Unmarshal(k.JWKS(), &doc))
	out := map[string]ed25519.PublicKey{}
	for _, key := range doc.Keys {
		if key["kty"] != "OKP" || key["crv"] != "Ed25519" || key["alg"] != "EdDSA" || key["use"] != "sig" || len(key) != 6 {
			t.Errorf("published key %v; want exactly kty, crv, x, kid, alg, use", key)
		}
		x, err := base64.RawURLEncoding.DecodeString(key["x"])
		must(t, err)
		out[key["kid"]] = ed25519.PublicKey(x)
	}
	return out
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.SplitN(token, ".", 2)[0])
	must(t, err)
	var h struct{ Kid string }
	must(t, json.Unmarshal(raw, &h))
	return h.Kid
}

// TestTokenVerifiesWithTheStandardLibrary checks a minted token with nothing but the
// published key set, as any other program would.
func TestTokenVerifiesWithTheStandardLibrary(t *testing.T) {
	g := newGate(t)
	tok := g.mint(t).Token
	i := strings.LastIndexByte(tok, '.')
	signature, err := base64.RawURLEncoding.DecodeString(tok[i+1:])
	must(t, err)
	if !ed25519.Verify(published(t, g.keys)[kidOf(t, tok)], []byte(tok[:i]), signature) {
		t.Error("the signature does not fit the published key")
	}
}

// TestRotation walks three days in steps of 14 minutes. A key must be published for
// the lead before its first signature, and a token must verify until it expires.
func TestRotation(t *testing.T) {
	g := newGate(t)
	first := map[string]time.Time{} // kid → first seen published
	type live struct {
		token string
		until time.Time
	}
	var tokens []live
	signed, most := map[string]bool{}, 0
	for range 3 * 24 * 4 {
		must(t, g.keys.Refresh(t.Context()))
		now, set := g.clock.now(), published(t, g.keys)
		for k := range set {
			if _, ok := first[k]; !ok {
				first[k] = now
			}
		}
		most = max(most, len(set))
		m := g.mint(t)
		k := kidOf(t, m.Token)
		if !signed[k] && len(signed) > 0 && now.Sub(first[k]) < session.DefaultLead {
			t.Fatalf("key %s signs %s after it was published", k, now.Sub(first[k]))
		}
		signed[k] = true
		tokens = append(tokens, live{m.Token, m.Session.ExpiresAt})
		for len(tokens) > 0 && !now.Before(tokens[0].until) {
			tokens = tokens[1:]
		}
		fresh := g.openVerifier(t, g.keys) // without what the other one remembers
		for _, l := range tokens {
			if _, err := fresh.Verify(l.token, shop, origin); err != nil {
				t.Fatalf("at %s a live token was refused: %v", now, err)
			}
		}
		g.clock.advance(14 * time.Minute)
	}
	if len(signed) != 3 && len(signed) != 4 {
		t.Errorf("%d keys signed in three days, want one a day", len(signed))
	}
	if most != 2 {
		t.Errorf("%d keys were published at once, want at most 2", most)
	}
}

func TestOldKeyKeepsSigningAfterALongPause(t *testing.T) {
	g := newGate(t)
	was := kidOf(t, g.mint(t).Token)
	g.clock.advance(10 * 24 * time.Hour)
	keys := g.openKeys(t)
	if len(published(t, keys)) != 2 {
		t.Errorf("published: %v; want the old key and the next", published(t, keys))
	}
	must(t, g.keys.Refresh(t.Context()))
	if now := kidOf(t, g.mint(t).Token); now != was {
		t.Error("a key signed that nobody could have read yet")
	}
}

// TestProcessesRotateTogether lets eight Keys, as of eight processes, find at the same
// moment that a key is due.
func TestProcessesRotateTogether(t *testing.T) {
	g := newGate(t)
	all := make([]*session.Keys, 8)
	for i := range all {
		all[i] = g.openKeys(t)
	}
	g.clock.advance(session.DefaultPeriod)
	var wg sync.WaitGroup
	for _, k := range all {
		wg.Go(func() {
			if err := k.Refresh(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	stored, err := g.store.ListSigningKeys(t.Context())
	if err != nil || len(stored) != 2 {
		t.Fatalf("%d keys, %v; want the old one and one new", len(stored), err)
	}
	for i, k := range all {
		if string(k.JWKS()) != string(all[0].JWKS()) {
			t.Errorf("process %d publishes another set", i)
		}
	}
}

func TestTokensOfOneProcessVerifyInAnother(t *testing.T) {
	g := newGate(t)
	other := g.openVerifier(t, g.openKeys(t))
	if _, err := other.Verify(g.mint(t).Token, shop, origin); err != nil {
		t.Error(err)
	}
}

func TestKeysThatDoNotOpenStopTheStart(t *testing.T) {
	g := newGate(t)
	open := func(s *seal.Sealer) error {
		_, err := session.OpenKeys(t.Context(), session.KeysOptions{Store: g.store, Sealer: s, Now: g.clock.now})
		return err
	}
	if err := open(rootSealer(t, 2)); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("with another root key: %v, want ErrOpen", err)
	}
	stored, err := g.store.ListSigningKeys(t.Context())
	must(t, err)
	forged, _, err := ed25519.GenerateKey(nil)
	must(t, err)
	swap := stored[0]
	must(t, g.store.DeleteSigningKey(t.Context(), swap.ID))
	swap.Public = forged
	must(t, g.store.CreateSigningKey(t.Context(), swap))
	if err := open(g.sealer); err == nil {
		t.Error("a public key that somebody wrote into the store was taken")
	}
	moved := stored[0]
	must(t, g.store.DeleteSigningKey(t.Context(), swap.ID))
	moved.ID = "kmoved"
	must(t, g.store.CreateSigningKey(t.Context(), moved))
	if err := open(g.sealer); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("a sealed key under another id: %v, want ErrOpen", err)
	}
}

func TestKeysOptionsAreChecked(t *testing.T) {
	g := newGate(t)
	good := session.KeysOptions{Store: g.store, Sealer: g.sealer, Now: g.clock.now}
	for name, change := range map[string]func(*session.KeysOptions){
		"no store": func(o *session.KeysOptions) { o.Store = nil }, "no sealer": func(o *session.KeysOptions) { o.Sealer = nil },
		"no clock": func(o *session.KeysOptions) { o.Now = nil }, "lead within the cache time": func(o *session.KeysOptions) { o.Lead = session.JWKSMaxAge },
		"period within the lead": func(o *session.KeysOptions) { o.Period = time.Hour },
	} {
		o := good
		change(&o)
		if _, err := session.OpenKeys(t.Context(), o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestRunRotatesByItself lets a day pass on a synthetic clock.
func TestRunRotatesByItself(t *testing.T) {
	file := t.TempDir() + "/gate.db"
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), sqlite.Options{Path: file})
		must(t, err)
		defer store.Close()
		keys, err := session.OpenKeys(t.Context(), session.KeysOptions{Store: store, Sealer: rootSealer(t, 1), Now: time.Now})
		must(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- keys.Run(ctx) }()
		time.Sleep(session.DefaultPeriod - session.DefaultLead - time.Second)
		synctest.Wait()
		if n := len(published(t, keys)); n != 1 {
			t.Errorf("%d keys before the next is due, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := len(published(t, keys)); n != 2 {
			t.Errorf("%d keys after the next was due, want 2", n)
		}
		stop()
		must(t, <-done)
	})
}

// TestRotateNow makes the next key before its time: it is published first, signs after, and the
// tokens of the one before stay good.
func TestRotateNow(t *testing.T) {
	g := newGate(t)
	before := g.mint(t).Token
	from, err := g.keys.Rotate(t.Context())
	must(t, err)
	again, err := g.keys.Rotate(t.Context())
	must(t, err)
	if !from.Equal(again) {
		t.Errorf("asked twice, two keys: %s and %s", from, again)
	}
	must(t, g.keys.Refresh(t.Context()))
	if n := len(published(t, g.keys)); n != 2 {
		t.Fatalf("%d keys are published, want 2", n)
	}
	if kidOf(t, g.mint(t).Token) != kidOf(t, before) {
		t.Error("the new key signs before anybody can know it")
	}
	g.clock.advance(from.Sub(g.clock.now()))
	if kidOf(t, g.mint(t).Token) == kidOf(t, before) {
		t.Error("the old key still signs")
	}
	if _, err := g.verifier.Verify(before, "shop", origin); err != nil {
		t.Errorf("a token of the key before: %v", err)
	}
}

// TestReplacedKeysEndEveryVisit, on another process too, at its next look at the store; the end of
// one site's visits ends no other's, and visits begin anew.
func TestReplacedKeysEndEveryVisit(t *testing.T) {
	g := newGate(t)
	token := g.mint(t).Token
	must(t, session.EndSite(t.Context(), g.store, "blog", g.clock.now()))
	must(t, g.verifier.Sync(t.Context()))
	if _, err := g.verifier.Verify(token, "shop", origin); err != nil {
		t.Fatalf("the end of another site's visits: %v", err)
	}
	must(t, session.EndSite(t.Context(), g.store, "shop", g.clock.now()))
	must(t, g.verifier.Sync(t.Context()))
	if _, err := g.verifier.Verify(token, "shop", origin); err == nil {
		t.Fatal("a visit of the site goes on")
	}
	g.clock.advance(time.Second)
	token = g.mint(t).Token
	if _, err := g.verifier.Verify(token, "shop", origin); err != nil {
		t.Fatalf("a visit after the end: %v", err)
	}
	other, err := session.OpenKeys(t.Context(), session.KeysOptions{Store: g.store, Sealer: g.sealer, Now: g.clock.now})
	must(t, err)
	must(t, other.Replace(t.Context(), g.store))
	if _, err := g.verifier.Verify(token, "shop", origin); err != nil {
		t.Fatalf("before it looked: %v", err)
	}
	must(t, g.verifier.Sync(t.Context()))
	if _, err := g.verifier.Verify(token, "shop", origin); err == nil {
		t.Fatal("a token of a withdrawn key is good")
	}
	if n := len(published(t, g.keys)); n != 1 {
		t.Errorf("%d keys are published, want the new one", n)
	}
	if _, err := g.verifier.Verify(g.mint(t).Token, "shop", origin); err != nil {
		t.Errorf("a new visit: %v", err)
	}
}
