package session

import (
	"context"
	"crypto/ed25519"
	"errors"
	"time"

	"sallyport/internal/secret"
)

// StoredKey is what is kept of a site key. From it neither a call nor a permit can be
// forged.
type StoredKey struct {
	ID   string // key_…, for lists and revocation
	Site string
	// Connection is the one connection that the key opens; empty: all of the site.
	Connection string
	Shape      string
	// AuthHash is SHA-256 of the authentication secret that HKDF derives from the
	// printed key. UserHash is SHA-256 of the first half of a pair; zero: no pair.
	AuthHash [32]byte
	UserHash [32]byte
	// PermitKey verifies the permits that the site's backend signs.
	PermitKey ed25519.PublicKey
	// Application is set where the key comes with one. Only CreateSiteKey and FindApplication
	// have it; the other look-ups leave it out.
	Application *Application
	CreatedAt   time.Time
	// LastUsedAt is coarse (a minute); zero: never. RevokedAt zero: not revoked.
	LastUsedAt time.Time
	// RevokedAt may lie ahead: the key has a successor, and counts until then.
	RevokedAt time.Time
}

// MaxSkew is how far the clocks of those who revoke and those who check may be apart.
const MaxSkew = time.Minute

// Revoked says whether the key is good for nothing at now. A revocation ahead holds MaxSkew
// early, so that one that is meant at once never waits for a slow clock.
func (k *StoredKey) Revoked(now time.Time) bool {
	return !k.RevokedAt.IsZero() && !now.Add(MaxSkew).Before(k.RevokedAt)
}

// Printed is a new site key as it is shown, once. User is the first half where the
// shape is a pair.
type Printed struct {
	Secret secret.Value
	User   string
	// Application is empty where the shape has none.
	Application PrintedApplication
}

// ErrKeyNotFound is what a SiteKeyStore wraps where no key fits.
var ErrKeyNotFound = errors.New("site key not found")

// SiteKeyStore keeps site keys. Methods are safe for concurrent use, from several
// processes too.
type SiteKeyStore interface {
	CreateSiteKey(ctx context.Context, k StoredKey) error
	// FindSiteKey finds by authentication hash, revoked keys included, or wraps ErrKeyNotFound.
	FindSiteKey(ctx context.Context, authHash [32]byte) (StoredKey, error)
	// FindPermitKey finds by permit key, revoked keys included, or wraps ErrKeyNotFound.
	FindPermitKey(ctx context.Context, key ed25519.PublicKey) (StoredKey, error)
	// ListSiteKeys lists the keys of a site, or of all sites for "", oldest first.
	ListSiteKeys(ctx context.Context, site string) ([]StoredKey, error)
	// RevokeSiteKey sets RevokedAt, or wraps ErrKeyNotFound. Of two times the earlier stays.
	RevokeSiteKey(ctx context.Context, id string, at time.Time) error
	// TouchSiteKeys moves LastUsedAt forward, by key id; ids that are not there are ignored.
	TouchSiteKeys(ctx context.Context, used map[string]time.Time) error
}
