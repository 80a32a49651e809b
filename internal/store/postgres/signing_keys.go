package postgres

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/session"
)

// ListSigningKeys implements session.KeyStore.
func (s *Store) ListSigningKeys(ctx context.Context) ([]session.StoredSigningKey, error) {
	out, err := list(ctx, s, scanSigningKey, `SELECT id, public, sealed, predecessor, created_at, signs_from
		FROM signing_keys ORDER BY signs_from, created_at, id`)
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	return out, nil
}

func scanSigningKey(row pgx.CollectableRow) (k session.StoredSigningKey, err error) {
	var public []byte
	var created, from *int64
	err = row.Scan(&k.ID, &public, &k.Sealed, &k.Predecessor, &created, &from)
	k.Public, k.CreatedAt, k.SignsFrom = ed25519.PublicKey(public), moment(created), moment(from)
	return k, err
}

// CreateSigningKey implements session.KeyStore.
func (s *Store) CreateSigningKey(ctx context.Context, k session.StoredSigningKey) error {
	n, err := s.exec(ctx, `INSERT INTO signing_keys (id, public, sealed, predecessor, created_at, signs_from)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		k.ID, []byte(k.Public), k.Sealed, k.Predecessor, millis(k.CreatedAt), millis(k.SignsFrom))
	if err == nil && n == 0 {
		err = session.ErrKeyExists
	}
	if err != nil {
		return fmt.Errorf("create signing key %s: %w", k.ID, err)
	}
	return nil
}

// DeleteSigningKey implements session.KeyStore.
func (s *Store) DeleteSigningKey(ctx context.Context, id string) error {
	if _, err := s.exec(ctx, `DELETE FROM signing_keys WHERE id = $1`, id); err != nil {
		return fmt.Errorf("delete signing key %s: %w", id, err)
	}
	return nil
}
