package egress

import (
	"context"
	"errors"

	"sallyport/internal/problem"
)

// send makes the call. Operations with effects write an audit intent before each
// attempt, and finish even when the caller hangs up: a payment half heard of is
// worse than one whose answer nobody reads.
func send(ctx context.Context, g *Gate, x *exchange) Decision {
	began := g.now()
	response, err := x.way().Send(ctx, &Request{
		Operation: x.op, Args: x.args, Method: x.op.Method, Path: x.out.Path, RawQuery: x.out.RawQuery,
		Header: x.out.Header, Body: x.out.Body, Keyed: x.key != "",
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
		g.closeIntent(ctx, x, p.Outcome, 0)
		return deny(p)
	}
	x.response = response
	outcome := problem.Performed
	if response.Status >= 500 {
		outcome = problem.Unknown
	} else if response.Status >= 400 {
		outcome = problem.NotPerformed
	}
	g.closeIntent(ctx, x, outcome, response.Status)
	return allow("answered")
}

func (x *exchange) way() Upstream {
	if x.rule != nil {
		return x.rule.upstream
	}
	return x.conn.backend[x.op.ID].upstream
}

// intend writes the intent of one attempt. The attempt before it, if any, is closed
// first: it was answered or failed in a way that allowed a repeat.
func (g *Gate) intend(ctx context.Context, x *exchange, n int) error {
	if len(x.op.Effects) == 0 {
		x.sent = true
		return nil
	}
	g.closeIntent(ctx, x, problem.Unknown, 0)
	id, err := g.deps.Audit.Intent(ctx, x.attempt(n))
	if err != nil {
		p := problem.From(err)
		if p.Code == problem.Internal {
			p = problem.Wrap(err, problem.AuditUnavailable, "the audit log cannot be written, so nothing is sent")
		}
		return p
	}
	x.intentID, x.sent = id, true
	return nil
}

func (g *Gate) closeIntent(ctx context.Context, x *exchange, o problem.Outcome, status int) {
	if x.intentID == "" {
		return
	}
	if o == problem.NotSent {
		o = problem.NotPerformed
	}
	g.deps.Audit.Outcome(context.WithoutCancel(ctx), x.intentID, o, status)
	x.intentID = ""
}
