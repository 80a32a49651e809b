// Package keystore keeps secrets in one file, encrypted with age: keystore:site/name.
//
// It guarantees that values are on disk only encrypted, that a change is there whole
// or not at all (new file, fsync, rename, fsync of the directory), that writers of
// several processes do not overwrite each other, and that a change made by another
// process is seen at the next Read. Values leave only as secret.Value; names and
// ages are not secret. It does not hide how many secrets there are, and it cannot
// notice that somebody put an older copy of the file back.
//
// # Format
//
// An age v1 file with one recipient: X25519, made from the key that Create returned
// (AGE-SECRET-KEY-…), or scrypt, made from a passphrase. Inside is JSON:
// {"format":"sallyport-keystore","version":1,"secrets":{"site/name":{"value":base64,
// "created":time,"rotated":time,"previous":base64,"previous_until":time,"next":base64,
// "next_since":time}},"recipients":[…]}. "recipients" is there only while the keystore's key is changed.
//
// # Two values of one name
//
// A rotation goes from one value to another without a moment in which neither counts: Stage
// stores the new value beside the present one, Promote makes it the one that is sent and keeps
// the old one until a time, Finish or that time ends it. Read is always the one that is sent;
// Second is the other one that is accepted at present, if there is any.
//
// # Two keys of the keystore
//
// StageKey encrypts the file for the present key and the next one: either opens it, and whoever
// writes it meanwhile keeps it so. FinishKey leaves the next one alone.
package keystore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/secret"
)

// ErrWrongKey is wrapped where the key does not open the keystore.
var ErrWrongKey = errors.New("the key does not open this keystore")

// ErrExists is wrapped where Create finds a file.
var ErrExists = errors.New("there is a keystore already")

// MaxValue is the largest secret in bytes (a PEM bundle fits).
const MaxValue = 64 << 10

const (
	maxSecrets = 10_000
	rootName   = "gate/root-key"
	reserved   = "gate/"
)

// Store is an open keystore. It is safe for concurrent use.
type Store struct {
	path string
	now  func() time.Time
	keys func(ctx context.Context) ([]secret.Value, error) // nil: the key never changes

	mu       sync.Mutex
	key      secret.Value
	seen     fs.FileInfo // the file that was read last
	contents             // what seen held
}

// record is one secret.
type record struct {
	value    secret.Value
	previous secret.Value
	until    time.Time // previous counts before it
	next     secret.Value
	since    time.Time // next was staged then
	created  time.Time
	rotated  time.Time
}

// old is the previous value while it still counts.
func (r record) old(now time.Time) secret.Value {
	if now.Before(r.until) {
		return r.previous
	}
	return secret.Value{}
}

// Entry is what List tells about a secret: no value.
type Entry struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	// Rotated is zero until the first Rotate.
	Rotated time.Time `json:"rotated,omitzero"`
	// Previous tells that the value before the last rotation still counts; it does before PreviousUntil.
	Previous      bool      `json:"previous"`
	PreviousUntil time.Time `json:"previous_until,omitzero"`
	// Next tells that a new value is staged, since NextSince.
	Next      bool      `json:"next"`
	NextSince time.Time `json:"next_since,omitzero"`
}

// Create makes an empty keystore at path and returns the key that opens it. The key
// is not stored anywhere: it goes into SALLYPORT_KEYSTORE_KEY or a file of its own.
func Create(path string) (secret.Value, error) {
	key, err := newKey()
	if err != nil {
		return secret.Value{}, err
	}
	return key, CreateWith(path, key)
}

// CreateWith makes an empty keystore that key opens: an AGE-SECRET-KEY-… or a
// passphrase of at least 16 characters.
func CreateWith(path string, key secret.Value) error {
	if err := checkKey(key); err != nil {
		return err
	}
	unlock, err := lock(context.Background(), path)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("create keystore %s: %w", path, ErrExists)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("create keystore: %w", err)
	}
	return save(path, key, contents{secrets: map[string]record{}})
}

// Open opens the keystore at path with key. A wrong key is an error now, not at the
// first Read.
func Open(path string, key secret.Value) (*Store, error) {
	return OpenAt(path, key, time.Now)
}

// OpenAt is Open with a clock, for the ages that List tells.
func OpenAt(path string, key secret.Value, now func() time.Time) (*Store, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	s := &Store{path: path, key: key, now: now}
	if err := s.first(); err != nil {
		return nil, err
	}
	return s, nil
}

// first reads the file for the first time.
func (s *Store) first() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refresh()
}

// Read finds keystore:site/name. It wraps secret.ErrNotFound where there is none.
func (s *Store) Read(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	r, err := s.find(ctx, ref.Name)
	return r.value, err
}

