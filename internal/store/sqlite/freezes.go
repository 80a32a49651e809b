package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/egress"
)

// Freeze implements egress.FreezeStore.
func (s *Store) Freeze(ctx context.Context, f egress.Freeze) error {
	if f.Site == "" {
		return errors.New("freeze: a site is required")
	}
	err := s.writer.do(ctx, func(tx *tx) error {
		n, err := exec(tx, `INSERT INTO freezes (site, connection, reason, by, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			f.Site, f.Connection, f.Reason, f.By, millis(f.At))
		if err != nil || n == 0 {
			return err
		}
		return s.addEvent(tx, audit.AdminEvent{Kind: audit.KindFrozen, Site: f.Site, Connection: f.Connection})
	})
	if err != nil {
		return fmt.Errorf("freeze %s/%s: %w", f.Site, f.Connection, err)
	}
	return nil
}

// Thaw implements egress.FreezeStore.
func (s *Store) Thaw(ctx context.Context, site, connection string) (bool, error) {
	var n int64
	err := s.writer.do(ctx, func(tx *tx) (err error) {
		n, err = exec(tx, `DELETE FROM freezes WHERE site = ? AND connection = ?`, site, connection)
		if err != nil || n == 0 {
			return err
		}
		return s.addEvent(tx, audit.AdminEvent{Kind: audit.KindThawed, Site: site, Connection: connection})
	})
	if err != nil {
		return false, fmt.Errorf("thaw %s/%s: %w", site, connection, err)
	}
	return n > 0, nil
}

// ListFreezes implements egress.FreezeStore.
func (s *Store) ListFreezes(ctx context.Context) ([]egress.Freeze, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT site, connection, reason, by, at FROM freezes ORDER BY site, connection`)
	if err != nil {
		return nil, fmt.Errorf("list freezes: %w", err)
	}
	defer rows.Close()
	var out []egress.Freeze
	for rows.Next() {
		var f egress.Freeze
		var at sql.NullInt64
		if err := rows.Scan(&f.Site, &f.Connection, &f.Reason, &f.By, &at); err != nil {
			return nil, fmt.Errorf("read freeze: %w", err)
		}
		f.At = moment(at)
		out = append(out, f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list freezes: %w", err)
	}
	return out, nil
}

const (
	// freezePoll is how often the file is asked whether any process changed it; that
	// costs one system call or two. A freeze holds within it and one read.
	freezePoll = 200 * time.Millisecond
	// freezeLease is how long an answer from memory counts while the file cannot be
	// read. After that nobody knows whether calls are frozen, and none passes.
	freezeLease = 5 * time.Second
)

type freezeSet map[[2]string]egress.Freeze

// FreezeWatch answers egress.Freezes from memory and follows the file. Run must be
// running: without it the answers end after five seconds.
type FreezeWatch struct {
	store *Store
	set   atomic.Pointer[freezeSet]
	seen  atomic.Pointer[time.Time]
}

// WatchFreezes implements egress.FreezeStore with a *FreezeWatch.
func (s *Store) WatchFreezes(ctx context.Context) (egress.FreezeWatch, error) {
	w := &FreezeWatch{store: s}
	if err := w.load(ctx); err != nil {
		return nil, err
	}
	return w, nil
}

// Frozen implements egress.Freezes.
func (w *FreezeWatch) Frozen(site, connection string) (egress.Freeze, bool, error) {
	if age := w.store.now().Sub(*w.seen.Load()); age > freezeLease {
		return egress.Freeze{}, false, fmt.Errorf("what is frozen was last read %s ago", age.Round(time.Millisecond))
	}
	set := *w.set.Load()
	if len(set) == 0 {
		return egress.Freeze{}, false, nil
	}
	for _, c := range [...]string{"", connection} {
		if f, ok := set[[2]string{site, c}]; ok {
			return f, true, nil
		}
	}
	return egress.Freeze{}, false, nil
}

func (w *FreezeWatch) load(ctx context.Context) error {
	asked := w.store.now()
	list, err := w.store.ListFreezes(ctx)
	if err != nil {
		return err
	}
	set := make(freezeSet, len(list))
	for _, f := range list {
		set[[2]string{f.Site, f.Connection}] = f
	}
	w.set.Store(&set)
	w.seen.Store(&asked)
	return nil
}

// Run follows the file until ctx ends, and then returns nil. A file that cannot be read
// is logged once per outage and asked again.
func (w *FreezeWatch) Run(ctx context.Context) error {
	failing := false
	for ctx.Err() == nil {
		err := w.follow(ctx, &failing)
		if ctx.Err() != nil {
			return nil
		}
		if !failing {
			w.store.log.ErrorContext(ctx, "what is frozen cannot be read", "error", err)
		}
		failing = true
		select {
		case <-ctx.Done():
		case <-time.After(freezePoll):
		}
	}
	return nil
}

// follow polls on one connection: PRAGMA data_version changes when any other connection,
// of any process, has committed, and only then are the rows read.
func (w *FreezeWatch) follow(ctx context.Context, failing *bool) error {
	conn, err := w.store.read.Conn(ctx)
	if err != nil {
		return fmt.Errorf("watch freezes: %w", err)
	}
	defer conn.Close()
	tick := time.NewTicker(freezePoll)
	defer tick.Stop()
	last := int64(-1)
	for {
		asked, version := w.store.now(), int64(0)
		if err := conn.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&version); err != nil {
			return fmt.Errorf("watch freezes: %w", err)
		}
		if version != last {
			if err := w.load(ctx); err != nil {
				return err
			}
			last = version
		}
		w.seen.Store(&asked)
		*failing = false
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
