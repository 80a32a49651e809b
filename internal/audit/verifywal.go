package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// walContent is what the write-ahead log holds.
type walContent struct {
	found    bool
	from, to ID
	gaps     []span
	sums     map[ID][32]byte // of payloads that the tree should have
	tail     [][]byte        // payloads that it has not yet
	tailFrom ID
}

// readWAL reads the write-ahead log once. All segments are opened first, so that a
// running gate may retire them meanwhile.
func (v *verifier) readWAL() {
	v.wal.sums = map[ID][32]byte{}
	dir := filepath.Join(v.dir, "wal")
	v.checkNames(dir)
	bases, open, err := openAll(dir)
	defer func() {
		for _, f := range open {
			_ = f.Close()
		}
	}()
	if err != nil {
		v.fault("wal", "%v", err)
	}
	for i, f := range open {
		base := bases[i]
		switch {
		case i == 0:
			v.wal.from, v.wal.to, v.wal.found = base, base, true
			v.report.WALFrom = base
		case base > v.wal.to:
			v.wal.gaps = append(v.wal.gaps, span{v.wal.to, base})
		case base < v.wal.to:
			info, err := f.Stat()
			if err != nil || info.Size() != segmentHeader {
				v.fault(walName(base), "begins at entry %d, which the segment before it has", base)
			}
			continue
		}
		v.wal.to = base
		v.readSegment(f, base, i == len(open)-1)
	}
}

func walName(base ID) string { return fmt.Sprintf("wal/%020d.wal", uint64(base)) }

// openAll opens all segments; one that is retired between listing and opening makes
// it begin again.
func openAll(dir string) (bases []ID, open []*os.File, err error) {
	for range 5 {
		if bases, err = segments(dir); err != nil {
			return nil, nil, err
		}
		open = open[:0]
		for _, base := range bases {
			f, e := openSegment(dir, base)
			if e != nil {
				err = e
				break
			}
			open = append(open, f)
		}
		if !missing(err) {
			return bases, open, err
		}
		for _, f := range open {
			_ = f.Close()
		}
	}
	return nil, nil, err
}

func (v *verifier) readSegment(f *os.File, base ID, last bool) {
	for off := int64(segmentHeader); ; {
		first, payloads, next, err := readGroup(f, off)
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			if _, torn := tornTail(f, off, v.wal.to); torn && last && uint64(v.wal.to) >= v.state.Size {
				v.note("%s ends in an unfinished group: the gate is writing, or crashed while it did", walName(base))
				return
			}
			v.fault(walName(base), "is damaged at byte %d: %v", off, err)
			return
		case first != v.wal.to:
			v.fault(walName(base), "has entry %d where %d should be, at byte %d", first, v.wal.to, off)
			return
		}
		for _, p := range payloads {
			v.take(p)
		}
		off = next
	}
}

func (v *verifier) take(p []byte) {
	id := v.wal.to
	v.wal.to++
	if uint64(id) < v.state.Size {
		v.wal.sums[id] = sha256.Sum256(p)
		return
	}
	if len(v.wal.tail) == 0 {
		v.wal.tailFrom = id
	}
	v.wal.tail = append(v.wal.tail, p)
}

// followTail follows the entries that are not in the tree yet.
func (v *verifier) followTail() {
	if len(v.wal.tail) > 0 && v.wal.tailFrom != v.next {
		v.fault("wal", "continues at entry %d, but the Merkle log ends before %d", v.wal.tailFrom, v.next)
		v.next = v.wal.tailFrom
	}
	for _, p := range v.wal.tail {
		v.follow(fmt.Sprintf("entry %d (write-ahead log)", v.next), p)
	}
}

// compare checks one entry of the tree against the write-ahead log.
func (v *verifier) compare(id ID, payload []byte) {
	sum, ok := v.wal.sums[id]
	if ok && sum != sha256.Sum256(payload) {
		v.fault(fmt.Sprintf("entry %d", id), "is another one in the write-ahead log than in the Merkle log")
	}
}

// checkWAL judges, after all events are known, what is missing.
func (v *verifier) checkWAL() {
	if !v.wal.found {
		v.fault("wal", "has no segment")
		return
	}
	start := span{v.wal.from, v.wal.from}
	if v.wal.from > v.retired && !v.admittedStart(start) {
		v.fault("wal", "begins at entry %d, but only segments before %d were retired", v.wal.from, v.retired)
	}
	for _, gap := range v.wal.gaps {
		if !v.admitted(gap) {
			v.fault("wal", "entries %d to %d are missing", gap.from, gap.to-1)
		}
	}
	if uint64(v.wal.to) < v.state.Size {
		v.fault("wal", "ends before entry %d, but the Merkle log has %d: it was cut", v.wal.to, v.state.Size)
	}
}

// admittedStart: a whole write-ahead log was lost and a new one began after the tree.
func (v *verifier) admittedStart(s span) bool {
	for _, l := range v.lost {
		if l.to == s.from {
			return true
		}
	}
	return false
}

func (v *verifier) checkNames(dir string) {
	list, err := os.ReadDir(dir)
	if err != nil {
		v.fault("wal", "cannot be read: %v", err)
		return
	}
	for _, item := range list {
		switch {
		case strings.HasSuffix(item.Name(), ".wal.new"):
			v.note("wal/%s was left by a crash", item.Name())
		case !strings.HasSuffix(item.Name(), ".wal") || !item.Type().IsRegular():
			v.fault("wal/"+item.Name(), "is no file of the log")
		}
	}
}
