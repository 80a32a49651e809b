package egress_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/egress/egresstest"
	"sallyport/internal/problem"
	"sallyport/internal/ratelimit"
)

func TestMemoryRepeatsConform(t *testing.T) {
	egresstest.Idempotency(t, func(*testing.T) egress.Idempotency {
		return &memoryRepeats{rows: map[egress.RepeatKey]egress.Repeat{}}
	})
}

// TestZeroDecisionDenies: a step that forgets to decide lets nothing pass, whichever it is.
func TestZeroDecisionDenies(t *testing.T) {
	for _, name := range egress.Steps() {
		t.Run(name, func(t *testing.T) {
			c := payments(t)
			c.Observe = egress.Checks() // not even where checks only observe
			w := open(t, c)
			w.ReplaceStep(name, func(context.Context) egress.Decision { return egress.Decision{} })
			refused(t, w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`)), problem.Internal)
			if n := w.upstream.count(); n != 0 && !egress.Answered(name) {
				t.Errorf("%d calls were sent", n)
			}
		})
	}
}

// TestPanicInAStep: the caller gets a problem, the call is recorded, nothing is sent
// after it, the intent is closed and the outcome told.
func TestPanicInAStep(t *testing.T) {
	for _, name := range egress.Steps() {
		t.Run(name, func(t *testing.T) {
			w := open(t, payments(t))
			w.ReplaceStep(name, func(context.Context) egress.Decision { panic("Ada Lovelace, ada@example.com") })
			a := w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`, "Idempotency-Key", "k1"))
			refused(t, a, problem.Internal)
			want, sent := problem.NotSent, 0
			if egress.Answered(name) {
				want, sent = problem.Performed, 1
			}
			if a.Status != 500 || a.Problem.Outcome != want || w.upstream.count() != sent {
				t.Errorf("status %d, outcome %q, %d sent; want 500, %q, %d", a.Status, a.Problem.Outcome, w.upstream.count(), want, sent)
			}
			w.audit.closed(t, sent)
			rec := w.records.last()
			if len(w.records.all) != 1 || rec.Code != problem.Internal || rec.InnerError == nil {
				t.Errorf("the record: %+v", rec)
			}
			if strings.Contains(fmt.Sprintf("%+v %v", rec, rec.InnerError), "Ada") {
				t.Error("the value of the panic was kept")
			}
		})
	}
}

