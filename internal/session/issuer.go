package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"sallyport/internal/ratelimit"
	"sallyport/internal/site"
)

// IssuerOptions are what an Issuer needs. Name, Keys, Limiter and Now are required.
type IssuerOptions struct {
	// Name is the iss claim; the Verifier's must be the same.
	Name    string
	Keys    *Keys
	Limiter Limiter
	Now     func() time.Time
	// PerPrefix limits minting by network over all sites; zero: 60 per minute.
	PerPrefix ratelimit.Rule
	// PerSite is how many visits a site ordinarily sees; zero: 3000 per minute. Beyond it
	// nobody is refused for what others do: each network then has InRush visits of that site
	// (zero: 10 per minute), so that one who comes from many networks keeps no visitor of
	// another one out. Twenty times PerSite is where the gate's own means end.
	PerSite ratelimit.Rule
	InRush  ratelimit.Rule
}

// Issuer mints tokens. It is safe for concurrent use.
type Issuer struct{ o IssuerOptions }

// NewIssuer checks the options.
func NewIssuer(o IssuerOptions) (*Issuer, error) {
	if o.Name == "" || o.Keys == nil || o.Limiter == nil || o.Now == nil {
		return nil, errors.New("make session issuer: name, keys, limiter and clock are required")
	}
	if o.PerPrefix == (ratelimit.Rule{}) {
		o.PerPrefix = ratelimit.Rule{Calls: 60, Window: time.Minute, Per: ratelimit.PerPrefix}
	}
	if o.PerSite == (ratelimit.Rule{}) {
		o.PerSite = ratelimit.Rule{Calls: 3000, Window: time.Minute, Per: ratelimit.PerSite}
	}
	if o.InRush == (ratelimit.Rule{}) {
		o.InRush = ratelimit.Rule{Calls: 10, Window: time.Minute, Per: ratelimit.PerPrefix}
	}
	return &Issuer{o: o}, nil
}

// Request asks for a token. The edge has already checked that Origin is one of Site's.
type Request struct {
	Site   string
	Origin site.Origin
	Client netip.Addr
	TTL    time.Duration // 0 or more than MaxTTL: MaxTTL
	// Login is who signed in; the token lives no longer than that.
	Login Login
}

// Minted is a new visit. Token is a bearer credential: never log it.
type Minted struct {
	Token   string
	Session Session
	// Checks and Decision are for ratelimit.SetHeader.
	Checks   []ratelimit.Check
	Decision ratelimit.Decision
}

// These keep the counts of minting and raising apart from those of calls; no connection
// has an empty name.
const (
	mintOperation  = "session.mint"
	raiseOperation = "session.raise"
	renewOperation = "session.renew"
	loginOperation = "session.login"
)

// Mint starts a visit. Over a limit it returns problem.RateLimited, with Checks and
// Decision set.
func (i *Issuer) Mint(ctx context.Context, r Request) (Minted, error) {
	if r.Site == "" || r.Origin == "" {
		return Minted{}, errors.New("mint session: site and origin are required")
	}
	now := i.o.Now()
	var m Minted
	var err error
	if m.Checks, m.Decision, err = i.count(ctx, now, mintOperation, r.Site, r.Client); err != nil {
		return Minted{}, limiterFault(err)
	}
	if !m.Decision.Allowed {
		return m, m.Decision.Problem()
	}
	ttl := r.TTL
	if ttl <= 0 || ttl > MaxTTL {
		ttl = MaxTTL
	}
	c := claims{
		Issuer: i.o.Name, Audience: r.Site, Origin: r.Origin, Session: randomID(), TokenID: randomID(),
		IssuedAt: now.Unix(), Expires: now.Add(ttl).Unix(),
	}
	if r.Login.Is() {
		if !now.Before(r.Login.Ends.Add(-time.Second)) {
			return Minted{}, refused(errors.New("the login is over"))
		}
		c.Vouched, c.Expires = ByLogin.String(), min(c.Expires, r.Login.Ends.Unix())
		c = c.signedIn(r.Login)
	}
	if m.Token, err = i.sign(c); err != nil {
		return Minted{}, fmt.Errorf("mint session: %w", err)
	}
	m.Session = c.session()
	return m, nil
}

// AllowRaise counts a try to raise a visit, before its evidence is looked at: as many as
// visits may be minted, counted apart. Over a limit it returns problem.RateLimited.
func (i *Issuer) AllowRaise(ctx context.Context, siteName string, client netip.Addr) error {
	return i.allow(ctx, raiseOperation, siteName, client)
}

// AllowRenew counts a renewal, as AllowRaise does.
func (i *Issuer) AllowRenew(ctx context.Context, siteName string, client netip.Addr) error {
	return i.allow(ctx, renewOperation, siteName, client)
}

// AllowLogin counts a step of signing in (sending a visitor away, taking one back), as
// AllowRaise does.
func (i *Issuer) AllowLogin(ctx context.Context, siteName string, client netip.Addr) error {
	return i.allow(ctx, loginOperation, siteName, client)
}

