package egress

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/contract"
	"sallyport/internal/guard"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// parts are the ports of a Gate, with what was seen at them.
type parts struct {
	mu      sync.Mutex
	now     time.Time
	rows    map[RepeatKey]Repeat
	records []*Record
	open    map[audit.ID]bool // intents without an outcome
	next    audit.ID
	sent    []*Request
	frozen  bool
	waits   func() // between the pipeline and the first attempt
	answer  func(*Request) (*Response, error)
}

func newParts() *parts {
	p := &parts{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), rows: map[RepeatKey]Repeat{}, open: map[audit.ID]bool{}}
	p.answer = func(*Request) (*Response, error) {
		return reply(200, `{"id":"pi_1","object":"payment_intent","amount":1900,"currency":"eur","status":"succeeded","client_secret":"x","created":1,"livemode":false}`), nil
	}
	return p
}

func reply(status int, body string) *Response {
	return &Response{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body), Attempts: 1}
}

func (p *parts) Verify(token, s string, o site.Origin) (session.Session, error) {
	if token == "" {
		return session.Session{}, problem.New(problem.Unauthenticated, "no session")
	}
	return session.Session{ID: token, Site: s, Origin: o, Vouched: session.ByWork}, nil
}

type keys struct{}

func (keys) Verify(context.Context, session.Attempt) (session.StoredKey, error) {
	return session.StoredKey{ID: "key_1"}, nil
}

func (keys) Whose(context.Context, session.Attempt) (session.StoredKey, error) {
	return session.StoredKey{ID: "key_1"}, nil
}

func (p *parts) Frozen(string, string) (Freeze, bool, error) {
	return Freeze{Site: "shop"}, p.frozen, nil
}

func (p *parts) Intent(context.Context, audit.Intent) (audit.ID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	p.open[p.next] = true
	return p.next, nil
}

func (p *parts) Outcome(_ context.Context, id audit.ID, _ audit.Outcome) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, id)
	return nil
}

func (p *parts) Record(context.Context, audit.Event) error { return nil }

type recorder struct{ *parts }

func (r recorder) Record(_ context.Context, rec *Record) { r.records = append(r.records, rec) }

func (p *parts) BeginRepeat(_ context.Context, k RepeatKey, want Repeat, now time.Time) (bool, Repeat, error) {
	if known, ok := p.rows[k]; ok && (known.State == RepeatInProgress || now.Before(known.ExpiresAt)) {
		return false, known, nil
	}
	want.State = RepeatInProgress
	p.rows[k] = want
	return true, Repeat{}, nil
}

func (p *parts) set(k RepeatKey, state RepeatState, sealed []byte) error {
	row := p.rows[k]
	row.State, row.Sealed = state, sealed
	p.rows[k] = row
	return nil
}

func (p *parts) FinishRepeat(_ context.Context, k RepeatKey, sealed []byte, _ time.Time) error {
	return p.set(k, RepeatDone, sealed)
}

func (p *parts) MarkRepeatUnknown(_ context.Context, k RepeatKey) error {
	return p.set(k, RepeatUnknown, nil)
}

func (p *parts) ForgetRepeat(_ context.Context, k RepeatKey) error {
	delete(p.rows, k)
	return nil
}

func (p *parts) PurgeRepeats(context.Context, time.Time) (int, error) { return 0, nil }

type plain struct{}

func (plain) Seal(_ context.Context, _ AnswerOf, b []byte) ([]byte, error) { return b, nil }
func (plain) Open(_ context.Context, _ AnswerOf, b []byte) ([]byte, error) { return b, nil }

func (p *parts) Send(ctx context.Context, r *Request) (*Response, error) {
	if p.waits != nil {
		p.waits()
	}
	if err := r.Intent(ctx, 1); err != nil {
		return nil, err
	}
	p.sent = append(p.sent, r)
	return p.answer(r)
}

