package keystore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"filippo.io/age"

	"sallyport/internal/secret"
)

const (
	formatName    = "sallyport-keystore"
	formatVersion = 1
	maxFile       = 64 << 20
	minPassphrase = 16

	// workFactor is log2 of scrypt's N: about 0.1 s, because a passphrase is also
	// used at every start. A generated key needs none of this.
	workFactor    = 15
	maxWorkFactor = 18
)

var keyPrefix = []byte("AGE-SECRET-KEY-1")

// document is the plaintext of the file.
type document struct {
	Format  string            `json:"format"`
	Version int               `json:"version"`
	Secrets map[string]stored `json:"secrets"`
	// Recipients are set while the keystore's key is changed: the file is encrypted for each.
	Recipients []string `json:"recipients,omitempty"`
}

// contents are what a keystore holds.
type contents struct {
	secrets map[string]record
	// recipients are those that every writer encrypts for, the newest last; none: the writer's own key.
	recipients []string
}

type stored struct {
	Value    []byte    `json:"value"`
	Previous []byte    `json:"previous,omitempty"`
	Until    time.Time `json:"previous_until,omitzero"`
	Next     []byte    `json:"next,omitempty"`
	Since    time.Time `json:"next_since,omitzero"`
	Created  time.Time `json:"created"`
	Rotated  time.Time `json:"rotated,omitzero"`
}

func newKey() (secret.Value, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return secret.Value{}, fmt.Errorf("make keystore key: %w", err)
	}
	return secret.NewValue([]byte(identity.String())), nil
}

// checkKey refuses keys that could not be meant.
func checkKey(key secret.Value) error {
	b := bytes.TrimSpace(key.Expose())
	switch {
	case len(b) == 0:
		return errors.New("the keystore's key is empty: set SALLYPORT_KEYSTORE_KEY, or SALLYPORT_KEYSTORE_KEY_FILE")
	case bytes.HasPrefix(bytes.ToUpper(b), keyPrefix):
		if _, err := age.ParseX25519Identity(string(b)); err != nil {
			// The parser's error can repeat what it read.
			return errors.New("the keystore's key begins with AGE-SECRET-KEY-1 but is not a whole key: was it cut when it was copied?")
		}
	case len(b) < minPassphrase:
		return fmt.Errorf("the keystore's passphrase has %d characters; use at least %d, or the key that `sallyport init` makes", len(b), minPassphrase)
	}
	return nil
}

// recipient and identity are made for each use and not kept: they print their secret.
func recipient(key secret.Value) (age.Recipient, error) {
	b := bytes.TrimSpace(key.Expose())
	if bytes.HasPrefix(b, keyPrefix) {
		id, err := age.ParseX25519Identity(string(b))
		if err != nil {
			return nil, errors.New("the keystore's key is not a whole AGE-SECRET-KEY-1")
		}
		return id.Recipient(), nil
	}
	r, err := age.NewScryptRecipient(string(b))
	if err != nil {
		return nil, errors.New("the keystore's passphrase cannot be used")
	}
	r.SetWorkFactor(workFactor)
	return r, nil
}

func identity(key secret.Value) (age.Identity, error) {
	b := bytes.TrimSpace(key.Expose())
	if bytes.HasPrefix(b, keyPrefix) {
		id, err := age.ParseX25519Identity(string(b))
		if err != nil {
			return nil, errors.New("the keystore's key is not a whole AGE-SECRET-KEY-1")
		}
		return id, nil
	}
	id, err := age.NewScryptIdentity(string(b))
	if err != nil {
		return nil, errors.New("the keystore's passphrase cannot be used")
	}
	id.SetMaxWorkFactor(maxWorkFactor)
	return id, nil
}

// readers are who the file is encrypted for: the recipients that it names, or key alone.
func (c contents) readers(key secret.Value) ([]age.Recipient, error) {
	if len(c.recipients) == 0 {
		r, err := recipient(key)
		return []age.Recipient{r}, err
	}
	var out []age.Recipient
	for _, text := range c.recipients {
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, errors.New("the keystore names a key that it cannot be encrypted for")
		}
		out = append(out, r)
	}
	return out, nil
}

