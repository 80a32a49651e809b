package egress

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// waitForFirst bounds how long a repeat waits for the call that is being made.
const waitForFirst = 35 * time.Second

// staleAfter is longer than any call lives. A record that is still in progress then is of
// a call whose end could not be written, as with a full disk: its outcome is unknown.
const staleAfter = 2 * time.Minute

// keepAnswers is how long a repeat gets the first call's answer.
const keepAnswers = 24 * time.Hour

// keepForVisits is the same for a visit. Strangers can make any number of visits, and what
// few would ask for must not fill the disk: a page repeats a call within minutes.
const keepForVisits = time.Hour

// keep is how long this call's record is kept.
func (x *exchange) keep() time.Duration {
	if x.caller == site.Browser {
		return keepForVisits
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
	if x.onBehalf != "" {
		sum := sha256.Sum256([]byte(x.onBehalf))
		return "backend for " + hex.EncodeToString(sum[:16])
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
	now := g.deps.Steady
	x.idemHash = x.requestHash()
	want := Repeat{RequestHash: x.idemHash, ExpiresAt: now().Add(x.keep()), CreatedAt: now()}
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
		first, known, err := g.deps.Idempotency.BeginRepeat(ctx, x.idem, want, now())
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
		case known.State == RepeatInProgress && now().Sub(known.CreatedAt) > staleAfter:
			if err := g.deps.Idempotency.MarkRepeatUnknown(ctx, x.idem); err != nil {
				return deny(problem.Wrap(err, problem.StoreUnavailable, "the record of an earlier call cannot be written"))
			}
			continue
		case known.State != RepeatInProgress:
			return x.repeatUnknown(now().Sub(known.CreatedAt))
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
	parts := [][]byte{[]byte(x.op.Method), []byte(x.out.Path), []byte(x.out.RawQuery), x.out.Body, names}
	if x.order != nil { // two orders may come to one total
		parts = append(parts, []byte(x.orderText()))
	}
	for _, part := range parts {
		n := len(part)
		h.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		h.Write(part)
	}
	copy(sum[:], h.Sum(nil))
	return sum
}
