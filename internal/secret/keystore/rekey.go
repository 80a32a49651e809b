package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"filippo.io/age"

	"sallyport/internal/secret"
)

// ErrPassphrase is wrapped where a passphrase should open a keystore beside another key: age
// encrypts for one passphrase or for several keys.
var ErrPassphrase = errors.New("a passphrase cannot open a keystore beside another key")

// ErrOldKey is wrapped where somebody would end the change of the keystore's key with the old one.
var ErrOldKey = errors.New("this is the keystore's old key")

// NewKey makes a key that a keystore can be encrypted for.
func NewKey() (secret.Value, error) { return newKey() }

// Rekeys sets what reads the keystore's key again: it is asked when the file does not open with
// the one that is known, because somebody changed it. It is set before the first use.
func (s *Store) Rekeys(f func(ctx context.Context) ([]secret.Value, error)) { s.keys = f }

// StageKey encrypts the keystore for the present key and for next: either opens it from then on.
// A key that was staged before and never finished opens it no more. It wraps ErrPassphrase where
// one of the two is a passphrase.
func (s *Store) StageKey(ctx context.Context, next secret.Value) error {
	to, err := publicKey(next)
	if err != nil {
		return err
	}
	return s.rewrite(ctx, func(c *contents) error {
		own, err := publicKey(s.key)
		if err != nil {
			return err
		}
		if own == to {
			return errors.New("keystore: the next key is the present one")
		}
		c.recipients = []string{own, to}
		return nil
	})
}

// FinishKey ends what StageKey began: the key that this Store was opened with is the only one
// that opens the keystore. It wraps ErrNotStaged where there is one key only, and ErrOldKey where
// that key is not the newest.
func (s *Store) FinishKey(ctx context.Context) error {
	return s.rewrite(ctx, func(c *contents) error {
		if len(c.recipients) == 0 {
			return fmt.Errorf("keystore: %w", ErrNotStaged)
		}
		own, err := publicKey(s.key)
		if err != nil {
			return err
		}
		if own != c.recipients[len(c.recipients)-1] {
			return fmt.Errorf("keystore: %w", ErrOldKey)
		}
		c.recipients = nil
		return nil
	})
}

// KeyStaged reports whether two keys open the keystore at present, and whether this Store holds
// the newer one.
func (s *Store) KeyStaged() (staged, newest bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return false, false, err
	}
	if len(s.recipients) == 0 {
		return false, false, nil
	}
	own, err := publicKey(s.key)
	return true, err == nil && own == s.recipients[len(s.recipients)-1], err
}

// Rekey encrypts the whole keystore for another key alone. The file is the old one or the new one
// at every moment; whoever has only the old key opens it no more.
func (s *Store) Rekey(ctx context.Context, key secret.Value) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return s.rewrite(ctx, func(c *contents) error {
		c.recipients, s.key = nil, key
		return nil
	})
}

// rewrite encrypts the same secrets anew after edit has changed for whom.
func (s *Store) rewrite(ctx context.Context, edit func(*contents) error) error {
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
	next, before := s.contents, s.key
	if err := edit(&next); err != nil {
		return err
	}
	if err := save(s.path, s.key, next); err != nil {
		s.key = before
		return err
	}
	s.seen = nil // read back what was written
	return s.refresh()
}

// reload reads the file with the key that is known, or with those that are given now. s.mu is held.
func (s *Store) reload() error {
	info, all, err := load(s.path, s.key)
	if !errors.Is(err, ErrWrongKey) || s.keys == nil {
		if err == nil {
			s.seen, s.contents = info, all
		}
		return err
	}
	keys, err2 := s.keys(context.Background())
	if err2 != nil {
		return errors.Join(err, err2)
	}
	for _, key := range keys {
		if checkKey(key) != nil {
			continue
		}
		if info, all, err2 := load(s.path, key); err2 == nil {
			s.key, s.seen, s.contents = key, info, all
			return nil
		}
	}
	return err
}

// publicKey is the half of a key that may be known: age1…
func publicKey(key secret.Value) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	b := bytes.TrimSpace(key.Expose())
	if !bytes.HasPrefix(bytes.ToUpper(b), keyPrefix) {
		return "", fmt.Errorf("keystore: %w", ErrPassphrase)
	}
	id, err := age.ParseX25519Identity(string(b))
	if err != nil {
		return "", errors.New("the keystore's key is not a whole AGE-SECRET-KEY-1")
	}
	return id.Recipient().String(), nil
}
