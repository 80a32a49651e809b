package config

import (
	"context"
	"errors"
	"fmt"

	"sallyport/internal/outbound"
	"sallyport/internal/secret"
	"sallyport/internal/secret/env"
	"sallyport/internal/secret/file"
	"sallyport/internal/secret/hashivault"
)

// What wrapped keys are for; the texts are bound into them.
const (
	RootKeyPurpose     = "sallyport root key v1"
	KeystoreKeyPurpose = "sallyport keystore key v1"
)

// WrappedKeystoreKey is where the keystore's key lies wrapped, where it does.
func (f *File) WrappedKeystoreKey() string { return f.Keystore + ".key.wrapped" }

// openVault adds the source of vault: references. It connects to nothing yet.
func (f *File) openVault(sources secret.Sources) error {
	v := f.Vault
	if v == nil {
		return nil
	}
	transport := outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyInfrastructure}).Transport(v.roots())
	transport.TLSClientConfig.ServerName = v.ServerName
	source, err := hashivault.Open(hashivault.Options{Address: v.Address, Namespace: v.Namespace, Transport: transport, Auth: v.Auth,
		TTL: v.TTL, Timeout: v.Timeout, Secrets: sources})
	if err != nil {
		return err
	}
	sources["vault"] = source
	return nil
}

// CloseSecrets closes what File.Secrets opened.
func CloseSecrets(sources secret.Sources) error {
	if v, ok := sources["vault"].(*hashivault.Source); ok {
		return v.Close()
	}
	return nil
}

// KeystoreKey is the key of the keystore: that of the environment, or the wrapped one beside the keystore,
// unwrapped by Transit. The zero Value without an error means that there is neither.
func (f *File) KeystoreKey(ctx context.Context, sources secret.Sources) (secret.Value, error) {
	key, err := KeystoreKey(ctx)
	if err != nil || !key.Empty() {
		return key, err
	}
	return f.Unwrap(ctx, sources, f.WrappedKeystoreKey(), KeystoreKeyPurpose)
}

// Unwrap opens the wrapped key in a file; the zero Value where there is no such file.
func (f *File) Unwrap(ctx context.Context, sources secret.Sources, path, purpose string) (secret.Value, error) {
	w, err := hashivault.ReadWrapped(path, purpose)
	if err != nil || w == nil {
		return secret.Value{}, err
	}
	v, ok := sources["vault"].(*hashivault.Source)
	if !ok || f.Vault.Transit == nil {
		return secret.Value{}, fmt.Errorf("open %s: it is wrapped by the Transit key %s, and the file names none: put secrets.vault.transit back (`sallyport secrets unwrap` moves the keys away from it)", path, w.Transit)
	}
	if now := *f.Vault.Transit; now != w.Key() {
		return secret.Value{}, fmt.Errorf("open %s: it is wrapped by the Transit key %s, and secrets.vault.transit names %s: `sallyport secrets unwrap` with the old one, then `sallyport secrets wrap` with the new one", path, w.Transit, now)
	}
	value, err := v.Unwrap(ctx, w.Key(), purpose, w.Ciphertext)
	var failure *hashivault.Failure
	if errors.As(err, &failure) {
		return secret.Value{}, fmt.Errorf("open %s with the Transit key %s: %w", path, w.Transit, failure)
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("open %s: %w", path, err)
	}
	return value, nil
}

// VaultOnly gives the sources without the keystore, for who moves the keystore's own key.
func (f *File) VaultOnly() (secret.Sources, error) {
	sources := secret.Sources{"env": env.Source{}, "file": file.New(f.Dir)}
	return sources, f.openVault(sources)
}
