package outbound

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport/internal/problem"
)

// run is one Do.
type run struct {
	host      *Host
	call      *Call
	life      context.Context // ends with Timeouts.Total, not with the caller
	outcome   problem.Outcome // of all attempts so far
	sent      bool
	attempts  int // intents asked for
	tried     int // attempts that got as far as the network
	refreshed bool
}

// Do runs one call: it waits for buckets and bulkhead, asks Intent, applies the
// credential, sends, and repeats where that is safe. It returns a Result for every
// well-formed answer that is not a redirect, whatever its status; otherwise the
// error is a *problem.Error (or the error of Intent, if nothing was sent before)
// whose Outcome says what is known about the provider's side. It blocks for
// Timeouts.Total at most.
func (h *Host) Do(ctx context.Context, c *Call) (*Result, error) {
	deadline := time.Now().Add(h.timeouts.Total)
	life, cancelLife := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancelLife()
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	r := &run{host: h, call: c, life: life}
	h.budget.call()
	last := r.attempt(ctx)
	for {
		wait, again := r.repeat(ctx, last)
		if !again || !sleep(ctx, wait) {
			return r.finish(last)
		}
		next := r.attempt(ctx)
		if next.own { // we could not even try: the earlier answer says more
			return r.finish(last)
		}
		last = next
	}
}

func (r *run) finish(t *try) (*Result, error) {
	if t.err == nil {
		t.result.Attempts, t.result.Outcome, t.result.Sent = r.tried, r.outcome, r.sent
		return t.result, nil
	}
	if t.own && r.outcome == problem.NotSent {
		return nil, t.err
	}
	p := *problem.From(t.err)
	p.Outcome = r.outcome
	return nil, &p
}

