package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/webhook"
)

// DueDestinations implements webhook.Queue.
func (s *Store) DueDestinations(ctx context.Context, of []string, now time.Time) ([]string, error) {
	out, err := list(ctx, s, pgx.RowTo[string], `SELECT name FROM unnest($1::text[]) WITH ORDINALITY AS t (name, n)
		WHERE EXISTS (SELECT 1 FROM event_deliveries WHERE state = 0 AND destination = name AND due <= $2) ORDER BY n`, of, millis(now))
	if err != nil {
		return nil, fmt.Errorf("look for due deliveries: %w", err)
	}
	return out, nil
}

// ClaimDeliveries implements webhook.Queue. A claim moves the delivery's time to the claim's
// end: one that lapses is due again by itself. Nodes skip what another one is claiming.
func (s *Store) ClaimDeliveries(ctx context.Context, c webhook.Claim, now time.Time) (out []webhook.Job, err error) {
	type placed struct {
		webhook.Job
		was, seq int64
	}
	rows, err := list(ctx, s, func(row pgx.CollectableRow) (p placed, err error) {
		var at, due, ended *int64
		e := &p.Of
		err = row.Scan(append(deliveryFields(&p.Delivery, &due, &ended), &e.Site, &e.Connection, &e.Mode, &e.Type, &e.Object, &at, &e.Sealed, &p.was, &p.seq)...)
		p.Due, p.Ended, e.ID, e.Received = moment(due), moment(ended), p.Event, moment(at)
		return p, err
	}, `WITH mine AS (SELECT seq, due FROM event_deliveries WHERE state = 0 AND destination = $1 AND due <= $2 ORDER BY due, seq LIMIT $3 FOR UPDATE SKIP LOCKED)
		UPDATE event_deliveries AS d SET held_by = $4, due = $5 FROM mine, events AS e WHERE d.seq = mine.seq AND e.seq = d.event
		RETURNING `+deliveryColumns+`, e.site, e.connection, e.mode, e.type, e.object, e.received, e.sealed, mine.due, d.seq`,
		c.Destination, millis(now), c.Limit, c.Holder, millis(now.Add(c.For)))
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	slices.SortFunc(rows, func(a, b placed) int {
		if a.was != b.was {
			return int(min(max(a.was-b.was, -1), 1))
		}
		return int(min(max(a.seq-b.seq, -1), 1))
	})
	for _, p := range rows {
		out = append(out, p.Job)
	}
	return out, nil
}

// FinishDelivery implements webhook.Queue.
func (s *Store) FinishDelivery(ctx context.Context, id, holder string, r webhook.Result, now time.Time) (kept bool, err error) {
	var ended *int64
	if r.State >= webhook.Done {
		ended = millis(now)
	}
	err = s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		kept = false
		var destination, order string
		err := tx.QueryRow(ctx, `SELECT destination, ordered FROM event_deliveries WHERE id = $1`, id).Scan(&destination, &order)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := lockOrders(ctx, tx, []webhook.Delivery{{Destination: destination, Order: order}}); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE event_deliveries SET state = $3, due = $4, status = $5, reason = $6, ended = $7, attempts = attempts + 1, held_by = ''
			WHERE id = $1 AND held_by = $2 AND state = 0`, id, holder, int(r.State), max(r.Due.UnixMilli(), 0), r.Status, r.Reason, ended)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		kept = true
		if order == "" || r.State == webhook.Waiting {
			return nil
		}
		_, err = tx.Exec(ctx, `UPDATE event_deliveries SET state = 0, due = $3 WHERE seq = (
				SELECT min(seq) FROM event_deliveries WHERE destination = $1 AND ordered = $2 AND ordered <> '' AND state < 2 AND state = 1)
			AND NOT EXISTS (SELECT 1 FROM event_deliveries WHERE destination = $1 AND ordered = $2 AND ordered <> '' AND state < 2 AND state = 0)`, destination, order, millis(now))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("finish delivery: %w", err)
	}
	return kept, nil
}

func scanHealth(row pgx.CollectableRow) (h webhook.Health, err error) {
	var since, disabled *int64
	err = row.Scan(&h.Destination, &since, &disabled, &h.Reason)
	h.FailingSince, h.Disabled = moment(since), moment(disabled)
	return h, err
}

func (s *Store) health(ctx context.Context, destination string) (webhook.Health, error) {
	h, found, err := one(ctx, s, scanHealth, `SELECT destination, failing_since, disabled, reason FROM event_destinations WHERE destination = $1`, destination)
	if err != nil {
		return h, fmt.Errorf("read health of destination: %w", err)
	}
	if !found {
		h.Destination = destination
	}
	return h, nil
}

// ReportHealth implements webhook.Queue. A success of a destination that works writes nothing.
func (s *Store) ReportHealth(ctx context.Context, destination string, ok bool, now time.Time) (webhook.Health, error) {
	h, err := s.health(ctx, destination)
	if err != nil || ok == h.FailingSince.IsZero() {
		return h, err
	}
	var since *int64
	if !ok {
		since = millis(now)
	}
	_, err = s.exec(ctx, `INSERT INTO event_destinations AS h (destination, failing_since) VALUES ($1, $2::bigint)
		ON CONFLICT (destination) DO UPDATE SET failing_since = CASE WHEN $2::bigint IS NULL THEN NULL ELSE coalesce(h.failing_since, $2::bigint) END`, destination, since)
	if err != nil {
		return h, fmt.Errorf("store health of destination: %w", err)
	}
	return s.health(ctx, destination)
}

// SetDisabled implements webhook.Queue.
func (s *Store) SetDisabled(ctx context.Context, destination, reason string, now time.Time) error {
	var at *int64
	if reason != "" {
		at = millis(now)
	}
	_, err := s.exec(ctx, `INSERT INTO event_destinations AS h (destination, disabled, reason) VALUES ($1, $2::bigint, $3)
		ON CONFLICT (destination) DO UPDATE SET disabled = $2::bigint, reason = $3, failing_since = CASE WHEN $2::bigint IS NULL THEN NULL ELSE h.failing_since END`, destination, at, reason)
	if err != nil {
		return fmt.Errorf("store state of destination: %w", err)
	}
	return nil
}

// Healths implements webhook.Queue.
func (s *Store) Healths(ctx context.Context) ([]webhook.Health, error) {
	out, err := list(ctx, s, scanHealth, `SELECT destination, failing_since, disabled, reason FROM event_destinations WHERE failing_since IS NOT NULL OR disabled IS NOT NULL ORDER BY destination`)
	if err != nil {
		return nil, fmt.Errorf("list destinations: %w", err)
	}
	return out, nil
}
