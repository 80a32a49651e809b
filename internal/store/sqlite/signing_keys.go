package sqlite

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"fmt"

	"sallyport/internal/session"
)

// ListSigningKeys implements session.KeyStore.
func (s *Store) ListSigningKeys(ctx context.Context) ([]session.StoredSigningKey, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, public, sealed, predecessor, created_at, signs_from
		FROM signing_keys ORDER BY signs_from, created_at, id`)
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	defer rows.Close()
	var out []session.StoredSigningKey
	for rows.Next() {
		var k session.StoredSigningKey
		var public []byte
		var created, from sql.NullInt64
		if err := rows.Scan(&k.ID, &public, &k.Sealed, &k.Predecessor, &created, &from); err != nil {
			return nil, fmt.Errorf("read signing key: %w", err)
		}
		k.Public, k.CreatedAt, k.SignsFrom = ed25519.PublicKey(public), moment(created), moment(from)
		out = append(out, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	return out, nil
}

// CreateSigningKey implements session.KeyStore.
func (s *Store) CreateSigningKey(ctx context.Context, k session.StoredSigningKey) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		n, err := exec(tx, `INSERT INTO signing_keys (id, public, sealed, predecessor, created_at, signs_from)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			k.ID, []byte(k.Public), k.Sealed, k.Predecessor, millis(k.CreatedAt), millis(k.SignsFrom))
		if err == nil && n == 0 {
			return session.ErrKeyExists
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("create signing key %s: %w", k.ID, err)
	}
	return nil
}

// DeleteSigningKey implements session.KeyStore.
func (s *Store) DeleteSigningKey(ctx context.Context, id string) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		_, err := exec(tx, `DELETE FROM signing_keys WHERE id = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete signing key %s: %w", id, err)
	}
	return nil
}
