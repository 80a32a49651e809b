package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"sallyport/internal/webhook"
)

// DueDestinations implements webhook.Queue.
func (s *Store) DueDestinations(ctx context.Context, of []string, now time.Time) (out []string, err error) {
	for _, name := range of {
		var due bool
		err := s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM event_deliveries WHERE state = 0 AND destination = ? AND due <= ?)`, name, millis(now)).Scan(&due)
		if err != nil {
			return nil, fmt.Errorf("look for due deliveries: %w", err)
		}
		if due {
			out = append(out, name)
		}
	}
	return out, nil
}

// ClaimDeliveries implements webhook.Queue. A claim moves the delivery's time to the claim's
// end: one that lapses is due again by itself.
func (s *Store) ClaimDeliveries(ctx context.Context, c webhook.Claim, now time.Time) (out []webhook.Job, err error) {
	var seqs []int64
	err = s.writer.do(ctx, func(tx *tx) (err error) {
		seqs, err = numbers(tx.Query(`SELECT seq FROM event_deliveries WHERE state = 0 AND destination = ? AND due <= ? ORDER BY due, seq LIMIT ?`, c.Destination, millis(now), c.Limit))
		for _, seq := range seqs {
			if err == nil {
				_, err = tx.Exec(`UPDATE event_deliveries SET held_by = ?, due = ? WHERE seq = ?`, c.Holder, millis(now.Add(c.For)), seq)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	for _, seq := range seqs {
		j, err := scanJob(s.jobs.QueryRowContext(ctx, seq))
		if err != nil {
			return nil, fmt.Errorf("read delivery: %w", err)
		}
		out = append(out, j)
	}
	return out, nil
}

// jobQuery reads a delivery with its event. It is asked once for each attempt, so it is compiled once.
const jobQuery = `SELECT ` + deliveryColumns + `, e.site, e.connection, e.mode, e.type, e.object, e.received, e.sealed
	FROM event_deliveries d JOIN events e ON e.seq = d.event WHERE d.seq = ?`

func scanJob(row *sql.Row) (j webhook.Job, err error) {
	var at sql.NullInt64
	e := &j.Of
	j.Delivery, err = scanDelivery(row, &e.Site, &e.Connection, &e.Mode, &e.Type, &e.Object, &at, &e.Sealed)
	e.ID, e.Received = j.Event, moment(at)
	return j, err
}

// FinishDelivery implements webhook.Queue.
func (s *Store) FinishDelivery(ctx context.Context, id, holder string, r webhook.Result, now time.Time) (kept bool, err error) {
	err = s.writer.do(ctx, func(tx *tx) error {
		kept = false
		var ended any
		if r.State >= webhook.Done {
			ended = millis(now)
		}
		var destination, order string
		err := tx.QueryRow(`UPDATE event_deliveries SET state = ?3, due = ?4, status = ?5, reason = ?6, ended = ?7, attempts = attempts + 1, held_by = ''
			WHERE id = ?1 AND held_by = ?2 AND state = 0 RETURNING destination, ordered`,
			id, holder, int(r.State), max(r.Due.UnixMilli(), 0), r.Status, r.Reason, ended).Scan(&destination, &order)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		kept = true
		if order == "" || r.State == webhook.Waiting {
			return nil
		}
		_, err = tx.Exec(`UPDATE event_deliveries SET state = 0, due = ?3 WHERE seq = (
				SELECT min(seq) FROM event_deliveries WHERE destination = ?1 AND ordered = ?2 AND ordered <> '' AND state < 2 AND state = 1)
			AND NOT EXISTS (SELECT 1 FROM event_deliveries WHERE destination = ?1 AND ordered = ?2 AND ordered <> '' AND state < 2 AND state = 0)`, destination, order, millis(now))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("finish delivery: %w", err)
	}
	return kept, nil
}

// ReportHealth implements webhook.Queue. A success of a destination that works writes nothing.
func (s *Store) ReportHealth(ctx context.Context, destination string, ok bool, now time.Time) (webhook.Health, error) {
	h, err := s.health(ctx, destination)
	if err != nil || ok == h.FailingSince.IsZero() {
		return h, err
	}
	var since any
	if !ok {
		since = millis(now)
	}
	err = s.writer.do(ctx, func(tx *tx) error {
		_, err := tx.Exec(`INSERT INTO event_destinations (destination, failing_since) VALUES (?1, ?2)
			ON CONFLICT (destination) DO UPDATE SET failing_since = CASE WHEN ?2 IS NULL THEN NULL ELSE coalesce(failing_since, ?2) END`, destination, since)
		return err
	})
	if err != nil {
		return h, fmt.Errorf("store health of destination: %w", err)
	}
	return s.health(ctx, destination)
}

func (s *Store) health(ctx context.Context, destination string) (webhook.Health, error) {
	h := webhook.Health{Destination: destination}
	var since, disabled sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT failing_since, disabled, reason FROM event_destinations WHERE destination = ?`, destination).Scan(&since, &disabled, &h.Reason)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return h, fmt.Errorf("read health of destination: %w", err)
	}
	h.FailingSince, h.Disabled = moment(since), moment(disabled)
	return h, nil
}

// SetDisabled implements webhook.Queue.
func (s *Store) SetDisabled(ctx context.Context, destination, reason string, now time.Time) error {
	var at any
	if reason != "" {
		at = millis(now)
	}
	err := s.writer.do(ctx, func(tx *tx) error {
		_, err := tx.Exec(`INSERT INTO event_destinations (destination, disabled, reason) VALUES (?1, ?2, ?3)
			ON CONFLICT (destination) DO UPDATE SET disabled = ?2, reason = ?3, failing_since = CASE WHEN ?2 IS NULL THEN NULL ELSE failing_since END`, destination, at, reason)
		return err
	})
	if err != nil {
		return fmt.Errorf("store state of destination: %w", err)
	}
	return nil
}

// Healths implements webhook.Queue.
func (s *Store) Healths(ctx context.Context) (out []webhook.Health, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT destination, failing_since, disabled, reason FROM event_destinations WHERE failing_since IS NOT NULL OR disabled IS NOT NULL ORDER BY destination`)
	if err != nil {
		return nil, fmt.Errorf("list destinations: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var h webhook.Health
		var since, disabled sql.NullInt64
		if err := rows.Scan(&h.Destination, &since, &disabled, &h.Reason); err != nil {
			return nil, fmt.Errorf("read destination: %w", err)
		}
		h.FailingSince, h.Disabled = moment(since), moment(disabled)
		out = append(out, h)
	}
	return out, rows.Err()
}

// releaseClaims makes deliveries due at once that the process before was attempting: nobody else
// serves from this file, so that nobody can be at them.
func (s *Store) releaseClaims(ctx context.Context) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		_, err := exec(tx, `UPDATE event_deliveries SET held_by = '', due = ? WHERE state = 0 AND held_by <> ''`, millis(s.now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("take over deliveries of the process before: %w", err)
	}
	return nil
}
