package egress

import (
	"context"
	"net/http"
	"strings"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/contract"
	"sallyport/internal/guard"
	"sallyport/internal/order"
	"sallyport/internal/permit"
	"sallyport/internal/problem"
	"sallyport/internal/ratelimit"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// exchange is one call on its way, and what is known about it. It lives for one
// call and one goroutine. It has no field that could hold a provider's credential.
type exchange struct {
	call  *Call
	start time.Time
	at    string // the step that runs

	site *siteRules
	conn *connection
	// words is a connection in whose provider's words a call is refused whose own is not known.
	words   *connection
	wordsAt string // the path there
	op      *contract.Operation
	rule    *browserRule // for browsers

	caller site.Caller
	visit  string
	// session is the visit as its token says; vouched says whether somebody speaks for the
	// caller, so that it may draw on the whole of a budget (step "vouching").
	session session.Session
	vouched bool
	// onBehalf is whose own account at the provider is used; usually empty.
	onBehalf string
	keyID    string
	stripQ   []string // query names that carried the site key
	stripB   []string // fields of the body that did
	fields   bodyFields
	rawBody  []byte
	// bodyRead: rawBody is the call's body.
	bodyRead bool
	grant    *grant // the call is of the provider's token endpoint; usually nil

	args     contract.Args
	out      contract.Output
	key      string // idempotency key towards the provider
	asked    string // the caller's own key
	idem     RepeatKey
	idemHash [32]byte // of the request that idem was used with
	began    bool
	flight   *flight // this call's, while others with its key wait
	replay   bool
	// repeats: the call with this key was made before, and its outcome is unknown.
	repeats bool

	subject  ratelimit.Subject  // who calls what, for the limits
	checks   [4]ratelimit.Check // room for the limits of most calls
	head     http.Header        // RateLimit fields
	sent     bool               // an intent was written: bytes may have left
	intent   audit.ID           // open when intended
	intended bool
	attempts time.Time
	response *Response
	reply    contract.Reply
	named    []string
	upstream time.Duration

	permit *permit.Permit                // that came with the call and is for it
	order  *order.Order                  // that came with the call, priced from the site's list
	undo   []func(context.Context) error // of what was spent, should no byte be sent

	guard   *guarded            // what the catalog says of the operation's abuse; nil: nothing
	to      []guard.Destination // of a message
	taken   guard.Taken         // from the guards' counts
	counted bool                // taken is of this call: it is given back if nothing is sent
	closing bool                // the call ends the visit's search
	why     string              // a guard refused, for the audit log

	decisions []Decision
	observed  []string
	innerErr  error
	finished  *Answer
	bytesIn   int
}

// outcomeIfSent is what is known of a call that ended without a decision.
func (x *exchange) outcomeIfSent() problem.Outcome {
	switch {
	case x.response != nil && x.response.Status < 400 && !x.response.Throttled:
		return problem.Performed
	case x.sent || x.repeats:
		return problem.Unknown
	}
	return problem.NotSent
}

// fail makes the answer of a refused call.
func (x *exchange) fail(p *problem.Error) *Answer {
	if p.Err != nil {
		x.innerErr = p.Err
	}
	if x.key != "" && p.Outcome != problem.NotSent && p.IdempotencyKey == "" {
		c := *p
		c.IdempotencyKey = x.callerKey()
		p = &c
	}
	h := http.Header{}
	for k, v := range x.head {
		h[k] = v
	}
	return &Answer{Status: p.Status(), Header: h, Problem: x.speak(p)}
}

// speak adds the refusal in the provider's own error shape for callers that are not
// browsers. stripe (Node) 23.1.0 takes an answer of status 422 without an "error" member
// for a success, so a refusal that only speaks RFC 9457 would be missed.
func (x *exchange) speak(p *problem.Error) *problem.Error {
	conn, path := x.conn, x.call.Path
	if conn == nil {
		conn, path = x.words, x.wordsAt
	}
	if conn == nil || x.call.Origin != "" {
		return p
	}
	if x.grant != nil {
		c := *p
		c.Extra = refusedGrant(p)
		return &c
	}
	op := x.op
	if op == nil { // refused before the operation was looked up: an SDK reads its answer all the same
		op, _ = conn.doc.Route(x.call.Method, path)
	}
	shape := conn.pack.Errors
	if op != nil {
		shape = conn.pack.ErrorsOf(op.ID)
	}
	if shape.Code == "" {
		return p
	}
	code, theirs := shape.Refused.Of(p.Status())
	if !theirs {
		code = string(p.Code)
	}
	args := contract.NewArgs(map[string]any{})
	for path, v := range map[string]any{shape.Code: code, shape.Message: p.Detail} {
		at, err := contract.ParsePath(path)
		if err != nil || args.Set(at, v) != nil {
			continue
		}
	}
	c := *p
	c.Extra = args.Tree()
	return &c
}

// callerKey is the key that the caller sent, if any: the one to repeat the call with.
func (x *exchange) callerKey() string { return x.asked }

func (x *exchange) toRecord(answer *Answer) *Record {
	r := &Record{Call: x.call, Caller: x.caller, Decisions: x.decisions, Observed: x.observed,
		Dropped: x.reply.Dropped, Reduced: x.reply.Reduced, Named: x.named, Replayed: x.replay,
		BytesIn: x.bytesIn, Start: x.start, Upstream: x.upstream, InnerError: x.innerErr}
	if x.conn != nil {
		r.Provider, r.Mode = x.conn.pack.ID, x.conn.Mode
	}
	if x.op != nil {
		r.Operation = x.op.ID
	} else if x.grant != nil {
		r.Operation = tokenOperation
	}
	if x.response != nil {
		r.Attempts, r.Outcome = x.response.Attempts, x.told()
	}
	if answer != nil {
		r.Status, r.BytesOut = answer.Status, len(answer.Body)
		if answer.Problem != nil {
			r.Code, r.Outcome = answer.Problem.Code, answer.Problem.Outcome
		}
	}
	return r
}

// bearer returns the token of an Authorization: Bearer field, or "".
func bearer(h http.Header) string {
	v := h.Get("Authorization")
	if len(v) > 7 && strings.EqualFold(v[:7], "Bearer ") {
		return v[7:]
	}
	return ""
}
