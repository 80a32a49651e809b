package app

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"sallyport/internal/challenge"
	"sallyport/internal/config"
	"sallyport/internal/egress"
	"sallyport/internal/secret"
	"sallyport/internal/secret/keystore"
	"sallyport/internal/secret/seal"
)

// rootFile keeps the root key where there is no keystore: readable by its owner only,
// in the data folder. Whoever reads that folder can then read what is sealed in it;
// `check` says so.
const rootFile = "root.key"

func (g *Gate) openSecrets(ctx context.Context, f *config.File) (err error) {
	g.secrets, err = f.Secrets(ctx)
	g.onClose(func() error { return config.CloseSecrets(g.secrets) })
	return err
}

// rootKey is the key from which everything in the store is sealed: kept in the
// keystore where there is one, else in the data folder, wrapped by Transit where the file
// names a key of it.
func (g *Gate) rootKey(ctx context.Context, f *config.File) (secret.Value, error) {
	path := filepath.Join(f.Data, rootFile)
	onDisk, err := g.rootOnDisk(ctx, f)
	if err != nil {
		return secret.Value{}, err
	}
	ks, ok := g.secrets["keystore"].(*keystore.Store)
	switch {
	case !onDisk.Empty() && ok:
		g.log.Warn("loosened", "file", path, "reason", "the root key lies in the data folder, as it did before there was a keystore")
		return onDisk, nil
	case !onDisk.Empty():
		return onDisk, nil
	case ok:
		g.rootFrom = "the root key of the keystore " + f.Keystore
		return ks.RootKey(ctx)
	}
	// A root key made now would hide the one in the keystore from every later start.
	if _, err := os.Stat(f.Keystore); !errors.Is(err, fs.ErrNotExist) {
		return secret.Value{}, fmt.Errorf("open keystore %s: its key is not given; set SALLYPORT_KEYSTORE_KEY_FILE, or move the keystore away to start without one", f.Keystore)
	}
	if err := g.neverSealed(ctx, f); err != nil {
		return secret.Value{}, err
	}
	if f.Vault != nil && f.Vault.Transit != nil {
		return g.makeWrappedRoot(ctx, f)
	}
	return makeRoot(path)
}

// neverSealed refuses to make a root key for a store that was sealed with another one:
// that of another node, or one that was lost.
func (g *Gate) neverSealed(ctx context.Context, f *config.File) error {
	if g.store == nil {
		return nil
	}
	_, err := g.store.FindDataKey(ctx, "")
	switch {
	case errors.Is(err, seal.ErrNoKey):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("there is no root key in %s: %w", f.Data, seal.ErrOpen)
}

func readRoot(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read root key: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("read root key %s: others can read it (mode %o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	key, err := os.ReadFile(path)
	if err == nil && len(key) != seal.RootSize {
		err = fmt.Errorf("it has %d bytes: %w", len(key), seal.ErrRootSize)
	}
	if err != nil {
		return nil, fmt.Errorf("read root key %s: %w", path, err)
	}
	return key, nil
}

func newRoot() (secret.Value, error) {
	key := make([]byte, seal.RootSize)
	defer clear(key)
	if _, err := rand.Read(key); err != nil {
		return secret.Value{}, fmt.Errorf("make root key: %w", err)
	}
	return secret.NewValue(key), nil
}

func makeRoot(path string) (secret.Value, error) {
	root, err := newRoot()
	if err != nil {
		return secret.Value{}, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return secret.Value{}, fmt.Errorf("write root key: %w", err)
	}
	_, err = f.Write(root.Expose())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return secret.Value{}, fmt.Errorf("write root key: %w", err)
	}
	return root, nil
}

func (g *Gate) openStore(ctx context.Context, f *config.File) error {
	store, err := OpenStore(ctx, f, StoreOptions{Serve: true, Now: g.options.Now, Log: g.log, Secrets: g.secrets})
	if err != nil {
		return err
	}
	g.store = store
	g.onClose(g.store.Close)
	root, err := g.rootKey(ctx, f)
	if err != nil {
		return err
	}
	sealer, err := seal.NewRoot(root)
	if err != nil {
		return err
	}
	g.keyring = seal.NewKeyring(sealer, g.store)
	if versions := wrapKeys(g.secrets, root); versions != nil {
		if sealer, err = versions(ctx); err != nil {
			return err
		}
		g.keyring = seal.NewKeyring(sealer, g.store)
		g.keyring.Reroot(versions)
	}
	g.hashKeys = &hashKeys{root: root, known: map[string]secret.Value{}}
	g.owned = egress.NewOwnedMemory(g.store, g.hashKeys.owned, g.options.Steady)
	g.freezes, err = g.store.WatchFreezes(ctx)
	return err
}

// hashKeys derives the keys of each site's keyed hashes: those in the audit log, where the
// empty site is the gate itself, and those of owned ids. Safe for concurrent use.
type hashKeys struct {
	root secret.Value

	mu    sync.Mutex
	known map[string]secret.Value
}

// owned is the keyed hash of what is remembered of the ids that visits received.
func (h *hashKeys) owned(site string, message []byte) (sum [32]byte, err error) {
	key, err := h.derive("sallyport/v1/owned/" + site)
	if err != nil {
		return sum, err
	}
	mac := hmac.New(sha256.New, key.Expose())
	mac.Write(message)
	mac.Sum(sum[:0])
	return sum, nil
}

func (h *hashKeys) key(site string) (secret.Value, error) {
	return h.derive("sallyport/v1/audit-hash/" + site)
}

// derive makes a key for one purpose and one site.
func (h *hashKeys) derive(info string) (secret.Value, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v, ok := h.known[info]; ok {
		return v, nil
	}
	raw, err := hkdf.Key(sha256.New, h.root.Expose(), nil, info, 32)
	if err != nil {
		return secret.Value{}, fmt.Errorf("derive key of hashes: %w", err)
	}
	v := secret.NewValue(raw)
	h.known[info] = v
	return v, nil
}

// challengeKey is the key of proofs of work: the same on every node that has the root key.
func (h *hashKeys) challengeKey() ([]byte, error) {
	raw, err := hkdf.Key(sha256.New, h.root.Expose(), nil, "sallyport/v1/challenge", challenge.KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive challenge key: %w", err)
	}
	return raw, nil
}

// answers seals what egress keeps for repeats, with the site's data key.
type answers struct{ keyring *seal.Keyring }

// answerPurpose binds an answer to its call: the parts of the call's name, each after its
// length, by their hash.
func answerPurpose(of egress.AnswerOf) string {
	h := sha256.New()
	for _, part := range []string{of.Key.Site, of.Key.Connection, of.Key.Operation, of.Key.Caller, string(of.Key.KeyHash[:]), string(of.Request[:])} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return "idempotency-answer/" + hex.EncodeToString(h.Sum(nil))
}

// Seal implements egress.Answers.
func (a answers) Seal(ctx context.Context, of egress.AnswerOf, plaintext []byte) ([]byte, error) {
	s, err := a.keyring.DataKey(ctx, of.Key.Site)
	if err != nil {
		return nil, err
	}
	return s.Seal(plaintext, answerPurpose(of))
}

// Open implements egress.Answers.
func (a answers) Open(ctx context.Context, of egress.AnswerOf, sealed []byte) ([]byte, error) {
	s, err := a.keyring.DataKey(ctx, of.Key.Site)
	if err != nil {
		return nil, err
	}
	return s.Open(sealed, answerPurpose(of))
}
