package app

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/audit"
)

// eventPoll is how often acts of operators are looked for. They are made by other
// processes (sallyport freeze, keys, secrets) and wait in the store for the audit log,
// which only the running gate writes.
const eventPoll = time.Second

// moveAdminEvents takes waiting events into the audit log until ctx ends. An event is
// removed after its entry is on disk: a crash between the two writes the entry twice,
// with the same request name, and never loses it.
func (g *Gate) moveAdminEvents(ctx context.Context) error {
	tick := time.NewTicker(eventPoll)
	defer tick.Stop()
	failing := false
	for {
		err := g.moveEvents(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			g.log.Error("acts of operators wait for the audit log", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (g *Gate) moveEvents(ctx context.Context) error {
	waiting, err := g.store.ListAdminEvents(ctx, 100)
	if err != nil {
		return err
	}
	for _, e := range waiting {
		err := g.audit.Record(ctx, audit.Event{Kind: e.Kind, Request: fmt.Sprintf("operator-%d", e.ID),
			Site: e.Site, Connection: e.Connection, Name: e.Name, Caller: "operator"})
		if err != nil {
			return fmt.Errorf("move event %d: %w", e.ID, err)
		}
		if err := g.store.DeleteAdminEvent(ctx, e.ID); err != nil {
			return err
		}
	}
	return nil
}
