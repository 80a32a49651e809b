package openid

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"sallyport/internal/secret"
	"sallyport/internal/site"
)

// client is a client of the file, as the library asks for it.
type client struct {
	name string
	of   *site.OpenIDClient
}

// VerifyAuthRequest implements op.Server: it finds the client.
func (p *Provider) VerifyAuthRequest(_ context.Context, r *op.Request[oidc.AuthRequest]) (*op.ClientRequest[oidc.AuthRequest], error) {
	c, ok := p.o.Site.OpenID.Clients[r.Data.ClientID]
	if !ok {
		return nil, oidc.ErrInvalidRequestRedirectURI().WithDescription("the site has no such client: compare client_id with the clients of its openid")
	}
	return &op.ClientRequest[oidc.AuthRequest]{Request: r, Client: client{r.Data.ClientID, c}}, nil
}

// VerifyClient implements op.Server: a client with a secret must show it, one without one
// must not, so that neither passes for the other.
func (p *Provider) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	from, _ := ctx.Value(clientKey{}).(netip.Addr)
	if err := p.o.Guesses.Check(ctx, from); err != nil {
		return nil, op.NewStatusError(oidc.ErrInvalidClient().WithDescription("too many wrong client secrets came from this network"), 429)
	}
	c, ok := p.o.Site.OpenID.Clients[r.Data.ClientID]
	good, err := p.secretFits(ctx, c, r.Data)
	if err != nil {
		return nil, p.fault(ctx, "read a client's secret", err)
	}
	if ok && good {
		return client{r.Data.ClientID, c}, nil
	}
	if err := p.o.Guesses.Count(ctx, from); err != nil {
		return nil, p.fault(ctx, "count a wrong client secret", err)
	}
	name := ""
	if ok {
		name = r.Data.ClientID
	}
	p.o.Done(ctx, Event{Site: p.o.Site.Name, Client: name, What: "refused"})
	return nil, op.NewStatusError(oidc.ErrInvalidClient().WithDescription("the client is not known or its secret is not right"), 401)
}

// minSecret is what a client's secret has at least, in bytes: a website's server keeps it, so
// that nobody need remember it.
const minSecret = 32

func (p *Provider) secretFits(ctx context.Context, c *site.OpenIDClient, sent *op.ClientCredentials) (bool, error) {
	if c == nil || sent.ClientAssertion != "" {
		return false, nil
	}
	if c.Public() {
		return sent.ClientSecret == "", nil
	}
	want, err := p.o.Secrets.Read(ctx, c.Secret)
	if err != nil {
		return false, err
	}
	if n := want.Len(); n < minSecret {
		return false, fmt.Errorf("the secret of client %s has %d bytes, and needs %d", sent.ClientID, n, minSecret)
	}
	return want.Equal(secret.NewValue([]byte(sent.ClientSecret))), nil
}

// GetID implements op.Client, as do the others.
func (c client) GetID() string { return c.name }

// RedirectURIs are compared letter for letter.
func (c client) RedirectURIs() []string { return c.of.Redirects }

// PostLogoutRedirectURIs are compared letter for letter.
func (c client) PostLogoutRedirectURIs() []string { return c.of.AfterLogout }

// ApplicationType is web: a site's server.
func (c client) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }

// AuthMethod is basic for clients with a secret (which may stand in the body too).
func (c client) AuthMethod() oidc.AuthMethod {
	if c.of.Public() {
		return oidc.AuthMethodNone
	}
	return oidc.AuthMethodBasic
}

// ResponseTypes is code alone.
func (c client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}

// GrantTypes is the code's alone.
func (c client) GrantTypes() []oidc.GrantType { return []oidc.GrantType{oidc.GrantTypeCode} }

// LoginURL is not asked for: Authorize redirects.
func (c client) LoginURL(string) string { return "" }

// AccessTokenType is a token that only the gate reads.
func (c client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeBearer }

// IDTokenLifetime is ten minutes.
func (c client) IDTokenLifetime() time.Duration { return idTokenLife }

// DevMode is off: what http may do is decided where the file is read.
func (c client) DevMode() bool { return false }

// RestrictAdditionalIdTokenScopes adds none.
func (c client) RestrictAdditionalIdTokenScopes() func([]string) []string { return noScopes }

// RestrictAdditionalAccessTokenScopes adds none.
func (c client) RestrictAdditionalAccessTokenScopes() func([]string) []string { return noScopes }

func noScopes([]string) []string { return nil }

// IsScopeAllowed is asked for scopes that OpenID does not define: none.
func (c client) IsScopeAllowed(string) bool { return false }

// IDTokenUserinfoClaimsAssertion: claims stand in the ID token too, as plug-ins expect.
func (c client) IDTokenUserinfoClaimsAssertion() bool { return true }

// ClockSkew is none: the gate's own clock makes and reads everything.
func (c client) ClockSkew() time.Duration { return 0 }

// claimNames lists what stands in ID tokens and userinfo.
func claimNames(declared []string) []string {
	return slices.Concat([]string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce"}, declared)
}

// claimsOf are the declared claims that the scopes ask for (OpenID Connect Core, 5.4).
func claimsOf(s SignIn, scopes []string) map[string]any {
	out := map[string]any{}
	for name, value := range s.Claims {
		scope := oidc.ScopeProfile
		if name == "email" || name == "email_verified" {
			scope = oidc.ScopeEmail
		}
		if slices.Contains(scopes, scope) {
			out[name] = value
		}
	}
	out["sub"] = s.Subject
	return out
}
