package seal

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
	root  *Sealer
	store KeyStore

	mu   sync.Mutex
	open map[string]*Sealer
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
	s, err = k.root.OpenKey(wrapped, owner)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open[owner] = s
	return s, nil
}

func (k *Keyring) create(ctx context.Context, owner string) ([]byte, error) {
	fresh, err := k.root.NewKey(owner)
	if err != nil {
		return nil, err
	}
	return k.store.CreateDataKey(ctx, owner, fresh)
}
