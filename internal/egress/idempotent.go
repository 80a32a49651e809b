package egress

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// waitForFirst bounds how long a repeat waits for the call that is being made.
const waitForFirst = 35 * time.Second

// staleAfter is longer than any call lives. A record that is still in progress then is of
// a call whose end could not be written, as with a full disk: its outcome is unknown.
const staleAfter = 2 * time.Minute

// keepAnswers is how long a repeat gets the first call's answer.
const keepAnswers = 24 * time.Hour

// keep is how long this call's record is kept. A visit's keys end with its token, and
// strangers can make any number of visits: what nobody can ask for must not fill the disk.
func (x *exchange) keep() time.Duration {
	if x.caller == site.Browser {
		return session.MaxTTL + time.Minute
	}
	return keepAnswers
}

// keyHeader is the caller's name for a call (draft-ietf-httpapi-idempotency-key-header).
const keyHeader = "Idempotency-Key"

// beginIdempotent decides who makes the call when several carry one key, and gives
// the call the key that the provider will recognise a repeat by.
func beginIdempotent(ctx context.Context, g *Gate, x *exchange) Decision {
	if x.op.Method == http.MethodGet || x.op.Method == http.MethodHead {
		return allow("a read")
	}
	if x.op.Retry == contract.RetrySafe { // an answer kept for a day would be kept for nothing
		return allow("repeating it does no harm")
	}
	key, err := x.sentKey()
	if err != nil {
		return denyErr(err)
	}
	x.setProviderKey(key)
	if key == "" {
		return allow("no key")
	}
	x.asked = key
	x.idem = RepeatKey{Site: x.call.Site, Connection: x.call.Connection, Operation: x.op.ID,
		Caller: x.scope() + "@" + string(x.conn.Mode), KeyHash: sha256.Sum256([]byte(key))}
	return g.claim(ctx, x)
}

// sentKey is the key that the caller sent, in the common header or the provider's own.
func (x *exchange) sentKey() (string, error) {
	key := x.call.Header.Get(keyHeader)
	own := x.conn.pack.Idempotency.Header
	if key == "" && own != "" && x.caller == site.Backend {
		key = x.call.Header.Get(own)
	}
	if len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", problem.New(problem.BadHeader, "Idempotency-Key holds more than 255 characters or characters that are not printable ASCII").
			WithHint("send a UUID")
	}
	return key, nil
}

// scope keeps the keys of one visit apart from those of all others. The mode stands beside
// it wherever it is used: an answer of the provider's test system is no answer in live.
func (x *exchange) scope() string {
	if x.caller == site.Browser {
		return "visit:" + x.visit
	}
	return "backend"
}

// setProviderKey adds the provider's idempotency key where it knows one. It is derived,
// so that the key of one site or visit can never replay the answer of another.
func (x *exchange) setProviderKey(key string) {
	rule := x.conn.pack.Idempotency
	if rule.Header == "" || x.op.Retry != contract.RetryKeyed {
		return
	}
	if key == "" { // told to the caller when the outcome is not known: it can repeat with it
		key = rand.Text()
		x.asked = key
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{x.call.Site, x.call.Connection, string(x.conn.Mode), x.op.ID, x.scope(), key}, "\x00")))
	x.key = "sallyport-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
	x.out.Header.Set(rule.Header, x.key)
}

