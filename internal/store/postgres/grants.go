package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/grant"
)

const (
	grantWhere   = ` WHERE site = $1 AND connection = $2 AND subject = $3`
	grantColumns = `site, connection, subject, version, sealed, begun`
)

func grantArgs(k grant.Key, after ...any) []any {
	return append([]any{k.Site, k.Connection, k.Subject}, after...)
}

func scanGrant(row pgx.CollectableRow) (g grant.Stored, err error) {
	var begun *int64
	err = row.Scan(&g.Site, &g.Connection, &g.Subject, &g.Version, &g.Sealed, &begun)
	g.Begun, g.Ended = moment(begun), len(g.Sealed) == 0
	return g, err
}

// PutGrant implements grant.Store.
func (s *Store) PutGrant(ctx context.Context, g grant.Stored) error {
	_, err := s.exec(ctx, `INSERT INTO grants AS g (site, connection, subject, version, sealed, begun) VALUES ($1, $2, $3, 1, $4, $5)
		ON CONFLICT (site, connection, subject) DO UPDATE SET version = g.version + 1, sealed = $4, begun = $5, holder = '', held_until = 0`, grantArgs(g.Key, g.Sealed, millis(g.Begun))...)
	if err != nil {
		return fmt.Errorf("put grant: %w", err)
	}
	return nil
}

// FindGrant implements grant.Store.
func (s *Store) FindGrant(ctx context.Context, k grant.Key) (grant.Stored, bool, error) {
	g, found, err := one(ctx, s, scanGrant, `SELECT `+grantColumns+` FROM grants`+grantWhere, grantArgs(k)...)
	if err != nil {
		return grant.Stored{}, false, fmt.Errorf("find grant: %w", err)
	}
	return g, found, nil
}

// ListGrants implements grant.Store.
func (s *Store) ListGrants(ctx context.Context, site, subject string) ([]grant.Stored, error) {
	out, err := list(ctx, s, scanGrant, `SELECT `+grantColumns+` FROM grants WHERE site = $1 AND subject = $2 ORDER BY connection`, site, subject)
	if err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	return out, nil
}

// DeleteGrant implements grant.Store.
func (s *Store) DeleteGrant(ctx context.Context, k grant.Key) (grant.Stored, bool, error) {
	g, found, err := one(ctx, s, scanGrant, `DELETE FROM grants`+grantWhere+` RETURNING `+grantColumns, grantArgs(k)...)
	if err != nil {
		return grant.Stored{}, false, fmt.Errorf("delete grant: %w", err)
	}
	return g, found, nil
}

// LeaseGrant implements grant.Leases. The row's lock decides between nodes. A lease that ends
// later than any can is one of a clock that was wrong, and does not count.
func (s *Store) LeaseGrant(ctx context.Context, k grant.Key, l grant.Lease) (g grant.Stored, found, granted bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+grantColumns+` FROM grants`+grantWhere+` FOR UPDATE`, grantArgs(k)...)
		if err != nil {
			return err
		}
		if g, err = pgx.CollectExactlyOneRow(rows, scanGrant); errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		if g.Version != l.Seen || g.Ended {
			return nil
		}
		var holder string
		var held, now int64
		if err := tx.QueryRow(ctx, `SELECT holder, held_until, c.now FROM grants, `+ours+` c`+grantWhere, grantArgs(k)...).Scan(&holder, &held, &now); err != nil {
			return err
		}
		if granted = holder == "" || holder == l.Holder || left(now, held, l.For) == 0; !granted {
			return nil
		}
		_, err = tx.Exec(ctx, `UPDATE grants SET holder = $4, held_until = $5`+grantWhere, grantArgs(k, l.Holder, now+l.For.Milliseconds())...)
		return err
	})
	if err != nil {
		return grant.Stored{}, false, false, fmt.Errorf("lease grant: %w", err)
	}
	return g, found, granted, nil
}

// ExtendGrantLease implements grant.Leases.
func (s *Store) ExtendGrantLease(ctx context.Context, k grant.Key, l grant.Lease) (bool, error) {
	n, err := s.exec(ctx, `UPDATE grants SET held_until = c.now + $5 FROM `+ours+` c`+grantWhere+` AND holder = $4 AND holder <> ''`, grantArgs(k, l.Holder, l.For.Milliseconds())...)
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
	n, err := s.exec(ctx, `UPDATE grants SET version = version + 1, sealed = $5, holder = '', held_until = 0`+grantWhere+` AND holder = $4 AND holder <> ''`, grantArgs(k, holder, sealed)...)
	if err != nil {
		return false, fmt.Errorf("save grant: %w", err)
	}
	return n == 1, nil
}

// ReleaseGrant implements grant.Leases.
func (s *Store) ReleaseGrant(ctx context.Context, k grant.Key, holder string) error {
	if _, err := s.exec(ctx, `UPDATE grants SET holder = '', held_until = 0`+grantWhere+` AND holder = $4 AND holder <> ''`, grantArgs(k, holder)...); err != nil {
		return fmt.Errorf("give back lease of grant: %w", err)
	}
	return nil
}
