package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/maypok86/otter/v2"

	"sallyport/internal/site"
)

// DefaultCacheEntries is the number of verified tokens that are remembered.
const DefaultCacheEntries = 1 << 16

// VerifierOptions are what a Verifier needs. Name, Keys, Store and Now are required.
type VerifierOptions struct {
	Name         string // the iss claim; the Issuer's
	Keys         *Keys
	Store        RevocationStore
	Now          func() time.Time
	Log          *slog.Logger // nil: nothing is logged
	CacheEntries int          // 0: DefaultCacheEntries
}

// Verifier checks tokens: the signature once, then by a bounded cache that is keyed by
// the token's SHA-256. Expiry, site, origin, revocation and the key's presence are
// checked on every call. Safe for concurrent use.
type Verifier struct {
	o       VerifierOptions
	cache   *otter.Cache[[sha256.Size]byte, *verified]
	revoked revoked
	syncing sync.Mutex // one Sync at a time
}

type verified struct {
	session Session
	kid     string
}

// OpenVerifier loads the revocations that still matter.
func OpenVerifier(ctx context.Context, o VerifierOptions) (*Verifier, error) {
	if o.Name == "" || o.Keys == nil || o.Store == nil || o.Now == nil {
		return nil, errors.New("open session verifier: name, keys, store and clock are required")
	}
	if o.CacheEntries <= 0 {
		o.CacheEntries = DefaultCacheEntries
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	cache, err := otter.New(&otter.Options[[sha256.Size]byte, *verified]{MaximumSize: o.CacheEntries})
	if err != nil {
		return nil, fmt.Errorf("open session verifier: %w", err)
	}
	v := &Verifier{o: o, cache: cache}
	if err := v.Sync(ctx); err != nil {
		return nil, fmt.Errorf("open session verifier: %w", err)
	}
	return v, nil
}

// Verify says whose visit the token is, if it is one of site and origin. Every refusal
// is the same problem.Unauthenticated; it reads nothing but memory.
func (v *Verifier) Verify(token, siteName string, origin site.Origin) (Session, error) {
	if len(token) > MaxTokenLength {
		return Session{}, refused(errors.New("token is too long"))
	}
	now := v.o.Now()
	var buf [MaxTokenLength]byte // on the stack: a call allocates nothing here
	hash := sha256.Sum256(buf[:copy(buf[:], token)])
	known, ok := v.cache.GetIfPresent(hash)
	if !ok {
		fresh, err := v.check(token, now)
		if err != nil {
			return Session{}, refused(err)
		}
		v.cache.Set(hash, fresh)
		known = fresh
	}
	if err := v.holds(known, siteName, origin, now); err != nil {
		return Session{}, refused(err)
	}
	return known.session, nil
}

// check verifies a token that was not seen before.
func (v *Verifier) check(token string, now time.Time) (*verified, error) {
	kid, err := header(token)
	if err != nil {
		return nil, err
	}
	key, ok := v.o.Keys.public(kid)
	if !ok {
		return nil, errors.New("token key id is not one of ours")
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	c, err := readClaims(payload)
	if err != nil {
		return nil, err
	}
	if c.Issuer != v.o.Name {
		return nil, errors.New("token is of another issuer")
	}
	if err := c.current(now); err != nil {
		return nil, err
	}
	return &verified{session: c.session(), kid: kid}, nil
}

// holds checks what may differ from call to call.
func (v *Verifier) holds(k *verified, siteName string, origin site.Origin, now time.Time) error {
	switch {
	case k.session.Site != siteName:
		return errors.New("token is of another site")
	case k.session.Origin != origin:
		return errors.New("token is of another origin")
	case !now.Before(k.session.ExpiresAt):
		return errors.New("token has expired")
	case v.revoked.siteEnded(siteName, k.session.IssuedAt):
		return errors.New("the visits of the site were ended")
	case v.revoked.has(k.session.ID):
		return errors.New("the visit was ended")
	case k.session.Login.Is() && v.revoked.has(k.session.Login.ID):
		return errors.New("the visitor signed out")
	}
	if _, ok := v.o.Keys.public(k.kid); !ok {
		return errors.New("the token's key was withdrawn")
	}
	return nil
}

// RevokeLogin ends all visits of a sign-in: in this process at once, and durably when it
// returns nil. That no new ones begin is for whoever keeps the sign-in.
func (v *Verifier) RevokeLogin(ctx context.Context, id string) error {
	return v.Revoke(ctx, Session{ID: id, ExpiresAt: v.o.Now().Add(MaxTTL)})
}

// Revoke ends a visit: in this process at once, and durably when it returns nil.
func (v *Verifier) Revoke(ctx context.Context, s Session) error {
	until := s.ExpiresAt.Add(MaxTTL) // longer than needed: a clock that steps back revives nothing
	if err := v.revoked.add(s.ID, until); err != nil {
		return err
	}
	if err := v.o.Store.CreateRevocation(ctx, Revocation{SessionID: s.ID, Until: until}); err != nil {
		return storeFault(fmt.Errorf("store revocation: %w", err))
	}
	return nil
}
