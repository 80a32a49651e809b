package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"sallyport/internal/probe"
)

// ClaimProbe implements probe.Store. A claim that ends later than any can, and a result of
// the future, are those of a clock that was wrong, and do not count.
func (s *Store) ClaimProbe(ctx context.Context, c probe.Claim) (granted bool, err error) {
	err = s.writer.do(ctx, func(tx *tx) error {
		n, err := exec(tx, `INSERT INTO probes (site, connection, held_until) VALUES (?1, ?2, ?3 + ?5)
			ON CONFLICT DO UPDATE SET held_until = ?3 + ?5
			WHERE (asked_at <= ?4 OR asked_at > ?3 + ?5) AND held_until NOT BETWEEN ?3 + 1 AND ?3 + ?5`,
			c.Site, c.Connection, c.Now.UnixMilli(), c.Before.UnixMilli(), c.For.Milliseconds())
		granted = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("claim probe: %w", err)
	}
	return granted, nil
}

// SaveProbe implements probe.Store.
func (s *Store) SaveProbe(ctx context.Context, r probe.Result) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		_, err := exec(tx, `INSERT INTO probes (site, connection, finding, note, asked_at, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
			ON CONFLICT DO UPDATE SET finding = ?3, note = ?4, asked_at = ?5, since = ?6, held_until = 0`,
			r.Site, r.Connection, string(r.Finding), r.Note, r.At.UnixMilli(), r.Since.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("save probe of %s/%s: %w", r.Site, r.Connection, err)
	}
	return nil
}

// ListProbes implements probe.Store.
func (s *Store) ListProbes(ctx context.Context) ([]probe.Result, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT site, connection, finding, note, asked_at, since FROM probes
		WHERE finding <> '' ORDER BY site, connection`)
	if err != nil {
		return nil, fmt.Errorf("list probes: %w", err)
	}
	defer rows.Close()
	var out []probe.Result
	for rows.Next() {
		var r probe.Result
		var at, since sql.NullInt64
		if err := rows.Scan(&r.Site, &r.Connection, &r.Finding, &r.Note, &at, &since); err != nil {
			return nil, fmt.Errorf("read probe: %w", err)
		}
		r.At, r.Since = moment(at), moment(since)
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list probes: %w", err)
	}
	return out, nil
}
