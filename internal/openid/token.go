package openid

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// grant is what stands, sealed, in a code and in an access token. It names the sign-in and
// not the person, so that both end with it.
type grant struct {
	ID        string   `json:"id"`
	SignIn    string   `json:"sign_in"`
	Client    string   `json:"client"`
	Redirect  string   `json:"redirect,omitempty"`
	Nonce     string   `json:"nonce,omitempty"`
	Challenge string   `json:"challenge,omitempty"`
	Scopes    []string `json:"scopes"`
	Expires   int64    `json:"expires"` // Unix milliseconds
}

// code answers a request with a code for the person.
func (p *Provider) code(ctx context.Context, ask request, who SignIn) (*op.Redirect, error) {
	code, err := p.seal(ctx, grant{ID: rand.Text(), SignIn: who.ID, Client: ask.Client, Redirect: ask.Redirect, Nonce: ask.Nonce,
		Challenge: ask.Challenge, Scopes: ask.Scopes, Expires: p.o.Now().Add(codeLife).UnixMilli()}, "openid-code")
	if err != nil {
		return nil, err
	}
	p.o.Done(ctx, Event{Site: p.o.Site.Name, Client: ask.Client, What: "code"})
	return p.back(ask, url.Values{"code": {code}}), nil
}

// tokens is the answer of the token endpoint (OpenID Connect Core, 3.1.3.3).
type tokens struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	IDToken     string `json:"id_token"`
	Scope       string `json:"scope"`
}

// CodeExchange implements op.Server. A code that is refused for any reason is used up: who
// holds a code of somebody else gets one guess.
func (p *Provider) CodeExchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	who, g, err := p.exchange(ctx, r)
	if err != nil {
		p.o.Done(ctx, Event{Site: p.o.Site.Name, Client: r.Client.GetID(), What: "refused"})
		return nil, err
	}
	now := p.o.Now()
	access, err := p.seal(ctx, grant{ID: g.ID, SignIn: who.ID, Client: g.Client, Scopes: g.Scopes, Expires: now.Add(accessLife).UnixMilli()}, "openid-access")
	if err != nil {
		return nil, err
	}
	claims := claimsOf(who, g.Scopes)
	maps.Copy(claims, map[string]any{"iss": p.o.Issuer, "aud": g.Client, "azp": g.Client, "iat": now.Unix(), "exp": now.Add(idTokenLife).Unix(),
		"auth_time": who.At.Unix(), "at_hash": atHash(access)})
	if g.Nonce != "" {
		claims["nonce"] = g.Nonce
	}
	id, err := p.o.Keys.sign(claims)
	if err != nil {
		return nil, p.fault(ctx, "sign an ID token", err)
	}
	p.o.Done(ctx, Event{Site: p.o.Site.Name, Client: g.Client, What: "token"})
	return op.NewResponse(tokens{AccessToken: access, TokenType: "Bearer", ExpiresIn: int64(accessLife / time.Second), IDToken: id,
		Scope: strings.Join(g.Scopes, " ")}), nil
}

func (p *Provider) exchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (SignIn, grant, error) {
	var g grant
	wrong := oidc.ErrInvalidGrant().WithDescription("the code is not good, or used, or older than a minute, or of another client, address or verifier")
	if err := p.open(ctx, r.Data.Code, "openid-code", &g); err != nil {
		return SignIn{}, g, wrong
	}
	first, err := p.o.Once.Use(ctx, p.o.Site.Name, "openid-code/"+g.ID, time.UnixMilli(g.Expires).Add(time.Minute))
	if err != nil {
		return SignIn{}, g, p.fault(ctx, "use a code", err)
	}
	if !first || p.o.Now().UnixMilli() >= g.Expires || g.Client != r.Client.GetID() || g.Redirect != r.Data.RedirectURI || !verifies(g.Challenge, r.Data.CodeVerifier) {
		return SignIn{}, g, wrong
	}
	who, err := p.o.SignIns.Find(ctx, p.o.Site.Name, g.SignIn)
	if errors.Is(err, ErrNobody) {
		return SignIn{}, g, oidc.ErrInvalidGrant().WithDescription("the visitor has signed out")
	}
	if err != nil {
		return SignIn{}, g, p.fault(ctx, "find a sign-in", err)
	}
	return who, g, nil
}

