package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/secret/seal"
)

// FindDataKey implements seal.KeyStore.
func (s *Store) FindDataKey(ctx context.Context, owner string) ([]byte, error) {
	wrapped, found, err := one(ctx, s, pgx.RowTo[[]byte], `SELECT wrapped FROM data_keys WHERE owner = $1`, owner)
	if err == nil && !found {
		err = seal.ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("find data key of %q: %w", owner, err)
	}
	return wrapped, nil
}

// CreateDataKey implements seal.KeyStore.
func (s *Store) CreateDataKey(ctx context.Context, owner string, wrapped []byte) ([]byte, error) {
	_, err := s.exec(ctx, `INSERT INTO data_keys (owner, wrapped, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		owner, wrapped, millis(s.now()))
	if err != nil {
		return nil, fmt.Errorf("create data key of %q: %w", owner, err)
	}
	return s.FindDataKey(ctx, owner) // the first one stays, whoever made it
}

// ListDataKeys implements seal.RotatingStore.
func (s *Store) ListDataKeys(ctx context.Context) (map[string][]byte, error) {
	type row struct {
		Owner   string
		Wrapped []byte
	}
	rows, err := list(ctx, s, pgx.RowToStructByPos[row], `SELECT owner, wrapped FROM data_keys`)
	if err != nil {
		return nil, fmt.Errorf("list data keys: %w", err)
	}
	out := make(map[string][]byte, len(rows))
	for _, r := range rows {
		out[r.Owner] = r.Wrapped
	}
	return out, nil
}

// ReplaceDataKey implements seal.RotatingStore.
func (s *Store) ReplaceDataKey(ctx context.Context, owner string, old, fresh []byte) (bool, error) {
	n, err := s.exec(ctx, `UPDATE data_keys SET wrapped = $1 WHERE owner = $2 AND wrapped = $3`, fresh, owner, old)
	if err != nil {
		return false, fmt.Errorf("replace data key of %q: %w", owner, err)
	}
	return n > 0, nil
}
