package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"sallyport/internal/login"
)

// CreateLogin implements login.Store.
func (s *Store) CreateLogin(ctx context.Context, l login.Stored) (dropped []string, err error) {
	err = s.writer.do(ctx, func(tx *tx) error {
		if _, err := exec(tx, `INSERT INTO logins (site, id, connection, subject, sealed, begun, ends) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			l.Site, l.ID, l.Connection, l.Subject, l.Sealed, millis(l.Begun), millis(l.Ends)); err != nil {
			return err
		}
		dropped, err = ids(tx, `DELETE FROM logins WHERE site = ?1 AND id IN (
			SELECT id FROM logins WHERE site = ?1 AND subject = ?2 ORDER BY begun DESC, id LIMIT -1 OFFSET ?3) RETURNING id`, l.Site, l.Subject, login.MaxPerSubject)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create login: %w", err)
	}
	return dropped, nil
}

// ids runs a statement that returns ids.
func ids(tx *tx, query string, args ...any) (out []string, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// FindLogin implements login.Store.
func (s *Store) FindLogin(ctx context.Context, site, id string) (login.Stored, bool, error) {
	l := login.Stored{Site: site, ID: id}
	var begun, ends sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT connection, subject, sealed, begun, ends FROM logins WHERE site = ? AND id = ?`, site, id).
		Scan(&l.Connection, &l.Subject, &l.Sealed, &begun, &ends)
	if errors.Is(err, sql.ErrNoRows) {
		return login.Stored{}, false, nil
	}
	if err != nil {
		return login.Stored{}, false, fmt.Errorf("find login: %w", err)
	}
	l.Begun, l.Ends = moment(begun), moment(ends)
	return l, true, nil
}

// DeleteLogin implements login.Store.
func (s *Store) DeleteLogin(ctx context.Context, site, id string) (bool, error) {
	var n int64
	err := s.writer.do(ctx, func(tx *tx) (err error) {
		n, err = exec(tx, `DELETE FROM logins WHERE site = ? AND id = ?`, site, id)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("delete login: %w", err)
	}
	return n == 1, nil
}

// DeleteLoginsOf implements login.Store.
func (s *Store) DeleteLoginsOf(ctx context.Context, site, subject string) (out []string, err error) {
	err = s.writer.do(ctx, func(tx *tx) error {
		out, err = ids(tx, `DELETE FROM logins WHERE site = ? AND subject = ? RETURNING id`, site, subject)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("delete logins: %w", err)
	}
	return out, nil
}

// PurgeLogins implements login.Store.
func (s *Store) PurgeLogins(ctx context.Context, now time.Time) (int, error) {
	return s.purge(ctx, "logins", `DELETE FROM logins WHERE ends <= ?`, now)
}

// SubjectKey implements login.Store.
func (s *Store) SubjectKey(ctx context.Context, site string, fresh []byte) ([]byte, error) {
	var kept []byte
	err := s.writer.do(ctx, func(tx *tx) error {
		if _, err := exec(tx, `INSERT INTO login_keys (site, sealed) VALUES (?, ?) ON CONFLICT DO NOTHING`, site, fresh); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT sealed FROM login_keys WHERE site = ?`, site).Scan(&kept)
	})
	if err != nil {
		return nil, fmt.Errorf("keep key of pseudonyms: %w", err)
	}
	return kept, nil
}
