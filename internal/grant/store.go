package grant

import (
	"context"
	"time"
)

// Key names a grant.
type Key struct {
	Site       string
	Connection string
	// Subject is a keyed hash of whose it is (Options.Pseudonym).
	Subject string
}

// Stored is a grant as a Store keeps it.
type Stored struct {
	Key
	// Version counts the changes of what is sealed; the store sets it.
	Version int64
	// Sealed are the tokens, under the site's data key; empty where the grant is over.
	Sealed []byte
	// Ended: the provider does not take it any more; the visitor has to connect again.
	Ended bool
	// Begun is when the visitor connected, in whole seconds.
	Begun time.Time
}

// Lease asks for the right to renew a grant.
type Lease struct {
	// Holder is a random name, new for each renewal: it fences off who held the lease before.
	Holder string
	// Seen is the version that is to be renewed.
	Seen int64
	// For is how long the lease lasts unless it is extended.
	For time.Duration
}

// Store keeps grants until they are deleted. Methods are safe for concurrent use, from
// several processes too; a nil error means durable. granttest.Store is its conformance suite.
type Store interface {
	// PutGrant stores a grant, in the place of one of the same key. Whoever renews that one
	// meanwhile has lost its lease.
	PutGrant(ctx context.Context, g Stored) error
	// FindGrant finds a grant.
	FindGrant(ctx context.Context, k Key) (Stored, bool, error)
	// ListGrants lists the grants of a subject of a site, by connection.
	ListGrants(ctx context.Context, site, subject string) ([]Stored, error)
	// DeleteGrant removes a grant and gives what it was, so that it can be ended at the
	// provider. Whoever renews it meanwhile has lost its lease.
	DeleteGrant(ctx context.Context, k Key) (Stored, bool, error)
	Leases
}

// Leases decide which process renews a grant. Times pass by the store's own clock, so that
// nodes whose clocks differ agree.
type Leases interface {
	// LeaseGrant lets the holder renew a grant, if it is still of the version Seen, has not
	// ended, and nobody else holds the lease. In the same step it gives what is stored.
	LeaseGrant(ctx context.Context, k Key, l Lease) (g Stored, found, granted bool, err error)
	// ExtendGrantLease prolongs a lease from now on, and reports whether the holder still has it.
	ExtendGrantLease(ctx context.Context, k Key, l Lease) (bool, error)
	// SaveGrant stores what a renewal brought, or that the grant has ended, counts the version
	// up and ends the lease. It reports false and changes nothing if the holder lost its lease.
	SaveGrant(ctx context.Context, k Key, holder string, sealed []byte, ended bool) (bool, error)
	// ReleaseGrant ends the lease without a change.
	ReleaseGrant(ctx context.Context, k Key, holder string) error
}
