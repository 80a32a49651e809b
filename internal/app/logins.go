package app

import (
	"context"
	"errors"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/authcode"
	"sallyport/internal/challenge"
	"sallyport/internal/config"
	"sallyport/internal/grant"
	"sallyport/internal/ingress"
	"sallyport/internal/login"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// openLogins makes the desk at which visitors sign in. It outlives changes of the file.
func (g *Gate) openLogins() (err error) {
	g.logins, err = login.NewDesk(login.Options{
		Store: g.store,
		Sealer: func(ctx context.Context, siteName string) (authcode.Sealer, error) {
			return g.keyring.DataKey(ctx, siteName)
		},
		Once: func(ctx context.Context, id string, until time.Time) (bool, error) {
			return g.work.Once(ctx, challenge.UsedLogin, id, until)
		},
		Way:    func(c *site.Connection, p *provider.Pack) authcode.Way { return g.way.login(g, c, p) },
		Secret: g.loginSecret,
		Now:    g.options.Now,
	})
	return err
}

// loginSecret reads a secret credential of a connection.
func (g *Gate) loginSecret(ctx context.Context, c *site.Connection, p *provider.Pack, field string) (secret.Value, error) {
	for _, f := range p.Credentials {
		ref, ok := c.Credentials[f.Name]
		if f.Name != field || !ok {
			continue
		}
		v, err := g.way.reader(f, c.Mode, ref, g.secrets.Read)(ctx)
		if err != nil {
			return v, problem.Wrap(err, problem.CredentialUnavailable, "the credential field %s cannot be read", field).
				WithHint("check that the reference in the connection's credentials names a stored secret")
		}
		return v, nil
	}
	return secret.Value{}, problem.New(problem.CredentialUnavailable, "the connection has no credential %s", field)
}

// counter implements ingress.Logins for the sites of one snapshot.
type counter struct {
	gate  *Gate
	file  *config.File
	visit *visits
}

// at finds the connection that a visitor signs in with.
func (c *counter) at(r ingress.LoginRequest) (login.At, error) {
	s := c.visit.site(r.Site)
	conn := s.Connections[r.Connection]
	if conn == nil || conn.Login == nil {
		return login.At{}, problem.New(problem.NotFound, "nobody signs in with this connection")
	}
	pack, err := c.file.Catalog.Find(conn.Provider)
	if err != nil {
		return login.At{}, err
	}
	return login.At{Site: s, Connection: conn, Pack: pack, Base: r.Base}, nil
}

// allowed counts a step of signing in, and holds what an operator has frozen.
func (c *counter) allowed(ctx context.Context, r ingress.LoginRequest) error {
	if err := c.gate.issuer.AllowLogin(ctx, r.Site, r.Client); err != nil {
		return err
	}
	_, frozen, err := c.gate.freezes.Frozen(r.Site, r.Connection)
	if err != nil {
		return problem.Wrap(err, problem.StoreUnavailable, "the gate cannot tell whether the connection is frozen")
	}
	if frozen {
		return problem.New(problem.Frozen, "signing in with this connection is frozen").WithHint("an operator stopped it; `sallyport thaw` lets it go on")
	}
	return nil
}

// Begin implements ingress.Logins.
func (c *counter) Begin(ctx context.Context, r ingress.LoginRequest, returnTo string) (string, string, error) {
	at, err := c.at(r)
	if err != nil {
		return "", "", err
	}
	if err := c.allowed(ctx, r); err != nil {
		return "", "", c.refused(ctx, r, err)
	}
	location, cookie, err := c.gate.logins.Begin(withLogin(ctx, r), at, returnTo)
	return location, cookie, c.refused(ctx, r, err)
}

// Finish implements ingress.Logins. Nobody is signed in whom the audit log does not know.
func (c *counter) Finish(ctx context.Context, r ingress.LoginRequest) (back, cookie string, lasts time.Duration, err error) {
	at, err := c.at(r)
	if err != nil {
		return "", "", 0, err
	}
	if err := c.allowed(ctx, r); err != nil {
		return "", "", 0, c.refused(ctx, r, err)
	}
	done, err := c.gate.logins.Finish(withLogin(ctx, r), at, r.Attempt, r.Query)
	if err != nil {
		return done.Return, "", 0, c.refused(ctx, r, err)
	}
	ctx = context.WithoutCancel(ctx) // who closes the window now is signed in, or is not: never in between
	if err := c.record(ctx, audit.KindLogin, r, done.Login); err != nil {
		_, gone := c.gate.logins.EndID(ctx, r.Site, done.Login.ID)
		return done.Return, "", 0, errors.Join(err, gone)
	}
	if err := c.endOthers(ctx, r, done.Dropped); err != nil {
		return done.Return, "", 0, err
	}
	return done.Return, done.Cookie, done.Login.Ends.Sub(c.gate.options.Now()), nil
}

// endOthers ends the sign-in that this browser had before, and those that were too many.
func (c *counter) endOthers(ctx context.Context, r ingress.LoginRequest, dropped []string) error {
	if r.Login != "" {
		id, was, err := c.gate.logins.End(ctx, r.Site, r.Login)
		if err != nil {
			return err
		}
		if was {
			dropped = append(dropped, id)
		}
	}
	return c.revoke(ctx, dropped...)
}

func (c *counter) revoke(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		if err := c.gate.verifier.RevokeLogin(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (c *counter) record(ctx context.Context, kind audit.Kind, r ingress.LoginRequest, l session.Login) error {
	err := c.gate.audit.Record(ctx, audit.Event{Kind: kind, Request: r.ID, Site: r.Site, Connection: r.Connection, Caller: "browser",
		Config: c.file.Hash, Client: r.Client, Actor: l.Subject, Visit: l.ID})
	if err != nil {
		return problem.Wrap(err, problem.AuditUnavailable, "the audit log cannot be written, so nobody is signed in or out")
	}
	return nil
}

// refused writes a refusal into the audit log and gives it on.
func (c *counter) refused(ctx context.Context, r ingress.LoginRequest, err error) error {
	if err == nil {
		return nil
	}
	p := problem.From(err)
	if record := c.gate.audit.Record(context.WithoutCancel(ctx), audit.Event{Kind: audit.KindRefused, Request: r.ID, Site: r.Site, Connection: r.Connection,
		Caller: "browser", Code: p.Code, Config: c.file.Hash, Client: r.Client, Name: "login"}); record != nil {
		c.gate.log.Error("a refused sign-in was not recorded", "error", record)
	}
	return err
}

// Mint implements ingress.Logins.
func (c *counter) Mint(ctx context.Context, r ingress.VisitRequest, cookie string) (string, time.Time, bool, error) {
	who, ok, err := c.gate.logins.Find(ctx, r.Site, cookie)
	if err != nil || !ok {
		return "", time.Time{}, false, err
	}
	m, err := c.gate.issuer.Mint(ctx, session.Request{Site: r.Site, Origin: r.Origin, Client: r.Client, TTL: c.visit.site(r.Site).SessionTTL, Login: who})
	return m.Token, m.Session.ExpiresAt, err == nil, err
}

// me is what a page may know of who is signed in.
type me struct {
	SignedIn   bool           `json:"signed_in"`
	Subject    string         `json:"subject,omitempty"`
	Connection string         `json:"connection,omitempty"`
	Claims     map[string]any `json:"claims,omitempty"`
	ExpiresIn  int64          `json:"expires_in,omitempty"`
	Statement  string         `json:"statement,omitempty"` // for the site's backend
}

// Me implements ingress.Logins.
func (c *counter) Me(ctx context.Context, r ingress.VisitRequest) (any, error) {
	s, err := c.gate.verifier.Verify(r.Token, r.Site, r.Origin)
	if err != nil {
		return nil, err
	}
	if !s.Login.Is() {
		return me{}, nil
	}
	v, ok, err := c.gate.logins.Describe(ctx, r.Site, s.Login.ID)
	if err != nil || !ok {
		return me{}, err
	}
	now := c.gate.options.Now()
	statement, err := login.State(c.gate.keys, issuerName, s, v, now)
	if err != nil {
		return nil, err
	}
	return me{SignedIn: true, Subject: v.Subject, Connection: v.Connection, Claims: v.Claims, ExpiresIn: int64(v.Ends.Sub(now) / time.Second), Statement: statement}, nil
}

// End implements ingress.Logins. The order matters: first nothing new can begin, then what
// was begun ends, on every node.
func (c *counter) End(ctx context.Context, r ingress.VisitRequest, cookie string) error {
	ctx = context.WithoutCancel(ctx)
	of := ingress.LoginRequest{ID: r.ID, Site: r.Site, Client: r.Client}
	var ended []session.Login
	if who, ok, err := c.gate.logins.Find(ctx, r.Site, cookie); err != nil {
		return err
	} else if ok {
		ended = append(ended, who)
	}
	if r.Token != "" {
		if s, err := c.gate.verifier.Verify(r.Token, r.Site, r.Origin); err == nil && s.Login.Is() && (len(ended) == 0 || ended[0].ID != s.Login.ID) {
			ended = append(ended, s.Login)
		}
	}
	for _, l := range ended {
		if _, err := c.gate.logins.EndID(ctx, r.Site, l.ID); err != nil {
			return err
		}
		if err := c.revoke(ctx, l.ID); err != nil {
			return err
		}
		if err := c.record(ctx, audit.KindLogout, of, l); err != nil {
			return err
		}
	}
	return nil
}

// Remove implements ingress.Logins.
func (c *counter) Remove(ctx context.Context, r ingress.LoginRequest, signed string, deauthorised bool) (string, error) {
	at, err := c.at(r)
	if err != nil {
		return "", err
	}
	if err := c.gate.issuer.AllowLogin(ctx, r.Site, r.Client); err != nil {
		return "", err
	}
	ctx = context.WithoutCancel(ctx)
	removed, err := c.gate.logins.Remove(ctx, at, signed)
	if err != nil {
		return "", c.refused(ctx, r, err)
	}
	if err := c.revoke(ctx, removed.Ended...); err != nil {
		return "", err
	}
	if _, err := c.gate.grants.Forget(withLogin(ctx, r), r.Site, removed.Subject, func(connection string) (grant.At, bool) {
		conn := at.Site.Connections[connection]
		if conn == nil || conn.Connect == nil {
			return grant.At{}, false
		}
		pack, err := c.file.Catalog.Find(conn.Provider)
		return grant.At{Site: at.Site, Connection: conn, Pack: pack, Base: r.Base}, err == nil
	}); err != nil {
		return "", err
	}
	name := "deletion"
	if deauthorised {
		name = "deauthorized"
	}
	err = c.gate.audit.Record(ctx, audit.Event{Kind: audit.KindLoginRemoved, Request: r.ID, Site: r.Site, Connection: r.Connection, Caller: "provider", Config: c.file.Hash, Name: name})
	if err != nil {
		return "", problem.Wrap(err, problem.AuditUnavailable, "the audit log cannot be written")
	}
	return removed.Code, nil
}

// Removed implements ingress.Logins.
func (c *counter) Removed(ctx context.Context, r ingress.LoginRequest, code string) (time.Time, error) {
	at, err := c.at(r)
	if err != nil {
		return time.Time{}, err
	}
	if err := c.gate.issuer.AllowLogin(ctx, r.Site, r.Client); err != nil {
		return time.Time{}, err
	}
	return c.gate.logins.Confirmed(ctx, at, code)
}

// loginKey is where a request's names travel to the calls that are made for it.
type loginKey struct{}

func withLogin(ctx context.Context, r ingress.LoginRequest) context.Context {
	return context.WithValue(ctx, loginKey{}, r)
}

func loginOf(ctx context.Context) ingress.LoginRequest {
	r, _ := ctx.Value(loginKey{}).(ingress.LoginRequest)
	return r
}

var _ ingress.Logins = (*counter)(nil)
