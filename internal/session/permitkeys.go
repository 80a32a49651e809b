package session

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
)

// PermitKey finds the live site key whose permit key this is. Where there is none, or it was
// revoked, the error wraps ErrKeyNotFound; a store that cannot be asked is
// problem.StoreUnavailable. A key that was found is trusted for half a second, so a
// revocation holds after that.
func (s *SiteKeys) PermitKey(ctx context.Context, key ed25519.PublicKey) (StoredKey, error) {
	if len(key) != ed25519.PublicKeySize {
		return StoredKey{}, fmt.Errorf("find permit key: %w", ErrKeyNotFound)
	}
	now, id := s.o.Now(), [32]byte(key)
	if known, ok := s.permits.GetIfPresent(id); ok {
		if s.trusted(known, now) && !known.key.Revoked(now) {
			return known.key, nil
		}
	}
	asks := s.asks.Load()
	found, err := s.o.Store.FindPermitKey(ctx, key)
	switch {
	case errors.Is(err, ErrKeyNotFound):
		s.permits.Invalidate(id)
		return StoredKey{}, err
	case err != nil:
		return StoredKey{}, storeFault(fmt.Errorf("find permit key: %w", err))
	case !found.PermitKey.Equal(key):
		return StoredKey{}, storeFault(errors.New("the store answered with another key"))
	case found.Revoked(now):
		s.permits.Invalidate(id)
		return StoredKey{}, fmt.Errorf("find permit key: %w", ErrKeyNotFound)
	}
	s.keep(id, found, asks)
	s.touch(found.ID, now)
	return found, nil
}

func (s *SiteKeys) keep(id [32]byte, key StoredKey, asks int64) {
	s.permits.Set(id, &found{key: key, checked: s.o.Now(), asks: asks})
}

// PermitSigner is the private key that the holder of a printed site key signs permits and
// vouchers with. The backend helpers derive the same one; it is here for tests and tools.
func PermitSigner(printed string) (ed25519.PrivateKey, error) { return permitKey(printed) }
