package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"sallyport/internal/outbound"
	"sallyport/internal/problem"
	"sallyport/internal/secret"
)

// TokenField is the field that holds the token in a Placement.
const TokenField = "access_token"

var errNoIssuer = errors.New("it is not known whose key this is: the key file has no client_email")

// Bearer is where a token goes unless the catalog says otherwise (RFC 6750 §2.1).
func Bearer() outbound.Placement {
	return outbound.Placement{Kind: outbound.KindHeader, Name: "Authorization", Value: "Bearer {" + TokenField + "}"}
}

// kept is the Credential that a Keeper hands out.
type kept struct {
	keeper   *Keeper
	key      Key
	source   Source
	template *outbound.Template
}

// Credential makes the Credential that puts the key's token on requests, at a place whose texts
// name TokenField and may name further fields. It reads and asks for nothing yet.
func (k *Keeper) Credential(key Key, s Source, p outbound.Placement, fields map[string]outbound.Field) (outbound.Credential, error) {
	c := &kept{keeper: k, key: key, source: s}
	all := maps.Clone(fields)
	if all == nil {
		all = map[string]outbound.Field{}
	}
	all[TokenField] = outbound.Field{Read: func(ctx context.Context) (secret.Value, error) {
		t, err := k.get(ctx, key, s)
		return t.Value, err
	}}
	var err error
	if c.template, err = outbound.NewTemplate(p, all); err != nil {
		return nil, fmt.Errorf("credential of %s: %w", key, err)
	}
	return c, nil
}

// Apply implements outbound.Credential. It waits for a token where there is none.
func (c *kept) Apply(ctx context.Context, r *outbound.Request) (outbound.Mark, error) {
	return c.template.Apply(ctx, r)
}

// Refresh implements outbound.Credential. However many calls were refused with one token, one
// new one is asked for.
func (c *kept) Refresh(ctx context.Context, used outbound.Mark) (bool, error) {
	e := c.keeper.entry(c.key)
	e.mu.Lock()
	count := e.have.count
	e.mu.Unlock()
	if changed, err := c.template.Refresh(ctx, used); err != nil || changed {
		return changed, err
	}
	return c.keeper.renew(ctx, c.key, c.source, count)
}

// Echo implements outbound.Credential.
func (c *kept) Echo(b []byte) bool { return c.template.Echo(b) }

// Statement is what an application signs about itself instead of asking for a token.
type Statement struct {
	Key Text // an RSA key
	// Claims are texts with {field}, beside iat, exp and jti.
	Claims map[string]Text
	// Life is from iat to exp; a statement is used for the first third of it.
	Life time.Duration
	Now  func() time.Time // nil: time.Now
}

// signed is the Credential of a Statement.
type signed struct {
	s        Statement
	template *outbound.Template

	mu            sync.Mutex
	first, second statement
}

// statement is one that was signed, with one of the two values that a key has while it is rotated.
type statement struct {
	value secret.Value
	of    [32]byte // what it was made from
	from  time.Time
}

// NewSigned makes a Credential that signs its tokens itself (RS256). It reads nothing yet.
func NewSigned(s Statement, p outbound.Placement, fields map[string]outbound.Field) (outbound.Credential, error) {
	if s.Life < time.Minute || s.Life > mostLife {
		return nil, fmt.Errorf("signed credential: a life of %s; from a minute to a day is used", s.Life)
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	c := &signed{s: s}
	all := maps.Clone(fields)
	if all == nil {
		all = map[string]outbound.Field{}
	}
	all[TokenField] = outbound.Field{Read: c.read, Second: c.readSecond}
	var err error
	if c.template, err = outbound.NewTemplate(p, all); err != nil {
		return nil, fmt.Errorf("signed credential: %w", err)
	}
	return c, nil
}

// read gives the statement of now. One signature serves many calls; a new key or claim is used
// at once.
func (c *signed) read(ctx context.Context) (secret.Value, error) {
	key, err := c.s.Key.value(ctx)
	if err != nil {
		return none, err
	}
	return c.signedWith(ctx, key, &c.first)
}

// readSecond gives a statement that is signed with the other value of a key that is rotated.
func (c *signed) readSecond(ctx context.Context) (secret.Value, error) {
	key, err := c.s.Key.second(ctx)
	if err != nil || key.Empty() {
		return none, err
	}
	return c.signedWith(ctx, key, &c.second)
}

func (c *signed) signedWith(ctx context.Context, key secret.Value, last *statement) (secret.Value, error) {
	claims := map[string]any{}
	parts := [][]byte{key.Expose()}
	for _, name := range slices.Sorted(maps.Keys(c.s.Claims)) {
		v, err := c.s.Claims[name].value(ctx)
		if err != nil {
			return none, err
		}
		claims[name] = string(v.Expose())
		parts = append(parts, []byte(name), v.Expose())
	}
	of := Digest(parts...)
	now := c.s.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := now.Sub(last.from); of == last.of && !last.value.Empty() && age >= 0 && age < c.s.Life/3 {
		return last.value, nil
	}
	k, err := ParseKey(key)
	if err != nil {
		return none, unusableKey(err)
	}
	claims["iat"], claims["exp"], claims["jti"] = now.Unix(), now.Add(c.s.Life).Unix(), rand.Text()
	raw, err := k.sign(claims)
	if err != nil {
		return none, unusableKey(err)
	}
	*last = statement{secret.NewValue(raw), of, now}
	return last.value, nil
}

func unusableKey(err error) error {
	return problem.Wrap(err, problem.CredentialUnavailable, "the connection's private key cannot be used to sign").
		WithHint("it must be one RSA key of %d to %d bits in PEM form; check it with `sallyport check`", leastRSA, mostRSA)
}

// Apply implements outbound.Credential.
func (c *signed) Apply(ctx context.Context, r *outbound.Request) (outbound.Mark, error) {
	return c.template.Apply(ctx, r)
}

// Refresh implements outbound.Credential. A statement that was refused is signed anew once: the
// provider may count by a clock of its own, or have seen the id of this one.
func (c *signed) Refresh(ctx context.Context, used outbound.Mark) (bool, error) {
	if changed, err := c.template.Refresh(ctx, used); err != nil || changed {
		return changed, err
	}
	c.mu.Lock()
	if c.s.Now().Sub(c.first.from).Abs() >= signAgain {
		c.first.value = none
	}
	c.mu.Unlock()
	return c.template.Refresh(ctx, used)
}

// signAgain keeps a provider that refuses every statement from costing a signature each time.
const signAgain = 5 * time.Second

// Echo implements outbound.Credential.
func (c *signed) Echo(b []byte) bool { return c.template.Echo(b) }
