package egress_test

import (
	"sync"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

func unknownOutcome(code problem.Code) error {
	p := problem.New(code, "the provider did not answer")
	p.Outcome = problem.Unknown
	return p
}

func pay(key string, more ...string) *egress.Call {
	return browser("payments", "POST", intents, `{"amount":1900}`, append([]string{"Idempotency-Key", key}, more...)...)
}

// TestRepeats: one key, one call; the repeat is marked, another body conflicts, and keys of
// another visit or caller are other keys.
func TestRepeats(t *testing.T) {
	w := open(t, payments(t))
	first := w.Call(t.Context(), pay("k1"))
	passed(t, first)
	sentKey := w.upstream.last().Header.Get("Idempotency-Key")
	again := w.Call(t.Context(), pay("k1"))
	passed(t, again)
	if w.upstream.count() != 1 || string(again.Body) != string(first.Body) || again.Header.Get("Idempotent-Replayed") != "true" || first.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("%d calls; %s %v", w.upstream.count(), again.Body, again.Header)
	}
	if !w.records.last().Replayed {
		t.Error("the record does not say replayed")
	}
	other := w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":2000}`, "Idempotency-Key", "k1"))
	refused(t, other, problem.IdempotencyConflict)
	passed(t, w.Call(t.Context(), pay("k2")))
	passed(t, w.Call(t.Context(), pay("k1", "Authorization", "Bearer visit-2")))
	if w.upstream.last().Header.Get("Idempotency-Key") == sentKey {
		t.Error("two visits share a key at the provider")
	}
	passed(t, w.Call(t.Context(), w.backend("payments", "POST", intents, `{"amount":1900,"currency":"eur"}`, "Idempotency-Key", "k1")))
	if w.upstream.last().Header.Get("Idempotency-Key") == sentKey {
		t.Error("a visit and the backend share a key at the provider")
	}
	if w.upstream.count() != 4 {
		t.Errorf("%d calls, want 4", w.upstream.count())
	}
}

// TestClockIsSet: a wall clock that is set while the gate runs, forward or back, makes no
// call twice: records live by the time that passes.
func TestClockIsSet(t *testing.T) {
	var step time.Duration
	passing := time.Now()
	w := open(t)
	w.deps.Now = func() time.Time { return passing.Add(step) }
	w.deps.Steady = func() time.Time { return passing }
	w.build(payments(t))
	backend := func(key string) *egress.Answer {
		return w.Call(t.Context(), w.backend("payments", "POST", intents, `{"amount":1900,"currency":"eur"}`, "Idempotency-Key", key))
	}
	passed(t, backend("k1"))
	for _, step = range []time.Duration{0, 48 * time.Hour, 10 * 365 * 24 * time.Hour, -48 * time.Hour} {
		if again := backend("k1"); again.Header.Get("Idempotent-Replayed") != "true" || w.upstream.count() != 1 {
			t.Fatalf("set by %s: %d calls, %+v", step, w.upstream.count(), again.Header)
		}
	}
	passing = passing.Add(25 * time.Hour)
	passed(t, backend("k1"))
	if w.upstream.count() != 2 {
		t.Errorf("after 25 h: %d calls, want another one", w.upstream.count())
	}
}

