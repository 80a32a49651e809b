package session

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"sallyport/internal/provider"
	"sallyport/internal/secret"
)

// minKeyBits is the least entropy of a site key's secret: it is stored as a plain hash,
// so guessing it must be out of reach.
const minKeyBits = 128

const (
	authInfo   = "sallyport/v1/site-key/authentication"
	permitInfo = "sallyport/v1/site-key/permit"
)

// DefaultShape is the shape of keys for callers that do not look at prefixes.
func DefaultShape() provider.KeyShape {
	return provider.KeyShape{Name: "sallyport", Prefix: "spk_", Length: 43, Alphabet: "base62"}
}

func alphabet(name string) (string, error) {
	const lower, upper, digits = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	switch name {
	case "base62":
		return digits + upper + lower, nil
	case "base64url":
		return digits + upper + lower + "-_", nil
	case "hex":
		return digits + "abcdef", nil
	case "digits":
		return digits, nil
	}
	return "", fmt.Errorf("alphabet %q is not one of base62, base64url, digits, hex", name)
}

// NewSiteKey makes a key of a site for one connection, or for all with "". The Printed
// part is shown once and kept nowhere.
func NewSiteKey(shape provider.KeyShape, site, connection string, now time.Time) (Printed, StoredKey, error) {
	fail := func(err error) (Printed, StoredKey, error) {
		return Printed{}, StoredKey{}, fmt.Errorf("make site key of shape %q: %w", shape.Name, err)
	}
	if site == "" {
		return fail(errors.New("a site is required"))
	}
	letters, err := alphabet(shape.Alphabet)
	if err != nil {
		return fail(err)
	}
	if bits := float64(shape.Length) * math.Log2(float64(len(letters))); bits < minKeyBits {
		return fail(fmt.Errorf("%d characters of %s hold %.0f bits; at least %d are needed", shape.Length, shape.Alphabet, bits, minKeyBits))
	}
	value := shape.Prefix + randomText(letters, shape.Length)
	if !presentable(value) {
		return fail(errors.New("the printed key would be longer than what the gate accepts, or not visible ASCII"))
	}
	k := StoredKey{ID: "key_" + randomID(), Site: site, Connection: connection, Shape: shape.Name, CreatedAt: now}
	if k.AuthHash, err = authHash(value); err != nil {
		return fail(err)
	}
	permit, err := permitKey(value)
	if err != nil {
		return fail(err)
	}
	k.PermitKey, _ = permit.Public().(ed25519.PublicKey) // it is always one
	p := Printed{Secret: secret.NewValue([]byte(value))}
	if shape.User != "" || shape.UserLen > 0 {
		if shape.UserAlphabet != "" {
			if letters, err = alphabet(shape.UserAlphabet); err != nil {
				return fail(err)
			}
		}
		p.User = shape.User + randomText(letters, shape.UserLen)
		if !presentable(p.User) || p.User == value {
			return fail(errors.New("the first half of the pair is shorter or longer than what the gate accepts"))
		}
		k.UserHash = sha256.Sum256([]byte(p.User))
	}
	if shape.Application != nil {
		if k.Application, p.Application, err = newApplication(); err != nil {
			return fail(err)
		}
	}
	return p, k, nil
}

// randomText draws without bias: bytes beyond the last whole multiple are thrown away.
func randomText(letters string, n int) string {
	var b strings.Builder
	limit := 256 - 256%len(letters)
	var buf [64]byte
	for b.Len() < n {
		rand.Read(buf[:]) // never fails: crypto/rand ends the program instead
		for _, c := range buf {
			if int(c) < limit && b.Len() < n {
				b.WriteByte(letters[int(c)%len(letters)])
			}
		}
	}
	return b.String()
}

// authHash is what the store finds a key by: SHA-256 of HKDF-SHA256(printed key).
func authHash(value string) ([32]byte, error) {
	auth, err := hkdf.Key(sha256.New, []byte(value), nil, authInfo, 32)
	if err != nil {
		return [32]byte{}, fmt.Errorf("derive authentication secret: %w", err)
	}
	return sha256.Sum256(auth), nil
}

// permitKey is the Ed25519 key that the holder of the printed key signs permits with.
func permitKey(value string) (ed25519.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, []byte(value), nil, permitInfo, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("derive permit key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
