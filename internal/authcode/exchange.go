package authcode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/jws"
	"sallyport/internal/outbound"
	"sallyport/internal/secret"
)

// Sender makes one call to the server of an address; *outbound.Host is such for its own.
type Sender interface {
	Do(ctx context.Context, c *outbound.Call) (*outbound.Result, error)
}

// Way finds the Sender for an address of a server, and the path and query to call there.
type Way func(address string) (s Sender, path, rawQuery string, err error)

// Client is the gate as an authorization server knows it.
type Client struct {
	ID string
	// Secret reads the client's secret when it is needed; nil for a public client.
	Secret func(ctx context.Context) (secret.Value, error)
	Method Method
}

// Tokens are what a code was exchanged for. Those that did not come are empty.
type Tokens struct {
	Access, Refresh secret.Value
	// ID is an ID token, not verified yet.
	ID secret.Value
	// Life is how long the access token counts; 0: the server did not say.
	Life  time.Duration
	Scope string
}

const (
	maxTokens  = 64 << 10
	maxMember  = 16 << 10
	formType   = "application/x-www-form-urlencoded"
	maxSeconds = 10 * 365 * 24 * 3600
)

// RefusedError is an OAuth error of the token endpoint (RFC 6749 §5.2): its code, which is
// safe to show, and nothing of what the server wrote beside it.
type RefusedError struct{ Code string }

// Error names the code.
func (e *RefusedError) Error() string { return "the token endpoint answered " + e.Code }

// Exchange turns a code into tokens, with the verifier and the redirect address of its
// attempt. It is made once: a code that may have been used is not sent again.
func Exchange(ctx context.Context, way Way, s Server, c Client, a Attempt, code string) (Tokens, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.Redirect}}
	if a.Verifier != "" {
		form.Set("code_verifier", a.Verifier)
	}
	t, err := Ask(ctx, way, s.Token, c, form)
	if err != nil {
		return Tokens{}, fmt.Errorf("exchange code: %w", err)
	}
	return t, nil
}

// Ask posts a form to a token endpoint as the client and reads the tokens of its answer. An
// answer that refuses is a *RefusedError; other errors say that it is not known what
// became of it.
func Ask(ctx context.Context, way Way, address string, c Client, form url.Values) (Tokens, error) {
	sender, path, query, err := way(address)
	if err != nil {
		return Tokens{}, err
	}
	call := &outbound.Call{Method: http.MethodPost, Path: path, RawQuery: query, Header: http.Header{"Accept": {"application/json"}}, Finish: true}
	if call.Credential, err = c.credential(form); err != nil {
		return Tokens{}, err
	}
	if c.Method == Query {
		delete(form, "grant_type") // the one provider that takes a GET knows codes only
		call.Method, call.RawQuery = http.MethodGet, joined(query, form.Encode())
	} else {
		call.Header["Content-Type"], call.Body = []string{formType}, []byte(form.Encode())
	}
	result, err := sender.Do(ctx, call)
	if err != nil {
		return Tokens{}, err
	}
	return readTokens(result)
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "&" + b
}

// credential puts the client's id and secret where the method says. In Basic both are
// escaped as forms are, before they are joined (RFC 6749 §2.3.1).
func (c Client) credential(form url.Values) (outbound.Credential, error) {
	read := c.Secret
	switch c.Method {
	case Public:
		form.Set("client_id", c.ID)
		return nil, nil
	case Post:
		form.Set("client_id", c.ID)
		return template(outbound.Placement{Kind: outbound.KindBody, Name: "client_secret", Value: "{secret}"}, read)
	case Query:
		form.Set("client_id", c.ID)
		return template(outbound.Placement{Kind: outbound.KindQuery, Name: "client_secret", Value: "{secret}"}, read)
	}
	escaped := func(ctx context.Context) (secret.Value, error) {
		v, err := read(ctx)
		if err != nil {
			return v, err
		}
		return secret.NewValue([]byte(url.QueryEscape(string(v.Expose())))), nil
	}
	id := strings.NewReplacer("{", "%7B", "}", "%7D").Replace(url.QueryEscape(c.ID))
	return template(outbound.Placement{Kind: outbound.KindBasic, User: id, Password: "{secret}"}, escaped)
}

func template(p outbound.Placement, read func(context.Context) (secret.Value, error)) (outbound.Credential, error) {
	return outbound.NewTemplate(p, map[string]outbound.Field{"secret": {Read: read}})
}

