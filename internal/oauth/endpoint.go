package oauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"

	"sallyport/internal/outbound"
	"sallyport/internal/problem"
	"sallyport/internal/secret"
)

// EndpointTimeouts are those of a token endpoint's host: an answer has to come while callers
// still wait.
func EndpointTimeouts() outbound.Timeouts {
	return outbound.Timeouts{Header: 8 * time.Second, Total: 12 * time.Second}
}

// EndpointLimits bound a token endpoint's answer.
func EndpointLimits() outbound.Limits { return outbound.Limits{Body: maxAnswer} }

// EndpointRetry repeats only what did not get as far as the provider: a token is asked for once.
func EndpointRetry() outbound.RetryRule { return outbound.RetryRule{MaxAttempts: 2} }

// endpoint asks a token endpoint.
type endpoint struct {
	host   *outbound.Host
	path   string
	client outbound.Credential // nil: the form says who asks
}

// post sends a form, once, and reads the answer. Its error is a *Fault.
func (e endpoint) post(ctx context.Context, form url.Values) (answer, error) {
	result, err := e.host.Do(ctx, &outbound.Call{
		Method: http.MethodPost, Path: e.path, Credential: e.client, Finish: true,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}},
		Body:   []byte(form.Encode()), Keep: []string{"Retry-After"},
	})
	if err != nil {
		return answer{}, faultOfCall(err)
	}
	if result.Status != http.StatusOK {
		return answer{}, refusal(result)
	}
	a, err := readAnswer(result.Body)
	if err != nil {
		return answer{}, &Fault{Reason: ReasonMalformed, Err: fmt.Errorf("read the token endpoint's answer: %w", err)}
	}
	return a, nil
}

// faultOfCall sorts the errors of outbound.
func faultOfCall(err error) *Fault {
	p := problem.From(err)
	f := &Fault{Reason: ReasonUnreachable, Wait: p.RetryAfter, Err: err}
	switch p.Code {
	case problem.CredentialUnavailable:
		f.Reason = ReasonSecret
	case problem.UpstreamMalformed, problem.UpstreamTooLarge, problem.UpstreamRedirect, problem.UpstreamEcho:
		f.Reason = ReasonMalformed
	}
	return f
}

// refusal sorts the answers that bring no token. Of the answer only a registered error code is
// repeated.
func refusal(r *outbound.Result) *Fault {
	code := errorIn(r.Body)
	f := &Fault{Reason: ReasonFailed, Wait: r.RetryAfter, Err: fmt.Errorf("the token endpoint answered %d", r.Status)}
	if code != "" {
		f.Err = fmt.Errorf("the token endpoint answered %d with the error %s", r.Status, code)
	}
	switch {
	case r.Status == http.StatusTooManyRequests:
		f.Reason = ReasonThrottled
	case code == "temporarily_unavailable", code == "server_error", r.Status >= 500, r.Status == http.StatusRequestTimeout:
	case r.Status >= 400:
		f.Reason = ReasonRefused
	}
	return f
}

// ClientStyle says how a client proves itself at a token endpoint (RFC 6749 §2.3.1); the names
// are those of OpenID Connect.
type ClientStyle string

// The styles.
const (
	ClientBasic ClientStyle = "client_secret_basic"
	ClientPost  ClientStyle = "client_secret_post"
)

// Client is a client of a token endpoint.
type Client struct {
	// Host is of PolicyProvider, with EndpointTimeouts, EndpointLimits and EndpointRetry.
	Host *outbound.Host
	Path string
	// URL is the endpoint's address as the provider knows it, whatever Host is.
	URL        string
	Style      ClientStyle
	ID, Secret Text
}

// Text is a template with {field} and its fields.
type Text struct {
	Template string
	Fields   map[string]outbound.Field
}

// value reads the fields and fills the template.
func (t Text) value(ctx context.Context) (secret.Value, error) {
	v, err := outbound.Fill(ctx, t.Template, t.Fields)
	if err != nil {
		return none, &Fault{Reason: ReasonSecret, Err: err}
	}
	return v, nil
}

