package egress

import (
	"context"
	"time"

	"sallyport/internal/permit"
	"sallyport/internal/receipt"
)

// PermitReader verifies permits; *permit.Reader is one. Its error is a *permit.Refusal or
// the store's.
type PermitReader interface {
	ReadPermit(ctx context.Context, token string) (*permit.Permit, error)
}

// PermitUse names a permit that is used: by the key that signed it and its own id.
type PermitUse struct {
	KeyID    string
	PermitID string
	// Uses is how often it may be used in all.
	Uses int
	// Until is when its row may go: no clock can make the permit count again.
	Until time.Time
}

// Permits counts how often permits were used. Methods are safe for concurrent use, from
// several processes too; a nil error means durable.
type Permits interface {
	// SpendPermit takes one use, or reports false where Uses are spent: of any number of
	// calls at once, exactly Uses succeed.
	SpendPermit(ctx context.Context, use PermitUse) (bool, error)
	// ReturnPermit gives one use back of a call of which no byte was sent.
	ReturnPermit(ctx context.Context, use PermitUse) error
	// PurgePermits removes rows whose Until has passed at now.
	PurgePermits(ctx context.Context, now time.Time) (int, error)
}

// Receipts signs receipts; *receipt.Issuer is one.
type Receipts interface {
	Issue(r receipt.Receipt) (string, error)
}
