package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/provider"
)

var update = flag.Bool("update", false, "rewrite golden files and generated documentation")

// catalog is shared by the tests: its contracts take a while to load.
var catalog = sync.OnceValue(provider.Builtin)

// badFiles copies the broken files into a folder with the files that some of them name; git keeps no modes.
func badFiles(t *testing.T) (dir string, names []string) {
	t.Helper()
	dir = t.TempDir()
	paths, err := filepath.Glob("testdata/config/bad/*.yaml")
	if err != nil || len(paths) < 20 {
		t.Fatalf("found %d broken files (%v); there must be at least 20", len(paths), err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), data, 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.Base(path))
	}
	if err := os.WriteFile(filepath.Join(dir, "open.key"), []byte("a secret that others can read\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "open.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, names
}

// TestBadFiles: every broken file is refused, and every fault is named with its place and its remedy.
func TestBadFiles(t *testing.T) {
	dir, names := badFiles(t)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			file, faults := Load(filepath.Join(dir, name), catalog())
			if file != nil || len(faults) == 0 {
				t.Fatal("the file was accepted")
			}
			for _, f := range faults {
				if f.Found == "" || f.Hint == "" {
					t.Errorf("no finding or no remedy: %+v", f)
				}
			}
			got := strings.ReplaceAll(faults.Error(), dir+string(filepath.Separator), "") + "\n"
			golden(t, strings.TrimSuffix(filepath.Join("testdata/config/bad", name), ".yaml")+".txt", got)
		})
	}
}

// golden compares with a file, or rewrites it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with -update and read it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); if that is meant, run with -update:\n%s", path, diff)
	}
}
