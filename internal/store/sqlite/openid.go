package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"sallyport/internal/openid"
)

// ListOpenIDKeys implements openid.KeyStore.
func (s *Store) ListOpenIDKeys(ctx context.Context) ([]openid.StoredKey, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, sealed, predecessor, created_at, signs_from
		FROM openid_keys ORDER BY signs_from, created_at, id`)
	if err != nil {
		return nil, fmt.Errorf("list OpenID keys: %w", err)
	}
	defer rows.Close()
	var out []openid.StoredKey
	for rows.Next() {
		var k openid.StoredKey
		var created, from sql.NullInt64
		if err := rows.Scan(&k.ID, &k.Sealed, &k.Predecessor, &created, &from); err != nil {
			return nil, fmt.Errorf("read OpenID key: %w", err)
		}
		k.CreatedAt, k.SignsFrom = moment(created), moment(from)
		out = append(out, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list OpenID keys: %w", err)
	}
	return out, nil
}

// CreateOpenIDKey implements openid.KeyStore.
func (s *Store) CreateOpenIDKey(ctx context.Context, k openid.StoredKey) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		n, err := exec(tx, `INSERT INTO openid_keys (id, sealed, predecessor, created_at, signs_from)
			VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, k.ID, k.Sealed, k.Predecessor, millis(k.CreatedAt), millis(k.SignsFrom))
		if err == nil && n == 0 {
			return openid.ErrKeyExists
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("create OpenID key %s: %w", k.ID, err)
	}
	return nil
}

// DeleteOpenIDKey implements openid.KeyStore.
func (s *Store) DeleteOpenIDKey(ctx context.Context, id string) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		_, err := exec(tx, `DELETE FROM openid_keys WHERE id = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete OpenID key %s: %w", id, err)
	}
	return nil
}
