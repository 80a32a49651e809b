package outbound

import (
	"context"
	"net/http"
	"time"

	"sallyport/internal/problem"
)

// Safety says what a repeat of an operation does. The zero value is Never.
type Safety int

// The operations' retry rules.
const (
	// Never: repeated only if no byte was sent, or if the provider documents that
	// what it answered means "not processed".
	Never Safety = iota
	// Keyed: may be repeated while Call.KeyHeader is present in Call.Header.
	Keyed
	// Safe: may be repeated.
	Safe
)

// Verdict is what the provider's own signs say about an answer, beyond its status.
type Verdict int

// The verdicts. Plain is the zero value: the status decides.
const (
	Plain Verdict = iota
	// Throttled: the answer means "over the limit", whatever its status.
	Throttled
	// Retry: the provider says that this may be repeated.
	Retry
	// Stop: the provider says that this must not be repeated.
	Stop
	// Refused: the answer means what a 401 means, whatever its status.
	Refused
)

// Request is what goes out in one attempt: the clone that a Credential acts on.
// It holds a credential once Apply has run, so it never leaves this package and
// the Credential that acts on it; do not keep or print it.
type Request struct {
	Method   string
	Path     string // escaped, begins with /
	RawQuery string
	Header   http.Header
	Body     []byte
}

// Mark says which state of a credential was applied, without telling the secret.
type Mark uint64

// Credential puts a secret on a request. Implementations are safe for concurrent use.
type Credential interface {
	// Apply adds the credential to r and returns the mark of what it added. An
	// error means that nothing is sent.
	Apply(ctx context.Context, r *Request) (Mark, error)
	// Refresh is called after the provider refused the credential with that mark
	// (401). It reports whether there is now another one, so that a repeat makes
	// sense; many calls at once may ask with the same mark.
	Refresh(ctx context.Context, used Mark) (bool, error)
	// Echo reports whether b holds the secret in any of its usual encodings.
	Echo(b []byte) bool
}

// Call is one call of an operation, already checked and encoded. Do changes none of it.
type Call struct {
	Method string
	// Path is escaped and begins with /; it is appended to the Host's own path.
	Path     string
	RawQuery string
	// Header is sent as given, apart from hop-by-hop and framing fields and Host,
	// which are refused: they are the wire's.
	Header http.Header
	Body   []byte

	Credential Credential // nil: none
	// Buckets all have to agree before an attempt.
	Buckets []*Bucket

	Safety Safety
	// KeyHeader is the provider's idempotency header; Keyed calls need it in Header.
	KeyHeader string
	// Finish: once the first byte was sent, the attempt runs to its own deadline
	// even if ctx ends. Set it for every operation with effects.
	Finish bool

	// Intent runs before each attempt, counted from 1, and before its first byte.
	// An error is returned by Do as it is and nothing is sent. Nil: none wanted.
	Intent func(ctx context.Context, attempt int) error
	// Judge looks for the provider's signs in an answer. It must not keep or change
	// what it is given. Nil: the status alone decides.
	Judge func(status int, header http.Header, body []byte) Verdict
	// Keep names the response header fields that come back in Result.Header.
	// Content-Type always does; framing, hop-by-hop, cookie, CORS, Server and
	// Location fields never do.
	Keep []string
}

// Result is the provider's answer, of whatever status from 200 to 299 and from 400
// to 599. Header, Body and the rest are the caller's.
type Result struct {
	Status   int
	Header   http.Header
	Body     []byte // decoded; at most Limits.Body bytes
	Attempts int
	Outcome  problem.Outcome
	// Sent: at least one byte of some attempt went out. It is true of every Result.
	Sent bool
	// Verdict is what Call.Judge said of this answer; Throttled also for status 429.
	Verdict Verdict
	// RetryAfter is what the provider asked for, or 0.
	RetryAfter time.Duration
}

// Problem says what an unsuccessful answer is to a caller: upstream_throttled,
// credential_refused (401), provider_refused or provider_failed. It is nil for a
// 2xx that Call.Judge found neither Throttled nor to Retry.
func (r *Result) Problem() *problem.Error {
	var p *problem.Error
	switch {
	case r.Verdict == Throttled:
		p = problem.New(problem.UpstreamThrottled, "the provider answered that its limit is reached")
		p.RetryAfter = r.RetryAfter
	case r.Status == http.StatusUnauthorized, r.Verdict == Refused:
		p = problem.New(problem.CredentialRefused, "the provider refused the connection's credential (status %d)", r.Status).
			WithHint("check the connection's credential with `sallyport check`; it may be revoked or of another mode")
	case r.Status >= 500, r.Status < 300 && r.Verdict == Retry:
		p = problem.New(problem.ProviderFailed, "the provider answered with a failure (status %d)", r.Status)
		p.RetryAfter = r.RetryAfter
	case r.Status >= 400:
		p = problem.New(problem.ProviderRefused, "the provider answered %d", r.Status)
	default:
		return nil
	}
	p.Outcome, p.ProviderStatus = r.Outcome, r.Status
	return p
}