// verifies checks PKCE (RFC 7636, 4.6): a challenge needs its verifier, and a verifier a
// challenge, or the code was made without the client's knowledge (RFC 9700, 2.1.1).
func verifies(challenge, verifier string) bool {
	if challenge == "" || verifier == "" {
		return challenge == verifier
	}
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// atHash binds the ID token to the access token (OpenID Connect Core, 3.1.3.6).
func atHash(access string) string {
	sum := sha256.Sum256([]byte(access))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// UserInfo implements op.Server.
func (p *Provider) UserInfo(ctx context.Context, r *op.Request[oidc.UserInfoRequest]) (*op.Response, error) {
	var g grant
	wrong := op.NewStatusError(oidc.ErrAccessDenied().WithDescription("the access token is not good, or older than 15 minutes, or its person has signed out"), http.StatusUnauthorized)
	if err := p.open(ctx, r.Data.AccessToken, "openid-access", &g); err != nil || p.o.Now().UnixMilli() >= g.Expires {
		return nil, wrong
	}
	if _, ok := p.o.Site.OpenID.Clients[g.Client]; !ok {
		return nil, wrong
	}
	who, err := p.o.SignIns.Find(ctx, p.o.Site.Name, g.SignIn)
	if errors.Is(err, ErrNobody) {
		return nil, wrong
	}
	if err != nil {
		return nil, p.fault(ctx, "find a sign-in", err)
	}
	return op.NewResponse(claimsOf(who, g.Scopes)), nil
}

// hint is what is read of an ID token that comes back at logout.
type hint struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
}

// EndSession implements op.Server (RP-Initiated Logout 1.0). Without a good id_token_hint
// nobody is signed out: any page can make a browser follow a link.
func (p *Provider) EndSession(ctx context.Context, r *op.Request[oidc.EndSessionRequest]) (*op.Redirect, error) {
	var h hint
	refused := func(why string) error {
		return op.NewStatusError(oidc.ErrInvalidRequest().WithDescription("%s", why), http.StatusBadRequest)
	}
	if err := p.o.Keys.verify(r.Data.IdTokenHint, &h); err != nil || h.Issuer != p.o.Issuer {
		return nil, refused("send id_token_hint: the ID token that the gate gave the site")
	}
	c, ok := p.o.Site.OpenID.Clients[h.Audience]
	if !ok || r.Data.ClientID != "" && r.Data.ClientID != h.Audience {
		return nil, refused("the id_token_hint was made for another client")
	}
	to := r.Data.PostLogoutRedirectURI
	if to != "" && !slices.Contains(c.AfterLogout, to) {
		return nil, refused("post_logout_redirect_uri is one of after_logout of the client")
	}
	who, err := p.o.SignIns.Current(ctx, p.o.Site.Name, r.Header)
	switch {
	case err == nil && who.Subject == h.Subject:
		if err := p.o.SignIns.End(ctx, p.o.Site.Name, who.ID); err != nil {
			return nil, p.fault(ctx, "end a sign-in", err)
		}
		p.o.Done(ctx, Event{Site: p.o.Site.Name, Client: h.Audience, What: "logout"})
	case err != nil && !errors.Is(err, ErrNobody):
		return nil, p.fault(ctx, "find who is signed in", err)
	}
	if to == "" {
		to = string(p.o.Site.Origins[0]) + "/"
	}
	if s := r.Data.State; s != "" && len(s) <= maxState {
		mark := "?"
		if strings.Contains(to, "?") {
			mark = "&"
		}
		to += mark + url.Values{"state": {s}}.Encode()
	}
	return op.NewRedirect(to), nil
}
