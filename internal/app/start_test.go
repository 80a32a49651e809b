package app

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/secret/seal"
)

const text = `version: 1
listen: {public: "127.0.0.1:0", tls: off}
sites:
  shop:
    origins: [https://shop.example]
    connections: {payments: {provider: stripe, mode: mock, backend: all}}
`

// A store that another root key has sealed is refused with the place of both, and is left as it is.
func TestAnotherRootKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sallyport.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Path: path, Log: slog.New(slog.DiscardHandler)}
	start := func() (*config.File, error) {
		g, err := Open(t.Context(), o)
		if err != nil {
			return nil, err
		}
		return g.File(), g.Close()
	}
	file, err := start()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(file.Data, rootFile)
	own, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root, bytes.Repeat([]byte{7}, seal.RootSize), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := start(); !errors.Is(err, seal.ErrOpen) || !strings.Contains(err.Error(), root) || !strings.Contains(err.Error(), file.Store) {
		t.Errorf("with another root key: %v", err)
	}
	if err := os.WriteFile(root, own, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := start(); err != nil {
		t.Errorf("with its own again: %v", err)
	}
}

// What only a start reads is compared with the start: undoing a change needs no restart.
func TestUndoneChangeNeedsNoRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sallyport.yaml")
	var log bytes.Buffer
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	g, err := Open(t.Context(), Options{Path: path, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for i, step := range []struct {
		text string
		want bool
	}{
		{strings.Replace(text, "127.0.0.1:0", "127.0.0.1:1", 1), true},
		{text, false},
	} {
		write(step.text)
		log.Reset()
		file, faults := config.Load(path, g.catalog)
		if faults != nil {
			t.Fatal(faults)
		}
		if err := g.apply(file); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "a restart is needed"); got != step.want {
			t.Errorf("step %d: told to restart %v, want %v:\n%s", i, got, step.want, log.String())
		}
	}
}

// A start without the keystore's key makes no second root key, which would hide the first one.
func TestKeystoreWithoutKey(t *testing.T) {
	dir := t.TempDir()
	f := &config.File{Data: dir, Keystore: filepath.Join(dir, "keystore.age")}
	if err := os.WriteFile(f.Keystore, []byte("sealed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := quiet(t).rootKey(t.Context(), f); err == nil || !strings.Contains(err.Error(), "SALLYPORT_KEYSTORE_KEY_FILE") {
		t.Errorf("started: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, rootFile)); !os.IsNotExist(err) {
		t.Errorf("a root key was made: %v", err)
	}
}