// second fills the template with the other values of fields that are being rotated; an empty
// Value means that there are none.
func (t Text) second(ctx context.Context) (secret.Value, error) {
	fields, rotated := maps.Clone(t.Fields), false
	for name, f := range fields {
		if f.Second == nil {
			continue
		}
		v, err := f.Second(ctx)
		if err != nil {
			return none, err
		}
		if !v.Empty() {
			fields[name], rotated = outbound.Field{Read: func(context.Context) (secret.Value, error) { return v, nil }}, true
		}
	}
	if !rotated {
		return none, nil
	}
	return outbound.Fill(ctx, t.Template, fields)
}

// field is the text as a field of its own. Basic carries it as forms do (RFC 6749 §2.3.1).
func (t Text) field(identifier bool, style ClientStyle) outbound.Field {
	as := func(read func(context.Context) (secret.Value, error)) func(context.Context) (secret.Value, error) {
		return func(ctx context.Context) (secret.Value, error) {
			v, err := read(ctx)
			if err != nil || style == ClientPost {
				return v, err
			}
			return secret.NewValue([]byte(url.QueryEscape(string(v.Expose())))), nil
		}
	}
	f := outbound.Field{Identifier: identifier, Read: as(func(ctx context.Context) (secret.Value, error) { return outbound.Fill(ctx, t.Template, t.Fields) })}
	if !identifier {
		f.Second = as(t.second)
	}
	return f
}

// endpoint makes the client's way to the endpoint.
func (c Client) endpoint() (endpoint, error) {
	if c.Host == nil {
		return endpoint{}, errors.New("a token endpoint needs a host")
	}
	var credential outbound.Credential
	var err error
	switch c.Style {
	case ClientBasic, "":
		credential, err = outbound.NewTemplate(outbound.Placement{Kind: outbound.KindBasic, User: "{id}", Password: "{secret}"},
			map[string]outbound.Field{"id": c.ID.field(true, c.Style), "secret": c.Secret.field(false, c.Style)})
	case ClientPost:
		credential, err = outbound.NewTemplate(outbound.Placement{Kind: outbound.KindBody, Name: "client_id", Value: "{id}",
			Also: []outbound.Placement{{Kind: outbound.KindBody, Name: "client_secret", Value: "{secret}"}}},
			map[string]outbound.Field{"id": c.ID.field(true, c.Style), "secret": c.Secret.field(false, c.Style)})
	default:
		err = fmt.Errorf("%q is no way for a client to prove itself; write %s or %s", c.Style, ClientBasic, ClientPost)
	}
	if err != nil {
		return endpoint{}, fmt.Errorf("client of a token endpoint: %w", err)
	}
	return endpoint{host: c.Host, path: c.Path, client: credential}, nil
}

// origin hashes what the client asks with.
func (c Client) origin(ctx context.Context, more ...string) (Origin, error) {
	id, err := c.ID.value(ctx)
	if err != nil {
		return Origin{}, err
	}
	secret, err := c.Secret.value(ctx)
	if err != nil {
		return Origin{}, err
	}
	parts := [][]byte{[]byte(c.URL), id.Expose()}
	for _, m := range more {
		parts = append(parts, []byte(m))
	}
	return Origin{Account: Digest(parts...), Secret: Digest(secret.Expose())}, nil
}

// clientCredentials is the grant of RFC 6749 §4.4.
type clientCredentials struct {
	client   Client
	endpoint endpoint
	scope    string
}

// NewClientCredentials makes a Source that asks for tokens of the client itself (RFC 6749
// §4.4). scope may be empty. It reads and sends nothing yet.
func NewClientCredentials(c Client, scope string) (Source, error) {
	e, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	return &clientCredentials{client: c, endpoint: e, scope: scope}, nil
}

// Origin implements Source.
func (s *clientCredentials) Origin(ctx context.Context) (Origin, error) {
	return s.client.origin(ctx, "client_credentials", s.scope)
}

// Fetch implements Source.
func (s *clientCredentials) Fetch(ctx context.Context, now func() time.Time) (Token, error) {
	origin, err := s.Origin(ctx)
	if err != nil {
		return Token{}, err
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	if s.scope != "" {
		form.Set("scope", s.scope)
	}
	asked := now()
	a, err := s.endpoint.post(ctx, form)
	if err != nil {
		return Token{}, err
	}
	return Token{Value: a.token, Issued: asked, Expires: asked.Add(life(a.seconds)), Origin: origin}, nil
}
