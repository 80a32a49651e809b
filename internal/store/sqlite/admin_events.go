package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"sallyport/internal/audit"
)

// AdminEvent is an act of an operator that waits for the audit log. The act and its
// event are one transaction: neither is there without the other.
type AdminEvent struct {
	ID         int64
	Kind       audit.Kind
	Site       string
	Connection string
	Name       string // what was administered: a key's public id, a secret's name; never a value
	At         time.Time
}

// addEvent writes the event of an act in the act's own transaction.
func (s *Store) addEvent(tx *sql.Tx, e AdminEvent) error {
	_, err := exec(tx, `INSERT INTO admin_events (kind, site, connection, name, at) VALUES (?, ?, ?, ?, ?)`,
		string(e.Kind), e.Site, e.Connection, e.Name, millis(s.now()))
	return err
}

// CreateAdminEvent stores the event of an act that has no row of its own in the store,
// such as a change of the keystore.
func (s *Store) CreateAdminEvent(ctx context.Context, e AdminEvent) error {
	if err := s.writer.do(ctx, func(tx *sql.Tx) error { return s.addEvent(tx, e) }); err != nil {
		return fmt.Errorf("store event %s: %w", e.Kind, err)
	}
	return nil
}

// ListAdminEvents lists up to limit waiting events, oldest first.
func (s *Store) ListAdminEvents(ctx context.Context, limit int) ([]AdminEvent, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, kind, site, connection, name, at FROM admin_events ORDER BY id LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("list admin events: %w", err)
	}
	defer rows.Close()
	var out []AdminEvent
	for rows.Next() {
		var e AdminEvent
		var at sql.NullInt64
		if err := rows.Scan(&e.ID, &e.Kind, &e.Site, &e.Connection, &e.Name, &at); err != nil {
			return nil, fmt.Errorf("read admin event: %w", err)
		}
		e.At = moment(at)
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list admin events: %w", err)
	}
	return out, nil
}

// DeleteAdminEvent removes an event that the audit log has.
func (s *Store) DeleteAdminEvent(ctx context.Context, id int64) error {
	err := s.writer.do(ctx, func(tx *sql.Tx) error {
		_, err := exec(tx, `DELETE FROM admin_events WHERE id = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete admin event %d: %w", id, err)
	}
	return nil
}
