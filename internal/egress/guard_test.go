package egress_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/guard"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// texts is a connection to Twilio over which a browser may have codes sent and check them.
func texts(t *testing.T, mode provider.Mode) *site.Connection {
	service := site.Fixed{Path: path(t, "ServiceSid"), Value: "VA00000000000000000000000000000000"}
	return &site.Connection{Name: "texts", Provider: "twilio", Mode: mode, BackendAll: true, Account: map[string]string{"account_sid": "AC00000000000000000000000000000001"},
		Browser: map[string]*site.BrowserRule{
			"create-verification": {Operation: "create-verification", Free: paths(t, "To"), Fixed: []site.Fixed{service, {Path: path(t, "Channel"), Value: "sms"}}, Returns: paths(t, "status")},
			"check-verification":  {Operation: "check-verification", Free: paths(t, "To", "Code"), Fixed: []site.Fixed{service}, Returns: paths(t, "status")},
		}}
}

// cards is a connection to Stripe over which a browser may confirm payments.
func cards(t *testing.T) *site.Connection {
	c := payments(t)
	c.Browser["confirm-payment-intent"] = &site.BrowserRule{Operation: "confirm-payment-intent", Free: paths(t, "intent", "payment_method"), Returns: paths(t, "id", "status")}
	c.Browser["retrieve-payment-intent"] = &site.BrowserRule{Operation: "retrieve-payment-intent", Free: paths(t, "intent"), Returns: paths(t, "id", "status")}
	return c
}

// guardedWorld is a gate with a clock and a visit for each call.
type guardedWorld struct {
	*world
	now    time.Time
	alerts []egress.Alert
}

func (g *guardedWorld) Alert(_ context.Context, a egress.Alert) { g.alerts = append(g.alerts, a) }

func openGuarded(t *testing.T, change func(*guard.Rules), conns ...*site.Connection) *guardedWorld {
	g := &guardedWorld{world: open(t), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	g.guards = guard.Defaults()
	g.guards.Messages.Countries = []string{"GB", "DE"}
	if change != nil {
		change(&g.guards)
	}
	g.deps.Now = func() time.Time { return g.now }
	g.deps.Alerts, g.deps.Signs, g.deps.Guards = g, solved{}, guard.New(nil)
	g.build(conns...)
	return g
}

func (g *guardedWorld) visit(n int, c *egress.Call) *egress.Answer {
	c.Header.Set("Authorization", fmt.Sprintf("Bearer visit-%d", n))
	c.Client = netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 7})
	return g.Call(g.t.Context(), c)
}

func sendCode(to string) *egress.Call {
	return browser("texts", "POST", "/v2/Services/_/Verifications", `{"To":`+quoted(to)+`}`)
}

func quoted(s string) string { b, _ := json.Marshal(s); return string(b) }

const codeSent = `{"sid":"VE00000000000000000000000000000001","status":"pending","to":"x"}`

// TestWhoGetsMessages: in mode live only numbers of the file's countries and types pass, and
// the answer does not tell which rule it was.
func TestWhoGetsMessages(t *testing.T) {
	w := openGuarded(t, nil, texts(t, provider.Live))
	w.upstream.always(reply(201, codeSent), nil)
	for n, row := range []struct{ to, reason string }{
		{"+4915112345678", ""}, {"+447912345678", ""}, {"shopper@mail.example", ""}, {"whatsapp:+4915112345678", ""},
		{"+33612345678", "messages/country"}, {"+881631234567", "messages/country"}, {"+499001234567", "messages/type"},
		{"+493012345678", "messages/type"}, {"+4470123456", "messages/number"}, {"+447700900123", "messages/number"}, {"+15005550006", "messages/country"},
	} {
		before := w.upstream.count()
		a := w.visit(n, sendCode(row.to))
		if row.reason == "" {
			if a.Problem != nil || w.upstream.count() != before+1 {
				t.Errorf("%s: %+v", row.to, a.Problem)
			}
			continue
		}
		refused(t, a, problem.GuardRefused)
		rec := w.records.last()
		if w.upstream.count() != before || a.Problem.Extra["reason"] != "destination" || a.Problem.Extra["guard"] != "messages" || rec.Decisions[0].Reason != row.reason {
			t.Errorf("%s: %+v %+v", row.to, a.Problem, rec.Decisions)
		}
		if text := fmt.Sprint(a.Problem, rec.Decisions, w.audit.refusals); strings.Contains(text, row.to) {
			t.Errorf("%s is told on: %s", row.to, text)
		}
		if ev := w.audit.refusals[len(w.audit.refusals)-1]; ev.Code != problem.GuardRefused || ev.Name != row.reason {
			t.Errorf("the audit log got %+v", ev)
		}
	}
	if len(w.alerts) != 0 {
		t.Errorf("mistyped numbers are news: %+v", w.alerts)
	}
	test := openGuarded(t, nil, texts(t, provider.Sandbox))
	test.upstream.always(reply(201, codeSent), nil)
	if a := test.visit(1, sendCode("+447700900123")); a.Problem != nil {
		t.Errorf("a number for tests in the sandbox: %+v", a.Problem)
	}
}

