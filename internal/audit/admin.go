package audit

import (
	"context"
	"time"
)

// AdminEvent is an act of an operator that waits for the audit log. The act and its
// event are one transaction of the store: neither is there without the other.
type AdminEvent struct {
	ID         int64
	Kind       Kind
	Site       string
	Connection string
	Name       string // what was administered: a key's public id, a secret's name; never a value
	At         time.Time
}

// AdminEvents is where acts wait: other processes write them, and one serving gate at a
// time takes them over into its log. Methods are safe for concurrent use; a nil error
// means durable.
type AdminEvents interface {
	// CreateAdminEvent stores the event of an act that has no row of its own in the store,
	// such as a change of the keystore.
	CreateAdminEvent(ctx context.Context, e AdminEvent) error
	// ListAdminEvents lists up to limit waiting events, oldest first: all of them to one
	// serving process, none to the others for as long as that one lives.
	ListAdminEvents(ctx context.Context, limit int) ([]AdminEvent, error)
	// DeleteAdminEvent removes an event that the log has; one that is gone is no error.
	DeleteAdminEvent(ctx context.Context, id int64) error
}
