package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"sallyport/internal/grant"
)

const grantWhere = ` WHERE site = ?1 AND connection = ?2 AND subject = ?3`

const grantColumns = `site, connection, subject, version, sealed, begun`

func grantArgs(k grant.Key, after ...any) []any {
	return append([]any{k.Site, k.Connection, k.Subject}, after...)
}

func scanGrant(row interface{ Scan(...any) error }) (g grant.Stored, found bool, err error) {
	var begun sql.NullInt64
	err = row.Scan(&g.Site, &g.Connection, &g.Subject, &g.Version, &g.Sealed, &begun)
	if errors.Is(err, sql.ErrNoRows) {
		return grant.Stored{}, false, nil
	}
	g.Begun, g.Ended = moment(begun), len(g.Sealed) == 0
	return g, err == nil, err
}

// PutGrant implements grant.Store.
func (s *Store) PutGrant(ctx context.Context, g grant.Stored) error {
	_, err := s.token(ctx, `INSERT INTO grants (site, connection, subject, version, sealed, begun) VALUES (?1, ?2, ?3, 1, ?4, ?5)
		ON CONFLICT DO UPDATE SET version = version + 1, sealed = ?4, begun = ?5, holder = '', held_until = 0`, grantArgs(g.Key, g.Sealed, millis(g.Begun))...)
	if err != nil {
		return fmt.Errorf("put grant: %w", err)
	}
	return nil
}

// FindGrant implements grant.Store.
func (s *Store) FindGrant(ctx context.Context, k grant.Key) (grant.Stored, bool, error) {
	g, found, err := scanGrant(s.read.QueryRowContext(ctx, `SELECT `+grantColumns+` FROM grants`+grantWhere, grantArgs(k)...))
	if err != nil {
		return grant.Stored{}, false, fmt.Errorf("find grant: %w", err)
	}
	return g, found, nil
}

// ListGrants implements grant.Store.
func (s *Store) ListGrants(ctx context.Context, site, subject string) (out []grant.Stored, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+grantColumns+` FROM grants WHERE site = ? AND subject = ? ORDER BY connection`, site, subject)
	if err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		g, _, err := scanGrant(rows)
		if err != nil {
			return nil, fmt.Errorf("list grants: %w", err)
		}
		out = append(out, g)
	}
	return out, rows.Err()
}

// DeleteGrant implements grant.Store.
func (s *Store) DeleteGrant(ctx context.Context, k grant.Key) (g grant.Stored, found bool, err error) {
	err = s.writer.do(ctx, func(tx *tx) (err error) {
		g, found, err = scanGrant(tx.QueryRow(`DELETE FROM grants`+grantWhere+` RETURNING `+grantColumns, grantArgs(k)...))
		return err
	})
	if err != nil {
		return grant.Stored{}, false, fmt.Errorf("delete grant: %w", err)
	}
	return g, found, nil
}

// LeaseGrant implements grant.Leases. A lease that ends later than any can is one of a clock
// that was wrong, and does not count.
func (s *Store) LeaseGrant(ctx context.Context, k grant.Key, l grant.Lease) (g grant.Stored, found, granted bool, err error) {
	err = s.writer.do(ctx, func(tx *tx) error {
		n, err := exec(tx, `UPDATE grants SET holder = ?4, held_until = ?6 + ?7`+grantWhere+`
			AND version = ?5 AND sealed IS NOT NULL AND (holder IN ('', ?4) OR held_until NOT BETWEEN ?6 + 1 AND ?6 + ?7)`,
			grantArgs(k, l.Holder, l.Seen, millis(s.now()), l.For.Milliseconds())...)
		if err != nil {
			return err
		}
		granted = n == 1
		g, found, err = scanGrant(tx.QueryRow(`SELECT `+grantColumns+` FROM grants`+grantWhere, grantArgs(k)...))
		return err
	})
	if err != nil {
		return grant.Stored{}, false, false, fmt.Errorf("lease grant: %w", err)
	}
	return g, found, granted, nil
}

// ExtendGrantLease implements grant.Leases.
func (s *Store) ExtendGrantLease(ctx context.Context, k grant.Key, l grant.Lease) (bool, error) {
	n, err := s.token(ctx, `UPDATE grants SET held_until = ?5`+grantWhere+` AND holder = ?4 AND holder <> ''`, grantArgs(k, l.Holder, s.now().Add(l.For).UnixMilli())...)
	if err != nil {
		return false, fmt.Errorf("extend lease of grant: %w", err)
	}
	return n == 1, nil
}

// SaveGrant implements grant.Leases.
func (s *Store) SaveGrant(ctx context.Context, k grant.Key, holder string, sealed []byte, ended bool) (bool, error) {
	if ended {
		sealed = nil
	}
	n, err := s.token(ctx, `UPDATE grants SET version = version + 1, sealed = ?5, holder = '', held_until = 0`+grantWhere+` AND holder = ?4 AND holder <> ''`, grantArgs(k, holder, sealed)...)
	if err != nil {
		return false, fmt.Errorf("save grant: %w", err)
	}
	return n == 1, nil
}

// ReleaseGrant implements grant.Leases.
func (s *Store) ReleaseGrant(ctx context.Context, k grant.Key, holder string) error {
	if _, err := s.token(ctx, `UPDATE grants SET holder = '', held_until = 0`+grantWhere+` AND holder = ?4 AND holder <> ''`, grantArgs(k, holder)...); err != nil {
		return fmt.Errorf("give back lease of grant: %w", err)
	}
	return nil
}
