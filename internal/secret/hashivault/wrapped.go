package hashivault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	wrappedFormat  = "sallyport-wrapped-key"
	wrappedVersion = 1
	maxWrapped     = 64 << 10
)

// Wrapped is a key of the gate's as it lies on disk: only Transit opens it.
type Wrapped struct {
	Format     string `json:"format"`  // sallyport-wrapped-key
	Version    int    `json:"version"` // 1
	Purpose    string `json:"purpose"`
	Transit    string `json:"transit"` // MOUNT/KEY
	Ciphertext string `json:"ciphertext"`
}

// Key is the Transit key that opens it.
func (w *Wrapped) Key() TransitKey {
	i := strings.LastIndex(w.Transit, "/")
	return TransitKey{Mount: w.Transit[:i], Key: w.Transit[i+1:]}
}

// ReadWrapped reads a wrapped key; nil without an error where there is no such file.
func ReadWrapped(path, purpose string) (*Wrapped, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open wrapped key: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxWrapped+1))
	if err != nil {
		return nil, fmt.Errorf("read wrapped key: %w", err)
	}
	var w Wrapped
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil || len(raw) > maxWrapped || w.Format != wrappedFormat {
		return nil, fmt.Errorf("read %s: it is damaged, or no wrapped key", path)
	}
	mount, key, ok := cutLast(w.Transit)
	switch {
	case w.Version != wrappedVersion:
		return nil, fmt.Errorf("read %s: its format is version %d; this binary reads version %d", path, w.Version, wrappedVersion)
	case w.Purpose != purpose:
		return nil, fmt.Errorf("read %s: %w (%q)", path, ErrPurpose, w.Purpose)
	case !ok || !CheckPath(mount) || !word(key, "") || !strings.HasPrefix(w.Ciphertext, "vault:v"):
		return nil, fmt.Errorf("read %s: it is damaged", path)
	}
	return &w, nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndex(s, "/")
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// CheckPath says whether a text can be the path of a mount: parts of letters, digits and
// _ . @ - with / between them.
func CheckPath(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if part == "." || part == ".." || !word(part, "") {
			return false
		}
	}
	return true
}

// WriteWrapped puts a wrapped key at path, whole or not at all, also after a power failure.
func WriteWrapped(path, purpose string, k TransitKey, ciphertext string) (err error) {
	raw, err := json.MarshalIndent(Wrapped{wrappedFormat, wrappedVersion, purpose, k.String(), ciphertext}, "", "  ")
	if err != nil {
		return fmt.Errorf("write wrapped key: %w", err)
	}
	return WriteFile(path, append(raw, '\n'))
}

// WriteFile writes a file that only its owner reads, by way of a new one beside it.
func WriteFile(path string, raw []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync the key's folder: %w", err)
	}
	if err = errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync the key's folder: %w", err)
	}
	return nil
}
