package scheme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/secret"
)

// Request is what arrived, as it arrived.
type Request struct {
	Method string
	// URL is the public address as the provider was told it: scheme, host, path and raw query.
	URL    string
	Header http.Header
	Body   []byte
	Now    time.Time
}

// Verified is what a signature proves.
type Verified struct {
	// ID is the event's, from signed bytes; empty: there is none, and the body stands for it.
	ID string
	// Type and Object are the provider's words for what happened, and to what; empty where unknown.
	Type   string
	Object string
	// Signed is when it was signed; zero where the scheme does not say.
	Signed time.Time
	// Unauthenticated: the provider signs nothing; only a secret address says that it is it.
	Unauthenticated bool
}

// Reply is an answer to a provider.
type Reply struct {
	Status      int
	ContentType string
	Body        []byte
}

// ErrRefused is wrapped by every refusal. What it says beside is for the log alone.
var ErrRefused = errors.New("event refused")

// ErrUnavailable is wrapped where nothing can be said at the moment: the provider should send
// the event again.
var ErrUnavailable = errors.New("event cannot be verified now")

func refuse(reason string) error { return fmt.Errorf("%w: %s", ErrRefused, reason) }

// Config is a scheme as a pack or the file describes it.
type Config struct {
	// Kind is one of Kinds.
	Kind string
	// Params are the kind's own; an unknown one is an error.
	Params map[string]string
	// Fetch reads a certificate from an https address that the scheme allows (paypal_cert).
	Fetch func(ctx context.Context, url string) ([]byte, error)
	// Roots vouch for such a certificate; nil: the system's.
	Roots *x509.CertPool
}

// kind is the code of a scheme.
type kind interface {
	// verify proves the signature by one of the keys. Reading the body is the caller's.
	verify(ctx context.Context, r Request, keys [][]byte) (Verified, error)
	// sign makes the request that a provider with the key would send.
	sign(r Request, key []byte) (Request, error)
}

// Scheme proves and signs events. It is immutable and safe for concurrent use.
type Scheme struct {
	kind     kind
	words    words
	shake    handshake
	accepted Reply
	allow    []string // methods
}

// maxKeys is how many secrets count at the same time: two, while one is changed.
const maxKeys = 2

// kinds make the kinds by name.
func kinds() map[string]func(p *params, c Config) kind {
	return map[string]func(p *params, c Config) kind{
		"stripe_v1":   newStripe,
		"hmac":        newHMAC,
		"standard":    newStandard,
		"ed25519":     newEd25519,
		"basic":       newBasic,
		"meta":        newMeta,
		"twilio_sha1": newTwilio,
		"vonage_jwt":  newVonage,
		"vonage_sig":  newVonageSig,
		"paypal_cert": newPayPal,
		"secret_path": newSecretPath,
	}
}

// Kinds are the names of the kinds, sorted.
func Kinds() []string {
	var out []string
	for name := range kinds() {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// New makes the scheme of a description. The error says which parameter is wrong.
func New(c Config) (*Scheme, error) {
	build, ok := kinds()[c.Kind]
	if !ok {
		return nil, fmt.Errorf("scheme %q is not known; it is one of %s", c.Kind, strings.Join(Kinds(), ", "))
	}
	p := &params{given: c.Params, read: map[string]bool{}}
	s := &Scheme{kind: build(p, c), accepted: Reply{Status: http.StatusOK}, allow: []string{http.MethodPost}}
	s.words = words{id: p.pointers("id"), kind: p.pointers("type"), object: p.pointers("object")}
	s.shake = handshake{kind: p.text("handshake", "")}
	if m := p.list("methods", ""); len(m) > 0 {
		s.allow = m
	}
	if t := p.text("reply_type", ""); t != "" {
		s.accepted = Reply{Status: http.StatusOK, ContentType: t, Body: []byte(p.text("reply", ""))}
	}
	p.ignore("reply", "key", "note")
	if err := p.end(); err != nil {
		return nil, fmt.Errorf("scheme %s: %w", c.Kind, err)
	}
	return s, nil
}

// Verify proves a request by one of at most two secrets.
func (s *Scheme) Verify(ctx context.Context, r Request, secrets []secret.Value) (Verified, error) {
	if !slices.Contains(s.allow, r.Method) {
		return Verified{}, refuse("the method " + strconv.Quote(r.Method))
	}
	if e := r.Header["Content-Encoding"]; len(e) > 0 {
		return Verified{}, refuse("a content encoding")
	}
	keys, err := expose(secrets)
	if err != nil {
		return Verified{}, err
	}
	v, err := s.kind.verify(ctx, r, keys)
	if err != nil {
		return Verified{}, err
	}
	s.words.read(r, &v)
	return v, nil
}

// Sign makes the request that the provider would send with a secret.
func (s *Scheme) Sign(r Request, key secret.Value) (Request, error) {
	if key.Empty() {
		return Request{}, errors.New("the secret is empty")
	}
	r.Header = r.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	return s.kind.sign(r, key.Expose())
}

// Accepted is the answer to an event that was taken in.
func (s *Scheme) Accepted() Reply { return s.accepted }

// Methods are those that events come by.
func (s *Scheme) Methods() []string {
	if s.shake.kind == handshakeHub {
		return append(slices.Clone(s.allow), http.MethodGet)
	}
	return slices.Clone(s.allow)
}

func expose(secrets []secret.Value) ([][]byte, error) {
	if len(secrets) == 0 || len(secrets) > maxKeys {
		return nil, fmt.Errorf("%w: %d secrets count, not one or two", ErrUnavailable, len(secrets))
	}
	var out [][]byte
	for _, v := range secrets {
		if v.Empty() {
			return nil, fmt.Errorf("%w: a secret is empty", ErrUnavailable)
		}
		out = append(out, v.Expose())
	}
	return out, nil
}

// one is the value of a header that stands exactly once.
func one(h http.Header, name string) (string, error) {
	values := h.Values(name)
	if len(values) != 1 || values[0] == "" {
		return "", refuse(fmt.Sprintf("the header %s stands there %d times", name, len(values)))
	}
	return values[0], nil
}

// window refuses what was signed too long ago or ahead of time.
func window(signed, now time.Time, tolerance time.Duration) error {
	switch age := now.Sub(signed); {
	case age > tolerance:
		return refuse("it is too old")
	case age < -tolerance:
		return refuse("it is from the future")
	}
	return nil
}

// seconds reads a Unix time of digits alone.
func seconds(s string) (time.Time, error) {
	n, err := strconv.ParseUint(s, 10, 40)
	if err != nil || len(s) > 1 && s[0] == '0' {
		return time.Time{}, refuse("the time is no number")
	}
	return time.Unix(int64(n), 0).UTC(), nil
}
