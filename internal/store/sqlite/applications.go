package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"sallyport/internal/session"
)

func addApplication(tx *tx, k session.StoredKey) error {
	if k.Application == nil {
		return nil
	}
	_, err := exec(tx, `INSERT INTO site_key_applications (hash, key_id, public) VALUES (?, ?, ?)`, k.Application.Hash[:], k.ID, k.Application.Public)
	return err
}

// FindApplication implements session.ApplicationStore.
func (s *Store) FindApplication(ctx context.Context, hash [32]byte) (session.StoredKey, error) {
	a := &session.Application{Hash: hash}
	row := s.read.QueryRowContext(ctx, `SELECT `+siteKeyColumns+`, public FROM site_keys
		JOIN site_key_applications ON key_id = id WHERE hash = ?`, hash[:])
	k, err := scanSiteKey(more{row, &a.Public})
	if errors.Is(err, sql.ErrNoRows) {
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
	row  *sql.Row
	last any
}

func (m more) Scan(to ...any) error { return m.row.Scan(append(to, m.last)...) }
