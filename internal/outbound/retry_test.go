package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/problem"
)

const keyHeader = "Idempotency-Key"

// step is what an upstream does with one attempt.
type step struct {
	status int    // 0: cuts the connection without an answer
	header string // Name: value
	body   string
}

// scripted answers attempt n with steps[n]; the last step repeats.
func scripted(t *testing.T, steps ...step) (*upstream, *atomic.Int64) {
	var n atomic.Int64
	return handling(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s := steps[min(int(n.Add(1))-1, len(steps)-1)]
		if s.status == 0 {
			panic(http.ErrAbortHandler)
		}
		if name, value, ok := strings.Cut(s.header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, s.body)
	}), &n
}

func quick(change func(*RetryRule)) func(*HostConfig) {
	return func(c *HostConfig) {
		c.Retry = RetryRule{Statuses: []int{409, 500, 503}, Header: "Stripe-Should-Retry", MaxAttempts: 3, Base: time.Millisecond}
		if change != nil {
			change(&c.Retry)
		}
	}
}

func overLimit(_ int, _ http.Header, body []byte) Verdict {
	switch {
	case strings.Contains(string(body), "OVER_QUERY_LIMIT"):
		return Throttled
	case strings.Contains(string(body), "UNKNOWN_ERROR"):
		return Retry
	case strings.Contains(string(body), "INVALID"):
		return Stop
	}
	return Plain
}

// The table of repeats: what happened against what the operation and the provider allow.
func TestRetryRules(t *testing.T) {
	ok, cut := step{status: 200}, step{}
	unprocessed := func(r *RetryRule) { r.ThrottledIsUnprocessed = true }
	tests := []struct {
		name    string
		safety  Safety
		key     bool
		rule    func(*RetryRule)
		first   step
		repeats bool
		outcome problem.Outcome // of the call, when it is not repeated
	}{
		{"safe, 503", Safe, false, nil, step{status: 503}, true, ""},
		{"keyed with key, 503", Keyed, true, nil, step{status: 503}, true, ""},
		{"keyed without key, 503", Keyed, false, nil, step{status: 503}, false, problem.Unknown},
		{"never, 503", Never, true, nil, step{status: 503}, false, problem.Unknown},
		{"safe, 502 not in the rule", Safe, false, nil, step{status: 502}, false, problem.Unknown},
		{"safe, 400", Safe, false, nil, step{status: 400}, false, problem.NotPerformed},
		{"keyed, 409", Keyed, true, nil, step{status: 409}, true, ""},
		{"safe, cut off", Safe, false, nil, cut, true, ""},
		{"keyed with key, cut off", Keyed, true, nil, cut, true, ""},
		{"keyed without key, cut off", Keyed, false, nil, cut, false, problem.Unknown},
		{"never, cut off", Never, true, nil, cut, false, problem.Unknown},
		{"safe, 429", Safe, false, nil, step{status: 429}, true, ""},
		{"never, 429", Never, false, nil, step{status: 429}, false, problem.NotPerformed},
		{"never, 429 documented as unprocessed", Never, false, unprocessed, step{status: 429}, true, ""},
		{"never, 503 where 429 is unprocessed", Never, false, unprocessed, step{status: 503}, false, problem.Unknown},
		{"never, cut off where 429 is unprocessed", Never, false, unprocessed, cut, false, problem.Unknown},
		{"safe, throttled in a 200", Safe, false, nil, step{status: 200, body: "OVER_QUERY_LIMIT"}, true, ""},
		{"never, throttled in a 200", Never, false, nil, step{status: 200, body: "OVER_QUERY_LIMIT"}, false, problem.NotPerformed},
		{"safe, retry said in a 200", Safe, false, nil, step{status: 200, body: "UNKNOWN_ERROR"}, true, ""},
		{"never, retry said in a 200", Never, false, nil, step{status: 200, body: "UNKNOWN_ERROR"}, false, problem.Unknown},
		{"safe, stop said in a 503", Safe, false, nil, step{status: 503, body: "INVALID"}, false, problem.Unknown},
		{"safe, should-retry false", Safe, false, nil, step{status: 503, header: "Stripe-Should-Retry: false"}, false, problem.Unknown},
		{"safe, 429 with should-retry false", Safe, false, nil, step{status: 429, header: "Stripe-Should-Retry: false"}, false, problem.NotPerformed},
		{"safe, should-retry true on 400", Safe, false, nil, step{status: 400, header: "Stripe-Should-Retry: true"}, true, ""},
		{"keyed with key, should-retry true on 400", Keyed, true, nil, step{status: 400, header: "Stripe-Should-Retry: true"}, true, ""},
		{"never, should-retry true", Never, true, nil, step{status: 503, header: "Stripe-Should-Retry: true"}, false, problem.Unknown},
		{"should-retry true on a 200", Safe, false, nil, step{status: 200, header: "Stripe-Should-Retry: true"}, false, problem.Performed},
		{"one attempt only", Safe, false, func(r *RetryRule) { r.MaxAttempts = 1 }, step{status: 503}, false, problem.Unknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u, n := scripted(t, test.first, ok)
			var intents []int
			call := &Call{Method: http.MethodPost, Path: "/", Safety: test.safety, KeyHeader: keyHeader, Judge: overLimit, Header: http.Header{},
				Intent: func(_ context.Context, attempt int) error { intents = append(intents, attempt); return nil }}
			if test.key {
				call.Header.Set(keyHeader, "k1")
			}
			res, err := to(t, u, quick(test.rule)).Do(t.Context(), call)
			outcome := problem.From(err)
			want := int64(1)
			if test.repeats {
				want = 2
			}
			if n.Load() != want || fmt.Sprint(intents) != fmt.Sprint([]int{1, 2}[:want]) {
				t.Fatalf("%d attempts with intents %v, want %d", n.Load(), intents, want)
			}
			switch {
			case test.repeats && (err != nil || res.Status != 200 || res.Outcome != problem.Performed || res.Attempts != 2):
				t.Errorf("after the repeat: %+v, %v", res, err)
			case !test.repeats && err == nil && res.Outcome != test.outcome:
				t.Errorf("outcome %q, want %q", res.Outcome, test.outcome)
			case !test.repeats && err != nil && outcome.Outcome != test.outcome:
				t.Errorf("outcome %q, want %q", outcome.Outcome, test.outcome)
			}
		})
	}
}

