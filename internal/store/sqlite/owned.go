package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"sallyport/internal/egress"
)

// RememberOwned implements egress.OwnedStore.
func (s *Store) RememberOwned(ctx context.Context, row egress.OwnedRow, perVisit int) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		for _, object := range row.Objects {
			if _, err := exec(tx, `INSERT INTO owned (site, visit, object, expires_at) VALUES (?, ?, ?, ?)
				ON CONFLICT (site, object) DO UPDATE SET expires_at = max(expires_at, excluded.expires_at)`,
				row.Site, row.Visit[:], object[:], millis(row.Expires)); err != nil {
				return err
			}
		}
		_, err := exec(tx, `DELETE FROM owned WHERE site = ? AND visit = ? AND seq <= (
			SELECT seq FROM owned WHERE site = ? AND visit = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)`,
			row.Site, row.Visit[:], row.Site, row.Visit[:], perVisit)
		return err
	})
	if err != nil {
		return fmt.Errorf("remember owned objects: %w", err)
	}
	return nil
}

// FindOwned implements egress.OwnedStore.
func (s *Store) FindOwned(ctx context.Context, site string, object egress.OwnedHash, now time.Time) (time.Time, error) {
	var expires sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT expires_at FROM owned WHERE site = ? AND object = ? AND expires_at > ?`,
		site, object[:], millis(now)).Scan(&expires)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("find owned object: %w", err)
	}
	return moment(expires), nil
}

// PurgeOwned implements egress.OwnedStore.
func (s *Store) PurgeOwned(ctx context.Context, now time.Time, perSite int) (int, error) {
	var n int64
	err := s.writer.do(ctx, func(tx *tx) (err error) {
		if n, err = exec(tx, `DELETE FROM owned WHERE expires_at <= ?`, millis(now)); err != nil {
			return err
		}
		more, err := exec(tx, `DELETE FROM owned WHERE seq IN (
			SELECT seq FROM (SELECT seq, row_number() OVER (PARTITION BY site ORDER BY seq DESC) AS place FROM owned
				WHERE site IN (SELECT site FROM owned GROUP BY site HAVING count(*) > ?)) WHERE place > ?)`, perSite, perSite)
		n += more
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("purge owned objects: %w", err)
	}
	return int(n), nil
}
