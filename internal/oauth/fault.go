package oauth

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"sallyport/internal/problem"
)

// Reasons why there is no token, in a word each: they stand in alerts and in the store.
const (
	ReasonSecret      = "secret"      // the gate's own credential cannot be read or used
	ReasonUnreachable = "unreachable" // no answer, or none in time
	ReasonRefused     = "refused"     // the provider refused the credential
	ReasonThrottled   = "throttled"   // the token endpoint is over its limit
	ReasonFailed      = "failed"      // the token endpoint failed
	ReasonMalformed   = "malformed"   // the answer is none of OAuth
)

// Fault is why a Source gave no token.
type Fault struct {
	Reason string
	// Wait is how long the provider asked to wait; 0: nothing said.
	Wait time.Duration
	Err  error
}

// Error tells the reason and the cause.
func (f *Fault) Error() string { return fmt.Sprintf("token: %s: %v", f.Reason, f.Err) }

// Unwrap is the cause.
func (f *Fault) Unwrap() error { return f.Err }

// The pauses after failures: doubled each time, drawn from the upper half.
const (
	firstPause   = time.Second
	refusedPause = 15 * time.Second
	// LongestPause is what a store believes of a pause.
	LongestPause = 5 * time.Minute
)

// pauseAfter is how long to wait after so many failures in a row.
func (f *Fault) pauseAfter(failures int) time.Duration {
	first := firstPause
	if f.Reason == ReasonRefused {
		first = refusedPause
	}
	bound := min(first<<min(failures, 16), LongestPause)
	return max(bound/2+rand.N(bound/2+1), min(f.Wait, LongestPause))
}

// faultOf makes a Fault of any error of a Source.
func faultOf(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return &Fault{Reason: ReasonFailed, Err: err}
}

// unavailable is what a caller hears when there is no token.
func unavailable(reason string, wait time.Duration, cause error) *problem.Error {
	p := problem.Wrap(cause, problem.CredentialUnavailable, "%s", inWords(reason)).WithHint("%s", hintOf(reason))
	if wait > 0 {
		p.RetryAfter = max(wait, time.Second)
	}
	return p
}

func inWords(reason string) string {
	switch reason {
	case ReasonSecret:
		return "the connection's credential cannot be used to ask the provider for an access token"
	case ReasonUnreachable:
		return "the provider's token endpoint cannot be reached, and there is no access token left"
	case ReasonRefused:
		return "the provider's token endpoint refused the connection's credential, and there is no access token left"
	case ReasonThrottled:
		return "the provider's token endpoint answered that its limit is reached, and there is no access token left"
	case ReasonMalformed:
		return "the provider's token endpoint answered with something that is no access token"
	}
	return "the provider's token endpoint failed, and there is no access token left"
}

func hintOf(reason string) string {
	switch reason {
	case ReasonSecret, ReasonRefused:
		return "check the connection's credentials with `sallyport check`; they may be revoked, incomplete or of another mode"
	}
	return "the gate asks again by itself; the log says why the last request failed"
}
