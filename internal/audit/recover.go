package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sallyport/internal/problem"
)

// recovery is what a scan of the write-ahead log found.
type recovery struct {
	bases   []ID
	next    ID    // after the last readable entry
	end     int64 // of the last readable group, in the last segment
	cut     int64 // bytes of an unfinished group after it
	open    map[ID]opened
	events  []*Entry
	treeHas ID
}

// recover reads what is on disk and gets the writer ready. Nothing runs yet.
func (l *Log) recover() error {
	walDir := filepath.Join(l.dir, "wal")
	l.wal = &writer{dir: walDir, reserve: filepath.Join(l.dir, "reserve"), files: l.opt.files,
		now: l.opt.Now, limit: l.opt.SegmentBytes, spare: l.opt.ReserveBytes}
	if err := l.removeUnfinished(walDir); err != nil {
		return err
	}
	size, err := l.tree.Size()
	if err != nil {
		return err
	}
	r := &recovery{treeHas: size, open: map[ID]opened{}}
	if err := r.scan(walDir, l.opt.files); err != nil {
		return err
	}
	if err := l.resume(r); err != nil {
		return err
	}
	l.next, l.durable, l.inTree = r.next, r.next, size
	for id, o := range r.open {
		of := id
		l.open[of] = o
	}
	if err := l.wal.makeReserve(); err != nil {
		if !noSpace(err) {
			return err
		}
		l.full = true
	}
	l.queue = nil
	for _, e := range r.events {
		if _, _, err := l.enqueue(e); err != nil {
			return err
		}
	}
	return nil
}

// removeUnfinished deletes files that a crash left between creation and rename.
func (l *Log) removeUnfinished(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list audit segments: %w", err)
	}
	for _, item := range list {
		if strings.HasSuffix(item.Name(), ".wal.new") {
			if err := l.opt.files.Remove(filepath.Join(dir, item.Name())); err != nil {
				return fmt.Errorf("remove unfinished audit segment: %w", err)
			}
		}
	}
	return nil
}

// scan reads all segments. Damage anywhere but in the last group is an error.
func (r *recovery) scan(dir string, fsys files) error {
	bases, err := segments(dir)
	if err != nil {
		return err
	}
	for i, base := range bases {
		if i > 0 && base < r.next {
			// A segment that was begun and given up: it is empty, or something is wrong.
			info, err := os.Stat(segmentName(dir, base))
			if err != nil || info.Size() != segmentHeader {
				return damaged(base, segmentHeader, errors.New("its first entry is in the segment before it"))
			}
			if err := fsys.Remove(segmentName(dir, base)); err != nil {
				return fmt.Errorf("remove empty audit segment %d: %w", base, err)
			}
			continue
		}
		if i > 0 && base > r.next && base > r.treeHas {
			return damaged(base, 0, fmt.Errorf("entries %d to %d are missing before it", r.next, base-1))
		}
		r.next = base
		r.bases = append(r.bases, base)
		if err := r.scanSegment(dir, base, i == len(bases)-1); err != nil {
			return err
		}
	}
	return nil
}

func (r *recovery) scanSegment(dir string, base ID, last bool) error {
	f, err := openSegment(dir, base)
	if err != nil {
		return err
	}
	defer f.Close()
	r.end = segmentHeader
	for {
		first, payloads, next, err := readGroup(f, r.end)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && first != r.next {
			err = fmt.Errorf("entry %d stands where %d should", first, r.next)
			return damaged(base, r.end, err)
		}
		if err != nil {
			if !errors.Is(err, errShort) && !errors.Is(err, errBad) {
				return fmt.Errorf("read audit segment %d: %w", base, err)
			}
			cut, torn := tornTail(f, r.end, r.next)
			if !last || !torn {
				return damaged(base, r.end, err)
			}
			r.cut = cut
			return nil
		}
		if err := r.note(payloads); err != nil {
			return damaged(base, r.end, err)
		}
		r.end = next
	}
}

// note follows intents and outcomes.
func (r *recovery) note(payloads [][]byte) error {
	for _, p := range payloads {
		e, err := decode(p)
		if err != nil {
			return err
		}
		if e.Seq != r.next {
			return fmt.Errorf("entry %d stands where %d should", e.Seq, r.next)
		}
		r.next++
		switch {
		case e.Kind == KindIntent:
			r.open[e.Seq] = opened{site: e.Site, at: e.Time}
		case e.Kind == KindOutcome && e.Intent != nil:
			delete(r.open, *e.Intent)
		}
	}
	return nil
}

