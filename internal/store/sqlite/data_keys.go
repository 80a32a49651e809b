package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"sallyport/internal/secret/seal"
)

// FindDataKey implements seal.KeyStore.
func (s *Store) FindDataKey(ctx context.Context, owner string) ([]byte, error) {
	var wrapped []byte
	err := s.read.QueryRowContext(ctx, `SELECT wrapped FROM data_keys WHERE owner = ?`, owner).Scan(&wrapped)
	if errors.Is(err, sql.ErrNoRows) {
		err = seal.ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("find data key of %q: %w", owner, err)
	}
	return wrapped, nil
}

// CreateDataKey implements seal.KeyStore.
func (s *Store) CreateDataKey(ctx context.Context, owner string, wrapped []byte) ([]byte, error) {
	var stored []byte
	err := s.writer.do(ctx, func(tx *tx) error {
		if _, err := exec(tx, `INSERT INTO data_keys (owner, wrapped, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			owner, wrapped, millis(s.now())); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT wrapped FROM data_keys WHERE owner = ?`, owner).Scan(&stored)
	})
	if err != nil {
		return nil, fmt.Errorf("create data key of %q: %w", owner, err)
	}
	return stored, nil
}

// ListDataKeys implements seal.RotatingStore.
func (s *Store) ListDataKeys(ctx context.Context) (map[string][]byte, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT owner, wrapped FROM data_keys`)
	if err != nil {
		return nil, fmt.Errorf("list data keys: %w", err)
	}
	defer rows.Close()
	out := map[string][]byte{}
	for rows.Next() {
		var owner string
		var wrapped []byte
		if err := rows.Scan(&owner, &wrapped); err != nil {
			return nil, fmt.Errorf("read data key: %w", err)
		}
		out[owner] = wrapped
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list data keys: %w", err)
	}
	return out, nil
}

// ReplaceDataKey implements seal.RotatingStore.
func (s *Store) ReplaceDataKey(ctx context.Context, owner string, old, fresh []byte) (bool, error) {
	var n int64
	err := s.writer.do(ctx, func(tx *tx) (err error) {
		n, err = exec(tx, `UPDATE data_keys SET wrapped = ? WHERE owner = ? AND wrapped = ?`, fresh, owner, old)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("replace data key of %q: %w", owner, err)
	}
	return n > 0, nil
}
