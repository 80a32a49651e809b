package openid_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/openid"
	"sallyport/internal/secret"
	"sallyport/internal/secret/seal"
)

// tokens reads a good answer of the token endpoint and verifies the ID token with the
// published keys, as a site's library does.
func (w *world) tokens(r *httptest.ResponseRecorder) (access string, claims map[string]any) {
	w.t.Helper()
	var out struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		IDToken     string `json:"id_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.Unmarshal(r.Body.Bytes(), &out); r.Code != http.StatusOK || err != nil || out.TokenType != "Bearer" || out.ExpiresIn != 900 {
		w.t.Fatalf("no tokens: %d %s", r.Code, r.Body)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(w.get("/openid/keys", nil).Body.Bytes(), &set); err != nil || len(set.Keys) != 1 || !set.Keys[0].IsPublic() {
		w.t.Fatalf("keys: %v", err)
	}
	object, err := jose.ParseSigned(out.IDToken, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		w.t.Fatal(err)
	}
	payload, err := object.Verify(set.Key(object.Signatures[0].Header.KeyID)[0])
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		w.t.Fatal(err)
	}
	return out.AccessToken, claims
}

// TestSignInThroughTheGate goes the whole way: to login, back, code, tokens, userinfo, logout.
func TestSignInThroughTheGate(t *testing.T) {
	w := newWorld(t)
	began := w.get("/openid/authorize", ask())
	to, err := url.Parse(began.Header().Get("Location"))
	if began.Code != http.StatusFound || err != nil || to.Path != "/login/google" {
		t.Fatalf("not sent to login: %d %s %s", began.Code, to, began.Body)
	}
	then := to.Query().Get("return_to")
	cookies := began.Result().Cookies()
	if len(cookies) != 1 || !strings.HasPrefix(cookies[0].Name, "__Host-") || !cookies[0].Secure || !cookies[0].HttpOnly ||
		cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].Path != "/" || cookies[0].Domain != "" {
		t.Fatalf("cookies: %v", cookies)
	}
	visit := w.signIn("ada")
	back := w.get(then, nil, cookies[0], visit)
	code := w.code(back, callback)
	answer, _ := url.Parse(back.Header().Get("Location"))
	if q := answer.Query(); q.Get("state") != "st/ate&1" || q.Get("iss") != issuer {
		t.Errorf("answer %s", answer)
	}
	if gone := back.Result().Cookies(); len(gone) != 1 || gone[0].MaxAge >= 0 {
		t.Errorf("the request's cookie stays: %v", gone)
	}
	access, claims := w.tokens(w.post("/openid/token", exchange(code), "website", password))
	for name, want := range map[string]any{"iss": issuer, "aud": "website", "sub": "pseudonym-ada", "nonce": "n-1", "email": "ada@CANARY.example",
		"email_verified": true, "exp": float64(w.now.Add(10 * time.Minute).Unix()), "auth_time": float64(w.now.Unix())} {
		if claims[name] != want {
			t.Errorf("%s is %v, not %v", name, claims[name], want)
		}
	}
	if claims["name"] != nil {
		t.Error("the name was not asked for: scope has no profile")
	}
	r := httptest.NewRequest(http.MethodGet, "/openid/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+access)
	if info := w.send(r); info.Code != http.StatusOK || !strings.Contains(info.Body.String(), `"pseudonym-ada"`) || strings.Contains(info.Body.String(), "Ada\"") {
		t.Errorf("userinfo: %d %s", info.Code, info.Body)
	}
	// A second client of the site needs no second sign-in.
	if second := w.get("/openid/authorize", ask("client_id", "page", "code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method", "S256"), visit); w.code(second, callback) == "" {
		t.Error("no code")
	}
	idToken := struct {
		ID string `json:"id_token"`
	}{}
	json.Unmarshal(w.post("/openid/token", exchange(w.code(w.get("/openid/authorize", ask(), visit), callback)), "website", password).Body.Bytes(), &idToken) //nolint:errcheck // an empty one fails below
	out := w.get("/openid/logout", url.Values{"id_token_hint": {idToken.ID}, "post_logout_redirect_uri": {goodbye}, "state": {"x"}}, visit)
	if out.Code != http.StatusFound || out.Header().Get("Location") != goodbye+"&state=x" {
		t.Errorf("logout: %d %s %s", out.Code, out.Header().Get("Location"), out.Body)
	}
	if info := w.send(r); info.Code != http.StatusUnauthorized {
		t.Errorf("userinfo after logout: %d", info.Code)
	}
	var kinds []string
	for _, e := range w.events {
		kinds = append(kinds, e.What)
	}
	if got := strings.Join(kinds, " "); got != "code token code code token logout" {
		t.Errorf("events: %s", got)
	}
}

// TestRefusedRequests: nothing goes to an address that the file does not name.
func TestRefusedRequests(t *testing.T) {
	w := newWorld(t)
	visit := w.signIn("ada")
	for name, q := range map[string]url.Values{
		"unknown client":      ask("client_id", "nobody"),
		"no client":           ask("client_id", ""),
		"foreign redirect":    ask("redirect_uri", "https://evil.example/auth/callback"),
		"longer redirect":     ask("redirect_uri", callback+"/x"),
		"redirect with query": ask("redirect_uri", callback+"?a=1"),
		"another's redirect":  ask("redirect_uri", "https://blog.shop.example/cb"),
		"upper case":          ask("redirect_uri", "https://SHOP.example/auth/callback"),
		"no redirect":         ask("redirect_uri", ""),
		"userinfo":            ask("redirect_uri", "https://shop.example@evil.example/auth/callback"),
		"backslash":           ask("redirect_uri", `https://evil.example\@shop.example/auth/callback`),
	} {
		r := w.get("/openid/authorize", q, visit)
		if r.Code != http.StatusBadRequest || r.Header().Get("Location") != "" {
			t.Errorf("%s: %d %s", name, r.Code, r.Header().Get("Location"))
		}
	}
	twice := ask()
	twice.Add("redirect_uri", "https://evil.example/")
	if r := w.get("/openid/authorize", twice, visit); r.Code != http.StatusBadRequest || r.Header().Get("Location") != "" {
		t.Errorf("two redirects: %d %s", r.Code, r.Header().Get("Location"))
	}
	for name, q := range map[string]url.Values{
		"invalid_request implicit":         ask("response_type", "token"),
		"invalid_request id_token":         ask("response_type", "id_token"),
		"invalid_request form_post":        ask("response_mode", "form_post"),
		"request_not_supported object":     ask("request", "eyJhbGciOiJub25lIn0.e30."),
		"invalid_scope no openid":          ask("scope", "email"),
		"invalid_request no PKCE":          ask("client_id", "page"),
		"invalid_request plain PKCE":       ask("client_id", "page", "code_challenge", strings.Repeat("a", 43), "code_challenge_method", "plain"),
		"invalid_request PKCE by default":  ask("code_challenge", strings.Repeat("a", 43)),
		"invalid_request short PKCE":       ask("code_challenge", "abc", "code_challenge_method", "S256"),
		"invalid_request long state":       ask("state", strings.Repeat("s", 1025)),
		"login_required nobody, no prompt": ask("prompt", "none", "max_age", "0"),
	} {
		code, _, _ := strings.Cut(name, " ")
		w.now = w.now.Add(time.Second) // so that max_age 0 is over
		r := w.get("/openid/authorize", q, visit)
		at, _ := url.Parse(r.Header().Get("Location"))
		answer := at.Query()
		if at.Fragment != "" { // of the implicit flow, whose answers stand there
			answer, _ = url.ParseQuery(at.Fragment)
		}
		got := answer.Get("error")
		if r.Code != http.StatusFound || !strings.HasPrefix(at.String(), callback) || answer.Get("iss") != issuer || got != code && !(code == "invalid_request" && got == "unauthorized_client") || at.Query().Get("code") != "" {
			t.Errorf("%s: %d %s", name, r.Code, at)
		}
	}
	if r := w.get("/openid/authorize", ask("connection", "evil"), nil...); !strings.Contains(r.Header().Get("Location"), "error=invalid_request") {
		t.Errorf("a login connection that is none: %s", r.Header().Get("Location"))
	}
	if r := w.get("/openid/authorize", ask("connection", "facebook")); !strings.HasPrefix(r.Header().Get("Location"), "/login/facebook?") {
		t.Errorf("another login connection: %s", r.Header().Get("Location"))
	}
}

