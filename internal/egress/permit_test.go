package egress_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/egress/egresstest"
	"sallyport/internal/jws"
	"sallyport/internal/permit"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/receipt"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

func permitReader(t testing.TB, keys *session.SiteKeys) *permit.Reader {
	t.Helper()
	r, err := permit.NewReader(permit.Options{Keys: keys, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// memoryPermits is egress.Permits in memory; it passes the conformance suite.
type memoryPermits struct {
	mu   sync.Mutex
	rows map[string]int
	ends map[string]time.Time
	fail error
}

func (m *memoryPermits) SpendPermit(_ context.Context, u egress.PermitUse) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := u.KeyID + "\x00" + u.PermitID
	if m.fail != nil || m.rows[k] >= u.Uses {
		return false, m.fail
	}
	m.rows[k]++
	if m.ends == nil {
		m.ends = map[string]time.Time{}
	}
	if u.Until.After(m.ends[k]) {
		m.ends[k] = u.Until
	}
	return true, nil
}

func (m *memoryPermits) ReturnPermit(_ context.Context, u egress.PermitUse) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := u.KeyID + "\x00" + u.PermitID; m.rows[k] > 0 {
		m.rows[k]--
	}
	return nil
}

func (m *memoryPermits) PurgePermits(_ context.Context, now time.Time) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, end := range m.ends {
		if !now.Before(end) {
			delete(m.rows, k)
			delete(m.ends, k)
			n++
		}
	}
	return n, nil
}

func TestMemoryPermitsAreTheRealThing(t *testing.T) {
	egresstest.Permits(t, func(*testing.T) egress.Permits { return &memoryPermits{rows: map[string]int{}} })
}

// unsigned writes receipts as plain JSON.
type unsigned struct{}

func (unsigned) Issue(r receipt.Receipt) (string, error) {
	b, err := json.Marshal(r)
	return string(b), err
}

// sealedPayments is payments with the amount sealed.
func sealedPayments(t testing.TB) *site.Connection {
	c := &site.Connection{Name: "payments", Provider: "stripe", Mode: provider.Sandbox, BackendAll: true}
	rule := &site.BrowserRule{Operation: "create-payment-intent", Fixed: []site.Fixed{{Path: mustPath(t, "currency"), Value: "eur"}}}
	rule.Free = append(rule.Free, mustPath(t, "receipt_email"), mustPath(t, "metadata.note"))
	rule.Sealed = append(rule.Sealed, mustPath(t, "amount"), mustPath(t, "metadata.order"))
	rule.Returns = append(rule.Returns, mustPath(t, "id"))
	rule.Receipt = append(rule.Receipt, mustPath(t, "id"), mustPath(t, "amount"), mustPath(t, "status"))
	refund := &site.BrowserRule{Operation: "create-refund", Sealed: rule.Sealed[:1], Returns: rule.Returns}
	c.Browser = map[string]*site.BrowserRule{"create-payment-intent": rule, "create-refund": refund}
	return c
}

// shopKey is a site key of the shop, and the claims of a permit that it may sign.
type shopKey struct {
	id      string
	private ed25519.PrivateKey
	text    string
}

