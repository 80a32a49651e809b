package egress_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/guard"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

const shopOrigin = site.Origin("https://shop.example")

// world is a gate over fakes of its ports and the real catalog.
type world struct {
	*egress.Gate
	t testing.TB

	upstream *fakeUpstream
	audit    *fakeAudit
	repeats  *memoryRepeats
	records  *records
	keys     *session.SiteKeys
	store    *keyStore
	spent    *memoryPermits
	deps     egress.Deps
	guards   guard.Rules
}

// catalog is the real one, shared: it is safe for concurrent use and slow to load.
var catalog = provider.Builtin()

// open makes a gate for the connections of site "shop".
func open(t testing.TB, conns ...*site.Connection) *world {
	t.Helper()
	w := &world{t: t, guards: unguarded(), upstream: &fakeUpstream{}, audit: &fakeAudit{}, repeats: &memoryRepeats{rows: map[egress.RepeatKey]egress.Repeat{}}, records: &records{}, spent: &memoryPermits{rows: map[string]int{}}}
	limiter := ratelimit.New(1 << 12)
	w.store = &keyStore{keys: map[[32]byte]session.StoredKey{}}
	var err error
	if w.keys, err = session.NewSiteKeys(session.SiteKeysOptions{Store: w.store, Limiter: limiter, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	w.deps = egress.Deps{Sessions: sessions{}, Keys: w.keys, Limiter: limiter, Freezes: freezes{}, Audit: w.audit,
		Idempotency: w.repeats, Flights: &egress.Flights{}, Answers: sealed{}, Recorder: w.records, Config: "config-1", Now: time.Now,
		PermitReader: permitReader(t, w.keys), Permits: w.spent, Receipts: unsigned{},
		Upstream: func(*site.Connection, *provider.Pack, *contract.Operation) (egress.Upstream, error) {
			return w.upstream, nil
		}}
	w.build(conns...)
	return w
}

// unguarded is for tests of other things, which make many calls of one visit.
func unguarded() guard.Rules {
	r := guard.Defaults()
	r.Cards.Mode, r.Messages.Mode, r.Autocomplete.Mode = guard.Off, guard.Off, guard.Off
	return r
}

func (w *world) build(conns ...*site.Connection) {
	w.t.Helper()
	shop := &site.Site{Name: "shop", Origins: []site.Origin{shopOrigin}, Connections: map[string]*site.Connection{}, Guards: w.guards,
		Limits: []ratelimit.Rule{{Calls: 100000, Window: time.Minute, Per: ratelimit.PerSession}}}
	for _, c := range conns {
		c.Site = "shop"
		shop.Connections[c.Name] = c
	}
	w.buildSite(shop)
}

func (w *world) buildSite(shop *site.Site) {
	w.t.Helper()
	gate, err := egress.New([]*site.Site{shop}, catalog, w.deps)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Gate = gate
}

// key makes a site key of a shape for all connections of the shop.
func (w *world) key(shape provider.KeyShape) session.Printed {
	w.t.Helper()
	printed, stored, err := session.NewSiteKey(shape, "shop", "", time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.CreateSiteKey(w.t.Context(), stored); err != nil {
		w.t.Fatal(err)
	}
	return printed
}

// browser is a call of a visit.
func browser(connection, method, path, body string, header ...string) *egress.Call {
	c := call(connection, method, path, body, append([]string{"Authorization", "Bearer visit-1"}, header...)...)
	c.Origin = shopOrigin
	return c
}

func call(connection, method, path, body string, header ...string) *egress.Call {
	path, query, _ := strings.Cut(path, "?")
	h := http.Header{}
	if body != "" {
		h.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &egress.Call{ID: "req-1", Site: "shop", Connection: connection, Method: method, Path: path, RawQuery: query, Header: h,
		Client: netip.MustParseAddr("192.0.2.7"), ReadBody: func(int64) ([]byte, error) { return []byte(body), nil }}
}

func (w *world) backend(connection, method, path, body string, header ...string) *egress.Call {
	k := w.key(session.DefaultShape())
	return call(connection, method, path, body, append([]string{"Authorization", "Bearer " + string(k.Secret.Expose())}, header...)...)
}

// refused fails the test unless the answer is that problem.
func refused(t *testing.T, a *egress.Answer, code problem.Code) {
	t.Helper()
	if a.Problem == nil || a.Problem.Code != code {
		t.Fatalf("%d %s %v; want %s", a.Status, a.Body, a.Problem, code)
	}
}

func passed(t *testing.T, a *egress.Answer) {
	t.Helper()
	if a.Problem != nil || a.Status != http.StatusOK {
		t.Fatalf("%d %s %+v; want 200", a.Status, a.Body, a.Problem)
	}
}

func path(t *testing.T, s string) contract.Path {
	t.Helper()
	p, err := contract.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func paths(t *testing.T, s ...string) []contract.Path {
	t.Helper()
	out := []contract.Path{}
	for _, one := range s {
		out = append(out, path(t, one))
	}
	return out
}

// payments is a connection to Stripe that a browser may pay over.
func payments(t *testing.T) *site.Connection {
	return &site.Connection{Name: "payments", Provider: "stripe", Mode: provider.Sandbox, BackendAll: true,
		Browser: map[string]*site.BrowserRule{
			"create-payment-intent": {Operation: "create-payment-intent", Free: paths(t, "receipt_email"),
				Fixed:   []site.Fixed{{Path: path(t, "currency"), Value: "eur"}},
				OneOf:   []site.Choice{{Path: path(t, "statement_descriptor_suffix"), Values: []any{"SHOP", "GIFTS"}}},
				Range:   []site.Range{{Path: path(t, "amount"), Min: 500, Max: 500000}},
				Returns: paths(t, "id", "status")},
			"list-products": {Operation: "list-products", Returns: paths(t, "data[].id")},
		}}
}

const (
	intents   = "/v1/payment_intents"
	intentOK  = `{"id":"pi_1","object":"payment_intent","status":"succeeded","amount":1900,"client_secret":"pi_1_secret_x","currency":"eur","brand_new_field":{"a":[1,2]}}`
	cardError = `{"error":{"code":"card_declined","message":"Card of Ada Lovelace was declined","type":"card_error"}}`
)

// fakeUpstream answers what the test says, and counts.
type fakeUpstream struct {
	mu     sync.Mutex
	calls  []*egress.Request
	answer func(n int, r *egress.Request) (*egress.Response, error)
}

// Send implements egress.Upstream the way outbound does: intent, then the attempt.
func (u *fakeUpstream) Send(ctx context.Context, r *egress.Request) (*egress.Response, error) {
	if err := r.Intent(ctx, 1); err != nil {
		return nil, err
	}
	u.mu.Lock()
	u.calls = append(u.calls, r)
	n, f := len(u.calls), u.answer
	u.mu.Unlock()
	if f == nil {
		return reply(200, intentOK), nil
	}
	return f(n, r)
}

func (u *fakeUpstream) count() int { u.mu.Lock(); defer u.mu.Unlock(); return len(u.calls) }

func (u *fakeUpstream) last() *egress.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.calls[len(u.calls)-1]
}

func (u *fakeUpstream) always(r *egress.Response, err error) {
	u.answer = func(int, *egress.Request) (*egress.Response, error) {
		if r == nil {
			return nil, err
		}
		c := *r
		return &c, err
	}
}

func reply(status int, body string) *egress.Response {
	return &egress.Response{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body), Attempts: 1}
}

// fakeAudit keeps what is written.
type fakeAudit struct {
	mu       sync.Mutex
	intents  []audit.Intent
	outcomes map[audit.ID]audit.Outcome
	refusals []audit.Event
	fail     error
	// failRecord is for events alone.
	failRecord error
}

func (a *fakeAudit) Intent(_ context.Context, in audit.Intent) (audit.ID, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		return 0, a.fail
	}
	a.intents = append(a.intents, in)
	return audit.ID(len(a.intents)), nil
}

func (a *fakeAudit) Outcome(_ context.Context, id audit.ID, out audit.Outcome) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.outcomes == nil {
		a.outcomes = map[audit.ID]audit.Outcome{}
	}
	if _, twice := a.outcomes[id]; twice {
		return errors.New("two outcomes of one intent")
	}
	a.outcomes[id] = out
	return nil
}

func (a *fakeAudit) Record(_ context.Context, ev audit.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failRecord != nil {
		return a.failRecord
	}
	a.refusals = append(a.refusals, ev)
	return nil
}

// closed fails the test unless every intent has its one outcome.
func (a *fakeAudit) closed(t *testing.T, intents int) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.intents) != intents || len(a.outcomes) != intents {
		t.Errorf("%d intents, %d outcomes; want %d of each", len(a.intents), len(a.outcomes), intents)
	}
}