// TestPanicBelow: a defect under the upstream, after the intent, leaves an outcome
// unknown; the next repeat with the key is made, because the provider recognises it.
func TestPanicBelow(t *testing.T) {
	w := open(t, payments(t))
	w.upstream.answer = func(n int, _ *egress.Request) (*egress.Response, error) {
		if n == 1 {
			panic("below")
		}
		return reply(200, intentOK), nil
	}
	c := func() *egress.Call {
		return browser("payments", "POST", intents, `{"amount":1900}`, "Idempotency-Key", "k1")
	}
	a := w.Call(t.Context(), c())
	refused(t, a, problem.Internal)
	if a.Problem.Outcome != problem.Unknown || a.Problem.IdempotencyKey != "k1" {
		t.Errorf("outcome %q, key %q", a.Problem.Outcome, a.Problem.IdempotencyKey)
	}
	passed(t, w.Call(t.Context(), c()))
	w.audit.closed(t, 2)
	w.deps.Audit = nil // a second panic, while the first is answered
	w.build(payments(t))
	refused(t, w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`)), problem.Internal)
}

// TestRefusedBeforeSend: whatever refuses, nothing is sent, and a known operation's
// refusal is in the audit log.
func TestRefusedBeforeSend(t *testing.T) {
	const ok = `{"amount":1900}`
	for _, row := range []struct {
		name string
		call *egress.Call
		code problem.Code
	}{
		{"no site", func() *egress.Call { c := browser("payments", "POST", intents, ok); c.Site = "nothing"; return c }(), problem.NotFound},
		{"no connection", browser("nothing", "POST", intents, ok), problem.UnknownConnection},
		{"foreign origin", func() *egress.Call {
			c := browser("payments", "POST", intents, ok)
			c.Origin = "https://evil.example"
			return c
		}(), problem.OriginRefused},
		{"bad token", browser("payments", "POST", intents, ok, "Authorization", "Bearer x"), problem.Unauthenticated},
		{"no token", browser("payments", "POST", intents, ok, "Authorization", ""), problem.Unauthenticated},
		{"no key", call("payments", "POST", intents, ok), problem.Unauthenticated},
		{"wrong key", call("payments", "POST", intents, ok, "Authorization", "Bearer sk_test_abcdefghijklmnopqrstuvwxyz0123"), problem.Unauthenticated},
		{"a session without an origin", call("payments", "POST", intents, ok, "Authorization", "Bearer visit-1"), problem.Unauthenticated},
		{"no operation", browser("payments", "POST", "/v1/nothing", ok), problem.UnknownOperation},
		{"no method", browser("payments", "PUT", intents, ok), problem.MethodNotAllowed},
		{"not for browsers", browser("payments", "POST", "/v1/refunds", ok), problem.OperationRefused},
		{"duplicate key", browser("payments", "POST", intents, `{"amount":1900,"amount":600}`), problem.BadBody},
		{"unknown name", browser("payments", "POST", intents, `{"amount":1900,"nothing":1}`), problem.ContractViolation},
		{"wrong type", browser("payments", "POST", intents, `{"amount":[1900]}`), problem.ParameterRefused},
		{"unnamed", browser("payments", "POST", intents, `{"amount":1900,"capture_method":"manual"}`), problem.ParameterRefused},
		{"fixed", browser("payments", "POST", intents, `{"amount":1900,"currency":"eur"}`), problem.ParameterRefused},
		{"missing", browser("payments", "POST", intents, `{}`), problem.ContractViolation},
		{"bad key", browser("payments", "POST", intents, ok, "Idempotency-Key", strings.Repeat("k", 256)), problem.BadHeader},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := open(t, payments(t))
			a := w.Call(t.Context(), row.call)
			refused(t, a, row.code)
			if a.Problem.Outcome != problem.NotSent || w.upstream.count() != 0 {
				t.Errorf("outcome %q, %d sent", a.Problem.Outcome, w.upstream.count())
			}
			w.audit.closed(t, 0)
			if rec := w.records.last(); len(w.records.all) != 1 || rec.Code != row.code || len(rec.Decisions) != 1 || rec.Decisions[0].Allowed() || rec.Decisions[0].Reason == "" {
				t.Errorf("the record: %+v", rec)
			}
			told := w.records.last().Operation != "" || row.code == problem.Unauthenticated
			if (len(w.audit.refusals) == 1) != told {
				t.Errorf("%d refusals in the audit log; to be told: %v", len(w.audit.refusals), told)
			}
		})
	}
}

type frozen struct{ err error }

func (f frozen) Frozen(string, string) (egress.Freeze, bool, error) {
	return egress.Freeze{Site: "shop"}, f.err == nil, f.err
}

// TestMeansFailClosed: where the gate's own means fail, nothing is sent.
func TestMeansFailClosed(t *testing.T) {
	broken := errors.New("disk of /var/lib is gone")
	for _, row := range []struct {
		name   string
		damage func(*world)
		code   problem.Code
	}{
		{"frozen", func(w *world) { w.deps.Freezes = frozen{} }, problem.Frozen},
		{"freezes unknown", func(w *world) { w.deps.Freezes = frozen{broken} }, problem.StoreUnavailable},
		{"audit", func(w *world) { w.audit.fail = broken }, problem.AuditUnavailable},
		{"idempotency", func(w *world) { w.deps.Idempotency = brokenRepeats{w.repeats, broken} }, problem.StoreUnavailable},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := open(t, payments(t))
			row.damage(w)
			w.build(payments(t))
			a := w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`, "Idempotency-Key", "k"))
			refused(t, a, row.code)
			if w.upstream.count() != 0 || a.Problem.Outcome != problem.NotSent {
				t.Errorf("%d sent, outcome %q", w.upstream.count(), a.Problem.Outcome)
			}
			if strings.Contains(a.Problem.Detail+a.Problem.Hint, "disk") {
				t.Errorf("the inner error is told: %+v", a.Problem)
			}
		})
	}
}

type brokenRepeats struct {
	*memoryRepeats
	err error
}

func (b brokenRepeats) BeginRepeat(context.Context, egress.RepeatKey, egress.Repeat, time.Time) (bool, egress.Repeat, error) {
	return false, egress.Repeat{}, b.err
}

