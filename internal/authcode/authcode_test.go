package authcode

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/jws"
	"sallyport/internal/outbound"
	"sallyport/internal/problem"
	"sallyport/internal/secret"
	"sallyport/internal/secret/seal"
)

const issuer = "https://id.example"

func server() Server {
	return Server{Issuer: issuer, Authorize: issuer + "/auth?tenant=1", Token: issuer + "/token", Keys: issuer + "/keys", SaysIssuer: true, Method: Basic, Algorithms: []string{jws.RS256}}
}

func sealer(t *testing.T) *seal.Sealer {
	t.Helper()
	key := make([]byte, seal.RootSize)
	rand.Read(key)
	s, err := seal.NewRoot(secret.NewValue(key))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func begin(t *testing.T, now time.Time) (*url.URL, Attempt) {
	t.Helper()
	to, a, err := Begin(server(), "client", Request{For: "login/shop/id", Redirect: "https://api.shop.example/login/id/callback", Return: "https://shop.example/", Scopes: []string{"openid", "email"}, Params: url.Values{"hd": {"shop.example"}, "state": {"mine"}}}, now)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return u, a
}

func TestBegin(t *testing.T) {
	u, a := begin(t, time.Now())
	q := u.Query()
	sum := sha256.Sum256([]byte(a.Verifier))
	want := map[string]string{"tenant": "1", "hd": "shop.example", "response_type": "code", "client_id": "client", "redirect_uri": a.Redirect, "scope": "openid email", "state": a.State, "nonce": a.Nonce,
		"code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": "S256"}
	for name, v := range want {
		if q.Get(name) != v || len(q[name]) != 1 {
			t.Errorf("%s is %q, not %q", name, q[name], v)
		}
	}
	if len(a.State) != 43 || len(a.Nonce) != 43 || len(a.Verifier) != 86 || strings.Contains(u.String(), a.Verifier) {
		t.Error("the attempt's secrets are too short, or the verifier is in the address")
	}
	_, other := begin(t, time.Now())
	if other.State == a.State || other.Nonce == a.Nonce || other.Verifier == a.Verifier {
		t.Error("two attempts share a secret")
	}
}

func TestAttemptCountsWhereItBegan(t *testing.T) {
	now := time.Now()
	_, a := begin(t, now)
	mine := sealer(t)
	cookie, err := a.Seal(mine)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenAttempt(mine, a.For, cookie, now.Add(Life-2*time.Second)); err != nil || got != a {
		t.Fatalf("the control: %+v, %v", got, err)
	}
	changed := []byte(cookie)
	changed[len(changed)/2] ^= 1
	for name, c := range map[string]struct {
		of, cookie string
		sealer     *seal.Sealer
		now        time.Time
	}{
		"another connection": {"login/shop/other", cookie, mine, now}, "another site": {"login/blog/id", cookie, mine, now},
		"another key": {a.For, cookie, sealer(t), now}, "changed": {a.For, string(changed), mine, now}, "none": {a.For, "", mine, now},
		"long": {a.For, strings.Repeat("A", 10_000), mine, now}, "late": {a.For, cookie, mine, now.Add(Life)}, "early": {a.For, cookie, mine, now.Add(-2 * time.Minute)},
		"padded": {a.For, cookie + "=", mine, now},
	} {
		if _, err := OpenAttempt(c.sealer, c.of, c.cookie, c.now); err == nil {
			t.Errorf("%s: it counts", name)
		}
	}
	a.Return = "https://shop.example/" + strings.Repeat("a", 5000)
	if _, err := a.Seal(mine); err == nil {
		t.Error("a cookie that no browser keeps was made")
	}
}

func TestAccept(t *testing.T) {
	_, a := begin(t, time.Now())
	enc := url.QueryEscape
	for name, c := range map[string]struct {
		query  string
		reason Reason
		code   string
		broken bool
	}{
		"good":              {query: "code=c1&iss=" + enc(issuer) + "&state=" + a.State + "&scope=openid", code: "c1"},
		"no state":          {query: "code=c1&iss=" + enc(issuer), reason: WrongState},
		"stolen state":      {query: "code=c1&iss=" + enc(issuer) + "&state=" + strings.Repeat("A", 43), reason: WrongState},
		"state twice":       {query: "code=c1&state=x&state=" + a.State, broken: true},
		"code twice":        {query: "code=c1&code=c2&state=" + a.State, broken: true},
		"issuer twice":      {query: "code=c1&iss=" + enc(issuer) + "&iss=x&state=" + a.State, broken: true},
		"another issuer":    {query: "code=c1&iss=https%3A%2F%2Fevil.example&state=" + a.State, reason: WrongIssuer},
		"issuer with slash": {query: "code=c1&iss=" + enc(issuer+"/") + "&state=" + a.State, reason: WrongIssuer},
		"no issuer":         {query: "code=c1&state=" + a.State, reason: WrongIssuer},
		"declined":          {query: "error=access_denied&iss=" + enc(issuer) + "&state=" + a.State, reason: Declined},
		"neither":           {query: "iss=" + enc(issuer) + "&state=" + a.State, reason: NoCode},
		"control character": {query: "code=a%0Ab&state=" + a.State, broken: true},
		"long code":         {query: "code=" + strings.Repeat("a", 5000), broken: true},
		"empty code":        {query: "code=&state=" + a.State, broken: true},
	} {
		ans, err := ReadAnswer(c.query)
		if (err != nil) != c.broken {
			t.Errorf("%s: read: %v", name, err)
		}
		if err != nil {
			continue
		}
		if code, reason := a.Accept(ans, server()); code != c.code || reason != c.reason {
			t.Errorf("%s: code %q, reason %q", name, code, reason)
		}
	}
	other := server()
	other.Issuer = "https://other.example"
	if _, reason := a.Accept(Answer{Code: "c", State: a.State, Issuer: other.Issuer}, other); reason != WrongIssuer {
		t.Errorf("an attempt of one issuer counts at another: %q", reason)
	}
	if _, reason := (Attempt{}).Accept(Answer{Code: "c"}, Server{}); reason != WrongState {
		t.Errorf("an empty attempt counts: %q", reason)
	}
}

func TestParseServer(t *testing.T) {
	good := map[string]any{"issuer": issuer, "authorization_endpoint": issuer + "/auth", "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/keys",
		"authorization_response_iss_parameter_supported": true, "id_token_signing_alg_values_supported": []string{"HS256", "none", "PS256", "RS256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post"}, "code_challenge_methods_supported": []string{"S256"}}
	raw, _ := json.Marshal(good)
	s, err := ParseServer(raw, issuer)
	if err != nil || !s.SaysIssuer || s.Method != Post || s.Accept().RSA != jws.PS256 || len(s.Algorithms) != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	for name, change := range map[string]func(map[string]any){
		"another issuer": func(m map[string]any) { m["issuer"] = issuer + "/" }, "plain http": func(m map[string]any) { m["token_endpoint"] = "http://id.example/token" },
		"no token endpoint": func(m map[string]any) { delete(m, "token_endpoint") }, "user in address": func(m map[string]any) { m["jwks_uri"] = "https://a@id.example/keys" },
		"fragment": func(m map[string]any) { m["authorization_endpoint"] = issuer + "/auth#x" }, "script": func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" },
		"no S256": func(m map[string]any) { m["code_challenge_methods_supported"] = []string{"plain"} },
	} {
		m := maps.Clone(good)
		change(m)
		raw, _ := json.Marshal(m)
		if _, err := ParseServer(raw, issuer); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ParseServer([]byte(`{"issuer":"a","issuer":"`+issuer+`"}`), issuer); err == nil {
		t.Error("a name that stands twice was accepted")
	}
}

// endpoint answers calls as a test wants, and keeps the last one as it would go out.
type endpoint struct {
	status int
	body   string
	calls  atomic.Int64
	sent   outbound.Request
}

func (e *endpoint) Do(ctx context.Context, c *outbound.Call) (*outbound.Result, error) {
	e.calls.Add(1)
	e.sent = outbound.Request{Method: c.Method, Path: c.Path, RawQuery: c.RawQuery, Header: c.Header.Clone(), Body: c.Body}
	if c.Credential != nil {
		if _, err := c.Credential.Apply(ctx, &e.sent); err != nil {
			return nil, err
		}
	}
	return &outbound.Result{Status: e.status, Body: []byte(e.body), Header: http.Header{"Cache-Control": {"public, max-age=120"}}}, nil
}

func (e *endpoint) way(address string) (Sender, string, string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, "", "", err
	}
	return e, u.EscapedPath(), u.RawQuery, nil
}

func fixed(v string) func(context.Context) (secret.Value, error) {
	return func(context.Context) (secret.Value, error) { return secret.NewValue([]byte(v)), nil }
}

func TestExchange(t *testing.T) {
	_, a := begin(t, time.Now())
	for _, m := range []Method{Basic, Post, Query, Public} {
		e := &endpoint{status: 200, body: `{"access_token":"at","token_type":"bearer","expires_in":3600,"refresh_token":"rt","id_token":"a.b.c","scope":"openid"}`}
		tokens, err := Exchange(t.Context(), e.way, server(), Client{ID: "cl:ient", Secret: fixed("s3cret+word"), Method: m}, a, "code-1")
		if err != nil || string(tokens.Access.Expose()) != "at" || string(tokens.Refresh.Expose()) != "rt" || tokens.Life != time.Hour {
			t.Fatalf("%s: %+v, %v", m, tokens, err)
		}
		form, _ := url.ParseQuery(string(e.sent.Body))
		if m == Query {
			form, _ = url.ParseQuery(e.sent.RawQuery)
		}
		if form.Get("code") != "code-1" || form.Get("code_verifier") != a.Verifier || form.Get("redirect_uri") != a.Redirect {
			t.Errorf("%s: sent %v", m, form)
		}
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("cl%3Aient:s3cret%2Bword"))
		if (e.sent.Header.Get("Authorization") == basic) != (m == Basic) || (form.Get("client_secret") == "s3cret+word") != (m == Post || m == Query) {
			t.Errorf("%s: the client's secret stands elsewhere", m)
		}
	}
}