// TestFixedAndBackendNumbersGoAnywhere: where it goes is asked of what a browser chooses only.
func TestFixedAndBackendNumbersGoAnywhere(t *testing.T) {
	c := texts(t, provider.Live)
	rule := c.Browser["create-verification"]
	rule.Free, rule.Fixed = nil, append(rule.Fixed, site.Fixed{Path: path(t, "To"), Value: "+33612345678"})
	w := openGuarded(t, nil, c)
	w.upstream.always(reply(201, codeSent), nil)
	if a := w.visit(1, browser("texts", "POST", "/v2/Services/_/Verifications", `{}`)); a.Problem != nil {
		t.Errorf("a number of the file: %+v", a.Problem)
	}
	for i := range 31 {
		a := w.Call(t.Context(), w.backend("texts", "POST", "/v2/Services/VA00000000000000000000000000000000/Verifications", `{"To":"+33612345679","Channel":"sms"}`))
		if (a.Problem == nil) != (i < 30) {
			t.Fatalf("message %d of a backend: %+v", i, a.Problem)
		}
	}
}

// TestPumpingStops: one visit, one number, one block, numbers in a row.
func TestPumpingStops(t *testing.T) {
	for name, row := range map[string]struct {
		visit  func(i int) int
		to     func(i int) string
		passes int
		reason string
	}{
		"one visit":        {func(int) int { return 1 }, func(i int) string { return fmt.Sprintf("+49151%08d", 10007919*(i+1)%100000000) }, 6, "messages/sends"},
		"one number":       {func(i int) int { return i }, func(int) string { return "+4915112345678" }, 6, "messages/per_number"},
		"one block":        {func(i int) int { return i }, func(i int) string { return fmt.Sprintf("+4915112345%03d", i*17) }, 6, "messages/per_range"},
		"in a row":         {func(i int) int { return i }, func(i int) string { return fmt.Sprintf("+49151123%05d", 45678+i) }, 3, "messages/run"},
		"in a row, by two": {func(i int) int { return i }, func(i int) string { return fmt.Sprintf("+49151123%05d", 45678-2*i) }, 3, "messages/run"},
	} {
		t.Run(name, func(t *testing.T) {
			w := openGuarded(t, nil, texts(t, provider.Live))
			w.upstream.always(reply(201, codeSent), nil)
			for i := range 40 {
				a := w.visit(row.visit(i), sendCode(row.to(i)))
				if (a.Problem == nil) != (i < row.passes) {
					t.Fatalf("message %d: %+v", i, a.Problem)
				}
			}
			if got := w.records.last().Decisions[0].Reason; got != row.reason || len(w.alerts) != 40-row.passes || w.alerts[0].Source+"/"+w.alerts[0].Reason != row.reason {
				t.Errorf("reason %s, alerts %d", got, len(w.alerts))
			}
			off := openGuarded(t, func(r *guard.Rules) { r.Messages.Mode = guard.Off }, texts(t, provider.Live))
			off.upstream.always(reply(201, codeSent), nil)
			watch := openGuarded(t, func(r *guard.Rules) { r.Messages.Mode = guard.Observe }, texts(t, provider.Live))
			watch.upstream.always(reply(201, codeSent), nil)
			for i := range 40 {
				off.visit(row.visit(i), sendCode(row.to(i)))
				watch.visit(row.visit(i), sendCode(row.to(i)))
			}
			if off.upstream.count() != 40 || len(off.alerts) != 0 || watch.upstream.count() != 40 {
				t.Errorf("without the guard %d messages went out, observed %d", off.upstream.count(), watch.upstream.count())
			}
			if len(watch.alerts) != 40-row.passes || !watch.alerts[0].Observed || !strings.Contains(fmt.Sprint(watch.records.last().Observed), "guard."+strings.ReplaceAll(row.reason, "/", ".")) {
				t.Errorf("observed: %d alerts, %v", len(watch.alerts), watch.records.last().Observed)
			}
		})
	}
}