func (s *Store) find(ctx context.Context, name string) (record, error) {
	if err := ctx.Err(); err != nil {
		return record{}, err
	}
	if err := CheckName(name); err != nil {
		return record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return record{}, err
	}
	r, ok := s.secrets[name]
	if !ok {
		return record{}, fmt.Errorf("keystore: no secret %s: %w", name, secret.ErrNotFound)
	}
	return r, nil
}

// List tells all names, sorted, and their ages.
func (s *Store) List() ([]Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil, err
	}
	list := make([]Entry, 0, len(s.secrets))
	for name, r := range s.secrets {
		list = append(list, r.entry(name, s.now()))
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Set stores a value under a name, in place of whatever is there.
func (s *Store) Set(ctx context.Context, name string, v secret.Value) error {
	if err := checkNew(name, v); err != nil {
		return err
	}
	return s.change(ctx, func(all map[string]record) error {
		all[name] = record{value: v, created: s.now().UTC().Round(0)}
		return nil
	})
}

// Remove deletes a secret and its previous value. It wraps secret.ErrNotFound where
// there is none.
func (s *Store) Remove(ctx context.Context, name string) error {
	if strings.HasPrefix(name, reserved) {
		return errReserved()
	}
	return s.change(ctx, func(all map[string]record) error {
		if _, ok := all[name]; !ok {
			return fmt.Errorf("keystore: no secret %s: %w", name, secret.ErrNotFound)
		}
		delete(all, name)
		return nil
	})
}

// RootKey is the gate's own key, 32 random bytes, from which data keys are derived.
// The first call makes it; however many processes ask, they get the same.
func (s *Store) RootKey(ctx context.Context) (secret.Value, error) {
	v, err := s.Read(ctx, secret.Ref{Scheme: "keystore", Name: rootName})
	if !errors.Is(err, secret.ErrNotFound) {
		return v, err
	}
	err = s.change(ctx, func(all map[string]record) error {
		if r, ok := all[rootName]; ok {
			v = r.value
			return nil
		}
		b := make([]byte, 32)
		defer clear(b)
		if _, err := rand.Read(b); err != nil {
			return fmt.Errorf("make root key: %w", err)
		}
		v = secret.NewValue(b)
		all[rootName] = record{value: v, created: s.now().UTC().Round(0)}
		return nil
	})
	if err != nil {
		return secret.Value{}, err
	}
	return v, nil
}

// change reads the file under the writers' lock, lets edit change a copy, and saves it.
func (s *Store) change(ctx context.Context, edit func(map[string]record) error) error {
	unlock, err := lock(ctx, s.path)
	if err != nil {
		return err
	}
	defer unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return err
	}
	next := make(map[string]record, len(s.secrets)+1)
	for name, r := range s.secrets {
		next[name] = r
	}
	if err := edit(next); err != nil {
		return err
	}
	if len(next) > maxSecrets {
		return fmt.Errorf("keystore: more than %d secrets", maxSecrets)
	}
	if err := save(s.path, s.key, contents{next, s.recipients}); err != nil {
		return err
	}
	s.seen = nil // read back what was written
	return s.refresh()
}

// refresh reads the file if it is another one than the last time. s.mu is held.
// Where that fails nothing is served: an operator who put a new file there did not
// mean the old values.
func (s *Store) refresh() error {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keystore %s does not exist: `sallyport init` or `sallyport secrets set` makes one: %w", s.path, err)
	}
	if err != nil {
		return fmt.Errorf("look at keystore: %w", err)
	}
	if s.seen != nil && os.SameFile(s.seen, info) && s.seen.ModTime().Equal(info.ModTime()) && s.seen.Size() == info.Size() {
		return nil
	}
	return s.reload()
}

func checkNew(name string, v secret.Value) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if strings.HasPrefix(name, reserved) {
		return errReserved()
	}
	switch n := len(v.Expose()); {
	case n == 0:
		return fmt.Errorf("keystore: the value for %s is empty", name)
	case n > MaxValue:
		return fmt.Errorf("keystore: the value for %s has %d bytes; at most %d are kept", name, n, MaxValue)
	}
	return nil
}

func errReserved() error {
	return errors.New("keystore: names below gate/ are the gate's own")
}

// CheckName says whether name is site/name: two parts of 1 to 64 of a-z 0-9 . _ -,
// each beginning with a letter or digit. Its error does not repeat the name: it may
// be a secret that was typed in the wrong place.
func CheckName(name string) error {
	site, rest, ok := strings.Cut(name, "/")
	if !ok || !part(site) || !part(rest) {
		return errors.New("keystore: a name is written site/name, in a-z 0-9 . _ - (for instance shop/stripe-secret-key)")
	}
	return nil
}

func part(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || i > 0 && (c == '.' || c == '_' || c == '-') {
			continue
		}
		return false
	}
	return true
}