func (i *Issuer) allow(ctx context.Context, operation, siteName string, client netip.Addr) error {
	_, d, err := i.count(ctx, i.o.Now(), operation, siteName, client)
	if err != nil {
		return limiterFault(err)
	}
	if !d.Allowed {
		return d.Problem()
	}
	return nil
}

// rush is how many times PerSite is the end.
const rush = 20

// count counts one try. Beyond what the site ordinarily sees each network counts by itself.
func (i *Issuer) count(ctx context.Context, now time.Time, operation, siteName string, client netip.Addr) ([]ratelimit.Check, ratelimit.Decision, error) {
	prefix := ratelimit.Subject{Operation: operation, Client: client}
	whole := ratelimit.Subject{Operation: operation, Site: siteName}
	here := ratelimit.Subject{Operation: operation + ".rush", Site: siteName, Client: client}
	end := i.o.PerSite
	end.Calls *= rush
	check := func(r ratelimit.Rule, s *ratelimit.Subject) ratelimit.Check {
		return i.o.Limiter.Check(ratelimit.AtOperation, r, s)
	}
	checks := []ratelimit.Check{check(i.o.PerPrefix, &prefix), check(i.o.PerSite, &whole)}
	d, err := i.o.Limiter.AllowAll(ctx, now, checks)
	if err != nil || d.Allowed || d.Rule != i.o.PerSite {
		return checks, d, err
	}
	checks = []ratelimit.Check{checks[0], check(i.o.InRush, &here), check(end, &whole)}
	d, err = i.o.Limiter.AllowAll(ctx, now, checks)
	return checks, d, err
}

// Raise gives a new token for the visit of s, which Verify has accepted, vouched for by v.
// It raises only: the stronger of what the visit had and v stands. The new token ends when
// the old one does, so that evidence changes what a visit may do and not how long it
// lasts; site, origin and visit stay, and so does every revocation. The old token goes on
// saying what it said.
func (i *Issuer) Raise(s Session, v Vouched) (Minted, error) {
	if s.ID == "" || s.Site == "" || s.Origin == "" || v <= ByNobody || int(v) >= len(vouchedNames()) {
		return Minted{}, errors.New("raise session: a verified session and evidence are required")
	}
	now := i.o.Now()
	if !now.Before(s.ExpiresAt) {
		return Minted{}, refused(errors.New("token has expired"))
	}
	c := claims{
		Issuer: i.o.Name, Audience: s.Site, Origin: s.Origin, Session: s.ID, TokenID: randomID(),
		IssuedAt: min(now.Unix(), s.ExpiresAt.Unix()-1), Expires: s.ExpiresAt.Unix(), Vouched: max(s.Vouched, v).String(), Since: s.Since.Unix(),
	}
	c = c.signedIn(s.Login)
	token, err := i.sign(c)
	if err != nil {
		return Minted{}, fmt.Errorf("raise session: %w", err)
	}
	return Minted{Token: token, Session: c.session()}, nil
}

// Renew gives a new token for the visit of s, which Verify has accepted: the same visit, so
// that what belongs to it (objects that it received, permits, counts) stays its own while a
// visitor is on the page. A sign-in goes over, until it ends; what else vouched does not: such
// evidence lasts as long as the token that it raised. A visit of MaxVisit is refused like a bad token: a new one begins.
func (i *Issuer) Renew(s Session, ttl time.Duration) (Minted, error) {
	if s.ID == "" || s.Site == "" || s.Origin == "" || s.Since.IsZero() {
		return Minted{}, errors.New("renew session: a verified session is required")
	}
	if ttl <= 0 || ttl > MaxTTL {
		ttl = MaxTTL
	}
	now := i.o.Now()
	expires := now.Add(ttl)
	if end := s.Since.Add(MaxVisit); expires.After(end) {
		expires = end
	}
	if s.Login.Is() && expires.After(s.Login.Ends) {
		expires = s.Login.Ends
	}
	if !now.Before(s.ExpiresAt) || !now.Before(expires.Truncate(time.Second)) {
		return Minted{}, refused(errors.New("the visit is over"))
	}
	c := claims{
		Issuer: i.o.Name, Audience: s.Site, Origin: s.Origin, Session: s.ID, TokenID: randomID(),
		IssuedAt: now.Unix(), Expires: expires.Unix(), Since: s.Since.Unix(),
	}
	if s.Login.Is() {
		c.Vouched = ByLogin.String()
		c = c.signedIn(s.Login)
	}
	token, err := i.sign(c)
	if err != nil {
		return Minted{}, fmt.Errorf("renew session: %w", err)
	}
	return Minted{Token: token, Session: c.session()}, nil
}

func (i *Issuer) sign(c claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	key, err := i.o.Keys.current()
	if err != nil {
		return "", err
	}
	jws, err := key.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return jws.CompactSerialize()
}