// TestRequestsStayInTheirBrowser: what one browser began no other one ends.
func TestRequestsStayInTheirBrowser(t *testing.T) {
	w := newWorld(t)
	began := w.get("/openid/authorize", ask())
	to, _ := url.Parse(began.Header().Get("Location"))
	then, mine := to.Query().Get("return_to"), began.Result().Cookies()[0]
	visit := w.signIn("victim")
	changed := *mine
	changed.Value = mine.Value[:len(mine.Value)-2] + "AA"
	other := w.get("/openid/authorize", ask()).Result().Cookies()[0]
	swapped := http.Cookie{Name: mine.Name, Value: other.Value}
	for name, cookies := range map[string][]*http.Cookie{"no cookie": {visit}, "changed": {visit, &changed}, "of another request": {visit, &swapped}} {
		if r := w.get(then, nil, cookies...); r.Code != http.StatusBadRequest || r.Header().Get("Location") != "" {
			t.Errorf("%s: %d %s", name, r.Code, r.Header().Get("Location"))
		}
	}
	if r := w.get("/openid/continue?request=../../x", nil, visit); r.Code != http.StatusBadRequest {
		t.Errorf("a path as id: %d", r.Code)
	}
	if r := w.get(then, nil, mine); !strings.Contains(r.Header().Get("Location"), "error=access_denied") {
		t.Errorf("nobody signed in: %s", r.Header().Get("Location"))
	}
	w.now = w.now.Add(15 * time.Minute)
	if r := w.get(then, nil, mine, visit); r.Code != http.StatusBadRequest {
		t.Errorf("too late: %d", r.Code)
	}
}

