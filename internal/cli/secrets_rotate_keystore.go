package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"sallyport/internal/app"
	"sallyport/internal/audit"
	"sallyport/internal/config"
	"sallyport/internal/secret"
	"sallyport/internal/secret/file"
	"sallyport/internal/secret/hashivault"
	"sallyport/internal/secret/keystore"
)

const (
	nextSuffix      = file.NextSuffix
	keystoreKeyName = "gate/keystore-key"
)

// rotateKeystore changes the key that opens the keystore: first two open it, then one.
func (p *Program) rotateKeystore(ctx context.Context, r rotation) error {
	f, faults := config.Places(p.config)
	if len(faults) > 0 {
		return faults
	}
	sources, err := f.VaultOnly()
	if err != nil {
		return because(err, "open Vault", "")
	}
	defer config.CloseSecrets(sources)
	store, err := p.openKeystore(ctx, f, sources)
	if err != nil {
		return err
	}
	place := placeOf(f)
	if r.keyFile != "" && (place.named != "" || place.wrapped != "") {
		return usage("--key-file means nothing where the keystore's key lies in a file already", "leave it out: the new key is put beside the old one")
	}
	switch {
	case r.finish:
		err = p.finishKeystore(ctx, store, place)
	case place.named != "":
		err = p.stageKeyFile(ctx, store, place)
	case place.wrapped != "":
		err = p.stageWrapped(ctx, store, place, sources)
	default:
		err = p.stagePrinted(ctx, store, r.keyFile)
	}
	if err != nil {
		return p.keystoreKeyFailure(err)
	}
	kind := audit.KindSecretStaged
	if r.finish {
		kind = audit.KindSecretRotated
	}
	p.noteSecret(ctx, kind, keystoreKeyName)
	return nil
}

// stageKeyFile puts the next key beside the file of the present one. It is on disk before the
// keystore is encrypted for it.
func (p *Program) stageKeyFile(ctx context.Context, store *keystore.Store, place keystorePlace) error {
	next, err := nextKey(ctx, place)
	if err != nil {
		return err
	}
	err = store.StageKey(ctx, next)
	if errors.Is(err, keystore.ErrPassphrase) {
		if err := store.Rekey(ctx, next); err != nil {
			return err
		}
		p.tell("the keystore is encrypted for a new key, which is in %s; the passphrase opens it no more\na gate that reads its key from %s takes the new one up by itself", place.next(), place.named)
		p.tell("then: sallyport secrets rotate keystore --finish, which moves the new key to %s", place.named)
		return nil
	}
	if err != nil {
		return err
	}
	p.tell("two keys open the keystore now: the one in %s, and the new one in %s", place.named, place.next())
	p.tell("give the new one to whoever has a copy of the old one (other nodes, your backup), then: sallyport secrets rotate keystore --finish")
	return nil
}

// nextKey is the key beside the present one's file: one that a rotation before left there, or a new one.
func nextKey(ctx context.Context, place keystorePlace) (secret.Value, error) {
	there, err := readKeyFile(ctx, place.next())
	if err == nil || !errors.Is(err, secret.ErrNotFound) {
		return there, err
	}
	fresh, err := keystore.NewKey()
	if err != nil {
		return secret.Value{}, err
	}
	return fresh, writeKeyFile(place.next(), fresh)
}

func readKeyFile(ctx context.Context, path string) (secret.Value, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return secret.Value{}, fmt.Errorf("find the keystore's next key: %w", err)
	}
	return file.New("").Read(ctx, secret.Ref{Scheme: "file", Name: full})
}

func writeKeyFile(path string, key secret.Value) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return because(err, "write the keystore's next key", "the folder must be one that you may write to; move away what lies at "+path)
	}
	_, err = fmt.Fprintf(f, "%s\n", key.Expose())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return because(err, "write the keystore's next key", "remove "+path+" and run this again")
	}
	return nil
}

// stageWrapped lets Transit wrap the next key in place of the present one: the keystore opens
// with both by then.
func (p *Program) stageWrapped(ctx context.Context, store *keystore.Store, place keystorePlace, sources secret.Sources) error {
	vault, ok := sources["vault"].(*hashivault.Source)
	if !ok || place.file.Vault.Transit == nil {
		return found("the file names no key of Transit", "add transit: {key: sallyport} to secrets.vault (docs/guide/vault.md)")
	}
	next, err := keystore.NewKey()
	if err != nil {
		return err
	}
	if err := store.StageKey(ctx, next); err != nil {
		return err
	}
	err = app.WrapKey(ctx, vault, *place.file.Vault.Transit, app.WrappedKey{Path: place.wrapped, Purpose: config.KeystoreKeyPurpose, Key: next})
	if err != nil {
		return because(err, "wrap the next key", "the old key still opens the keystore; run this again")
	}
	p.tell("two keys open the keystore now: the old one, and the new one, which Transit has wrapped in %s", place.wrapped)
	p.tell("give that file to the other nodes, then: sallyport secrets rotate keystore --finish")
	return nil
}

