package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// lease is how long a node may pass calls on what it read. The database counts it by
	// its own clock from the renewal, the node from before it asked, so that the node's
	// ends first. SQL says it as leaseSQL.
	lease    = time.Second
	leaseSQL = `interval '1 second'`
	// beatEvery is how often it is renewed.
	beatEvery = lease / 5
	// A node that did not renew for deadAfterSQL after its lease lapsed is dead.
	deadAfterSQL = `interval '5 seconds'`
	reapEvery    = time.Second
	// turnToJoin is the advisory lock under which nodes come and come back.
	turnToJoin = 0x5a1179073e
)

// node is this process among those that serve. One goroutine keeps its lease.
type node struct {
	store *Store
	// id is the fencing number; it changes when the node comes back from the dead.
	id atomic.Int64
	// acked is the last change that is in force here. Only the goroutine uses it.
	acked   int64
	freezes atomic.Pointer[freezeSet]
	// crew is who held a lease at the last beat. Only the goroutine writes it and joined,
	// which is when this node took its lease, for the first time or again.
	crew   atomic.Pointer[crew]
	joined time.Time
	// good is a moment before which every change that was stored is in force here.
	good atomic.Pointer[time.Time]

	mu     sync.Mutex
	follow []func(ctx context.Context) error

	stop context.CancelFunc
	done chan struct{}
}

var errLapsed = errors.New("the lease lapsed")

// holds is nil while the lease holds. Both clocks of the machine are asked: one stands
// still while it sleeps, the other can be set.
func (n *node) holds() error {
	good, now := n.good.Load(), time.Now()
	if good == nil {
		return errors.New("the database has not been read yet")
	}
	age := max(now.Sub(*good), now.Round(0).Sub(good.Round(0)))
	if age >= lease {
		return fmt.Errorf("the database was last reached %s ago: %w", age.Round(time.Millisecond), errLapsed)
	}
	return nil
}

// join makes the process a node and starts to keep its lease. Where limits are not shared
// it waits for the lease of a node that died a moment ago.
func (s *Store) join(ctx context.Context) (*node, error) {
	n := &node{store: s, acked: -1, done: make(chan struct{})}
	conn, err := n.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for deadline := time.Now().Add(2 * lease); ; {
		err = n.enter(ctx, conn)
		if !errors.Is(err, ErrServed) || time.Now().After(deadline) {
			break
		}
		time.Sleep(beatEvery)
	}
	if err != nil {
		return nil, err
	}
	if err := n.beat(ctx, conn); err != nil {
		n.retire()
		return nil, err
	}
	work, stop := context.WithCancel(context.Background())
	n.stop = stop
	go n.run(work)
	return n, nil
}

// connect opens the connection of the lease: it is not of the pool, so that no number of
// calls can keep the node from renewing it.
func (n *node) connect(ctx context.Context) (*pgx.Conn, error) {
	c, err := n.store.connConfig()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if _, err := conn.Exec(ctx, `LISTEN `+channel); err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), conn.Close(ctx))
	}
	return conn, nil
}

// enter takes the lease, for the first time or again: under the number it had, or under a
// new one where others declared it dead. What is in force is read before: a node that
// cannot take it in has no lease that others would wait for.
func (n *node) enter(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var number int64
	if err := conn.QueryRow(ctx, `SELECT n FROM changes`).Scan(&number); err != nil {
		return fmt.Errorf("read changes: %w", err)
	}
	if err := n.takeIn(ctx, conn, number); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(turnToJoin)); err != nil {
			return fmt.Errorf("wait for the turn to join: %w", err)
		}
		if err := n.alone(ctx, tx); err != nil {
			return err
		}
		id := n.id.Load()
		tag, err := tx.Exec(ctx, `UPDATE nodes SET expires_at = clock_timestamp() + `+leaseSQL+`, acked = $2 WHERE id = $1`, id, n.acked)
		if err == nil && tag.RowsAffected() == 0 {
			err = tx.QueryRow(ctx, `INSERT INTO nodes (name, shares, acked, started_at, expires_at)
				VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp() + `+leaseSQL+`) RETURNING id`, n.store.o.Name, n.store.o.Shares, n.acked).Scan(&id)
		}
		if err != nil {
			return fmt.Errorf("take the lease: %w", err)
		}
		n.id.Store(id)
		return nil
	})
	if err == nil {
		n.joined = time.Now()
	}
	return err
}

// alone is an error where another node serves and one of the two keeps its limits itself.
func (n *node) alone(ctx context.Context, tx pgx.Tx) error {
	var other string
	err := tx.QueryRow(ctx, `SELECT name FROM nodes WHERE id <> $1 AND expires_at > clock_timestamp() AND NOT (shares AND $2) LIMIT 1`,
		n.id.Load(), n.store.o.Shares).Scan(&other)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look for other nodes: %w", err)
	}
	return fmt.Errorf("%w (%s), and limits that are kept in memory would count on each node alone; "+
		"keep them in one place (shared_state: redis://…) on every node, or stop the other one first", ErrServed, other)
}

// run keeps the lease until its context ends. An outage is logged once, and its end.
func (n *node) run(ctx context.Context) {
	defer close(n.done)
	failing := false
	for ctx.Err() == nil {
		err := n.keep(ctx, &failing)
		if ctx.Err() != nil {
			return
		}
		if !failing {
			n.store.log.ErrorContext(ctx, "the database cannot be used; nothing passes until it can", "error", err)
		}
		failing = true
		select {
		case <-ctx.Done():
		case <-time.After(beatEvery / 2):
		}
	}
}

