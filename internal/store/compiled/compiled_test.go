package compiled

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/contract"
)

var _ contract.Cache = (*Folder)(nil)

func key(n int) string { return fmt.Sprintf("%064x", n) }

func logged(t *testing.T) (*Folder, *bytes.Buffer, string) {
	t.Helper()
	out := &bytes.Buffer{}
	dir := filepath.Join(t.TempDir(), "cache", "contracts")
	return New(dir, slog.New(slog.NewTextHandler(out, nil))), out, dir
}

func TestWhatWasStoredComesBack(t *testing.T) {
	f, out, dir := logged(t)
	if _, ok := f.Load(key(1)); ok || out.Len() > 0 {
		t.Fatalf("an empty folder: %v, said %q", ok, out)
	}
	f.Store(key(1), []byte("one"))
	f.Store(key(2), nil)
	for n, want := range map[int]string{1: "one", 2: ""} {
		if got, ok := New(dir, nil).Load(key(n)); !ok || string(got) != want {
			t.Errorf("%d: %q %v", n, got, ok)
		}
	}
	for _, name := range []string{dir, filepath.Join(dir, key(1))} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	for _, bad := range []string{"", "../x", strings.Repeat("A", 64), key(1) + "0"} {
		f.Store(bad, []byte("x"))
		if _, ok := f.Load(bad); ok {
			t.Errorf("%q is a key", bad)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 2 {
		t.Errorf("%d files: %v", len(names), err)
	}
}

func TestWhatIsNotWholeIsLeftAside(t *testing.T) {
	whole := func() []byte {
		f, _, dir := logged(t)
		f.Store(key(1), []byte("a compiled contract"))
		data, err := os.ReadFile(filepath.Join(dir, key(1)))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}()
	for name, spoil := range map[string]func(path string) error{
		"not in the format": func(p string) error {
			return os.WriteFile(p, bytes.Replace(whole, []byte("compiled 1"), []byte("compiled 0"), 1), 0o600)
		},
		"in the format": func(p string) error { return os.WriteFile(p, whole[:30], 0o600) },
		"damaged": func(p string) error {
			return os.WriteFile(p, append(append([]byte{}, whole[:len(whole)-1]...), 'x'), 0o600)
		},
		"is damaged":      func(p string) error { return os.WriteFile(p, whole[:len(whole)-3], 0o600) },
		"others than":     func(p string) error { return os.Chmod(p, 0o666) },
		"no regular file": func(p string) error { return os.Mkdir(p, 0o700) },
		"symbolic links":  func(p string) error { return os.Symlink("/etc/hostname", p) },
	} {
		t.Run(name, func(t *testing.T) {
			f, out, dir := logged(t)
			f.Store(key(1), []byte("a compiled contract"))
			path := filepath.Join(dir, key(1))
			if name == "no regular file" || name == "symbolic links" {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			data, ok := f.Load(key(1))
			if ok || !strings.Contains(out.String(), name) {
				t.Errorf("gives %q, %v; said %s", data, ok, out)
			}
			if name == "no regular file" {
				return // what lies there is somebody's folder
			}
			f.Store(key(1), []byte("again"))
			if data, ok := f.Load(key(1)); !ok || string(data) != "again" {
				t.Errorf("stored again: %q %v; said %s", data, ok, out)
			}
		})
	}
}

func TestAFolderThatCannotBeWrittenCostsNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out := &bytes.Buffer{}
	f := New(filepath.Join(file, "cache"), slog.New(slog.NewTextHandler(out, nil)))
	f.Store(key(1), []byte("x"))
	if _, ok := f.Load(key(1)); ok || !strings.Contains(out.String(), "cannot be kept") {
		t.Errorf("said %s", out)
	}
}

func TestWhatWasNotUsedLongestGoes(t *testing.T) {
	f, _, dir := logged(t)
	old := time.Now().Add(-48 * time.Hour)
	for n := range maxEntries + 6 {
		f.Store(key(n), []byte{byte(n)})
		if err := os.Chtimes(filepath.Join(dir, key(n)), old.Add(time.Duration(n)*time.Minute), old.Add(time.Duration(n)*time.Minute)); err != nil {
			t.Fatal(err)
		}
		if n == 20 {
			if _, ok := f.Load(key(0)); !ok { // used again: it stays
				t.Fatal("the first is gone already")
			}
		}
	}
	unfinished := filepath.Join(dir, ".new-123")
	if err := os.WriteFile(unfinished, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(unfinished, old, old); err != nil {
		t.Fatal(err)
	}
	f.Store(key(1000), []byte("new"))
	for n, want := range map[int]bool{0: true, 1: false, 2: false, maxEntries + 5: true, 1000: true} {
		if _, ok := f.Load(key(n)); ok != want {
			t.Errorf("%d is there: %v", n, ok)
		}
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != maxEntries {
		t.Errorf("%d files: %v", len(names), err)
	}
}

func TestManyAtOnce(t *testing.T) {
	f, _, dir := logged(t)
	var wait sync.WaitGroup
	for n := range 8 {
		wait.Go(func() {
			mine := New(dir, nil)
			for i := range 20 {
				data := bytes.Repeat([]byte{byte(i % 3)}, 1000)
				mine.Store(key(i%3), data)
				if got, ok := f.Load(key(i % 3)); ok && !bytes.Equal(got, data) {
					t.Errorf("%d: another entry's bytes", n)
				}
			}
		})
	}
	wait.Wait()
}