type records struct {
	mu  sync.Mutex
	all []*egress.Record
}

func (r *records) Record(_ context.Context, rec *egress.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, rec)
}

func (r *records) last() *egress.Record { r.mu.Lock(); defer r.mu.Unlock(); return r.all[len(r.all)-1] }

// sessions takes every token that begins with "visit-" for the visit of that name.
type sessions struct{}

func (sessions) Verify(token, siteName string, origin site.Origin) (session.Session, error) {
	if !strings.HasPrefix(token, "visit-") {
		return session.Session{}, problem.New(problem.Unauthenticated, "no")
	}
	s := session.Session{ID: token, Site: siteName, Origin: origin, Vouched: session.ByWork}
	if token == "visit-vouched" {
		s.Vouched = session.ByBackend
	}
	return s, nil
}

type freezes struct{}

func (freezes) Frozen(string, string) (egress.Freeze, bool, error) {
	return egress.Freeze{}, false, nil
}

// sealed is a stand-in for the site's data key: only its own site opens it.
type sealed struct{}

func (sealed) Seal(_ context.Context, of egress.AnswerOf, b []byte) ([]byte, error) {
	return json.Marshal(map[string]any{"of": of, "data": b})
}

func (sealed) Open(_ context.Context, of egress.AnswerOf, b []byte) ([]byte, error) {
	var box struct {
		Of   egress.AnswerOf
		Data []byte
	}
	if err := json.Unmarshal(b, &box); err != nil || box.Of != of {
		return nil, errors.New("sealed for another call")
	}
	return box.Data, nil
}

