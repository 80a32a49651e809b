package grant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/authcode"
	"sallyport/internal/login"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/site"
)

// Options are what a Desk needs; all are required.
type Options struct {
	Store Store
	// Sealer is the site's data key.
	Sealer func(ctx context.Context, site string) (authcode.Sealer, error)
	// Pseudonym is a keyed hash of a subject of a site.
	Pseudonym func(site, subject string) (string, error)
	// Once marks an id as used until then, and says whether this was the first time.
	Once func(ctx context.Context, id string, until time.Time) (bool, error)
	// SignedIn reports whether the subject's sign-in of that id is still there.
	SignedIn func(ctx context.Context, site, id, subject string) (bool, error)
	// Way reaches the provider's servers as the connection says.
	Way func(c *site.Connection, p *provider.Pack) authcode.Way
	// Secret reads a secret credential of a connection.
	Secret func(ctx context.Context, c *site.Connection, p *provider.Pack, field string) (secret.Value, error)
	// Died is told once of each grant that the provider ended; it may be told by any node.
	Died func(ctx context.Context, k Key)
	Log  *slog.Logger
	Now  func() time.Time
}

// Desk connects accounts and keeps their tokens. It is safe for concurrent use, and outlives
// changes of the file.
type Desk struct {
	o    Options
	work sync.WaitGroup

	mu      sync.Mutex
	issuers map[string]*authcode.Issuer
	flights map[Key]*flight
	pauses  map[Key]pause
	unsaved map[Key]unsaved
}

// The bounds of what is remembered between calls.
const (
	maxIssuers = 1000
	maxPauses  = 4096
	maxUnsaved = 1024
)

// NewDesk checks the options. Close ends it.
func NewDesk(o Options) (*Desk, error) {
	if o.Store == nil || o.Sealer == nil || o.Pseudonym == nil || o.Once == nil || o.SignedIn == nil || o.Way == nil || o.Secret == nil || o.Died == nil || o.Log == nil || o.Now == nil {
		return nil, errors.New("make connect desk: every option is required")
	}
	return &Desk{o: o, issuers: map[string]*authcode.Issuer{}, flights: map[Key]*flight{}, pauses: map[Key]pause{}, unsaved: map[Key]unsaved{}}, nil
}

// Close waits until the renewals that are under way are stored.
func (d *Desk) Close() error {
	d.work.Wait()
	return nil
}

// At is a connection of a site that has Connect, and the gate's own address as the visitor's
// browser knows it (empty where no browser is concerned).
type At struct {
	Site       *site.Site
	Connection *site.Connection
	Pack       *provider.Pack
	Base       string // https://api.shop.example
}

func (a At) purpose() string { return "connect/" + a.Site.Name + "/" + a.Connection.Name }

// Callback is the redirect address, as registered at the provider.
func (a At) Callback() string { return a.Base + "/connect/" + a.Connection.Name + "/callback" }

func (a At) facts() *provider.Grant { return a.Pack.Grant }

func (a At) clientID() string { return a.Connection.Account[a.facts().ClientID] }

// Who is who connects: a subject of the site, by a sign-in.
type Who struct {
	Subject string
	Login   string // id of the sign-in
}

func (w Who) String() string { return w.Login + " " + w.Subject }

func parseWho(s string) (Who, bool) {
	id, subject, ok := strings.Cut(s, " ")
	return Who{Subject: subject, Login: id}, ok && id != "" && subject != ""
}

