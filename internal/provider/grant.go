package provider

import (
	"slices"
	"strings"
)

// AuthUserToken is the kind of auth that sends the token of a visitor's own account.
const AuthUserToken = "user_token"

// The kinds of Grant.
const (
	GrantOpenID = "oidc"
	GrantOAuth  = "oauth"
)

// Grant says how visitors connect their own accounts at a provider: the authorization code
// flow, for operations whose auth is of the kind user_token. Kind oidc reads its addresses
// from the issuer's metadata and wants an ID token; kind oauth has them here.
type Grant struct {
	Kind string `json:"kind"` // oidc, oauth
	// Issuer is the issuer's name (oidc; empty: the connection's file names it).
	Issuer string `json:"issuer,omitempty"`
	// ClientID and ClientSecret are names of credentials.
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	// Scopes are what is always asked for, beside those of the file.
	Scopes []string `json:"scopes"`
	// Params are parameters of the authorization request that make the provider give a refresh
	// token: access_type, prompt.
	Params map[string]string `json:"params,omitempty"`

	// Of kind oauth: the addresses. Revoke is that of RFC 7009; empty: there is none.
	Authorize string `json:"authorize,omitempty"`
	Token     string `json:"token,omitempty"`
	Revoke    string `json:"revoke,omitempty"`
	// Client is how the client's secret is sent: client_secret_basic, the default, or
	// client_secret_post. NoPKCE: the provider does not document PKCE.
	Client string `json:"client,omitempty"`
	NoPKCE bool   `json:"no_pkce,omitempty"`
	Source string `json:"source"`
}

func (p *Pack) checkGrant(f *faults) {
	g := p.Grant
	if g == nil {
		return
	}
	f.oneOf("grant.kind", g.Kind, []string{GrantOpenID, GrantOAuth})
	f.text("grant.source", g.Source)
	for where, name := range map[string]string{"grant.client_id": g.ClientID, "grant.client_secret": g.ClientSecret} {
		i := slices.IndexFunc(p.Credentials, func(c CredentialField) bool { return c.Name == name })
		if i < 0 || p.Credentials[i].Secret != strings.HasSuffix(where, "secret") {
			f.add("%s: %q is not a credential of the pack that is secret where it has to be", where, name)
		}
	}
	if len(g.Scopes) == 0 {
		f.add("grant.scopes: none are given")
	}
	for _, name := range sortedKeys(g.Params) {
		if slices.Contains([]string{"response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "request", "request_uri"}, name) {
			f.add("grant.params: %s is the gate's own", name)
		}
	}
	if g.Kind == GrantOpenID {
		if !slices.Contains(g.Scopes, "openid") || g.Authorize+g.Token+g.Revoke+g.Client != "" || g.NoPKCE {
			f.add("grant: kind oidc needs the scope openid, and its addresses stand in the issuer's metadata")
		}
		if g.Issuer != "" {
			f.https("grant.issuer", g.Issuer)
		}
		return
	}
	f.https("grant.authorize", g.Authorize)
	f.https("grant.token", g.Token)
	if g.Revoke != "" {
		f.https("grant.revoke", g.Revoke)
	}
	if g.Client != "" {
		f.oneOf("grant.client", g.Client, []string{"client_secret_basic", "client_secret_post"})
	}
	if g.Issuer != "" {
		f.add("grant.issuer: only kind oidc has it")
	}
}
