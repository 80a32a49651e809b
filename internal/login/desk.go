package login

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"sallyport/internal/authcode"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// Options are what a Desk needs; all are required.
type Options struct {
	Store Store
	// Sealer is the site's data key.
	Sealer func(ctx context.Context, site string) (authcode.Sealer, error)
	// Once marks an id as used until then, and says whether this was the first time.
	Once func(ctx context.Context, id string, until time.Time) (bool, error)
	// Way reaches the provider's servers as the connection says.
	Way func(c *site.Connection, p *provider.Pack) authcode.Way
	// Secret reads a secret credential of a connection.
	Secret func(ctx context.Context, c *site.Connection, p *provider.Pack, field string) (secret.Value, error)
	Now    func() time.Time
}

// Desk is where visitors sign in. It is safe for concurrent use, and outlives changes of the
// file.
type Desk struct {
	o Options

	mu      sync.Mutex
	issuers map[string]*authcode.Issuer
	keys    map[string][]byte // of pseudonyms, by site
}

// maxIssuers bounds what is remembered of issuers: a file that changes often makes new ones.
const maxIssuers = 1000

// NewDesk checks the options.
func NewDesk(o Options) (*Desk, error) {
	if o.Store == nil || o.Sealer == nil || o.Once == nil || o.Way == nil || o.Secret == nil || o.Now == nil {
		return nil, errors.New("make login desk: every option is required")
	}
	return &Desk{o: o, issuers: map[string]*authcode.Issuer{}, keys: map[string][]byte{}}, nil
}

// At is where a visitor signs in: a connection of a site that has Login, and the gate's own
// address as the visitor's browser knows it.
type At struct {
	Site       *site.Site
	Connection *site.Connection
	Pack       *provider.Pack
	Base       string // https://api.shop.example
}

func (a At) purpose() string { return "login/" + a.Site.Name + "/" + a.Connection.Name }

// Callback is the redirect address, as registered at the provider.
func (a At) Callback() string { return a.Base + "/login/" + a.Connection.Name + "/callback" }

func (a At) clientID() string { return a.Connection.Account[a.Pack.Login.ClientID] }

// Begin makes an attempt: where the visitor is sent to, and the cookie that binds the
// attempt to the browser.
func (d *Desk) Begin(ctx context.Context, a At, returnTo string) (location, cookie string, err error) {
	back, err := backTo(a, returnTo)
	if err != nil {
		return "", "", err
	}
	way, err := d.method(a)
	if err != nil {
		return "", "", err
	}
	server, err := way.server(ctx)
	if err != nil {
		return "", "", upstream(err, "the identity provider cannot be reached")
	}
	location, attempt, err := authcode.Begin(server, a.clientID(), authcode.Request{
		For: a.purpose(), Redirect: a.Callback(), Return: back, Scopes: a.scopes(), Params: a.params()}, d.o.Now())
	if err != nil {
		return "", "", upstream(err, "the identity provider's address cannot be used")
	}
	sealer, err := d.o.Sealer(ctx, a.Site.Name)
	if err != nil {
		return "", "", fmt.Errorf("begin login: %w", err)
	}
	if cookie, err = attempt.Seal(sealer); err != nil {
		return "", "", fmt.Errorf("begin login: %w", err)
	}
	return location, cookie, nil
}

// Done is how an attempt ended. Return is set as soon as it is known where the visitor may
// be sent back to, also beside an error.
type Done struct {
	Return string
	// Cookie is the secret of the sign-in, for the browser's cookie alone.
	Cookie string
	Login  session.Login
	// Dropped are older sign-ins of the same person that ended for this one.
	Dropped []string
}

// Finish takes a visitor back: cookie is that of Begin, rawQuery the callback's. Errors are
// *problem.Error: login_state, login_refused, login_upstream, and those of the gate's own
// means.
func (d *Desk) Finish(ctx context.Context, a At, cookie, rawQuery string) (Done, error) {
	sealer, err := d.o.Sealer(ctx, a.Site.Name)
	if err != nil {
		return Done{}, fmt.Errorf("finish login: %w", err)
	}
	answer, err := authcode.ReadAnswer(rawQuery)
	if err != nil {
		return Done{}, notBegun(err)
	}
	attempt, err := authcode.OpenAttempt(sealer, a.purpose(), cookie, d.o.Now())
	if err != nil {
		return Done{}, notBegun(err)
	}
	if attempt.Redirect != a.Callback() {
		return Done{}, notBegun(errors.New("the gate was called by another name"))
	}
	out := Done{Return: attempt.Return}
	way, err := d.method(a)
	if err != nil {
		return out, err
	}
	server, err := way.server(ctx)
	if err != nil {
		return out, upstream(err, "the identity provider cannot be reached")
	}
	code, reason := attempt.Accept(answer, server)
	if reason != "" {
		return out, refusal(reason)
	}
	first, err := d.o.Once(ctx, a.purpose()+"\x00"+attempt.ID(), attempt.Ends().Add(time.Minute))
	if err != nil {
		return out, err
	}
	if !first {
		return out, notBegun(errors.New("the attempt was finished before"))
	}
	person, err := way.person(ctx, server, attempt, code)
	if err != nil {
		return out, err
	}
	return d.keep(ctx, a, out, person, sealer)
}

