package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"

	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/secret/env"
	"sallyport/internal/secret/file"
	"sallyport/internal/secret/keystore"
)

// CheckCredential compares the form of a credential's value with what the catalog says about the
// field in a mode, so that a live key in a sandbox connection, or the reverse, never starts. The error
// does not repeat the value.
func CheckCredential(f provider.CredentialField, mode provider.Mode, value []byte) error {
	if mode == provider.Mock || len(value) == 0 {
		return nil
	}
	for _, other := range []provider.Mode{provider.Live, provider.Sandbox} {
		shape, ok := f.Modes[other]
		if !ok || other == mode || !fits(shape, value) {
			continue
		}
		if own, ok := f.Modes[mode]; !ok || !fits(own, value) {
			return otherMode{f.Name, other, mode}
		}
	}
	if own, ok := f.Modes[mode]; ok && !fits(own, value) {
		return fmt.Errorf("%s (%s) is not well-formed for mode %s", f.Name, f.Title, mode)
	}
	if f.Pattern != "" && !fits(f.Pattern, value) {
		return fmt.Errorf("%s (%s) is not well-formed", f.Name, f.Title)
	}
	return nil
}

// ErrOtherMode is what CheckCredential's error is where the value has the form of another mode's.
var ErrOtherMode = errors.New("the value is one of another mode")

type otherMode struct {
	field    string
	has, own provider.Mode
}

func (o otherMode) Error() string {
	return fmt.Sprintf("%s has the form of a %s value, and the connection is in mode %s", o.field, o.has, o.own)
}

func (o otherMode) Is(target error) bool { return target == ErrOtherMode }

func fits(pattern string, value []byte) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && re.Match(value)
}

// KeystoreKey reads the key of the keystore from the environment: SALLYPORT_KEYSTORE_KEY, or the file
// that SALLYPORT_KEYSTORE_KEY_FILE names. The zero Value without an error means that neither is set.
func KeystoreKey(ctx context.Context) (secret.Value, error) {
	direct, named := os.Getenv("SALLYPORT_KEYSTORE_KEY") != "", os.Getenv("SALLYPORT_KEYSTORE_KEY_FILE")
	switch {
	case direct && named != "":
		return secret.Value{}, errors.New("both SALLYPORT_KEYSTORE_KEY and SALLYPORT_KEYSTORE_KEY_FILE are set; unset one of them")
	case direct:
		return env.Source{}.Read(ctx, secret.Ref{Scheme: "env", Name: "SALLYPORT_KEYSTORE_KEY"})
	case named != "":
		dir, err := os.Getwd()
		if err != nil {
			return secret.Value{}, fmt.Errorf("find the keystore's key: %w", err)
		}
		return file.New(dir).Read(ctx, secret.Ref{Scheme: "file", Name: named})
	}
	return secret.Value{}, nil
}

// keystoreKeys are the keys that may open the keystore while its key is changed: the one that is
// given or lies wrapped, and, beside the file that the environment names, the next one.
func (f *File) keystoreKeys(ctx context.Context, sources secret.Sources) ([]secret.Value, error) {
	first, err := f.KeystoreKey(ctx, sources)
	if err != nil && !errors.Is(err, secret.ErrNotFound) {
		return nil, err
	}
	named := KeystoreKeyFile()
	if named == "" {
		return []secret.Value{first}, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the keystore's key: %w", err)
	}
	next, err := file.New(dir).Second(ctx, secret.Ref{Scheme: "file", Name: named})
	return []secret.Value{first, next}, err
}

// OpenKeystore opens the keystore of the file; sources have the Vault that its key may be wrapped
// by. Where the key is changed later, the one that takes its place is read without a restart.
func (f *File) OpenKeystore(ctx context.Context, sources secret.Sources) (*keystore.Store, error) {
	keys, err := f.keystoreKeys(ctx, sources)
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		store, err := keystore.Open(f.Keystore, key)
		if errors.Is(err, keystore.ErrWrongKey) && i+1 < len(keys) && !keys[i+1].Empty() {
			continue
		}
		if err != nil {
			return nil, err
		}
		store.Rekeys(func(ctx context.Context) ([]secret.Value, error) { return f.keystoreKeys(ctx, sources) })
		return store, nil
	}
	return nil, keystore.ErrWrongKey
}

// KeystoreKeyGiven tells that the environment has the keystore's key itself.
func KeystoreKeyGiven() bool { return os.Getenv("SALLYPORT_KEYSTORE_KEY") != "" }

// KeystoreKeyFile is the file that SALLYPORT_KEYSTORE_KEY_FILE names; empty where it names none.
func KeystoreKeyFile() string { return os.Getenv("SALLYPORT_KEYSTORE_KEY_FILE") }

// Secrets gives the sources of all secrets that the file may name: env, file, Vault where the file names
// one, and, where its key is known, the keystore. Without the key keystore: refs fail, and say so. Who asks
// for them closes them (CloseSecrets).
func (f *File) Secrets(ctx context.Context) (secret.Sources, error) {
	sources := secret.Sources{"env": env.Source{}, "file": file.New(f.Dir)}
	if err := f.openVault(sources); err != nil {
		return nil, err
	}
	key, err := f.KeystoreKey(ctx, sources)
	if err != nil {
		return nil, errors.Join(err, CloseSecrets(sources))
	}
	if key.Empty() {
		return sources, nil
	}
	store, err := f.OpenKeystore(ctx, sources)
	if err != nil {
		return nil, errors.Join(err, CloseSecrets(sources))
	}
	sources["keystore"] = store
	return sources, nil
}