// keep renews the lease on one connection until something fails.
func (n *node) keep(ctx context.Context, failing *bool) error {
	conn, err := n.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	reaped := time.Now()
	for {
		if err := n.beat(ctx, conn); err != nil {
			return err
		}
		if *failing {
			n.store.log.WarnContext(ctx, "the database can be used again")
			*failing = false
		}
		if time.Since(reaped) >= reapEvery {
			if err := n.reap(ctx, conn); err != nil {
				return err
			}
			reaped = time.Now()
		}
		wait, cancel := context.WithTimeout(ctx, beatEvery)
		_, err := conn.WaitForNotification(wait)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("wait for changes: %w", err)
		}
	}
}

// beat renews the lease. Where something changed it takes that in first: a node that is
// behind renews nothing.
func (n *node) beat(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 3*lease)
	defer cancel()
	for {
		asked, number, c := time.Now(), int64(0), crew{}
		err := conn.QueryRow(ctx, `UPDATE nodes SET acked = $2,
				expires_at = CASE WHEN c.n = $2 THEN clock_timestamp() + `+leaseSQL+` ELSE expires_at END
			FROM changes AS c WHERE id = $1 AND expires_at > clock_timestamp()
			RETURNING c.n, (SELECT count(*) FROM nodes WHERE expires_at > clock_timestamp()),
				(SELECT count(*) FROM nodes AS before WHERE before.id < $1 AND before.expires_at > clock_timestamp())`, n.id.Load(), n.acked).Scan(&number, &c.live, &c.index)
		switch {
		case errors.Is(err, pgx.ErrNoRows): // it lapsed
			if err := n.enter(ctx, conn); err != nil {
				return err
			}
			continue
		case err != nil:
			return fmt.Errorf("renew the lease: %w", err)
		case number == n.acked:
			n.good.Store(&asked)
			c.since = n.joined
			n.crew.Store(&c)
			return nil
		}
		if err := n.takeIn(ctx, conn, number); err != nil {
			return err
		}
	}
}

// takeIn reads what is in force after change number at least, into the node's memory.
func (n *node) takeIn(ctx context.Context, conn *pgx.Conn, number int64) error {
	rows, err := conn.Query(ctx, freezeSelect)
	if err != nil {
		return fmt.Errorf("read what is frozen: %w", err)
	}
	freezes, err := pgx.CollectRows(rows, scanFreeze)
	if err != nil {
		return fmt.Errorf("read what is frozen: %w", err)
	}
	set := make(freezeSet, len(freezes))
	for _, f := range freezes {
		set[[2]string{f.Site, f.Connection}] = f
	}
	n.freezes.Store(&set)
	n.mu.Lock()
	follow := slices.Clone(n.follow)
	n.mu.Unlock()
	for _, f := range follow {
		if err := f(ctx); err != nil {
			return fmt.Errorf("take in what changed: %w", err)
		}
	}
	n.acked = number
	return nil
}

// reap declares nodes dead that have been silent for long: their rows go, and with them
// the right to end the calls that they had in progress. What became of those is unknown.
func (n *node) reap(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, lease)
	defer cancel()
	var dead, calls int64
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM nodes WHERE expires_at < clock_timestamp() - `+deadAfterSQL)
		if err != nil {
			return err
		}
		dead = tag.RowsAffected()
		tag, err = tx.Exec(ctx, `UPDATE repeats SET state = 0 WHERE state = 1 AND NOT EXISTS (SELECT FROM nodes WHERE nodes.id = repeats.node)`)
		calls = tag.RowsAffected()
		return err
	})
	if err != nil {
		return fmt.Errorf("look for dead nodes: %w", err)
	}
	if dead > 0 || calls > 0 {
		n.store.log.WarnContext(ctx, "a node died; the calls that it had in progress have an unknown outcome", "count", calls)
	}
	return nil
}

// LiveNodes is how many nodes held a lease when this one last looked, itself included; a
// tool knows of none.
func (s *Store) LiveNodes() int {
	if s.node == nil {
		return 0
	}
	_, live, _ := s.Crew()
	return live
}

// crew is what a node knows of those that serve beside it.
type crew struct {
	index, live int
	since       time.Time
}

// Crew is which of the live nodes this one is, in the order in which they came, how many
// there are, and since when it is one of them. What it says is at most a lease old. A tool
// is the one of one.
func (s *Store) Crew() (index, live int, since time.Time) {
	if s.node == nil {
		return 0, 1, time.Time{}
	}
	c := s.node.crew.Load()
	if c == nil {
		return 0, 1, time.Time{}
	}
	return c.index, c.live, c.since
}

// takeTurn makes this node the one that does work, unless another one whose lease holds is.
func (n *node) takeTurn(ctx context.Context, work string) (bool, error) {
	if err := n.holds(); err != nil {
		return false, err
	}
	changed, err := n.store.exec(ctx, `INSERT INTO turns (work, node) VALUES ($1, $2)
		ON CONFLICT (work) DO UPDATE SET node = excluded.node WHERE turns.node = excluded.node
			OR NOT EXISTS (SELECT FROM nodes WHERE nodes.id = turns.node AND expires_at > clock_timestamp())`, work, n.id.Load())
	if err != nil {
		return false, fmt.Errorf("take the turn of %s: %w", work, err)
	}
	return changed > 0, nil
}

// leave ends the lease in order: nobody has to wait for it.
func (n *node) leave() {
	n.stop()
	<-n.done
	n.good.Store(nil)
	n.retire()
}

// retire takes the node's row away. Where that fails the lease lapses by itself.
func (n *node) retire() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := n.store.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM nodes WHERE id = $1`, n.id.Load()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE repeats SET state = 0 WHERE state = 1 AND node = $1`, n.id.Load())
		return err
	})
	if err != nil {
		n.store.log.WarnContext(ctx, "this node could not say that it leaves; its lease lapses by itself", "error", err)
	}
}
