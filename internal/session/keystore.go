package session

import (
	"context"
	"crypto/ed25519"
	"errors"
	"time"
)

// StoredSigningKey is a signing key as a KeyStore keeps it. Sealed is the private seed
// under the caller's Sealer; nothing else in it is secret.
type StoredSigningKey struct {
	ID     string // kid
	Public ed25519.PublicKey
	Sealed []byte
	// Predecessor is the key that this one follows; empty for the first. At most one
	// key follows another, so that two processes that rotate at once make one key.
	Predecessor string
	CreatedAt   time.Time
	SignsFrom   time.Time
}

// ErrKeyExists is what CreateSigningKey wraps where the id or the predecessor is taken.
var ErrKeyExists = errors.New("signing key exists")

// KeyStore keeps signing keys. Methods are safe for concurrent use, from several
// processes too.
type KeyStore interface {
	// ListSigningKeys lists all keys by SignsFrom, oldest first.
	ListSigningKeys(ctx context.Context) ([]StoredSigningKey, error)
	// CreateSigningKey stores k, or wraps ErrKeyExists.
	CreateSigningKey(ctx context.Context, k StoredSigningKey) error
	// DeleteSigningKey removes a key; a key that is not there is no error.
	DeleteSigningKey(ctx context.Context, id string) error
}

// Sealer encrypts what the store may not read. purpose is authenticated with the data:
// bytes sealed for one purpose do not open for another.
type Sealer interface {
	Seal(plaintext []byte, purpose string) ([]byte, error)
	Open(sealed []byte, purpose string) ([]byte, error)
}