// stagePrinted prints the next key once, for those who keep it in a variable.
func (p *Program) stagePrinted(ctx context.Context, store *keystore.Store, keyFile string) error {
	next, err := keystore.NewKey()
	if err != nil {
		return err
	}
	if keyFile != "" {
		if err := writeKeyFile(keyFile, next); err != nil {
			return err
		}
	}
	if err := store.StageKey(ctx, next); err != nil {
		return err
	}
	if keyFile == "" {
		if err := p.printKey(p.Out, next); err != nil {
			return err
		}
		p.tell("this is the keystore's new key; it is shown only now, and the old one opens the keystore too")
	} else {
		p.tell("the keystore's new key is in %s; the old one opens the keystore too", keyFile)
	}
	p.tell("set SALLYPORT_KEYSTORE_KEY to it and restart the gate (nodes one after the other), then, with the new key: sallyport secrets rotate keystore --finish")
	return nil
}

func (p *Program) printKey(to io.Writer, key secret.Value) error {
	if _, err := fmt.Fprintf(to, "%s\n", key.Expose()); err != nil {
		return because(err, "write the key", "run this again: the old key still opens the keystore, and this one is given up")
	}
	return nil
}

// finishKeystore leaves the new key alone. Where it lies in a file, it takes the old one's place
// first: the file's key opens the keystore at every moment.
func (p *Program) finishKeystore(ctx context.Context, store *keystore.Store, place keystorePlace) error {
	if place.named != "" {
		next, err := readKeyFile(ctx, place.next())
		switch {
		case err == nil:
			if store, err = p.takeKeyFile(place, next); err != nil {
				return err
			}
			if staged, _, err := store.KeyStaged(); err != nil || !staged {
				p.finishedKeystore(place.named) // a passphrase was left: the keystore had one key all along
				return err
			}
		case !errors.Is(err, secret.ErrNotFound):
			return err
		}
	}
	if err := store.FinishKey(ctx); err != nil {
		return err
	}
	p.finishedKeystore(place.named)
	return nil
}

func (p *Program) finishedKeystore(named string) {
	if named == "" {
		p.tell("the keystore has one key: the new one")
		return
	}
	p.tell("the keystore has one key: the one that is in %s", named)
}

// takeKeyFile moves the next key to where the present one lies, after it has opened the keystore.
func (p *Program) takeKeyFile(place keystorePlace, next secret.Value) (*keystore.Store, error) {
	store, err := keystore.Open(place.file.Keystore, next)
	if errors.Is(err, keystore.ErrWrongKey) {
		return nil, found("the key in "+place.next()+" does not open the keystore", "if it is of no rotation, move it away; then run `sallyport secrets rotate keystore`")
	}
	if err != nil {
		return nil, err
	}
	if err := os.Rename(place.next(), place.named); err != nil {
		return nil, because(err, "put the new key in the place of the old one", "put it there yourself, with the means that made the file, and run this again")
	}
	return store, nil
}

func (p *Program) keystoreKeyFailure(err error) error {
	var f *failure
	switch {
	case errors.As(err, &f):
		return err
	case errors.Is(err, keystore.ErrNotStaged):
		return found("no change of the keystore's key is under way", "`sallyport secrets rotate keystore` begins one")
	case errors.Is(err, keystore.ErrOldKey):
		return found("the key that you give is the old one", "give the new one (SALLYPORT_KEYSTORE_KEY or SALLYPORT_KEYSTORE_KEY_FILE); where it is lost, `sallyport secrets rotate keystore` makes another")
	case errors.Is(err, keystore.ErrPassphrase):
		return found("the keystore opens with a passphrase from a variable, beside which there can be no second key",
			"put the passphrase into a file (mode 0600), set SALLYPORT_KEYSTORE_KEY_FILE to it, restart the gate, and run this again: it takes the new key up from beside that file")
	}
	return p.keystoreFailure(err)
}

// keystorePlace says where the keystore's key lies.
type keystorePlace struct {
	file    *config.File
	named   string // the file that the environment names
	wrapped string // the file in which Transit has wrapped it
}

func placeOf(file *config.File) keystorePlace {
	place := keystorePlace{file: file, named: config.KeystoreKeyFile()}
	if place.named == "" && !config.KeystoreKeyGiven() && exists(file.WrappedKeystoreKey()) {
		place.wrapped = file.WrappedKeystoreKey()
	}
	return place
}

func (k keystorePlace) next() string { return k.named + nextSuffix }

// tell writes a line for the person who runs the command.
func (p *Program) tell(format string, args ...any) { fmt.Fprintf(p.Err, format+"\n", args...) }
