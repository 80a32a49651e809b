package grant_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/authcode"
	"sallyport/internal/grant"
	"sallyport/internal/outbound"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/secret/seal"
	"sallyport/internal/site"
	"sallyport/internal/store/sqlite"
)

// server is an authorization server with refresh tokens that are replaced at each use. With
// grace the one before the last is still taken; without, using it ends the grant.
type server struct {
	mu        sync.Mutex
	grace     bool
	life      int
	n         int
	last      string
	before    string
	over      bool
	renewals  int
	revoked   []string
	fail      int // answers with this status
	afterward func()
}

func (s *server) answer(path string, form url.Values) (int, any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != 0 {
		return s.fail, map[string]any{}
	}
	if path == "/revoke" {
		s.revoked = append(s.revoked, form.Get("token"))
		s.over = true
		return 200, map[string]any{}
	}
	if form.Get("grant_type") == "refresh_token" {
		s.renewals++
		got := form.Get("refresh_token")
		if s.over || got != s.last && (!s.grace || got != s.before) {
			s.over = true
			return 400, map[string]any{"error": "invalid_grant"}
		}
	} else if form.Get("code") != "the-code" || form.Get("code_verifier") == "" {
		return 400, map[string]any{"error": "invalid_grant"}
	} else {
		s.over = false
	}
	s.n++
	s.before, s.last = s.last, fmt.Sprintf("refresh-token-%04d-canary", s.n)
	if s.afterward != nil {
		s.afterward()
	}
	return 200, map[string]any{"access_token": fmt.Sprintf("access-token-%04d-canary", s.n), "refresh_token": s.last, "token_type": "Bearer", "expires_in": s.life, "scope": "calendar.read"}
}

// Do implements authcode.Sender.
func (s *server) Do(ctx context.Context, c *outbound.Call) (*outbound.Result, error) {
	r := outbound.Request{Method: c.Method, Path: c.Path, RawQuery: c.RawQuery, Header: c.Header.Clone(), Body: c.Body}
	if _, err := c.Credential.Apply(ctx, &r); err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, err
	}
	status, body := s.answer(c.Path, form)
	raw, err := json.Marshal(body)
	return &outbound.Result{Status: status, Body: raw, Header: http.Header{}}, err
}

// world is a store and an authorization server; desks over it are nodes.
type world struct {
	t      *testing.T
	store  *sqlite.Store
	ring   *seal.Keyring
	server *server
	file   string

	mu     sync.Mutex
	now    time.Time
	used   map[string]bool
	signed map[string]bool // login id and subject
	died   []grant.Key
}

func newWorld(t *testing.T) *world {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sallyport.db")
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: file, Role: sqlite.Serve})
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
	return &world{t: t, store: store, file: file, ring: seal.NewKeyring(root, store), server: &server{life: 3600}, now: time.Now(),
		used: map[string]bool{}, signed: map[string]bool{"login-1 ada": true, "login-2 bob": true}}
}

func (w *world) clock() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }

func (w *world) pass(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(d) }

