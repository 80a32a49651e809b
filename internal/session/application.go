package session

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"sallyport/internal/jws"
	"sallyport/internal/secret"
)

const (
	applicationBits    = 2048
	applicationEntries = 1 << 12
	// MaxApplicationLife bounds what the catalog may allow a self-signed token.
	MaxApplicationLife = 24 * time.Hour
)

// Application is what is kept of a stand-in whose holder signs tokens of its own: SDKs that
// are given an application's id and its private key. Nothing in it can sign.
type Application struct {
	Hash   [32]byte // of the id
	Public []byte   // RSA, PKIX in DER
}

// PrintedApplication is the other half, shown once.
type PrintedApplication struct {
	ID         string
	PrivateKey secret.Value // PKCS #8 in PEM
}

// ApplicationStore finds site keys by their application. CreateSiteKey stores a key with its
// Application in one step.
type ApplicationStore interface {
	// FindApplication finds by Application.Hash, revoked keys included, or wraps ErrKeyNotFound.
	// The key that it gives has its Application.
	FindApplication(ctx context.Context, hash [32]byte) (StoredKey, error)
}

// newApplication makes an id in the form of a UUID of version 4 and an RSA key.
func newApplication() (*Application, PrintedApplication, error) {
	fail := func(err error) (*Application, PrintedApplication, error) {
		return nil, PrintedApplication{}, fmt.Errorf("make application: %w", err)
	}
	private, err := rsa.GenerateKey(rand.Reader, applicationBits)
	if err != nil {
		return fail(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fail(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return fail(err)
	}
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	id := fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return &Application{Hash: applicationHash(id), Public: public}, PrintedApplication{ID: id, PrivateKey: secret.NewValue(text)}, nil
}

func applicationHash(id string) [32]byte {
	return sha256.Sum256([]byte("sallyport/v1/application\x00" + id))
}

// foundApplication is a live key with what verifies its tokens.
type foundApplication struct {
	found
	verifies jws.Key
}

// FindKey implements jws.KeyFinder: the application's one key, whatever kid a token names.
func (f *foundApplication) FindKey(context.Context, string) (jws.Key, bool, error) {
	return f.verifies, true, nil
}

// verifySigned finds the live key whose application signed a's statement. Nil means none. The
// same token may come again and again while it lives: it stands in the place of a password.
func (s *SiteKeys) verifySigned(ctx context.Context, a Attempt, now time.Time) (*StoredKey, error) {
	id := unverifiedText(a.Statement, a.Application.Claim)
	if s.o.Applications == nil || id == "" {
		return nil, nil
	}
	f, err := s.application(ctx, applicationHash(id), now)
	if f == nil || err != nil {
		return nil, err
	}
	opened, err := jws.Open(ctx, a.Statement, f)
	if err != nil || opened.Type != "" && !strings.EqualFold(opened.Type, "JWT") {
		return nil, nil //nolint:nilerr // a token that does not verify stands for no key
	}
	claims, err := opened.Claims()
	if err != nil || claims[a.Application.Claim] != any(id) || !currentClaims(claims, now, a.Application.Life) {
		return nil, nil //nolint:nilerr // as above
	}
	return &f.key, nil
}

// currentClaims wants iat, exp and jti, and a life that the provider allows.
func currentClaims(claims map[string]any, now time.Time, life time.Duration) bool {
	issued, ok1 := jws.Seconds(claims["iat"])
	expires, ok2 := jws.Seconds(claims["exp"])
	jti, ok3 := claims["jti"].(string)
	if !ok1 || !ok2 || !ok3 || jti == "" {
		return false
	}
	if _, there := claims["nbf"]; there {
		if from, ok := jws.Seconds(claims["nbf"]); !ok || time.Unix(from, 0).After(now.Add(clockSkew)) {
			return false
		}
	}
	return now.Before(time.Unix(expires, 0)) && !time.Unix(issued, 0).After(now.Add(clockSkew)) &&
		expires > issued && expires-issued <= int64(min(life, MaxApplicationLife)/time.Second)
}

// application finds a live key by its application, from memory for as long as other keys.
func (s *SiteKeys) application(ctx context.Context, hash [32]byte, now time.Time) (*foundApplication, error) {
	if f, ok := s.applications.GetIfPresent(hash); ok && s.trusted(&f.found, now) {
		return f, nil
	}
	asks := s.asks.Load()
	key, err := s.o.Applications.FindApplication(ctx, hash)
	switch {
	case errors.Is(err, ErrKeyNotFound):
		s.applications.Invalidate(hash)
		return nil, nil
	case err != nil:
		return nil, storeFault(fmt.Errorf("find application: %w", err))
	case key.Application == nil || key.Application.Hash != hash:
		return nil, storeFault(errors.New("the store answered with another application"))
	case !key.RevokedAt.IsZero():
		s.applications.Invalidate(hash)
		return nil, nil
	}
	public, err := x509.ParsePKIXPublicKey(key.Application.Public)
	if err != nil {
		return nil, storeFault(errors.New("the stored application has no readable key"))
	}
	verifies, err := jws.NewKey(jws.RS256, "", public)
	if err != nil {
		return nil, storeFault(fmt.Errorf("the stored application's key: %w", err))
	}
	f := &foundApplication{found: found{key: key, checked: now, asks: asks}, verifies: verifies}
	s.applications.Set(hash, f)
	return f, nil
}

// unverifiedText reads one claim of a payload before its signature is looked at: it says
// which key to try, and nothing else.
func unverifiedText(token, claim string) string {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return ""
	}
	var claims map[string]json.RawMessage
	var text string
	if json.Unmarshal(raw, &claims) != nil || json.Unmarshal(claims[claim], &text) != nil || len(text) > 128 {
		return ""
	}
	return text
}
