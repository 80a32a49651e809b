package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/webhook"
)

// AddEvent implements webhook.Intake.
func (s *Store) AddEvent(ctx context.Context, e webhook.Event, to []webhook.Delivery) (added bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		added = false
		if err := lockOrders(ctx, tx, to); err != nil {
			return err
		}
		var seq int64
		err := tx.QueryRow(ctx, `INSERT INTO events (id, site, connection, mode, dedupe, type, object, received, sealed)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (site, connection, mode, dedupe) DO NOTHING RETURNING seq`,
			e.ID, e.Site, e.Connection, e.Mode, []byte(e.Key), e.Type, e.Object, millis(e.Received), e.Sealed).Scan(&seq)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO events_received (id, site, connection, at) VALUES ($1, $2, $3, $4)`, e.ID, e.Site, e.Connection, millis(e.Received)); err != nil {
			return err
		}
		added = true
		for _, d := range to {
			_, err := tx.Exec(ctx, `INSERT INTO event_deliveries (id, event, destination, ordered, due, state)
				SELECT $1, $2, $3::text, $4::text, $5, CASE WHEN $4 <> '' AND EXISTS (SELECT 1 FROM event_deliveries WHERE destination = $3 AND ordered = $4 AND ordered <> '' AND state < 2) THEN 1 ELSE 0 END`,
				d.ID, seq, d.Destination, d.Order, millis(d.Due))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("store event: %w", err)
	}
	return added, nil
}

// lockOrders makes who adds to an order wait for who finishes one of it. The locks are taken in
// one order, so that two events with several destinations cannot wait for each other.
func lockOrders(ctx context.Context, tx pgx.Tx, to []webhook.Delivery) error {
	var names []string
	for _, d := range to {
		if d.Order != "" {
			names = append(names, d.Destination+"\x1f"+d.Order)
		}
	}
	if len(names) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(n) FROM (SELECT DISTINCT hashtextextended(name, 0) AS n FROM unnest($1::text[]) AS name ORDER BY n) AS locks`, names)
	return err
}

// MoveReceived implements webhook.Intake. The node whose turn it is moves them.
func (s *Store) MoveReceived(ctx context.Context, limit int, move func(context.Context, []webhook.Received) error) (int, error) {
	type line struct {
		webhook.Received
		seq int64
	}
	lines, err := list(ctx, s, func(row pgx.CollectableRow) (l line, err error) {
		var at *int64
		err = row.Scan(&l.seq, &l.Event, &l.Site, &l.Connection, &at)
		l.At = moment(at)
		return l, err
	}, `SELECT seq, id, site, connection, at FROM events_received ORDER BY seq LIMIT $1`, limit)
	if err != nil {
		return 0, fmt.Errorf("list received events: %w", err)
	}
	if len(lines) == 0 {
		return 0, nil
	}
	if s.node != nil {
		if mine, err := s.node.takeTurn(ctx, "events-received"); err != nil || !mine {
			return 0, err
		}
	}
	out := make([]webhook.Received, len(lines))
	seqs := make([]int64, len(lines))
	for i, l := range lines {
		out[i], seqs[i] = l.Received, l.seq
	}
	if err := move(ctx, out); err != nil {
		return 0, err
	}
	// By number, not up to one: a transaction that began earlier may have ended since.
	if _, err := s.exec(ctx, `DELETE FROM events_received WHERE seq = ANY($1)`, seqs); err != nil {
		return 0, fmt.Errorf("remove what the audit log has: %w", err)
	}
	return len(out), nil
}

// conditions collects what a filter asks for, with its values.
type conditions struct {
	where string
	args  []any
}

func (c *conditions) add(on bool, format string, value any) {
	if !on {
		return
	}
	c.args = append(c.args, value)
	c.where += " AND " + strings.ReplaceAll(format, "?", fmt.Sprintf("$%d", len(c.args)))
}

// chosen is the condition of a filter over events e.
func chosen(f webhook.Filter) *conditions {
	c := &conditions{where: "true"}
	c.add(f.Site != "", "e.site = ?", f.Site)
	c.add(f.Connection != "", "e.connection = ?", f.Connection)
	c.add(f.Event != "", "e.id = ?", f.Event)
	c.add(f.Object != "", "e.object = ?", f.Object)
	prefix, many := strings.CutSuffix(f.Type, "*")
	c.add(many, "starts_with(e.type, ?)", prefix)
	c.add(!many && f.Type != "", "e.type = ?", f.Type)
	c.add(!f.Since.IsZero(), "e.received >= ?", millis(f.Since))
	c.add(!f.Until.IsZero(), "e.received < ?", millis(f.Until))
	c.add(f.After != "", "e.seq < (SELECT seq FROM events WHERE id = ?)", f.After)
	for i, name := range webhook.States() {
		c.add(f.State == name, "EXISTS (SELECT 1 FROM event_deliveries x WHERE x.event = e.seq AND x.state = ?)", i)
	}
	c.add(f.Destination != "", "EXISTS (SELECT 1 FROM event_deliveries x WHERE x.event = e.seq AND x.destination = ?)", f.Destination)
	return c
}

const eventColumns = `e.id, e.site, e.connection, e.mode, e.type, e.object, e.received`

func scanReceived(row pgx.CollectableRow) (e webhook.Event, err error) {
	var at *int64
	err = row.Scan(&e.ID, &e.Site, &e.Connection, &e.Mode, &e.Type, &e.Object, &at)
	e.Received = moment(at)
	return e, err
}

