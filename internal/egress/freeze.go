package egress

import (
	"context"
	"time"
)

// Freeze stops the calls of a site, or of one of its connections.
type Freeze struct {
	Site       string
	Connection string // empty: the whole site
	Reason     string
	By         string
	At         time.Time
}

// Freezes says what is frozen now. It answers from memory.
type Freezes interface {
	// Frozen finds the freeze that stops calls of the connection, the site's first. An
	// error means that it is not known whether calls are frozen: nothing may pass.
	Frozen(site, connection string) (Freeze, bool, error)
}

// FreezeWatch answers Freezes for as long as Run runs: without it the answers end after
// seconds, and nothing passes.
type FreezeWatch interface {
	Freezes
	// Run follows the store until ctx ends, and then returns nil. A store that cannot be
	// read is logged once per outage and asked again.
	Run(ctx context.Context) error
}

// FreezeStore keeps freezes. Methods are safe for concurrent use, from several
// processes too; a nil error means durable, and where the store serves several nodes that each of them
// acts on it or passes nothing any more.
type FreezeStore interface {
	// Freeze stores f; freezing twice keeps the first.
	Freeze(ctx context.Context, f Freeze) error
	// Thaw removes the freeze and reports whether there was one.
	Thaw(ctx context.Context, site, connection string) (bool, error)
	// ListFreezes lists by site and connection.
	ListFreezes(ctx context.Context) ([]Freeze, error)
	// WatchFreezes loads what is frozen now.
	WatchFreezes(ctx context.Context) (FreezeWatch, error)
}
