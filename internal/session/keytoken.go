package session

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"sallyport/internal/jws"
	"sallyport/internal/provider"
)

const (
	// keyTokenType is the explicit type (RFC 8725 §3.11) of the tokens that stand for a site key.
	keyTokenType = "sallyport-key+jwt"
	// KeyTokenLife is how long such a token is good, if its key is.
	KeyTokenLife = MaxTTL

	// MaxStatement is the longest bearer statement that is looked at, in bytes.
	MaxStatement = jws.MaxLength

	keyTokenEntries = 1 << 13
)

// StatementKeys sign the gate's own tokens; *Keys are such.
type StatementKeys interface {
	Sign(typ string, payload []byte) (string, error)
	PublicKey(id string) (ed25519.PublicKey, bool)
}

// KeyToken is a short-lived token that stands for a site key at one connection in one mode.
// It goes to the caller that presented the key, and nowhere else.
type KeyToken struct {
	Token string
	Life  time.Duration
}

type keyTokenClaims struct {
	Site       string        `json:"aud"`
	Connection string        `json:"con"`
	Mode       provider.Mode `json:"mode"`
	Key        string        `json:"sub"` // the permit key, which is public
	IssuedAt   int64         `json:"iat"`
	Expires    int64         `json:"exp"`
	ID         string        `json:"jti"`
}

// IssueToken makes a token for the connection that k was presented at. The caller has
// verified k with this very connection.
func (s *SiteKeys) IssueToken(k StoredKey, connection string, mode provider.Mode) (KeyToken, error) {
	if s.o.Tokens == nil {
		return KeyToken{}, errors.New("issue key token: there are no keys to sign with")
	}
	if k.Site == "" || connection == "" || mode == "" || len(k.PermitKey) != ed25519.PublicKeySize {
		return KeyToken{}, errors.New("issue key token: it needs a key, a connection and a mode")
	}
	now := s.o.Now()
	payload, err := json.Marshal(keyTokenClaims{Site: k.Site, Connection: connection, Mode: mode,
		Key: base64.RawURLEncoding.EncodeToString(k.PermitKey), IssuedAt: now.Unix(), Expires: now.Add(KeyTokenLife).Unix(), ID: randomID()})
	if err != nil {
		return KeyToken{}, fmt.Errorf("issue key token: %w", err)
	}
	token, err := s.o.Tokens.Sign(keyTokenType, payload)
	if err != nil {
		return KeyToken{}, fmt.Errorf("issue key token: %w", err)
	}
	return KeyToken{Token: token, Life: KeyTokenLife}, nil
}

// Statement reports whether a bearer value has the form of a signed statement, and not that
// of a site key: three parts between dots.
func Statement(bearer string) bool { return strings.Count(bearer, ".") == 2 }

// keyToken is a token whose signature was verified.
type keyToken struct {
	claims    keyTokenClaims
	permitKey ed25519.PublicKey
}

// verifyToken finds the live key that a token of IssueToken stands for at a's connection.
// Nil means that it stands for none.
func (s *SiteKeys) verifyToken(ctx context.Context, a Attempt, now time.Time) (*StoredKey, error) {
	short := sha256.Sum256([]byte(a.Statement))
	t, ok := s.tokens.GetIfPresent(short)
	if !ok {
		read, err := s.readToken(a.Statement)
		if err != nil {
			return nil, nil //nolint:nilerr // a token that cannot be read is one that stands for no key
		}
		t = read
		s.tokens.Set(short, t)
	}
	c := &t.claims
	if a.Site != "" && (c.Site != a.Site || c.Connection != a.Connection || c.Mode != a.Mode) || now.Unix() >= c.Expires || time.Unix(c.IssuedAt, 0).After(now.Add(clockSkew)) {
		return nil, nil
	}
	key, err := s.PermitKey(ctx, t.permitKey)
	if errors.Is(err, ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if key.Site != c.Site {
		return nil, nil
	}
	key.Connection = c.Connection // a token is narrower than a key of all connections
	return &key, nil
}

// readToken verifies the signature and the form, not the time.
func (s *SiteKeys) readToken(token string) (*keyToken, error) {
	if s.o.Tokens == nil {
		return nil, errors.New("no tokens are made here")
	}
	parsed, err := jws.Parse(token, keyTokenType)
	if err != nil {
		return nil, err
	}
	public, ok := s.o.Tokens.PublicKey(parsed.KeyID)
	if !ok || !parsed.Verify(public) {
		return nil, errors.New("its signature is not this gate's")
	}
	r := jws.NewReader(parsed)
	t := &keyToken{claims: keyTokenClaims{
		Site: r.Text("aud", 256), Connection: r.Text("con", 256), Mode: provider.Mode(r.Text("mode", 16)),
		Key: r.Text("sub", 64), ID: r.Text("jti", 64),
		IssuedAt: r.Time("iat").Unix(), Expires: r.Time("exp").Unix(),
	}}
	if err := r.Done(); err != nil {
		return nil, err
	}
	if t.permitKey, err = base64.RawURLEncoding.Strict().DecodeString(t.claims.Key); err != nil || len(t.permitKey) != ed25519.PublicKeySize {
		return nil, errors.New("it names no key")
	}
	if life := t.claims.Expires - t.claims.IssuedAt; life <= 0 || life > int64(KeyTokenLife/time.Second) {
		return nil, errors.New("it lives too long")
	}
	return t, nil
}