// load decrypts the file at path. The FileInfo is that of the file that was read.
func load(path string, key secret.Value) (fs.FileInfo, contents, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, contents{}, fmt.Errorf("open keystore: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, contents{}, fmt.Errorf("look at keystore: %w", err)
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, contents{}, fmt.Errorf("keystore %s is not a regular file (%s)", path, info.Mode().Type())
	case info.Mode().Perm()&0o077 != 0:
		return nil, contents{}, fmt.Errorf("keystore %s can be used by others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	case info.Size() > maxFile:
		return nil, contents{}, fmt.Errorf("keystore %s has %d bytes; at most %d are read", path, info.Size(), maxFile)
	}
	plain, err := decrypt(f, path, key)
	if err != nil {
		return nil, contents{}, err
	}
	defer clear(plain)
	all, err := parse(plain)
	if err != nil {
		return nil, contents{}, fmt.Errorf("read keystore %s: %w", path, err)
	}
	return info, all, nil
}

func decrypt(f io.Reader, path string, key secret.Value) ([]byte, error) {
	id, err := identity(key)
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(io.LimitReader(f, maxFile), id)
	if err != nil {
		var mismatch *age.NoIdentityMatchError
		if errors.As(err, &mismatch) {
			return nil, fmt.Errorf("open keystore %s: %w: it was made with another one", path, ErrWrongKey)
		}
		return nil, fmt.Errorf("open keystore %s: it is damaged, or not a keystore", path)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		clear(plain)
		return nil, fmt.Errorf("open keystore %s: it is damaged or was cut short", path)
	}
	return plain, nil
}

// parse reads the plaintext. Its errors say nothing of what is in it.
func parse(plain []byte) (contents, error) {
	var doc document
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil || doc.Format != formatName {
		return contents{}, errors.New("it opens, but holds something else than a keystore of this version")
	}
	if doc.Version != formatVersion {
		return contents{}, fmt.Errorf("its format is version %d; this binary reads version %d", doc.Version, formatVersion)
	}
	all := make(map[string]record, len(doc.Secrets))
	for name, s := range doc.Secrets {
		if CheckName(name) != nil || len(s.Value) == 0 {
			return contents{}, errors.New("it holds an entry without a proper name or value")
		}
		all[name] = record{value: secret.NewValue(s.Value), previous: secret.NewValue(s.Previous), until: s.Until,
			next: secret.NewValue(s.Next), since: s.Since, created: s.Created, rotated: s.Rotated}
		clear(s.Value)
		clear(s.Previous)
		clear(s.Next)
	}
	return contents{all, doc.Recipients}, nil
}

// save encrypts all and puts it in the place of the file at path.
func save(path string, key secret.Value, all contents) error {
	doc := document{Format: formatName, Version: formatVersion, Secrets: make(map[string]stored, len(all.secrets)), Recipients: all.recipients}
	for name, r := range all.secrets {
		doc.Secrets[name] = stored{Value: r.value.Expose(), Previous: r.previous.Expose(), Until: r.until,
			Next: r.next.Expose(), Since: r.since, Created: r.created, Rotated: r.rotated}
	}
	plain, err := json.Marshal(doc)
	if err != nil {
		return errors.New("save keystore: it could not be encoded")
	}
	defer clear(plain)
	to, err := all.readers(key)
	if err != nil {
		return err
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, to...)
	if err != nil {
		return fmt.Errorf("encrypt keystore: %w", err)
	}
	if _, err = w.Write(plain); err == nil {
		err = w.Close()
	}
	if err != nil {
		return fmt.Errorf("encrypt keystore: %w", err)
	}
	return replace(path, sealed.Bytes())
}

// replace writes a new file next to path and renames it, so that path always is one
// whole keystore, also after a power failure.
func replace(path string, b []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return fmt.Errorf("write keystore: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write keystore: %w", err)
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write keystore: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync keystore's directory: %w", err)
	}
	if err = errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync keystore's directory: %w", err)
	}
	return nil
}

// lock waits, at most 10 s, until no other writer is at work. The lock ends with the
// process, so a crash leaves nothing behind but an empty file.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock keystore: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			_ = f.Close()
			return nil, fmt.Errorf("lock keystore: %w", err)
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("lock keystore %s: another process is writing it: %w", path, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
