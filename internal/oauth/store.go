package oauth

import (
	"context"
	"time"
)

// TokenStore keeps sealed tokens and says who may ask for the next one. Methods are safe for
// concurrent use, from several processes too; times pass by the store's own clock, so that
// nodes whose clocks differ agree. oauthtest.TokenStore is its conformance suite.
type TokenStore interface {
	// LeaseToken lets the holder ask for a token, if none newer than Seen is stored, nobody
	// else holds the lease, and no pause is to be kept. In the same step it returns what is
	// stored.
	LeaseToken(ctx context.Context, k Key, l Lease) (Record, error)
	// ExtendLease prolongs a lease from now on, and reports whether the holder still has it.
	ExtendLease(ctx context.Context, k Key, l Lease) (bool, error)
	// SaveToken stores a token, ends the lease and counts the version up. It returns the new
	// version, or 0 and changes nothing if the holder lost its lease.
	SaveToken(ctx context.Context, k Key, holder string, s Sealed) (int64, error)
	// ReleaseToken ends the lease without a token. Everybody then keeps the pause.
	ReleaseToken(ctx context.Context, k Key, holder string, p Pause) error
	// DeleteTokens forgets all tokens of a connection. Whoever asks for one meanwhile has
	// lost its lease.
	DeleteTokens(ctx context.Context, site, connection string) error
	// PurgeTokens removes what ended before the time and is not being asked for.
	PurgeTokens(ctx context.Context, before time.Time) (int, error)
}

// Lease asks for the right to ask for a token.
type Lease struct {
	// Holder is a random name, new for each request: it fences off who held it before.
	Holder string
	// Seen is the version that the holder knows and cannot use.
	Seen int64
	// For is how long the lease lasts unless it is extended.
	For time.Duration
}

// Record is what stands in the store, and whether the lease was given.
type Record struct {
	Granted bool
	Version int64  // 0: no token yet
	Sealed  []byte // of Version
	// Pause is what is left of a pause, and why; 0: none.
	Pause Pause
}

// Pause is how long nobody asks for a token, after a failure.
type Pause struct {
	For      time.Duration
	Failures int    // in a row
	Reason   string // a word of our own
}

// Sealed is a token as it is stored.
type Sealed struct {
	Bytes   []byte
	Expires time.Time // for PurgeTokens only
}
