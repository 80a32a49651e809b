package egress

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/site"
)

// Sessions decides whether a browser's token is good for a site and an origin. A
// refusal is a *problem.Error (Unauthenticated), the same for every reason.
type Sessions interface {
	Verify(ctx context.Context, token, siteName string, origin site.Origin) (visit string, err error)
}

// Presented is what a backend sent where the provider's key would stand.
type Presented struct {
	Secret string // the key, or the second half of a pair
	User   string // the first half of a pair; empty where there is none
}

// Keys decides whether a presented site key is good for a connection. It is told all
// candidates of one request and must refuse when none fits.
type Keys interface {
	Verify(ctx context.Context, candidates []Presented, siteName, connection string, client netip.Addr) (keyID string, err error)
}

// Limits takes one call from all the rules at once, or from none of them. A
// refusal is a *problem.Error (RateLimited) with RetryAfter; head holds the
// RateLimit fields for the answer either way.
type Limits interface {
	Take(subject LimitSubject, rules []ratelimit.Rule) (head http.Header, err error)
}

// LimitSubject is what limits count by.
type LimitSubject struct {
	Site, Connection, Operation string
	Visit                       string // empty for backends
	Client                      netip.Addr
}

// Attempt describes one attempt that is about to be made, for the audit log.
type Attempt struct {
	CallID, Site, Connection, Provider, Operation string
	Mode                                          provider.Mode
	Caller                                        site.Caller
	Visit, KeyID                                  string
	Client                                        netip.Addr
	Number                                        int
	Effects                                       []string
}

// Audit writes intents before bytes are sent. Intent returns only after the record
// is durable; its error means that the attempt must not be made.
type Audit interface {
	Intent(ctx context.Context, a Attempt) (id string, err error)
	Outcome(ctx context.Context, id string, outcome problem.Outcome, status int)
	Refused(ctx context.Context, a Attempt, code problem.Code, reason string)
}

// Upstream answers an encoded request: the provider through outbound, or the mock.
type Upstream interface {
	Send(ctx context.Context, r *Request) (*Response, error)
}

// Request is what goes out. It holds no credential; the way out adds it to a clone.
type Request struct {
	Operation   *contract.Operation
	Args        contract.Args // for the mock
	Method      string
	Path        string
	RawQuery    string
	Header      http.Header
	Body        []byte
	Keyed       bool // an idempotency key stands in Header
	Uninterrupt bool // finish even when the caller hangs up
	// Intent is called before each attempt; its error stops the call.
	Intent func(ctx context.Context, attempt int) error
}

// Response is what came back. Err from Send is always a *problem.Error that tells the outcome.
type Response struct {
	Status   int
	Header   http.Header
	Body     []byte
	Attempts int
	// Throttled: the provider's signs say so, whatever the status.
	Throttled  bool
	RetryAfter time.Duration
}

// Answers seals the answers that are kept for repeats, with the data key of the site.
type Answers interface {
	Seal(ctx context.Context, siteName string, plaintext []byte) ([]byte, error)
	Open(ctx context.Context, siteName string, sealed []byte) ([]byte, error)
}

// Record is what is kept of one call, for the log line: names, numbers and reasons only.
type Record struct {
	Call       *Call
	Provider   string
	Mode       provider.Mode
	Operation  string
	Caller     site.Caller
	Decisions  []Decision // only those that did not simply allow
	Observed   []string   // checks that would have refused, with parameter paths
	Status     int
	Code       problem.Code
	Outcome    problem.Outcome
	Attempts   int
	Dropped    int
	Reduced    int
	Named      []string // secret fields returned because a rule names them
	Replayed   bool
	BytesIn    int
	BytesOut   int
	Start      time.Time
	Upstream   time.Duration
	Total      time.Duration
	InnerError error // for the operator's log
}

// Recorder writes the one line of a call.
type Recorder interface {
	Record(ctx context.Context, r *Record)
}