func path(t *testing.T, s string) contract.Path {
	t.Helper()
	p, err := contract.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// gate builds a gate over p for one connection.
func (p *parts) gate(t *testing.T, c *site.Connection, limits ...ratelimit.Rule) *Gate {
	t.Helper()
	c.Site, c.Name = "shop", "payments"
	s := &site.Site{Name: "shop", Origins: []site.Origin{"https://shop.example"}, Limits: limits, Connections: map[string]*site.Connection{"payments": c}, Guards: guard.Defaults()}
	g, err := New([]*site.Site{s}, provider.Builtin(), Deps{
		Sessions: p, Keys: keys{}, Limiter: ratelimit.New(1 << 10), Freezes: p, Audit: p, Idempotency: p,
		Flights: &Flights{}, Answers: plain{}, Recorder: recorder{p},
		Upstream: func(*site.Connection, *provider.Pack, *contract.Operation) (Upstream, error) { return p, nil },
		Now:      func() time.Time { return p.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// call is a POST with a JSON body; with a visit it comes from a page.
func call(target, body, key, visit string) *Call {
	c := &Call{ID: "r1", Site: "shop", Connection: "payments", Method: "POST", Path: target,
		Header: http.Header{"Content-Type": {"application/json"}}, Client: netip.MustParseAddr("192.0.2.1"),
		ReadBody: func(int64) ([]byte, error) { return []byte(body), nil }}
	if key != "" {
		c.Header.Set("Idempotency-Key", key)
	}
	if visit != "" {
		c.Origin = "https://shop.example"
		c.Header.Set("Authorization", "Bearer "+visit)
	}
	return c
}

const payment = `{"amount":1900,"currency":"eur"}`

func stripe(mode provider.Mode) *site.Connection {
	return &site.Connection{Provider: "stripe", Mode: mode, BackendAll: true}
}

// A key that was used in the test system must not answer in live: goods would go out
// against a payment that never was.
func TestRepeatsOfAnotherModeAreOtherCalls(t *testing.T) {
	p := newParts()
	if a := p.gate(t, stripe(provider.Sandbox)).Call(t.Context(), call("/v1/payment_intents", payment, "order-1", "")); a.Status != 200 {
		t.Fatalf("sandbox: %+v", a.Problem)
	}
	a := p.gate(t, stripe(provider.Live)).Call(t.Context(), call("/v1/payment_intents", payment, "order-1", ""))
	if a.Status != 200 || a.Header.Get("Idempotent-Replayed") != "" || len(p.sent) != 2 {
		t.Fatalf("live answered from the sandbox's record: status %d, %d calls sent", a.Status, len(p.sent))
	}
}

// An answer that cannot be read leaves nothing to give the caller, so observing it must
// neither hide that the call was made nor make room for a second one.
func TestObservedUnreadableAnswerStaysPerformed(t *testing.T) {
	p := newParts()
	p.answer = func(*Request) (*Response, error) { return reply(200, `{"id":`), nil }
	c := stripe(provider.Sandbox)
	c.Observe = []string{CheckResponse}
	g := p.gate(t, c)
	for range 2 {
		a := g.Call(t.Context(), call("/v1/payment_intents", payment, "order-1", ""))
		if a.Problem == nil || a.Problem.Code != problem.UpstreamMalformed || a.Problem.Outcome != problem.Performed {
			t.Fatalf("answer: %+v", a.Problem)
		}
	}
	if len(p.sent) != 1 {
		t.Fatalf("the call was made %d times", len(p.sent))
	}
}

// PayPal forgets keys after three hours: a repeat after that is a second payment.
func TestUnknownIsNotRepeatedOnceTheProviderForgot(t *testing.T) {
	tests := map[string]struct {
		after time.Duration
		sent  int
		code  problem.Code
	}{
		"while it remembers": {time.Hour, 2, problem.UpstreamTimeout},
		"when it may not":    {170 * time.Minute, 1, problem.IdempotencyUnknown},
		"long after":         {20 * time.Hour, 1, problem.IdempotencyUnknown},
		"a clock set back":   {-time.Hour, 1, problem.IdempotencyUnknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newParts()
			p.answer = func(*Request) (*Response, error) {
				return nil, &problem.Error{Code: problem.UpstreamTimeout, Outcome: problem.Unknown}
			}
			g := p.gate(t, &site.Connection{Provider: "paypal", Mode: provider.Sandbox, BackendAll: true})
			order := func() *Answer {
				return g.Call(t.Context(), call("/v2/checkout/orders", `{"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"19.00"}}]}`, "order-1", ""))
			}
			if a := order(); a.Problem.Code != problem.UpstreamTimeout {
				t.Fatalf("first: %+v", a.Problem)
			}
			p.now = p.now.Add(tt.after)
			if a := order(); a.Problem.Code != tt.code || a.Problem.Outcome != problem.Unknown || len(p.sent) != tt.sent {
				t.Fatalf("repeat: %+v, %d calls sent; want %s and %d", a.Problem, len(p.sent), tt.code, tt.sent)
			}
		})
	}
}

// Two calls that differ in a header parameter only are two calls.
func TestHeadersTellCallsApart(t *testing.T) {
	p := newParts()
	g := p.gate(t, &site.Connection{Provider: "paypal", Mode: provider.Sandbox, BackendAll: true})
	p.answer = func(*Request) (*Response, error) {
		return reply(200, `{"id":"1","status":"CREATED"}`), nil
	}
	body := `{"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"19.00"}}]}`
	first := call("/v2/checkout/orders", body, "order-1", "")
	first.Header.Set("Prefer", "return=minimal")
	if a := g.Call(t.Context(), first); a.Status != 200 {
		t.Fatalf("first: %+v", a.Problem)
	}
	if a := g.Call(t.Context(), call("/v2/checkout/orders", body, "order-1", "")); a.Problem == nil || a.Problem.Code != problem.IdempotencyConflict {
		t.Fatalf("another call under the key: %+v", a)
	}
}

// Whatever goes wrong after an intent, the caller is told, the intent is closed, the
// repeat is refused, and the log says where.
func TestEndsAfterAnIntent(t *testing.T) {
	ends := map[string]func(*Request) (*Response, error){
		"panic":       func(*Request) (*Response, error) { panic("sk_live_canary") },
		"plain error": func(*Request) (*Response, error) { return nil, errors.New("sk_live_canary") },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			p := newParts()
			p.answer = end
			g := p.gate(t, &site.Connection{Provider: "twilio", Mode: provider.Sandbox, BackendAll: true, Account: map[string]string{"account_sid": "AC" + strings.Repeat("0", 32)}})
			sms := func() *Answer {
				return g.Call(t.Context(), call("/2010-04-01/Accounts/x/Messages.json", `{"To":"+4912345678","From":"+4912345679","Body":"hi"}`, "sms-1", ""))
			}
			if a := sms(); a.Problem == nil || a.Problem.Code != problem.Internal || a.Problem.Outcome != problem.Unknown {
				t.Fatalf("answer: %+v", a.Problem)
			}
			if len(p.open) != 0 {
				t.Errorf("%d intents are open", len(p.open))
			}
			if a := sms(); a.Problem == nil || a.Problem.Code != problem.IdempotencyUnknown {
				t.Errorf("repeat: %+v", a)
			}
			if name == "panic" {
				text := p.records[0].InnerError.Error()
				if strings.Contains(text, "canary") || !strings.Contains(text, "(*parts).Send") {
					t.Errorf("the log says %q: want the place and not the value", text)
				}
			}
		})
	}
}

// Sessions are free: a limit per session without one per network limits nobody.
func TestANetworkIsLimitedWhateverTheFileSays(t *testing.T) {
	p := newParts()
	c := stripe(provider.Sandbox)
	c.Browser = map[string]*site.BrowserRule{"create-payment-intent": {Free: []contract.Path{path(t, "amount"), path(t, "currency")}, Returns: []contract.Path{path(t, "id")}}}
	g := p.gate(t, c, ratelimit.Rule{Calls: 10, Window: time.Minute, Per: ratelimit.PerSession})
	refused := 0
	for i := range 700 {
		if a := g.Call(t.Context(), call("/v1/payment_intents", payment, "", "visit-"+string(rune('a'+i%26))+string(rune('a'+i/26)))); a.Problem != nil && a.Problem.Code == problem.RateLimited {
			refused++
		}
	}
	if refused < 90 {
		t.Fatalf("%d of 700 calls of one network with a session each were refused", refused)
	}
}

// A value fixed for every element stands in every element that was sent.
func TestFixedInEveryElement(t *testing.T) {
	p := newParts()
	p.answer = func(*Request) (*Response, error) {
		return reply(200, `{"id":"cs_1","object":"checkout.session","url":"https://x"}`), nil
	}
	c := stripe(provider.Sandbox)
	c.Browser = map[string]*site.BrowserRule{"create-checkout-session": {
		Free: []contract.Path{path(t, "line_items[].quantity")},
		Fixed: []site.Fixed{{Path: path(t, "mode"), Value: "payment"}, {Path: path(t, "line_items[].price"), Value: "price_1"},
			{Path: path(t, "success_url"), Value: "https://shop.example/ok"}},
		Returns: []contract.Path{path(t, "id")},
	}}
	g := p.gate(t, c)
	if a := g.Call(t.Context(), call("/v1/checkout/sessions", `{"line_items":[{"quantity":1},{"quantity":2}]}`, "", "v")); a.Status != 200 {
		t.Fatalf("answer: %+v", a.Problem)
	}
	got := p.sent[0].Args.Tree()["line_items"].([]any)
	for i, item := range got {
		if item.(map[string]any)["price"] != "price_1" {
			t.Errorf("element %d: %v", i, item)
		}
	}
	if len(got) != 2 {
		t.Errorf("%d elements", len(got))
	}
	a := g.Call(t.Context(), call("/v1/checkout/sessions", `{"line_items":[{"quantity":1,"price":"price_2"}]}`, "", "v"))
	if a.Problem == nil || a.Problem.Code != problem.ParameterRefused || len(p.sent) != 1 {
		t.Fatalf("the browser's own price: %+v", a)
	}
}

// What a check that only reports has found can be read in the log, and is its names only.
func TestObservedIsReadable(t *testing.T) {
	p := newParts()
	c := stripe(provider.Sandbox)
	c.Observe = []string{CheckGrammar}
	c.Browser = map[string]*site.BrowserRule{"create-payment-intent": {Free: []contract.Path{path(t, "amount")},
		Fixed: []site.Fixed{{Path: path(t, "currency"), Value: "eur"}}, Returns: []contract.Path{path(t, "id")}}}
	a := p.gate(t, c).Call(t.Context(), call("/v1/payment_intents", `{"amount":1900,"currency":"usd","description":"x"}`, "", "v"))
	if a.Status != 200 {
		t.Fatalf("answer: %+v", a.Problem)
	}
	if got, want := p.records[0].Observed, []string{"grammar.parameter_refused", "currency", "description"}; !slices.Equal(got, want) {
		t.Errorf("observed %q; want %q", got, want)
	}
	if p.sent[0].Args.Tree()["currency"] != "eur" {
		t.Error("a fixed value was not inserted where the grammar only reports")
	}
	var seen map[string]any
	if json.Unmarshal(a.Body, &seen) != nil || len(seen) != 1 {
		t.Errorf("the page sees %s", a.Body)
	}
}

// A page may choose where the visitor comes back to only among the site's own addresses.
func TestAddressesLieOnTheSitesOrigins(t *testing.T) {
	p := newParts()
	p.answer = func(*Request) (*Response, error) { return reply(200, `{"id":"cs_1"}`), nil }
	c := stripe(provider.Sandbox)
	c.Browser = map[string]*site.BrowserRule{"create-checkout-session": {
		Free:  []contract.Path{path(t, "success_url")},
		Fixed: []site.Fixed{{Path: path(t, "mode"), Value: "payment"}}, Returns: []contract.Path{path(t, "id")},
	}}
	g := p.gate(t, c)
	tests := map[string]int{
		"https://shop.example/thanks?id=1":           200,
		"https://shop.example":                       200,
		"https://evil.example/":                      422,
		"https://shop.example.evil.example/":         422,
		"https://shop.example@evil.example/":         422,
		"https://shop.example:8443/":                 422,
		`https://shop.example\\@evil.example/`:       422,
		"http://shop.example/":                       422,
		"//shop.example/":                            422,
		"javascript:alert(1)//https://shop.example/": 422,
	}
	for address, want := range tests {
		a := g.Call(t.Context(), call("/v1/checkout/sessions", `{"success_url":"`+address+`"}`, "", "v"))
		if a.Status != want {
			t.Errorf("%s: status %d, %v; want %d", address, a.Status, a.Problem, want)
		}
	}
}

// Strangers can make any number of visits: their records go when nobody can ask for them
// any more, and calls whose repeat does no harm leave none.
func TestRecordsOfVisitsDoNotStay(t *testing.T) {
	p := newParts()
	c := stripe(provider.Sandbox)
	c.Browser = map[string]*site.BrowserRule{"create-payment-intent": {Free: []contract.Path{path(t, "amount"), path(t, "currency")}, Returns: []contract.Path{path(t, "id")}}}
	if a := p.gate(t, c).Call(t.Context(), call("/v1/payment_intents", payment, "k", "v")); a.Status != 200 {
		t.Fatalf("%+v", a.Problem)
	}
	for _, row := range p.rows {
		if life := row.ExpiresAt.Sub(p.now); life < session.MaxTTL || life > time.Hour {
			t.Errorf("the record of a visit is kept for %s", life)
		}
	}
	p = newParts()
	p.answer = func(*Request) (*Response, error) { return reply(200, `{}`), nil }
	maps := &site.Connection{Provider: "google-maps", Mode: provider.Sandbox, BackendAll: true}
	a := p.gate(t, maps).Call(t.Context(), call("/v1/places:autocomplete", `{"input":"Schlossallee 1"}`, "k", ""))
	if a.Status != 200 || len(p.rows) != 0 {
		t.Errorf("a search: %d %v, %d records with what somebody looked for", a.Status, a.Problem, len(p.rows))
	}
}

// A call that waited for its turn while an operator froze the site is not made.
func TestFreezeStopsWhatWaits(t *testing.T) {
	read := call("/v1/prices", "", "", "")
	read.Method = "GET"
	for name, c := range map[string]*Call{"a read": read, "a payment": call("/v1/payment_intents", payment, "order-1", "")} {
		p := newParts()
		p.waits = func() { p.frozen = true }
		a := p.gate(t, stripe(provider.Sandbox)).Call(t.Context(), c)
		if a.Problem == nil || a.Problem.Code != problem.Frozen || a.Problem.Outcome != problem.NotSent || len(p.sent) != 0 {
			t.Errorf("%s: %+v, %d calls sent", name, a.Problem, len(p.sent))
		}
		if len(p.rows) != 0 || len(p.open) != 0 {
			t.Errorf("%s: %d records and %d intents are left", name, len(p.rows), len(p.open))
		}
	}
}

// A refusal after an attempt that may have been performed is no proof that it was not.
func TestAnAttemptBeforeTheAnswerCounts(t *testing.T) {
	for visit, want := range map[string]int{"": 400, "v": 400} {
		p := newParts()
		p.answer = func(*Request) (*Response, error) {
			r := reply(400, `{"error":{"type":"invalid_request_error","code":"lock_timeout","message":"x"}}`)
			r.Attempts, r.Outcome = 2, problem.Unknown
			return r, nil
		}
		c := stripe(provider.Sandbox)
		c.Browser = map[string]*site.BrowserRule{"create-payment-intent": {Free: []contract.Path{path(t, "amount"), path(t, "currency")}, Returns: []contract.Path{path(t, "id")}}}
		a := p.gate(t, c).Call(t.Context(), call("/v1/payment_intents", payment, "order-1", visit))
		told := a.Header.Get("Sallyport-Outcome")
		if a.Problem != nil {
			told = string(a.Problem.Outcome)
		}
		if a.Status != want || told != "unknown" || p.records[0].Outcome != problem.Unknown {
			t.Errorf("visit %q: status %d, the caller is told %q, the log %q", visit, a.Status, told, p.records[0].Outcome)
		}
		if len(p.rows) != 1 {
			t.Fatalf("visit %q: the record was forgotten", visit)
		}
		for _, row := range p.rows {
			if row.State != RepeatUnknown {
				t.Errorf("visit %q: state %d", visit, row.State)
			}
		}
	}
}

// A call whose end could not be written is unknown, and not in progress for ever.
func TestAnEndThatWasNotWritten(t *testing.T) {
	for name, tt := range map[string]struct {
		conn *site.Connection
		call func() *Call
		want problem.Code
	}{
		"the provider knows the key": {stripe(provider.Sandbox), func() *Call { return call("/v1/payment_intents", payment, "k", "") }, ""},
		"nobody does": {&site.Connection{Provider: "twilio", Mode: provider.Sandbox, BackendAll: true, Account: map[string]string{"account_sid": "AC" + strings.Repeat("0", 32)}},
			func() *Call {
				return call("/2010-04-01/Accounts/x/Messages.json", `{"To":"+4912345678","From":"+4912345679","Body":"hi"}`, "k", "")
			}, problem.IdempotencyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParts()
			g := p.gate(t, tt.conn)
			g.Call(t.Context(), tt.call())
			for k := range p.rows { // as if neither its end nor its failure had reached the disk
				_ = p.set(k, RepeatInProgress, nil)
			}
			p.now = p.now.Add(3 * time.Minute)
			a := g.Call(t.Context(), tt.call())
			if tt.want == "" && a.Status != 200 || tt.want != "" && (a.Problem == nil || a.Problem.Code != tt.want) {
				t.Errorf("status %d, %v; want %q", a.Status, a.Problem, tt.want)
			}
		})
	}
}
