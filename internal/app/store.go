package app

import (
	"context"
	"log/slog"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/budget"
	"sallyport/internal/config"
	"sallyport/internal/egress"
	"sallyport/internal/receipt"
	"sallyport/internal/secret/seal"
	"sallyport/internal/session"
	"sallyport/internal/store/postgres"
	"sallyport/internal/store/sqlite"
)

// Store is everything that a gate remembers. The packages that use a part of it define the
// part and its conformance suite.
type Store interface {
	session.KeyStore
	session.SiteKeyStore
	session.RevocationStore
	egress.FreezeStore
	egress.Idempotency
	egress.OwnedStore
	egress.Permits
	receipt.Store
	seal.KeyStore
	budget.Store
	audit.AdminEvents
	// Check reports whether the store can be used; for readiness.
	Check(ctx context.Context) error
	Close() error
}

// Every port exists in both stores.
var (
	_ Store = (*sqlite.Store)(nil)
	_ Store = (*postgres.Store)(nil)
)

// StoreOptions say what the store is opened for.
type StoreOptions struct {
	Serve bool             // take calls; false: beside a gate that may be running
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: nothing is logged
}

// OpenStore opens the store that the file names.
func OpenStore(ctx context.Context, file *config.File, o StoreOptions) (Store, error) {
	role := sqlite.Tool
	if o.Serve {
		role = sqlite.Serve
	}
	s, err := sqlite.Open(ctx, sqlite.Options{Path: file.Store, Role: role, Now: o.Now, Log: o.Log})
	if err != nil {
		return nil, err
	}
	return s, nil
}
