package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sallyport/internal/config"
	"sallyport/internal/egress"
	"sallyport/internal/secret"
	"sallyport/internal/secret/hashivault"
)

// wrappedRootFile keeps the root key where a Transit key of Vault wraps it.
const wrappedRootFile = rootFile + ".wrapped"

// RootFiles are where a root key in the data folder lies: as it is, and wrapped.
func RootFiles(f *config.File) (plain, wrapped string) {
	return filepath.Join(f.Data, rootFile), filepath.Join(f.Data, wrappedRootFile)
}

// vault is the Vault of the file; nil: it names none.
func (g *Gate) vault() *hashivault.Source {
	v, _ := g.secrets["vault"].(*hashivault.Source)
	return v
}

// watchVault keeps secrets of Vault fresh until ctx ends, and alerts.
func (g *Gate) watchVault(ctx context.Context) error {
	if v := g.vault(); v != nil {
		v.Run(ctx, func(t hashivault.Trouble) { g.vaultTrouble(ctx, t) })
	}
	return nil
}

// vaultTrouble writes the line of what is wrong with Vault, and the alert.
func (g *Gate) vaultTrouble(ctx context.Context, t hashivault.Trouble) {
	name := "secrets.vault"
	if t.Path != "" {
		name = "vault:" + t.Path
	}
	if t.Over {
		g.log.Info("Vault answers again", "name", name, "reason", string(t.Kind))
		return
	}
	g.log.Warn("Vault cannot be used", "name", name, "reason", string(t.Kind), "error", t.Text)
	// The source itself keeps repeats apart.
	g.bell.Tell(ctx, egress.Alert{Source: "vault", Reason: string(t.Kind)})
}

// rootOnDisk is the root key in the data folder, as it is or wrapped; empty: there is none.
func (g *Gate) rootOnDisk(ctx context.Context, f *config.File) (secret.Value, error) {
	plain, wrapped := RootFiles(f)
	raw, err := readRoot(plain)
	if err != nil {
		return secret.Value{}, err
	}
	sealed, err := f.Unwrap(ctx, g.secrets, wrapped, config.RootKeyPurpose)
	if err != nil {
		return secret.Value{}, err
	}
	switch found := secret.NewValue(raw); {
	case sealed.Empty():
		g.rootFrom = "the root key " + plain
		if raw != nil && f.Vault != nil && f.Vault.Transit != nil {
			g.log.Warn("loosened", "file", plain, "reason", "the root key is not wrapped, and secrets.vault.transit names a key: run `sallyport secrets wrap`")
		}
		return found, nil
	case raw != nil && !found.Equal(sealed):
		return secret.Value{}, fmt.Errorf("read root key: %s and %s are two different keys; keep the one that belongs to the store, and move the other away", plain, wrapped)
	case raw != nil:
		g.log.Warn("loosened", "file", plain, "reason", "the root key lies beside its wrapped copy: run `sallyport secrets wrap`, which removes it")
	}
	g.rootFrom = "the root key " + wrapped
	return sealed, nil
}

// makeWrappedRoot makes a root key that never lies on disk as it is.
func (g *Gate) makeWrappedRoot(ctx context.Context, f *config.File) (secret.Value, error) {
	root, err := newRoot()
	if err != nil {
		return secret.Value{}, err
	}
	_, path := RootFiles(f)
	if err := WrapKey(ctx, g.vault(), *f.Vault.Transit, WrappedKey{Path: path, Purpose: config.RootKeyPurpose, Key: root}); err != nil {
		return secret.Value{}, fmt.Errorf("make root key: %w", err)
	}
	g.rootFrom = "the root key " + path
	return root, nil
}

// WrappedKey is a key of the gate's, and where it lies wrapped.
type WrappedKey struct {
	Path    string
	Purpose string
	Key     secret.Value
}

// WrapKey wraps a key and writes it, after what was wrapped has been unwrapped again.
func WrapKey(ctx context.Context, v *hashivault.Source, k hashivault.TransitKey, w WrappedKey) error {
	sealed, err := v.Wrap(ctx, k, w.Purpose, w.Key)
	if err != nil {
		return err
	}
	back, err := v.Unwrap(ctx, k, w.Purpose, sealed)
	if err == nil && !back.Equal(w.Key) {
		err = errors.New("it is another key than was given")
	}
	if err != nil {
		return fmt.Errorf("nothing was changed: what Transit wrapped does not open again: %w", err)
	}
	return hashivault.WriteWrapped(w.Path, w.Purpose, k, sealed)
}

// ReadRootFile reads a root key that lies on disk as it is; empty: there is none.
func ReadRootFile(path string) (secret.Value, error) {
	raw, err := readRoot(path)
	if err != nil || raw == nil {
		return secret.Value{}, err
	}
	return secret.NewValue(raw), nil
}

// RemoveKey removes a key's file; that it is not there is no error.
func RemoveKey(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}
