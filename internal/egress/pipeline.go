package egress

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
)

// verdict is what a step says. The zero value denies.
type verdict int

const (
	denied verdict = iota
	allowed
)

// Decision is the answer of one step. The zero Decision denies, and a denial that
// gives no reason becomes an internal error: a check that forgot to decide is a defect.
type Decision struct {
	Step    string
	Reason  string
	Problem *problem.Error
	verdict verdict
	final   bool // stands even where the check only observes
}

// Allowed reports whether the step let the call pass.
func (d Decision) Allowed() bool { return d.verdict == allowed }

func allow(reason string) Decision { return Decision{verdict: allowed, Reason: reason} }

func deny(p *problem.Error) Decision { return Decision{Problem: p, Reason: string(p.Code)} }

// denyErr turns a step's error into a denial: a rule broken keeps its problem, all
// else is internal.
func denyErr(err error) Decision { return deny(problem.From(err)) }

// step is one check of a call. It gets the exchange and decides; it never calls
// the next step, writes no answer and keeps nothing of a request.
type step struct {
	name string
	// check is the name under which the step can be told to only observe; empty
	// for steps that are not checks but the call itself.
	check string
	run   func(ctx context.Context, g *Gate, x *exchange) Decision
	// after: the step runs when the call has its answer, and not for a repeat that got the
	// answer of the call before it.
	after bool
}

// pipeline is the order of a call. This list is the only place that knows it.
func pipeline() []step {
	return []step{
		{name: "connection", run: findConnection},
		{name: "freeze", run: checkFreeze},
		{name: "caller", run: identify},
		{name: "token", run: answerToken},
		{name: "operation", run: findOperation},
		{name: "subject", run: findSubject},
		{name: "vouching", check: CheckVouching, run: vouch},
		{name: "limits", check: CheckLimits, run: takeLimits},
		{name: "parse", check: CheckRequest, run: parse},
		{name: "account", run: checkAccount},
		{name: "grammar", check: CheckGrammar, run: applyGrammar},
		{name: "permit", run: checkPermit},
		{name: "insert", run: insertFixed},
		{name: "sealed", run: insertSealed},
		{name: "defaults", run: insertDefaults},
		{name: "order", run: readOrder},
		{name: "owned", run: checkOwned},
		{name: "contract", check: CheckRequest, run: checkRequest},
		{name: "guards", run: checkGuards},
		{name: "encode", run: encode},
		{name: "idempotency", run: beginIdempotent},
		{name: "counts", run: takeGuards},
		{name: "spend permit", run: spendPermit},
		{name: "budget", check: CheckBudget, run: spendBudget},
		{name: "send", run: send},
		{name: "answer", check: CheckResponse, run: checkAnswer},
		{name: "remember", run: rememberOwned, after: true},
		{name: "receipt", run: addReceipt, after: true},
	}
}

// The checks that a connection may set to observe.
const (
	CheckLimits   = "limits"
	CheckBudget   = "budget"
	CheckGrammar  = "grammar"
	CheckRequest  = "request-contract"
	CheckResponse = "response-contract"
)

// Checks lists the checks that can be told to only report, for configuration.
func Checks() []string {
	return []string{CheckBudget, CheckGrammar, CheckLimits, CheckRequest, CheckResponse, CheckVouching}
}

// Call runs the pipeline for one call. See Caller.
func (g *Gate) Call(ctx context.Context, c *Call) (answer *Answer) {
	x := &exchange{call: c, start: g.now()}
	defer func() {
		if r := recover(); r != nil {
			answer = g.afterPanic(context.WithoutCancel(ctx), x, fmt.Sprintf("%T at %s", r, Frames()))
		}
		if x.flight != nil {
			g.deps.Flights.leave(x.idem, x.flight)
		}
		g.learnGuards(ctx, x)
		g.record(ctx, x, answer)
	}()
	for _, s := range g.steps {
		if x.finished != nil && (!s.after || x.grant != nil) || x.replay {
			continue
		}
		x.at = s.name
		d := s.run(ctx, g, x)
		d.Step = s.name
		if d.Allowed() {
			continue
		}
		if s.check != "" && x.observes(s.check) && !fatal(d) {
			x.observe(s.check, d.Problem)
			continue
		}
		x.decisions = append(x.decisions, d)
		return g.refuse(ctx, x, d)
	}
	answer = x.finished
	if answer == nil {
		answer = x.fail(withOutcome(problem.New(problem.Internal, "the call ended without an answer"), x.outcomeIfSent()))
	}
	g.settle(context.WithoutCancel(ctx), x, answer)
	return answer
}