// A call that could not connect was not sent, so even a message is tried again.
func TestUnsentIsRepeatedForEveryOperation(t *testing.T) {
	u := replying(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	var lookups atomic.Int64
	h := to(t, u, quick(nil))
	h.dialer = NewDialer(DialerConfig{Policy: PolicyProvider, Resolver: hangingResolver{}})
	h.address = "flaky.example:443"
	h.timeouts.Dial = 10 * time.Millisecond
	call := &Call{Method: http.MethodPost, Path: "/", Safety: Never, Intent: func(context.Context, int) error { lookups.Add(1); return nil }}
	_, err := h.Do(t.Context(), call)
	wantProblem(t, err, problem.UpstreamTimeout, problem.NotSent)
	if lookups.Load() != 2 { // the budget of a quiet host is one repeat
		t.Errorf("%d attempts, want 2", lookups.Load())
	}
}

func TestOutcomeOfSeveralAttempts(t *testing.T) {
	tests := []struct {
		name  string
		steps []step
		want  problem.Outcome
	}{
		{"unknown, then performed", []step{{}, {status: 200}}, problem.Performed},
		{"unknown, then refused", []step{{}, {status: 400}}, problem.Unknown},
		{"throttled, then refused", []step{{status: 429}, {status: 400}}, problem.NotPerformed},
		{"throttled, then unknown", []step{{status: 429}, {status: 502}}, problem.Unknown},
	}
	for _, test := range tests {
		u, _ := scripted(t, test.steps...)
		call := &Call{Method: http.MethodPost, Path: "/", Safety: Keyed, KeyHeader: keyHeader, Header: http.Header{keyHeader: {"k"}}}
		res, err := to(t, u, quick(nil)).Do(t.Context(), call)
		if err != nil || res.Outcome != test.want {
			t.Errorf("%s: %+v, %v; want %s", test.name, res, err, test.want)
		}
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	u, _ := scripted(t, step{status: 503, header: "Retry-After: 1"}, step{status: 200})
	began := time.Now()
	res, err := to(t, u, quick(nil)).Do(t.Context(), get("/"))
	if err != nil || res.Status != 200 || time.Since(began) < time.Second {
		t.Errorf("%+v, %v after %s; want 200 after a second", res, err, time.Since(began))
	}
	// Longer than the call may take: the answer is handed on, with the wait.
	u, n := scripted(t, step{status: 429, header: "Retry-After: 60"}, step{status: 200})
	began = time.Now()
	res, err = to(t, u, quick(nil)).Do(t.Context(), get("/"))
	if err != nil || res.Status != 429 || res.RetryAfter != time.Minute || n.Load() != 1 || time.Since(began) > time.Second {
		t.Errorf("%+v, %v after %s and %d attempts; want 429 at once", res, err, time.Since(began), n.Load())
	}
	if p := res.Problem(); p.Code != problem.UpstreamThrottled || p.RetryAfterSeconds() != 60 || p.Outcome != problem.NotPerformed {
		t.Errorf("problem %+v", p)
	}
}

func TestRetryAfterForms(t *testing.T) {
	date := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	for text, want := range map[string][2]time.Duration{"": {0, 0}, "5": {5 * time.Second, 5 * time.Second}, "-5": {0, 0}, "soon": {0, 0}, "1e9": {0, 0},
		"99999999": {24 * time.Hour, 24 * time.Hour}, date: {80 * time.Second, 90 * time.Second}, "Thu, 01 Jan 1970 00:00:00 GMT": {0, 0}} {
		if got := retryAfter(text); got < want[0] || got > want[1] {
			t.Errorf("%q: %s, want %s to %s", text, got, want[0], want[1])
		}
	}
}

// renewable is a credential that can be replaced, and counts how often it is.
type renewable struct {
	mu      sync.Mutex
	current int
	newer   bool
	asked   int
}

func (c *renewable) Apply(_ context.Context, r *Request) (Mark, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Header.Set("Authorization", fmt.Sprintf("Bearer token-%d", c.current))
	return Mark(c.current), nil
}

func (c *renewable) Refresh(_ context.Context, used Mark) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.newer && used == Mark(c.current) {
		c.current++
	}
	return used != Mark(c.current), nil
}

func (c *renewable) Echo([]byte) bool { return false }

func TestRefusedCredentialIsRenewedOnce(t *testing.T) {
	u := handling(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-1" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	for _, newer := range []bool{true, false} {
		c := &renewable{newer: newer}
		var intents int
		call := &Call{Method: http.MethodPost, Path: "/", Credential: c, Intent: func(context.Context, int) error { intents++; return nil }}
		res, err := to(t, u, quick(nil)).Do(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		if newer && (res.Status != 200 || intents != 2) || !newer && (res.Status != 401 || intents != 1 || res.Problem().Code != problem.CredentialRefused) {
			t.Errorf("newer %t: status %d after %d attempts", newer, res.Status, intents)
		}
		if c.asked != 1 {
			t.Errorf("asked for a renewal %d times", c.asked)
		}
		if call.Header != nil {
			t.Errorf("the call itself holds %v", call.Header)
		}
	}
	// A new credential that is refused too is not renewed again.
	always, n := scripted(t, step{status: 401})
	c := &renewable{newer: true}
	if res, err := to(t, always, quick(nil)).Do(t.Context(), &Call{Method: http.MethodGet, Path: "/", Safety: Safe, Credential: c}); err != nil || res.Status != 401 || n.Load() != 2 {
		t.Errorf("%+v, %v after %d attempts, want 401 after 2", res, err, n.Load())
	}
}

// A credential that was replaced is not called refused because the limit lets no repeat through.
func TestRenewedButOverTheLimit(t *testing.T) {
	u, n := scripted(t, step{status: 401})
	b := NewBucket(BucketConfig{Calls: 1, Per: time.Hour, Wait: time.Millisecond})
	_, err := to(t, u, quick(nil)).Do(t.Context(), &Call{Method: http.MethodGet, Path: "/", Credential: &renewable{newer: true}, Buckets: []*Bucket{b}})
	if p := problem.From(err); p == nil || p.Code != problem.UpstreamThrottled || p.Outcome != problem.NotPerformed || p.RetryAfter <= 0 || n.Load() != 1 {
		t.Errorf("%+v after %d attempts, want upstream_throttled, not performed", p, n.Load())
	}
}

// Without an intent on record nothing is sent, on any attempt.
func TestIntentFailsClosed(t *testing.T) {
	full := problem.New(problem.AuditUnavailable, "the disk is full")
	for failing := 1; failing <= 2; failing++ {
		u, n := scripted(t, step{status: 503})
		call := get("/")
		call.Intent = func(_ context.Context, attempt int) error {
			if attempt == failing {
				return full
			}
			return nil
		}
		res, err := to(t, u, quick(nil)).Do(t.Context(), call)
		if n.Load() != int64(failing-1) {
			t.Errorf("intent %d failed, and %d requests arrived", failing, n.Load())
		}
		if failing == 1 && !errors.Is(err, full) || failing == 2 && (err != nil || res.Status != 503 || res.Attempts != 1) {
			t.Errorf("intent %d failed: %+v, %v", failing, res, err)
		}
	}
}

type brokenCredential struct{ renewable }

func (*brokenCredential) Apply(context.Context, *Request) (Mark, error) {
	return 0, errors.New("the vault is sealed")
}

func TestNoCredentialNothingSent(t *testing.T) {
	u, n := scripted(t, step{status: 200})
	call := get("/")
	call.Credential = &brokenCredential{}
	_, err := to(t, u, quick(nil)).Do(t.Context(), call)
	wantProblem(t, err, problem.CredentialUnavailable, problem.NotSent)
	if n.Load() != 0 {
		t.Errorf("%d requests arrived", n.Load())
	}
}
