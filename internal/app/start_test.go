package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/config"
)

// What only a start reads is compared with the start: undoing a change needs no restart.
func TestUndoneChangeNeedsNoRestart(t *testing.T) {
	const text = `version: 1
listen: {public: "127.0.0.1:0", tls: off}
sites:
  shop:
    origins: [https://shop.example]
    connections: {payments: {provider: stripe, mode: mock, backend: all}}
`
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