// TestObserve: each check refuses where it is enforced; where it is observed the call
// passes and the record says what would have been refused.
func TestObserve(t *testing.T) {
	for _, row := range []struct {
		check, body, answer string
		calls               int
		code                problem.Code
		want                string // in the observed line
	}{
		{egress.CheckGrammar, `{"amount":1900,"capture_method":"manual"}`, intentOK, 1, problem.ParameterRefused, "capture_method"},
		{egress.CheckGrammar, `{"amount":2}`, intentOK, 1, problem.ParameterRefused, "amount"},
		{egress.CheckRequest, `{"amount":1900,"receipt_email":"` + strings.Repeat("a", 600) + `"}`, intentOK, 1, problem.ContractViolation, "receipt_email"},
		{egress.CheckResponse, `{"amount":1900}`, `{"id":7,"object":"payment_intent","status":"succeeded"}`, 1, problem.UpstreamContract, "id"},
		{egress.CheckLimits, `{"amount":1900}`, intentOK, 3, problem.RateLimited, "rate_limited"},
	} {
		t.Run(row.check, func(t *testing.T) {
			for _, observe := range []bool{false, true} {
				c := payments(t)
				c.Browser["create-payment-intent"].Limits = []ratelimit.Rule{{Calls: 2, Window: time.Minute, Per: ratelimit.PerSession}}
				if observe {
					c.Observe = []string{row.check}
				}
				w := open(t, c)
				w.upstream.always(reply(200, row.answer), nil)
				var a *egress.Answer
				for range row.calls {
					a = w.Call(t.Context(), browser("payments", "POST", intents, row.body))
				}
				rec := w.records.last()
				if observe {
					passed(t, a)
					if !strings.Contains(strings.Join(rec.Observed, "\n"), row.want) {
						t.Errorf("observed: %q; want %s in it", rec.Observed, row.want)
					}
					continue
				}
				refused(t, a, row.code)
				if len(rec.Observed) > 0 && row.check != egress.CheckResponse {
					t.Errorf("an enforced check was observed: %q", rec.Observed)
				}
			}
		})
	}
}

// TestObserveNeverPassesTheUnreadable: what cannot be read is refused also where the
// check only observes, and a fixed value is never lost.
func TestObserveNeverPassesTheUnreadable(t *testing.T) {
	c := payments(t)
	c.Observe = egress.Checks()
	w := open(t, c)
	refused(t, w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1,"amount":2}`)), problem.BadBody)
	refused(t, w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":`+strings.Repeat("9", 400)+`}`)), problem.ContractViolation)
	if w.upstream.count() != 0 {
		t.Errorf("a body that could not be read was sent as %s", w.upstream.last().Body)
	}
	w.upstream.always(reply(200, `{"id":`), nil)
	a := w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`))
	refused(t, a, problem.UpstreamMalformed)
	if a.Problem.Outcome != problem.Performed {
		t.Errorf("outcome %q", a.Problem.Outcome)
	}
	w.upstream.always(reply(200, intentOK), nil)
	passed(t, w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900,"currency":"usd"}`)))
	if body := string(w.upstream.last().Body); !strings.Contains(body, "currency=eur") || strings.Contains(body, "usd") {
		t.Errorf("observed grammar changed a fixed value: %s", body)
	}
}

// TestTwiceAndAtOnce: the same gate gives the same answer the second time and from 8
// goroutines at once, for both kinds of callers.
func TestTwiceAndAtOnce(t *testing.T) {
	w := open(t, payments(t))
	w.upstream.answer = func(_ int, r *egress.Request) (*egress.Response, error) { return reply(200, intentOK), nil }
	key := string(w.key(shapeOf(t, "stripe", "stripe-test")).Secret.Expose())
	calls := map[string]func() *egress.Call{
		"browser": func() *egress.Call {
			return browser("payments", "POST", intents, `{"amount":1900,"receipt_email":"a@b.example"}`)
		},
		"refused": func() *egress.Call { return browser("payments", "POST", intents, `{"amount":1900,"currency":"usd"}`) },
		"backend": func() *egress.Call {
			return call("payments", "POST", intents, "amount=1900&currency=usd", "Authorization", "Bearer "+key, "Content-Type", "application/x-www-form-urlencoded")
		},
	}
	want := map[string]string{}
	for name, c := range calls {
		want[name] = text(w.Call(t.Context(), c()))
		if got := text(w.Call(t.Context(), c())); got != want[name] {
			t.Errorf("%s, the second time: %s; the first: %s", name, got, want[name])
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				for name, c := range calls {
					if got := text(w.Call(t.Context(), c())); got != want[name] {
						t.Errorf("%s: %s; want %s", name, got, want[name])
					}
				}
			}
		})
	}
	wg.Wait()
	bodies := map[string]int{}
	for _, r := range w.upstream.calls {
		bodies[string(r.Body)]++
	}
	if len(bodies) != 2 {
		t.Errorf("calls mixed: %v", bodies)
	}
}

func text(a *egress.Answer) string {
	if a.Problem != nil {
		return fmt.Sprintf("%d %s %v", a.Status, a.Problem.Code, a.Problem.Faults)
	}
	return fmt.Sprintf("%d %s", a.Status, a.Body)
}