// Begin makes an attempt: where the visitor is sent to, and the cookie that binds the attempt
// to the browser and to who connects.
func (d *Desk) Begin(ctx context.Context, a At, who Who, returnTo string) (location, cookie string, err error) {
	back, err := login.ReturnAddress(a.Site, returnTo)
	if err != nil {
		return "", "", err
	}
	server, _, err := d.server(ctx, a)
	if err != nil {
		return "", "", upstream(err, "the provider cannot be reached")
	}
	params := url.Values{}
	for name, v := range a.facts().Params {
		params.Set(name, v)
	}
	location, attempt, err := authcode.Begin(server, a.clientID(), authcode.Request{
		For: a.purpose(), Redirect: a.Callback(), Return: back, Scopes: a.scopes(), Params: params, Who: who.String()}, d.o.Now())
	if err != nil {
		return "", "", upstream(err, "the provider's address cannot be used")
	}
	sealer, err := d.o.Sealer(ctx, a.Site.Name)
	if err != nil {
		return "", "", fmt.Errorf("begin to connect: %w", err)
	}
	if cookie, err = attempt.Seal(sealer); err != nil {
		return "", "", fmt.Errorf("begin to connect: %w", err)
	}
	return location, cookie, nil
}

func (a At) scopes() []string {
	out := slices.Clone(a.facts().Scopes)
	for _, s := range a.Connection.Connect.Scopes {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Finish takes a visitor back: cookie is that of Begin, rawQuery the callback's. back is where
// the visitor may be sent to, as soon as that is known, also beside an error. Errors are
// *problem.Error: connect_state, connect_refused, connect_upstream, and those of the gate's
// own means.
func (d *Desk) Finish(ctx context.Context, a At, cookie, rawQuery string) (back string, who Who, err error) {
	sealer, err := d.o.Sealer(ctx, a.Site.Name)
	if err != nil {
		return "", who, fmt.Errorf("connect: %w", err)
	}
	answer, err := authcode.ReadAnswer(rawQuery)
	if err != nil {
		return "", who, notBegun(err)
	}
	attempt, err := authcode.OpenAttempt(sealer, a.purpose(), cookie, d.o.Now())
	if err != nil {
		return "", who, notBegun(err)
	}
	who, ok := parseWho(attempt.Who)
	if !ok || attempt.Redirect != a.Callback() {
		return "", who, notBegun(errors.New("the gate was called by another name, or it is not known who began"))
	}
	server, issuer, err := d.server(ctx, a)
	if err != nil {
		return attempt.Return, who, upstream(err, "the provider cannot be reached")
	}
	code, reason := attempt.Accept(answer, server)
	if reason != "" {
		return attempt.Return, who, refusal(reason)
	}
	if err := d.counts(ctx, a, attempt, who); err != nil {
		return attempt.Return, who, err
	}
	return attempt.Return, who, d.exchange(ctx, a, exchanging{server, issuer, attempt, who}, code)
}

// counts holds an attempt against what was finished before, and against who is signed in now.
func (d *Desk) counts(ctx context.Context, a At, attempt authcode.Attempt, who Who) error {
	first, err := d.o.Once(ctx, a.purpose()+"\x00"+attempt.ID(), attempt.Ends().Add(time.Minute))
	if err != nil {
		return err
	}
	if !first {
		return notBegun(errors.New("the attempt was finished before"))
	}
	still, err := d.o.SignedIn(ctx, a.Site.Name, who.Login, who.Subject)
	if err != nil {
		return err
	}
	if !still {
		return notBegun(errors.New("who began it has signed out meanwhile"))
	}
	return nil
}

// exchanging is an attempt that counts.
type exchanging struct {
	server  authcode.Server
	issuer  *authcode.Issuer // nil: the provider has no ID tokens
	attempt authcode.Attempt
	who     Who
}

// exchange turns the code into a grant and stores it.
func (d *Desk) exchange(ctx context.Context, a At, e exchanging, code string) error {
	ctx = context.WithoutCancel(ctx) // who closes the window now has connected, or has not: never in between
	asked := d.o.Now()
	got, err := authcode.Exchange(ctx, d.o.Way(a.Connection, a.Pack), e.server, d.client(a, e.server.Method), e.attempt, code)
	if err != nil {
		return exchangeFault(err)
	}
	if e.issuer != nil {
		if got.ID.Empty() {
			return upstream(errors.New("no id_token came"), "the provider sent no ID token")
		}
		_, keys, err := e.issuer.Server(ctx)
		if err != nil {
			return upstream(err, "the provider cannot be reached")
		}
		if _, err := authcode.IDToken(ctx, got.ID, keys, authcode.Expect{Issuer: e.server.Issuer, ClientID: a.clientID(), Nonce: e.attempt.Nonce, Access: got.Access, Now: d.o.Now()}); err != nil {
			return upstream(err, "the provider's ID token does not count")
		}
	}
	key, err := d.key(a, e.who.Subject)
	if err != nil {
		return err
	}
	sealed, err := d.seal(ctx, key, tokensOf(got, asked, tokens{}))
	if err != nil {
		return err
	}
	if err := d.o.Store.PutGrant(ctx, Stored{Key: key, Sealed: sealed, Begun: asked.Truncate(time.Second)}); err != nil {
		return storeFault(err)
	}
	d.calm(key)
	return nil
}

func (d *Desk) key(a At, subject string) (Key, error) {
	name, err := d.o.Pseudonym(a.Site.Name, subject)
	if err != nil {
		return Key{}, fmt.Errorf("name subject of a grant: %w", err)
	}
	return Key{Site: a.Site.Name, Connection: a.Connection.Name, Subject: name}, nil
}

func (d *Desk) client(a At, m authcode.Method) authcode.Client {
	return authcode.Client{ID: a.clientID(), Method: m, Secret: func(ctx context.Context) (secret.Value, error) {
		return d.o.Secret(ctx, a.Connection, a.Pack, a.facts().ClientSecret)
	}}
}

// server is where the connection's visitors are asked; issuer is nil without ID tokens.
func (d *Desk) server(ctx context.Context, a At) (authcode.Server, *authcode.Issuer, error) {
	f := a.facts()
	if f.Kind != provider.GrantOpenID {
		return authcode.Server{Issuer: f.Authorize, Authorize: f.Authorize, Token: f.Token, Revoke: f.Revoke, Method: authcode.Method(f.Client), NoPKCE: f.NoPKCE}, nil, nil
	}
	i := d.issuer(a)
	s, _, err := i.Server(ctx)
	return s, i, err
}

// issuer is the issuer as this connection reaches it.
func (d *Desk) issuer(a At) *authcode.Issuer {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := a.Connection
	key := strings.Join([]string{c.Site, c.Name, c.Provider, c.Connect.Issuer}, "\x00")
	if u := c.Upstream; u != nil {
		key += "\x00" + u.URL + "\x00" + string(u.CA)
	}
	i, ok := d.issuers[key]
	if !ok {
		if len(d.issuers) >= maxIssuers {
			clear(d.issuers)
		}
		i = authcode.NewIssuer(c.Connect.Issuer, d.o.Way(c, a.Pack), d.o.Now)
		d.issuers[key] = i
	}
	return i
}

func purpose(k Key) string {
	return fmt.Sprintf("grant/%q/%q", k.Connection, k.Subject)
}

func (d *Desk) seal(ctx context.Context, k Key, t tokens) ([]byte, error) {
	plain, err := t.encode()
	if err != nil {
		return nil, fmt.Errorf("encode tokens: %w", err)
	}
	defer clear(plain)
	sealer, err := d.o.Sealer(ctx, k.Site)
	if err != nil {
		return nil, fmt.Errorf("seal tokens: %w", err)
	}
	return sealer.Seal(plain, purpose(k))
}

func (d *Desk) open(ctx context.Context, s Stored) (tokens, error) {
	sealer, err := d.o.Sealer(ctx, s.Site)
	if err != nil {
		return tokens{}, fmt.Errorf("open tokens: %w", err)
	}
	plain, err := sealer.Open(s.Sealed, purpose(s.Key))
	if err != nil {
		return tokens{}, fmt.Errorf("open tokens: %w", err)
	}
	defer clear(plain)
	return decode(plain)
}
