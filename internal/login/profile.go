package login

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/authcode"
	"sallyport/internal/secret"
)

// profile signs in by OAuth without ID tokens: the profile is read with an access token that
// is believed only after the provider has said for which app and person it was made.
type profile struct {
	d *Desk
	a At
}

func (p profile) server(context.Context) (authcode.Server, error) {
	l := p.a.Pack.Login
	return authcode.Server{Issuer: l.Issuer, Authorize: l.Authorize, Token: l.Token, NoPKCE: true, Method: authcode.Query}, nil
}

func (p profile) person(ctx context.Context, s authcode.Server, at authcode.Attempt, code string) (person, error) {
	way := p.d.o.Way(p.a.Connection, p.a.Pack)
	client := p.d.client(p.a, s.Method)
	tokens, err := authcode.Exchange(ctx, way, s, client, at, code)
	if err != nil {
		return person{}, exchangeFault(err)
	}
	key, err := client.Secret(ctx)
	if err != nil {
		return person{}, err
	}
	subject, err := p.inspect(ctx, way, tokens.Access, key)
	if err != nil {
		return person{}, err
	}
	said, err := authcode.Read(ctx, way, p.a.Pack.Login.Profile, p.bearer(tokens.Access, key))
	if err != nil {
		return person{}, upstream(err, "the identity provider does not say who signed in")
	}
	if said[p.a.Pack.Login.Subject] != subject {
		return person{}, upstream(errors.New("the profile is of another person than the token"), "the identity provider contradicts itself")
	}
	return person{subject: subject, claims: p.a.declared(said)}, nil
}

// inspect asks for which app and person the token was made.
func (p profile) inspect(ctx context.Context, way authcode.Way, access, key secret.Value) (string, error) {
	app := secret.NewValue([]byte(p.a.clientID() + "|" + string(key.Expose())))
	answer, err := authcode.Read(ctx, way, p.a.Pack.Login.Inspect, authcode.Bearer{Secrets: map[string]secret.Value{"input_token": access, "access_token": app}})
	if err != nil {
		return "", upstream(err, "the identity provider does not say what the token is for")
	}
	data, _ := answer["data"].(map[string]any)
	subject, _ := data["user_id"].(string)
	if data["is_valid"] != true || data["app_id"] != p.a.clientID() || !authcode.Subject(subject) {
		return "", upstream(errors.New("the token is not valid, or of another app"), "the identity provider's token does not count")
	}
	return subject, nil
}

// bearer puts the token and its proof into the query, with the members that are wanted.
func (p profile) bearer(access, key secret.Value) authcode.Bearer {
	l := p.a.Pack.Login
	fields := []string{l.Subject}
	for _, name := range p.a.Connection.Login.Claims {
		from := l.Claims[name].From
		if from == "" {
			from = name
		}
		if !slices.Contains(fields, from) {
			fields = append(fields, from)
		}
	}
	b := authcode.Bearer{Query: url.Values{l.Fields: {strings.Join(fields, ",")}}, Secrets: map[string]secret.Value{"access_token": access}}
	if l.Proof != "" {
		b.Secrets[l.Proof] = Proof(access, key)
	}
	return b
}

// Proof is the HMAC-SHA256 of an access token under the client's secret, in lower-case hex:
// it shows that the caller is the app and not somebody who found the token.
func Proof(access, key secret.Value) secret.Value {
	mac := hmac.New(sha256.New, key.Expose())
	mac.Write(access.Expose())
	return secret.NewValue([]byte(hex.EncodeToString(mac.Sum(nil))))
}