func TestExchangeThatFails(t *testing.T) {
	_, a := begin(t, time.Now())
	refused := func(body string, status int) error {
		e := &endpoint{status: status, body: body}
		_, err := Exchange(t.Context(), e.way, server(), Client{ID: "c", Secret: fixed("s3cretword")}, a, "code")
		if err == nil {
			t.Errorf("%d %s: accepted", status, body)
		}
		if e.calls.Load() != 1 {
			t.Errorf("the code was sent %d times", e.calls.Load())
		}
		return err
	}
	var r *RefusedError
	if err := refused(`{"error":"invalid_grant","error_description":"ada@example.com"}`, 400); !errors.As(err, &r) || r.Code != "invalid_grant" || strings.Contains(err.Error(), "ada") {
		t.Errorf("%v", err)
	}
	var p *problem.Error
	if err := refused(`nope`, 503); !errors.As(err, &p) {
		t.Errorf("%v", err)
	}
	for _, body := range []string{`{}`, `[]`, `x`, `{"access_token":""}`, `{"access_token":1}`, `{"access_token":"a","token_type":"mac"}`, `{"access_token":"a","access_token":"b"}`, `{"access_token":"a\n"}`, `{"access_token":"` + strings.Repeat("a", 20_000) + `"}`} {
		refused(body, 200)
	}
}