// TestPromptLogin: who must sign in anew does not get by with an old sign-in.
func TestPromptLogin(t *testing.T) {
	w := newWorld(t)
	old := w.signIn("ada")
	w.now = w.now.Add(time.Hour)
	began := w.get("/openid/authorize", ask("prompt", "login"), old)
	to, _ := url.Parse(began.Header().Get("Location"))
	if to.Path != "/login/google" {
		t.Fatalf("the old sign-in was taken: %s", to)
	}
	then, c := to.Query().Get("return_to"), began.Result().Cookies()[0]
	if r := w.get(then, nil, c, old); !strings.Contains(r.Header().Get("Location"), "error=access_denied") {
		t.Errorf("the old sign-in was taken at the end: %s", r.Header().Get("Location"))
	}
	w.code(w.get(then, nil, c, w.signIn("ada")), callback)
	w.code(w.get("/openid/authorize", ask("max_age", "60"), old), callback)
}

// TestOpenRequestsAreBounded: a browser keeps four.
func TestOpenRequestsAreBounded(t *testing.T) {
	w := newWorld(t)
	jar := map[string]*http.Cookie{}
	for range 9 {
		var have []*http.Cookie
		for _, c := range jar {
			have = append(have, c)
		}
		for _, c := range w.get("/openid/authorize", ask(), have...).Result().Cookies() {
			if c.MaxAge < 0 {
				delete(jar, c.Name)
			} else {
				jar[c.Name] = c
			}
		}
	}
	if len(jar) != 4 {
		t.Errorf("%d cookies", len(jar))
	}
}

