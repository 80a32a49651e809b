package login_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/authcode"
	"sallyport/internal/login"
	"sallyport/internal/outbound"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/secret/seal"
	"sallyport/internal/site"
	"sallyport/internal/store/sqlite"
)

// world is a desk over a real store, with providers that answer as a test wants: local
// stand-ins of the shapes that Google and Facebook document.
type world struct {
	desk    *login.Desk
	store   *sqlite.Store
	now     time.Time
	catalog *provider.Catalog
	answer  func(address string, r outbound.Request) (int, any)
	asked   []string
	used    map[string]bool
	mu      sync.Mutex
}

var catalog = sync.OnceValue(provider.Builtin)

func newWorld(t *testing.T) *world {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "sallyport.db"), Role: sqlite.Serve})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	key := make([]byte, seal.RootSize)
	rand.Read(key)
	root, err := seal.NewRoot(secret.NewValue(key))
	if err != nil {
		t.Fatal(err)
	}
	ring := seal.NewKeyring(root, store)
	w := &world{store: store, now: time.Now(), catalog: catalog(), used: map[string]bool{}}
	w.desk, err = login.NewDesk(login.Options{
		Store: store, Now: func() time.Time { return w.now },
		Sealer: func(ctx context.Context, s string) (authcode.Sealer, error) { return ring.DataKey(ctx, s) },
		Once: func(_ context.Context, id string, _ time.Time) (bool, error) {
			first := !w.used[id]
			w.used[id] = true
			return first, nil
		},
		Way: func(*site.Connection, *provider.Pack) authcode.Way { return w.way },
		Secret: func(context.Context, *site.Connection, *provider.Pack, string) (secret.Value, error) {
			return secret.NewValue([]byte(clientSecret)), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

const clientSecret = "0123456789abcdef0123456789abcdef"

type sender struct {
	w      *world
	origin string
}

func (s sender) Do(ctx context.Context, c *outbound.Call) (*outbound.Result, error) {
	r := outbound.Request{Method: c.Method, Path: c.Path, RawQuery: c.RawQuery, Header: c.Header.Clone(), Body: c.Body}
	if c.Credential != nil {
		if _, err := c.Credential.Apply(ctx, &r); err != nil {
			return nil, err
		}
	}
	s.w.mu.Lock()
	s.w.asked = append(s.w.asked, s.origin+c.Path)
	s.w.mu.Unlock()
	status, body := s.w.answer(s.origin+c.Path, r)
	raw, err := json.Marshal(body)
	return &outbound.Result{Status: status, Body: raw, Header: http.Header{}}, err
}

func (w *world) way(address string) (authcode.Sender, string, string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, "", "", err
	}
	return sender{w, u.Scheme + "://" + u.Host}, u.Path, u.RawQuery, nil
}

func (w *world) at(t *testing.T, siteName, id string, l *site.Login) login.At {
	t.Helper()
	pack, err := w.catalog.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	if l.Issuer == "" {
		l.Issuer = pack.Login.Issuer
	}
	l.Lasts = time.Hour
	conn := &site.Connection{Site: siteName, Name: "in", Provider: id, Mode: provider.Live, Account: map[string]string{pack.Login.ClientID: "12345678"}, Login: l}
	s := &site.Site{Name: siteName, ServedAt: []string{"api." + siteName + ".example"}, Origins: []site.Origin{site.Origin("https://" + siteName + ".example")}, Connections: map[string]*site.Connection{"in": conn}}
	return login.At{Site: s, Connection: conn, Pack: pack, Base: "https://api." + siteName + ".example"}
}

// idp is an OpenID Connect issuer as Google documents its own.
type idp struct {
	issuer   string
	key      *rsa.PrivateKey
	claims   map[string]any // beside iss, aud, nonce, iat, exp
	userinfo map[string]any
	spoil    func(claims map[string]any)
	header   string
	metadata map[string]any
	nonce    string
}

var issuerKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func newIDP(issuer string) *idp {
	return &idp{issuer: issuer, key: issuerKey(), header: `{"alg":"RS256","kid":"k1","typ":"JWT"}`, claims: map[string]any{"sub": "110169484474386276334"},
		metadata: map[string]any{"issuer": issuer, "authorization_endpoint": issuer + "/o/oauth2/v2/auth", "token_endpoint": issuer + "/token", "userinfo_endpoint": issuer + "/v1/userinfo",
			"jwks_uri": issuer + "/oauth2/v3/certs", "id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"plain", "S256"},
			"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"}}}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (i *idp) token(now time.Time) string {
	claims := map[string]any{"iss": i.issuer, "aud": "12345678", "azp": "12345678", "nonce": i.nonce, "iat": now.Unix(), "exp": now.Unix() + 3600}
	maps.Copy(claims, i.claims)
	if i.spoil != nil {
		i.spoil(claims)
	}
	payload, _ := json.Marshal(claims)
	in := b64([]byte(i.header)) + "." + b64(payload)
	if strings.Contains(i.header, "HS256") { // the secret that both sides know
		mac := hmac.New(sha256.New, []byte(clientSecret))
		mac.Write([]byte(in))
		return in + "." + b64(mac.Sum(nil))
	}
	sum := sha256.Sum256([]byte(in))
	sig, _ := rsa.SignPKCS1v15(nil, i.key, crypto.SHA256, sum[:])
	return in + "." + b64(sig)
}

func (i *idp) answer(w *world) func(string, outbound.Request) (int, any) {
	return func(address string, r outbound.Request) (int, any) {
		switch strings.TrimPrefix(address, i.issuer) {
		case "/.well-known/openid-configuration":
			return 200, i.metadata
		case "/oauth2/v3/certs":
			return 200, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1", "e": "AQAB", "n": b64(i.key.N.Bytes())}}}
		case "/token":
			return 200, map[string]any{"access_token": "access-token-1", "token_type": "Bearer", "expires_in": 3599, "id_token": i.token(w.now)}
		case "/v1/userinfo":
			if r.Header.Get("Authorization") != "Bearer access-token-1" {
				return 401, map[string]any{}
			}
			return 200, i.userinfo
		}
		return 404, map[string]any{}
	}
}

// begin begins an attempt and gives its cookie and the callback's query.
func (w *world) begin(t *testing.T, a login.At, i *idp) (cookie, query string) {
	t.Helper()
	location, cookie, err := w.desk.Begin(t.Context(), a, "")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	if i != nil {
		i.nonce = u.Query().Get("nonce")
	}
	return cookie, "code=c0de&scope=openid&authuser=0&state=" + u.Query().Get("state")
}

func code(err error) problem.Code {
	if err == nil {
		return ""
	}
	return problem.From(err).Code
}

func TestGoogle(t *testing.T) {
	w, i := newWorld(t), newIDP("https://accounts.google.com")
	w.answer = i.answer(w)
	a := w.at(t, "shop", "google-signin", &site.Login{Claims: []string{"email", "name"}, Domain: "shop.example"})
	i.claims["hd"], i.claims["email"], i.claims["email_verified"], i.claims["name"], i.claims["picture"] = "shop.example", "ada@shop.example", true, "Ada", "https://x"
	location, _, err := w.desk.Begin(t.Context(), a, "https://shop.example/account?x=1")
	if err != nil || !strings.HasPrefix(location, "https://accounts.google.com/o/oauth2/v2/auth?") || !strings.Contains(location, "hd=shop.example") || !strings.Contains(location, "scope=openid+email+profile") {
		t.Fatalf("%s, %v", location, err)
	}
	cookie, query := w.begin(t, a, i)
	done, err := w.desk.Finish(t.Context(), a, cookie, query)
	if err != nil || done.Return != "https://shop.example/" {
		t.Fatalf("%+v, %v", done, err)
	}
	v, ok, err := w.desk.Describe(t.Context(), "shop", done.Login.ID)
	if err != nil || !ok || len(v.Claims) != 2 || v.Claims["email"] != "ada@shop.example" || v.Claims["name"] != "Ada" {
		t.Errorf("the site is told %v, %v", v.Claims, err)
	}
	for _, hd := range []any{nil, "evil.example", []any{"shop.example"}} {
		i.claims["hd"] = hd
		cookie, query = w.begin(t, a, i)
		if done, err := w.desk.Finish(t.Context(), a, cookie, query); code(err) != problem.LoginRefused || done.Cookie != "" {
			t.Errorf("hd %v: %v", hd, err)
		}
	}
}

// TestIssuersThatLie: each of these is an issuer, or somebody who speaks in its name.
func TestIssuersThatLie(t *testing.T) {
	const issuer = "https://id.example"
	for name, c := range map[string]struct {
		spoil  func(map[string]any)
		header string
		user   map[string]any
		want   problem.Code
	}{
		"the control":        {},
		"wrong nonce":        {spoil: func(m map[string]any) { m["nonce"] = strings.Repeat("A", 43) }, want: problem.LoginUpstream},
		"no nonce":           {spoil: func(m map[string]any) { delete(m, "nonce") }, want: problem.LoginUpstream},
		"another issuer":     {spoil: func(m map[string]any) { m["iss"] = "https://evil.example" }, want: problem.LoginUpstream},
		"another client":     {spoil: func(m map[string]any) { m["aud"] = "other" }, want: problem.LoginUpstream},
		"expired":            {spoil: func(m map[string]any) { m["exp"] = 1 }, want: problem.LoginUpstream},
		"alg none":           {header: `{"alg":"none"}`, want: problem.LoginUpstream},
		"secret of both":     {header: `{"alg":"HS256","kid":"k1"}`, want: problem.LoginUpstream},
		"key of its own":     {header: `{"alg":"RS256","kid":"k1","jwk":{"kty":"RSA"}}`, want: problem.LoginUpstream},
		"keys elsewhere":     {header: `{"alg":"RS256","kid":"k1","jku":"http://127.0.0.1:1/"}`, want: problem.LoginUpstream},
		"kid is a path":      {header: `{"alg":"RS256","kid":"../../etc/passwd"}`, want: problem.LoginUpstream},
		"userinfo of others": {user: map[string]any{"sub": "other", "name": "Eve"}, want: problem.LoginUpstream},
	} {
		w, i := newWorld(t), newIDP(issuer)
		w.answer = i.answer(w)
		i.spoil = c.spoil
		if c.header != "" {
			i.header = c.header
		}
		if i.userinfo = c.user; c.user == nil {
			i.userinfo = map[string]any{"sub": i.claims["sub"], "name": "Ada"}
		}
		a := w.at(t, "shop", "oidc", &site.Login{Issuer: issuer, Claims: []string{"name"}})
		cookie, query := w.begin(t, a, i)
		done, err := w.desk.Finish(t.Context(), a, cookie, query)
		if code(err) != c.want || (done.Cookie == "") != (c.want != "") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(problem.From(err).Detail, "evil") {
			t.Errorf("%s: the detail repeats what a stranger said: %s", name, problem.From(err).Detail)
		}
		for _, asked := range w.asked {
			if !strings.HasPrefix(asked, issuer+"/") {
				t.Errorf("%s: %s was asked", name, asked)
			}
		}
	}
}

func TestAttemptsAreBound(t *testing.T) {
	w, i := newWorld(t), newIDP("https://id.example")
	w.answer = i.answer(w)
	a := w.at(t, "shop", "oidc", &site.Login{Issuer: i.issuer})
	other := w.at(t, "blog", "oidc", &site.Login{Issuer: i.issuer})
	elsewhere := a
	elsewhere.Base = "https://login.shop.example"
	cookie, query := w.begin(t, a, i)
	theirs, _ := w.begin(t, a, nil)
	for name, c := range map[string]struct {
		at            login.At
		cookie, query string
	}{
		"no cookie": {a, "", query}, "another browser's": {a, theirs, query}, "another site": {other, cookie, query}, "another name of the gate": {elsewhere, cookie, query},
		"no state": {a, cookie, "code=c0de"}, "state twice": {a, cookie, query + "&state=x"},
	} {
		if _, err := w.desk.Finish(t.Context(), c.at, c.cookie, c.query); code(err) != problem.LoginState {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.desk.Finish(t.Context(), a, cookie, query+"&iss=https%3A%2F%2Fevil.example"); code(err) != problem.LoginUpstream {
		t.Errorf("another issuer: %v", err)
	}
	if _, err := w.desk.Finish(t.Context(), a, cookie, query); err != nil {
		t.Fatalf("the control: %v", err)
	}
	if _, err := w.desk.Finish(t.Context(), a, cookie, query); code(err) != problem.LoginState {
		t.Errorf("a second time: %v", err)
	}
	cookie, query = w.begin(t, a, i)
	w.now = w.now.Add(authcode.Life)
	if _, err := w.desk.Finish(t.Context(), a, cookie, query); code(err) != problem.LoginState {
		t.Errorf("too late: %v", err)
	}
}

// TestPseudonyms: one person is one subject at a site, another at another, and an e-mail
// address joins nobody.
func TestPseudonyms(t *testing.T) {
	w := newWorld(t)
	in := func(siteName, issuer, sub, email string) string {
		i := newIDP(issuer)
		i.claims["sub"], i.claims["email"], i.claims["email_verified"] = sub, email, true
		w.answer = i.answer(w)
		a := w.at(t, siteName, "oidc", &site.Login{Issuer: issuer, Claims: []string{"email"}})
		cookie, query := w.begin(t, a, i)
		done, err := w.desk.Finish(t.Context(), a, cookie, query)
		if err != nil {
			t.Fatal(err)
		}
		return done.Login.Subject
	}
	ada := in("shop", "https://a.example", "1", "ada@mail.example")
	if again := in("shop", "https://a.example", "1", "new@mail.example"); again != ada {
		t.Error("the same person is another after a change of address")
	}
	for name, other := range map[string]string{
		"another site":                        in("blog", "https://a.example", "1", "ada@mail.example"),
		"another issuer, with the same sub":   in("shop", "https://b.example", "1", "ada@mail.example"),
		"another person with her address":     in("shop", "https://a.example", "2", "ada@mail.example"),
		"issuer and sub cut at another place": in("shop", "https://a.exampl", "e1", "ada@mail.example"),
	} {
		if other == ada {
			t.Errorf("%s: the same pseudonym", name)
		}
	}
}

func TestUnverifiedAddressIsNotPassedOn(t *testing.T) {
	for verified, want := range map[any]bool{true: true, false: false, "true": false, nil: false} {
		w, i := newWorld(t), newIDP("https://id.example")
		i.claims["email"], i.claims["email_verified"] = "victim@mail.example", verified
		w.answer = i.answer(w)
		a := w.at(t, "shop", "oidc", &site.Login{Issuer: i.issuer, Claims: []string{"email"}})
		cookie, query := w.begin(t, a, i)
		done, err := w.desk.Finish(t.Context(), a, cookie, query)
		if err != nil {
			t.Fatal(err)
		}
		v, _, err := w.desk.Describe(t.Context(), "shop", done.Login.ID)
		if _, got := v.Claims["email"]; got != want || err != nil {
			t.Errorf("email_verified %v: passed on %t, %v", verified, got, err)
		}
	}
}

// facebook answers as Meta documents its Graph.
func facebook(t *testing.T, debug, profile map[string]any) func(string, outbound.Request) (int, any) {
	return func(address string, r outbound.Request) (int, any) {
		q, _ := url.ParseQuery(r.RawQuery)
		mac := hmac.New(sha256.New, []byte(clientSecret))
		mac.Write([]byte("EAAtoken"))
		switch address {
		case "https://graph.facebook.com/v26.0/oauth/access_token":
			if r.Method != http.MethodGet || q.Get("client_id") != "12345678" || q.Get("client_secret") != clientSecret || q.Get("code") != "c0de" || q.Get("redirect_uri") != "https://api.shop.example/login/in/callback" {
				t.Errorf("token asked with %s %v", r.Method, q)
			}
			return 200, map[string]any{"access_token": "EAAtoken", "token_type": "bearer", "expires_in": 5183944}
		case "https://graph.facebook.com/v26.0/debug_token":
			if q.Get("input_token") != "EAAtoken" || q.Get("access_token") != "12345678|"+clientSecret {
				t.Errorf("debug_token asked with %v", q)
			}
			return 200, map[string]any{"data": debug}
		case "https://graph.facebook.com/v26.0/me":
			if q.Get("access_token") != "EAAtoken" || q.Get("appsecret_proof") != hex.EncodeToString(mac.Sum(nil)) || q.Get("fields") != "id,name,email" {
				t.Errorf("me asked with %v", q)
			}
			return 200, profile
		}
		t.Errorf("%s was asked", address)
		return 404, nil
	}
}

func TestFacebook(t *testing.T) {
	good := map[string]any{"app_id": "12345678", "is_valid": true, "user_id": "10001", "type": "USER"}
	for name, c := range map[string]struct {
		debug, profile map[string]any
		want           problem.Code
	}{
		"the control":          {good, map[string]any{"id": "10001", "name": "Ada", "email": "ada@mail.example"}, ""},
		"token of another app": {map[string]any{"app_id": "666", "is_valid": true, "user_id": "10001"}, map[string]any{"id": "10001"}, problem.LoginUpstream},
		"token not valid":      {map[string]any{"app_id": "12345678", "is_valid": false, "user_id": "10001"}, map[string]any{"id": "10001"}, problem.LoginUpstream},
		"valid as text":        {map[string]any{"app_id": "12345678", "is_valid": "true", "user_id": "10001"}, map[string]any{"id": "10001"}, problem.LoginUpstream},
		"no data":              {nil, map[string]any{"id": "10001"}, problem.LoginUpstream},
		"another profile":      {good, map[string]any{"id": "10002"}, problem.LoginUpstream},
	} {
		w := newWorld(t)
		w.answer = facebook(t, c.debug, c.profile)
		a := w.at(t, "shop", "facebook-login", &site.Login{Claims: []string{"name", "email_unverified"}})
		cookie, query := w.begin(t, a, nil)
		done, err := w.desk.Finish(t.Context(), a, cookie, query)
		if code(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if c.want == "" {
			v, _, err := w.desk.Describe(t.Context(), "shop", done.Login.ID)
			if err != nil || v.Claims["email_unverified"] != "ada@mail.example" || v.Claims["email"] != nil {
				t.Errorf("the site is told %v, %v", v.Claims, err)
			}
			removals(t, w, a, done)
		}
	}
}

// signedRequest writes a request as Meta does.
func signedRequest(key, algorithm, user string, issued int64) string {
	payload := b64(fmt.Appendf(nil, `{"algorithm":%q,"issued_at":%d,"user_id":%q,"expires":0}`, algorithm, issued, user))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(payload))
	return b64(mac.Sum(nil)) + "." + payload
}

// removals: who the provider's request names is forgotten, and nobody else.
func removals(t *testing.T, w *world, a login.At, done login.Done) {
	t.Helper()
	now := w.now.Unix()
	for name, request := range map[string]string{
		"another key": signedRequest("another key of the same length..", "HMAC-SHA256", "10001", now), "another algorithm": signedRequest(clientSecret, "none", "10001", now),
		"old": signedRequest(clientSecret, "HMAC-SHA256", "10001", now-90_000), "no user": signedRequest(clientSecret, "HMAC-SHA256", "", now),
		"no signature": "." + strings.SplitN(signedRequest(clientSecret, "HMAC-SHA256", "10001", now), ".", 2)[1], "junk": "junk", "empty": "",
	} {
		if _, err := w.desk.Remove(t.Context(), a, request); code(err) != problem.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r, err := w.desk.Remove(t.Context(), a, signedRequest(clientSecret, "HMAC-SHA256", "99999", now)); err != nil || len(r.Ended) != 0 {
		t.Errorf("a stranger: %+v, %v", r, err)
	}
	if _, ok, _ := w.desk.Find(t.Context(), "shop", done.Cookie); !ok {
		t.Fatal("somebody else's request forgot the visitor")
	}
	r, err := w.desk.Remove(t.Context(), a, signedRequest(clientSecret, "HMAC-SHA256", "10001", now))
	if err != nil || len(r.Ended) != 1 || r.Ended[0] != done.Login.ID {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, ok, _ := w.desk.Find(t.Context(), "shop", done.Cookie); ok {
		t.Error("the visitor is still signed in")
	}
	when, err := w.desk.Confirmed(t.Context(), a, r.Code)
	if err != nil || when.Unix() != now {
		t.Errorf("confirmed %v, %v", when, err)
	}
	for _, code := range []string{"", "junk", r.Code[:len(r.Code)-2] + "AA"} {
		if _, err := w.desk.Confirmed(t.Context(), a, code); err == nil {
			t.Errorf("the code %q confirms something", code)
		}
	}
}

func TestReturnAddress(t *testing.T) {
	s := &site.Site{Origins: []site.Origin{"https://shop.example", "https://shop.example:8443"}}
	for in, want := range map[string]string{
		"": "https://shop.example/", "https://shop.example": "https://shop.example/", "https://shop.example/a?b=c%20d": "https://shop.example/a?b=c%20d", "https://shop.example:8443/x": "https://shop.example:8443/x",
		"https://shop.example?x=1": "https://shop.example/?x=1",
		// refused:
		"/account": "", "//evil.example": "", "///evil.example": "", "https:shop.example": "", "https:/shop.example/": "", "https:///evil.example": "", "http://shop.example/": "", "HTTPS://shop.example/": "", "https://SHOP.example/": "",
		"https://shop.example.evil.example/": "", "https://shop.example@evil.example/": "", "https://user@shop.example/": "", "https://evil.example/https://shop.example/": "", "https://shop.example:443/": "", "https://shop.example:444/": "",
		"https://shop.example\\@evil.example/": "", "https://shop.example%2eevil.example/": "", "https://shop.example./": "", "https://shop.example/#x": "", "https://shop.example/ x": "", "https://shop.example/\r\nX: y": "",
		"https://shop.example/\u00e9": "", "javascript:alert(1)": "", "data:text/html,x": "", "https://shop.example//evil.example": "", "null": "", "https://shop.example/" + strings.Repeat("a", 2000): "",
	} {
		got, err := login.ReturnAddress(s, in)
		if got != want || (err == nil) != (want != "") || err != nil && code(err) != problem.ReturnRefused {
			t.Errorf("%.60q: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestSignInEnds(t *testing.T) {
	w, i := newWorld(t), newIDP("https://id.example")
	w.answer = i.answer(w)
	a := w.at(t, "shop", "oidc", &site.Login{Issuer: i.issuer})
	in := func() login.Done {
		cookie, query := w.begin(t, a, i)
		done, err := w.desk.Finish(t.Context(), a, cookie, query)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	one, two := in(), in()
	if l, ok, err := w.desk.Find(t.Context(), "shop", one.Cookie); !ok || err != nil || l.Subject != one.Login.Subject {
		t.Fatal(ok, err)
	}
	for name, cookie := range map[string]string{"another site": "", "the id": one.Login.ID, "changed": one.Cookie[:42] + "A" + "A", "empty": ""} {
		siteName := "shop"
		if name == "another site" {
			siteName, cookie = "blog", one.Cookie
		}
		if _, ok, _ := w.desk.Find(t.Context(), siteName, cookie); ok {
			t.Errorf("%s signs in", name)
		}
	}
	if id, was, err := w.desk.End(t.Context(), "shop", one.Cookie); id != one.Login.ID || !was || err != nil {
		t.Error(id, was, err)
	}
	if _, ok, _ := w.desk.Find(t.Context(), "shop", one.Cookie); ok {
		t.Error("signed out, and still in")
	}
	w.now = w.now.Add(time.Hour)
	if _, ok, _ := w.desk.Find(t.Context(), "shop", two.Cookie); ok {
		t.Error("a sign-in outlives its end")
	}
	if _, ok, _ := w.desk.Describe(t.Context(), "shop", two.Login.ID); ok {
		t.Error("a sign-in that is over is described")
	}
}
