package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/probe"
)

// ClaimProbe implements probe.Store. A claim that ends later than any can, and a result of
// the future, are those of a clock that was wrong, and do not count.
func (s *Store) ClaimProbe(ctx context.Context, c probe.Claim) (bool, error) {
	now, most := c.Now.UnixMilli(), c.Now.Add(c.For).UnixMilli()
	n, err := s.exec(ctx, `INSERT INTO probes AS p (site, connection, held_until) VALUES ($1, $2, $4)
		ON CONFLICT (site, connection) DO UPDATE SET held_until = $4
		WHERE (p.asked_at <= $5 OR p.asked_at > $4) AND p.held_until NOT BETWEEN $3::bigint + 1 AND $4`,
		c.Site, c.Connection, now, most, c.Before.UnixMilli())
	if err != nil {
		return false, fmt.Errorf("claim probe: %w", err)
	}
	return n == 1, nil
}

// SaveProbe implements probe.Store.
func (s *Store) SaveProbe(ctx context.Context, r probe.Result) error {
	_, err := s.exec(ctx, `INSERT INTO probes (site, connection, finding, note, asked_at, since) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (site, connection) DO UPDATE SET finding = $3, note = $4, asked_at = $5, since = $6, held_until = 0`,
		r.Site, r.Connection, string(r.Finding), r.Note, r.At.UnixMilli(), r.Since.UnixMilli())
	if err != nil {
		return fmt.Errorf("save probe of %s/%s: %w", r.Site, r.Connection, err)
	}
	return nil
}

// ListProbes implements probe.Store.
func (s *Store) ListProbes(ctx context.Context) ([]probe.Result, error) {
	out, err := list(ctx, s, scanProbe, `SELECT site, connection, finding, note, asked_at, since FROM probes
		WHERE finding <> '' ORDER BY site COLLATE "C", connection COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("list probes: %w", err)
	}
	return out, nil
}

func scanProbe(row pgx.CollectableRow) (r probe.Result, err error) {
	var at, since *int64
	err = row.Scan(&r.Site, &r.Connection, &r.Finding, &r.Note, &at, &since)
	r.At, r.Since = moment(at), moment(since)
	return r, err
}
