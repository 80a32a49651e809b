package egress

import (
	"context"
	"time"
)

// RepeatKey names one call that a caller may repeat. Caller keeps two callers of one
// site apart that chose the same key; KeyHash is SHA-256 of the key itself.
type RepeatKey struct {
	Site, Connection, Operation string
	Caller                      string
	KeyHash                     [32]byte
}

// RepeatState is what is known of a call. The zero value is unknown: a repeat of it is
// refused.
type RepeatState uint8

// The states.
const (
	RepeatUnknown    RepeatState = 0 // it may have been performed
	RepeatInProgress RepeatState = 1
	RepeatDone       RepeatState = 2 // Sealed holds the answer
)

// Repeat is what an idempotency store remembers of a call.
type Repeat struct {
	// RequestHash tells a repeat from another call under the same key.
	RequestHash [32]byte
	State       RepeatState
	// Sealed is the sealed answer of a call that is done. The slice is the caller's.
	Sealed    []byte
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Idempotency lets exactly one of any number of equal calls go first. Methods are safe
// for concurrent use; a nil error means durable.
type Idempotency interface {
	// BeginRepeat makes the caller first (true), or returns what is known of the call
	// that was. A row whose ExpiresAt has passed at now counts as absent, unless it is in
	// progress. Rows in progress of a process that died are unknown.
	BeginRepeat(ctx context.Context, key RepeatKey, want Repeat, now time.Time) (first bool, known Repeat, err error)
	// FinishRepeat stores the answer of a call and keeps it until expires. The call is in
	// progress, or of unknown outcome: a repeat that the provider recognises may tell how
	// it ended. Of a call that is done, or not there, it is an error; so for the next two.
	FinishRepeat(ctx context.Context, key RepeatKey, sealed []byte, expires time.Time) error
	// MarkRepeatUnknown says that bytes were sent and the outcome is not known.
	MarkRepeatUnknown(ctx context.Context, key RepeatKey) error
	// ForgetRepeat removes a call of which no byte was sent or which the provider refused:
	// the next repeat goes first.
	ForgetRepeat(ctx context.Context, key RepeatKey) error
	// PurgeRepeats removes rows that expired before now and are not in progress.
	PurgeRepeats(ctx context.Context, now time.Time) (int, error)
}