// Person is who signed in, as the provider says.
type person struct {
	subject string
	claims  map[string]any
}

func notBegun(err error) error {
	return problem.Wrap(err, problem.LoginState, "this browser did not begin that sign-in, or it took longer than ten minutes").
		WithHint("begin again at login/CONNECTION; cookies of the gate's name must be allowed")
}

func refusal(reason authcode.Reason) error {
	err := fmt.Errorf("answer refused: %s", reason)
	switch reason {
	case authcode.Declined:
		return problem.Wrap(err, problem.LoginRefused, "the identity provider did not sign the visitor in").
			WithHint("the visitor may have declined; begin again at login/CONNECTION")
	case authcode.WrongIssuer:
		return problem.Wrap(err, problem.LoginUpstream, "the answer is not from the identity provider that was asked").
			WithHint("begin again at login/CONNECTION; if it happens again, compare login.issuer with the issuer's own metadata")
	case authcode.NoCode:
		return problem.Wrap(err, problem.LoginUpstream, "the identity provider's answer has neither a code nor an error")
	}
	return notBegun(err)
}

// upstream says that the provider's side does not work; a problem of the way out keeps its
// own code, and the detail that strangers may see stays ours.
func upstream(err error, detail string) error {
	return problem.Wrap(err, problem.LoginUpstream, "%s", detail).
		WithHint("try again in a moment; the gate's log says what the provider answered")
}

func (a At) scopes() []string {
	out := append([]string{}, a.Pack.Login.Scopes...)
	seen := map[string]bool{}
	for _, s := range out {
		seen[s] = true
	}
	for _, name := range a.Connection.Login.Claims {
		for _, s := range a.Pack.Login.Claims[name].Scopes {
			if !seen[s] {
				out, seen[s] = append(out, s), true
			}
		}
	}
	return out
}

// method is the way of signing in that the catalog names.
func (d *Desk) method(a At) (method, error) {
	switch a.Pack.Login.Kind {
	case "oidc":
		return openID{d, a}, nil
	case "profile":
		return profile{d, a}, nil
	}
	return nil, fmt.Errorf("provider %s: login kind %q is not known", a.Pack.ID, a.Pack.Login.Kind)
}

// method is one way of signing in.
type method interface {
	server(ctx context.Context) (authcode.Server, error)
	// person exchanges the code and says who it is. Errors are *problem.Error.
	person(ctx context.Context, s authcode.Server, at authcode.Attempt, code string) (person, error)
}

func (d *Desk) client(a At, m authcode.Method) authcode.Client {
	return authcode.Client{ID: a.clientID(), Method: m, Secret: func(ctx context.Context) (secret.Value, error) {
		return d.o.Secret(ctx, a.Connection, a.Pack, a.Pack.Login.ClientSecret)
	}}
}

// declared are the claims that the site named, of all that the provider says. A claim whose
// verified member is not true is left out.
func (a At) declared(said map[string]any) map[string]any {
	out := map[string]any{}
	for _, name := range a.Connection.Login.Claims {
		c := a.Pack.Login.Claims[name]
		from := c.From
		if from == "" {
			from = name
		}
		v, ok := said[from].(string)
		if !ok || v == "" || len(v) > 1000 || c.Verified != "" && said[c.Verified] != true {
			continue
		}
		out[name] = v
	}
	return out
}

// keep makes the sign-in of a person and stores it.
func (d *Desk) keep(ctx context.Context, a At, out Done, who person, sealer authcode.Sealer) (Done, error) {
	subject, err := d.subject(ctx, a, who.subject, sealer)
	if err != nil {
		return out, err
	}
	var token [32]byte
	rand.Read(token[:]) // never fails
	now := d.o.Now().Truncate(time.Second)
	cookie := base64.RawURLEncoding.EncodeToString(token[:])
	l := Stored{ID: idOf(cookie), Site: a.Site.Name, Connection: a.Connection.Name, Subject: subject, Begun: now, Ends: now.Add(a.Connection.Login.Lasts)}
	plain, err := json.Marshal(who.claims)
	if err != nil {
		return out, fmt.Errorf("keep login: %w", err)
	}
	if l.Sealed, err = sealer.Seal(plain, claimsPurpose(l.ID)); err != nil {
		return out, fmt.Errorf("keep login: %w", err)
	}
	if out.Dropped, err = d.o.Store.CreateLogin(ctx, l); err != nil {
		return out, storeFault(err)
	}
	out.Cookie, out.Login = cookie, session.Login{ID: l.ID, Subject: subject, Ends: l.Ends}
	return out, nil
}

