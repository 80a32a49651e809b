package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/login"
)

// CreateLogin implements login.Store.
func (s *Store) CreateLogin(ctx context.Context, l login.Stored) ([]string, error) {
	_, err := s.exec(ctx, `INSERT INTO logins (site, id, connection, subject, sealed, begun, ends) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		l.Site, l.ID, l.Connection, l.Subject, l.Sealed, millis(l.Begun), millis(l.Ends))
	if err != nil {
		return nil, fmt.Errorf("create login: %w", err)
	}
	dropped, err := list(ctx, s, pgx.RowTo[string], `DELETE FROM logins WHERE site = $1 AND id IN (
		SELECT id FROM logins WHERE site = $1 AND subject = $2 ORDER BY begun DESC, id OFFSET $3) RETURNING id`, l.Site, l.Subject, login.MaxPerSubject)
	if err != nil {
		return nil, fmt.Errorf("create login: %w", err)
	}
	return dropped, nil
}

// FindLogin implements login.Store.
func (s *Store) FindLogin(ctx context.Context, site, id string) (login.Stored, bool, error) {
	l, found, err := one(ctx, s, scanLogin, `SELECT connection, subject, sealed, begun, ends FROM logins WHERE site = $1 AND id = $2`, site, id)
	if err != nil || !found {
		if err != nil {
			err = fmt.Errorf("find login: %w", err)
		}
		return login.Stored{}, false, err
	}
	l.Site, l.ID = site, id
	return l, true, nil
}

func scanLogin(row pgx.CollectableRow) (l login.Stored, err error) {
	var begun, ends *int64
	err = row.Scan(&l.Connection, &l.Subject, &l.Sealed, &begun, &ends)
	l.Begun, l.Ends = moment(begun), moment(ends)
	return l, err
}

// DeleteLogin implements login.Store.
func (s *Store) DeleteLogin(ctx context.Context, site, id string) (bool, error) {
	n, err := s.exec(ctx, `DELETE FROM logins WHERE site = $1 AND id = $2`, site, id)
	if err != nil {
		return false, fmt.Errorf("delete login: %w", err)
	}
	return n == 1, nil
}

// DeleteLoginsOf implements login.Store.
func (s *Store) DeleteLoginsOf(ctx context.Context, site, subject string) ([]string, error) {
	ids, err := list(ctx, s, pgx.RowTo[string], `DELETE FROM logins WHERE site = $1 AND subject = $2 RETURNING id`, site, subject)
	if err != nil {
		return nil, fmt.Errorf("delete logins: %w", err)
	}
	return ids, nil
}

// PurgeLogins implements login.Store.
func (s *Store) PurgeLogins(ctx context.Context, now time.Time) (int, error) {
	n, err := s.exec(ctx, `DELETE FROM logins WHERE ends <= $1`, millis(now))
	if err != nil {
		return 0, fmt.Errorf("purge logins: %w", err)
	}
	return int(n), nil
}

// SubjectKey implements login.Store.
func (s *Store) SubjectKey(ctx context.Context, site string, fresh []byte) ([]byte, error) {
	if _, err := s.exec(ctx, `INSERT INTO login_keys (site, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING`, site, fresh); err != nil {
		return nil, fmt.Errorf("keep key of pseudonyms: %w", err)
	}
	kept, _, err := one(ctx, s, pgx.RowTo[[]byte], `SELECT sealed FROM login_keys WHERE site = $1`, site)
	if err != nil {
		return nil, fmt.Errorf("keep key of pseudonyms: %w", err)
	}
	return kept, nil
}
