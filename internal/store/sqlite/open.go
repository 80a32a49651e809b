// Package sqlite keeps what a gate must remember in one SQLite file: site keys, signing
// keys, ended sessions, freezes, repeats of calls, and wrapped data keys.
//
// It guarantees that a write that returned nil is on the disk (WAL, synchronous=FULL),
// that the file is readable by its owner only, that one process at a time serves from
// it, and that calls which a dead process left in progress are unknown afterwards. Any
// number of processes may use it as tools beside the one that serves.
//
// It does not hold plain secrets: what needs sealing comes sealed. It decides nothing.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the database/sql driver "sqlite"
)

// Role says what a process does with the store. The zero Role is a tool.
type Role uint8

// The roles.
const (
	// Tool reads and writes beside a serving process (keys, freeze, thaw).
	Tool Role = iota
	// Serve is the one process that takes calls.
	Serve
)

// ErrServed is wrapped by Open where another process serves from the file.
var ErrServed = errors.New("another process serves from this store")

// Options are what Open needs. Path is required.
type Options struct {
	Path string
	Role Role
	Now  func() time.Time // nil: time.Now
	Log  *slog.Logger     // nil: nothing is logged
}

const (
	busyTimeout = 5 * time.Second
	readers     = 4
)

// Store is an open file. It is safe for concurrent use.
type Store struct {
	read   *sql.DB
	jobs   *sql.Stmt // jobQuery on read
	write  *sql.DB
	writer *writer
	served *lock // nil for a tool
	role   Role
	now    func() time.Time
	log    *slog.Logger

	closing sync.Once
	closed  error
}

// Open opens or makes the file (0600) and its folder (0700) and brings the schema up to
// date. A file or folder that others can read or change, a schema newer than this
// program, and a second serving process are refused.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{role: o.Role, now: o.Now, log: o.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	path, err := prepare(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := s.open(ctx, path); err != nil {
		_ = s.Close() // what was opened so far; the error that matters is the first
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string) (err error) {
	if s.role == Serve {
		if s.served, err = takeLock(ctx, path+"-serving", 0); err != nil {
			return fmt.Errorf("%w (%w); stop it first, or give this one a store of its own", ErrServed, err)
		}
	}
	if s.write, err = connect(path, 1, ""); err != nil {
		return err
	}
	if err = migrate(ctx, s.write, path); err != nil {
		return err
	}
	if s.read, err = connect(path, readers, "&_pragma=query_only(1)"); err != nil {
		return err
	}
	if s.jobs, err = s.read.PrepareContext(ctx, jobQuery); err != nil {
		return fmt.Errorf("compile query: %w", err)
	}
	s.writer = startWriter(s.write)
	if s.role == Serve {
		return s.closeOrphans(ctx)
	}
	return nil
}

// Close waits for writes that have begun and closes the file. Closing twice is no error.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closed = s.close() })
	return s.closed
}

func (s *Store) close() error {
	var errs []error
	if s.writer != nil {
		s.writer.stop()
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.served != nil {
		errs = append(errs, s.served.release())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Follow does nothing: one process serves from a file, and what tools change in it is
// looked for.
func (s *Store) Follow(func(ctx context.Context) error) {}

// Check reports whether the store can be read; for readiness.
func (s *Store) Check(ctx context.Context) error {
	var one int
	if err := s.read.QueryRowContext(ctx, "SELECT 1 FROM sqlite_schema LIMIT 1").Scan(&one); err != nil {
		return fmt.Errorf("check store: %w", err)
	}
	return nil
}

// prepare makes the folder and the file where they are missing, and refuses those that
// others can get at.
func prepare(path string) (string, error) {
	if path == "" {
		return "", errors.New("the path is empty; write for instance sqlite:./data/sallyport.db")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("look at folder: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("folder %s can be changed by others (%#o); run: chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	if err := touch(path); err != nil {
		return "", err
	}
	if info, err = os.Stat(path); err != nil {
		return "", fmt.Errorf("look at file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is %s, not a file", path, kind(info.Mode()))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by others (%#o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	return path, nil
}

// touch makes an empty file (0600) where there is none. It never opens one that exists:
// closing it again would drop the locks that SQLite holds on it in this process.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	return nil
}

func kind(m fs.FileMode) string {
	if m.IsDir() {
		return "a folder"
	}
	return "a special file"
}

// connect opens a pool of at most n connections. Every connection gets the same pragmas;
// transactions take the write lock at once, so that none fails half-way with "busy".
func connect(path string, n int, more string) (*sql.DB, error) {
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: fmt.Sprintf(
		"_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=trusted_schema(0)&_txlock=immediate%s",
		busyTimeout.Milliseconds(), more)}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}