// id is an issuer's key and a token that holds.
type id struct {
	key *rsa.PrivateKey
	set *jws.Set
}

func newID(t *testing.T) id {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jws.NewKey(jws.RS256, "k1", &k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jws.NewSet(key)
	if err != nil {
		t.Fatal(err)
	}
	return id{k, set}
}

func (i id) sign(t *testing.T, claims map[string]any) secret.Value {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	in := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"k1"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(in))
	sig, err := rsa.SignPKCS1v15(nil, i.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return secret.NewValue([]byte(in + "." + base64.RawURLEncoding.EncodeToString(sig)))
}

func TestIDToken(t *testing.T) {
	i, now := newID(t), time.Now()
	access := secret.NewValue([]byte("the access token"))
	half := sha256.Sum256(access.Expose())
	e := Expect{Issuer: issuer, ClientID: "client", Nonce: "n1", Access: access, Now: now}
	good := map[string]any{"iss": issuer, "aud": "client", "sub": "248289761001", "nonce": "n1", "iat": now.Unix(), "exp": now.Unix() + 600, "at_hash": base64.RawURLEncoding.EncodeToString(half[:16])}
	if c, err := IDToken(t.Context(), i.sign(t, good), i.set, e); err != nil || c["sub"] != "248289761001" {
		t.Fatalf("the control: %v", err)
	}
	several := maps.Clone(good)
	several["aud"], several["azp"] = []string{"client", "other"}, "client"
	if _, err := IDToken(t.Context(), i.sign(t, several), i.set, e); err != nil {
		t.Fatalf("two audiences: %v", err)
	}
	for name, change := range map[string]map[string]any{
		"another issuer": {"iss": "https://evil.example"}, "issuer with slash": {"iss": issuer + "/"}, "another client": {"aud": "other"}, "audience of others": {"aud": []string{"a", "b"}},
		"several without azp": {"aud": []string{"client", "other"}}, "another party": {"azp": "other"}, "no audience": {"aud": nil}, "wrong nonce": {"nonce": "n2"}, "no nonce": {"nonce": nil}, "nonce is a list": {"nonce": []string{"n1"}},
		"no sub": {"sub": nil}, "empty sub": {"sub": ""}, "sub is a number": {"sub": 5}, "long sub": {"sub": strings.Repeat("a", 256)}, "sub with control": {"sub": "a\nb"},
		"expired": {"exp": now.Unix() - 61}, "exp is text": {"exp": "9999999999"}, "no exp": {"exp": nil}, "future": {"iat": now.Unix() + 120}, "old": {"iat": now.Unix() - 700, "exp": now.Unix() + 900}, "not yet": {"nbf": now.Unix() + 600},
		"another access token": {"at_hash": "AAAA"},
	} {
		m := maps.Clone(good)
		for k, v := range change {
			if m[k] = v; v == nil {
				delete(m, k)
			}
		}
		if _, err := IDToken(t.Context(), i.sign(t, m), i.set, e); !errors.Is(err, jws.ErrNotVerified) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := IDToken(t.Context(), newID(t).sign(t, good), i.set, e); !errors.Is(err, jws.ErrNotVerified) {
		t.Errorf("another key: %v", err)
	}
	e.Nonce = ""
	delete(good, "nonce")
	if _, err := IDToken(t.Context(), i.sign(t, good), i.set, e); !errors.Is(err, jws.ErrNotVerified) {
		t.Errorf("without a nonce at all: %v", err)
	}
}

func TestIssuerIsKept(t *testing.T) {
	now := time.Now()
	e := &endpoint{status: 200, body: `{"issuer":"` + issuer + `","authorization_endpoint":"` + issuer + `/a","token_endpoint":"` + issuer + `/t","jwks_uri":"` + issuer + `/k"}`}
	i := NewIssuer(issuer, e.way, func() time.Time { return now })
	for range 5 {
		if s, keys, err := i.Server(t.Context()); err != nil || keys == nil || s.Token != issuer+"/t" {
			t.Fatal(err)
		}
	}
	if e.calls.Load() != 1 || e.sent.Path != "/.well-known/openid-configuration" {
		t.Errorf("%d fetches of %s", e.calls.Load(), e.sent.Path)
	}
	e.status = 500
	now = now.Add(2 * time.Hour)
	if _, _, err := i.Server(t.Context()); err != nil {
		t.Errorf("metadata of two hours: %v", err)
	}
	now = now.Add(30 * time.Hour)
	if _, _, err := i.Server(t.Context()); err == nil {
		t.Error("metadata of more than a day count")
	}
}
