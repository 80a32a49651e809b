package login

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"sallyport/internal/authcode"
	"sallyport/internal/problem"
)

// openID signs in with an OpenID Connect issuer.
type openID struct {
	d *Desk
	a At
}

// issuer is the issuer as this connection reaches it.
func (o openID) issuer() *authcode.Issuer {
	o.d.mu.Lock()
	defer o.d.mu.Unlock()
	c := o.a.Connection
	key := strings.Join([]string{c.Site, c.Name, c.Provider, c.Login.Issuer}, "\x00")
	if u := c.Upstream; u != nil {
		key += "\x00" + u.URL + "\x00" + string(u.CA)
	}
	i, ok := o.d.issuers[key]
	if !ok {
		if len(o.d.issuers) >= maxIssuers {
			clear(o.d.issuers)
		}
		i = authcode.NewIssuer(c.Login.Issuer, o.d.o.Way(c, o.a.Pack), o.d.o.Now)
		o.d.issuers[key] = i
	}
	return i
}

func (o openID) server(ctx context.Context) (authcode.Server, error) {
	s, _, err := o.issuer().Server(ctx)
	return s, err
}

// params asks for accounts of one organisation, where the file says so; that they are is
// read from the ID token.
func (a At) params() url.Values {
	if a.Pack.Login.Domain == "" || a.Connection.Login.Domain == "" {
		return nil
	}
	return url.Values{a.Pack.Login.Domain: {a.Connection.Login.Domain}}
}

func (o openID) person(ctx context.Context, s authcode.Server, at authcode.Attempt, code string) (person, error) {
	way := o.d.o.Way(o.a.Connection, o.a.Pack)
	tokens, err := authcode.Exchange(ctx, way, s, o.d.client(o.a, s.Method), at, code)
	if err != nil {
		return person{}, exchangeFault(err)
	}
	if tokens.ID.Empty() {
		return person{}, upstream(errors.New("no id_token came"), "the identity provider sent no ID token")
	}
	_, keys, err := o.issuer().Server(ctx)
	if err != nil {
		return person{}, upstream(err, "the identity provider cannot be reached")
	}
	claims, err := authcode.IDToken(ctx, tokens.ID, keys, authcode.Expect{Issuer: s.Issuer, ClientID: o.a.clientID(), Nonce: at.Nonce, Access: tokens.Access, Now: o.d.o.Now()})
	if err != nil {
		return person{}, upstream(err, "the identity provider's ID token does not count")
	}
	if want := o.a.Connection.Login.Domain; want != "" && claims[o.a.Pack.Login.Domain] != want {
		return person{}, problem.New(problem.LoginRefused, "the account is not one of the organisation that may sign in here").
			WithHint("sign in with an account of %s", want)
	}
	sub, _ := claims["sub"].(string) // IDToken has looked at it
	if claims, err = o.completed(ctx, way, s, claims, tokens); err != nil {
		return person{}, err
	}
	return person{subject: sub, claims: o.a.declared(claims)}, nil
}

// completed asks the userinfo endpoint for claims that the site declared and the ID token
// does not have. What it says counts for the same subject only.
func (o openID) completed(ctx context.Context, way authcode.Way, s authcode.Server, claims map[string]any, tokens authcode.Tokens) (map[string]any, error) {
	missing := false
	for _, name := range o.a.Connection.Login.Claims {
		from := o.a.Pack.Login.Claims[name].From
		if from == "" {
			from = name
		}
		if _, there := claims[from]; !there {
			missing = true
		}
	}
	if !missing || s.Userinfo == "" {
		return claims, nil
	}
	more, err := authcode.Read(ctx, way, s.Userinfo, authcode.Bearer{Header: tokens.Access})
	if err != nil {
		return nil, upstream(err, "the identity provider does not say who signed in")
	}
	if more["sub"] != claims["sub"] {
		return nil, upstream(errors.New("userinfo is of another subject"), "the identity provider contradicts itself")
	}
	for name, v := range claims {
		more[name] = v // signed beats unsigned
	}
	return more, nil
}

// exchangeFault tells a code that the provider refuses from a provider that fails.
func exchangeFault(err error) error {
	var refused *authcode.RefusedError
	if errors.As(err, &refused) && refused.Code == "invalid_grant" {
		return problem.Wrap(err, problem.LoginState, "the identity provider does not take the code: it was used before, or is not this attempt's").
			WithHint("begin again at login/CONNECTION")
	}
	return upstream(err, "the identity provider did not exchange the code")
}
