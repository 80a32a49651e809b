package egress

import (
	"context"
	"net/http"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// Sessions decides whether a browser's token is good for a site and an origin;
// *session.Verifier is one. A refusal is a *problem.Error, the same for every reason.
type Sessions interface {
	Verify(token, siteName string, origin site.Origin) (session.Session, error)
}

// Keys decides whether a presented site key opens a connection; *session.SiteKeys is one.
type Keys interface {
	Verify(ctx context.Context, a session.Attempt) (session.StoredKey, error)
	// Whose finds the key among what was presented, for any site; it opens nothing.
	Whose(ctx context.Context, a session.Attempt) (session.StoredKey, error)
}

// Tokens makes the tokens that the gate gives at a provider's token endpoint; *session.SiteKeys
// is one, and its Verify takes them.
type Tokens interface {
	IssueToken(k session.StoredKey, connection string, mode provider.Mode) (session.KeyToken, error)
}

// Limiter counts calls; *ratelimit.Limiter is one, and where several nodes share their
// counts, store/redis. An error means that it is not known whether the call is within its
// limits: it is refused.
type Limiter interface {
	// Check makes the check of a rule that stands at level, for s.
	Check(level ratelimit.Level, r ratelimit.Rule, s *ratelimit.Subject) ratelimit.Check
	// AllowAll takes a call from all checks or from none. It keeps neither the slice nor
	// what it points to.
	AllowAll(ctx context.Context, now time.Time, checks []ratelimit.Check) (ratelimit.Decision, error)
}

// Audit writes intents before bytes are sent; *audit.Log is one. Intent returns only
// after the record is durable; its error means that the attempt must not be made.
type Audit interface {
	Intent(ctx context.Context, in audit.Intent) (audit.ID, error)
	Outcome(ctx context.Context, id audit.ID, out audit.Outcome) error
	Record(ctx context.Context, ev audit.Event) error
}

// Upstream answers an encoded request: the provider through outbound, or the mock.
type Upstream interface {
	Send(ctx context.Context, r *Request) (*Response, error)
}

// Request is what goes out. It holds no credential; the way out adds it to a clone.
type Request struct {
	Operation *contract.Operation
	Args      contract.Args // for the mock
	Method    string
	Path      string
	RawQuery  string
	Header    http.Header
	Body      []byte
	Keyed     bool // an idempotency key stands in Header
	// Subject is whose own account is used; empty: that of the connection.
	Subject     string
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
	// Outcome is what all attempts together tell of the call: an attempt that timed out
	// before this answer may have been performed. Empty: the status tells it.
	Outcome problem.Outcome
	// Throttled: the provider's signs say so, whatever the status.
	Throttled bool
	// Refused: the provider's signs say that it refused the credential, whatever the status.
	Refused    bool
	RetryAfter time.Duration
}

// Answers seals the answers that are kept for repeats, with the data key of the site.
type Answers interface {
	Seal(ctx context.Context, of AnswerOf, plaintext []byte) ([]byte, error)
	Open(ctx context.Context, of AnswerOf, sealed []byte) ([]byte, error)
}

// AnswerOf is the call that a kept answer is bound to: sealed for one it opens for no
// other, wherever in the store somebody puts it.
type AnswerOf struct {
	Key     RepeatKey
	Request [32]byte // Repeat.RequestHash
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
