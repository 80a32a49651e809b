package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/authcode"
	"sallyport/internal/challenge"
	"sallyport/internal/config"
	"sallyport/internal/egress"
	"sallyport/internal/grant"
	"sallyport/internal/ingress"
	"sallyport/internal/oauth"
	"sallyport/internal/outbound"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// openGrants makes the desk at which visitors connect their own accounts. It outlives changes
// of the file, and is closed before the way out.
func (g *Gate) openGrants() (err error) {
	g.grants, err = grant.NewDesk(grant.Options{
		Store: g.store, Pseudonym: g.hashKeys.grantee, Log: g.log, Now: g.options.Now,
		Sealer: func(ctx context.Context, siteName string) (authcode.Sealer, error) {
			return g.keyring.DataKey(ctx, siteName)
		},
		Once: func(ctx context.Context, id string, until time.Time) (bool, error) {
			return g.work.Once(ctx, challenge.UsedLogin, id, until)
		},
		SignedIn: func(ctx context.Context, siteName, id, subject string) (bool, error) {
			v, ok, err := g.logins.Describe(ctx, siteName, id)
			return ok && v.Subject == subject, err
		},
		Way:    func(c *site.Connection, p *provider.Pack) authcode.Way { return g.way.asking(g, c, p, "connect") },
		Secret: g.loginSecret,
		Died:   g.grantDied,
	})
	if err == nil {
		g.way.grants = g.grants
		g.onClose(g.grants.Close)
	}
	return err
}

// grantDied tells the operator that a visitor has to connect again.
func (g *Gate) grantDied(ctx context.Context, k grant.Key) {
	err := g.audit.Record(ctx, audit.Event{Kind: audit.KindGrantEnded, Site: k.Site, Connection: k.Connection, Caller: "gate", Actor: k.Subject})
	if err != nil {
		g.log.Error("the end of a grant was not recorded", "error", err)
	}
	g.bell.Alert(ctx, egress.Alert{Source: "grants", Reason: "reconnect", Site: k.Site, Connection: k.Connection})
}

// grantee is the keyed hash of whose a grant is.
func (h *hashKeys) grantee(siteName, subject string) (string, error) {
	key, err := h.derive("sallyport/v1/grants/" + siteName)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key.Expose())
	mac.Write([]byte(subject))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:24]), nil
}

// grantCredential makes the credential of the calls of one subject.
func (w *wayOut) grantCredential(c *site.Connection, p *provider.Pack, auth provider.Auth) func(subject string) (outbound.Credential, error) {
	at := grant.At{Site: &site.Site{Name: c.Site}, Connection: c, Pack: p}
	place := oauth.Bearer()
	if auth.Name != "" && auth.Value != "" {
		place = outbound.Placement{Kind: outbound.KindHeader, Name: auth.Name, Value: auth.Value}
	}
	return func(subject string) (outbound.Credential, error) { return w.grants.Credential(at, subject, place) }
}

// connecting implements ingress.Connects for the sites of one snapshot.
type connecting struct {
	gate  *Gate
	file  *config.File
	visit *visits
}

func (c *connecting) at(r ingress.ConnectRequest) (grant.At, error) {
	s := c.visit.site(r.Visit.Site)
	conn := s.Connections[r.Connection]
	if conn == nil || conn.Connect == nil {
		return grant.At{}, problem.New(problem.NotFound, "no accounts are connected with this connection")
	}
	pack, err := c.file.Catalog.Find(conn.Provider)
	return grant.At{Site: s, Connection: conn, Pack: pack, Base: r.Base}, err
}

// who is the signed-in visitor of a visit.
func (c *connecting) who(ctx context.Context, r ingress.VisitRequest) (session.Login, error) {
	s, err := c.gate.verifier.Verify(r.Token, r.Site, r.Origin)
	if err != nil {
		return session.Login{}, err
	}
	if s.Login.Is() {
		_, still, err := c.gate.logins.Describe(ctx, r.Site, s.Login.ID)
		if err != nil || still {
			return s.Login, err
		}
	}
	return session.Login{}, problem.New(problem.LoginRequired, "accounts are connected by visitors who are signed in").
		WithHint("send the visitor to login/CONNECTION first; client.js: login")
}

// allowed counts a step, and holds what an operator has frozen.
func (c *connecting) allowed(ctx context.Context, r ingress.ConnectRequest) error {
	if err := c.gate.issuer.AllowLogin(ctx, r.Visit.Site, r.Visit.Client); err != nil {
		return err
	}
	_, frozen, err := c.gate.freezes.Frozen(r.Visit.Site, r.Connection)
	if err != nil {
		return problem.Wrap(err, problem.StoreUnavailable, "the gate cannot tell whether the connection is frozen")
	}
	if frozen {
		return problem.New(problem.Frozen, "connecting accounts with this connection is frozen").WithHint("an operator stopped it; `sallyport thaw` lets it go on")
	}
	return nil
}