// claim makes this call the first with its key, or waits for the first and
// returns its answer.
func (g *Gate) claim(ctx context.Context, x *exchange) Decision {
	want := Repeat{RequestHash: x.requestHash(), ExpiresAt: g.now().Add(x.keep()), CreatedAt: g.now()}
	ctx, cancel := context.WithTimeout(ctx, waitForFirst)
	defer cancel()
	for x.flight == nil {
		mine, ended, err := g.deps.Flights.enter(ctx, x.idem)
		switch {
		case err != nil:
			return deny(busy())
		case mine != nil:
			mine.hash, x.flight = want.RequestHash, mine
		case ended.answer != nil && ended.hash == want.RequestHash:
			return x.replayAnswer(ended.answer)
		case ended.answer != nil:
			return deny(otherRequest())
		}
	}
	// Another process may be making the call: its end is looked for in the store.
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		first, known, err := g.deps.Idempotency.BeginRepeat(ctx, x.idem, want, g.now())
		switch {
		case err != nil:
			return deny(problem.Wrap(err, problem.StoreUnavailable, "the record of earlier calls cannot be read"))
		case first:
			x.began = true
			return allow("first with this key")
		case known.RequestHash != want.RequestHash:
			return deny(otherRequest())
		case known.State == RepeatDone:
			return g.openAnswer(ctx, x, known.Sealed)
		case known.State == RepeatInProgress && g.now().Sub(known.CreatedAt) > staleAfter:
			if err := g.deps.Idempotency.MarkRepeatUnknown(ctx, x.idem); err != nil {
				return deny(problem.Wrap(err, problem.StoreUnavailable, "the record of an earlier call cannot be written"))
			}
			continue
		case known.State != RepeatInProgress:
			return x.repeatUnknown(g.now().Sub(known.CreatedAt))
		}
		select {
		case <-ctx.Done():
			return deny(busy())
		case <-time.After(wait):
		}
	}
}

func otherRequest() *problem.Error {
	return problem.New(problem.IdempotencyConflict, "this key was used with other parameters").WithHint("use a new key for a new call")
}

func busy() *problem.Error {
	return problem.New(problem.IdempotencyBusy, "the call with this key has not ended yet").WithHint("repeat in a few seconds with the same key")
}

// Flights lets calls with one key share one call within this process: repeats wait in
// memory for its end and take its answer. It outlives snapshots; the zero value is ready
// and safe for concurrent use.
type Flights struct {
	mu     sync.Mutex
	flying map[RepeatKey]*flight
}

// flight is a call under way. hash and answer are set before done is closed; answer
// stays nil where the end left nothing to share.
type flight struct {
	done   chan struct{}
	hash   [32]byte
	answer []byte
}

