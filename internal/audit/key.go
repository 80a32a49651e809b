package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// signingKey signs checkpoints.
type signingKey struct {
	signer note.Signer
	public string // note verifier key
}

const (
	keyFile    = "audit.key"
	publicFile = "audit.pub"
)

// loadOrMakeKey reads DIR/audit.key, or makes it for a new log. A log whose key is
// gone is not continued with another one: its checkpoints would not verify.
func loadOrMakeKey(dir string, fsys files) (signingKey, error) {
	private, err := os.ReadFile(filepath.Join(dir, keyFile))
	switch {
	case err == nil:
		return loadKey(dir, fsys, strings.TrimSpace(string(private)))
	case !missing(err):
		return signingKey{}, fmt.Errorf("read audit signing key: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "tree", "checkpoint")); !missing(err) {
		return signingKey{}, fmt.Errorf("the log in %s has checkpoints but its %s is gone: put it back, or move the directory aside to begin a new log", dir, keyFile)
	}
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return signingKey{}, fmt.Errorf("make audit signing key: %w", err)
	}
	made, _, err := note.GenerateKey(rand.Reader, "sallyport-audit-"+hex.EncodeToString(id))
	if err != nil {
		return signingKey{}, fmt.Errorf("make audit signing key: %w", err)
	}
	if err := writeWhole(fsys, filepath.Join(dir, keyFile), []byte(made+"\n")); err != nil {
		return signingKey{}, fmt.Errorf("write audit signing key: %w", err)
	}
	return loadKey(dir, fsys, made)
}

func loadKey(dir string, fsys files, private string) (signingKey, error) {
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil {
		return signingKey{}, fmt.Errorf("look at audit signing key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return signingKey{}, fmt.Errorf("%s can be read by others (mode %04o): chmod 600 it", filepath.Join(dir, keyFile), info.Mode().Perm())
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return signingKey{}, fmt.Errorf("%s does not hold a signing key", filepath.Join(dir, keyFile))
	}
	public, err := publicOf(private)
	if err != nil {
		return signingKey{}, err
	}
	stored, err := os.ReadFile(filepath.Join(dir, publicFile))
	switch {
	case missing(err):
		if err := writeWhole(fsys, filepath.Join(dir, publicFile), []byte(public+"\n")); err != nil {
			return signingKey{}, fmt.Errorf("write audit public key: %w", err)
		}
	case err != nil:
		return signingKey{}, fmt.Errorf("read audit public key: %w", err)
	case string(stored) != public+"\n":
		return signingKey{}, fmt.Errorf("%s and %s in %s do not belong together", keyFile, publicFile, dir)
	}
	return signingKey{signer: signer, public: public}, nil
}

// publicOf gives the verifier key of an Ed25519 note signing key
// (PRIVATE+KEY+name+hash+base64 of an algorithm byte and the seed).
func publicOf(private string) (string, error) {
	bad := errors.New("the audit signing key is not an Ed25519 note key")
	parts := strings.SplitN(private, "+", 5)
	if len(parts) != 5 || parts[0] != "PRIVATE" || parts[1] != "KEY" {
		return "", bad
	}
	seed, err := base64.StdEncoding.Strict().DecodeString(parts[4])
	if err != nil || len(seed) != 1+ed25519.SeedSize || seed[0] != 1 {
		return "", bad
	}
	public, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", bad
	}
	v, err := note.NewEd25519VerifierKey(parts[2], public)
	if err != nil {
		return "", bad
	}
	return v, nil
}