// TestCodes: one use, one minute, one client, one address, one verifier.
func TestCodes(t *testing.T) {
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636, appendix B
	w := newWorld(t)
	visit := w.signIn("ada")
	fresh := func(change ...string) string {
		return w.code(w.get("/openid/authorize", ask(change...), visit), callback)
	}
	pkce := []string{"code_challenge", challenge, "code_challenge_method", "S256"}
	used := fresh()
	if r := w.post("/openid/token", exchange(used), "website", password); r.Code != http.StatusOK {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	if r := w.post("/openid/token", exchange(fresh(pkce...), "code_verifier", verifier), "website", password); r.Code != http.StatusOK {
		t.Fatalf("PKCE: %d %s", r.Code, r.Body)
	}
	if r := w.post("/openid/token", exchange(fresh(append(pkce, "client_id", "page")...), "code_verifier", verifier, "client_id", "page")); r.Code != http.StatusOK {
		t.Fatalf("public client: %d %s", r.Code, r.Body)
	}
	guessed := fresh(pkce...)
	w.post("/openid/token", exchange(guessed, "code_verifier", strings.Repeat("x", 43)), "website", password)
	for name, f := range map[string]url.Values{
		"used":                  exchange(used),
		"another address":       exchange(fresh(), "redirect_uri", callback+"?b=1"),
		"no verifier":           exchange(fresh(pkce...)),
		"wrong verifier":        exchange(fresh(pkce...), "code_verifier", strings.Repeat("x", 43)),
		"verifier from nowhere": exchange(fresh(), "code_verifier", verifier),
		"of another client":     exchange(fresh(append(pkce, "client_id", "page")...), "code_verifier", verifier),
		"after a wrong guess":   exchange(guessed, "code_verifier", verifier),
		"changed":               exchange(fresh()[1:]),
		"an access token": exchange(func() string {
			a, _ := w.tokens(w.post("/openid/token", exchange(fresh()), "website", password))
			return a
		}()),
		"with a padding character": exchange(fresh() + "="),
	} {
		r := w.post("/openid/token", f, "website", password)
		if r.Code != http.StatusBadRequest || !strings.Contains(r.Body.String(), `"invalid_grant"`) {
			t.Errorf("%s: %d %s", name, r.Code, r.Body)
		}
	}
	late, gone := fresh(), fresh()
	w.now = w.now.Add(time.Minute)
	if r := w.post("/openid/token", exchange(late), "website", password); r.Code != http.StatusBadRequest {
		t.Errorf("late: %d", r.Code)
	}
	w.now = w.now.Add(-30 * time.Second)
	w.End(t.Context(), "shop", "ada") //nolint:errcheck // in memory
	if r := w.post("/openid/token", exchange(gone), "website", password); r.Code != http.StatusBadRequest || !strings.Contains(r.Body.String(), "signed out") {
		t.Errorf("signed out: %d %s", r.Code, r.Body)
	}
}

// TestClientsProveThemselves: wrong secrets are refused alike and counted.
func TestClientsProveThemselves(t *testing.T) {
	w := newWorld(t)
	visit := w.signIn("ada")
	code := func() string { return w.code(w.get("/openid/authorize", ask(), visit), callback) }
	if r := w.post("/openid/token", exchange(code(), "client_id", "website", "client_secret", password)); r.Code != http.StatusOK {
		t.Errorf("secret in the body: %d %s", r.Code, r.Body)
	}
	var bodies []string
	for _, send := range []func() *httptest.ResponseRecorder{
		func() *httptest.ResponseRecorder {
			return w.post("/openid/token", exchange(code()), "website", "wrong")
		},
		func() *httptest.ResponseRecorder {
			return w.post("/openid/token", exchange(code()), "nobody", password)
		},
		func() *httptest.ResponseRecorder {
			return w.post("/openid/token", exchange(code(), "client_id", "website"))
		},
		func() *httptest.ResponseRecorder {
			return w.post("/openid/token", exchange(code()), "page", "a-secret-it-has-not")
		},
	} {
		r := send()
		if r.Code != http.StatusUnauthorized || !strings.Contains(r.Body.String(), `"invalid_client"`) {
			t.Errorf("%d %s", r.Code, r.Body)
		}
		bodies = append(bodies, r.Body.String())
	}
	for _, b := range bodies {
		if b != bodies[0] || strings.Contains(b, "CANARY") {
			t.Errorf("refusals differ: %s", b)
		}
	}
	w.wrong = 5
	if r := w.post("/openid/token", exchange(code()), "website", password); r.Code != http.StatusTooManyRequests {
		t.Errorf("after many guesses: %d", r.Code)
	}
}

// TestMisplaced: credentials do not stand in addresses, and there are no other flows.
func TestMisplaced(t *testing.T) {
	w := newWorld(t)
	code := w.code(w.get("/openid/authorize", ask(), w.signIn("ada")), callback)
	for name, r := range map[string]*httptest.ResponseRecorder{
		"secret in the query":  w.post("/openid/token?client_secret="+password, exchange(code), "website", password),
		"token by GET":         w.get("/openid/token", exchange(code)),
		"refresh token":        w.post("/openid/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, "website", password),
		"client credentials":   w.post("/openid/token", url.Values{"grant_type": {"client_credentials"}}, "website", password),
		"password":             w.post("/openid/token", url.Values{"grant_type": {"password"}, "username": {"a"}, "password": {"b"}}, "website", password),
		"JWT bearer":           w.post("/openid/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {"x"}}, "website", password),
		"token exchange":       w.post("/openid/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {"x"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}}, "website", password),
		"two ways at once":     w.post("/openid/token", exchange(code, "client_id", "website", "client_secret", password), "website", password),
		"access token in URL":  w.get("/openid/userinfo?access_token=x", nil),
		"userinfo, no token":   w.get("/openid/userinfo", nil),
		"introspection":        w.post("/oauth/introspect", url.Values{"token": {"x"}}, "website", password),
		"logout, no hint":      w.get("/openid/logout", url.Values{"post_logout_redirect_uri": {goodbye}}),
		"logout, none of ours": w.get("/openid/logout", url.Values{"id_token_hint": {"eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2FwaS5zaG9wLmV4YW1wbGUiLCJhdWQiOiJ3ZWJzaXRlIn0."}}),
	} {
		if r.Code < 400 || r.Code > 405 || r.Header().Get("Location") != "" {
			t.Errorf("%s: %d %s", name, r.Code, r.Body)
		}
		if strings.Contains(r.Body.String(), "CANARY") {
			t.Errorf("%s tells the secret: %s", name, r.Body)
		}
	}
}

// TestBrokenPorts: where something cannot be asked nothing is given, and the reason stays inside.
func TestBrokenPorts(t *testing.T) {
	w := newWorld(t)
	visit := w.signIn("ada")
	code := w.code(w.get("/openid/authorize", ask(), visit), callback)
	w.broken = errors.New("CANARY: the disk is full")
	for name, r := range map[string]*httptest.ResponseRecorder{
		"authorize": w.get("/openid/authorize", ask(), visit), "token": w.post("/openid/token", exchange(code), "website", password),
	} {
		if r.Code == http.StatusOK || strings.Contains(r.Header().Get("Location"), "code=") || strings.Contains(r.Body.String()+r.Header().Get("Location"), "CANARY") {
			t.Errorf("%s: %d %s %s", name, r.Code, r.Header().Get("Location"), r.Body)
		}
	}
}

// TestDiscovery: what the document says is what is there.
func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	var doc map[string]any
	r := w.get(openid.Discovery, nil)
	if err := json.Unmarshal(r.Body.Bytes(), &doc); err != nil || doc["issuer"] != issuer {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "end_session_endpoint", "jwks_uri"} {
		at, _ := doc[name].(string)
		path, ok := strings.CutPrefix(at, issuer)
		if !ok || w.send(httptest.NewRequest(http.MethodPost, path, nil)).Code == http.StatusNotFound {
			t.Errorf("%s: nothing at %q", name, at)
		}
	}
	for _, name := range []string{"introspection_endpoint", "registration_endpoint", "device_authorization_endpoint"} {
		if doc[name] != nil {
			t.Errorf("%s: %v", name, doc[name])
		}
	}
}

// TestKeysRotate: a new key is published a day before it signs, the old one a day longer,
// and two nodes make one.
func TestKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root, err := seal.NewRoot(secret.NewValue([]byte(strings.Repeat("k", seal.RootSize))))
		if err != nil {
			t.Fatal(err)
		}
		store := &keyStore{}
		open := func() *openid.Keys {
			k, err := openid.OpenKeys(t.Context(), openid.KeysOptions{Store: store, Sealer: root, Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		a, b := open(), open()
		count := func(want int) {
			t.Helper()
			for _, k := range []*openid.Keys{a, b} {
				if err := k.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if len(store.keys) != want {
				t.Errorf("%d keys, not %d", len(store.keys), want)
			}
		}
		count(1)
		time.Sleep(89*24*time.Hour - time.Second)
		count(1)
		time.Sleep(time.Second)
		count(2)
		time.Sleep(48*time.Hour - time.Second)
		count(2)
		time.Sleep(time.Second)
		count(1)
		other, err := seal.NewRoot(secret.NewValue([]byte(strings.Repeat("x", seal.RootSize))))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := openid.OpenKeys(t.Context(), openid.KeysOptions{Store: store, Sealer: other, Now: time.Now}); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("another root key: %v", err)
		}
	})
}
