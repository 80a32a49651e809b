package egress

import (
	"context"
	"errors"

	"sallyport/internal/audit"
	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// send makes the call. Operations with effects write an audit intent before each
// attempt, and finish even when the caller hangs up: a payment half heard of is
// worse than one whose answer nobody reads.
func send(ctx context.Context, g *Gate, x *exchange) Decision {
	began := g.now()
	response, err := x.way().Send(ctx, &Request{
		Operation: x.op, Args: x.args, Method: x.op.Method, Path: x.out.Path, RawQuery: x.out.RawQuery,
		Header: x.out.Header, Body: x.out.Body, Keyed: x.key != "", Subject: x.onBehalf,
		Uninterrupt: len(x.op.Effects) > 0,
		Intent:      func(ctx context.Context, n int) error { return g.intend(ctx, x, n) },
	})
	x.upstream = g.now().Sub(began)
	if err != nil {
		p := problem.From(err)
		if errors.Is(err, context.Canceled) && p.Code == problem.Internal {
			p = problem.Wrap(err, problem.UpstreamTimeout, "the caller went away before the provider answered")
			p.Outcome = x.outcomeIfSent()
		}
		if told := new(problem.Error); !errors.As(err, &told) { // an error that says nothing of the outcome
			p = withOutcome(p, x.outcomeIfSent())
		}
		g.closeIntent(ctx, x, p.Outcome, 0)
		return deny(p)
	}
	x.response = response
	g.closeIntent(ctx, x, x.told(), response.Status)
	return allow("answered")
}

// told is what the provider's answer tells of the call.
func (x *exchange) told() problem.Outcome {
	switch r := x.response; {
	case r.Outcome != problem.NotSent:
		return r.Outcome
	case r.Throttled, r.Refused, r.Status >= 400 && r.Status < 500:
		return problem.NotPerformed
	case r.Status >= 500:
		return problem.Unknown
	}
	return problem.Performed
}

func (x *exchange) way() Upstream {
	if x.rule != nil {
		return x.rule.upstream
	}
	if x.caller == site.Gate {
		return x.conn.own.upstream
	}
	return x.conn.backend[x.op.ID].upstream
}

// intend writes the intent of one attempt. The attempt before it, if any, is closed
// first: it was answered or failed in a way that allowed a repeat.
//
// What is frozen is asked again: a call may have waited for its turn for as long as a call
// lives, and an operator who freezes wants no more of them.
func (g *Gate) intend(ctx context.Context, x *exchange, n int) error {
	if d := checkFreeze(ctx, g, x); !d.Allowed() {
		return d.Problem
	}
	if n > 1 {
		if err := g.spendAgain(ctx, x); err != nil {
			return err
		}
	}
	if len(x.op.Effects) == 0 {
		x.sent = true
		return nil
	}
	g.closeIntent(ctx, x, problem.Unknown, 0)
	id, err := g.deps.Audit.Intent(ctx, audit.Intent{
		Request: x.call.ID, Site: x.call.Site, Connection: x.call.Connection, Provider: x.conn.pack.ID,
		Operation: x.op.ID, Mode: string(x.conn.Mode), Caller: string(x.caller), Effects: x.op.Effects,
		Attempt: n, Config: g.deps.Config, Visit: x.visit, Client: x.call.Client, IdempotencyKey: x.key,
	})
	if err != nil {
		p := problem.From(err)
		if p.Code == problem.Internal {
			p = problem.Wrap(err, problem.AuditUnavailable, "the audit log cannot be written, so nothing is sent")
		}
		return p
	}
	x.intent, x.intended, x.sent, x.attempts = id, true, true, g.now()
	return nil
}

// closeIntent writes how the open intent ended. Its error is for the log: the attempt
// has been made.
func (g *Gate) closeIntent(ctx context.Context, x *exchange, o problem.Outcome, status int) {
	if !x.intended {
		return
	}
	x.intended = false
	err := g.deps.Audit.Outcome(context.WithoutCancel(ctx), x.intent, audit.Outcome{
		Result: o, Status: status, Took: g.now().Sub(x.attempts), BytesOut: int64(len(x.out.Body)),
	})
	x.innerErr = errors.Join(x.innerErr, err)
}

// recordRefusal keeps a refused call of a known operation, and one of nobody. The audit log
// thins refusals, since strangers can make any number.
func (g *Gate) recordRefusal(ctx context.Context, x *exchange, code problem.Code) {
	operation := ""
	if x.op != nil {
		operation = x.op.ID
	}
	err := g.deps.Audit.Record(context.WithoutCancel(ctx), audit.Event{
		Kind: audit.KindRefused, Request: x.call.ID, Site: x.call.Site, Connection: x.call.Connection,
		Operation: operation, Caller: string(x.caller), Code: code, Config: g.deps.Config, Name: x.why,
		Visit: x.visit, Client: x.call.Client,
	})
	x.innerErr = errors.Join(x.innerErr, err)
}
