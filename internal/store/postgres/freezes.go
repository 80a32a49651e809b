package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/audit"
	"sallyport/internal/egress"
)

// Freeze implements egress.FreezeStore. No node lets such a call pass when it returns nil.
func (s *Store) Freeze(ctx context.Context, f egress.Freeze) error {
	if f.Site == "" {
		return errors.New("freeze: a site is required")
	}
	err := s.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO freezes (site, connection, reason, by, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			f.Site, f.Connection, f.Reason, f.By, millis(f.At))
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return s.addEvent(ctx, tx, audit.AdminEvent{Kind: audit.KindFrozen, Site: f.Site, Connection: f.Connection})
	})
	if err != nil {
		return fmt.Errorf("freeze %s/%s: %w", f.Site, f.Connection, err)
	}
	return nil
}

// Thaw implements egress.FreezeStore. Every node lets calls pass again when it returns.
func (s *Store) Thaw(ctx context.Context, site, connection string) (bool, error) {
	thawed := false
	err := s.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM freezes WHERE site = $1 AND connection = $2`, site, connection)
		thawed = err == nil && tag.RowsAffected() > 0
		if !thawed {
			return err
		}
		return s.addEvent(ctx, tx, audit.AdminEvent{Kind: audit.KindThawed, Site: site, Connection: connection})
	})
	if err != nil {
		return thawed, fmt.Errorf("thaw %s/%s: %w", site, connection, err)
	}
	return thawed, nil
}

const freezeSelect = `SELECT site, connection, reason, by, at FROM freezes ORDER BY site, connection`

// ListFreezes implements egress.FreezeStore.
func (s *Store) ListFreezes(ctx context.Context) ([]egress.Freeze, error) {
	out, err := list(ctx, s, scanFreeze, freezeSelect)
	if err != nil {
		return nil, fmt.Errorf("list freezes: %w", err)
	}
	return out, nil
}

func scanFreeze(row pgx.CollectableRow) (f egress.Freeze, err error) {
	var at *int64
	err = row.Scan(&f.Site, &f.Connection, &f.Reason, &f.By, &at)
	f.At = moment(at)
	return f, err
}

// freezeSet is what is frozen, by site and connection.
type freezeSet map[[2]string]egress.Freeze

// watch answers egress.Freezes from what the node's lease keeps in memory.
type watch struct{ node *node }

// WatchFreezes implements egress.FreezeStore; only a node can follow.
func (s *Store) WatchFreezes(context.Context) (egress.FreezeWatch, error) {
	if s.node == nil {
		return nil, errors.New("watch freezes: this process does not serve from the store")
	}
	return watch{s.node}, nil
}

// Frozen implements egress.Freezes. Without a lease nothing is known.
func (w watch) Frozen(site, connection string) (egress.Freeze, bool, error) {
	if err := w.node.holds(); err != nil {
		return egress.Freeze{}, false, err
	}
	set := *w.node.freezes.Load()
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

// Run implements egress.FreezeWatch: the lease is kept by the store from Open to Close.
func (w watch) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
