package file_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/secret"
	"sallyport/internal/secret/file"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func read(s *file.Source, name string) (string, error) {
	v, err := s.Read(context.Background(), secret.Ref{Scheme: "file", Name: name})
	return string(v.Expose()), err
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "s")
	s := file.New(dir)
	for content, want := range map[string]string{"x\n": "x", "x\r\n": "x", "x\n\n": "x\n", "a\nb\n": "a\nb", " x": " x", "\x00\xff": "\x00\xff"} {
		write(t, name, content, 0o400)
		if got, err := read(s, name); err != nil || got != want {
			t.Errorf("%q: %q, %v", content, got, err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	write(t, name, "relative\n", 0o600)
	if got, err := read(s, "s"); err != nil || got != "relative" {
		t.Errorf("relative path: %q, %v", got, err)
	}
	if err := os.Symlink("s", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if got, err := read(s, "link"); err != nil || got != "relative" {
		t.Errorf("symbolic link: %q, %v", got, err)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(n string) string { return filepath.Join(dir, n) }
	write(t, at("group"), "CANARY", 0o640)
	write(t, at("others"), "CANARY", 0o604)
	write(t, at("executable by others"), "CANARY", 0o601)
	write(t, at("large"), strings.Repeat("CANARY", file.MaxBytes), 0o600)
	write(t, at("empty"), "", 0o600)
	write(t, at("newline"), "\n", 0o600)
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("group"), at("link to group")); err != nil {
		t.Fatal(err)
	}
	s := file.New(dir)
	for name, want := range map[string]string{
		"group": "chmod 600", "others": "chmod 600", "executable by others": "chmod 600", "link to group": "chmod 600",
		"large": "at most", "empty": "empty", "newline": "empty", "pipe": "not a regular file", ".": "not a regular file", "absent": "does not exist",
	} {
		begun := time.Now()
		got, err := read(s, name)
		if err == nil || got != "" || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %q, %v; want an error with %q", name, got, err, want)
		}
		if missing := name == "absent" || name == "empty" || name == "newline"; errors.Is(err, secret.ErrNotFound) != missing {
			t.Errorf("%s: ErrNotFound is %v", name, !missing)
		}
		if time.Since(begun) > time.Second {
			t.Errorf("%s: blocked", name)
		}
	}
}

// TestRotation replaces and rewrites the file, also with the same size and
// modification time, and takes it away and opens it to others after it was read.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "s")
	s := file.New(dir)
	old := time.Now().Add(-time.Hour)
	for i := range 20 {
		want := fmt.Sprintf("value-%02d", i)
		if i%2 == 0 {
			write(t, name+".new", want, 0o600)
			if err := os.Rename(name+".new", name); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, name, want, 0o600)
		}
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := read(s, name); err != nil || got != want {
				t.Fatalf("round %d: %q, %v", i, got, err)
			}
		}
	}
	time.Sleep(1100 * time.Millisecond) // now it is old enough to be cached
	for range 2 {
		if got, err := read(s, name); err != nil || got != "value-19" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	write(t, name, "value-20", 0o600)
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
	if got, err := read(s, name); err != nil || got != "value-20" {
		t.Errorf("rewritten behind the cache: %q, %v", got, err)
	}
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := read(s, name); err == nil {
		t.Errorf("opened to others after it was read: %q", got)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := read(s, name); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("taken away: %v", err)
	}
}

func TestManyReaders(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "s")
	write(t, name, "CANARY-a", 0o600)
	s := file.New(dir)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if got, err := read(s, name); err != nil || !bytes.HasPrefix([]byte(got), []byte("CANARY-")) {
					t.Errorf("%q, %v", got, err)
					return
				}
			}
		})
	}
	all.Wait()
	if shown := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(shown, "CANARY") {
		t.Errorf("the source prints what it caches: %s", shown)
	}
}
