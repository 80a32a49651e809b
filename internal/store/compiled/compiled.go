// Package compiled keeps compiled contracts in a folder, from one start to the next.
//
// It guarantees that what Load gives is byte for byte what Store was given under that key: an
// entry that is damaged, cut short, of another format, or that others than its owner could have
// written, is left aside with a line in the log, and is as good as none. Entries are written
// whole or not at all, readable by their owner only, and bounded: what was not used longest goes
// first. Nothing that it does fails a start: without it, contracts are compiled.
//
// It does not know what a compiled contract is, or when one is out of date: a key names a source
// and a version of the engine, and other keys are other entries.
package compiled

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// The bounds of a folder.
const (
	maxEntry   = 64 << 20  // bytes of one entry
	maxTotal   = 256 << 20 // bytes of all
	maxEntries = 64
	maxTemp    = time.Hour // age at which an unfinished file is one that nobody will finish
)

// magic begins every file; the SHA-256 of the rest follows it, then the entry.
const magic = "sallyport compiled 1\n"

// keys are the names of entries: a SHA-256 in hex.
var keys = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Folder is a cache of compiled contracts. It may be used from many goroutines, and many
// processes may use one folder.
type Folder struct {
	dir string
	log *slog.Logger
	mu  sync.Mutex // of sweeping
}

// New is the cache in a folder, which is made when there is something to keep. A nil log says nothing.
func New(dir string, log *slog.Logger) *Folder {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Folder{dir: dir, log: log}
}

// Load gives what was stored under a key.
func (f *Folder) Load(key string) ([]byte, bool) {
	if !keys.MatchString(key) {
		return nil, false
	}
	path := filepath.Join(f.dir, key)
	data, err := f.read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false
	case err != nil:
		f.log.Warn("a compiled contract is left aside and made again", "name", key, "error", err)
		return nil, false
	}
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		f.log.Debug("a compiled contract cannot be marked as used", "name", key, "error", err)
	}
	return data, true
}

func (f *Folder) read(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case info.Mode().Perm()&0o022 != 0 || !ownFile(info):
		return nil, errors.New("others than the owner of this process could have written it")
	case info.Size() > maxEntry:
		return nil, errors.New("it is larger than any entry")
	}
	data, err := io.ReadAll(io.LimitReader(file, maxEntry+1))
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok || len(rest) < sha256.Size {
		return nil, errors.New("it is not in the format of this version")
	}
	entry := rest[sha256.Size:]
	if sum := sha256.Sum256(entry); !bytes.Equal(sum[:], rest[:sha256.Size]) {
		return nil, errors.New("it is damaged")
	}
	return entry, nil
}

// Store keeps data under a key, if it can.
func (f *Folder) Store(key string, data []byte) {
	if !keys.MatchString(key) || len(data)+len(magic)+sha256.Size > maxEntry {
		f.log.Debug("a compiled contract is too large to be kept", "name", key)
		return
	}
	if err := f.write(filepath.Join(f.dir, key), data); err != nil {
		f.log.Warn("a compiled contract cannot be kept; it is made again at the next start", "name", key, "error", err)
		return
	}
	f.sweep()
}

func (f *Folder) write(path string, data []byte) (err error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(f.dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	sum := sha256.Sum256(data)
	for _, part := range [][]byte{[]byte(magic), sum[:], data} {
		if _, err := temp.Write(part); err != nil {
			return errors.Join(err, temp.Close())
		}
	}
	if err := errors.Join(temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// sweep removes what is too much, what was not used longest first, and what was never finished.
func (f *Folder) sweep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	entries, err := f.list()
	if err != nil {
		f.log.Debug("the compiled contracts cannot be listed", "error", err)
		return
	}
	slices.SortFunc(entries, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	total := int64(0)
	for i, e := range entries {
		if total += e.Size(); i > 0 && (total > maxTotal || i >= maxEntries) {
			if err := os.Remove(filepath.Join(f.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				f.log.Debug("an old compiled contract cannot be removed", "name", e.Name(), "error", err)
			}
		}
	}
}

// list gives the entries, and removes unfinished files of processes that ended.
func (f *Folder) list() ([]fs.FileInfo, error) {
	all, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("list compiled contracts: %w", err)
	}
	var entries []fs.FileInfo
	for _, e := range all {
		info, err := e.Info()
		switch {
		case err != nil: // removed meanwhile
		case keys.MatchString(e.Name()) && info.Mode().IsRegular():
			entries = append(entries, info)
		case strings.HasPrefix(e.Name(), ".new-") && time.Since(info.ModTime()) > maxTemp:
			if err := os.Remove(filepath.Join(f.dir, e.Name())); err != nil {
				f.log.Debug("an unfinished file cannot be removed", "name", e.Name(), "error", err)
			}
		}
	}
	return entries, nil
}
