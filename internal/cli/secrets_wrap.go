package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/secret"
	"sallyport/internal/secret/hashivault"
)

func (p *Program) secretsWrap() *cobra.Command {
	return &cobra.Command{
		Use:   "wrap",
		Short: "Let Vault's Transit wrap the gate's own keys",
		Long: "Wraps the root key in the data folder, and the keystore's key where the environment gives it, with the key that\n" +
			"secrets.vault.transit names. A root.key is removed after its wrapped copy has been opened again; the keystore's key can then be\n" +
			"taken out of the environment. What is wrapped already is wrapped anew, with the newest version of the key in Transit.",
		Example: "  sallyport secrets wrap",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withTransit(cmd.Context(), p.wrapKeys)
		},
	}
}

func (p *Program) secretsUnwrap() *cobra.Command {
	return &cobra.Command{
		Use:   "unwrap",
		Short: "Take the gate's own keys out of Vault's Transit again",
		Long: "Writes what `sallyport secrets wrap` wrapped back as it was: the root key to root.key in the data folder, the keystore's key to\n" +
			"a file beside the keystore that only its owner reads (give it as SALLYPORT_KEYSTORE_KEY_FILE). Afterwards secrets.vault.transit can\n" +
			"be removed from the file.",
		Example: "  sallyport secrets unwrap",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withTransit(cmd.Context(), p.unwrapKeys)
		},
	}
}

// wrapping is what wrap and unwrap work on.
type wrapping struct {
	file    *config.File
	sources secret.Sources
	vault   *hashivault.Source
}

func (p *Program) withTransit(ctx context.Context, do func(context.Context, wrapping) error) error {
	file, faults := config.Places(p.config)
	if len(faults) > 0 {
		return faults
	}
	if file.Vault == nil || file.Vault.Transit == nil {
		return found("the file names no key of Transit", "add transit: {key: sallyport} to secrets.vault (docs/guide/vault.md)")
	}
	sources, err := file.VaultOnly()
	if err != nil {
		return because(err, "open Vault", "")
	}
	defer config.CloseSecrets(sources)
	vault, _ := sources["vault"].(*hashivault.Source)
	return vaultFailure(do(ctx, wrapping{file, sources, vault}))
}

// vaultFailure tells what Vault said as a problem that was found.
func vaultFailure(err error) error {
	var f *hashivault.Failure
	if errors.As(err, &f) {
		return because(err, "use Transit", "nothing was removed; mend it and run this again")
	}
	return err
}

func (p *Program) wrapKeys(ctx context.Context, w wrapping) error {
	plain, sealed := app.RootFiles(w.file)
	root, err := app.ReadRootFile(plain)
	if err != nil {
		return because(err, "read the root key", "")
	}
	did, err := p.wrapOne(ctx, w, app.WrappedKey{Path: sealed, Purpose: config.RootKeyPurpose, Key: root}, plain)
	if err != nil {
		return err
	}
	key, err := config.KeystoreKey(ctx)
	if err != nil {
		return because(err, "read the keystore's key", "")
	}
	also, err := p.wrapOne(ctx, w, app.WrappedKey{Path: w.file.WrappedKeystoreKey(), Purpose: config.KeystoreKeyPurpose, Key: key}, "")
	if err != nil {
		return err
	}
	if !did && !also {
		return found("there is nothing to wrap: no root key in "+w.file.Data+", and no key of a keystore in the environment",
			"start the gate once: with secrets.vault.transit its root key is made wrapped")
	}
	return nil
}

// wrapOne wraps a key, or wraps anew what is wrapped already. remove is the file in which the
// key lies as it is; it goes when its wrapped copy has been opened again.
func (p *Program) wrapOne(ctx context.Context, w wrapping, k app.WrappedKey, remove string) (bool, error) {
	there, err := w.file.Unwrap(ctx, w.sources, k.Path, k.Purpose)
	if err != nil {
		return false, err
	}
	switch {
	case there.Empty() && k.Key.Empty():
		return false, nil
	case !there.Empty() && !k.Key.Empty() && !there.Equal(k.Key):
		return false, found(k.Path+" holds another key than the one to wrap", "keep the one that belongs to the store or keystore, and move the other away")
	case k.Key.Empty():
		k.Key = there
	}
	transit := *w.file.Vault.Transit
	if err := app.WrapKey(ctx, w.vault, transit, k); err != nil {
		return false, err
	}
	fmt.Fprintf(p.Err, "wrapped by %s: %s\n", transit, k.Path)
	if remove == "" {
		return true, nil
	}
	if err := app.RemoveKey(remove); err != nil {
		return false, because(err, "remove the key that is wrapped now", "remove "+remove+" by hand")
	}
	return true, nil
}

func (p *Program) unwrapKeys(ctx context.Context, w wrapping) error {
	plain, sealed := app.RootFiles(w.file)
	did := false
	for _, k := range []struct{ sealed, purpose, plain, end string }{
		{sealed, config.RootKeyPurpose, plain, ""},
		{w.file.WrappedKeystoreKey(), config.KeystoreKeyPurpose, w.file.Keystore + ".key", "\n"},
	} {
		key, err := w.file.Unwrap(ctx, w.sources, k.sealed, k.purpose)
		if err != nil {
			return err
		}
		if key.Empty() {
			continue
		}
		if exists(k.plain) {
			return found(k.plain+" is there already", "move it away, if it is not the key that is wrapped")
		}
		if err := hashivault.WriteFile(k.plain, append([]byte(string(key.Expose())), k.end...)); err != nil {
			return because(err, "write the key", "")
		}
		if err := app.RemoveKey(k.sealed); err != nil {
			return because(err, "remove the wrapped key", "remove "+k.sealed+" by hand")
		}
		fmt.Fprintf(p.Err, "unwrapped: %s (only its owner reads it)\n", k.plain)
		did = true
	}
	if !did {
		return found("there is nothing to unwrap", "the keys lie unwrapped already")
	}
	return nil
}
