package openid_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/openid"
	"sallyport/internal/secret"
	"sallyport/internal/secret/seal"
	"sallyport/internal/site"
)

const (
	issuer   = "https://api.shop.example"
	callback = "https://shop.example/auth/callback"
	goodbye  = "https://shop.example/bye?from=gate"
	password = "CANARY-client-secret-01234567890"
)

// world is one site's provider with everything around it in memory.
type world struct {
	t   *testing.T
	p   *openid.Provider
	now time.Time

	mu      sync.Mutex
	signIns map[string]openid.SignIn // by id; the cookie "visit" says whose it is
	used    map[string]bool
	wrong   int
	events  []openid.Event
	broken  error // of every port
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), signIns: map[string]openid.SignIn{}, used: map[string]bool{}}
	root, err := seal.NewRoot(secret.NewValue([]byte(strings.Repeat("k", seal.RootSize))))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := openid.OpenKeys(t.Context(), openid.KeysOptions{Store: &keyStore{}, Sealer: root, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	s := &site.Site{Name: "shop", Origins: []site.Origin{"https://shop.example"}, OpenID: &site.OpenID{
		Logins: []string{"google", "facebook"}, Claims: []string{"email", "email_verified", "name"},
		Clients: map[string]*site.OpenIDClient{
			"website": {Secret: secret.Ref{Scheme: "env", Name: "WEBSITE"}, Redirects: []string{callback, callback + "?b=1"}, AfterLogout: []string{goodbye}},
			"blog":    {Secret: secret.Ref{Scheme: "env", Name: "BLOG"}, Redirects: []string{"https://blog.shop.example/cb"}},
			"page":    {Redirects: []string{callback}},
		}}}
	w.p, err = openid.New(openid.Options{Site: s, Issuer: issuer, Secrets: w, Keys: keys, SignIns: w, Once: w, Guesses: w,
		Sealer: func(context.Context) (openid.Sealer, error) { return root, w.broken }, Done: w.done, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) clock() time.Time { return w.now }

func (w *world) done(_ context.Context, e openid.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// Read implements secret.Source.
func (w *world) Read(_ context.Context, ref secret.Ref) (secret.Value, error) {
	return secret.NewValue([]byte(map[string]string{"WEBSITE": password, "BLOG": "another-client-secret-9876543210"}[ref.Name])), w.broken
}

// Current implements openid.SignIns.
func (w *world) Current(ctx context.Context, siteName string, h http.Header) (openid.SignIn, error) {
	c, err := (&http.Request{Header: h}).Cookie("visit")
	if err != nil {
		return openid.SignIn{}, fmt.Errorf("no cookie: %w", openid.ErrNobody)
	}
	return w.Find(ctx, siteName, c.Value)
}

// Find implements openid.SignIns.
func (w *world) Find(_ context.Context, siteName, id string) (openid.SignIn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.signIns[id]
	if !ok || siteName != "shop" {
		return openid.SignIn{}, errors.Join(w.broken, openid.ErrNobody)
	}
	return s, w.broken
}

// End implements openid.SignIns.
func (w *world) End(_ context.Context, _, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.signIns, id)
	return nil
}

// Address implements openid.SignIns.
func (w *world) Address(connection, then string) string {
	return "/login/" + connection + "?" + url.Values{"return_to": {then}}.Encode()
}

// Use implements openid.Once.
func (w *world) Use(_ context.Context, siteName, id string, _ time.Time) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := siteName + "/" + id
	first := !w.used[key]
	w.used[key] = true
	return first, w.broken
}

// Check implements openid.Guesses.
func (w *world) Check(context.Context, netip.Addr) error {
	if w.wrong >= 5 {
		return errors.New("too many")
	}
	return nil
}

// Count implements openid.Guesses.
func (w *world) Count(context.Context, netip.Addr) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong++
	return nil
}

// signIn is a person in a browser; the cookie that says so.
func (w *world) signIn(id string) *http.Cookie {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.signIns[id] = openid.SignIn{ID: id, Subject: "pseudonym-" + id, At: w.now,
		Claims: map[string]any{"email": id + "@CANARY.example", "email_verified": true, "name": "Ada"}}
	return &http.Cookie{Name: "visit", Value: id}
}

func (w *world) send(r *http.Request) *httptest.ResponseRecorder {
	w.t.Helper()
	out := httptest.NewRecorder()
	w.p.Serve(out, r, netip.MustParseAddr("203.0.113.7"))
	return out
}

func (w *world) get(path string, query url.Values, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, path+"?"+query.Encode(), nil)
	if query == nil {
		r = httptest.NewRequest(http.MethodGet, path, nil)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return w.send(r)
}

func (w *world) post(path string, form url.Values, basic ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if len(basic) == 2 {
		r.SetBasicAuth(basic[0], basic[1])
	}
	return w.send(r)
}

// ask is a good authorization request of the client website, without PKCE.
func ask(change ...string) url.Values {
	q := url.Values{"client_id": {"website"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid email"}, "state": {"st/ate&1"}, "nonce": {"n-1"}}
	for i := 0; i+1 < len(change); i += 2 {
		q.Del(change[i])
		if change[i+1] != "" {
			q.Set(change[i], change[i+1])
		}
	}
	return q
}

// code takes a code out of a redirect to the client.
func (w *world) code(r *httptest.ResponseRecorder, to string) string {
	w.t.Helper()
	at, err := url.Parse(r.Header().Get("Location"))
	if r.Code != http.StatusFound || err != nil || !strings.HasPrefix(at.String(), to) || at.Query().Get("code") == "" {
		w.t.Fatalf("no code: %d %s %s", r.Code, r.Header().Get("Location"), r.Body)
	}
	return at.Query().Get("code")
}

// exchange is a good form for the token endpoint.
func exchange(code string, change ...string) url.Values {
	f := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}}
	for i := 0; i+1 < len(change); i += 2 {
		f.Del(change[i])
		if change[i+1] != "" {
			f.Set(change[i], change[i+1])
		}
	}
	return f
}

// keyStore is a openid.KeyStore in memory.
type keyStore struct {
	mu   sync.Mutex
	keys []openid.StoredKey
}

func (s *keyStore) ListOpenIDKeys(context.Context) ([]openid.StoredKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys), nil
}

func (s *keyStore) CreateOpenIDKey(_ context.Context, k openid.StoredKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.keys, func(o openid.StoredKey) bool { return o.Predecessor == k.Predecessor }) {
		return openid.ErrKeyExists
	}
	s.keys = append(s.keys, k)
	return nil
}

func (s *keyStore) DeleteOpenIDKey(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = slices.DeleteFunc(s.keys, func(k openid.StoredKey) bool { return k.ID == id })
	return nil
}
