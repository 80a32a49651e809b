package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/egress"
)

// RememberOwned implements egress.OwnedStore.
func (s *Store) RememberOwned(ctx context.Context, row egress.OwnedRow, perVisit int) error {
	err := s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var all pgx.Batch
		for _, object := range row.Objects {
			all.Queue(`INSERT INTO owned (site, visit, object, expires_at) VALUES ($1, $2, $3, $4)
				ON CONFLICT (site, object) DO UPDATE SET expires_at = greatest(owned.expires_at, excluded.expires_at)`,
				row.Site, row.Visit[:], object[:], millis(row.Expires))
		}
		all.Queue(`DELETE FROM owned WHERE site = $1 AND visit = $2 AND seq <= (
			SELECT seq FROM owned WHERE site = $1 AND visit = $2 ORDER BY seq DESC LIMIT 1 OFFSET $3)`, row.Site, row.Visit[:], perVisit)
		return tx.SendBatch(ctx, &all).Close()
	})
	if err != nil {
		return fmt.Errorf("remember owned objects: %w", err)
	}
	return nil
}

// FindOwned implements egress.OwnedStore.
func (s *Store) FindOwned(ctx context.Context, site string, object egress.OwnedHash, now time.Time) (time.Time, error) {
	expires, _, err := one(ctx, s, pgx.RowTo[*int64], `SELECT expires_at FROM owned WHERE site = $1 AND object = $2 AND expires_at > $3`,
		site, object[:], millis(now))
	if err != nil {
		return time.Time{}, fmt.Errorf("find owned object: %w", err)
	}
	return moment(expires), nil
}

// PurgeOwned implements egress.OwnedStore.
func (s *Store) PurgeOwned(ctx context.Context, now time.Time, perSite int) (int, error) {
	var n int64
	err := s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM owned WHERE expires_at <= $1`, millis(now))
		if err != nil {
			return err
		}
		n = tag.RowsAffected()
		tag, err = tx.Exec(ctx, `DELETE FROM owned WHERE seq IN (
			SELECT seq FROM (SELECT seq, row_number() OVER (PARTITION BY site ORDER BY seq DESC) AS place FROM owned
				WHERE site IN (SELECT site FROM owned GROUP BY site HAVING count(*) > $1)) AS placed WHERE place > $1)`, perSite)
		n += tag.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("purge owned objects: %w", err)
	}
	return int(n), nil
}
