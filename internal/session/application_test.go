package session_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/provider"
	"sallyport/internal/session"
)

func applicationShape() provider.KeyShape {
	return provider.KeyShape{Name: "signs", Length: 32, Alphabet: "hex", UserLen: 8,
		Application: &provider.KeyApplication{Claim: "application_id", Life: "24h"}}
}

// applications is a keyGate that takes tokens which applications sign.
type applications struct {
	*keyGate
	printed session.Printed
	stored  session.StoredKey
	private *rsa.PrivateKey
}

func newApplications(t *testing.T) *applications {
	t.Helper()
	a := &applications{keyGate: newKeyGate(t)}
	var err error
	a.keys, err = session.NewSiteKeys(session.SiteKeysOptions{Store: a.store, Limiter: a.limiter, Now: a.clock.now, Tokens: a.gate.keys, Applications: a.gate.store})
	must(t, err)
	a.printed, a.stored, err = session.NewSiteKey(applicationShape(), shop, "sms", a.clock.now())
	must(t, err)
	must(t, a.store.CreateSiteKey(t.Context(), a.stored))
	block, rest := pem.Decode(a.printed.Application.PrivateKey.Expose())
	if block == nil || len(rest) != 0 {
		t.Fatal("the private key is no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	a.private, _ = key.(*rsa.PrivateKey)
	return a
}

func rs256(t *testing.T, key *rsa.PrivateKey, header, payload string) string {
	t.Helper()
	input := b64(header) + "." + b64(payload)
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	must(t, err)
	return input + "." + b64(string(sig))
}

func (a *applications) claims(t *testing.T, change func(m map[string]any)) string {
	t.Helper()
	now := a.clock.now().Unix()
	m := map[string]any{"application_id": a.printed.Application.ID, "iat": now, "exp": now + 900, "jti": "one", "acl": map[string]any{"paths": map[string]any{}}}
	change(m)
	b, err := json.Marshal(m)
	must(t, err)
	return string(b)
}

func (a *applications) try(t *testing.T, token string) (session.StoredKey, error) {
	return a.keys.Verify(t.Context(), session.Attempt{Site: shop, Connection: "sms", Mode: provider.Mock, Client: client, Statement: token,
		Application: session.ApplicationRule{Claim: "application_id", Life: 24 * time.Hour}})
}

const rsHeader = `{"alg":"RS256","typ":"JWT"}`

// TestApplication: a token that an SDK signed with the printed private key opens what the key
// opens, as often as it comes while it lives, and nothing once the key is revoked.
func TestApplication(t *testing.T) {
	a := newApplications(t)
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(a.printed.Application.ID) {
		t.Errorf("application id %q", a.printed.Application.ID)
	}
	if s := fmt.Sprintf("%+v %#v %+v", a.printed, a.printed, a.stored); strings.Contains(s, "PRIVATE KEY") {
		t.Error("the private key can be printed")
	}
	same := func(map[string]any) {}
	token := rs256(t, a.private, rsHeader, a.claims(t, same))
	for range 3 {
		got, err := a.try(t, token)
		must(t, err)
		if got.ID != a.stored.ID {
			t.Errorf("key %s", got.ID)
		}
	}
	whose, err := a.keys.Whose(t.Context(), session.Attempt{Client: client, Statement: token, Application: session.ApplicationRule{Claim: "application_id", Life: time.Hour}})
	must(t, err)
	if whose.Site != shop || whose.Connection != "sms" {
		t.Errorf("%+v", whose)
	}
	_, err = a.keys.Verify(t.Context(), session.Attempt{Site: shop, Connection: "payments", Client: client, Statement: token,
		Application: session.ApplicationRule{Claim: "application_id", Life: time.Hour}})
	unauthenticated(t, "another connection", err)
	_, err = a.keys.Verify(t.Context(), session.Attempt{Site: shop, Connection: "sms", Client: client, Statement: token})
	unauthenticated(t, "a provider whose SDKs sign nothing", err)
	a.clock.advance(899 * time.Second)
	if _, err := a.try(t, token); err != nil {
		t.Errorf("a second before it expires: %v", err)
	}
	a.clock.advance(time.Second)
	_, err = a.try(t, token)
	unauthenticated(t, "expired", err)

	token = rs256(t, a.private, rsHeader, a.claims(t, same))
	_, err = a.try(t, token)
	must(t, err)
	must(t, a.store.RevokeSiteKey(t.Context(), a.stored.ID, a.clock.now()))
	a.keys.Recheck()
	_, err = a.try(t, token)
	unauthenticated(t, "revoked", err)
}

// TestApplicationForms: what is not a JWT by RS256 with the application's own key, a start, an
// end and an id, opens nothing. The row before each shows that only that one thing is wrong.
func TestApplicationForms(t *testing.T) {
	a := newApplications(t)
	same := func(map[string]any) {}
	set := func(name string, v any) string { return a.claims(t, func(m map[string]any) { m[name] = v }) }
	without := func(name string) string { return a.claims(t, func(m map[string]any) { delete(m, name) }) }
	now := a.clock.now().Unix()
	for name, good := range map[string]string{
		"no typ": rs256(t, a.private, `{"alg":"RS256"}`, a.claims(t, same)), "a kid": rs256(t, a.private, `{"alg":"RS256","typ":"JWT","kid":"x"}`, a.claims(t, same)),
		"nbf": rs256(t, a.private, rsHeader, set("nbf", now)), "24 hours": rs256(t, a.private, rsHeader, set("exp", now+86400)),
	} {
		if _, err := a.try(t, good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	public, err := x509.MarshalPKIXPublicKey(&a.private.PublicKey)
	must(t, err)
	confused := b64(`{"alg":"HS256","typ":"JWT"}`) + "." + b64(a.claims(t, same))
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	mac.Write([]byte(confused))
	whole := rs256(t, a.private, rsHeader, a.claims(t, same))
	for name, token := range map[string]string{
		"another key":         rs256(t, other, rsHeader, a.claims(t, same)),
		"HS256 by public key": confused + "." + b64(string(mac.Sum(nil))),
		"none":                b64(`{"alg":"none"}`) + "." + b64(a.claims(t, same)) + ".",
		"RS512 in the header": rs256(t, a.private, `{"alg":"RS512","typ":"JWT"}`, a.claims(t, same)),
		"jwk":                 rs256(t, a.private, `{"alg":"RS256","jwk":{"kty":"RSA"}}`, a.claims(t, same)),
		"jku":                 rs256(t, a.private, `{"alg":"RS256","jku":"http://127.0.0.1/"}`, a.claims(t, same)),
		"crit":                rs256(t, a.private, `{"alg":"RS256","crit":["b64"]}`, a.claims(t, same)),
		"another type":        rs256(t, a.private, `{"alg":"RS256","typ":"receipt+jwt"}`, a.claims(t, same)),
		"no end":              rs256(t, a.private, rsHeader, without("exp")),
		"no start":            rs256(t, a.private, rsHeader, without("iat")),
		"no id":               rs256(t, a.private, rsHeader, without("jti")),
		"too long":            rs256(t, a.private, rsHeader, set("exp", now+86401)),
		"from the future":     rs256(t, a.private, rsHeader, a.claims(t, func(m map[string]any) { m["iat"], m["exp"] = now+120, now+900 })),
		"not yet":             rs256(t, a.private, rsHeader, set("nbf", now+120)),
		"over":                rs256(t, a.private, rsHeader, a.claims(t, func(m map[string]any) { m["iat"], m["exp"] = now-900, now })),
		"backwards":           rs256(t, a.private, rsHeader, a.claims(t, func(m map[string]any) { m["iat"], m["exp"] = now+30, now+20 })),
		"unknown application": rs256(t, a.private, rsHeader, set("application_id", "00000000-0000-4000-8000-000000000000")),
		"two applications":    rs256(t, a.private, rsHeader, strings.Replace(a.claims(t, same), `{`, `{"application_id":"x",`, 1)),
		"cut":                 whole[:len(whole)-4],
		"changed":             strings.Replace(whole, ".", ".e", 1),
	} {
		if _, err := a.try(t, token); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := a.try(t, whole); err != nil {
		t.Errorf("after all of these: %v", err)
	}
}