func (w *world) signer(connection string) shopKey {
	w.t.Helper()
	printed, stored, err := session.NewSiteKey(session.DefaultShape(), "shop", connection, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.CreateSiteKey(w.t.Context(), stored); err != nil {
		w.t.Fatal(err)
	}
	private, err := session.PermitSigner(string(printed.Secret.Expose()))
	if err != nil {
		w.t.Fatal(err)
	}
	return shopKey{id: stored.ID, private: private, text: string(printed.Secret.Expose())}
}

type claims map[string]any

var permitCount atomic.Int64

func goodClaims() claims {
	now := time.Now()
	return claims{"jti": fmt.Sprintf("order-%d", permitCount.Add(1)), "site": "shop", "connection": "payments", "mode": "sandbox",
		"operation": "create-payment-intent", "origin": string(shopOrigin), "session": "visit-1",
		"sealed": claims{"amount": 1900, "metadata.order": "o-17"}, "uses": 1, "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
}

func (c claims) with(name string, value any) claims {
	out := maps.Clone(c)
	if out[name] = value; value == nil {
		delete(out, name)
	}
	return out
}

func (k shopKey) sign(t testing.TB, c claims) string {
	t.Helper()
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := k.private.Public().(ed25519.PublicKey)
	return jws.Sign(permit.Type, base64.RawURLEncoding.EncodeToString(public), k.private, payload)
}

func payWith(token, body string) *egress.Call {
	if token == "" {
		return browser("payments", "POST", intents, body)
	}
	return browser("payments", "POST", intents, body, egress.PermitHeader, token)
}

// TestSealedValueIsInserted: what the provider gets is the permit's value.
func TestSealedValueIsInserted(t *testing.T) {
	w := open(t, sealedPayments(t))
	k := w.signer("")
	passed(t, w.Call(t.Context(), payWith(k.sign(t, goodClaims()), `{"receipt_email":"a@b.example"}`)))
	sent, err := url.ParseQuery(string(w.upstream.last().Body))
	if err != nil || sent.Get("amount") != "1900" || sent.Get("metadata[order]") != "o-17" || sent.Get("currency") != "eur" || sent.Get("receipt_email") != "a@b.example" {
		t.Errorf("the provider got %s", w.upstream.last().Body)
	}
}

// TestPermitAttacks: every way to use a permit for something else is refused with the
// documented code, reaches nobody and stands in the audit log.
func TestPermitAttacks(t *testing.T) {
	w := open(t, sealedPayments(t), &site.Connection{Name: "other", Provider: "stripe", Mode: provider.Sandbox, Browser: sealedPayments(t).Browser})
	k, bound := w.signer(""), w.signer("other")
	good := goodClaims()
	now := time.Now()
	sealed := func(c claims) claims { return good.with("sealed", c) }
	parts := strings.Split(k.sign(t, good), ".")
	edited := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(unb64(t, parts[1]), "1900", "1000", 1)))
	foreign := shopKey{private: ed25519.NewKeyFromSeed(make([]byte, 32))}
	refuse, spent := problem.PermitRefused, problem.PermitSpent
	for _, row := range []struct {
		name, token string
		code        problem.Code
	}{
		{"no permit", "", problem.PermitRequired},
		{"edited amount", parts[0] + "." + edited + "." + parts[2], refuse},
		{"no signature", parts[0] + "." + parts[1] + ".", refuse},
		{"a stranger's key", foreign.sign(t, good), refuse},
		{"the key of another connection", bound.sign(t, good), refuse},
		{"another site", k.sign(t, good.with("site", "blog")), refuse},
		{"another connection", k.sign(t, good.with("connection", "other")), refuse},
		{"another mode", k.sign(t, good.with("mode", "live")), refuse},
		{"another operation", k.sign(t, good.with("operation", "create-refund")), refuse},
		{"another origin", k.sign(t, good.with("origin", "https://evil.example")), refuse},
		{"another visit", k.sign(t, good.with("session", "visit-2")), refuse},
		{"expired", k.sign(t, good.with("nbf", now.Add(-10*time.Minute).Unix()).with("exp", now.Add(-time.Second).Unix())), refuse},
		{"not yet", k.sign(t, good.with("nbf", now.Add(5*time.Minute).Unix()).with("exp", now.Add(9*time.Minute).Unix())), refuse},
		{"too long", k.sign(t, good.with("exp", now.Add(16*time.Minute).Unix())), refuse},
		{"one value missing", k.sign(t, sealed(claims{"amount": 1900})), refuse},
		{"no value", k.sign(t, sealed(claims{})), refuse},
		{"one value more", k.sign(t, sealed(claims{"amount": 1900, "metadata.order": "o", "currency": "usd"})), refuse},
		{"another value", k.sign(t, sealed(claims{"currency": "usd", "metadata.order": "o"})), refuse},
		{"the value above", k.sign(t, sealed(claims{"amount": 1900, "metadata": claims{"order": "o"}})), refuse},
		{"a claim of its own", k.sign(t, good.with("admin", true)), refuse},
		{"no uses", k.sign(t, good.with("uses", 0)), refuse},
		{"a word of uses", k.sign(t, good.with("uses", "1")), refuse},
		{"a value against the contract", k.sign(t, sealed(claims{"amount": "much", "metadata.order": "o"})), problem.ContractViolation},
		{"a negative amount", k.sign(t, sealed(claims{"amount": -5, "metadata.order": "o"})), problem.ContractViolation},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(w.audit.refusals)
			refused(t, w.Call(t.Context(), payWith(row.token, `{}`)), row.code)
			if n := w.upstream.count(); n != 0 {
				t.Fatalf("%d calls reached the provider", n)
			}
			if len(w.audit.refusals) != before+1 || w.audit.refusals[before].Code != row.code {
				t.Errorf("the audit log has %+v", w.audit.refusals[before:])
			}
		})
	}
	t.Run("replay", func(t *testing.T) {
		token := k.sign(t, good)
		passed(t, w.Call(t.Context(), payWith(token, `{}`)))
		refused(t, w.Call(t.Context(), payWith(token, `{}`)), spent)
		refused(t, w.Call(t.Context(), payWith(k.sign(t, good.with("exp", now.Add(9*time.Minute).Unix())), `{}`)), spent) // the same id
		if n := w.upstream.count(); n != 1 {
			t.Errorf("%d calls reached the provider, want 1", n)
		}
	})
}

