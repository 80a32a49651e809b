package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"sallyport/internal/audit"
)

// addEvent writes the event of an act in the act's own transaction.
func (s *Store) addEvent(tx *tx, e audit.AdminEvent) error {
	_, err := exec(tx, `INSERT INTO admin_events (kind, site, connection, name, at) VALUES (?, ?, ?, ?, ?)`,
		string(e.Kind), e.Site, e.Connection, e.Name, millis(s.now()))
	return err
}

// CreateAdminEvent implements audit.AdminEvents.
func (s *Store) CreateAdminEvent(ctx context.Context, e audit.AdminEvent) error {
	if err := s.writer.do(ctx, func(tx *tx) error { return s.addEvent(tx, e) }); err != nil {
		return fmt.Errorf("store event %s: %w", e.Kind, err)
	}
	return nil
}

// ListAdminEvents implements audit.AdminEvents.
func (s *Store) ListAdminEvents(ctx context.Context, limit int) ([]audit.AdminEvent, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, kind, site, connection, name, at FROM admin_events ORDER BY id LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("list admin events: %w", err)
	}
	defer rows.Close()
	var out []audit.AdminEvent
	for rows.Next() {
		var e audit.AdminEvent
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

// DeleteAdminEvent implements audit.AdminEvents.
func (s *Store) DeleteAdminEvent(ctx context.Context, id int64) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		_, err := exec(tx, `DELETE FROM admin_events WHERE id = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete admin event %d: %w", id, err)
	}
	return nil
}