func (w *world) desk(store grant.Store) *grant.Desk {
	w.t.Helper()
	d, err := grant.NewDesk(grant.Options{Store: store, Now: w.clock, Log: slog.New(slog.DiscardHandler),
		Sealer:    func(ctx context.Context, s string) (authcode.Sealer, error) { return w.ring.DataKey(ctx, s) },
		Pseudonym: func(_, subject string) (string, error) { return "hash-of-" + subject, nil },
		Once: func(_ context.Context, id string, _ time.Time) (bool, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			first := !w.used[id]
			w.used[id] = true
			return first, nil
		},
		SignedIn: func(_ context.Context, _, id, subject string) (bool, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.signed[id+" "+subject], nil
		},
		Way: func(*site.Connection, *provider.Pack) authcode.Way {
			return func(address string) (authcode.Sender, string, string, error) {
				u, err := url.Parse(address)
				return w.server, u.Path, u.RawQuery, err
			}
		},
		Secret: func(context.Context, *site.Connection, *provider.Pack, string) (secret.Value, error) {
			return secret.NewValue([]byte("client-secret-canary")), nil
		},
		Died: func(_ context.Context, k grant.Key) { w.mu.Lock(); defer w.mu.Unlock(); w.died = append(w.died, k) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = d.Close() })
	return d
}

func at(siteName, connection string) grant.At {
	pack := &provider.Pack{ID: "calendars", Grant: &provider.Grant{Kind: provider.GrantOAuth, ClientID: "client_id", ClientSecret: "client_secret", Scopes: []string{"calendar.read"},
		Authorize: "https://id.example/authorize", Token: "https://id.example/token", Revoke: "https://id.example/revoke", Params: map[string]string{"access_type": "offline"}}}
	conn := &site.Connection{Site: siteName, Name: connection, Provider: "calendars", Mode: provider.Live, Account: map[string]string{"client_id": "the-client"}, Connect: &site.Connect{Scopes: []string{"calendar.write"}}}
	s := &site.Site{Name: siteName, Origins: []site.Origin{site.Origin("https://" + siteName + ".example")}, Connections: map[string]*site.Connection{connection: conn}}
	return grant.At{Site: s, Connection: conn, Pack: pack, Base: "https://api." + siteName + ".example"}
}

var (
	shop = at("shop", "calendar")
	ada  = grant.Who{Subject: "ada", Login: "login-1"}
)

// begin begins an attempt and gives its cookie and the state.
func begin(t *testing.T, d *grant.Desk, a grant.At, who grant.Who) (cookie, state string) {
	t.Helper()
	location, cookie, err := d.Begin(t.Context(), a, who, "")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("redirect_uri") != a.Callback() || q.Get("code_challenge_method") != "S256" || q.Get("access_type") != "offline" || q.Get("scope") != "calendar.read calendar.write" {
		t.Errorf("sent to %s", location)
	}
	return cookie, q.Get("state")
}

func connect(t *testing.T, d *grant.Desk) {
	t.Helper()
	cookie, state := begin(t, d, shop, ada)
	if back, who, err := d.Finish(t.Context(), shop, cookie, "code=the-code&state="+state); err != nil || who != ada || back != "https://shop.example/" {
		t.Fatalf("back to %q as %v, %v", back, who, err)
	}
}

// send applies a subject's token to a request.
func send(ctx context.Context, d *grant.Desk, a grant.At, subject string) (string, error) {
	c, err := d.Credential(a, subject, outbound.Placement{Kind: outbound.KindHeader, Name: "Authorization", Value: "Bearer {access_token}"})
	if err != nil {
		return "", err
	}
	r := outbound.Request{Header: http.Header{}}
	_, err = c.Apply(ctx, &r)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), err
}

