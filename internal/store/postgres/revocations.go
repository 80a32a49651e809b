package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/session"
)

// CreateRevocation implements session.RevocationStore. Every node knows the end of the
// visit when it returns nil. The turn of changes also makes Seq grow in the order in which
// others see the rows.
func (s *Store) CreateRevocation(ctx context.Context, r session.Revocation) error {
	err := s.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO revocations (session_id, until) VALUES ($1, $2) ON CONFLICT DO NOTHING`, r.SessionID, millis(r.Until))
		return err
	})
	if err != nil {
		return fmt.Errorf("create revocation: %w", err)
	}
	return nil
}

// ListRevocations implements session.RevocationStore.
func (s *Store) ListRevocations(ctx context.Context, after int64, now time.Time) ([]session.Revocation, error) {
	out, err := list(ctx, s, scanRevocation, `SELECT seq, session_id, until FROM revocations WHERE seq > $1 AND until > $2 ORDER BY seq`, after, millis(now))
	if err != nil {
		return nil, fmt.Errorf("list revocations: %w", err)
	}
	return out, nil
}

func scanRevocation(row pgx.CollectableRow) (r session.Revocation, err error) {
	var until *int64
	err = row.Scan(&r.Seq, &r.SessionID, &until)
	r.Until = moment(until)
	return r, err
}

// PurgeRevocations implements session.RevocationStore.
func (s *Store) PurgeRevocations(ctx context.Context, now time.Time) (int, error) {
	n, err := s.exec(ctx, `DELETE FROM revocations WHERE until <= $1`, millis(now))
	if err != nil {
		return 0, fmt.Errorf("purge revocations: %w", err)
	}
	return int(n), nil
}
