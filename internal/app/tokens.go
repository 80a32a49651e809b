package app

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/oauth"
	"sallyport/internal/outbound"
	"sallyport/internal/provider"
	"sallyport/internal/secret/seal"
	"sallyport/internal/site"
)

// tokensKept is how long a token that ended stays in the store: its row counts failures.
const tokensKept = 24 * time.Hour

// openTokens makes the keeper of providers' tokens. It is closed before the way out.
func (g *Gate) openTokens() {
	g.way.now = g.options.Now
	g.way.tokens = oauth.NewKeeper(oauth.Options{Store: g.store, Sealer: sealed{g.keyring}, Log: g.log, Now: g.options.Now,
		Alert: func(ctx context.Context, a oauth.Alert) {
			g.bell.Alert(ctx, egress.Alert{Source: "tokens", Reason: a.Reason, Site: a.Site, Connection: a.Connection})
		}})
	g.onClose(g.way.tokens.Close)
}

// sealed seals with the data key of a site.
type sealed struct{ keyring *seal.Keyring }

// Seal implements oauth.Sealer.
func (s sealed) Seal(ctx context.Context, site, purpose string, plaintext []byte) ([]byte, error) {
	k, err := s.keyring.DataKey(ctx, site)
	if err != nil {
		return nil, err
	}
	return k.Seal(plaintext, purpose)
}

// Open implements oauth.Sealer.
func (s sealed) Open(ctx context.Context, site, purpose string, box []byte) ([]byte, error) {
	k, err := s.keyring.DataKey(ctx, site)
	if err != nil {
		return nil, err
	}
	return k.Open(box, purpose)
}

// The kinds of auth that need a token first.
const (
	kindClientCredentials = "oauth_client_credentials"
	kindJWTBearer         = "oauth_jwt_bearer"
	kindSigned            = "jwt_rs256"
)

func needsToken(kind string) bool {
	return slices.Contains([]string{kindClientCredentials, kindJWTBearer, kindSigned}, kind)
}

// tokenUse is an auth of a connection that needs a token.
type tokenUse struct {
	connection *site.Connection
	pack       *provider.Pack
	name       string // of the auth
	auth       provider.Auth
	fields     map[string]outbound.Field
}

func (u tokenUse) text(template string) oauth.Text {
	return oauth.Text{Template: template, Fields: u.fields}
}

// place is where the token goes, with what stands beside it.
func (u tokenUse) place() outbound.Placement {
	p := oauth.Bearer()
	if u.auth.Name != "" {
		p.Name = u.auth.Name
	}
	if u.auth.Value != "" {
		p.Value = u.auth.Value
	}
	for _, also := range u.auth.Also {
		p.Also = append(p.Also, placement(also))
	}
	return p
}

// tokenCredential makes the credential of an auth that needs a token first.
func (w *wayOut) tokenCredential(u tokenUse) (outbound.Credential, error) {
	if u.auth.Kind == kindSigned {
		return w.signedCredential(u)
	}
	source, url, err := w.tokenSource(u)
	if err != nil {
		return nil, err
	}
	// What the file says of the account stands in the name, so that two nodes with two files
	// never take each other's tokens.
	c := u.connection
	account := oauth.Digest([]byte(c.Mode), []byte(url), []byte(u.auth.TokenScope), []byte(accountOf(u)))
	key := oauth.Key{Site: c.Site, Connection: c.Name, Name: u.name + "/" + hex.EncodeToString(account[:8])}
	return w.tokens.Credential(key, source, u.place(), u.fields)
}

// accountOf are the identifiers that stand in the file.
func accountOf(u tokenUse) string {
	var out string
	for _, f := range u.auth.Fields() {
		out += fmt.Sprintf("%q=%q ", f, u.connection.Account[f])
	}
	return out
}

// tokenSource makes what asks for tokens. Its address is the one that the provider knows: an
// upstream that stands in for the provider is asked at the same path.
func (w *wayOut) tokenSource(u tokenUse) (source oauth.Source, url string, err error) {
	host, err := w.hostWith(u.connection, u.pack, u.auth.TokenServer, outbound.HostConfig{
		Retry: oauth.EndpointRetry(), Timeouts: oauth.EndpointTimeouts(), Limits: oauth.EndpointLimits()})
	if err != nil {
		return nil, "", err
	}
	base, ok := u.pack.Servers[u.auth.TokenServer].URL[u.connection.Mode]
	if !ok { // an upstream where the provider has no system of that mode
		base = u.connection.Upstream.URL
	}
	url = base + u.auth.TokenPath
	client := oauth.Client{Host: host, Path: u.auth.TokenPath, URL: url, Style: oauth.ClientStyle(u.auth.TokenClient)}
	if u.auth.Kind == kindJWTBearer {
		client.Style = ""
		return oauth.NewJWTBearer(oauth.Assertion{Client: client, Key: u.text(u.auth.Password), Issuer: u.text(u.auth.User), Scope: u.auth.TokenScope}), url, nil
	}
	client.ID, client.Secret = u.text(u.auth.User), u.text(u.auth.Password)
	source, err = oauth.NewClientCredentials(client, u.auth.TokenScope)
	return source, url, err
}

func (w *wayOut) signedCredential(u tokenUse) (outbound.Credential, error) {
	life, err := time.ParseDuration(u.auth.TokenLife)
	if err != nil {
		return nil, fmt.Errorf("provider %s: token_life: %w", u.pack.ID, err)
	}
	s := oauth.Statement{Key: u.text(u.auth.Password), Life: life, Now: w.now, Claims: map[string]oauth.Text{}}
	for name, template := range u.auth.Claims {
		s.Claims[name] = u.text(template)
	}
	return oauth.NewSigned(s, u.place(), u.fields)
}
