package jws

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"sallyport/internal/tape"
)

// The bounds of a JWK set.
const (
	// MaxSetSize is the longest document that is read, in bytes.
	MaxSetSize = 64 << 10
	// MaxSetKeys is how many keys a set may have, of whatever kind.
	MaxSetKeys = 64

	maxForeignKeyID = 256
)

// Accept says which algorithms count, and what a key is for that does not say so.
type Accept struct {
	// Algorithms are those that count. Empty: RS256, PS256, ES256 and EdDSA and their
	// longer siblings; never HS, which must be named.
	Algorithms []string
	// RSA is the algorithm of an RSA key that names none; empty: such a key does not
	// count. The other kinds of keys have one algorithm each.
	RSA string
}

func (a Accept) takes(algorithm string) bool {
	if len(a.Algorithms) > 0 {
		return slices.Contains(a.Algorithms, algorithm)
	}
	return slices.Contains([]string{RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA}, algorithm)
}

// Set is a JWK set (RFC 7517 §5): the keys of it that may verify statements. It is immutable.
type Set struct {
	keys    []Key
	skipped []string
}

// ParseSet reads a JWK set strictly: each name once at any depth, bounds, and no two keys
// with one kid, because then nobody knows which of them counts. Keys that are not for
// verifying with an accepted algorithm, weak ones among them, do not count and are named in
// Skipped; a set of nothing else is an error.
func ParseSet(raw []byte, a Accept) (*Set, error) {
	doc, err := readObject(raw, MaxSetSize)
	if err != nil {
		return nil, fmt.Errorf("read key set: it is not a JSON object with each name once: %w", err)
	}
	list, ok := doc["keys"].([]any)
	if !ok || len(list) > MaxSetKeys {
		return nil, fmt.Errorf("read key set: it has no list of 1 to %d keys", MaxSetKeys)
	}
	s, seen := &Set{}, map[string]bool{}
	for i, item := range list {
		jwk, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("read key set: key %d is not an object", i+1)
		}
		kid, err := keyID(jwk)
		if err != nil {
			return nil, fmt.Errorf("read key set: key %d: %w", i+1, err)
		}
		if seen[kid] {
			return nil, fmt.Errorf("read key set: key %d: another key has its kid, or neither has one", i+1)
		}
		seen[kid] = true
		k, err := keyOf(jwk, kid, a)
		if err != nil {
			s.skipped = append(s.skipped, fmt.Sprintf("key %d: %v", i+1, err))
			continue
		}
		s.keys = append(s.keys, k)
	}
	if s.mixed() {
		return nil, errors.New("read key set: it has shared secrets beside public keys; which of both it is for is not certain")
	}
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("read key set: none of its %d keys can be used: %v", len(list), s.skipped)
	}
	return s, nil
}

// mixed reports whether secrets and public keys stand together.
func (s *Set) mixed() bool {
	secrets := 0
	for _, k := range s.keys {
		if k.secret != nil {
			secrets++
		}
	}
	return secrets > 0 && secrets < len(s.keys)
}

// ParseKey reads one JWK (RFC 7517 §4).
func ParseKey(raw []byte, a Accept) (Key, error) {
	jwk, err := readObject(raw, MaxSetSize)
	if err != nil {
		return Key{}, fmt.Errorf("read key: it is not a JSON object with each name once: %w", err)
	}
	kid, err := keyID(jwk)
	if err != nil {
		return Key{}, fmt.Errorf("read key: %w", err)
	}
	return keyOf(jwk, kid, a)
}

// NewSet makes a set of keys; no two may have one id.
func NewSet(keys ...Key) (*Set, error) {
	seen := map[string]bool{}
	for _, k := range keys {
		if seen[k.id] || k.algorithm == "" {
			return nil, errors.New("make key set: a key has no algorithm, or another one has its kid")
		}
		seen[k.id] = true
	}
	return &Set{keys: slices.Clone(keys)}, nil
}

// Find gives the key of a kid. Without a kid it is the only key of the set, if there is
// one only. The kid is compared, and used for nothing else.
func (s *Set) Find(kid string) (Key, bool) {
	if s == nil {
		return Key{}, false
	}
	if kid == "" {
		if len(s.keys) == 1 {
			return s.keys[0], true
		}
		return Key{}, false
	}
	for _, k := range s.keys {
		if k.id == kid {
			return k, true
		}
	}
	return Key{}, false
}

// Len is how many keys count.
func (s *Set) Len() int { return len(s.keys) }

// Skipped says of each key that does not count why.
func (s *Set) Skipped() []string { return slices.Clone(s.skipped) }