// Begin implements ingress.Connects.
func (c *connecting) Begin(ctx context.Context, r ingress.ConnectRequest, returnTo string) (string, string, error) {
	at, who, err := c.ready(ctx, r)
	if err != nil {
		return "", "", err
	}
	location, cookie, err := c.gate.grants.Begin(c.named(ctx, r), at, grant.Who{Subject: who.Subject, Login: who.ID}, returnTo)
	return location, cookie, c.refused(ctx, r, err)
}

func (c *connecting) ready(ctx context.Context, r ingress.ConnectRequest) (grant.At, session.Login, error) {
	who, err := c.who(ctx, r.Visit)
	if err != nil {
		return grant.At{}, who, err
	}
	at, err := c.at(r)
	if err == nil {
		err = c.allowed(ctx, r)
	}
	return at, who, err
}

// Finish implements ingress.Connects. No account is connected that the audit log does not know.
func (c *connecting) Finish(ctx context.Context, r ingress.ConnectRequest, attempt, query string) (string, error) {
	at, err := c.at(r)
	if err == nil {
		err = c.allowed(ctx, r)
	}
	if err != nil {
		return "", c.refused(ctx, r, err)
	}
	back, who, err := c.gate.grants.Finish(c.named(ctx, r), at, attempt, query)
	if err != nil {
		return back, c.refused(ctx, r, err)
	}
	ctx = context.WithoutCancel(ctx)
	if err := c.record(ctx, audit.KindConnected, r, who.Subject, ""); err != nil {
		if _, _, gone := c.gate.grants.Disconnect(ctx, at, who.Subject); gone != nil {
			c.gate.log.Error("a grant that was not recorded was not removed", "error", gone)
		}
		return back, err
	}
	return back, nil
}

// connectedAccount is what a page may know of an account: nothing that the provider said of it.
type connectedAccount struct {
	Connection string   `json:"connection"`
	Status     string   `json:"status"` // connected, reconnect, none
	Scopes     []string `json:"scopes,omitempty"`
	Since      string   `json:"since,omitempty"`
}

// List implements ingress.Connects.
func (c *connecting) List(ctx context.Context, r ingress.ConnectRequest) (any, error) {
	who, err := c.who(ctx, r.Visit)
	if err != nil {
		return nil, err
	}
	have, err := c.gate.grants.List(ctx, r.Visit.Site, who.Subject)
	if err != nil {
		return nil, err
	}
	out := []connectedAccount{}
	for _, name := range c.visit.site(r.Visit.Site).ConnectNames() {
		one := connectedAccount{Connection: name, Status: "none"}
		for _, a := range have {
			if a.Connection != name {
				continue
			}
			one.Status, one.Scopes, one.Since = "connected", a.Scopes, a.Begun.UTC().Format(time.RFC3339)
			if a.Ended {
				one.Status = "reconnect"
			}
		}
		out = append(out, one)
	}
	return map[string]any{"connections": out}, nil
}

// Disconnect implements ingress.Connects.
func (c *connecting) Disconnect(ctx context.Context, r ingress.ConnectRequest) (any, error) {
	at, who, err := c.ready(ctx, r)
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	was, revoked, err := c.gate.grants.Disconnect(c.named(ctx, r), at, who.Subject)
	if err != nil {
		return nil, err
	}
	name := "deleted"
	if revoked {
		name = "revoked"
	}
	if was {
		if err := c.record(ctx, audit.KindDisconnected, r, who.Subject, name); err != nil {
			return nil, err
		}
	}
	return map[string]bool{"was_connected": was, "revoked": revoked}, nil
}

func (c *connecting) named(ctx context.Context, r ingress.ConnectRequest) context.Context {
	return withLogin(ctx, ingress.LoginRequest{ID: r.Visit.ID, Site: r.Visit.Site, Connection: r.Connection, Client: r.Visit.Client})
}

func (c *connecting) record(ctx context.Context, kind audit.Kind, r ingress.ConnectRequest, subject, name string) error {
	hash, err := c.gate.hashKeys.grantee(r.Visit.Site, subject)
	if err != nil {
		return err
	}
	err = c.gate.audit.Record(ctx, audit.Event{Kind: kind, Request: r.Visit.ID, Site: r.Visit.Site, Connection: r.Connection, Caller: "browser",
		Config: c.file.Hash, Client: r.Visit.Client, Actor: hash, Name: name})
	if err != nil {
		return problem.Wrap(err, problem.AuditUnavailable, "the audit log cannot be written, so no account is connected or disconnected")
	}
	return nil
}

// refused writes a refusal into the audit log and gives it on.
func (c *connecting) refused(ctx context.Context, r ingress.ConnectRequest, err error) error {
	if err == nil {
		return nil
	}
	p := problem.From(err)
	if record := c.gate.audit.Record(context.WithoutCancel(ctx), audit.Event{Kind: audit.KindRefused, Request: r.Visit.ID, Site: r.Visit.Site, Connection: r.Connection,
		Caller: "browser", Code: p.Code, Config: c.file.Hash, Client: r.Visit.Client, Name: "connect"}); record != nil {
		c.gate.log.Error("a refused connect was not recorded", "error", record)
	}
	return err
}

var _ ingress.Connects = (*connecting)(nil)