// sleep waits, and reports false if ctx ended or would end before that.
func sleep(ctx context.Context, d time.Duration) bool {
	if until, ok := ctx.Deadline(); ok && time.Until(until) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// try is how one attempt ended: with a result, or with an error.
type try struct {
	result *Result
	err    error
	// own: the gate's own doing, before anything went to the network.
	own bool
	// again: the error is one that another attempt may not meet.
	again bool
	sent  bool
	mark  Mark
	// should is the provider's should-retry header: "true", "false" or empty.
	should string
}

// attempt makes one try and adds what it tells to the run.
func (r *run) attempt(ctx context.Context) *try {
	t := r.try(ctx)
	known := problem.NotSent
	var f *fault
	switch {
	case t.err == nil:
		known = r.outcomeOf(t.result.Status)
		if t.result.Verdict == Throttled {
			known = problem.NotPerformed
		} else if t.result.Verdict == Retry && known == problem.Performed {
			known = problem.Unknown
		}
	case t.sent && errors.As(t.err, &f) && f.status != 0:
		known = r.outcomeOf(f.status)
	case t.sent:
		known = problem.Unknown
	}
	r.outcome, r.sent = merge(r.outcome, known), r.sent || t.sent
	if f != nil || errors.As(t.err, &f) {
		t.err, t.again = f.problem, f.again
	}
	return t
}

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

// try is the order of one attempt: nothing is spent before the checks that cost
// nothing, no byte is sent before the intent is on record, and the credential is
// applied last.
func (r *run) try(ctx context.Context) *try {
	if d := r.host.breaker.closedFor(); d > 0 {
		return &try{err: heldBack(d), own: true}
	}
	grants, err := take(ctx, r.call.Buckets)
	defer grants.done()
	if err != nil {
		return &try{err: waiting(err), own: true}
	}
	if err := r.host.bulkhead.enter(ctx); err != nil {
		return &try{err: waiting(err), own: true}
	}
	defer r.host.bulkhead.leave()
	r.attempts++
	if r.call.Intent != nil {
		if err := r.call.Intent(ctx, r.attempts); err != nil {
			return &try{err: err, own: true}
		}
	}
	request, mark, err := r.request(ctx)
	if err != nil {
		return &try{err: err, own: true}
	}
	probe, ok := r.host.breaker.enter()
	if !ok {
		return &try{err: heldBack(time.Second), own: true}
	}
	r.tried++
	t := r.send(ctx, request, grants)
	t.mark = mark
	if probe || !errors.Is(t.err, context.Canceled) { // a caller's leaving says nothing of the host
		r.host.breaker.leave(probe, t.failed() || probe && t.err != nil)
	}
	return t
}

// failed reports whether the attempt speaks against the host's health.
func (t *try) failed() bool {
	if t.err == nil {
		return t.result.Status >= 500
	}
	switch problem.From(t.err).Code {
	case problem.UpstreamUnreachable, problem.UpstreamTimeout, problem.UpstreamTLS, problem.UpstreamMalformed:
		return true
	default:
		return false
	}
}

func heldBack(d time.Duration) error {
	p := problem.New(problem.UpstreamUnavailable, "the provider has been failing; calls are held back until it answers again")
	p.RetryAfter = max(d, time.Second)
	return p
}

// waiting says why a call's wait for its turn ended.
func waiting(err error) error {
	var p *problem.Error
	if errors.As(err, &p) {
		return p
	}
	return problem.Wrap(err, problem.UpstreamTimeout, "the call ended while it waited for its turn")
}

// request makes the clone that goes out, with the credential on it.
func (r *run) request(ctx context.Context) (*Request, Mark, error) {
	c := r.call
	req := &Request{Method: c.Method, Path: c.Path, RawQuery: c.RawQuery, Header: c.Header.Clone(), Body: c.Body}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if c.Credential == nil {
		return req, 0, nil
	}
	req.Body = bytes.Clone(c.Body)
	mark, err := c.Credential.Apply(ctx, req)
	if err != nil {
		var p *problem.Error
		if !errors.As(err, &p) {
			err = problem.Wrap(err, problem.CredentialUnavailable, "the credential could not be applied")
		}
		return nil, 0, err
	}
	return req, mark, nil
}

// send gets a connection and makes the exchange on it.
func (r *run) send(ctx context.Context, req *Request, grants grants) *try {
	fresh := idleTime
	if r.call.Safety == Never {
		fresh = onceIdle
	}
	c := r.host.pool.get(fresh)
	if c == nil {
		var err error
		if c, err = r.host.connect(ctx); err != nil {
			code := problem.From(err).Code
			return &try{err: err, again: code == problem.UpstreamUnreachable || code == problem.UpstreamTimeout}
		}
	}
	if err := ctx.Err(); err != nil {
		c.close()
		return &try{err: waiting(err), own: true}
	}
	if r.call.Finish {
		ctx = r.life
	}
	a, sent, err := r.host.exchange(ctx, c, req, grants.sent)
	if err != nil {
		if sent { // cut off while writing: it may have arrived
			grants.sent()
		}
		return &try{err: err, sent: sent}
	}
	return r.judge(a)
}

// judge turns a well-formed answer into a result.
func (r *run) judge(a *answer) *try {
	t := &try{sent: true}
	if a.status >= 300 && a.status < 400 {
		t.err = &fault{status: a.status, problem: problem.New(problem.UpstreamRedirect,
			"the provider answered %d; redirects are not followed", a.status)}
		return t
	}
	result := &Result{Status: a.status, Header: kept(a.header, r.call.Keep), Body: a.body}
	if r.echoes(result) {
		t.err = &fault{status: a.status, problem: problem.New(problem.UpstreamEcho,
			"the provider's answer holds the credential; it is not passed on")}
		return t
	}
	if r.call.Judge != nil {
		result.Verdict = r.call.Judge(a.status, a.header, a.body)
	}
	if a.status == http.StatusTooManyRequests && result.Verdict == Plain {
		result.Verdict = Throttled
	}
	result.RetryAfter = retryAfter(a.header.Get("Retry-After"))
	if result.Verdict == Throttled && result.RetryAfter > 0 {
		for _, b := range r.call.Buckets {
			b.Hold(result.RetryAfter)
		}
	}
	if name := r.host.retry.Header; name != "" {
		t.should = strings.ToLower(a.header.Get(name))
	}
	t.result = result
	return t
}

func (r *run) echoes(result *Result) bool {
	if r.call.Credential == nil {
		return false
	}
	for _, values := range result.Header {
		for _, v := range values {
			if r.call.Credential.Echo([]byte(v)) {
				return true
			}
		}
	}
	return r.call.Credential.Echo(result.Body)
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
	if t.own || r.attempts >= r.host.retry.MaxAttempts || ctx.Err() != nil {
		return 0, false
	}
	if r.renewed(ctx, t) {
		return 0, true
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
	if t.err != nil || t.result.Status != http.StatusUnauthorized || r.call.Credential == nil || r.refreshed || t.result.Verdict == Stop {
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
