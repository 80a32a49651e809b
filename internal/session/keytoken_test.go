package session_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/internal/jws"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/session"
)

// tokenGate is a keyGate whose keys can be changed for tokens.
func tokenGate(t *testing.T) *keyGate {
	t.Helper()
	k := newKeyGate(t)
	var err error
	k.keys, err = session.NewSiteKeys(session.SiteKeysOptions{Store: k.store, Limiter: k.limiter, Now: k.clock.now, Tokens: k.gate.keys})
	must(t, err)
	return k
}

func (k *keyGate) stated(site, connection string, mode provider.Mode, statement string, beside ...string) (session.StoredKey, error) {
	return k.keys.Verify(context.Background(), session.Attempt{Site: site, Connection: connection, Mode: mode, Client: client,
		Presented: session.ParsePresented(beside...), Statement: statement})
}

func unauthenticated(t *testing.T, what string, err error) {
	t.Helper()
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != problem.Unauthenticated {
		t.Errorf("%s: %v, want unauthenticated", what, err)
	}
}

// TestKeyToken: a token stands for its key at one connection of one site in one mode, until
// it expires or the key is revoked, and then at once.
func TestKeyToken(t *testing.T) {
	g := tokenGate(t)
	values, stored := g.create(t, session.DefaultShape(), shop, "payments")
	token, err := g.keys.IssueToken(stored, "payments", provider.Sandbox)
	must(t, err)
	if token.Life <= 0 || token.Life > session.KeyTokenLife || strings.Contains(token.Token, values[0]) {
		t.Fatalf("%+v", token)
	}
	for range 2 { // the second time from memory
		got, err := g.stated(shop, "payments", provider.Sandbox, token.Token)
		must(t, err)
		if got.ID != stored.ID {
			t.Errorf("the token stands for %s", got.ID)
		}
	}
	for name, try := range map[string]func() (session.StoredKey, error){
		"another site":       func() (session.StoredKey, error) { return g.stated("blog", "payments", provider.Sandbox, token.Token) },
		"another connection": func() (session.StoredKey, error) { return g.stated(shop, "sms", provider.Sandbox, token.Token) },
		"another mode":       func() (session.StoredKey, error) { return g.stated(shop, "payments", provider.Live, token.Token) },
		"beside a key": func() (session.StoredKey, error) {
			return g.stated(shop, "payments", provider.Sandbox, token.Token, values[0])
		},
		"cut": func() (session.StoredKey, error) {
			return g.stated(shop, "payments", provider.Sandbox, token.Token[:len(token.Token)-1])
		},
		"not one": func() (session.StoredKey, error) { return g.stated(shop, "payments", provider.Sandbox, "a.b.c") },
	} {
		_, err := try()
		unauthenticated(t, name, err)
	}
	g.clock.advance(session.KeyTokenLife - time.Second)
	if _, err := g.stated(shop, "payments", provider.Sandbox, token.Token); err != nil {
		t.Errorf("a second before it expires: %v", err)
	}
	g.clock.advance(time.Second)
	_, err = g.stated(shop, "payments", provider.Sandbox, token.Token)
	unauthenticated(t, "expired", err)
}

func TestKeyTokenOfARevokedKey(t *testing.T) {
	g := tokenGate(t)
	_, stored := g.create(t, session.DefaultShape(), shop, "")
	token, err := g.keys.IssueToken(stored, "payments", provider.Mock)
	must(t, err)
	if _, err := g.stated(shop, "payments", provider.Mock, token.Token); err != nil {
		t.Fatal(err)
	}
	must(t, g.store.RevokeSiteKey(t.Context(), stored.ID, g.clock.now()))
	g.keys.Recheck()
	_, err = g.stated(shop, "payments", provider.Mock, token.Token)
	unauthenticated(t, "revoked", err)
}

