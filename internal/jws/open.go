package jws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// MaxForeignLength is the longest token of others that is read, in bytes.
const MaxForeignLength = 8 << 10

// ErrNotVerified is what Open wraps for every token that does not count: a caller tells
// strangers no more than that.
var ErrNotVerified = errors.New("the token does not count")

// KeyFinder finds keys by their kid; *Set and *Remote are such.
type KeyFinder interface {
	// FindKey gives the key of a kid; ok is false where there is none. An error says that it is not
	// known whether there is one.
	FindKey(ctx context.Context, kid string) (k Key, ok bool, err error)
}

// FindKey implements KeyFinder.
func (s *Set) FindKey(_ context.Context, kid string) (Key, bool, error) {
	k, ok := s.Find(kid)
	return k, ok, nil
}

// Opened is a token of others whose signature was verified.
type Opened struct {
	// Key is the key that verified it.
	Key Key
	// Type is the header's typ; empty where there was none.
	Type string
	// Payload is what was signed.
	Payload []byte
}

// Open reads a compact JWS of others (RFC 7515 §7.1) and verifies it. The key alone says by
// which algorithm; the header must name the same. It fetches nothing that a token names:
// jku, x5u, x5c and jwk are refused, as are crit, zip, b64 and cty, and a kid is compared
// with the kids that are known. An error wraps ErrNotVerified, or is of keys.
func Open(ctx context.Context, token string, keys KeyFinder) (Opened, error) {
	parts, raw, err := cut(token)
	if err != nil {
		return Opened{}, refuse(err)
	}
	h, err := readHeader(raw[0])
	if err != nil {
		return Opened{}, refuse(err)
	}
	key, ok, err := keys.FindKey(ctx, h.kid)
	switch {
	case err != nil:
		return Opened{}, fmt.Errorf("find the key of a token: %w", err)
	case !ok:
		return Opened{}, refuse(errors.New("its key is not known"))
	case h.alg != key.algorithm:
		return Opened{}, refuse(errors.New("its algorithm is not its key's"))
	case !key.verify([]byte(token[:len(parts[0])+1+len(parts[1])]), raw[2]):
		return Opened{}, refuse(errors.New("its signature is not its key's"))
	}
	return Opened{Key: key, Type: h.typ, Payload: raw[1]}, nil
}

func refuse(err error) error { return fmt.Errorf("%w: %w", ErrNotVerified, err) }

// cut takes a compact JWS apart. An empty payload is one.
func cut(token string) (parts []string, raw [3][]byte, err error) {
	if len(token) > MaxForeignLength {
		return nil, raw, fmt.Errorf("it has %d bytes, more than %d", len(token), MaxForeignLength)
	}
	if strings.Count(token, ".") != 2 {
		return nil, raw, errors.New("it has not 3 parts between dots")
	}
	parts = strings.Split(token, ".")
	for i, name := range [...]string{"header", "payload", "signature"} {
		if i == 1 && parts[i] == "" {
			continue
		}
		if raw[i], err = strict(parts[i]); err != nil {
			return nil, raw, fmt.Errorf("its %s %w", name, err)
		}
	}
	return parts, raw, nil
}

type foreignHeader struct{ alg, kid, typ string }

func readHeader(raw []byte) (h foreignHeader, err error) {
	m, err := readObject(raw, MaxForeignLength)
	if err != nil {
		return h, fmt.Errorf("its header is not a JSON object with each name once: %w", err)
	}
	for _, name := range [...]string{"crit", "zip", "b64", "cty", "jku", "x5u", "x5c", "jwk"} {
		if _, there := m[name]; there {
			return h, errors.New("its header has " + name)
		}
	}
	for name, to := range map[string]*string{"alg": &h.alg, "kid": &h.kid, "typ": &h.typ} {
		v, there := m[name]
		if !there {
			continue
		}
		text, ok := v.(string)
		if !ok || text == "" || len(text) > maxForeignKeyID {
			return h, fmt.Errorf("its header's %s is not a text of 1 to %d characters", name, maxForeignKeyID)
		}
		*to = text
	}
	if h.alg == "" {
		return h, errors.New("its header names no algorithm")
	}
	return h, nil
}

// Claims reads the payload of a JWT: a JSON object, each name once. Numbers are json.Number.
func (o Opened) Claims() (map[string]any, error) {
	m, err := readObject(o.Payload, MaxForeignLength)
	if err != nil {
		return nil, refuse(fmt.Errorf("its payload is not a JSON object with each name once: %w", err))
	}
	return m, nil
}

// Seconds reads a NumericDate (RFC 7519 §2) of others: a number of seconds that may have
// decimals, which are cut off.
func Seconds(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	if err != nil || f < 1 || f > 1<<40 {
		return 0, false
	}
	return int64(f), true
}
