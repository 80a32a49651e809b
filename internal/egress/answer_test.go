package egress_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// TestReduction: a browser sees what returns names, a backend all that the contract
// knows but secrets; unknown fields are dropped and counted.
func TestReduction(t *testing.T) {
	w := open(t, payments(t))
	w.upstream.always(reply(200, intentOK), nil)
	a := w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`))
	passed(t, a)
	if got := string(a.Body); got != `{"id":"pi_1","status":"succeeded"}` {
		t.Errorf("a browser got %s", got)
	}
	if rec := w.records.last(); rec.Dropped != 1 || rec.Outcome != problem.Performed || len(rec.Named) != 0 {
		t.Errorf("the record: %+v", rec)
	}
	a = w.Call(t.Context(), w.backend("payments", "POST", intents, `{"amount":1900,"currency":"eur"}`))
	passed(t, a)
	var tree map[string]any
	if err := json.Unmarshal(a.Body, &tree); err != nil {
		t.Fatal(err)
	}
	if tree["amount"] == nil || tree["brand_new_field"] != nil {
		t.Errorf("a backend got %s", a.Body)
	}
}

// TestSecretFieldsByNameOnly: a secret field goes out only where the file names it, and
// the record says so; naming its parent is not enough.
func TestSecretFieldsByNameOnly(t *testing.T) {
	for _, row := range []struct {
		returns []string
		shown   bool
	}{{[]string{"id"}, false}, {[]string{"id", "client_secret"}, true}} {
		c := payments(t)
		c.Browser["create-payment-intent"].Returns = paths(t, row.returns...)
		w := open(t, c)
		a := w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`))
		passed(t, a)
		if got := strings.Contains(string(a.Body), "pi_1_secret_x"); got != row.shown {
			t.Errorf("returns %v: secret shown %v: %s", row.returns, got, a.Body)
		}
		if named := w.records.last().Named; (len(named) == 1) != row.shown {
			t.Errorf("returns %v: named %v", row.returns, named)
		}
	}
}

// TestWrongSchema: an answer that breaks the contract in fields the caller would see is a
// problem with the outcome told; in other fields it is not.
func TestWrongSchema(t *testing.T) {
	w := open(t, payments(t))
	w.upstream.always(reply(200, `{"id":{"x":1},"object":"payment_intent","status":"succeeded"}`), nil)
	a := w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`, "Idempotency-Key", "k"))
	refused(t, a, problem.UpstreamContract)
	if a.Status != 502 || a.Problem.Outcome != problem.Performed || a.Problem.IdempotencyKey != "k" || len(a.Problem.Faults) == 0 {
		t.Errorf("%d %+v", a.Status, a.Problem)
	}
	again := w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`, "Idempotency-Key", "k"))
	refused(t, again, problem.UpstreamContract)
	if again.Problem.Outcome != problem.Performed || w.upstream.count() != 1 {
		t.Errorf("a performed call was repeated: %d calls, %+v", w.upstream.count(), again.Problem)
	}
	w.upstream.always(reply(200, `{"id":"pi_1","object":"payment_intent","status":"succeeded","amount":"a lot","created":[]}`), nil)
	passed(t, w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`)))
	w.upstream.always(&egress.Response{Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<html>")}, nil)
	refused(t, w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`)), problem.UpstreamMalformed)
}

