package outbound

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"sallyport/internal/problem"
)

// outcomeOf says what a status tells about the operation. A 4xx was refused, apart
// from those that only say that somebody gave up waiting (408) or that an earlier
// request with the same key is still running (409).
func (r *run) outcomeOf(status int) problem.Outcome {
	switch {
	case status >= 200 && status < 300:
		return problem.Performed
	case status == http.StatusRequestTimeout, status == http.StatusConflict && r.keyed():
		return problem.Unknown
	case status >= 400 && status < 500:
		return problem.NotPerformed
	default:
		return problem.Unknown
	}
}

// merge adds what one more attempt tells. What one attempt left unknown, only a
// success settles.
func merge(before, now problem.Outcome) problem.Outcome {
	for _, o := range []problem.Outcome{problem.Performed, problem.Unknown, problem.NotPerformed} {
		if before == o || now == o {
			return o
		}
	}
	return problem.NotSent
}

// retryAfter reads a Retry-After field: seconds or a date (RFC 9110 §10.2.3).
func retryAfter(s string) time.Duration {
	if n, ok := digits(s); ok {
		return time.Duration(min(n, 86400)) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return min(max(time.Until(at), 0), 24*time.Hour)
	}
	return 0
}

// repeat decides whether to try once more, and after which wait.
func (r *run) repeat(ctx context.Context, t *try) (time.Duration, bool) {
	if t.own || ctx.Err() != nil {
		return 0, false
	}
	// Not one of the attempts that the rule counts: it happens once, and the one before was refused.
	if r.renewed(ctx, t) {
		return 0, true
	}
	if r.attempts >= r.host.retry.MaxAttempts {
		return 0, false
	}
	if !r.repeatable(t) {
		return 0, false
	}
	bound := min(r.host.retry.Base<<min(r.attempts-1, 16), r.host.retry.Cap)
	wait := rand.N(bound + 1)
	if t.err == nil {
		wait += t.result.RetryAfter
	}
	if until, ok := ctx.Deadline(); ok && time.Until(until) <= wait {
		return 0, false
	}
	return wait, r.host.budget.repeat()
}

// renewed reports whether a refused credential has been replaced. A 401 says that
// the request was not applied (RFC 9110 §15.5.2), so this is a repeat for every
// operation; it happens once, and only with another credential.
func (r *run) renewed(ctx context.Context, t *try) bool {
	if t.err != nil || r.call.Credential == nil || r.refreshed || t.result.Verdict == Stop ||
		t.result.Status != http.StatusUnauthorized && t.result.Verdict != Refused {
		return false
	}
	r.refreshed = true
	changed, err := r.call.Credential.Refresh(ctx, t.mark)
	return err == nil && changed
}

// keyed reports whether the call carries the provider's idempotency key.
func (r *run) keyed() bool {
	return r.call.KeyHeader != "" && r.call.Header.Get(r.call.KeyHeader) != ""
}

// repeatable is the table of retries: what happened, against what the operation allows.
func (r *run) repeatable(t *try) bool {
	free := r.call.Safety == Safe || r.call.Safety == Keyed && r.keyed()
	if t.err != nil {
		return t.again && (free || !t.sent)
	}
	rule := r.host.retry
	switch {
	case t.result.Verdict == Stop, t.should == "false":
		return false
	case t.result.Verdict == Throttled:
		return free || rule.ThrottledIsUnprocessed
	case t.result.Verdict == Retry, t.should == "true" && t.result.Status >= 400:
		return free
	default:
		return free && slices.Contains(rule.Statuses, t.result.Status)
	}
}
