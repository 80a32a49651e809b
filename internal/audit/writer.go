package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// writer appends groups to the newest segment. Only the committer uses it.
type writer struct {
	dir     string // DIR/wal
	reserve string // DIR/reserve
	files   files
	now     func() time.Time
	limit   int64 // of a segment
	spare   int64 // size of the reserve; negative: none

	f    file
	base ID
	size int64 // the end of the last durable group
	has  bool  // the reserve exists
}

// append makes one group durable. On an error of the write the file is as before.
func (w *writer) append(first ID, payloads [][]byte) error {
	if w.size >= w.limit {
		if err := w.rotate(first); err != nil {
			return err
		}
	}
	b := appendGroup(nil, first, payloads)
	if _, err := w.f.Write(b); err != nil {
		if cut := w.f.Truncate(w.size); cut != nil {
			// The bytes are in an unknown state, so space does not help any more.
			return fmt.Errorf("cut a half-written group: %v (after: %v)", cut, err)
		}
		return err
	}
	if err := w.f.Sync(); err != nil {
		return fmt.Errorf("sync audit segment %d: %v", w.base, err)
	}
	w.size += int64(len(b))
	return nil
}

// rotate begins the segment whose first entry is base. Where that cannot be done
// (no space, no file descriptor), the old segment stays in use and the next group
// tries again; it is an error only if the new file may still be there.
func (w *writer) rotate(base ID) error {
	f, err := w.begin(base)
	if err != nil {
		name := segmentName(w.dir, base)
		if gone := w.files.Remove(name); gone != nil && !missing(gone) {
			return fmt.Errorf("begin audit segment %d: %v (and remove it: %v)", base, err, gone)
		}
		return nil
	}
	old := w.f
	w.f, w.base, w.size = f, base, segmentHeader
	return old.Close()
}

// begin makes an empty segment.
func (w *writer) begin(base ID) (file, error) {
	name := segmentName(w.dir, base)
	if err := writeWhole(w.files, name, encodeSegmentHeader(base, w.now())); err != nil {
		return nil, fmt.Errorf("begin audit segment %d: %w", base, err)
	}
	f, err := w.files.Append(name)
	if err != nil {
		return nil, fmt.Errorf("open audit segment %d: %w", base, err)
	}
	return f, nil
}

func (w *writer) close() error {
	if w == nil || w.f == nil {
		return nil
	}
	err := w.f.Close()
	w.f = nil
	return err
}

// makeReserve writes the reserve file, block by block, so that the space is real.
func (w *writer) makeReserve() error {
	if w.spare < 0 || w.has {
		return nil
	}
	if info, err := os.Stat(w.reserve); err == nil && info.Size() == w.spare {
		w.has = true
		return nil
	}
	f, err := w.files.Create(w.reserve)
	if err != nil {
		return fmt.Errorf("make audit reserve: %w", err)
	}
	err = fill(f, w.spare)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("make audit reserve: %w", err), w.files.Remove(w.reserve))
	}
	w.has = true
	return nil
}

func fill(f file, size int64) error {
	block := make([]byte, 256<<10)
	for size > 0 {
		n, err := f.Write(block[:min(size, int64(len(block)))])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return f.Sync()
}

// releaseReserve gives the reserve's space up; false means that there was none.
func (w *writer) releaseReserve() bool {
	if !w.has {
		return false
	}
	w.has = false
	return errors.Join(w.files.Remove(w.reserve), w.files.SyncDir(filepath.Dir(w.reserve))) == nil
}