// TestRepeatsCostNothing: the repeat of a call by its key and a call that was never sent
// take nothing from the counts.
func TestRepeatsCostNothing(t *testing.T) {
	w := openGuarded(t, nil, texts(t, provider.Live))
	w.upstream.always(reply(201, codeSent), nil)
	for range 20 {
		c := sendCode("+4915112345678")
		c.Header.Set("Idempotency-Key", "same")
		if a := w.visit(1, c); a.Problem != nil {
			t.Fatal(a.Problem)
		}
	}
	if w.upstream.count() != 1 {
		t.Fatalf("%d messages went out", w.upstream.count())
	}
	w.audit.fail = problem.New(problem.AuditUnavailable, "full")
	for range 20 {
		refused(t, w.visit(1, sendCode("+4915112345678")), problem.AuditUnavailable)
	}
	w.audit.fail = nil
	for i := range 6 {
		if a := w.visit(1, sendCode("+4915112345678")); (a.Problem == nil) != (i < 5) {
			t.Errorf("message %d after those that were never sent: %+v", i, a.Problem)
		}
	}
}

const declined = `{"error":{"code":"card_declined","type":"card_error","charge":"ch_%d","message":"m"}}`

func confirm() *egress.Call {
	return browser("payments", "POST", "/v1/payment_intents/pi_1/confirm", `{"payment_method":"pm_1"}`)
}

// TestCardTestingStops: a visit has 10 attempts, 5 if they are declined; the same decline
// read again counts once; other visits go on.
func TestCardTestingStops(t *testing.T) {
	w := openGuarded(t, nil, cards(t))
	w.upstream.answer = func(n int, _ *egress.Request) (*egress.Response, error) {
		return reply(402, fmt.Sprintf(declined, n)), nil
	}
	for i := range 20 {
		a := w.visit(1, confirm())
		if code := a.Problem.Code; (code == problem.ProviderRefused) != (i < 5) || i >= 5 && code != problem.GuardRefused {
			t.Fatalf("attempt %d: %+v", i, a.Problem)
		}
	}
	if a := w.visit(1, confirm()); a.Problem.RetryAfter <= 0 || w.records.last().Decisions[0].Reason != "cards/declines" {
		t.Errorf("%+v", a.Problem)
	}
	w.upstream.always(reply(200, intentOK), nil)
	if a := w.visit(2, confirm()); a.Problem != nil {
		t.Errorf("another visit: %+v", a.Problem)
	}
	w.upstream.always(reply(200, `{"id":"pi_2","object":"payment_intent","status":"requires_payment_method","last_payment_error":{"type":"card_error","charge":"ch_x"}}`), nil)
	for range 20 {
		passed(t, w.visit(3, browser("payments", "GET", "/v1/payment_intents/pi_2", "")))
	}
	w.upstream.always(reply(200, intentOK), nil)
	if a := w.visit(3, confirm()); a.Problem != nil {
		t.Errorf("one decline, read 20 times: %+v", a.Problem)
	}
	for i := range 20 {
		if a := w.visit(4, confirm()); (a.Problem == nil) != (i < 10) {
			t.Fatalf("payment %d: %+v", i, a.Problem)
		}
	}
}

// maps is a connection over which a browser may search.
func places(t *testing.T) *site.Connection {
	return &site.Connection{Name: "maps", Provider: "google-maps", Mode: provider.Live, BackendAll: true, Browser: map[string]*site.BrowserRule{
		"autocomplete-places":        {Operation: "autocomplete-places", Free: paths(t, "input", "locationRestriction"), Returns: paths(t, "suggestions")},
		"autocomplete-places-legacy": {Operation: "autocomplete-places-legacy", Free: paths(t, "input"), Returns: paths(t, "status")},
		"get-place":                  {Operation: "get-place", Free: paths(t, "placesId"), Returns: paths(t, "id")},
	}}
}

