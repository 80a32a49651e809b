package egress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/contract"
	"sallyport/internal/permit"
	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// PermitHeader carries a permit from the page to the gate.
const PermitHeader = "Sallyport-Permit"

// keepUses is how long the uses of a permit are remembered beyond its expiry, should the
// clock be set back.
const keepUses = time.Hour

// checkPermit verifies the permit of a browser's call: that it is for exactly this call, and
// that it seals exactly what the rule seals. Nothing is spent here, because the call may
// still be refused.
func checkPermit(ctx context.Context, g *Gate, x *exchange) Decision {
	p, err := g.permitOf(ctx, x)
	switch {
	case err != nil:
		return denyErr(err)
	case x.rule == nil:
		return allow("a site key needs no permit")
	case p == nil && len(x.rule.Sealed) > 0:
		return deny(problem.New(problem.PermitRequired, "%s needs a permit: %s can only be set by the site's backend", x.op.ID, pathList(x.rule.Sealed)).
			WithHint("sign a permit for this visit on the backend (docs/guide/permits.md) and call with {permit}"))
	case p == nil:
		return allow("nothing is sealed")
	}
	if err := sealsExactly(x.rule.Sealed, p.Sealed); err != nil {
		return denyErr(permitProblem(err))
	}
	return allow("the permit is for this call")
}

// permitOf is the verified permit that came with a call and is for this call, or nil where
// none came. It is read once a call; steps that come before checkPermit may ask as well.
func (g *Gate) permitOf(ctx context.Context, x *exchange) (*permit.Permit, error) {
	if x.permit != nil {
		return x.permit, nil
	}
	values := x.call.Header.Values(PermitHeader)
	if len(values) == 0 {
		return nil, nil
	}
	if len(values) > 1 || x.caller != site.Browser {
		return nil, permitProblem(&permit.Refusal{Reason: "malformed", What: "a call from a page carries one " + PermitHeader + ", and a call with a site key none"})
	}
	p, err := g.deps.PermitReader.ReadPermit(ctx, values[0])
	if err == nil {
		err = p.Check(permit.Call{Site: x.call.Site, Connection: x.call.Connection, Mode: string(x.conn.Mode),
			Operation: x.op.ID, Origin: x.call.Origin, Session: x.visit})
	}
	if err != nil {
		return nil, permitProblem(err)
	}
	x.permit = p
	return p, nil
}

func permitProblem(err error) error {
	var r *permit.Refusal
	if !errors.As(err, &r) {
		return err
	}
	p := problem.New(problem.PermitRefused, "the permit does not hold: %s", r.What)
	switch r.Reason {
	case "session":
		return p.WithHint("sign it for the visit that visit() gives in the page, which changes when a session ends")
	case "expired", "early":
		return p.WithHint("sign a new one when the visitor is about to use it; it lives at most %d minutes, by the backend's clock", permit.MaxLife/time.Minute)
	case "key":
		return p.WithHint("sign it with a site key of this site that was not revoked: sallyport keys list")
	}
	return p.WithHint("sign a new one for exactly this call; docs/formats/permit.md lists what it must hold")
}

// sealsExactly holds the sealed values against the paths of the rule: all of them, and
// nothing else, so that nothing the backend meant to fix stays open.
func sealsExactly(paths []contract.Path, sealed map[string]any) error {
	for _, p := range paths {
		if _, ok := sealed[p.String()]; !ok {
			return &permit.Refusal{Reason: "missing", What: fmt.Sprintf("it seals no value for %s", p)}
		}
	}
	if len(sealed) > len(paths) {
		return &permit.Refusal{Reason: "extra", What: "it seals a value that the file does not list under sealed"}
	}
	return nil
}

func pathList(paths []contract.Path) string {
	var all []string
	for _, p := range paths {
		all = append(all, p.String())
	}
	return strings.Join(all, ", ")
}