// ListEvents implements webhook.Store.
func (s *Store) ListEvents(ctx context.Context, f webhook.Filter) ([]webhook.Event, error) {
	c := chosen(f)
	if f.Limit <= 0 {
		f.Limit = 100
	}
	out, err := list(ctx, s, scanReceived, `SELECT `+eventColumns+` FROM events e WHERE `+c.where+fmt.Sprintf(` ORDER BY e.seq DESC LIMIT %d`, f.Limit), c.args...)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return out, nil
}

const deliveryColumns = `d.id, e.id, d.destination, d.ordered, d.state, d.attempts, d.due, d.status, d.reason, d.ended`

func deliveryFields(d *webhook.Delivery, due, ended **int64) []any {
	return []any{&d.ID, &d.Event, &d.Destination, &d.Order, &d.State, &d.Attempts, due, &d.Status, &d.Reason, ended}
}

func scanDelivery(row pgx.CollectableRow) (d webhook.Delivery, err error) {
	var due, ended *int64
	err = row.Scan(deliveryFields(&d, &due, &ended)...)
	d.Due, d.Ended = moment(due), moment(ended)
	return d, err
}

// FindEvent implements webhook.Store.
func (s *Store) FindEvent(ctx context.Context, id string) (webhook.Event, []webhook.Delivery, bool, error) {
	e, found, err := one(ctx, s, func(row pgx.CollectableRow) (e webhook.Event, err error) {
		var at *int64
		err = row.Scan(&e.ID, &e.Site, &e.Connection, &e.Mode, &e.Type, &e.Object, &at, &e.Sealed)
		e.Received = moment(at)
		return e, err
	}, `SELECT `+eventColumns+`, e.sealed FROM events e WHERE e.id = $1`, id)
	if err != nil || !found {
		return webhook.Event{}, nil, false, err
	}
	to, err := list(ctx, s, scanDelivery, `SELECT `+deliveryColumns+` FROM event_deliveries d JOIN events e ON e.seq = d.event WHERE e.id = $1 ORDER BY d.seq`, id)
	if err != nil {
		return webhook.Event{}, nil, false, fmt.Errorf("list deliveries: %w", err)
	}
	return e, to, true, nil
}

// replayBatch is how many deliveries are made due in one transaction.
const replayBatch = 200

// ReplayEvents implements webhook.Store.
func (s *Store) ReplayEvents(ctx context.Context, f webhook.Filter, due time.Time) (n int, err error) {
	c := chosen(f)
	c.add(f.Destination != "", "d.destination = ?", f.Destination)
	type row struct {
		seq                int64
		destination, order string
	}
	var last int64
	for more := true; more; {
		rows, err := list(ctx, s, func(r pgx.CollectableRow) (x row, err error) {
			return x, r.Scan(&x.seq, &x.destination, &x.order)
		}, `SELECT d.seq, d.destination, d.ordered FROM event_deliveries d JOIN events e ON e.seq = d.event WHERE `+c.where+
			fmt.Sprintf(` AND d.seq > %d ORDER BY d.seq LIMIT %d`, last, replayBatch), c.args...)
		if err != nil {
			return n, fmt.Errorf("replay: %w", err)
		}
		more = len(rows) == replayBatch
		for _, x := range rows {
			last = x.seq
			var changed int64
			err := s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
				if err := lockOrders(ctx, tx, []webhook.Delivery{{Destination: x.destination, Order: x.order}}); err != nil {
					return err
				}
				tag, err := tx.Exec(ctx, `UPDATE event_deliveries AS d SET attempts = 0, due = $2, status = 0, reason = '', ended = NULL, held_by = '',
					state = CASE WHEN ordered <> '' AND EXISTS (SELECT 1 FROM event_deliveries o WHERE o.destination = d.destination
						AND o.ordered = d.ordered AND o.ordered <> '' AND o.state < 2 AND o.seq <> d.seq) THEN 1 ELSE 0 END
					WHERE seq = $1 AND (state >= 2 OR state = 0 AND held_by = '')`, x.seq, millis(due))
				changed = tag.RowsAffected()
				return err
			})
			if err != nil {
				return n, fmt.Errorf("replay: %w", err)
			}
			n += int(changed)
		}
	}
	return n, nil
}

// Backlogs implements webhook.Store.
func (s *Store) Backlogs(ctx context.Context) ([]webhook.Backlog, error) {
	out, err := list(ctx, s, func(row pgx.CollectableRow) (b webhook.Backlog, err error) {
		return b, row.Scan(&b.Destination, &b.Waiting, &b.Buried)
	}, `SELECT destination, count(*) FILTER (WHERE state < 2), count(*) FILTER (WHERE state = 3) FROM event_deliveries WHERE state <> 2 GROUP BY destination ORDER BY destination`)
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	return out, nil
}

// purgeBatch bounds what one purge removes.
const purgeBatch = 500

// PurgeEvents implements webhook.Store.
func (s *Store) PurgeEvents(ctx context.Context, site, connection string, before time.Time) (int, error) {
	n, err := s.exec(ctx, `DELETE FROM events WHERE seq IN (SELECT seq FROM events e WHERE site = $1 AND connection = $2 AND received < $3
		AND NOT EXISTS (SELECT 1 FROM event_deliveries d WHERE d.event = e.seq AND d.state < 2) LIMIT $4)`, site, connection, millis(before), purgeBatch)
	if err != nil {
		return 0, fmt.Errorf("purge events: %w", err)
	}
	return int(n), nil
}
