package postgres

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/audit"
	"sallyport/internal/session"
)

const siteKeyColumns = `id, site, connection, shape, auth_hash, user_hash, permit_key, created_at, last_used_at, revoked_at`

// CreateSiteKey implements session.SiteKeyStore.
func (s *Store) CreateSiteKey(ctx context.Context, k session.StoredKey) error {
	user := k.UserHash[:]
	if k.UserHash == ([32]byte{}) {
		user = []byte{}
	}
	err := s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO site_keys (`+siteKeyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			k.ID, k.Site, k.Connection, k.Shape, k.AuthHash[:], user, []byte(k.PermitKey),
			millis(k.CreatedAt), millis(k.LastUsedAt), millis(k.RevokedAt))
		if err == nil {
			err = addApplication(ctx, tx, k)
		}
		if err != nil {
			return err
		}
		return s.addEvent(ctx, tx, audit.AdminEvent{Kind: audit.KindKeyCreated, Site: k.Site, Connection: k.Connection, Name: k.ID})
	})
	if err != nil {
		return fmt.Errorf("create site key %s: %w", k.ID, err)
	}
	return nil
}

// FindSiteKey implements session.SiteKeyStore.
func (s *Store) FindSiteKey(ctx context.Context, authHash [32]byte) (session.StoredKey, error) {
	k, found, err := one(ctx, s, scanSiteKey, `SELECT `+siteKeyColumns+` FROM site_keys WHERE auth_hash = $1`, authHash[:])
	if err == nil && !found {
		err = session.ErrKeyNotFound
	}
	if err != nil {
		return session.StoredKey{}, fmt.Errorf("find site key: %w", err)
	}
	return k, nil
}

// FindPermitKey implements session.SiteKeyStore.
func (s *Store) FindPermitKey(ctx context.Context, key ed25519.PublicKey) (session.StoredKey, error) {
	k, found, err := one(ctx, s, scanSiteKey, `SELECT `+siteKeyColumns+` FROM site_keys WHERE permit_key = $1`, []byte(key))
	if err == nil && !found {
		err = session.ErrKeyNotFound
	}
	if err != nil {
		return session.StoredKey{}, fmt.Errorf("find site key by permit key: %w", err)
	}
	return k, nil
}

// ListSiteKeys implements session.SiteKeyStore.
func (s *Store) ListSiteKeys(ctx context.Context, site string) ([]session.StoredKey, error) {
	out, err := list(ctx, s, scanSiteKey, `SELECT `+siteKeyColumns+` FROM site_keys WHERE site = $1 OR $1 = '' ORDER BY created_at, id`, site)
	if err != nil {
		return nil, fmt.Errorf("list site keys: %w", err)
	}
	return out, nil
}

func scanSiteKey(row pgx.CollectableRow) (k session.StoredKey, err error) {
	var auth, user, permit []byte
	var created, used, revoked *int64
	err = row.Scan(&k.ID, &k.Site, &k.Connection, &k.Shape, &auth, &user, &permit, &created, &used, &revoked)
	copy(k.AuthHash[:], auth)
	copy(k.UserHash[:], user)
	k.PermitKey = ed25519.PublicKey(permit)
	k.CreatedAt, k.LastUsedAt, k.RevokedAt = moment(created), moment(used), moment(revoked)
	return k, err
}

// RevokeSiteKey implements session.SiteKeyStore. Every node has forgotten the key when it
// returns nil.
func (s *Store) RevokeSiteKey(ctx context.Context, id string, at time.Time) error {
	err := s.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE site_keys SET revoked_at = least(coalesce(revoked_at, $1), $1) WHERE id = $2`, millis(at), id)
		if err == nil && tag.RowsAffected() == 0 {
			return session.ErrKeyNotFound
		}
		if err != nil {
			return err
		}
		return s.addEvent(ctx, tx, audit.AdminEvent{Kind: revocation(at, s.now()), Name: id})
	})
	if err != nil {
		return fmt.Errorf("revoke site key %s: %w", id, err)
	}
	return nil
}

// TouchSiteKeys implements session.SiteKeyStore.
func (s *Store) TouchSiteKeys(ctx context.Context, used map[string]time.Time) error {
	ids := slices.Sorted(maps.Keys(used)) // one order, so that nodes do not lock crosswise
	times := make([]int64, len(ids))
	for i, id := range ids {
		times[i] = used[id].UnixMilli()
	}
	_, err := s.exec(ctx, `UPDATE site_keys SET last_used_at = u.at FROM unnest($1::text[], $2::bigint[]) AS u (id, at)
		WHERE site_keys.id = u.id AND (last_used_at IS NULL OR last_used_at < u.at)`, ids, times)
	if err != nil {
		return fmt.Errorf("touch site keys: %w", err)
	}
	return nil
}

// revocation is the act: a key that still counts for a while was rotated.
func revocation(at, now time.Time) audit.Kind {
	if at.After(now.Add(session.MaxSkew)) {
		return audit.KindKeyRotated
	}
	return audit.KindKeyRevoked
}