// keyStore is session.SiteKeyStore in memory.
type keyStore struct {
	mu   sync.Mutex
	keys map[[32]byte]session.StoredKey
}

func (s *keyStore) CreateSiteKey(_ context.Context, k session.StoredKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[k.AuthHash] = k
	return nil
}

func (s *keyStore) FindSiteKey(_ context.Context, h [32]byte) (session.StoredKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.keys[h]; ok {
		return k, nil
	}
	return session.StoredKey{}, session.ErrKeyNotFound
}

func (s *keyStore) FindPermitKey(_ context.Context, key ed25519.PublicKey) (session.StoredKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.PermitKey.Equal(key) {
			return k, nil
		}
	}
	return session.StoredKey{}, session.ErrKeyNotFound
}

func (s *keyStore) ListSiteKeys(context.Context, string) ([]session.StoredKey, error) {
	return nil, nil
}
func (s *keyStore) RevokeSiteKey(context.Context, string, time.Time) error    { return nil }
func (s *keyStore) TouchSiteKeys(context.Context, map[string]time.Time) error { return nil }

// memoryRepeats is egress.Idempotency in memory; it passes the conformance suite.
type memoryRepeats struct {
	mu   sync.Mutex
	rows map[egress.RepeatKey]egress.Repeat
}

func (m *memoryRepeats) BeginRepeat(_ context.Context, key egress.RepeatKey, want egress.Repeat, now time.Time) (bool, egress.Repeat, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.rows[key]; ok && (r.State == egress.RepeatInProgress || now.Before(r.ExpiresAt)) {
		return false, r, nil
	}
	want.State, want.CreatedAt, want.Sealed = egress.RepeatInProgress, now, nil
	m.rows[key] = want
	return true, egress.Repeat{}, nil
}

func (m *memoryRepeats) end(key egress.RepeatKey, f func(egress.Repeat)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.rows[key]
	if !ok || r.State == egress.RepeatDone {
		return errors.New("no such call")
	}
	f(r)
	return nil
}

func (m *memoryRepeats) FinishRepeat(_ context.Context, key egress.RepeatKey, sealed []byte, expires time.Time) error {
	return m.end(key, func(r egress.Repeat) {
		r.State, r.Sealed, r.ExpiresAt = egress.RepeatDone, sealed, expires
		m.rows[key] = r
	})
}

func (m *memoryRepeats) MarkRepeatUnknown(_ context.Context, key egress.RepeatKey) error {
	return m.end(key, func(r egress.Repeat) { r.State = egress.RepeatUnknown; m.rows[key] = r })
}

func (m *memoryRepeats) ForgetRepeat(_ context.Context, key egress.RepeatKey) error {
	return m.end(key, func(egress.Repeat) { delete(m.rows, key) })
}

func (m *memoryRepeats) PurgeRepeats(_ context.Context, now time.Time) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, r := range m.rows {
		if r.State != egress.RepeatInProgress && !now.Before(r.ExpiresAt) {
			delete(m.rows, k)
			n++
		}
	}
	return n, nil
}

func mustPath(t testing.TB, s string) contract.Path {
	t.Helper()
	p, err := contract.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