// TestProviderErrors: a browser gets a problem with the provider's code and never its
// message; a backend gets the provider's own document.
func TestProviderErrors(t *testing.T) {
	const message = "Ada Lovelace"
	for _, row := range []struct {
		name         string
		status       int
		body         string
		browser      problem.Code
		providerCode string
		outcome      problem.Outcome
		backend      int // 0: a problem too
	}{
		{"declined", 402, cardError, problem.ProviderRefused, "card_declined", problem.NotPerformed, 402},
		{"not found", 404, `{"error":{"code":"resource_missing","message":"No such thing of Ada Lovelace","type":"invalid_request_error"}}`, problem.ProviderRefused, "resource_missing", problem.NotPerformed, 404},
		{"a code that is prose", 400, `{"error":{"code":"Ada Lovelace was here","message":"x","type":"invalid_request_error"}}`, problem.ProviderRefused, "", problem.NotPerformed, 400},
		{"not JSON", 400, `<html>Ada Lovelace</html>`, problem.ProviderRefused, "", problem.NotPerformed, 0},
		{"credential", 401, `{"error":{"message":"Invalid API Key of Ada Lovelace","type":"invalid_request_error"}}`, problem.CredentialRefused, "", problem.NotPerformed, 0},
		{"throttled", 429, `{"error":{"code":"rate_limit","message":"Ada Lovelace","type":"invalid_request_error"}}`, problem.UpstreamThrottled, "rate_limit", problem.NotPerformed, 429},
		{"failed", 500, `{"error":{"message":"Ada Lovelace","type":"api_error"}}`, problem.ProviderFailed, "", problem.Unknown, 500},
		{"failed, html", 503, `<html>Ada Lovelace</html>`, problem.ProviderFailed, "", problem.Unknown, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := open(t, payments(t))
			w.upstream.always(reply(row.status, row.body), nil)
			a := w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`))
			refused(t, a, row.browser)
			p := a.Problem
			if p.ProviderCode != row.providerCode || p.ProviderStatus != row.status || p.Outcome != row.outcome || len(a.Body) != 0 {
				t.Errorf("%+v %s", p, a.Body)
			}
			if strings.Contains(fmt.Sprintf("%+v %s %v", p, a.Body, a.Header), message) {
				t.Errorf("the provider's words reach a browser: %+v", p)
			}
			a = w.Call(t.Context(), w.backend("payments", "POST", intents, `{"amount":1900,"currency":"eur"}`))
			if row.backend == 0 {
				if a.Problem == nil || strings.Contains(fmt.Sprintf("%+v", a.Problem), message) {
					t.Errorf("backend: %d %+v", a.Status, a.Problem)
				}
				return
			}
			if a.Problem != nil || a.Status != row.backend || !strings.Contains(string(a.Body), `"error"`) {
				t.Errorf("backend: %d %s %+v", a.Status, a.Body, a.Problem)
			}
		})
	}
}

// TestThrottledInASuccess: a provider's "over the limit" under status 200 is told as that.
func TestThrottledInASuccess(t *testing.T) {
	maps := &site.Connection{Name: "maps", Provider: "google-maps", Mode: provider.Live, BackendAll: true,
		Browser: map[string]*site.BrowserRule{"geocode": {Operation: "geocode", Free: paths(t, "address"), Returns: paths(t, "status")}}}
	w := open(t, maps)
	r := reply(200, `{"status":"OVER_QUERY_LIMIT","results":[]}`)
	r.Throttled, r.RetryAfter = true, 7*time.Second
	w.upstream.always(r, nil)
	for name, c := range map[string]*egress.Call{
		"browser": browser("maps", "GET", "/maps/api/geocode/json?address=Kiel", ""),
		"backend": w.backend("maps", "GET", "/maps/api/geocode/json?address=Kiel", ""),
	} {
		a := w.Call(t.Context(), c)
		refused(t, a, problem.UpstreamThrottled)
		if a.Status != 429 || a.Problem.RetryAfter != 7*time.Second || a.Problem.Outcome != problem.NotPerformed {
			t.Errorf("%s: %d %+v", name, a.Status, a.Problem)
		}
	}
}

// TestResponseHeaders: a page gets no header of the provider's, a backend those that the
// catalog names.
func TestResponseHeaders(t *testing.T) {
	w := open(t, payments(t))
	r := reply(200, intentOK)
	for _, name := range []string{"Request-Id", "Set-Cookie", "Access-Control-Allow-Origin", "Server", "Location", "Content-Encoding", "Transfer-Encoding"} {
		r.Header.Set(name, "x")
	}
	w.upstream.always(r, nil)
	a := w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`))
	b := w.Call(t.Context(), w.backend("payments", "POST", intents, `{"amount":1900,"currency":"eur"}`))
	if a.Header.Get("Request-Id") != "" || b.Header.Get("Request-Id") != "x" {
		t.Errorf("Request-Id: browser %q, backend %q", a.Header.Get("Request-Id"), b.Header.Get("Request-Id"))
	}
	for _, h := range []http.Header{a.Header, b.Header} {
		for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Origin", "Server", "Location", "Content-Encoding", "Transfer-Encoding"} {
			if h.Get(name) != "" {
				t.Errorf("%s was passed on", name)
			}
		}
	}
}

// TestIntentsByEffect: operations with effects write an intent that names no value; plain
// reads write none.
func TestIntentsByEffect(t *testing.T) {
	w := open(t, payments(t))
	w.upstream.answer = func(_ int, r *egress.Request) (*egress.Response, error) {
		if r.Operation.ID == "list-products" {
			return reply(200, `{"object":"list","data":[],"has_more":false,"url":"/v1/products"}`), nil
		}
		return reply(200, intentOK), nil
	}
	passed(t, w.Call(t.Context(), browser("payments", "GET", "/v1/products", "")))
	w.audit.closed(t, 0)
	passed(t, w.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900,"receipt_email":"ada@example.com"}`)))
	w.audit.closed(t, 1)
	in := w.audit.intents[0]
	if in.Operation != "create-payment-intent" || in.Visit != "visit-1" || in.Attempt != 1 || in.IdempotencyKey == "" || in.Config != "config-1" {
		t.Errorf("%+v", in)
	}
	if strings.Contains(fmt.Sprintf("%+v", w.audit), "ada@") {
		t.Error("an intent holds a parameter")
	}
	if w.audit.outcomes[1].Result != problem.Performed || w.audit.outcomes[1].Status != 200 {
		t.Errorf("%+v", w.audit.outcomes[1])
	}
}
