// Package file reads secrets from files of their own: file:/run/secrets/stripe.
//
// It guarantees that a file which others on the machine can read is refused, that
// what was checked is what is read (the open file, not the name), and that a
// replaced file is noticed at the next Read. Symbolic links are followed, because
// orchestrators mount secrets that way; the file at the end of the link is judged.
// It does not watch, write or delete files.
package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"sallyport/internal/secret"
)

// MaxBytes is the largest file that is taken for a secret (a PEM bundle fits).
const MaxBytes = 64 << 10

const maxCached = 1024

// Source reads file:PATH. It is safe for concurrent use.
type Source struct {
	base string

	mu    sync.Mutex
	known map[string]cached
}

type cached struct {
	stamp stamp
	value secret.Value
}

// stamp is what changes when a file is written or replaced.
type stamp struct {
	device, inode uint64
	size          int64
	modified      time.Time
	changed       time.Time
	mode          fs.FileMode
}

// New makes a Source; paths that are not absolute are below base (the directory of
// the configuration file).
func New(base string) *Source { return &Source{base: base, known: map[string]cached{}} }

// Read returns the file's content without one trailing newline. It wraps
// secret.ErrNotFound where there is no file or nothing in it.
func (s *Source) Read(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	if err := ctx.Err(); err != nil {
		return secret.Value{}, err
	}
	path := ref.Name
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.base, path)
	}
	// O_NONBLOCK: opening a named pipe must not wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return secret.Value{}, fmt.Errorf("secret file %s does not exist: %w", path, secret.ErrNotFound)
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("open secret file: %w", err)
	}
	defer f.Close()
	return s.readOpen(f, path)
}

// NextSuffix is what the file of a second value is called: file:/run/secrets/stripe has it in
// /run/secrets/stripe.next. It is accepted while it is there.
const NextSuffix = ".next"

// Second reads the file beside the ref's own, or gives an empty Value where there is none.
func (s *Source) Second(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	v, err := s.Read(ctx, secret.Ref{Scheme: ref.Scheme, Name: ref.Name + NextSuffix})
	if errors.Is(err, secret.ErrNotFound) {
		return secret.Value{}, nil
	}
	return v, err
}

func (s *Source) readOpen(f *os.File, path string) (secret.Value, error) {
	info, err := f.Stat()
	if err != nil {
		return secret.Value{}, fmt.Errorf("look at secret file: %w", err)
	}
	if err := check(info, path); err != nil {
		s.forget(path)
		return secret.Value{}, err
	}
	now := stampOf(info)
	s.mu.Lock()
	old, ok := s.known[path]
	s.mu.Unlock()
	// A file changed within the clock's grain could look unchanged: not cached then.
	if ok && old.stamp == now {
		return old.value, nil
	}
	value, err := load(f, path)
	if err != nil {
		s.forget(path)
		return secret.Value{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxCached {
		clear(s.known)
	}
	if time.Since(now.changed) > time.Second {
		s.known[path] = cached{stamp: now, value: value}
	}
	return value, nil
}

func (s *Source) forget(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, path)
}

// check judges the file itself; its errors say what to do.
func check(info fs.FileInfo, path string) error {
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("secret file %s is not a regular file (%s)", path, info.Mode().Type())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("secret file %s can be used by others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	case info.Size() > MaxBytes:
		return fmt.Errorf("secret file %s has %d bytes; a secret has at most %d", path, info.Size(), MaxBytes)
	}
	return nil
}

func load(f io.Reader, path string) (secret.Value, error) {
	b, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	defer clear(b)
	if err != nil {
		return secret.Value{}, fmt.Errorf("read secret file: %w", err)
	}
	if len(b) > MaxBytes {
		return secret.Value{}, fmt.Errorf("secret file %s grew beyond %d bytes", path, MaxBytes)
	}
	trimmed := bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if len(trimmed) == 0 {
		return secret.Value{}, fmt.Errorf("secret file %s is empty: %w", path, secret.ErrNotFound)
	}
	return secret.NewValue(trimmed), nil
}
