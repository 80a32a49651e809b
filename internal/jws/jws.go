// Package jws reads and writes signed statements: those of the gate and of sites' backends,
// which have one form, and those of others, such as ID tokens.
//
// Parse and Sign are for the gate's own form: a compact JWS (RFC 7515) with Ed25519
// (RFC 8037), a header of exactly alg, typ and kid, and a JSON object as payload. It
// guarantees that the algorithm and the type are the ones expected (RFC 8725 §3.1, §3.11)
// and that whatever else a header could ask for (crit, zip, b64, jku, x5u, jwk) is refused.
//
// Open, ParseSet and Remote are for tokens of others. They guarantee that a key verifies
// with the one algorithm that it is pinned to, that PSS salts are as long as the hash, that
// weak keys and keys for another use do not count, and that nothing is fetched, opened or
// believed because a token names it (docs/reference/jose.md).
//
// In both base64url is strict (no padding, no line breaks, no unused bits), and no JSON name
// stands twice at any depth, so that no two readers see different statements. The package
// does not know claims, and dials nothing itself.
package jws

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"sallyport/internal/tape"
)

// MaxLength is the longest statement that is read, in bytes, unless the caller wants less.
const MaxLength = 4096

const maxKeyID = 64

// Token is a statement that was read; nothing in it counts before Verify.
type Token struct {
	// KeyID names the key that is said to have signed.
	KeyID string
	// Claims is the payload: a JSON object, read strictly. Its numbers are json.Number.
	Claims map[string]any

	signed    string
	signature []byte
}

// Parse reads a compact JWS whose typ is that type. The error says what is wrong and
// repeats nothing of the token.
func Parse(token, typ string) (Token, error) {
	if len(token) > MaxLength {
		return Token{}, fmt.Errorf("it has %d bytes, more than %d", len(token), MaxLength)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Token{}, fmt.Errorf("it has %d parts between dots, not 3", len(parts))
	}
	var raw [3][]byte
	for i, name := range [...]string{"header", "payload", "signature"} {
		b, err := strict(parts[i])
		if err != nil {
			return Token{}, fmt.Errorf("its %s %w", name, err)
		}
		raw[i] = b
	}
	kid, err := header(raw[0], typ)
	if err != nil {
		return Token{}, err
	}
	claims, err := object(raw[1])
	if err != nil {
		return Token{}, fmt.Errorf("its payload is not a JSON object with each name once: %w", err)
	}
	if len(raw[2]) != ed25519.SignatureSize {
		return Token{}, fmt.Errorf("its signature has %d bytes, not %d", len(raw[2]), ed25519.SignatureSize)
	}
	return Token{KeyID: kid, Claims: claims, signed: token[:len(parts[0])+1+len(parts[1])], signature: raw[2]}, nil
}

// Verify reports whether key signed the token.
func (t Token) Verify(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, []byte(t.signed), t.signature)
}

// Sign writes the compact JWS of a payload, which must be a JSON object.
func Sign(typ, kid string, key ed25519.PrivateKey, payload []byte) string {
	head := []byte(`{"alg":"EdDSA","typ":`)
	head = tape.AppendString(head, typ)
	head = append(head, `,"kid":`...)
	head = append(tape.AppendString(head, kid), '}')
	signed := encode(head) + "." + encode(payload)
	return signed + "." + encode(ed25519.Sign(key, []byte(signed)))
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// header wants exactly alg, typ and kid, each once; kid is told.
func header(raw []byte, typ string) (kid string, err error) {
	h, err := object(raw)
	if err != nil {
		return "", fmt.Errorf("its header is not a JSON object with each name once: %w", err)
	}
	kid, isText := h["kid"].(string)
	switch {
	case len(h) != 3:
		return "", errors.New("its header has other fields than alg, typ and kid")
	case h["alg"] != "EdDSA":
		return "", errors.New("its algorithm is not EdDSA")
	case h["typ"] != typ:
		return "", errors.New("its type is not " + typ)
	case !isText || kid == "" || len(kid) > maxKeyID:
		return "", errors.New("its key id is missing, or no key id")
	}
	return kid, nil
}

// strict refuses what Go's decoder tolerates: line breaks inside, and unused bits that are
// not zero. Padding is not in the alphabet.
func strict(s string) ([]byte, error) {
	if s == "" {
		return nil, errors.New("is empty")
	}
	for _, c := range []byte(s) {
		if !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return nil, errors.New("holds a character outside base64url")
		}
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("is not base64url")
	}
	return b, nil
}

func object(raw []byte) (map[string]any, error) {
	var t tape.Tape
	if err := t.Parse(raw, tape.Limits{Bytes: MaxLength, Depth: 16, Digits: 40, Exponent: 40}); err != nil {
		return nil, err
	}
	if t.Nodes[0].Kind != tape.Object {
		return nil, errors.New("it is another JSON value")
	}
	m, _ := t.Value(0).(map[string]any)
	return m, nil
}