func unb64(t *testing.T, s string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPermitHeader: one permit, from a page only.
func TestPermitHeader(t *testing.T) {
	w := open(t, sealedPayments(t))
	k := w.signer("")
	token := k.sign(t, goodClaims())
	twice := payWith(token, `{}`)
	twice.Header.Add(egress.PermitHeader, token)
	refused(t, w.Call(t.Context(), twice), problem.PermitRefused)
	backend := call("payments", "POST", intents, `{"amount":1900,"currency":"eur"}`, "Authorization", "Bearer "+k.text, egress.PermitHeader, token)
	refused(t, w.Call(t.Context(), backend), problem.PermitRefused)
	backend.Header.Del(egress.PermitHeader)
	passed(t, w.Call(t.Context(), backend))
	// A permit for an operation that seals nothing must seal nothing: the backend would
	// believe that its amount holds.
	open := w.withRule("create-payment-intent", &site.BrowserRule{Operation: "create-payment-intent", Free: paths(t, "amount"),
		Fixed: []site.Fixed{{Path: path(t, "currency"), Value: "eur"}}})
	refused(t, open.Call(t.Context(), payWith(token, `{"amount":1}`)), problem.PermitRefused)
	empty := k.sign(t, goodClaims().with("sealed", claims{}))
	passed(t, open.Call(t.Context(), payWith(empty, `{"amount":700}`)))
	refused(t, open.Call(t.Context(), payWith(empty, `{"amount":700}`)), problem.PermitSpent)
}

// withRule gives the payments connection one other browser rule.
func (w *world) withRule(name string, rule *site.BrowserRule) *world {
	c := sealedPayments(w.t)
	c.Browser[name] = rule
	w.build(c)
	return w
}

// TestUsesAreExact: of many calls at once, as many go out as the permit has uses.
func TestUsesAreExact(t *testing.T) {
	w := open(t, sealedPayments(t))
	k := w.signer("")
	token := k.sign(t, goodClaims().with("uses", 3).with("session", permit.AnySession))
	var ok, spent atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			switch a := w.Call(context.Background(), payWith(token, `{}`)); {
			case a.Problem == nil:
				ok.Add(1)
			case a.Problem.Code == problem.PermitSpent:
				spent.Add(1)
			}
		})
	}
	wg.Wait()
	if ok.Load() != 3 || spent.Load() != 47 || w.upstream.count() != 3 {
		t.Errorf("%d calls performed, %d spent, %d sent; want 3, 47, 3", ok.Load(), spent.Load(), w.upstream.count())
	}
}

// TestUseIsGivenBack: only where no byte was sent.
func TestUseIsGivenBack(t *testing.T) {
	for _, row := range []struct {
		name string
		prep func(w *world)
		code problem.Code
		back bool
	}{
		{"audit log full", func(w *world) { w.audit.fail = errors.New("disk full") }, problem.AuditUnavailable, true},
		{"not dialled", func(w *world) { w.upstream.always(nil, problem.New(problem.UpstreamUnreachable, "no")) }, problem.UpstreamUnreachable, true},
		{"timed out", func(w *world) {
			p := problem.New(problem.UpstreamTimeout, "no")
			p.Outcome = problem.Unknown
			w.upstream.always(nil, p)
		}, problem.UpstreamTimeout, false},
		{"the provider refused", func(w *world) { w.upstream.always(reply(402, cardError), nil) }, problem.ProviderRefused, false},
		{"the answer is broken", func(w *world) { w.upstream.always(reply(200, "{"), nil) }, problem.UpstreamMalformed, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := open(t, sealedPayments(t))
			row.prep(w)
			token := w.signer("").sign(t, goodClaims())
			refused(t, w.Call(t.Context(), payWith(token, `{}`)), row.code)
			w.audit.fail, w.upstream.answer = nil, nil
			if a := w.Call(t.Context(), payWith(token, `{}`)); (a.Problem == nil) != row.back {
				t.Errorf("the next call: %d %v; want the use back: %v", a.Status, a.Problem, row.back)
			}
		})
	}
}

// TestUsesCannotBeCounted: nothing is sent then.
func TestUsesCannotBeCounted(t *testing.T) {
	w := open(t, sealedPayments(t))
	w.spent.fail = errors.New("store away")
	refused(t, w.Call(t.Context(), payWith(w.signer("").sign(t, goodClaims()), `{}`)), problem.StoreUnavailable)
	if w.upstream.count() != 0 {
		t.Error("a call was sent whose permit was not counted")
	}
}

