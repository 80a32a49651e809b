package egress

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"sallyport/internal/challenge"
	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// CheckVouching is the name under which this check can be told to only report.
const CheckVouching = "vouching"

// Headers of a page's evidence. A proof is "work PAYLOAD" or "CONNECTION TOKEN".
const (
	ProofHeader   = "Sallyport-Proof"
	VoucherHeader = "Sallyport-Voucher"
	// ProofOfWork is the first word of a proof of work; no connection of that name can be a
	// bot check.
	ProofOfWork = "work"
)

// Challenges makes and checks proofs of work; *challenge.Work is one.
type Challenges interface {
	Make(ctx context.Context, b challenge.Binding, client netip.Addr, signs int) challenge.Challenge
	// Check uses the proof up. Its error is a *problem.Error; where it cannot be known
	// whether the proof was used before, the proof does not count.
	Check(ctx context.Context, b challenge.Binding, proof string) error
}

// Signs says how bad the signs are that a client is a script, from 0 (none) to
// challenge.MaxLevel; it answers from memory.
type Signs interface {
	Level(siteName, visit string, client netip.Addr) int
}

// badSigns is the level of signs from which a proof of work for the visit is not enough for
// what moves money or sends messages: each such call then needs a proof of its own, of that
// level's difficulty. A call that only has a price, such as each key of a search, never does: its
// visit's proof is made harder.
const badSigns = 2

// Need is what a rule wants of a visit before it may call. site.Vouching says what a site
// demands, the operation's effects and its price on the connection whether it costs.
func Need(s *site.Site, c *site.Connection, rule *site.BrowserRule, op *contract.Operation) session.Vouched {
	kind := session.ByWork
	if s.Vouching.Challenge != "" {
		kind = session.ByChallenge
	}
	switch {
	case rule.Vouched:
		return session.ByBackend
	case rule.SignedIn:
		return session.ByLogin
	case len(rule.Sealed) > 0: // a permit of the backend speaks for each call
		return session.ByNobody
	case s.Vouching.Demand == site.DemandNone:
		return session.ByNobody
	case s.Vouching.Demand == site.DemandAll, Acts(op), Priced(c, op):
		return kind
	}
	return session.ByNobody
}

// Acts says whether an operation moves money or sends messages.
func Acts(op *contract.Operation) bool {
	return slices.Contains(op.Effects, "money") || slices.Contains(op.Effects, "message")
}

// Priced says whether the provider wants money for a call, as far as the file and the catalog know.
func Priced(c *site.Connection, op *contract.Operation) bool { return c.Costs[op.ID].Millionths > 0 }

// WholeBudget is the evidence with which a visit may draw on the whole of a budget.
func WholeBudget(v site.Vouching) session.Vouched {
	switch v.WholeBudget {
	case "backend":
		return session.ByBackend
	case "challenge":
		return session.ByChallenge
	}
	return session.ByWork
}

// vouch asks who speaks for a browser's visit, where its rule wants that, and says whether
// the caller may draw on the whole of a budget.
func vouch(ctx context.Context, g *Gate, x *exchange) Decision {
	if x.rule == nil {
		x.vouched = true
		return allow("not a visit")
	}
	permit, err := g.permitOf(ctx, x)
	if err != nil {
		return denyErr(err)
	}
	if permit != nil {
		x.vouched = true
		return allow("the site's backend signed a permit for this call")
	}
	have, need := x.session.Vouched, x.rule.need
	x.vouched = have >= x.site.whole
	switch {
	case have < need && need == session.ByBackend:
		return deny(problem.New(problem.VoucherRequired, "operation %s is only for visits that the site's backend vouches for", x.op.ID).
			WithHint("have the backend sign a voucher for this visit and send it to POST session as %s", VoucherHeader))
	case have < need && need == session.ByLogin:
		return deny(problem.New(problem.LoginRequired, "operation %s is only for visitors who are signed in", x.op.ID).
			WithHint("send the visitor to login/CONNECTION (client.js: login), or have the site's backend vouch for the visit"))
	case have < need && need == session.ByChallenge:
		return deny(askBots(x.site.Site))
	case have < need:
		return g.askWork(ctx, x)
	case need == session.ByWork && have == session.ByWork && x.rule.acts && g.signs(x) >= badSigns:
		return g.askWork(ctx, x)
	}
	return allow("enough speaks for the visit")
}

func (g *Gate) signs(x *exchange) int { return g.Signs(x.call.Site, x.visit, x.call.Client) }

// Signs says how bad the signs are of a visit and its network, from 0 to challenge.MaxLevel.
func (g *Gate) Signs(siteName, visit string, client netip.Addr) int {
	if g.deps.Signs == nil { // an attack that the site's guards see is a sign for each of its visits
		return min(int(g.Danger(siteName)), challenge.MaxLevel)
	}
	return g.deps.Signs.Level(siteName, visit, client)
}

// askWork takes a proof of work that came with the call, or asks for one: for the visit,
// and where the signs are bad for this very call.
func (g *Gate) askWork(ctx context.Context, x *exchange) Decision {
	use := challenge.Binding{Site: x.call.Site, Visit: x.visit, For: x.call.Connection + "/" + x.op.ID}
	kind, proof, sent := strings.Cut(x.call.Header.Get(ProofHeader), " ")
	why := problem.New(problem.ChallengeRequired, "operation %s costs, and nobody vouches for this visit yet", x.op.ID).
		WithHint("client.js solves the challenge by itself; others send its proof as %s: %s PAYLOAD", ProofHeader, ProofOfWork)
	if sent && kind == ProofOfWork && g.deps.Challenges != nil {
		err := g.deps.Challenges.Check(ctx, use, proof)
		if err == nil {
			x.vouched = x.vouched || x.site.whole <= session.ByWork
			return allow("a proof of work came with the call")
		}
		if why = problem.From(err); why.Code != problem.ChallengeRefused {
			return deny(why)
		}
	}
	if g.deps.Challenges == nil {
		return deny(why)
	}
	level := g.signs(x)
	forVisit := level < badSigns || !x.rule.acts
	if forVisit {
		use.For = challenge.ForVisit
	}
	return deny(WithChallenge(why, g.deps.Challenges.Make(ctx, use, x.call.Client, level), forVisit))
}

// WithChallenge adds a task to a refusal. forVisit: its proof goes to POST session, and
// vouches for the visit; else it comes with the call again.
func WithChallenge(p *problem.Error, task any, forVisit bool) *problem.Error {
	c := *p
	c.Extra = map[string]any{"challenge": task, "challenge_for": "call"}
	if forVisit {
		c.Extra["challenge_for"] = challenge.ForVisit
	}
	return &c
}

// BotCheck is the task of a site whose challenge is a provider's widget.
type BotCheck struct {
	Connection string `json:"connection"`
	Action     string `json:"action,omitempty"`
}

func askBots(s *site.Site) *problem.Error {
	p := problem.New(problem.ChallengeRequired, "this operation costs, and nobody vouches for this visit yet").
		WithHint("give client.js the widget's token with onChallenge(); others send it to POST session as %s: %s TOKEN", ProofHeader, s.Vouching.Challenge)
	return WithChallenge(p, BotCheck{Connection: s.Vouching.Challenge, Action: s.Vouching.Action}, true)
}
