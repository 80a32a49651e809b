package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/config"
	"sallyport/internal/ingress"
	"sallyport/internal/openid"
	"sallyport/internal/problem"
	"sallyport/internal/ratelimit"
	"sallyport/internal/receipt"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// openIDs builds the OpenID provider of each site that has one. The first such site makes
// the signing keys.
func (g *Gate) openIDs(c *counter) (func(siteName string) ingress.OpenID, error) {
	made, file := map[string]ingress.OpenID{}, c.file
	for _, s := range file.Sites {
		if s.OpenID == nil {
			continue
		}
		if err := g.openOpenIDKeys(); err != nil {
			return nil, err
		}
		p, err := openid.New(openid.Options{
			Site: s, Issuer: baseOf(file, s), Secrets: g.secrets, Keys: g.openIDKeys.Load(), SignIns: signIns{c}, Once: once{g.store},
			Guesses: guesses{g.limits, g.options.Now, s.Name}, Done: g.openIDEvent(file.Hash), Now: g.options.Now, Log: g.log,
			Sealer: func(ctx context.Context) (openid.Sealer, error) { return g.keyring.DataKey(ctx, s.Name) },
		})
		if err != nil {
			return nil, err
		}
		made[s.Name] = p
	}
	return func(name string) ingress.OpenID { return made[name] }, nil
}

// openOpenIDKeys makes or reads the keys that sign ID tokens, once.
func (g *Gate) openOpenIDKeys() error {
	if g.openIDKeys.Load() != nil {
		return nil
	}
	sealer, err := g.keyring.DataKey(context.Background(), "")
	if err != nil {
		return err
	}
	keys, err := openid.OpenKeys(context.Background(), openid.KeysOptions{Store: g.store, Sealer: sealer, Now: g.options.Now, Log: g.log})
	if err != nil {
		return err
	}
	g.openIDKeys.Store(keys)
	return nil
}

// turnOpenIDKeys keeps the keys to their timetable, from when there are any.
func (g *Gate) turnOpenIDKeys(ctx context.Context) error {
	every := time.NewTicker(time.Minute)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
		if keys := g.openIDKeys.Load(); keys != nil {
			if err := keys.Refresh(ctx); err != nil && ctx.Err() == nil {
				g.log.Error("the keys of the OpenID providers were not refreshed; those at hand go on", "error", err)
			}
		}
	}
}

// baseOf is the address of a site's gate as its visitors know it. Behind a proxy that is the
// proxy's, on the usual port.
func baseOf(file *config.File, s *site.Site) string {
	host := s.ServedAt[0]
	if file.Listen.Behind != nil {
		return "https://" + host
	}
	scheme, usual := "https", "443"
	if file.Listen.TLS.Kind == config.TLSOff {
		scheme, usual = "http", "80"
	}
	if _, port, err := net.SplitHostPort(file.Listen.Public); err == nil && port != usual {
		host = net.JoinHostPort(host, port)
	}
	return scheme + "://" + host
}

// openIDEvent writes what happened at a provider into the audit log.
func (g *Gate) openIDEvent(hash string) func(context.Context, openid.Event) {
	kinds := map[string]audit.Kind{"code": audit.KindOpenIDCode, "token": audit.KindOpenIDToken, "logout": audit.KindLogout, "refused": audit.KindRefused}
	return func(ctx context.Context, e openid.Event) {
		ev := audit.Event{Kind: kinds[e.What], Site: e.Site, Name: "openid:" + e.Client, Config: hash}
		if e.What == "refused" {
			ev.Code = problem.Unauthenticated
		}
		if err := g.audit.Record(context.WithoutCancel(ctx), ev); err != nil {
			g.log.Error("audit event was not written", "kind", string(ev.Kind), "error", err)
		}
	}
}

// once remembers used codes beside claimed receipts: both are used once, on all nodes.
type once struct{ store receipt.Store }

// Use implements openid.Once.
func (o once) Use(ctx context.Context, siteName, id string, until time.Time) (bool, error) {
	return o.store.ClaimReceipt(ctx, receipt.Claim{Site: siteName, ID: id, Until: until.Add(time.Hour)})
}

// signIns asks login who is signed in.
type signIns struct{ counter *counter }

// Current implements openid.SignIns.
func (s signIns) Current(ctx context.Context, siteName string, h http.Header) (openid.SignIn, error) {
	c, err := (&http.Request{Header: h}).Cookie(ingress.LoginCookie)
	if err != nil {
		return openid.SignIn{}, openid.ErrNobody
	}
	found, ok, err := s.counter.gate.logins.Find(ctx, siteName, c.Value)
	switch {
	case err != nil:
		return openid.SignIn{}, err
	case !ok:
		return openid.SignIn{}, openid.ErrNobody
	}
	return s.Find(ctx, siteName, found.ID)
}

// Find implements openid.SignIns.
func (s signIns) Find(ctx context.Context, siteName, id string) (openid.SignIn, error) {
	v, ok, err := s.counter.gate.logins.Describe(ctx, siteName, id)
	switch {
	case err != nil:
		return openid.SignIn{}, err
	case !ok:
		return openid.SignIn{}, openid.ErrNobody
	}
	claims := v.Claims
	if claims["email"] != nil { // login passes on no other
		claims["email_verified"] = true
	}
	return openid.SignIn{ID: id, Subject: v.Subject, At: v.Begun, Claims: claims}, nil
}

// End implements openid.SignIns: first nothing new can begin, then what was begun ends.
func (s signIns) End(ctx context.Context, siteName, id string) error {
	ctx = context.WithoutCancel(ctx)
	if _, err := s.counter.gate.logins.EndID(ctx, siteName, id); err != nil {
		return err
	}
	return s.counter.revoke(ctx, id)
}

// Address implements openid.SignIns.
func (s signIns) Address(connection, then string) string {
	return fmt.Sprintf("/login/%s?%s", connection, url.Values{"return_to": {then}}.Encode())
}

// guesses counts wrong client secrets like unknown site keys: 30 a minute from one network.
type guesses struct {
	limiter session.Limiter
	now     func() time.Time
	site    string
}

func (g guesses) check(client netip.Addr) ratelimit.Check {
	return g.limiter.Check(ratelimit.AtOperation, ratelimit.Rule{Calls: 30, Window: time.Minute, Per: ratelimit.PerPrefix},
		&ratelimit.Subject{Site: g.site, Operation: "openid.failure", Client: client})
}

// Check implements openid.Guesses.
func (g guesses) Check(ctx context.Context, client netip.Addr) error {
	d, err := g.limiter.Peek(ctx, g.now(), g.check(client))
	if err == nil && !d.Allowed {
		err = problem.New(problem.RateLimited, "too many wrong client secrets came from this network")
	}
	return err
}

// Count implements openid.Guesses.
func (g guesses) Count(ctx context.Context, client netip.Addr) error {
	_, err := g.limiter.AllowAll(ctx, g.now(), []ratelimit.Check{g.check(client)})
	return err
}