// insertSealed writes the permit's values over an empty place, as insertFixed does. An
// address among them that the provider would send the visitor to must lie on the site's
// origins, whoever signed it.
func insertSealed(_ context.Context, _ *Gate, x *exchange) Decision {
	if x.rule == nil || len(x.rule.Sealed) == 0 {
		return allow("nothing to insert")
	}
	if x.permit == nil {
		return Decision{} // checkPermit has not run: a defect
	}
	for _, at := range x.rule.Sealed {
		value, ok := x.permit.Sealed[at.String()]
		if !ok {
			return Decision{}
		}
		if err := x.args.Set(at, value); err != nil {
			return deny(problem.Wrap(err, problem.ParameterRefused, "%s cannot be inserted beside what the browser sent", at))
		}
	}
	if x.rule.sealsURL {
		for _, leaf := range x.args.Leaves() {
			if slices.ContainsFunc(x.rule.Sealed, func(p contract.Path) bool { return p.Covers(leaf) }) {
				if f := strayAddress(x, leaf); f != nil {
					return denyErr(permitProblem(&permit.Refusal{Reason: "address", What: leaf.String() + " is an address that is not on the site's origins"}))
				}
			}
		}
	}
	return allow("inserted")
}

// spendPermit takes one use, at the last moment: what is refused before spends nothing. A
// repeat of a call whose outcome is not known was paid for by the call before it.
func spendPermit(ctx context.Context, g *Gate, x *exchange) Decision {
	if x.permit == nil || x.repeats {
		return allow("nothing to spend")
	}
	use := PermitUse{KeyID: x.permit.KeyID, PermitID: x.permit.ID, Uses: x.permit.Uses, Until: x.permit.Expires.Add(keepUses)}
	spent, err := g.deps.Permits.SpendPermit(ctx, use)
	switch {
	case err != nil:
		return deny(problem.Wrap(err, problem.StoreUnavailable, "the uses of the permit cannot be counted"))
	case !spent:
		return deny(problem.New(problem.PermitSpent, "the permit was used %d of %d times", use.Uses, use.Uses).
			WithHint("sign a new permit on the backend, with an id of its own, if this call is meant"))
	}
	x.ifNotSent(func(ctx context.Context) error { return g.deps.Permits.ReturnPermit(ctx, use) })
	return allow("spent")
}

// ifNotSent keeps what to undo should the call end without one byte sent.
func (x *exchange) ifNotSent(undo func(context.Context) error) { x.undo = append(x.undo, undo) }

// giveBack undoes what a call spent of which no byte was sent, last first.
func (g *Gate) giveBack(ctx context.Context, x *exchange, answer *Answer) {
	undo := x.undo
	x.undo = nil
	if x.sent && (answer.Problem == nil || answer.Problem.Outcome != problem.NotSent) {
		return
	}
	for _, f := range slices.Backward(undo) {
		if err := f(ctx); err != nil {
			x.innerErr = errors.Join(x.innerErr, fmt.Errorf("give back what a call spent that was not sent: %w", err))
		}
	}
}

// seal compiles what a rule says of sealed parameters and receipts.
func (r *browserRule) seal(op *contract.Operation) (err error) {
	for _, p := range r.Sealed {
		s, err := op.Lookup(p)
		if err != nil {
			return fmt.Errorf("sealed: %w", err)
		}
		r.sealsURL = r.sealsURL || holdsURL(s, 0)
	}
	if len(r.Receipt) > 0 {
		if r.receipt, err = op.View(r.Receipt); err != nil {
			return fmt.Errorf("receipt: %w", err)
		}
	}
	return nil
}

// holdsURL reports whether a schema has an address that the provider sends the visitor to.
func holdsURL(s *contract.Schema, depth int) bool {
	if s == nil {
		return false
	}
	if s.URL || depth > 12 {
		return true // too deep to know: look at each value
	}
	for _, name := range s.Order {
		if holdsURL(s.Properties[name], depth+1) {
			return true
		}
	}
	return holdsURL(s.Items, depth+1) || holdsURL(s.Additional, depth+1) ||
		slices.ContainsFunc(slices.Concat(s.AllOf, s.AnyOf, s.OneOf), func(p *contract.Schema) bool { return holdsURL(p, depth+1) })
}