// TestRepeatSpendsOnce: a repeat with the same idempotency key is answered and spends nothing;
// a refused parameter spends nothing either.
func TestRepeatSpendsOnce(t *testing.T) {
	w := open(t, sealedPayments(t))
	k := w.signer("")
	token := k.sign(t, goodClaims())
	refused(t, w.Call(t.Context(), payWith(token, `{"amount":5}`)), problem.ParameterRefused)
	keyed := func(token string) *egress.Answer {
		return w.Call(t.Context(), browser("payments", "POST", intents, `{}`, egress.PermitHeader, token, "Idempotency-Key", "k-1"))
	}
	first := keyed(token)
	passed(t, first)
	for range 3 {
		again := keyed(token)
		passed(t, again)
		if again.Header.Get("Idempotent-Replayed") != "true" || again.Header.Get(egress.ReceiptHeader) != first.Header.Get(egress.ReceiptHeader) {
			t.Errorf("the repeat's headers: %v", again.Header)
		}
	}
	passed(t, keyed(k.sign(t, goodClaims()))) // another permit with the same values: the same call
	if w.upstream.count() != 1 || len(w.spent.rows) != 1 {
		t.Errorf("%d sent, %v spent; want one of each", w.upstream.count(), w.spent.rows)
	}
	refused(t, w.Call(t.Context(), payWith(token, `{}`)), problem.PermitSpent)
}

// TestRevokedKeySignsNothing: also of a permit that was verified before.
func TestRevokedKeySignsNothing(t *testing.T) {
	w := open(t, sealedPayments(t))
	k := w.signer("")
	token := k.sign(t, goodClaims().with("uses", 5))
	passed(t, w.Call(t.Context(), payWith(token, `{}`)))
	w.store.mu.Lock()
	for h, stored := range w.store.keys {
		stored.RevokedAt = time.Now()
		w.store.keys[h] = stored
	}
	w.store.mu.Unlock()
	time.Sleep(550 * time.Millisecond) // how long a key is trusted without asking
	refused(t, w.Call(t.Context(), payWith(token, `{}`)), problem.PermitRefused)
}

// TestSealedAddress: an address that the provider sends the visitor to lies on the site's
// origins, also where the backend signed it.
func TestSealedAddress(t *testing.T) {
	c := checkout(t)
	rule := c.Browser["create-checkout-session"]
	rule.Fixed = append(rule.Fixed[:2:2], rule.Fixed[3:]...) // without success_url
	rule.Sealed = paths(t, "success_url")
	w := open(t, c)
	k := w.signer("")
	for address, code := range map[string]problem.Code{"https://shop.example/thanks": "", "https://evil.example/": problem.PermitRefused, "https://shop.example.evil.example/": problem.PermitRefused} {
		token := k.sign(t, goodClaims().with("operation", "create-checkout-session").with("sealed", claims{"success_url": address}))
		w.upstream.always(reply(200, `{"id":"cs_1","object":"checkout.session"}`), nil)
		a := w.Call(t.Context(), browser("payments", "POST", "/v1/checkout/sessions", `{"line_items":[{"price":"price_a","quantity":1}]}`, egress.PermitHeader, token))
		if code != "" {
			refused(t, a, code)
		} else if a.Problem != nil && a.Problem.Outcome == problem.NotSent {
			t.Errorf("%s: %v", address, a.Problem)
		}
	}
}

// TestReceipt: of a performed call, the fields that the rule names, from the checked answer.
func TestReceipt(t *testing.T) {
	w := open(t, sealedPayments(t))
	k := w.signer("")
	a := w.Call(t.Context(), payWith(k.sign(t, goodClaims()), `{}`))
	passed(t, a)
	var r receipt.Receipt
	if err := json.Unmarshal([]byte(a.Header.Get(egress.ReceiptHeader)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Site != "shop" || r.Connection != "payments" || r.Mode != "sandbox" || r.Operation != "create-payment-intent" || r.Session != "visit-1" || r.Origin != shopOrigin ||
		fmt.Sprint(r.Fields) != "map[amount:1900 id:pi_1 status:succeeded]" {
		t.Errorf("the receipt: %+v", r)
	}
	if string(a.Body) != `{"id":"pi_1"}` {
		t.Errorf("the page got %s", a.Body)
	}
	for name, answer := range map[string]*egress.Response{"refused": reply(402, cardError), "failed": reply(500, `{}`), "broken": reply(200, `{"id":7}`)} {
		w.upstream.always(answer, nil)
		if a := w.Call(t.Context(), payWith(k.sign(t, goodClaims()), `{}`)); a.Header.Get(egress.ReceiptHeader) != "" {
			t.Errorf("%s: there is a receipt", name)
		}
	}
	w.upstream.answer = nil
	if a := w.Call(t.Context(), w.backend("payments", "POST", intents, `{"amount":1900,"currency":"eur"}`)); a.Header.Get(egress.ReceiptHeader) != "" {
		t.Error("a backend got a receipt")
	}
}
