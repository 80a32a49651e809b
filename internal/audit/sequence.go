package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// sequenceLoop moves durable entries into the Merkle log, in order, once each: the
// tree's own size says which entry is next.
func (l *Log) sequenceLoop() {
	r := &reader{dir: l.wal.dir}
	defer r.close()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case <-l.moved:
		case <-minute.C:
			l.closeStale()
		case <-l.stopTree:
			l.drain(r)
			return
		}
		pause := l.opt.SequenceEvery
		if !l.sequence(r) {
			pause = max(pause, time.Second)
			poke(l.moved) // try again
		}
		l.retire()
		select {
		case <-time.After(pause):
		case <-l.stopTree:
			l.drain(r)
			return
		}
	}
}

// drain gives the tree its last chance, for closePatience at most.
func (l *Log) drain(r *reader) {
	for begun := time.Now(); !l.sequence(r) && time.Since(begun) < closePatience; {
		time.Sleep(100 * time.Millisecond)
	}
}

// sequence moves all that is durable now; false means that it has to be tried again.
func (l *Log) sequence(r *reader) bool {
	for {
		l.mu.Lock()
		from, to := l.inTree, l.durable
		l.mu.Unlock()
		if from >= to {
			l.treeFault(nil)
			return true
		}
		payloads, err := r.read(from, to)
		if err == nil {
			err = l.tree.Add(from, payloads)
		}
		reached := from + ID(len(payloads))
		if err != nil {
			r.close()
			size, sizeErr := l.tree.Size()
			if sizeErr != nil {
				size = from
			}
			reached = max(from, min(size, to))
		}
		l.mu.Lock()
		l.inTree = reached
		l.mu.Unlock()
		if err != nil {
			l.treeFault(err)
			return false
		}
	}
}

func (l *Log) treeFault(err error) {
	l.mu.Lock()
	changed := (l.treeErr == nil) != (err == nil)
	l.treeErr = err
	l.mu.Unlock()
	switch {
	case changed && err != nil:
		l.opt.Logger.Error("audit entries cannot go into the Merkle log; trying again every second", "error", err)
	case changed:
		l.opt.Logger.Info("audit entries go into the Merkle log again")
	}
}

// retire deletes finished segments that the signed checkpoint covers and that no
// open intent is in, after saying so in the log itself.
func (l *Log) retire() {
	bases, err := segments(l.wal.dir)
	if err != nil || len(bases) <= l.opt.KeepSegments+1 {
		return
	}
	published, err := l.tree.Published()
	if err != nil {
		return
	}
	l.mu.Lock()
	for id := range l.open {
		published = min(published, id)
	}
	l.mu.Unlock()
	keep := len(bases) - 1 - l.opt.KeepSegments // the first segment that must stay
	for keep > 0 && bases[keep] > published {
		keep--
	}
	if keep == 0 {
		return
	}
	to := bases[keep]
	if err := l.say(&Entry{Kind: KindWALRetired, To: &to}); err != nil {
		return
	}
	for _, base := range bases[:keep] {
		if err := l.opt.files.Remove(segmentName(l.wal.dir, base)); err != nil && !missing(err) {
			l.opt.Logger.Error("delete audit segment", "segment", uint64(base), "error", err)
			return
		}
	}
	if err := l.opt.files.SyncDir(l.wal.dir); err != nil {
		l.opt.Logger.Error("delete audit segments", "error", err)
	}
}

// say writes an entry of the log about itself and waits until it is durable.
func (l *Log) say(e *Entry) error {
	g, _, err := l.enqueue(e)
	if err != nil {
		return err
	}
	select {
	case <-g.done:
		return g.err
	case <-l.stopTree:
		return errors.New("the audit log is closing")
	}
}

var errNoEntry = errors.New("no segment has it")

// reader reads durable payloads in order. It keeps its place between calls.
type reader struct {
	dir  string
	f    *os.File
	off  int64
	next ID // the first entry of the group at off
}

// read returns the payloads from entry from on: what is left of its group, and more
// groups up to a bundle boundary, but none from entry to on.
func (r *reader) read(from, to ID) ([][]byte, error) {
	end := min(to, (from/treeBatch+1)*treeBatch)
	var payloads [][]byte
	for at := from; at < end; {
		group, err := r.group(at)
		if err != nil {
			return nil, err
		}
		if excess := len(group) - int(end-at); excess > 0 {
			group = group[:len(group)-excess]
		}
		payloads = append(payloads, group...)
		at += ID(len(group))
	}
	return payloads, nil
}

// group returns the payloads of the group that entry at is in, from there on.
func (r *reader) group(at ID) ([][]byte, error) {
	if r.f == nil || r.next > at {
		if err := r.seek(at); err != nil {
			return nil, err
		}
	}
	for {
		first, payloads, next, err := readGroup(r.f, r.off)
		if errors.Is(err, io.EOF) {
			if err := r.seek(at); err != nil {
				return nil, err
			}
			first, payloads, next, err = r.skip(at)
		}
		if err != nil {
			return nil, fmt.Errorf("read audit entry %d: %w", at, err)
		}
		if end := first + ID(len(payloads)); at < end {
			if at < first {
				return nil, fmt.Errorf("audit entry %d: %w", at, errNoEntry)
			}
			r.next = first // stay: the next call may want the rest of this group
			return payloads[at-first:], nil
		}
		r.off, r.next = next, first+ID(len(payloads))
	}
}

// skip walks the groups of a newly opened segment up to the one that entry at is in.
func (r *reader) skip(at ID) (first ID, payloads [][]byte, next int64, err error) {
	for {
		first, payloads, next, err = readGroup(r.f, r.off)
		if errors.Is(err, io.EOF) {
			err = errNoEntry
		}
		if err != nil || at < first+ID(len(payloads)) {
			return first, payloads, next, err
		}
		r.off, r.next = next, first+ID(len(payloads))
	}
}

// seek opens the segment that entry at is in.
func (r *reader) seek(at ID) error {
	r.close()
	bases, err := segments(r.dir)
	if err != nil {
		return err
	}
	i, found := slices.BinarySearch(bases, at)
	if !found {
		i--
	}
	if i < 0 {
		return fmt.Errorf("audit entry %d: %w", at, errNoEntry)
	}
	f, err := openSegment(r.dir, bases[i])
	if err != nil {
		return err
	}
	r.f, r.off, r.next = f, segmentHeader, bases[i]
	return nil
}

func (r *reader) close() {
	if r.f != nil {
		_ = r.f.Close()
		r.f = nil
	}
}
