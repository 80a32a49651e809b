package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"sallyport/internal/secret"
)

// RotatingStore is a KeyStore whose keys can be replaced.
type RotatingStore interface {
	KeyStore
	// ListDataKeys lists the wrapped key of every owner.
	ListDataKeys(ctx context.Context) (map[string][]byte, error)
	// ReplaceDataKey stores fresh where old is what is stored now, and reports whether it was.
	ReplaceDataKey(ctx context.Context, owner string, old, fresh []byte) (bool, error)
}

// ErrChanging is wrapped where other processes change a key as often as this one tries to.
var ErrChanging = errors.New("the data key is being changed by somebody else")

// NewRoots makes a root sealer of several versions of the root key: it seals with the newest and
// opens what any of them sealed.
func NewRoots(newest secret.Value, older ...secret.Value) (*Sealer, error) {
	var all versions
	for _, key := range append([]secret.Value{newest}, older...) {
		one, err := NewRoot(key)
		if err != nil {
			return nil, err
		}
		all = append(all, one.aead)
	}
	return &Sealer{aead: all}, nil
}

// versions are AEADs, the newest first.
type versions []tink.AEAD

// Encrypt implements tink.AEAD with the newest.
func (v versions) Encrypt(plaintext, associated []byte) ([]byte, error) {
	return v[0].Encrypt(plaintext, associated)
}

// Decrypt implements tink.AEAD with whichever opens it.
func (v versions) Decrypt(sealed, associated []byte) ([]byte, error) {
	for _, one := range v {
		if out, err := one.Decrypt(sealed, associated); err == nil {
			return out, nil
		}
	}
	return nil, ErrOpen
}

// Rotate gives an owner's data key a new version, which seals from now on; all versions before
// go on opening. It is one change of one row: a crash leaves the key as it was, or rotated.
func (k *Keyring) Rotate(ctx context.Context, store RotatingStore, owner string) error {
	return k.replace(ctx, store, owner, func(m *keyset.Manager) error {
		id, err := m.Add(aead.AES256GCMKeyTemplate())
		if err != nil {
			return err
		}
		return m.SetPrimary(id)
	})
}

// Rewrap wraps every data key with the newest version of the root key. It may be run again
// after a crash: a key that is wrapped already is wrapped once more, and opens all the same.
func (k *Keyring) Rewrap(ctx context.Context, store RotatingStore) error {
	all, err := store.ListDataKeys(ctx)
	if err != nil {
		return err
	}
	for _, owner := range slices.Sorted(maps.Keys(all)) {
		if err := k.replace(ctx, store, owner, func(*keyset.Manager) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// Verify reports whether root alone opens every data key.
func Verify(ctx context.Context, store RotatingStore, root *Sealer) error {
	all, err := store.ListDataKeys(ctx)
	if err != nil {
		return err
	}
	for owner, wrapped := range all {
		if _, err := root.OpenKey(wrapped, owner); err != nil {
			return err
		}
	}
	return nil
}

// replace changes an owner's key set and stores it, wrapped by the newest root, in place of the
// one that was read.
func (k *Keyring) replace(ctx context.Context, store RotatingStore, owner string, change func(*keyset.Manager) error) error {
	for range 5 {
		old, err := store.FindDataKey(ctx, owner)
		if err != nil {
			return fmt.Errorf("find data key of %q: %w", owner, err)
		}
		root := k.roots()
		handle, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(old)), root.aead, associated("key", owner))
		if err != nil {
			return fmt.Errorf("unwrap data key of %q: %w", owner, ErrOpen)
		}
		m := keyset.NewManagerFromHandle(handle)
		if err := change(m); err != nil {
			return fmt.Errorf("change data key of %q: %w", owner, err)
		}
		if handle, err = m.Handle(); err != nil {
			return fmt.Errorf("change data key of %q: %w", owner, err)
		}
		var out bytes.Buffer
		if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), root.aead, associated("key", owner)); err != nil {
			return fmt.Errorf("wrap data key of %q: %w", owner, err)
		}
		done, err := store.ReplaceDataKey(ctx, owner, old, out.Bytes())
		if err != nil || done {
			return err
		}
	}
	return fmt.Errorf("change data key of %q: %w", owner, ErrChanging)
}