// TestKeyTokenForms: only the gate's own tokens of exactly this form count, whoever signed.
func TestKeyTokenForms(t *testing.T) {
	g := tokenGate(t)
	_, stored := g.create(t, session.DefaultShape(), shop, "")
	private := g.plant(t, "planted")
	now := g.clock.now().Unix()
	claims := func(change func(m map[string]any)) string {
		m := map[string]any{"aud": shop, "con": "payments", "mode": "sandbox", "sub": base64.RawURLEncoding.EncodeToString(stored.PermitKey),
			"iat": now, "exp": now + 60, "jti": "1"}
		change(m)
		b, err := json.Marshal(m)
		must(t, err)
		return string(b)
	}
	signed := func(typ, kid string, key ed25519.PrivateKey, payload string) string {
		return jws.Sign(typ, kid, key, []byte(payload))
	}
	same := func(map[string]any) {}
	if _, err := g.stated(shop, "payments", provider.Sandbox, signed("sallyport-key+jwt", "planted", private, claims(same))); err != nil {
		t.Fatalf("the form that the rows change: %v", err)
	}
	_, other, err := ed25519.GenerateKey(nil)
	must(t, err)
	for name, token := range map[string]string{
		"another type":  signed("sallyport-session+jwt", "planted", private, claims(same)),
		"another key":   signed("sallyport-key+jwt", "planted", other, claims(same)),
		"unknown kid":   signed("sallyport-key+jwt", "../planted", private, claims(same)),
		"too long":      signed("sallyport-key+jwt", "planted", private, claims(func(m map[string]any) { m["exp"] = now + int64(session.KeyTokenLife.Seconds()) + 1 })),
		"from tomorrow": signed("sallyport-key+jwt", "planted", private, claims(func(m map[string]any) { m["iat"], m["exp"] = now+86400, now+86460 })),
		"no end":        signed("sallyport-key+jwt", "planted", private, claims(func(m map[string]any) { delete(m, "exp") })),
		"no key":        signed("sallyport-key+jwt", "planted", private, claims(func(m map[string]any) { m["sub"] = "AAAA" })),
		"unknown key":   signed("sallyport-key+jwt", "planted", private, claims(func(m map[string]any) { m["sub"] = strings.Repeat("A", 43) })),
		"more claims":   signed("sallyport-key+jwt", "planted", private, claims(func(m map[string]any) { m["scope"] = "all" })),
		"a visit's":     g.mint(t).Token,
	} {
		if _, err := g.stated(shop, "payments", provider.Sandbox, token); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestKeyTokensAreLimited: a network that presents many unknown statements is held back; a token
// in use goes on.
func TestKeyTokensAreLimited(t *testing.T) {
	g := tokenGate(t)
	_, stored := g.create(t, session.DefaultShape(), shop, "")
	token, err := g.keys.IssueToken(stored, "payments", provider.Mock)
	must(t, err)
	_, err = g.stated(shop, "payments", provider.Mock, token.Token)
	must(t, err)
	var p *problem.Error
	for i := range 100 {
		if _, err = g.stated(shop, "payments", provider.Mock, fmt.Sprintf("a.b.%d", i)); errors.As(err, &p) && p.Code == problem.RateLimited {
			break
		}
	}
	if p.Code != problem.RateLimited {
		t.Error("100 unknown statements, and none was held back")
	}
	if _, err := g.stated(shop, "payments", provider.Mock, token.Token); err != nil {
		t.Errorf("a token in use: %v", err)
	}
}

func TestNoTokensWithoutKeys(t *testing.T) {
	g := newKeyGate(t)
	_, stored := g.create(t, session.DefaultShape(), shop, "")
	if _, err := g.keys.IssueToken(stored, "payments", provider.Mock); err == nil {
		t.Error("a token was made without keys")
	}
	_, err := g.stated(shop, "payments", provider.Mock, "a.b.c")
	unauthenticated(t, "a statement", err)
	withKeys := tokenGate(t)
	for name, k := range map[string]session.StoredKey{"no site": {PermitKey: stored.PermitKey}, "no permit key": {Site: shop}} {
		if _, err := withKeys.keys.IssueToken(k, "payments", provider.Mock); err == nil {
			t.Errorf("%s: a token was made", name)
		}
	}
	if _, err := withKeys.keys.IssueToken(stored, "payments", ""); err == nil {
		t.Error("a token without a mode was made")
	}
}