func damaged(base ID, at int64, err error) error {
	return fmt.Errorf("audit segment %d is damaged at byte %d (%w): see `sallyport audit verify`; to go on, move the audit directory aside and a new log begins", base, at, err)
}

// tornTail decides whether what stands at off can be the last group, half written:
// nothing may follow it, because a group is only written after the one before it
// is durable. It returns how many bytes that is.
func tornTail(f *os.File, off int64, next ID) (int64, bool) {
	info, err := f.Stat()
	if err != nil {
		return 0, false
	}
	rest := info.Size() - off
	if rest > groupHeader+maxBody {
		return 0, false
	}
	b := make([]byte, rest)
	if n, err := f.ReadAt(b, off); n < len(b) {
		_ = err // the file shrank while it was read: somebody else is at work
		return 0, false
	}
	if h, err := parseGroupHeader(b); err == nil && int64(groupHeader+h.body) < rest {
		return 0, false
	}
	for i := 1; i+groupHeader <= len(b); i++ {
		if binary.BigEndian.Uint32(b[i:]) != groupMagic {
			continue
		}
		if h, err := parseGroupHeader(b[i:]); err == nil && h.first > next {
			return 0, false
		}
	}
	return rest, true
}

// resume opens the segment to write to, cuts an unfinished group, and prepares the
// events that say so.
func (l *Log) resume(r *recovery) error {
	if r.cut > 0 {
		if err := l.cut(r); err != nil {
			return err
		}
	}
	switch {
	case r.treeHas > r.next || len(r.bases) == 0:
		// The tree holds entries that the write-ahead log does not: go on after them.
		if r.treeHas > 0 {
			if err := r.learnFromTree(filepath.Join(l.dir, "tree")); err != nil {
				return err
			}
		}
		f, err := l.wal.begin(r.next)
		if err != nil {
			return err
		}
		l.wal.f, l.wal.base, l.wal.size = f, r.next, segmentHeader
	default:
		base := r.bases[len(r.bases)-1]
		f, err := l.wal.files.Append(segmentName(l.wal.dir, base))
		if err != nil {
			return fmt.Errorf("open audit segment %d: %w", base, err)
		}
		l.wal.f, l.wal.base, l.wal.size = f, base, r.end
	}
	return nil
}

func (l *Log) cut(r *recovery) error {
	base := r.bases[len(r.bases)-1]
	f, err := l.opt.files.Append(segmentName(l.wal.dir, base))
	if err != nil {
		return fmt.Errorf("cut unfinished audit group: %w", err)
	}
	err = f.Truncate(r.end)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cut unfinished audit group: %w", err)
	}
	l.opt.Logger.Warn("cut an unfinished group from the audit log", "segment", uint64(base), "bytes", r.cut)
	if r.treeHas <= r.next {
		from := r.next
		r.events = append(r.events, &Entry{Kind: KindWALTorn, From: &from, Count: r.cut})
	}
	return nil
}

// learnFromTree reads the entries that only the tree has, so that their intents are
// not closed twice.
func (r *recovery) learnFromTree(dir string) error {
	from := r.next
	if len(r.bases) == 0 {
		from = 0
	}
	r.next = from
	err := leaves(dir, from, r.treeHas, func(payloads [][]byte) error { return r.note(payloads) })
	if err != nil {
		return fmt.Errorf("read the Merkle log from entry %d: %w", from, err)
	}
	to := r.treeHas
	r.events = append(r.events, &Entry{Kind: KindWALDamaged, From: &from, To: &to, Count: r.cut})
	return nil
}

// settle closes the orphans of an earlier process and waits until that is durable.
func (l *Log) settle() error {
	l.mu.Lock()
	var last *group
	if n := len(l.queue); n > 0 {
		last = l.queue[n-1]
	}
	orphans := len(l.open)
	for id := range l.open {
		if err := l.concludeLocked(id, &Entry{Outcome: string(problem.Unknown), Reason: "recovered"}); err != nil {
			l.mu.Unlock()
			return err
		}
		last = l.queue[len(l.queue)-1]
	}
	full := l.full
	l.mu.Unlock()
	if orphans > 0 {
		l.opt.Logger.Warn("closed audit intents without an outcome as unknown", "count", orphans)
	}
	if last == nil || full {
		return nil
	}
	<-last.done
	return last.err
}
