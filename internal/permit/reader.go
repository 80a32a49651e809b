package permit

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"sallyport/internal/jws"
	"sallyport/internal/session"
)

// DefaultCacheEntries is the number of verified permits that are remembered.
const DefaultCacheEntries = 1 << 13

// Keys finds the live site key of a permit key; *session.SiteKeys is one. Where there is
// none, or it was revoked, the error wraps session.ErrKeyNotFound.
type Keys interface {
	PermitKey(ctx context.Context, key ed25519.PublicKey) (session.StoredKey, error)
}

// Options are what a Reader needs. Keys and Now are required.
type Options struct {
	Keys         Keys
	Now          func() time.Time
	CacheEntries int // 0: DefaultCacheEntries
}

// Reader verifies permits and vouchers. It is safe for concurrent use.
type Reader struct {
	o     Options
	cache *otter.Cache[[sha256.Size]byte, *verified]
}

type verified struct {
	permit *Permit
	key    ed25519.PublicKey
}

// NewReader checks the options.
func NewReader(o Options) (*Reader, error) {
	if o.Keys == nil || o.Now == nil {
		return nil, errors.New("make permit reader: keys and clock are required")
	}
	if o.CacheEntries <= 0 {
		o.CacheEntries = DefaultCacheEntries
	}
	cache, err := otter.New(&otter.Options[[sha256.Size]byte, *verified]{MaximumSize: o.CacheEntries})
	if err != nil {
		return nil, fmt.Errorf("make permit reader: %w", err)
	}
	return &Reader{o: o, cache: cache}, nil
}

// ReadPermit verifies a permit. The error is a *Refusal, or the store's. What the permit is
// for is not looked at: see Permit.Check.
func (r *Reader) ReadPermit(ctx context.Context, token string) (*Permit, error) {
	if len(token) > jws.MaxLength {
		return nil, refuse("malformed", "it has %d bytes, more than %d", len(token), jws.MaxLength)
	}
	hash := sha256.Sum256([]byte(token))
	known, ok := r.cache.GetIfPresent(hash)
	if !ok {
		fresh, err := r.verify(ctx, token)
		if err != nil {
			return nil, err
		}
		r.cache.Set(hash, fresh)
		known = fresh
	}
	key, err := r.key(ctx, known.key) // also after a hit: it may have been revoked
	if err != nil {
		return nil, err
	}
	if err := signs(key, known.permit); err != nil {
		return nil, err
	}
	return known.permit, known.permit.current(r.o.Now())
}

func (r *Reader) verify(ctx context.Context, token string) (*verified, error) {
	t, key, err := r.open(ctx, token, Type)
	if err != nil {
		return nil, err
	}
	p, err := readPermit(t)
	if err != nil {
		return nil, err
	}
	p.KeyID = key.ID
	return &verified{permit: p, key: key.PermitKey}, nil
}

// open reads a token and verifies its signature with the site key that it names.
func (r *Reader) open(ctx context.Context, token, typ string) (jws.Token, session.StoredKey, error) {
	t, err := jws.Parse(token, typ)
	if err != nil {
		return t, session.StoredKey{}, refuse("malformed", "%s", err)
	}
	public, err := base64.RawURLEncoding.Strict().DecodeString(t.KeyID)
	if err != nil || len(public) != ed25519.PublicKeySize {
		return t, session.StoredKey{}, refuse("key", "its key id is not the permit key of a site key")
	}
	key, err := r.key(ctx, public)
	if err != nil {
		return t, key, err
	}
	if !t.Verify(key.PermitKey) {
		return t, key, refuse("signature", "its signature does not fit its content")
	}
	return t, key, nil
}

func (r *Reader) key(ctx context.Context, public ed25519.PublicKey) (session.StoredKey, error) {
	key, err := r.o.Keys.PermitKey(ctx, public)
	if errors.Is(err, session.ErrKeyNotFound) {
		return key, refuse("key", "no live site key signed it")
	}
	return key, err
}

// signs says whether a key may sign for what the permit names: a key of one connection
// signs for no other.
func signs(key session.StoredKey, p *Permit) error {
	if key.Site != p.Site {
		return refuse("site", "the key that signed it is of another site")
	}
	if key.Connection != "" && key.Connection != p.Connection {
		return refuse("connection", "the key that signed it is of another connection")
	}
	return nil
}

// ReadVoucher verifies a voucher for a visit of a site. A key of one connection cannot vouch:
// a visit uses all of them. The error is a *Refusal, or the store's.
func (r *Reader) ReadVoucher(ctx context.Context, token, siteName, visit string) (Voucher, error) {
	t, key, err := r.open(ctx, token, VoucherType)
	if err != nil {
		return Voucher{}, err
	}
	v, err := readVoucher(t, r.o.Now())
	switch {
	case err != nil:
		return Voucher{}, err
	case key.Site != v.Site || v.Site != siteName:
		return Voucher{}, refuse("site", "it is of another site")
	case key.Connection != "":
		return Voucher{}, refuse("connection", "the key that signed it is of one connection only; vouch with a key for all of them")
	case v.Session != visit || visit == "":
		return Voucher{}, refuse("session", "it was signed for another visit")
	}
	v.KeyID = key.ID
	return v, nil
}