// TestNoKey: without a key nothing is replayed; every call has its own key at the provider,
// and a failure of unknown outcome tells it, so that it can be repeated.
func TestNoKey(t *testing.T) {
	w := open(t, payments(t))
	send := func(header ...string) *egress.Answer {
		return w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`, header...))
	}
	passed(t, send())
	one := w.upstream.last().Header.Get("Idempotency-Key")
	passed(t, send())
	if two := w.upstream.last().Header.Get("Idempotency-Key"); one == "" || one == two || w.upstream.count() != 2 {
		t.Errorf("%q, %q, %d calls", one, two, w.upstream.count())
	}
	w.upstream.always(nil, unknownOutcome(problem.UpstreamTimeout))
	a := send()
	refused(t, a, problem.UpstreamTimeout)
	lost := w.upstream.last().Header.Get("Idempotency-Key")
	if a.Problem.IdempotencyKey == "" {
		t.Fatal("the key to repeat with is not told")
	}
	w.upstream.always(reply(200, intentOK), nil)
	passed(t, send("Idempotency-Key", a.Problem.IdempotencyKey))
	if got := w.upstream.last().Header.Get("Idempotency-Key"); got != lost {
		t.Errorf("the repeat has key %q at the provider, the call had %q", got, lost)
	}
}

// TestUnknownOutcome: a provider that recognises keys is asked again with the same key; one
// that does not is not: 409 for as long as the key is kept.
func TestUnknownOutcome(t *testing.T) {
	w := open(t, payments(t))
	w.upstream.always(nil, unknownOutcome(problem.UpstreamTimeout))
	refused(t, w.Call(t.Context(), pay("k")), problem.UpstreamTimeout)
	key := w.upstream.last().Header.Get("Idempotency-Key")
	refused(t, w.Call(t.Context(), pay("k")), problem.UpstreamTimeout)
	w.upstream.always(reply(200, intentOK), nil)
	refused(t, w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":2000}`, "Idempotency-Key", "k")), problem.IdempotencyConflict)
	passed(t, w.Call(t.Context(), pay("k")))
	if w.upstream.count() != 3 || w.upstream.last().Header.Get("Idempotency-Key") != key {
		t.Errorf("%d calls, key %q, want %q", w.upstream.count(), w.upstream.last().Header.Get("Idempotency-Key"), key)
	}
	passed(t, w.Call(t.Context(), pay("k"))) // now known, and kept
	if w.upstream.count() != 3 || w.records.last().InnerError != nil {
		t.Errorf("%d calls, %v", w.upstream.count(), w.records.last().InnerError)
	}

	texts := &site.Connection{Name: "texts", Provider: "twilio", Mode: provider.Sandbox, BackendAll: true, Account: map[string]string{"account_sid": "AC00000000000000000000000000000001"}}
	w.build(texts)
	w.upstream.always(nil, unknownOutcome(problem.UpstreamTimeout))
	sms := func() *egress.Answer {
		return w.Call(t.Context(), w.backend("texts", "POST", "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json", `{"To":"+4915112345678","From":"+15005550006","Body":"x"}`, "Idempotency-Key", "sms-1"))
	}
	refused(t, sms(), problem.UpstreamTimeout)
	before := w.upstream.count()
	for range 2 {
		a := sms()
		refused(t, a, problem.IdempotencyUnknown)
		if a.Status != 409 || a.Problem.Outcome != problem.Unknown || w.upstream.count() != before {
			t.Errorf("%d %+v, %d calls", a.Status, a.Problem, w.upstream.count()-before)
		}
	}
}

// TestRepeatOfUnknownThatFails: what becomes of a repeat says nothing of the call before it.
func TestRepeatOfUnknownThatFails(t *testing.T) {
	w := open(t, payments(t))
	w.upstream.always(nil, unknownOutcome(problem.UpstreamTimeout))
	refused(t, w.Call(t.Context(), pay("k")), problem.UpstreamTimeout)
	for name, answer := range map[string]struct {
		r   *egress.Response
		err error
	}{
		"breaker":   {nil, problem.New(problem.UpstreamUnavailable, "held back")},
		"throttled": {reply(429, `{}`), nil},
		"in use":    {reply(409, `{"error":{"code":"idempotency_key_in_use","message":"x","type":"idempotency_error"}}`), nil},
		"failed":    {reply(500, `{}`), nil},
	} {
		w.upstream.always(answer.r, answer.err)
		a := w.Call(t.Context(), pay("k"))
		if a.Problem == nil || name == "breaker" && a.Problem.Outcome != problem.Unknown {
			t.Errorf("%s: %+v", name, a.Problem)
		}
		for _, row := range w.repeats.rows {
			if row.State != egress.RepeatUnknown {
				t.Errorf("%s: the record is %d", name, row.State)
			}
		}
	}
	w.upstream.always(reply(200, intentOK), nil)
	passed(t, w.Call(t.Context(), pay("k")))
}

// TestRefusalsFreeTheKey: a call that was not performed does not stand in the way.
func TestRefusalsFreeTheKey(t *testing.T) {
	for name, answer := range map[string]struct {
		r   *egress.Response
		err error
	}{
		"not sent": {nil, problem.New(problem.UpstreamUnavailable, "held back")},
		"declined": {reply(402, cardError), nil},
	} {
		w := open(t, payments(t))
		w.upstream.always(answer.r, answer.err)
		if a := w.Call(t.Context(), pay("k")); a.Problem == nil {
			t.Fatalf("%s: %d", name, a.Status)
		}
		if len(w.repeats.rows) != 0 {
			t.Errorf("%s: the record stays: %+v", name, w.repeats.rows)
		}
		w.upstream.always(reply(200, intentOK), nil)
		passed(t, w.Call(t.Context(), pay("k")))
	}
}

// TestParallelRepeats: 64 calls with one key at once make one call, and all get its answer.
func TestParallelRepeats(t *testing.T) {
	w := open(t, payments(t))
	release := make(chan struct{})
	w.upstream.answer = func(int, *egress.Request) (*egress.Response, error) { <-release; return reply(200, intentOK), nil }
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() { passedIn(t, w.Call(t.Context(), pay("k"))) })
	}
	close(release)
	wg.Wait()
	if w.upstream.count() != 1 {
		t.Errorf("%d calls", w.upstream.count())
	}
}

func passedIn(t *testing.T, a *egress.Answer) {
	t.Helper()
	if a.Problem != nil || a.Status != 200 {
		t.Errorf("%d %+v", a.Status, a.Problem)
	}
}