// afterPanic answers a call that a defect ended: the intent is closed, the key's record
// settled, and the outcome told as far as it is known.
func (g *Gate) afterPanic(ctx context.Context, x *exchange, what string) (answer *Answer) {
	// The value of a panic may hold anything, so only its type and the place are kept.
	answer = x.fail(&problem.Error{Code: problem.Internal, Detail: "something went wrong inside the gate", Outcome: x.outcomeIfSent(), Err: errors.New("panic in step " + x.at + ": " + what)})
	defer func() {
		if r := recover(); r != nil { // the store or the log is what is broken
			x.innerErr = errors.Join(x.innerErr, errors.New("panic again after the call"))
		}
	}()
	g.closeIntent(ctx, x, problem.Unknown, 0)
	g.settle(ctx, x, answer)
	return answer
}

// fatal says whether a denial stands even where the check only observes: what could
// not be read cannot be passed on.
func fatal(d Decision) bool {
	if d.Problem == nil || d.final {
		return true
	}
	switch d.Problem.Code {
	case problem.ContractViolation, problem.ParameterRefused, problem.RateLimited, problem.UpstreamContract, problem.BudgetExhausted,
		problem.ChallengeRequired, problem.ChallengeRefused, problem.VoucherRequired:
		return false
	}
	return true
}

func (g *Gate) refuse(ctx context.Context, x *exchange, d Decision) *Answer {
	p := d.Problem
	if p == nil {
		p = &problem.Error{Code: problem.Internal, Detail: "something went wrong inside the gate", Err: errors.New("step " + d.Step + " denied without a reason")}
	}
	if p.Outcome == problem.NotSent && x.response != nil {
		p = withOutcome(p, problem.Performed)
	}
	refused := x.response == nil && p.Outcome == problem.NotSent
	if refused && x.repeats { // nothing was sent now, but something was before
		p = withOutcome(p, problem.Unknown)
	}
	answer := x.fail(p)
	if refused && (x.op != nil || p.Code == problem.Unauthenticated) {
		g.recordRefusal(ctx, x, p.Code)
	}
	g.settle(context.WithoutCancel(ctx), x, answer)
	return answer
}

// settle gives back what a call spent that was not sent, and tells the idempotency record
// how the call ended. It runs once, also when the caller is gone.
func (g *Gate) settle(ctx context.Context, x *exchange, answer *Answer) {
	if !x.began && len(x.undo) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	g.giveBack(ctx, x, answer) // first: a repeat that waits may spend it again
	if !x.began {
		return
	}
	x.began = false
	if err := g.settleRecord(ctx, x, answer); err != nil {
		x.innerErr = errors.Join(x.innerErr, err)
	}
}

func (g *Gate) record(ctx context.Context, x *exchange, answer *Answer) {
	r := x.toRecord(answer)
	r.Total = g.now().Sub(x.start)
	g.deps.Recorder.Record(ctx, r)
}

func withOutcome(p *problem.Error, o problem.Outcome) *problem.Error {
	c := *p
	c.Outcome = o
	return &c
}

// observes reports whether a check of this call's connection only reports.
func (x *exchange) observes(check string) bool {
	return x.conn != nil && slices.Contains(x.conn.observe, check)
}

// maxObserved bounds what one check reports of one call.
const maxObserved = 5

// observe keeps what a check that only reports has found: its code, then the places, each
// an entry of its own, so that the log can leave out one that is no name of the contract.
func (x *exchange) observe(check string, p *problem.Error) {
	x.observed = append(x.observed, check+"."+string(p.Code))
	lookup := x.op.Lookup
	if check == CheckResponse {
		lookup = x.op.LookupReply
	}
	for i, f := range p.Faults {
		if i == maxObserved {
			return
		}
		x.observed = append(x.observed, knownPlace(lookup, f.Where))
	}
}

// Frames says where a panic came from: functions and lines, innermost first, never values.
// Call it in the deferred function that recovers.
func Frames() string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	var out []string
	for more := true; more && len(out) < 6; {
		var f runtime.Frame
		f, more = frames.Next()
		if strings.HasPrefix(f.Function, "runtime.") {
			out = nil // what stands before the panic itself is the recovering
			continue
		}
		name := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		out = append(out, name+":"+strconv.Itoa(f.Line))
	}
	return strings.Join(out, " < ")
}

// knownPlace is where with every name replaced by "*" that the contract does not have:
// such a name is the sender's own words, and may hold anything.
func knownPlace(lookup func(contract.Path) (*contract.Schema, error), where string) string {
	path, err := contract.ParsePath(where)
	if err != nil {
		return "*"
	}
	var known contract.Path
	for i, s := range path.Steps() {
		if s.Name == "" {
			known = known.At(s.Index)
			continue
		}
		next := known.Child(s.Name)
		if _, err := lookup(next); err != nil {
			return strings.TrimPrefix(known.String()+".*", ".")
		}
		if parent, err := lookup(known); i > 0 && (err != nil || parent == nil || parent.Properties[s.Name] == nil) {
			return known.String() + ".*" // a key of a map, or behind an alternative
		}
		known = next
	}
	return known.String()
}