func keyID(jwk map[string]any) (string, error) {
	v, there := jwk["kid"]
	kid, ok := v.(string)
	if there && (!ok || kid == "" || len(kid) > maxForeignKeyID) {
		return "", fmt.Errorf("its kid is not a text of 1 to %d characters", maxForeignKeyID)
	}
	return kid, nil
}

// keyOf makes a key of a JWK that is said to be for verifying.
func keyOf(jwk map[string]any, kid string, a Accept) (Key, error) {
	if err := forVerifying(jwk); err != nil {
		return Key{}, err
	}
	algorithm, public, err := material(jwk, a)
	if err != nil {
		return Key{}, err
	}
	if v, there := jwk["alg"]; there {
		named, ok := v.(string)
		if !ok || algorithm != "" && named != algorithm {
			return Key{}, errors.New("its alg is not that of its kty and crv")
		}
		algorithm = named
	}
	if algorithm == "" {
		algorithm = a.RSA
	}
	if !a.takes(algorithm) {
		return Key{}, fmt.Errorf("its algorithm %.16q is not accepted here", algorithm)
	}
	return NewKey(algorithm, kid, public)
}

// forVerifying holds use and key_ops (RFC 7517 §4.2, §4.3), each where it is there.
func forVerifying(jwk map[string]any) error {
	if use, there := jwk["use"]; there && use != "sig" {
		return errors.New("its use is not sig")
	}
	if v, there := jwk["key_ops"]; there {
		ops, ok := v.([]any)
		if !ok || !slices.Contains(ops, any("verify")) {
			return errors.New("its key_ops do not have verify")
		}
	}
	return nil
}

// material reads the key itself, and the algorithm where the kind of key leaves no choice.
func material(jwk map[string]any, a Accept) (algorithm string, key any, err error) {
	switch jwk["kty"] {
	case "RSA":
		key, err = rsaKey(jwk)
		return "", key, err
	case "EC":
		return ecKey(jwk)
	case "OKP":
		x, err := member(jwk, "x")
		if err != nil || jwk["crv"] != "Ed25519" || len(x) != ed25519.PublicKeySize {
			return "", nil, errors.New("it is no Ed25519 key")
		}
		return EdDSA, ed25519.PublicKey(x), nil
	case "oct":
		if !a.takes(HS256) && !a.takes(HS384) && !a.takes(HS512) {
			return "", nil, errors.New("it is a shared secret, which has no place in a public set")
		}
		secret, err := member(jwk, "k")
		return "", secret, err
	}
	return "", nil, errors.New("its kty is not RSA, EC or OKP")
}

func rsaKey(jwk map[string]any) (*rsa.PublicKey, error) {
	n, err := member(jwk, "n")
	if err != nil {
		return nil, err
	}
	e, err := member(jwk, "e")
	if err != nil {
		return nil, err
	}
	if len(n) > maxRSABits/8 || len(e) > 4 || n[0] == 0 || e[0] == 0 {
		return nil, errors.New("its n or e is longer than is read, or begins with a zero byte (RFC 7518 §6.3.1)")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}

func ecKey(jwk map[string]any) (string, *ecdsa.PublicKey, error) {
	algorithm := map[any]string{"P-256": ES256, "P-384": ES384, "P-521": ES512}[jwk["crv"]]
	if algorithm == "" {
		return "", nil, errors.New("its crv is not P-256, P-384 or P-521")
	}
	x, err := member(jwk, "x")
	if err != nil {
		return "", nil, err
	}
	y, err := member(jwk, "y")
	if err != nil {
		return "", nil, err
	}
	curve := curveOf(algorithm)
	if size := (curve.Params().BitSize + 7) / 8; len(x) != size || len(y) != size {
		return "", nil, errors.New("its x or y is not as long as its curve's numbers (RFC 7518 §6.2.1)")
	}
	p, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return "", nil, errors.New("it is no point of its curve")
	}
	return algorithm, p, nil
}

// member is a value in strict base64url.
func member(jwk map[string]any, name string) ([]byte, error) {
	v, ok := jwk[name].(string)
	if !ok {
		return nil, fmt.Errorf("its %s is missing, or not a text", name)
	}
	b, err := strict(v)
	if err != nil {
		return nil, fmt.Errorf("its %s %w", name, err)
	}
	return b, nil
}

// readObject reads a JSON object with each name once at any depth.
func readObject(raw []byte, most int) (map[string]any, error) {
	var t tape.Tape
	if err := t.Parse(raw, tape.Limits{Bytes: most, Depth: 16, Digits: 40, Exponent: 40, Elements: 1000, Nodes: 10_000}); err != nil {
		return nil, err
	}
	if t.Nodes[0].Kind != tape.Object {
		return nil, errors.New("it is another JSON value")
	}
	m, _ := t.Value(0).(map[string]any)
	return m, nil
}
