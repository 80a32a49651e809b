// Package session says who calls: a visit (a browser's short-lived token) or a site's
// backend (a site key).
//
// A token is an EdDSA JWT of at most 15 minutes, bound to one site and one origin. It
// names a visit, not a person, and proves nothing about honesty: an Origin header can be
// forged outside a browser. A site key is printed once; what is stored of it (a hash and
// a public key) can forge neither a call nor a permit.
//
// It guarantees that every refusal of a token or a key looks the same, that nothing a
// stranger sends grows memory without bound, that a signing key is published before it
// signs, and that revocation holds at once in this process. It does not read HTTP, does
// not speak CORS and does not decide what a caller may do.
package session

import (
	"context"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/ratelimit"
	"sallyport/internal/site"
)

const (
	// MaxTTL is the longest life of a token.
	MaxTTL = 15 * time.Minute
	// MaxVisit is the longest life of a visit, over all tokens that renew it.
	MaxVisit = 12 * time.Hour
)

// Session is one visit, as its token says.
type Session struct {
	// ID is random, 128 bits; it names the visit in limits and records.
	ID      string
	Site    string
	Origin  site.Origin
	TokenID string
	// Vouched is who speaks for the visit; the zero value is nobody.
	Vouched Vouched
	// Login is who signed in; the zero Login is nobody.
	Login Login
	// Since is when the visit began: the first of its tokens.
	Since     time.Time
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// Login is a sign-in through the gate, as the tokens of its visits say.
type Login struct {
	// ID names the sign-in; ending it ends all its visits (Verifier.RevokeLogin).
	ID string
	// Subject is the pseudonym of the person at this site.
	Subject string
	// Ends is when the sign-in is over, in whole seconds.
	Ends time.Time
}

// Is reports whether somebody is signed in.
func (l Login) Is() bool { return l.ID != "" }

// Revocation is a visit that ended before its token expired.
type Revocation struct {
	// Seq orders revocations as the store accepted them; the store sets it.
	Seq       int64
	SessionID string // of a visit, or of a login
	// Until is when the visit's last token has expired and the row may go.
	Until time.Time
}

// RevocationStore keeps revocations until they no longer matter. Methods are safe for
// concurrent use; a nil error means durable.
type RevocationStore interface {
	// CreateRevocation stores r; a second one of the same visit is no error.
	CreateRevocation(ctx context.Context, r Revocation) error
	// ListRevocations lists those with Seq > after that still matter at now, by Seq.
	ListRevocations(ctx context.Context, after int64, now time.Time) ([]Revocation, error)
	// PurgeRevocations removes those that no longer matter at now.
	PurgeRevocations(ctx context.Context, now time.Time) (int, error)
}

// refused is the one answer to every bad token or key: it never says why. The reason
// is for the log.
func refused(reason error) error {
	return problem.Wrap(reason, problem.Unauthenticated, "the session or key is missing, expired or not valid here").
		WithHint("browsers: POST session again from one of the site's origins; backends: check the site key")
}

func storeFault(err error) error {
	return problem.Wrap(err, problem.StoreUnavailable, "the gate cannot check who is calling")
}

func limiterFault(err error) error {
	return problem.Wrap(err, problem.StoreUnavailable, "the gate cannot count how often this was tried")
}

// Limiter counts what is minted and what keys are guessed; *ratelimit.Limiter is one, and
// where several nodes share their counts, store/redis. An error means that it is not
// known whether the call is within the limit: it is refused.
type Limiter interface {
	// Check makes the check of a rule that stands at level, for s.
	Check(level ratelimit.Level, r ratelimit.Rule, s *ratelimit.Subject) ratelimit.Check
	// AllowAll takes a call from all checks or from none.
	AllowAll(ctx context.Context, now time.Time, checks []ratelimit.Check) (ratelimit.Decision, error)
	// Peek decides about one check and takes nothing.
	Peek(ctx context.Context, now time.Time, c ratelimit.Check) (ratelimit.Decision, error)
}
