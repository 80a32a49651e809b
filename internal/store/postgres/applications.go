package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/session"
)

func addApplication(ctx context.Context, tx pgx.Tx, k session.StoredKey) error {
	if k.Application == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO site_key_applications (hash, key_id, public) VALUES ($1, $2, $3)`, k.Application.Hash[:], k.ID, k.Application.Public)
	return err
}

// FindApplication implements session.ApplicationStore.
func (s *Store) FindApplication(ctx context.Context, hash [32]byte) (session.StoredKey, error) {
	a := &session.Application{Hash: hash}
	scan := func(row pgx.CollectableRow) (session.StoredKey, error) { return scanSiteKey(more{row, &a.Public}) }
	k, found, err := one(ctx, s, scan, `SELECT `+siteKeyColumns+`, public FROM site_keys
		JOIN site_key_applications ON key_id = id WHERE hash = $1`, hash[:])
	if err == nil && !found {
		err = session.ErrKeyNotFound
	}
	if err != nil {
		return session.StoredKey{}, fmt.Errorf("find site key by application: %w", err)
	}
	k.Application = a
	return k, nil
}

// more scans one column more than it is asked for.
type more struct {
	pgx.CollectableRow
	last any
}

func (m more) Scan(to ...any) error { return m.CollectableRow.Scan(append(to, m.last)...) }