func readTokens(r *outbound.Result) (Tokens, error) {
	m, err := object(r.Body, maxTokens)
	if r.Status >= 300 {
		if code, ok := m["error"].(string); ok && r.Status < 500 && len(code) <= 64 && visible(code) {
			return Tokens{}, &RefusedError{Code: code}
		}
		return Tokens{}, r.Problem()
	}
	if err != nil {
		return Tokens{}, fmt.Errorf("read the token endpoint's answer: %w", err)
	}
	var t Tokens
	for name, to := range map[string]*secret.Value{"access_token": &t.Access, "refresh_token": &t.Refresh, "id_token": &t.ID} {
		v, there := m[name]
		if !there || v == nil {
			continue
		}
		s, ok := v.(string)
		if !ok || s == "" || len(s) > maxMember || !visible(s) {
			return Tokens{}, errors.New("read the token endpoint's answer: " + name + " is not a text of visible ASCII characters")
		}
		*to = secret.NewValue([]byte(s))
	}
	if t.Access.Empty() {
		return Tokens{}, errors.New("read the token endpoint's answer: it has no access token")
	}
	if kind, ok := m["token_type"].(string); ok && !strings.EqualFold(kind, "Bearer") {
		return Tokens{}, errors.New("read the token endpoint's answer: the token is not a bearer token")
	}
	if n, ok := jws.Seconds(m["expires_in"]); ok {
		t.Life = time.Duration(min(n, maxSeconds)) * time.Second
	}
	t.Scope, _ = m["scope"].(string)
	return t, nil
}

// Read gets a JSON object with an access token, or with none where access is empty. Further
// secret parameters of the query go beside it. The token stands in the header, or in the
// query parameter of that name.
func Read(ctx context.Context, way Way, address string, b Bearer) (map[string]any, error) {
	sender, path, query, err := way(address)
	if err != nil {
		return nil, err
	}
	call := &outbound.Call{Method: http.MethodGet, Path: path, RawQuery: joined(query, b.Query.Encode()), Header: http.Header{"Accept": {"application/json"}}, Safety: outbound.Safe}
	if call.Credential, err = b.credential(); err != nil {
		return nil, err
	}
	result, err := sender.Do(ctx, call)
	if err != nil {
		return nil, err
	}
	if p := result.Problem(); p != nil {
		return nil, p
	}
	return object(result.Body, maxTokens)
}

// Bearer is how a read says that it may. The zero Bearer sends nothing.
type Bearer struct {
	// Header is a token for Authorization: Bearer.
	Header secret.Value
	// Secrets are parameters of the query that nobody may see.
	Secrets map[string]secret.Value
	// Query are the others.
	Query url.Values
}

func (b Bearer) credential() (outbound.Credential, error) {
	fields, p := map[string]outbound.Field{}, outbound.Placement{Kind: outbound.KindNone}
	field := func(name string, v secret.Value) string {
		fields[name] = outbound.Field{Read: func(context.Context) (secret.Value, error) { return v, nil }}
		return "{" + name + "}"
	}
	if !b.Header.Empty() {
		p = outbound.Placement{Kind: outbound.KindHeader, Name: "Authorization", Value: "Bearer " + field("token", b.Header)}
	}
	for name := range maps.Keys(b.Secrets) {
		p.Also = append(p.Also, outbound.Placement{Kind: outbound.KindQuery, Name: name, Value: field(name, b.Secrets[name])})
	}
	if len(fields) == 0 {
		return nil, nil
	}
	return outbound.NewTemplate(p, fields)
}

// Fetch gets a public document, such as metadata or a key set, and for how long it says
// that it may be kept (0: it does not).
func Fetch(ctx context.Context, way Way, address string) (raw []byte, fresh time.Duration, err error) {
	sender, path, query, err := way(address)
	if err != nil {
		return nil, 0, err
	}
	result, err := sender.Do(ctx, &outbound.Call{Method: http.MethodGet, Path: path, RawQuery: query,
		Header: http.Header{"Accept": {"application/json"}}, Safety: outbound.Safe, Keep: []string{"Cache-Control"}})
	if err != nil {
		return nil, 0, err
	}
	if p := result.Problem(); p != nil {
		return nil, 0, p
	}
	return bytes.Clone(result.Body), maxAge(result.Header.Get("Cache-Control")), nil
}

// maxAge reads max-age of Cache-Control (RFC 9111 §5.2.2.1).
func maxAge(header string) time.Duration {
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		d, err := time.ParseDuration(strings.Trim(value, `"`) + "s")
		if err != nil || d <= 0 || len(value) > 10 {
			return 0
		}
		return d
	}
	return 0
}
