package webhook

import (
	"context"
	"time"
)

// Event is a verified webhook as a Store keeps it.
type Event struct {
	ID         string // ours: random, 26 characters
	Site       string
	Connection string
	Mode       string
	// Key finds duplicates: a hash of the authenticated event id, or of the raw body.
	Key string
	// Type and Object are the provider's words, from signed bytes; either may be empty.
	Type     string
	Object   string
	Received time.Time
	// Sealed is the request as it arrived, under the site's data key.
	Sealed []byte
}

// State is how far a delivery has come.
type State int

// The states. The zero State is waiting.
const (
	Waiting State = iota // due at its time
	Behind               // another delivery of the same object comes first
	Done                 // the site has it
	Buried               // given up, until somebody replays it
)

// States are the names of states, in their order.
func States() []string { return []string{"waiting", "behind", "done", "buried"} }

// String is the state's name.
func (s State) String() string {
	if s < 0 || int(s) >= len(States()) {
		return "unknown"
	}
	return States()[s]
}

// Delivery is what one destination is to get of one event. A destination's name is
// SITE/CONNECTION/NAME.
type Delivery struct {
	// ID is the same at every attempt and every replay: the site tells repeats by it.
	ID          string
	Event       string
	Destination string
	// Order: among deliveries of the destination with the same Order, the next one waits until
	// the one before it is done or buried. Empty: in no order.
	Order string
	State State
	// Attempts counts those of the round: a replay begins at 0.
	Attempts int
	Due      time.Time
	// Status is what the destination answered last, 0 where it did not; Reason says in a word
	// why the last attempt failed.
	Status int
	Reason string
	Ended  time.Time // when it was done or buried
}

// Job is a delivery that its holder is to attempt.
type Job struct {
	Delivery
	Of Event
}

// Claim asks for deliveries to attempt.
type Claim struct {
	Destination string
	// Holder is a name of its own for each process that runs: it fences off who held the
	// claim before.
	Holder string
	// For is how long the claim lasts: longer than an attempt can take.
	For   time.Duration
	Limit int
}

// Result is how an attempt ended.
type Result struct {
	State  State // Waiting, Done or Buried
	Due    time.Time
	Status int
	Reason string
}

// Filter chooses events. Empty fields choose all.
type Filter struct {
	Site        string
	Connection  string
	Destination string
	Event       string
	Type        string // a trailing * stands for anything
	Object      string
	State       string // a name of States, of at least one delivery
	Since       time.Time
	Until       time.Time
	After       string // the event after which the list goes on
	Limit       int    // 0: 100
}

// Health is what is known of a destination.
type Health struct {
	Destination string
	// FailingSince is the first failure after the last success; zero: it works.
	FailingSince time.Time
	// Disabled: nothing is sent until it is enabled again.
	Disabled time.Time
	Reason   string // why it was disabled
}

// Backlog says what waits for a destination.
type Backlog struct {
	Destination string
	Waiting     int // due now or later, or behind another
	Buried      int
}

// Store keeps events and their deliveries. Methods are safe for concurrent use, from several
// processes too; a nil error means durable. webhooktest.Store is its conformance suite.
type Store interface {
	Intake
	Queue
	// ListEvents lists events, the newest first, without what is sealed.
	ListEvents(ctx context.Context, f Filter) ([]Event, error)
	// FindEvent finds an event with what is sealed, and its deliveries.
	FindEvent(ctx context.Context, id string) (Event, []Delivery, bool, error)
	// ReplayEvents makes the deliveries of the chosen events due again at a time, in the order of
	// the events, and counts them. Deliveries that still wait begin anew. With a Destination
	// only its deliveries.
	ReplayEvents(ctx context.Context, f Filter, due time.Time) (int, error)
	// Backlogs counts what waits and what is buried, by destination.
	Backlogs(ctx context.Context) ([]Backlog, error)
	// PurgeEvents removes events of a connection that arrived before a time and whose deliveries
	// have all ended, a bounded number at a time, and counts them.
	PurgeEvents(ctx context.Context, site, connection string, before time.Time) (int, error)
}

// Intake takes events in.
type Intake interface {
	// AddEvent stores an event with its deliveries and a line for the audit log in one
	// transaction. added is false where the event is known already: then nothing changes.
	AddEvent(ctx context.Context, e Event, to []Delivery) (added bool, err error)
	// MoveReceived hands lines for the audit log to move, oldest first, and removes them when it
	// returns nil. A crash between the two hands them over again.
	MoveReceived(ctx context.Context, limit int, move func(context.Context, []Received) error) (int, error)
}

// Received is a line for the audit log: an event was taken in.
type Received struct {
	Event      string
	Site       string
	Connection string
	At         time.Time
}

// Queue hands deliveries out to those who make them.
type Queue interface {
	// DueDestinations says for which of the destinations a delivery is due.
	DueDestinations(ctx context.Context, of []string, now time.Time) ([]string, error)
	// ClaimDeliveries hands out due deliveries that nobody else holds, the longest due first.
	ClaimDeliveries(ctx context.Context, c Claim, now time.Time) ([]Job, error)
	// FinishDelivery records how an attempt ended and lets the next of its order go. It reports
	// false and changes nothing where the holder lost its claim.
	FinishDelivery(ctx context.Context, id, holder string, r Result, now time.Time) (bool, error)
	// ReportHealth records how an attempt at a destination ended, and says what is known then.
	ReportHealth(ctx context.Context, destination string, ok bool, now time.Time) (Health, error)
	// SetDisabled stops a destination with a reason, or starts it with an empty one.
	SetDisabled(ctx context.Context, destination, reason string, now time.Time) error
	// Healths lists what is known of destinations that fail or are disabled.
	Healths(ctx context.Context) ([]Health, error)
}
