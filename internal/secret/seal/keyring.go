package seal

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrNoKey is what a KeyStore wraps where an owner has no data key.
var ErrNoKey = errors.New("no data key")

// KeyStore keeps wrapped data keys. Methods are safe for concurrent use, from several
// processes too.
type KeyStore interface {
	// FindDataKey returns the owner's wrapped key, or wraps ErrNoKey.
	FindDataKey(ctx context.Context, owner string) ([]byte, error)
	// CreateDataKey stores wrapped unless the owner has a key, and returns the one that
	// is stored now.
	CreateDataKey(ctx context.Context, owner string, wrapped []byte) ([]byte, error)
}

// Keyring opens the data key of each owner (a site), and makes it on first use. It
// remembers opened keys: owners must be names from configuration, never a caller's words.
type Keyring struct {
	store  KeyStore
	reroot func(ctx context.Context) (*Sealer, error) // nil: the root never changes

	mu   sync.Mutex
	root *Sealer
	open map[string]*Sealer
}

// Reroot sets what reads the versions of the root key again: it is asked when a data key does
// not open with those that are known. It is set before the first use.
func (k *Keyring) Reroot(f func(ctx context.Context) (*Sealer, error)) { k.reroot = f }

// roots is the root sealer with the versions that are known.
func (k *Keyring) roots() *Sealer {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.root
}

// unwrap opens a wrapped key, with newer versions of the root key where it must be.
func (k *Keyring) unwrap(ctx context.Context, wrapped []byte, owner string) (*Sealer, error) {
	s, err := k.roots().OpenKey(wrapped, owner)
	if !errors.Is(err, ErrOpen) || k.reroot == nil {
		return s, err
	}
	fresh, err2 := k.reroot(ctx)
	if err2 != nil {
		return nil, errors.Join(err, err2)
	}
	k.mu.Lock()
	k.root = fresh
	k.mu.Unlock()
	return fresh.OpenKey(wrapped, owner)
}

// NewKeyring keeps keys in store, wrapped by root.
func NewKeyring(root *Sealer, store KeyStore) *Keyring {
	return &Keyring{root: root, store: store, open: make(map[string]*Sealer)}
}

// DataKey is the sealer of one owner. It is the same for all processes on one store. A
// stored key that does not open is an error and is never replaced.
func (k *Keyring) DataKey(ctx context.Context, owner string) (*Sealer, error) {
	k.mu.Lock()
	s, ok := k.open[owner]
	k.mu.Unlock()
	if ok {
		return s, nil
	}
	wrapped, err := k.store.FindDataKey(ctx, owner)
	if errors.Is(err, ErrNoKey) {
		wrapped, err = k.create(ctx, owner)
	}
	if err != nil {
		return nil, fmt.Errorf("find data key of %q: %w", owner, err)
	}
	s, err = k.unwrap(ctx, wrapped, owner)
	if err != nil {
		return nil, err
	}
	s = &Sealer{aead: newLive(s.aead, func(ctx context.Context) (tink.AEAD, error) { return k.load(ctx, owner) })}
	k.mu.Lock()
	defer k.mu.Unlock()
	if first, ok := k.open[owner]; ok {
		return first, nil
	}
	k.open[owner] = s
	return s, nil
}

// load reads all versions of an owner's key that the store has now.
func (k *Keyring) load(ctx context.Context, owner string) (tink.AEAD, error) {
	wrapped, err := k.store.FindDataKey(ctx, owner)
	if err != nil {
		return nil, err
	}
	s, err := k.unwrap(ctx, wrapped, owner)
	if err != nil {
		return nil, err
	}
	return s.aead, nil
}

func (k *Keyring) create(ctx context.Context, owner string) ([]byte, error) {
	fresh, err := k.roots().NewKey(owner)
	if err != nil {
		return nil, err
	}
	return k.store.CreateDataKey(ctx, owner, fresh)
}
