package app

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/config"
	"sallyport/internal/secret"
	"sallyport/internal/secret/keystore"
	"sallyport/internal/secret/seal"
	"sallyport/internal/session"
)

// wrapKeys reads the versions of the root key from a keystore; nil where there is none, and the
// root key has one version.
func wrapKeys(sources secret.Sources, root secret.Value) func(ctx context.Context) (*seal.Sealer, error) {
	ks, ok := sources["keystore"].(*keystore.Store)
	if !ok {
		return nil
	}
	return func(ctx context.Context) (*seal.Sealer, error) { return wrapSealer(ctx, ks, root, false) }
}

func wrapSealer(ctx context.Context, ks *keystore.Store, root secret.Value, staged bool) (*seal.Sealer, error) {
	keys, err := ks.WrapKeys(ctx, staged)
	if err != nil {
		return nil, err
	}
	if len(keys) == 1 { // never rotated: the root key wraps, wherever it lies
		return seal.NewRoot(root)
	}
	return seal.NewRoots(keys[0], append(keys[1:], root)...)
}

// Custody is what commands change the gate's own keys with, beside a gate that may be running.
type Custody struct {
	store   Store
	keyring *seal.Keyring
	root    secret.Value
	ks      *keystore.Store // nil: there is none
	alone   bool            // no other node has a keystore of its own
	now     func() time.Time
	close   func() error
}

// Close closes what OpenCustody opened, and not the store.
func (c *Custody) Close() error { return c.close() }

// OpenCustody opens store and keys of a file. A gate must have run with it: nothing is made here
// that a gate would make.
func OpenCustody(ctx context.Context, file *config.File, store Store, now func() time.Time) (c *Custody, err error) {
	if _, err := store.FindDataKey(ctx, ""); err != nil {
		return nil, err
	}
	sources, err := file.Secrets(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, config.CloseSecrets(sources))
		}
	}()
	g := &Gate{secrets: sources, store: store, log: slog.New(slog.DiscardHandler)}
	root, err := g.rootKey(ctx, file)
	if err != nil {
		return nil, err
	}
	sealer, err := seal.NewRoot(root)
	if err != nil {
		return nil, err
	}
	c = &Custody{store: store, root: root, alone: file.Postgres == nil, now: now, close: func() error { return config.CloseSecrets(sources) }}
	if versions := wrapKeys(sources, root); versions != nil {
		c.ks, _ = sources["keystore"].(*keystore.Store)
		if sealer, err = versions(ctx); err != nil {
			return nil, err
		}
	}
	c.keyring = seal.NewKeyring(sealer, store)
	return c, nil
}

// StageRoot makes the next version of the key that wraps data keys, without using it: for nodes
// that have keystores of their own, which need a copy first. It reports whether there is a
// keystore to keep it in.
func (c *Custody) StageRoot(ctx context.Context) (bool, error) {
	if c.ks == nil {
		return false, nil
	}
	return true, c.ks.StageWrapKey(ctx)
}

// RotatedData is what RotateData did.
type RotatedData struct {
	// Keys is how many data keys have a new version.
	Keys int `json:"data_keys"`
	// Wrapped tells that all of them are wrapped with a new version of the wrapping key.
	Wrapped bool `json:"wrapping_key"`
}

// RotateData gives every data key, those of the sites and the gate's own, a new version. Where
// there is a keystore it wraps them with a new version of the wrapping key too: at once where the
// store serves one node, and with the one that StageRoot made where it may serve several. It may
// be run again after a crash.
func (c *Custody) RotateData(ctx context.Context) (RotatedData, error) {
	out := RotatedData{}
	rewrap, err := c.nextRoot(ctx)
	if err != nil {
		return out, err
	}
	owners, err := c.store.ListDataKeys(ctx)
	if err != nil {
		return out, err
	}
	for _, owner := range slices.Sorted(maps.Keys(owners)) {
		if err := c.keyring.Rotate(ctx, c.store, owner); err != nil {
			return out, err
		}
		out.Keys++
	}
	if rewrap {
		if err := c.keyring.Rewrap(ctx, c.store); err != nil {
			return out, err
		}
		if err := c.ks.PromoteWrapKey(ctx); err != nil {
			return out, err
		}
		out.Wrapped = true
	}
	return out, c.note(ctx, "gate/data-keys")
}

// nextRoot goes over to the next version of the wrapping key, and reports whether there is one.
func (c *Custody) nextRoot(ctx context.Context) (bool, error) {
	if c.ks == nil {
		return false, nil
	}
	if c.alone {
		if err := c.ks.StageWrapKey(ctx); err != nil {
			return false, err
		}
	}
	staged, err := c.ks.WrapKeyStaged(ctx)
	if err != nil || !staged {
		return false, err
	}
	sealer, err := wrapSealer(ctx, c.ks, c.root, true)
	if err != nil {
		return false, err
	}
	c.keyring = seal.NewKeyring(sealer, c.store)
	return true, nil
}

// RotateSessions makes the next key that signs sessions, and returns when it signs.
func (c *Custody) RotateSessions(ctx context.Context) (time.Time, error) {
	keys, err := c.sessionKeys(ctx)
	if err != nil {
		return time.Time{}, err
	}
	from, err := keys.Rotate(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return from, c.note(ctx, "gate/session-key")
}

// ReplaceSessions ends every visit of every site: the keys that signed them are deleted.
func (c *Custody) ReplaceSessions(ctx context.Context) error {
	keys, err := c.sessionKeys(ctx)
	if err != nil {
		return err
	}
	if err := keys.Replace(ctx, c.store); err != nil {
		return err
	}
	return c.store.CreateAdminEvent(ctx, audit.AdminEvent{Kind: audit.KindSecretLeaked, Name: "gate/session-key"})
}

func (c *Custody) sessionKeys(ctx context.Context) (*session.Keys, error) {
	sealer, err := c.keyring.DataKey(ctx, "")
	if err != nil {
		return nil, err
	}
	return session.OpenKeys(ctx, session.KeysOptions{Store: c.store, Sealer: sealer, Now: c.now})
}

func (c *Custody) note(ctx context.Context, name string) error {
	return c.store.CreateAdminEvent(ctx, audit.AdminEvent{Kind: audit.KindSecretRotated, Name: name})
}
