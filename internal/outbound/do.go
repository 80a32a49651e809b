package outbound

import (
	"bytes"
	"context"
	"errors"
	"net/http"
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
		before := r.refreshed
		wait, again := r.repeat(ctx, last)
		if !again || !sleep(ctx, wait) {
			return r.finish(last)
		}
		next := r.attempt(ctx)
		// Where we could not even try, the earlier answer says more; but not a refusal of a
		// credential that has been replaced since.
		if replaced := r.refreshed && !before; next.own && !replaced {
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
		} else if t.result.Verdict == Refused { // refused before anything was done
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
	t := r.guarded(ctx, request, grants)
	t.mark = mark
	return t
}

// guarded sends if the breaker lets it, and tells the breaker how it went, also
// when something panics: a probe that is never settled would hold the host for ever.
func (r *run) guarded(ctx context.Context, request *Request, grants grants) (t *try) {
	probe, ok := r.host.breaker.enter()
	if !ok {
		return &try{err: heldBack(time.Second), own: true}
	}
	defer func() {
		left := t != nil && errors.Is(t.err, context.Canceled) // a caller's leaving says nothing of the host
		if probe || !left {
			r.host.breaker.leave(probe, t == nil || t.failed() || probe && t.err != nil)
		}
	}()
	r.tried++
	return r.send(ctx, request, grants)
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
