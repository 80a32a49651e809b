package keystore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"sallyport/internal/secret"
)

// wrapName keeps the versions of the key that wraps data keys, once the first one, the root
// key itself, was rotated. The root key stays: keyed hashes are derived from it.
const wrapName = "gate/wrap-key"

// WrapKeys lists the keys that data keys may be wrapped with, the one that wraps first: the
// newest (a staged one only where staged is asked for), those before it, and the root key.
func (s *Store) WrapKeys(ctx context.Context, staged bool) ([]secret.Value, error) {
	root, err := s.RootKey(ctx)
	if err != nil {
		return nil, err
	}
	r, err := s.find(ctx, wrapName)
	if errors.Is(err, secret.ErrNotFound) {
		return []secret.Value{root}, nil
	}
	if err != nil {
		return nil, err
	}
	order := []secret.Value{r.value, r.next, r.previous, root}
	if staged {
		order = []secret.Value{r.next, r.value, r.previous, root}
	}
	var out []secret.Value
	for _, v := range order {
		if !v.Empty() {
			out = append(out, v)
		}
	}
	return out, nil
}

// StageWrapKey makes the next wrapping key; one that is staged already stays, so that what was
// broken off goes on with the same key.
func (s *Store) StageWrapKey(ctx context.Context) error {
	root, err := s.RootKey(ctx)
	if err != nil {
		return err
	}
	b := make([]byte, 32)
	defer clear(b)
	if _, err := rand.Read(b); err != nil {
		return fmt.Errorf("make wrapping key: %w", err)
	}
	fresh := secret.NewValue(b)
	return s.change(ctx, func(all map[string]record) error {
		r, ok := all[wrapName]
		if !ok {
			r = record{value: root, created: s.moment()}
		}
		if r.next.Empty() {
			r.next, r.since = fresh, s.moment()
		}
		all[wrapName] = r
		return nil
	})
}

// WrapKeyStaged reports whether a wrapping key is staged.
func (s *Store) WrapKeyStaged(ctx context.Context) (bool, error) {
	r, err := s.find(ctx, wrapName)
	if errors.Is(err, secret.ErrNotFound) {
		return false, nil
	}
	return !r.next.Empty(), err
}

// PromoteWrapKey makes the staged key the one that wraps. The one before goes on opening until
// the next rotation, for what a gate wrapped with it in the same moment.
func (s *Store) PromoteWrapKey(ctx context.Context) error {
	return s.change(ctx, func(all map[string]record) error {
		r, ok := all[wrapName]
		if !ok || r.next.Empty() {
			return fmt.Errorf("keystore: wrapping key: %w", ErrNotStaged)
		}
		r.value, r.previous, r.next = r.next, r.value, secret.Value{}
		r.rotated = s.moment()
		all[wrapName] = r
		return nil
	})
}
