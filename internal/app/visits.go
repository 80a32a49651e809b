package app

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"sallyport/internal/challenge"
	"sallyport/internal/egress"
	"sallyport/internal/ingress"
	"sallyport/internal/permit"
	"sallyport/internal/problem"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// openChallenges makes what vouches for visits: proofs of work, and the memory of what was
// used.
func (g *Gate) openChallenges() error {
	key, err := g.hashKeys.challengeKey()
	if err != nil {
		return err
	}
	g.used = challenge.NewMemory(g.options.Now, 0)
	if g.shared != nil {
		g.used = g.shared.Once(g.options.Now)
	}
	g.work, err = challenge.New(challenge.Options{Key: key, Used: g.used, Meter: challenge.Meter{Limiter: g.limits}, Now: g.options.Now})
	return err
}

// visits implements ingress.Sessions for the sites of one snapshot.
type visits struct {
	gate  *Gate
	calls *egress.Gate
	sites []*site.Site
}

func (v *visits) site(name string) *site.Site {
	for _, s := range v.sites {
		if s.Name == name {
			return s
		}
	}
	return &site.Site{Name: name}
}

// Mint starts a visit.
func (v *visits) Mint(ctx context.Context, siteName string, origin site.Origin, client netip.Addr) (string, time.Time, error) {
	m, err := v.gate.issuer.Mint(ctx, session.Request{Site: siteName, Origin: origin, Client: client, TTL: v.site(siteName).SessionTTL})
	return m.Token, m.Session.ExpiresAt, err
}

// Renew gives a new token for the visit of r.Token.
func (v *visits) Renew(ctx context.Context, r ingress.VisitRequest) (string, time.Time, error) {
	s, err := v.gate.verifier.Verify(r.Token, r.Site, r.Origin)
	if err != nil {
		return "", time.Time{}, err
	}
	if err := v.gate.issuer.AllowRenew(ctx, r.Site, r.Client); err != nil {
		return "", time.Time{}, err
	}
	m, err := v.gate.issuer.Renew(s, v.site(r.Site).SessionTTL)
	return m.Token, m.Session.ExpiresAt, err
}

// Revoke ends the visit of a token.
func (v *visits) Revoke(ctx context.Context, siteName string, origin site.Origin, token string) error {
	s, err := v.gate.verifier.Verify(token, siteName, origin)
	if err != nil {
		return err
	}
	return v.gate.verifier.Revoke(ctx, s)
}

// KeySet is the document of /.well-known/jwks.json.
func (v *visits) KeySet() []byte { return v.gate.keys.JWKS() }

// Describe says what is known of a visit, with a challenge where one would raise it.
func (v *visits) Describe(ctx context.Context, r ingress.VisitRequest) (ingress.Visit, error) {
	s, err := v.gate.verifier.Verify(r.Token, r.Site, r.Origin)
	if err != nil {
		return ingress.Visit{}, err
	}
	out := ingress.Visit{ID: s.ID, Vouched: s.Vouched.String(), Expires: s.ExpiresAt}
	if s.Vouched == session.ByNobody {
		out.Challenge = v.task(ctx, s, r.Client)
	}
	return out, nil
}

// task is what a visit has to do to be vouched for on its site.
func (v *visits) task(ctx context.Context, s session.Session, client netip.Addr) any {
	if kind := v.site(s.Site).Vouching; kind.Challenge != "" {
		return egress.BotCheck{Connection: kind.Challenge, Action: kind.Action}
	}
	return v.gate.work.Make(ctx, challenge.Binding{Site: s.Site, Visit: s.ID, For: challenge.ForVisit}, client, v.calls.Signs(s.Site, s.ID, client))
}

// Raise gives a new token for the visit of r.Token, which the evidence vouches for.
func (v *visits) Raise(ctx context.Context, r ingress.VisitRequest, e ingress.Evidence) (string, time.Time, error) {
	s, err := v.gate.verifier.Verify(r.Token, r.Site, r.Origin)
	if err != nil {
		return "", time.Time{}, err
	}
	if err := v.gate.issuer.AllowRaise(ctx, r.Site, r.Client); err != nil {
		return "", time.Time{}, err
	}
	by, err := v.evidence(ctx, s, r, e)
	if err != nil {
		return "", time.Time{}, err
	}
	m, err := v.gate.issuer.Raise(s, by)
	return m.Token, m.Session.ExpiresAt, err
}

// evidence says what the page's evidence proves; one that does not count is an error.
func (v *visits) evidence(ctx context.Context, s session.Session, r ingress.VisitRequest, e ingress.Evidence) (session.Vouched, error) {
	if e.Voucher != "" {
		return session.ByBackend, v.voucher(ctx, s, e.Voucher)
	}
	kind, proof, _ := strings.Cut(e.Proof, " ")
	var err error
	by := session.ByWork
	switch want := v.site(s.Site).Vouching.Challenge; {
	case kind == egress.ProofOfWork && want == "":
		err = v.gate.work.Check(ctx, challenge.Binding{Site: s.Site, Visit: s.ID, For: challenge.ForVisit}, proof)
	case want != "" && kind == want:
		by = session.ByChallenge
		err = v.bots(ctx, s, r, proof)
	default:
		err = problem.New(problem.ChallengeRefused, "the site does not take a proof of that kind").
			WithHint("send %s: %s PROOF", egress.ProofHeader, wanted(want))
	}
	if p := problem.From(err); p != nil && p.Code == problem.ChallengeRefused {
		return by, egress.WithChallenge(p, v.task(ctx, s, r.Client), true)
	}
	return by, err
}

// bots asks the site's bot check, once for each token: a token that was asked for is used,
// whatever came of it, so that no token can be sent to the provider again and again.
func (v *visits) bots(ctx context.Context, s session.Session, r ingress.VisitRequest, token string) error {
	connection := v.site(s.Site).Vouching.Challenge
	first, err := v.gate.work.Once(ctx, challenge.UsedToken, s.Site+"\x00"+connection+"\x00"+token, v.gate.options.Now().Add(challenge.MaxLife))
	if err != nil {
		return err
	}
	if !first {
		return problem.New(problem.ChallengeRefused, "the bot check's token does not count: it was used before").WithHint("let the widget make a new token")
	}
	return v.calls.CheckBots(ctx, egress.BotToken{Request: r.ID, Site: s.Site, Connection: connection, Token: token, Client: r.Client, Origin: s.Origin})
}

// voucher holds a voucher against the visit, and uses it up.
func (v *visits) voucher(ctx context.Context, s session.Session, token string) error {
	voucher, err := v.gate.permitReader.ReadVoucher(ctx, token, s.Site, s.ID)
	var refusal *permit.Refusal
	if errors.As(err, &refusal) {
		return voucherRefused(err, refusal.What)
	}
	if err != nil {
		return err
	}
	first, err := v.gate.work.Once(ctx, challenge.UsedVoucher, voucher.KeyID+"\x00"+voucher.ID, voucher.Expires)
	if err != nil {
		return err
	}
	if !first {
		return voucherRefused(nil, "it was used before")
	}
	return nil
}

func voucherRefused(err error, why string) error {
	return problem.Wrap(err, problem.VoucherRefused, "the voucher does not count: %s", why).
		WithHint("have the backend sign a new one for the visit that GET session names (docs/formats/voucher.md)")
}

func wanted(connection string) string {
	if connection == "" {
		return egress.ProofOfWork
	}
	return connection
}