func storeFault(err error) error {
	return problem.Wrap(err, problem.StoreUnavailable, "the gate cannot look up who is signed in")
}

func claimsPurpose(id string) string { return "login-claims/" + id }

// idOf is the public name of a sign-in: nobody makes the cookie from it.
func idOf(cookie string) string {
	sum := sha256.Sum256([]byte("sallyport login\x00" + cookie))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

// subject is the pseudonym of a person at a site: a keyed hash of issuer and subject, each
// after its length, and of nothing else.
func (d *Desk) subject(ctx context.Context, a At, sub string, sealer authcode.Sealer) (string, error) {
	key, err := d.subjectKey(ctx, a.Site.Name, sealer)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{a.Connection.Login.Issuer, sub} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:24]), nil
}

func (d *Desk) subjectKey(ctx context.Context, siteName string, sealer authcode.Sealer) ([]byte, error) {
	d.mu.Lock()
	key, ok := d.keys[siteName]
	d.mu.Unlock()
	if ok {
		return key, nil
	}
	fresh := make([]byte, 32)
	rand.Read(fresh) // never fails
	const purpose = "login-subject-key"
	sealed, err := sealer.Seal(fresh, purpose)
	if err != nil {
		return nil, fmt.Errorf("make key of pseudonyms: %w", err)
	}
	if sealed, err = d.o.Store.SubjectKey(ctx, siteName, sealed); err != nil {
		return nil, storeFault(err)
	}
	if key, err = sealer.Open(sealed, purpose); err != nil {
		return nil, fmt.Errorf("open key of pseudonyms: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys[siteName] = key
	return key, nil
}

// Find says who is signed in by a cookie; ok is false where nobody is.
func (d *Desk) Find(ctx context.Context, siteName, cookie string) (l session.Login, ok bool, err error) {
	if len(cookie) != 43 || strings.ContainsAny(cookie, " \t") {
		return l, false, nil
	}
	s, ok, err := d.o.Store.FindLogin(ctx, siteName, idOf(cookie))
	if err != nil {
		return l, false, storeFault(err)
	}
	if !ok || !d.o.Now().Before(s.Ends) {
		return l, false, nil
	}
	return session.Login{ID: s.ID, Subject: s.Subject, Ends: s.Ends}, true, nil
}

// Visitor is who is signed in, for the site.
type Visitor struct {
	Subject     string
	Connection  string
	Claims      map[string]any
	Begun, Ends time.Time
}

// Describe says what the site may know of a sign-in; ok is false where it is over.
func (d *Desk) Describe(ctx context.Context, siteName, id string) (v Visitor, ok bool, err error) {
	s, ok, err := d.o.Store.FindLogin(ctx, siteName, id)
	if err != nil {
		return v, false, storeFault(err)
	}
	if !ok || !d.o.Now().Before(s.Ends) {
		return v, false, nil
	}
	sealer, err := d.o.Sealer(ctx, siteName)
	if err != nil {
		return v, false, err
	}
	plain, err := sealer.Open(s.Sealed, claimsPurpose(s.ID))
	if err != nil {
		return v, false, fmt.Errorf("open claims of a login: %w", err)
	}
	v = Visitor{Subject: s.Subject, Connection: s.Connection, Begun: s.Begun, Ends: s.Ends}
	if err := json.Unmarshal(plain, &v.Claims); err != nil {
		return v, false, fmt.Errorf("read claims of a login: %w", err)
	}
	return v, true, nil
}

// End removes a sign-in, by what its cookie holds, and gives its id, whether it was there or
// not, so that its visits can be ended.
func (d *Desk) End(ctx context.Context, siteName, cookie string) (id string, was bool, err error) {
	id = idOf(cookie)
	was, err = d.EndID(ctx, siteName, id)
	return id, was, err
}

// EndID removes a sign-in by its id.
func (d *Desk) EndID(ctx context.Context, siteName, id string) (was bool, err error) {
	if was, err = d.o.Store.DeleteLogin(ctx, siteName, id); err != nil {
		return false, storeFault(err)
	}
	return was, nil
}
