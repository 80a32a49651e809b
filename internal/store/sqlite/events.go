package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"sallyport/internal/webhook"
)

// AddEvent implements webhook.Intake.
func (s *Store) AddEvent(ctx context.Context, e webhook.Event, to []webhook.Delivery) (added bool, err error) {
	err = s.writer.do(ctx, func(tx *tx) error {
		added = false
		res, err := tx.Exec(`INSERT INTO events (id, site, connection, mode, dedupe, type, object, received, sealed)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (site, connection, mode, dedupe) DO NOTHING`,
			e.ID, e.Site, e.Connection, e.Mode, []byte(e.Key), e.Type, e.Object, millis(e.Received), e.Sealed)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		seq, err := res.LastInsertId()
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO events_received (id, site, connection, at) VALUES (?, ?, ?, ?)`, e.ID, e.Site, e.Connection, millis(e.Received)); err != nil {
			return err
		}
		added = true
		return addDeliveries(tx, seq, to)
	})
	if err != nil {
		return false, fmt.Errorf("store event: %w", err)
	}
	return added, nil
}

func addDeliveries(tx *tx, event int64, to []webhook.Delivery) error {
	for _, d := range to {
		_, err := tx.Exec(`INSERT INTO event_deliveries (id, event, destination, ordered, due, state)
			SELECT ?1, ?2, ?3, ?4, ?5, CASE WHEN ?4 <> '' AND EXISTS (SELECT 1 FROM event_deliveries WHERE destination = ?3 AND ordered = ?4 AND ordered <> '' AND state < 2) THEN 1 ELSE 0 END`,
			d.ID, event, d.Destination, d.Order, millis(d.Due))
		if err != nil {
			return err
		}
	}
	return nil
}

// MoveReceived implements webhook.Intake.
func (s *Store) MoveReceived(ctx context.Context, limit int, move func(context.Context, []webhook.Received) error) (int, error) {
	lines, last, err := s.received(ctx, limit)
	if err != nil || len(lines) == 0 {
		return 0, err
	}
	if err := move(ctx, lines); err != nil {
		return 0, err
	}
	err = s.writer.do(ctx, func(tx *tx) error {
		_, err := tx.Exec(`DELETE FROM events_received WHERE seq <= ?`, last)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove what the audit log has: %w", err)
	}
	return len(lines), nil
}

func (s *Store) received(ctx context.Context, limit int) (out []webhook.Received, last int64, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT seq, id, site, connection, at FROM events_received ORDER BY seq LIMIT ?`, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("list received events: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r webhook.Received
		var at sql.NullInt64
		if err := rows.Scan(&last, &r.Event, &r.Site, &r.Connection, &at); err != nil {
			return nil, 0, fmt.Errorf("read received event: %w", err)
		}
		r.At = moment(at)
		out = append(out, r)
	}
	return out, last, rows.Err()
}

// chosen is the condition of a filter over events e.
func chosen(f webhook.Filter) (where string, args []any) {
	where = "1"
	add := func(on bool, condition string, value any) {
		if on {
			where += " AND " + condition
			args = append(args, value)
		}
	}
	add(f.Site != "", "e.site = ?", f.Site)
	add(f.Connection != "", "e.connection = ?", f.Connection)
	add(f.Event != "", "e.id = ?", f.Event)
	add(f.Object != "", "e.object = ?", f.Object)
	if prefix, ok := strings.CutSuffix(f.Type, "*"); ok {
		add(true, "substr(e.type, 1, length(?)) = ?", prefix)
		args = append(args, prefix)
	} else {
		add(f.Type != "", "e.type = ?", f.Type)
	}
	add(!f.Since.IsZero(), "e.received >= ?", millis(f.Since))
	add(!f.Until.IsZero(), "e.received < ?", millis(f.Until))
	add(f.After != "", "e.seq < (SELECT seq FROM events WHERE id = ?)", f.After)
	for i, name := range webhook.States() {
		add(f.State == name, "EXISTS (SELECT 1 FROM event_deliveries x WHERE x.event = e.seq AND x.state = ?)", i)
	}
	add(f.Destination != "", "EXISTS (SELECT 1 FROM event_deliveries x WHERE x.event = e.seq AND x.destination = ?)", f.Destination)
	return where, args
}

const eventColumns = `e.id, e.site, e.connection, e.mode, e.type, e.object, e.received`

func scanEventRow(row interface{ Scan(...any) error }, more ...any) (e webhook.Event, err error) {
	var at sql.NullInt64
	err = row.Scan(append([]any{&e.ID, &e.Site, &e.Connection, &e.Mode, &e.Type, &e.Object, &at}, more...)...)
	e.Received = moment(at)
	return e, err
}

// ListEvents implements webhook.Store.
func (s *Store) ListEvents(ctx context.Context, f webhook.Filter) (out []webhook.Event, err error) {
	where, args := chosen(f)
	if f.Limit <= 0 {
		f.Limit = 100
	}
	rows, err := s.read.QueryContext(ctx, `SELECT `+eventColumns+` FROM events e WHERE `+where+` ORDER BY e.seq DESC LIMIT ?`, append(args, f.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEventRow(rows)
		if err != nil {
			return nil, fmt.Errorf("read event: %w", err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

const deliveryColumns = `d.id, e.id, d.destination, d.ordered, d.state, d.attempts, d.due, d.status, d.reason, d.ended`

func scanDelivery(row interface{ Scan(...any) error }, more ...any) (d webhook.Delivery, err error) {
	var due, ended sql.NullInt64
	err = row.Scan(append([]any{&d.ID, &d.Event, &d.Destination, &d.Order, &d.State, &d.Attempts, &due, &d.Status, &d.Reason, &ended}, more...)...)
	d.Due, d.Ended = moment(due), moment(ended)
	return d, err
}

// FindEvent implements webhook.Store.
func (s *Store) FindEvent(ctx context.Context, id string) (e webhook.Event, to []webhook.Delivery, found bool, err error) {
	var sealed []byte
	e, err = scanEventRow(s.read.QueryRowContext(ctx, `SELECT `+eventColumns+`, e.sealed FROM events e WHERE e.id = ?`, id), &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return webhook.Event{}, nil, false, nil
	}
	if err != nil {
		return webhook.Event{}, nil, false, fmt.Errorf("find event: %w", err)
	}
	e.Sealed = sealed
	rows, err := s.read.QueryContext(ctx, `SELECT `+deliveryColumns+` FROM event_deliveries d JOIN events e ON e.seq = d.event WHERE e.id = ? ORDER BY d.seq`, id)
	if err != nil {
		return webhook.Event{}, nil, false, fmt.Errorf("list deliveries: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		d, err := scanDelivery(rows)
		if err != nil {
			return webhook.Event{}, nil, false, fmt.Errorf("read delivery: %w", err)
		}
		to = append(to, d)
	}
	return e, to, true, rows.Err()
}

// replayBatch is how many deliveries are made due in one transaction.
const replayBatch = 200

// ReplayEvents implements webhook.Store.
func (s *Store) ReplayEvents(ctx context.Context, f webhook.Filter, due time.Time) (n int, err error) {
	where, args := chosen(f)
	if f.Destination != "" {
		where += " AND d.destination = ?"
		args = append(args, f.Destination)
	}
	var last int64
	for more := true; more; {
		count := 0
		err = s.writer.do(ctx, func(tx *tx) (err error) {
			count = 0
			seqs, err := numbers(tx.Query(`SELECT d.seq FROM event_deliveries d JOIN events e ON e.seq = d.event WHERE `+where+
				` AND d.seq > ? ORDER BY d.seq LIMIT ?`, append(append([]any(nil), args...), last, replayBatch)...))
			if err != nil {
				return err
			}
			if more = len(seqs) == replayBatch; more {
				last = seqs[len(seqs)-1]
			}
			for _, seq := range seqs {
				changed, err := replayOne(tx, seq, due)
				if err != nil {
					return err
				}
				count += int(changed)
			}
			return nil
		})
		if err != nil {
			return n, fmt.Errorf("replay: %w", err)
		}
		n += count
	}
	return n, nil
}

// replayOne makes a delivery due, behind those of its order that are under way.
func replayOne(tx *tx, seq int64, due time.Time) (int64, error) {
	return exec(tx, `UPDATE event_deliveries AS d SET attempts = 0, due = ?2, status = 0, reason = '', ended = NULL, held_by = '',
		state = CASE WHEN ordered <> '' AND EXISTS (SELECT 1 FROM event_deliveries o WHERE o.destination = d.destination
			AND o.ordered = d.ordered AND o.ordered <> '' AND o.state < 2 AND o.seq <> d.seq) THEN 1 ELSE 0 END
		WHERE seq = ?1 AND (state >= 2 OR state = 0 AND held_by = '')`, seq, millis(due))
}

func numbers(rows *sql.Rows, err error) (out []int64, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

// Backlogs implements webhook.Store.
func (s *Store) Backlogs(ctx context.Context) (out []webhook.Backlog, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT destination, sum(state < 2), sum(state = 3) FROM event_deliveries WHERE state <> 2 GROUP BY destination ORDER BY destination`)
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var b webhook.Backlog
		if err := rows.Scan(&b.Destination, &b.Waiting, &b.Buried); err != nil {
			return nil, fmt.Errorf("count deliveries: %w", err)
		}
		out = append(out, b)
	}
	return out, rows.Err()
}

// purgeBatch bounds what one purge removes, so that it never holds up events that arrive.
const purgeBatch = 500

// PurgeEvents implements webhook.Store.
func (s *Store) PurgeEvents(ctx context.Context, site, connection string, before time.Time) (n int, err error) {
	err = s.writer.do(ctx, func(tx *tx) error {
		changed, err := exec(tx, `DELETE FROM events WHERE seq IN (SELECT seq FROM events e WHERE site = ? AND connection = ? AND received < ?
			AND NOT EXISTS (SELECT 1 FROM event_deliveries d WHERE d.event = e.seq AND d.state < 2) LIMIT ?)`, site, connection, millis(before), purgeBatch)
		n = int(changed)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("purge events: %w", err)
	}
	return n, nil
}