func code(err error) problem.Code {
	var p *problem.Error
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

func TestAGrantIsItsSubjectsAlone(t *testing.T) {
	w := newWorld(t)
	d := w.desk(w.store)
	connect(t, d)
	if got, err := send(t.Context(), d, shop, "ada"); err != nil || got != "access-token-0001-canary" {
		t.Fatalf("ada sends %q, %v", got, err)
	}
	for name, try := range map[string]struct {
		at      grant.At
		subject string
	}{"another subject": {shop, "bob"}, "another site": {at("blog", "calendar"), "ada"}, "another connection": {at("shop", "mail"), "ada"}} {
		if got, err := send(t.Context(), d, try.at, try.subject); got != "" || code(err) != problem.ConnectRequired {
			t.Errorf("%s sends %q, %v", name, got, err)
		}
	}
}

func TestAttemptsAreBound(t *testing.T) {
	w := newWorld(t)
	d := w.desk(w.store)
	cookie, state := begin(t, d, shop, ada)
	other, otherState := begin(t, d, shop, grant.Who{Subject: "bob", Login: "login-2"})
	for name, try := range map[string]struct {
		at            grant.At
		cookie, query string
		want          problem.Code
	}{
		"another browser":         {shop, "", "code=the-code&state=" + state, problem.ConnectState},
		"another's cookie":        {shop, other, "code=the-code&state=" + state, problem.ConnectState},
		"another's state":         {shop, cookie, "code=the-code&state=" + otherState, problem.ConnectState},
		"another site":            {at("blog", "calendar"), cookie, "code=the-code&state=" + state, problem.ConnectState},
		"another connection":      {at("shop", "mail"), cookie, "code=the-code&state=" + state, problem.ConnectState},
		"a mixed-up issuer":       {shop, cookie, "code=the-code&iss=https://evil.example&state=" + state, problem.ConnectUpstream},
		"declined":                {shop, cookie, "error=access_denied&state=" + state, problem.ConnectRefused},
		"two states":              {shop, cookie, "code=the-code&state=" + state + "&state=x", problem.ConnectState},
		"neither code nor error":  {shop, cookie, "state=" + state, problem.ConnectUpstream},
		"a cookie that is forged": {shop, cookie[:len(cookie)-4] + "AAAA", "code=the-code&state=" + state, problem.ConnectState},
	} {
		if _, _, err := d.Finish(t.Context(), try.at, try.cookie, try.query); code(err) != try.want {
			t.Errorf("%s: %v, want %s", name, err, try.want)
		}
	}
	w.signed = map[string]bool{}
	if _, _, err := d.Finish(t.Context(), shop, cookie, "code=the-code&state="+state); code(err) != problem.ConnectState {
		t.Errorf("who has signed out connects: %v", err)
	}
	w.signed = map[string]bool{"login-1 ada": true}
	cookie, state = begin(t, d, shop, ada)
	for n, want := range []problem.Code{"", problem.ConnectState} {
		if _, _, err := d.Finish(t.Context(), shop, cookie, "code=the-code&state="+state); code(err) != want {
			t.Errorf("time %d: %v", n+1, err)
		}
	}
	cookie, state = begin(t, d, shop, ada)
	w.pass(11 * time.Minute)
	if _, _, err := d.Finish(t.Context(), shop, cookie, "code=the-code&state="+state); code(err) != problem.ConnectState {
		t.Errorf("too late: %v", err)
	}
	if w.server.n != 1 {
		t.Errorf("%d codes were exchanged, want that of the one attempt that counts", w.server.n)
	}
}

func TestRenewedOnceOverTwoNodes(t *testing.T) {
	w := newWorld(t)
	nodes := []*grant.Desk{w.desk(w.store), w.desk(w.store)}
	connect(t, nodes[0])
	for round := range 5 {
		w.pass(2 * time.Hour)
		var work sync.WaitGroup
		for n := range 500 {
			work.Go(func() {
				if got, err := send(t.Context(), nodes[n%2], shop, "ada"); err != nil || got != fmt.Sprintf("access-token-%04d-canary", round+2) {
					t.Errorf("round %d: %q, %v", round, got, err)
				}
			})
		}
		work.Wait()
		if w.server.renewals != round+1 {
			t.Fatalf("round %d: renewed %d times", round, w.server.renewals)
		}
	}
}

// dying is a store as a process sees it that is killed after the provider answered: nothing it
// does after that moment arrives.
type dying struct {
	grant.Store
	dead func() bool
}

var errKilled = errors.New("killed")

func (s dying) SaveGrant(ctx context.Context, k grant.Key, holder string, sealed []byte, ended bool) (bool, error) {
	if s.dead() {
		<-ctx.Done()
		return false, errKilled
	}
	return s.Store.SaveGrant(ctx, k, holder, sealed, ended)
}

func TestStoredBeforeUse(t *testing.T) {
	w := newWorld(t)
	broken := true
	d := w.desk(dying{w.store, func() bool { return broken }})
	connect(t, d)
	w.pass(2 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if got, err := send(ctx, d, shop, "ada"); err == nil {
		t.Fatalf("%q is sent, and is nowhere stored", got)
	}
	if err := d.Close(); err != nil { // the flight gives up
		t.Fatal(err)
	}
	broken = false
	w.pass(10 * time.Second) // the pause is over
	if got, err := send(t.Context(), d, shop, "ada"); err != nil || got != "access-token-0002-canary" || w.server.renewals != 1 {
		t.Errorf("afterwards %q, %v, after %d renewals; want what came the first time", got, err, w.server.renewals)
	}
}

func TestAGrantThatTheProviderEnded(t *testing.T) {
	w := newWorld(t)
	d := w.desk(w.store)
	connect(t, d)
	w.server.over = true
	w.pass(2 * time.Hour)
	for range 3 {
		if got, err := send(t.Context(), d, shop, "ada"); got != "" || code(err) != problem.ReconnectRequired {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if w.server.renewals != 1 || len(w.died) != 1 {
		t.Errorf("asked %d times, told %v", w.server.renewals, w.died)
	}
	if all, err := d.List(t.Context(), "shop", "ada"); err != nil || len(all) != 1 || !all[0].Ended {
		t.Errorf("listed %+v, %v", all, err)
	}
	connect(t, d)
	if got, err := send(t.Context(), d, shop, "ada"); err != nil || got == "" {
		t.Errorf("after connecting again: %q, %v", got, err)
	}
}

func TestAProviderThatFailsEndsNothing(t *testing.T) {
	w := newWorld(t)
	d := w.desk(w.store)
	connect(t, d)
	w.server.fail = 503
	w.pass(2 * time.Hour)
	if _, err := send(t.Context(), d, shop, "ada"); code(err) != problem.CredentialUnavailable {
		t.Errorf("%v", err)
	}
	w.server.fail = 0
	w.pass(time.Minute)
	if got, err := send(t.Context(), d, shop, "ada"); err != nil || got != "access-token-0002-canary" || len(w.died) != 0 {
		t.Errorf("%q, %v, died %v", got, err, w.died)
	}
}

func TestDisconnect(t *testing.T) {
	w := newWorld(t)
	d := w.desk(w.store)
	connect(t, d)
	if was, revoked, err := d.Disconnect(t.Context(), shop, "bob"); was || revoked || err != nil {
		t.Errorf("bob disconnects ada: %t, %t, %v", was, revoked, err)
	}
	if was, revoked, err := d.Disconnect(t.Context(), shop, "ada"); !was || !revoked || err != nil || len(w.server.revoked) != 1 || w.server.revoked[0] != "refresh-token-0001-canary" {
		t.Errorf("%t, %t, %v; revoked %v", was, revoked, err, w.server.revoked)
	}
	if _, err := send(t.Context(), d, shop, "ada"); code(err) != problem.ConnectRequired {
		t.Errorf("afterwards %v", err)
	}
	connect(t, d)
	w.server.fail = 500
	if was, revoked, err := d.Disconnect(t.Context(), shop, "ada"); !was || revoked || err != nil {
		t.Errorf("with a provider that fails: %t, %t, %v", was, revoked, err)
	}
	w.server.fail = 0
	if _, err := send(t.Context(), d, shop, "ada"); code(err) != problem.ConnectRequired {
		t.Errorf("what could not be revoked is still sent: %v", err)
	}
}

// TestForget: of a person who is to be forgotten no grant stays, whether the provider hears of
// it or not; those of others do.
func TestForget(t *testing.T) {
	w := newWorld(t)
	d := w.desk(w.store)
	known := func(string) (grant.At, bool) { return shop, true }
	connect(t, d)
	if n, err := d.Forget(t.Context(), shop.Site.Name, "bob", known); n != 0 || err != nil {
		t.Errorf("of bob, who has none: %d, %v", n, err)
	}
	if _, err := send(t.Context(), d, shop, "ada"); err != nil {
		t.Errorf("ada's went with bob's: %v", err)
	}
	if n, err := d.Forget(t.Context(), shop.Site.Name, "ada", known); n != 1 || err != nil || len(w.server.revoked) != 1 {
		t.Errorf("%d, %v; revoked %v", n, err, w.server.revoked)
	}
	connect(t, d)
	if n, err := d.Forget(t.Context(), shop.Site.Name, "ada", func(string) (grant.At, bool) { return grant.At{}, false }); n != 1 || err != nil || len(w.server.revoked) != 1 {
		t.Errorf("of a connection that is gone: %d, %v", n, err)
	}
	if _, err := send(t.Context(), d, shop, "ada"); code(err) != problem.ConnectRequired {
		t.Errorf("afterwards %v", err)
	}
}

func TestNoTokenLiesOpenInTheStore(t *testing.T) {
	w := newWorld(t)
	d := w.desk(w.store)
	connect(t, d)
	w.pass(2 * time.Hour)
	if _, err := send(t.Context(), d, shop, "ada"); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(w.file + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "canary") {
			t.Errorf("a token lies open in %s", filepath.Base(w.file)+suffix)
		}
	}
}

// kills is how many processes die between the provider's answer and the store.
func kills() int {
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		return 200
	}
	return 6
}

// TestKilledBetweenReceiptAndStore lets a process die after the provider has replaced the
// refresh token and before the new one is stored, again and again. Where the provider still
// takes the one before, nothing is lost; where it does not, the visitor is told to connect
// again, once each time, and nothing is sent meanwhile.
func TestKilledBetweenReceiptAndStore(t *testing.T) {
	for _, grace := range []bool{true, false} {
		t.Run(fmt.Sprintf("grace=%t", grace), func(t *testing.T) {
			w := newWorld(t)
			w.server.grace = grace
			next := w.desk(w.store)
			connect(t, next)
			lost := 0
			for n := range kills() {
				w.pass(2 * time.Hour)
				if w.kill(); !w.lives(next) {
					lost++
					connect(t, next)
				}
				if len(w.died) != lost {
					t.Fatalf("kill %d: %d grants were lost, %d told", n, lost, len(w.died))
				}
			}
			if want := map[bool]int{true: 0, false: kills()}[grace]; lost != want {
				t.Errorf("%d of %d kills ended the grant, want %d", lost, kills(), want)
			}
			t.Logf("%d kills: %d grants ended, %d notices", kills(), lost, len(w.died))
		})
	}
}

// kill renews in a process that dies with the tokens in its hands. Its lease ends by itself;
// here it is given back at once, as time does.
func (w *world) kill() {
	w.t.Helper()
	k := grant.Key{Site: "shop", Connection: "calendar", Subject: "hash-of-ada"}
	g, _, err := w.store.FindGrant(w.t.Context(), k)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, _, granted, err := w.store.LeaseGrant(w.t.Context(), k, grant.Lease{Holder: "killed", Seen: g.Version, For: time.Minute}); err != nil || !granted {
		w.t.Fatal(granted, err)
	}
	w.server.mu.Lock()
	last := w.server.last
	w.server.mu.Unlock()
	if status, _ := w.server.answer("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {last}}); status != 200 {
		w.t.Fatal("the killed process got no tokens")
	}
	if err := w.store.ReleaseGrant(w.t.Context(), k, "killed"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) lives(d *grant.Desk) bool {
	w.t.Helper()
	got, err := send(w.t.Context(), d, shop, "ada")
	if err != nil && code(err) != problem.ReconnectRequired {
		w.t.Fatal(err)
	}
	return err == nil && got != ""
}
