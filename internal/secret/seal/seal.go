// Package seal encrypts what is stored: a root key wraps one data key per site, and the
// data keys seal the rest.
//
// Every sealed value is bound to a purpose: bytes sealed for one purpose, or by one
// site's key, do not open for another. Losing a site's data key loses that site's sealed
// data and nothing else. Root key and data keys can have several versions: the newest seals,
// all open. The package does not say where the root key comes from; nothing in it is ever
// logged.
package seal

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"sallyport/internal/secret"
)

// RootSize is the length of a root key in bytes.
const RootSize = 32

// ErrOpen is wrapped where sealed bytes do not open: changed, of another purpose, or
// sealed by another key. It does not say which.
var ErrOpen = errors.New("sealed data does not open with this key for this purpose")

// ErrRootSize is wrapped where something is given as a root key that cannot be one.
var ErrRootSize = fmt.Errorf("a root key has %d bytes", RootSize)

// Sealer seals and opens with one key, of which there may be several versions. It is safe for
// concurrent use.
type Sealer struct{ aead tink.AEAD }

// NewRoot makes the root sealer (XChaCha20-Poly1305) from a key of RootSize random bytes.
func NewRoot(key secret.Value) (*Sealer, error) {
	if n := len(key.Expose()); n != RootSize {
		return nil, fmt.Errorf("use a root key of %d bytes: %w", n, ErrRootSize)
	}
	a, err := subtle.NewXChaCha20Poly1305(key.Expose())
	if err != nil {
		return nil, fmt.Errorf("make root sealer: %w", err)
	}
	return &Sealer{aead: a}, nil
}

// Seal encrypts plaintext for purpose. Two results of the same input differ.
func (s *Sealer) Seal(plaintext []byte, purpose string) ([]byte, error) {
	out, err := s.aead.Encrypt(plaintext, associated("data", purpose))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", purpose, err)
	}
	return out, nil
}

// Open decrypts what Seal made for the same purpose, or wraps ErrOpen.
func (s *Sealer) Open(sealed []byte, purpose string) ([]byte, error) {
	out, err := s.aead.Decrypt(sealed, associated("data", purpose))
	if err != nil { // tink's own error says nothing more
		return nil, fmt.Errorf("open %s: %w", purpose, ErrOpen)
	}
	return out, nil
}

// NewKey makes a fresh data key (an AES-256-GCM keyset) and returns it wrapped by s,
// bound to owner.
func (s *Sealer) NewKey(owner string) ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make data key: %w", err)
	}
	var out bytes.Buffer
	if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), s.aead, associated("key", owner)); err != nil {
		return nil, fmt.Errorf("wrap data key: %w", err)
	}
	return out.Bytes(), nil
}

// OpenKey unwraps a data key that NewKey made for owner, or wraps ErrOpen.
func (s *Sealer) OpenKey(wrapped []byte, owner string) (*Sealer, error) {
	handle, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(wrapped)), s.aead, associated("key", owner))
	if err != nil {
		return nil, fmt.Errorf("unwrap data key of %q: %w", owner, ErrOpen)
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("use data key of %q: %w", owner, err)
	}
	return &Sealer{aead: a}, nil
}

// associated keeps wrapped keys and sealed data apart even where names are alike.
func associated(kind, name string) []byte {
	return []byte("sallyport/v1/" + kind + "/" + name)
}
