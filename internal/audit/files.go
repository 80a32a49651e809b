package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// files is the part of a file system that the log changes; tests put a failing one
// in its place. Reading is not part of it.
type files interface {
	Create(name string) (file, error) // new, for writing, 0600
	Append(name string) (file, error) // existing, for writing at its end
	Rename(from, to string) error
	Remove(name string) error
	SyncDir(dir string) error
}

// file is an open file of the log. Write is at the end.
type file interface {
	Write(b []byte) (int, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// osFiles is the real thing.
type osFiles struct{}

func (osFiles) Create(name string) (file, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osFiles) Append(name string) (file, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osFiles) Rename(from, to string) error { return os.Rename(from, to) }
func (osFiles) Remove(name string) error     { return os.Remove(name) }

func (osFiles) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// noSpace reports the errors after which waiting for space makes sense.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// writeWhole puts b into a new file under name: other content is never visible there.
func writeWhole(fsys files, name string, b []byte) error {
	temporary := name + ".new"
	f, err := fsys.Create(temporary)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fsys.Remove(temporary))
	}
	if err := fsys.Rename(temporary, name); err != nil {
		return errors.Join(err, fsys.Remove(temporary))
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// lockDir makes sure that one process writes the log. The lock ends with the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open audit lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("the audit log in %s is in use by another process", dir)
		}
		return nil, fmt.Errorf("lock audit log: %w", err)
	}
	return f, nil
}

func makeDirs(dirs ...string) error {
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("make audit directory: %w", err)
		}
		info, err := os.Stat(d)
		if err != nil {
			return fmt.Errorf("look at audit directory: %w", err)
		}
		if info.Mode().Perm()&0o022 != 0 {
			return fmt.Errorf("audit directory %s can be written by others (mode %04o): chmod 700 it", d, info.Mode().Perm())
		}
	}
	return nil
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
