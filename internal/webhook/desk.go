package webhook

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"path"
	"strings"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/secret"
	"sallyport/internal/webhook/scheme"
)

// Scheme proves events of one provider; *scheme.Scheme is one.
type Scheme interface {
	// Verify refuses what none of the secrets signed.
	Verify(ctx context.Context, r scheme.Request, secrets []secret.Value) (scheme.Verified, error)
	// Handshake answers what a provider asks before it sends events; ok is false for an event.
	Handshake(r scheme.Request, tokens []secret.Value) (reply scheme.Reply, ok bool, err error)
	// Answer is the answer to a verified request that is no event but a question.
	Answer(r scheme.Request) (scheme.Reply, bool)
	// Accepted is the answer to an event that was taken in.
	Accepted() scheme.Reply
	// Sign signs a request as the provider would.
	Sign(r scheme.Request, key secret.Value) (scheme.Request, error)
}

// Hook is how a connection takes events in, and where they go. It is immutable.
type Hook struct {
	Site       string
	Connection string
	Mode       string
	Scheme     Scheme
	// Secrets are those that count now: one, or two in a rotation.
	Secrets func(ctx context.Context) ([]secret.Value, error)
	// Tokens are what the provider says when it asks whether the address is ours; nil: none.
	Tokens func(ctx context.Context) ([]secret.Value, error)
	// Types are the events that are kept: the others are acknowledged and forgotten. Empty: all.
	Types        []string
	Destinations []*Destination
}

// Sealer seals with the data key of a site.
type Sealer interface {
	Seal(ctx context.Context, site, purpose string, plaintext []byte) ([]byte, error)
	Open(ctx context.Context, site, purpose string, box []byte) ([]byte, error)
}

// Desk takes events in. It is safe for concurrent use.
type Desk struct {
	store  Intake
	sealer Sealer
	now    func() time.Time
	wake   func(destinations ...string)
}

// NewDesk makes a Desk. wake is told which destinations have something new; it must not block.
func NewDesk(store Intake, sealer Sealer, now func() time.Time, wake func(destinations ...string)) *Desk {
	return &Desk{store: store, sealer: sealer, now: now, wake: wake}
}

// refused is the one answer to whatever a stranger sends: it tells nothing of what was wrong.
func refused(err error) error {
	return problem.Wrap(err, problem.EventRefused, "the event is not accepted")
}

// Receive verifies a request and answers it when it is durable. The error is a *problem.Error:
// event_refused, or store_unavailable where the provider should send it again.
func (d *Desk) Receive(ctx context.Context, h *Hook, r scheme.Request) (scheme.Reply, error) {
	if h.Tokens != nil {
		tokens, err := h.Tokens(ctx)
		if err != nil {
			return scheme.Reply{}, later(err)
		}
		if reply, ok, err := h.Scheme.Handshake(r, tokens); err != nil {
			return scheme.Reply{}, refused(err)
		} else if ok {
			return reply, nil
		}
	}
	secrets, err := h.Secrets(ctx)
	if err != nil {
		return scheme.Reply{}, later(err)
	}
	proved, err := h.Scheme.Verify(ctx, r, secrets)
	switch {
	case errors.Is(err, scheme.ErrRefused):
		return scheme.Reply{}, refused(err)
	case err != nil:
		return scheme.Reply{}, later(err)
	}
	if reply, ok := h.Scheme.Answer(r); ok {
		return reply, nil
	}
	if !matches(h.Types, proved.Type) {
		return h.Scheme.Accepted(), nil
	}
	if err := d.keep(ctx, h, r, proved); err != nil {
		return scheme.Reply{}, err
	}
	return h.Scheme.Accepted(), nil
}

// later asks the provider to send the event again: it is not known whether it is good.
func later(err error) error {
	p := problem.Wrap(err, problem.StoreUnavailable, "events cannot be verified at the moment")
	p.RetryAfter = time.Minute
	return p
}

// keep stores an event, and tells the dispatcher of it.
func (d *Desk) keep(ctx context.Context, h *Hook, r scheme.Request, proved scheme.Verified) error {
	e := Event{ID: newID(), Site: h.Site, Connection: h.Connection, Mode: h.Mode, Key: dedupeKey(r.Body, proved), Type: word(proved.Type), Object: word(proved.Object), Received: d.now()}
	box, err := d.sealer.Seal(ctx, h.Site, purpose(e.ID), pack(r))
	if err != nil {
		return unavailable(err)
	}
	e.Sealed = box
	var to []Delivery
	var names []string
	for _, dest := range h.Destinations {
		if !matches(dest.Types, proved.Type) {
			continue
		}
		one := Delivery{ID: newID(), Destination: dest.Name, Due: e.Received}
		if dest.Ordered {
			one.Order = e.Object
		}
		to, names = append(to, one), append(names, dest.Name)
	}
	added, err := d.store.AddEvent(ctx, e, to)
	if err != nil {
		return unavailable(err)
	}
	if added && len(names) > 0 {
		d.wake(names...)
	}
	return nil
}

// unavailable asks the provider to send the event again.
func unavailable(err error) error {
	var p *problem.Error
	if errors.As(err, &p) && p.Code == problem.StoreUnavailable {
		return p
	}
	p = problem.Wrap(err, problem.StoreUnavailable, "the event cannot be stored at the moment")
	p.RetryAfter = 10 * time.Second
	return p
}

// newID is a random name of 26 lower-case characters.
func newID() string { return strings.ToLower(rand.Text()) }

// purpose binds what is sealed to its event.
func purpose(event string) string { return "event/" + event }

// dedupeKey finds duplicates: by the id that the signature covers, so that nobody can take an
// event's place before it comes; else by the bytes themselves.
func dedupeKey(body []byte, proved scheme.Verified) string {
	if proved.ID != "" {
		sum := sha256.Sum256([]byte("id\x00" + proved.ID))
		return string(sum[:])
	}
	sum := sha256.Sum256(append([]byte("body\x00"), body...))
	return string(sum[:])
}

// maxWord bounds what is kept of a type or an object id in the clear.
const maxWord = 200

// word keeps what is an identifier; anything else could be a person's words.
func word(s string) string {
	if len(s) > maxWord || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '@' }) {
		return ""
	}
	return s
}

// CheckType says whether a pattern of types can be used: an event type, or one with * for any
// letters.
func CheckType(pattern string) bool {
	_, err := path.Match(strings.ReplaceAll(pattern, "/", "."), "")
	return err == nil && pattern != "" && !strings.ContainsAny(pattern, `?[\ `)
}

// matches reports whether a type is one of those that are wanted: payment_intent.* is any whose
// name begins so.
func matches(wanted []string, of string) bool {
	if len(wanted) == 0 {
		return true
	}
	for _, w := range wanted {
		if ok, err := path.Match(strings.ReplaceAll(w, "/", "."), strings.ReplaceAll(of, "/", ".")); ok && err == nil {
			return true
		}
	}
	return false
}