// enter makes the caller's flight the one with the key, or waits for the one under way
// and returns it, ended.
func (f *Flights) enter(ctx context.Context, key RepeatKey) (mine, ended *flight, err error) {
	f.mu.Lock()
	other, busy := f.flying[key]
	if !busy {
		mine = &flight{done: make(chan struct{})}
		if f.flying == nil {
			f.flying = map[RepeatKey]*flight{}
		}
		f.flying[key] = mine
		f.mu.Unlock()
		return mine, nil, nil
	}
	f.mu.Unlock()
	select {
	case <-other.done:
		return nil, other, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func (f *Flights) leave(key RepeatKey, mine *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.flying, key)
	close(mine.done)
}

// recognised is the part of a provider's memory of keys that is relied on: a call may
// wait for its turn, and clocks differ.
const recognised = 0.9

// repeatUnknown decides on the repeat of a call whose outcome nobody knows: safe only
// where the provider itself recognises the key, and for as long as it says that it does.
func (x *exchange) repeatUnknown(age time.Duration) Decision {
	keeps, err := time.ParseDuration(x.conn.pack.Idempotency.Keep)
	if x.key != "" && err == nil && age >= 0 && age < time.Duration(recognised*float64(keeps)) {
		x.began, x.repeats = true, true
		return allow("a repeat that the provider recognises")
	}
	p := problem.New(problem.IdempotencyUnknown, "nobody knows whether the earlier call with this key was performed").
		WithHint("look at the provider's side, then repeat with a new key if it was not")
	p.Outcome = problem.Unknown
	return deny(p)
}

func (x *exchange) requestHash() (sum [32]byte) {
	h := sha256.New()
	head := x.out.Header.Clone()
	head.Del(x.conn.pack.Idempotency.Header)
	names, _ := json.Marshal(head) // sorted; a map of strings cannot fail
	for _, part := range [][]byte{[]byte(x.op.Method), []byte(x.out.Path), []byte(x.out.RawQuery), x.out.Body, names} {
		n := len(part)
		h.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		h.Write(part)
	}
	copy(sum[:], h.Sum(nil))
	return sum
}

// storedAnswer is what is kept, sealed, of the first call's answer.
type storedAnswer struct {
	Status  int            `json:"status"`
	Header  http.Header    `json:"header,omitempty"`
	Body    []byte         `json:"body,omitempty"`
	Problem *storedProblem `json:"problem,omitempty"`
}

type storedProblem struct {
	Code           problem.Code    `json:"code"`
	Detail         string          `json:"detail"`
	Hint           string          `json:"hint,omitempty"`
	Outcome        problem.Outcome `json:"outcome,omitempty"`
	Faults         []problem.Fault `json:"faults,omitempty"`
	ProviderStatus int             `json:"provider_status,omitempty"`
	ProviderCode   string          `json:"provider_code,omitempty"`
}

func (g *Gate) openAnswer(ctx context.Context, x *exchange, sealed []byte) Decision {
	stored, err := g.deps.Answers.Open(ctx, x.call.Site, sealed)
	if err != nil {
		return deny(problem.Wrap(err, problem.StoreUnavailable, "the stored answer cannot be opened"))
	}
	if x.flight != nil {
		x.flight.answer = stored // for those in this process that wait
	}
	return x.replayAnswer(stored)
}

func (x *exchange) replayAnswer(stored []byte) Decision {
	var s storedAnswer
	if err := json.Unmarshal(stored, &s); err != nil {
		return denyErr(err)
	}
	x.replay = true
	header := s.Header
	if header == nil {
		header = http.Header{}
	}
	header.Set("Idempotent-Replayed", "true")
	x.finished = &Answer{Status: s.Status, Header: header, Body: s.Body}
	if p := s.Problem; p != nil {
		x.finished.Problem = x.speak(&problem.Error{Code: p.Code, Detail: p.Detail, Hint: p.Hint, Outcome: p.Outcome,
			Faults: p.Faults, ProviderStatus: p.ProviderStatus, ProviderCode: p.ProviderCode, IdempotencyKey: x.asked})
	}
	return allow("answered before")
}

// settleRecord ends the record: forgotten when no byte was sent, unknown when the
// outcome is, and else kept with the answer. What was unknown before a repeat stays so
// unless the provider's answer shows that the call was performed.
func (g *Gate) settleRecord(ctx context.Context, x *exchange, answer *Answer) error {
	p := answer.Problem
	switch {
	case x.repeats && (p == nil && answer.Status >= 400 || p != nil && p.Outcome != problem.Performed):
		// What became of this repeat says nothing of the call before it.
		return g.deps.Idempotency.MarkRepeatUnknown(ctx, x.idem)
	case p != nil && (p.Outcome == problem.NotSent || p.Outcome == problem.NotPerformed):
		return g.deps.Idempotency.ForgetRepeat(ctx, x.idem)
	case p == nil && answer.Status >= 400 && x.told() == problem.NotPerformed: // the provider refused: it did nothing
		return g.deps.Idempotency.ForgetRepeat(ctx, x.idem)
	case p != nil && p.Outcome == problem.Unknown, p == nil && answer.Status >= 400:
		return g.deps.Idempotency.MarkRepeatUnknown(ctx, x.idem)
	}
	s := storedAnswer{Status: answer.Status, Header: answer.Header.Clone(), Body: answer.Body}
	for name := range s.Header {
		if strings.HasPrefix(name, "Ratelimit") || name == "Retry-After" {
			s.Header.Del(name)
		}
	}
	if p != nil {
		s.Problem = &storedProblem{Code: p.Code, Detail: p.Detail, Hint: p.Hint, Outcome: p.Outcome,
			Faults: p.Faults, ProviderStatus: p.ProviderStatus, ProviderCode: p.ProviderCode}
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return errors.Join(err, g.deps.Idempotency.MarkRepeatUnknown(ctx, x.idem))
	}
	sealed, err := g.deps.Answers.Seal(ctx, x.call.Site, raw)
	if err != nil {
		return errors.Join(err, g.deps.Idempotency.MarkRepeatUnknown(ctx, x.idem))
	}
	if x.flight != nil {
		x.flight.answer = raw
	}
	return g.deps.Idempotency.FinishRepeat(ctx, x.idem, sealed, g.now().Add(x.keep()))
}
