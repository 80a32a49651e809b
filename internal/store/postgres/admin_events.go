package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/audit"
)

// addEvent writes the event of an act in the act's own transaction.
func (s *Store) addEvent(ctx context.Context, tx pgx.Tx, e audit.AdminEvent) error {
	_, err := tx.Exec(ctx, `INSERT INTO admin_events (kind, site, connection, name, at) VALUES ($1, $2, $3, $4, $5)`,
		string(e.Kind), e.Site, e.Connection, e.Name, millis(s.now()))
	return err
}

// CreateAdminEvent implements audit.AdminEvents.
func (s *Store) CreateAdminEvent(ctx context.Context, e audit.AdminEvent) error {
	if err := s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error { return s.addEvent(ctx, tx, e) }); err != nil {
		return fmt.Errorf("store event %s: %w", e.Kind, err)
	}
	return nil
}

// ListAdminEvents implements audit.AdminEvents: a node gets them if it is the one that
// moves them into its log, and none otherwise.
func (s *Store) ListAdminEvents(ctx context.Context, limit int) ([]audit.AdminEvent, error) {
	out, err := list(ctx, s, scanEvent, `SELECT id, kind, site, connection, name, at FROM admin_events ORDER BY id LIMIT $1`, limit)
	if err == nil && len(out) > 0 && s.node != nil {
		mine := false
		if mine, err = s.node.takeTurn(ctx, "admin-events"); !mine {
			out = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list admin events: %w", err)
	}
	return out, nil
}

func scanEvent(row pgx.CollectableRow) (e audit.AdminEvent, err error) {
	var at *int64
	err = row.Scan(&e.ID, &e.Kind, &e.Site, &e.Connection, &e.Name, &at)
	e.At = moment(at)
	return e, err
}

// DeleteAdminEvent implements audit.AdminEvents.
func (s *Store) DeleteAdminEvent(ctx context.Context, id int64) error {
	if _, err := s.exec(ctx, `DELETE FROM admin_events WHERE id = $1`, id); err != nil {
		return fmt.Errorf("delete admin event %d: %w", id, err)
	}
	return nil
}
