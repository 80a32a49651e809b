package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/openid"
)

// ListOpenIDKeys implements openid.KeyStore.
func (s *Store) ListOpenIDKeys(ctx context.Context) ([]openid.StoredKey, error) {
	out, err := list(ctx, s, scanOpenIDKey, `SELECT id, sealed, predecessor, created_at, signs_from
		FROM openid_keys ORDER BY signs_from, created_at, id`)
	if err != nil {
		return nil, fmt.Errorf("list OpenID keys: %w", err)
	}
	return out, nil
}

func scanOpenIDKey(row pgx.CollectableRow) (k openid.StoredKey, err error) {
	var created, from *int64
	err = row.Scan(&k.ID, &k.Sealed, &k.Predecessor, &created, &from)
	k.CreatedAt, k.SignsFrom = moment(created), moment(from)
	return k, err
}

// CreateOpenIDKey implements openid.KeyStore.
func (s *Store) CreateOpenIDKey(ctx context.Context, k openid.StoredKey) error {
	n, err := s.exec(ctx, `INSERT INTO openid_keys (id, sealed, predecessor, created_at, signs_from)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, k.ID, k.Sealed, k.Predecessor, millis(k.CreatedAt), millis(k.SignsFrom))
	if err == nil && n == 0 {
		err = openid.ErrKeyExists
	}
	if err != nil {
		return fmt.Errorf("create OpenID key %s: %w", k.ID, err)
	}
	return nil
}

// DeleteOpenIDKey implements openid.KeyStore.
func (s *Store) DeleteOpenIDKey(ctx context.Context, id string) error {
	if _, err := s.exec(ctx, `DELETE FROM openid_keys WHERE id = $1`, id); err != nil {
		return fmt.Errorf("delete OpenID key %s: %w", id, err)
	}
	return nil
}
