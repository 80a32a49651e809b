package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"sallyport/internal/session"
)

// CreateRevocation implements session.RevocationStore.
func (s *Store) CreateRevocation(ctx context.Context, r session.Revocation) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		_, err := exec(tx, `INSERT INTO revocations (session_id, until) VALUES (?, ?) ON CONFLICT DO NOTHING`, r.SessionID, millis(r.Until))
		return err
	})
	if err != nil {
		return fmt.Errorf("create revocation: %w", err)
	}
	return nil
}

// ListRevocations implements session.RevocationStore.
func (s *Store) ListRevocations(ctx context.Context, after int64, now time.Time) ([]session.Revocation, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT seq, session_id, until FROM revocations
		WHERE seq > ? AND until > ? ORDER BY seq`, after, millis(now))
	if err != nil {
		return nil, fmt.Errorf("list revocations: %w", err)
	}
	defer rows.Close()
	var out []session.Revocation
	for rows.Next() {
		var r session.Revocation
		var until sql.NullInt64
		if err := rows.Scan(&r.Seq, &r.SessionID, &until); err != nil {
			return nil, fmt.Errorf("read revocation: %w", err)
		}
		r.Until = moment(until)
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list revocations: %w", err)
	}
	return out, nil
}

// PurgeRevocations implements session.RevocationStore.
func (s *Store) PurgeRevocations(ctx context.Context, now time.Time) (int, error) {
	var n int64
	err := s.writer.do(ctx, func(tx *tx) (err error) {
		n, err = exec(tx, `DELETE FROM revocations WHERE until <= ?`, millis(now))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("purge revocations: %w", err)
	}
	return int(n), nil
}
