package sqlite

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"time"

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
	err := s.writer.do(ctx, func(tx *tx) error {
		_, err := exec(tx, `INSERT INTO site_keys (`+siteKeyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			k.ID, k.Site, k.Connection, k.Shape, k.AuthHash[:], user, []byte(k.PermitKey),
			millis(k.CreatedAt), millis(k.LastUsedAt), millis(k.RevokedAt))
		if err == nil {
			err = addApplication(tx, k)
		}
		if err != nil {
			return err
		}
		return s.addEvent(tx, audit.AdminEvent{Kind: audit.KindKeyCreated, Site: k.Site, Connection: k.Connection, Name: k.ID})
	})
	if err != nil {
		return fmt.Errorf("create site key %s: %w", k.ID, err)
	}
	return nil
}

// FindSiteKey implements session.SiteKeyStore.
func (s *Store) FindSiteKey(ctx context.Context, authHash [32]byte) (session.StoredKey, error) {
	k, err := scanSiteKey(s.read.QueryRowContext(ctx, `SELECT `+siteKeyColumns+` FROM site_keys WHERE auth_hash = ?`, authHash[:]))
	if errors.Is(err, sql.ErrNoRows) {
		err = session.ErrKeyNotFound
	}
	if err != nil {
		return session.StoredKey{}, fmt.Errorf("find site key: %w", err)
	}
	return k, nil
}

// FindPermitKey implements session.SiteKeyStore.
func (s *Store) FindPermitKey(ctx context.Context, key ed25519.PublicKey) (session.StoredKey, error) {
	k, err := scanSiteKey(s.read.QueryRowContext(ctx, `SELECT `+siteKeyColumns+` FROM site_keys WHERE permit_key = ?`, []byte(key)))
	if errors.Is(err, sql.ErrNoRows) {
		err = session.ErrKeyNotFound
	}
	if err != nil {
		return session.StoredKey{}, fmt.Errorf("find site key by permit key: %w", err)
	}
	return k, nil
}

// ListSiteKeys implements session.SiteKeyStore.
func (s *Store) ListSiteKeys(ctx context.Context, site string) ([]session.StoredKey, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+siteKeyColumns+` FROM site_keys
		WHERE site = ?1 OR ?1 = '' ORDER BY created_at, id`, site)
	if err != nil {
		return nil, fmt.Errorf("list site keys: %w", err)
	}
	defer rows.Close()
	var out []session.StoredKey
	for rows.Next() {
		k, err := scanSiteKey(rows)
		if err != nil {
			return nil, fmt.Errorf("read site key: %w", err)
		}
		out = append(out, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list site keys: %w", err)
	}
	return out, nil
}

func scanSiteKey(row interface{ Scan(...any) error }) (session.StoredKey, error) {
	var k session.StoredKey
	var auth, user, permit []byte
	var created, used, revoked sql.NullInt64
	err := row.Scan(&k.ID, &k.Site, &k.Connection, &k.Shape, &auth, &user, &permit, &created, &used, &revoked)
	if err != nil {
		return session.StoredKey{}, err
	}
	copy(k.AuthHash[:], auth)
	copy(k.UserHash[:], user)
	k.PermitKey = ed25519.PublicKey(permit)
	k.CreatedAt, k.LastUsedAt, k.RevokedAt = moment(created), moment(used), moment(revoked)
	return k, nil
}

// RevokeSiteKey implements session.SiteKeyStore.
func (s *Store) RevokeSiteKey(ctx context.Context, id string, at time.Time) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		n, err := exec(tx, `UPDATE site_keys SET revoked_at = min(coalesce(revoked_at, ?1), ?1) WHERE id = ?2`, millis(at), id)
		if err == nil && n == 0 {
			return session.ErrKeyNotFound
		}
		if err != nil {
			return err
		}
		return s.addEvent(tx, audit.AdminEvent{Kind: revocation(at, s.now()), Name: id})
	})
	if err != nil {
		return fmt.Errorf("revoke site key %s: %w", id, err)
	}
	return nil
}

// TouchSiteKeys implements session.SiteKeyStore.
func (s *Store) TouchSiteKeys(ctx context.Context, used map[string]time.Time) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		for id, at := range used {
			if _, err := exec(tx, `UPDATE site_keys SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?`, millis(at), id); err != nil {
				return err
			}
		}
		return nil
	})
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
