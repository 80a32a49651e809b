package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// channel is where the database tells nodes that something changed.
	channel = "sallyport"
	// ackLimit bounds how long a change waits for nodes. A node that neither acts on it nor
	// lets its lease lapse is broken; the lease is a second.
	ackLimit = 5 * time.Second
	ackPoll  = 10 * time.Millisecond
)

// change runs fn in a transaction that has the turn of changes, tells the nodes, and
// returns nil when every node acts on it or has lost its lease. An error of the wait leaves
// the change in force.
func (s *Store) change(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	var number int64
	err := s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `UPDATE changes SET n = n + 1 RETURNING n`).Scan(&number); err != nil {
			return err
		}
		if err := fn(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `SELECT pg_notify($1, '')`, channel)
		return err
	})
	if err != nil {
		return err
	}
	return s.acknowledged(ctx, number)
}

// acknowledged waits until change number is in force on every node whose lease holds.
func (s *Store) acknowledged(ctx context.Context, number int64) error {
	ctx, cancel := context.WithTimeout(ctx, ackLimit)
	defer cancel()
	for {
		behind, err := list(ctx, s, pgx.RowTo[string], `SELECT name FROM nodes WHERE acked < $1 AND expires_at > clock_timestamp() ORDER BY id`, number)
		if err != nil {
			return fmt.Errorf("stored, but it is not known whether every node acts on it yet; each does within a second or passes nothing: %w", err)
		}
		if len(behind) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stored, but %d nodes have not acknowledged it, the first is %s: %w", len(behind), behind[0], ctx.Err())
		case <-time.After(ackPoll):
		}
	}
}

// Follow adds f to what a node does before it acknowledges a change: it takes into memory
// what the store now says. f is called from one goroutine at a time and must return soon;
// its error keeps the lease from being renewed, so that nothing passes. A tool calls nothing.
func (s *Store) Follow(f func(ctx context.Context) error) {
	if s.node == nil {
		return
	}
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	s.node.follow = append(s.node.follow, f)
}
