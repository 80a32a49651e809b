// Package openid makes the gate an OpenID provider for each site: a server-rendered site
// signs its visitors in with any OpenID Connect library, which finds everything by
// discovery, while the gate speaks to Google, Facebook or another provider for it.
//
// It guarantees that codes and tokens go only to redirect addresses that the site's file
// names letter for letter, that a code is used once and lives a minute, that a client
// which began with PKCE ends with it, that a request continues only in the browser in
// which it began, and that what a client learns of a person is what login declared: a
// pseudonymous subject and the declared claims. It keeps nothing of its own but signing
// keys; what travels is sealed with the site's data key.
//
// It knows the authorization code flow alone: no implicit flow, no refresh tokens, no
// dynamic registration, no request objects. It does not sign anybody in; login does.
// Parsing and the protocol's checks are those of github.com/zitadel/oidc/v3.
//
// Sources: OpenID Connect Core 1.0, Discovery 1.0, RP-Initiated Logout 1.0; RFC 6749,
// RFC 7636 (PKCE), RFC 9207 (iss), RFC 9700 (best current practice).
package openid

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"

	"sallyport/internal/secret"
	"sallyport/internal/site"
)

// How long things live.
const (
	// requestLife is how long a visitor may take to sign in.
	requestLife = 15 * time.Minute
	// codeLife is how long a code can be exchanged.
	codeLife = time.Minute
	// idTokenLife: the site's library looks at an ID token once, when it gets it.
	idTokenLife = 10 * time.Minute
	// accessLife is how long the userinfo endpoint answers for a token.
	accessLife = 15 * time.Minute
)

// Paths below the issuer, which is the root of the site's gate name.
const (
	Discovery = "/.well-known/openid-configuration"
	Prefix    = "/openid/"

	authorizePath = "openid/authorize"
	continuePath  = "openid/continue"
	tokenPath     = "openid/token"
	userinfoPath  = "openid/userinfo"
	keysPath      = "openid/keys"
	logoutPath    = "openid/logout"

	// Continue is where login sends the browser back to.
	Continue = "/" + continuePath
)

// ErrNobody is what SignIns wraps where nobody is signed in, or not any more.
var ErrNobody = errors.New("nobody is signed in")

// SignIn is a person who is signed in at a site.
type SignIn struct {
	ID      string
	Subject string // pseudonymous, of this site alone
	At      time.Time
	// Claims are those that the site declared, by their OpenID names.
	Claims map[string]any
}

// SignIns knows who is signed in. Methods are safe for concurrent use and wrap ErrNobody.
type SignIns interface {
	// Current is the sign-in of the browser that sent these headers.
	Current(ctx context.Context, siteName string, h http.Header) (SignIn, error)
	// Find is a sign-in by id.
	Find(ctx context.Context, siteName, id string) (SignIn, error)
	// End ends a sign-in; one that is not there is no error.
	End(ctx context.Context, siteName, id string) error
	// Address is the path and query of the gate that signs a visitor in with a connection
	// and then sends the browser to the path and query then.
	Address(connection, then string) string
}

// Once remembers what was used, on all nodes.
type Once interface {
	// Use reports whether id is used for the first time; it is remembered until then.
	Use(ctx context.Context, siteName, id string, until time.Time) (first bool, err error)
}

// Sealer encrypts what travels; purpose is authenticated with it.
type Sealer interface {
	Seal(plaintext []byte, purpose string) ([]byte, error)
	Open(sealed []byte, purpose string) ([]byte, error)
}

// Guesses counts wrong client secrets by the network that they came from.
type Guesses interface {
	// Check refuses with a *problem.Error when too many came from there.
	Check(ctx context.Context, client netip.Addr) error
	// Count takes one.
	Count(ctx context.Context, client netip.Addr) error
}

// Options are what a Provider needs; all are required but Log.
type Options struct {
	Site    *site.Site // with OpenID
	Issuer  string     // https://HOST[:PORT], without a slash at its end
	Secrets secret.Source
	Keys    *Keys
	SignIns SignIns
	Once    Once
	Guesses Guesses
	// Sealer is the site's.
	Sealer func(ctx context.Context) (Sealer, error)
	// Done is told of each end of a request: a code was made, exchanged or refused. It must
	// not block long.
	Done func(ctx context.Context, e Event)
	Now  func() time.Time
	Log  *slog.Logger // nil: nothing is logged
}

// Event is what happened at a provider, for the audit log: never a person's data.
type Event struct {
	Site, Client string
	What         string // code, token, refused, logout
}

// Provider is the OpenID provider of one site. It is immutable and safe for concurrent use.
type Provider struct {
	op.UnimplementedServer
	o       Options
	handler http.Handler
}

// New checks the options and builds the routes.
func New(o Options) (*Provider, error) {
	if o.Site == nil || o.Site.OpenID == nil || o.Issuer == "" || o.Secrets == nil || o.Keys == nil || o.SignIns == nil ||
		o.Once == nil || o.Guesses == nil || o.Sealer == nil || o.Done == nil || o.Now == nil {
		return nil, errors.New("make OpenID provider: every option but Log is required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Provider{o: o}
	p.handler = p.routes()
	return p, nil
}