// TestCallerHangsUp: a call with effects is made to its end, and its outcome recorded.
func TestCallerHangsUp(t *testing.T) {
	w := open(t, payments(t))
	ctx, cancel := context.WithCancel(t.Context())
	w.upstream.answer = func(_ int, r *egress.Request) (*egress.Response, error) {
		if !r.Uninterrupt {
			t.Error("a payment may be interrupted")
		}
		cancel()
		return nil, context.Canceled
	}
	a := w.Call(ctx, browser("payments", "POST", intents, `{"amount":1900}`, "Idempotency-Key", "k"))
	refused(t, a, problem.UpstreamTimeout)
	if a.Problem.Outcome != problem.Unknown {
		t.Errorf("outcome %q", a.Problem.Outcome)
	}
	w.audit.closed(t, 1)
	for _, r := range w.repeats.rows {
		if r.State != egress.RepeatUnknown {
			t.Errorf("the record: %+v", r)
		}
	}
}

// TestNothingOfTheCallerTravels: headers of the caller reach the provider only where the
// contract or the catalog names them.
func TestNothingOfTheCallerTravels(t *testing.T) {
	w := open(t, payments(t))
	for _, c := range []*egress.Call{
		browser("payments", "POST", intents, `{"amount":1900}`, "Cookie", "a=b", "X-Forwarded-For", "192.0.2.1", "Stripe-Version", "2000-01-01", "User-Agent", "x", "Referer", "https://shop.example/cart?mail=a"),
		w.backend("payments", "POST", intents, `{"amount":1900,"currency":"eur"}`, "Cookie", "a=b", "Stripe-Version", "2000-01-01"),
	} {
		passed(t, w.Call(t.Context(), c))
		h := w.upstream.last().Header
		var names []string
		for name := range h {
			names = append(names, name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != "Content-Type Idempotency-Key Stripe-Version" || h.Get("Stripe-Version") != "2026-08-26.dahlia" {
			t.Errorf("headers to the provider: %v", h)
		}
	}
}

// TestNobodySelectsTheAccount: a header that would choose another account is refused from
// everybody; leaving it out would make the call for the wrong one.
func TestNobodySelectsTheAccount(t *testing.T) {
	w := open(t, payments(t))
	for _, header := range []string{"Stripe-Account", "Stripe-Context"} {
		refused(t, w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`, header, "acct_1")), problem.ParameterRefused)
		refused(t, w.Call(t.Context(), w.backend("payments", "POST", intents, `{"amount":1900,"currency":"eur"}`, header, "acct_1")), problem.ParameterRefused)
	}
	if w.upstream.count() != 0 || len(w.audit.refusals) != 4 {
		t.Errorf("%d sent, %d audit entries; want 0 and 4", w.upstream.count(), len(w.audit.refusals))
	}
}

// TestLimitsCountTheirCallers: limits per visit do not count a backend.
func TestLimitsCountTheirCallers(t *testing.T) {
	c := payments(t)
	c.Browser["create-payment-intent"].Limits = []ratelimit.Rule{{Calls: 1, Window: time.Minute, Per: ratelimit.PerSession}}
	w := open(t, c)
	first := w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`))
	passed(t, first)
	if first.Header.Get("Ratelimit") == "" && first.Header.Get("RateLimit") == "" {
		t.Errorf("no RateLimit header: %v", first.Header)
	}
	a := w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`))
	refused(t, a, problem.RateLimited)
	if a.Status != http.StatusTooManyRequests || a.Problem.RetryAfter <= 0 {
		t.Errorf("%d, retry after %v", a.Status, a.Problem.RetryAfter)
	}
	other := browser("payments", "POST", intents, `{"amount":1900}`, "Authorization", "Bearer visit-2")
	passed(t, w.Call(t.Context(), other))
	for range 3 {
		passed(t, w.Call(t.Context(), w.backend("payments", "POST", intents, `{"amount":1900,"currency":"eur"}`)))
	}
}

// TestObservedNamesAreTheContracts: the record of what was observed names places of the
// contract, never a name that the caller made up.
func TestObservedNamesAreTheContracts(t *testing.T) {
	for body, want := range map[string]string{
		`{"amount":1900,"Ada-Lovelace":1}`:                       "request-contract.contract_violation\n*",
		`{"amount":1900,"metadata":{"Ada-Lovelace":"x"}}`:        "grammar.parameter_refused\nmetadata.*",
		`{"amount":1900,"shipping":{"Ada-Lovelace":1}}`:          "request-contract.contract_violation\nshipping.*",
		`{"amount":1900,"shipping":{"address":{"city":"Kiel"}}}`: "grammar.parameter_refused\nshipping.address.city",
	} {
		c := payments(t)
		c.Observe = egress.Checks()
		w := open(t, c)
		w.Call(t.Context(), browser("payments", "POST", intents, body))
		got := strings.Join(w.records.last().Observed, "\n")
		if !strings.Contains(got, want) || strings.Contains(got, "Ada") {
			t.Errorf("%s: observed %q; want %q in it", body, got, want)
		}
	}
}