// TestSearchesAreJoined: the calls of one search carry one token of the gate's, the call
// that chooses a place ends it, and another visit has another.
func TestSearchesAreJoined(t *testing.T) {
	w := openGuarded(t, nil, places(t))
	w.upstream.always(reply(200, `{}`), nil)
	token := func(visit int, c *egress.Call) string {
		t.Helper()
		passed(t, w.visit(visit, c))
		r := w.upstream.last()
		var body struct{ SessionToken string }
		_ = json.Unmarshal(r.Body, &body)
		if _, after, ok := strings.Cut(r.RawQuery, "sessionToken="); ok {
			return after
		}
		return body.SessionToken
	}
	type_ := func(s string) *egress.Call {
		return browser("maps", "POST", "/v1/places:autocomplete", `{"input":`+quoted(s)+`}`)
	}
	choose := browser("maps", "GET", "/v1/places/ChIJ0123456789", "")
	first := token(1, type_("Whi"))
	if len(first) != 36 || first[14] != '4' || token(1, type_("Whitst")) != first || token(2, type_("Whi")) == first {
		t.Errorf("the token %q", first)
	}
	if got := token(1, choose); got != first {
		t.Errorf("the choice carries %q, want %q", got, first)
	}
	if got := token(1, browser("maps", "GET", "/v1/places/ChIJ0123456789", "")); got != "" {
		t.Errorf("a place without a search carries %q", got)
	}
	if second := token(1, type_("Whi")); second == first || second == "" {
		t.Errorf("the next search carries %q", second)
	}
	w.now = w.now.Add(3 * time.Minute)
	if third := token(1, type_("Whi")); third == first {
		t.Error("a search of three minutes ago goes on")
	}
	refused(t, w.visit(1, type_("W h")), problem.GuardRefused)
	if got := w.records.last().Decisions[0].Reason; got != "autocomplete/min_characters" {
		t.Errorf("reason %s", got)
	}
	passed(t, w.visit(1, type_("東京")))
}

// TestSafeValuesAreInserted: no preference for places near the gate, and a cheap selection
// of fields, unless the browser or the file says otherwise.
func TestSafeValuesAreInserted(t *testing.T) {
	w := openGuarded(t, nil, places(t))
	w.upstream.always(reply(200, `{}`), nil)
	passed(t, w.visit(1, browser("maps", "POST", "/v1/places:autocomplete", `{"input":"Whit"}`)))
	const world = `"locationBias":{"rectangle":{"low":{"latitude":-90,"longitude":-180},"high":{"latitude":90,"longitude":180}}}`
	if body := string(w.upstream.last().Body); !strings.Contains(body, world) {
		t.Errorf("sent %s", body)
	}
	passed(t, w.visit(1, browser("maps", "POST", "/v1/places:autocomplete", `{"input":"Whit","locationRestriction":{"rectangle":{"low":{"latitude":1,"longitude":1},"high":{"latitude":2,"longitude":2}}}}`)))
	if body := string(w.upstream.last().Body); strings.Contains(body, "locationBias") {
		t.Errorf("beside a restriction: %s", body)
	}
	w.upstream.always(reply(200, `{"status":"OK","predictions":[]}`), nil)
	passed(t, w.visit(1, browser("maps", "GET", "/maps/api/place/autocomplete/json?input=Whit", "")))
	w.upstream.always(reply(200, `{}`), nil)
	if q := w.upstream.last().RawQuery; !strings.Contains(q, "locationbias=rectangle%3A-90%2C-180%7C90%2C180") {
		t.Errorf("sent %s", q)
	}
	passed(t, w.visit(1, browser("maps", "GET", "/v1/places/ChIJ0123456789", "")))
	if got := w.upstream.last().Header.Get("X-Goog-FieldMask"); got != "id,formattedAddress,addressComponents,location" {
		t.Errorf("the fields %q", got)
	}
	refused(t, w.visit(1, browser("maps", "GET", "/v1/places/ChIJ0123456789", "", "X-Goog-FieldMask", "*")), problem.ParameterRefused)
	passed(t, w.Call(t.Context(), w.backend("maps", "GET", "/v1/places/ChIJ0123456789", "", "X-Goog-FieldMask", "*")))
	if got := w.upstream.last().Header.Get("X-Goog-FieldMask"); got != "*" {
		t.Errorf("a backend's fields became %q", got)
	}
}

// solved: whoever calls solves every proof of work, as an attacker with money does. What the
// guards stop they stop all the same.
type solved struct{}

func (solved) Level(string, string, netip.Addr) int { return 0 }
