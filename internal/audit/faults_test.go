package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/problem"
)

// faulty is a file layer whose n-th operation fails, once or from then on.
type faulty struct {
	osFiles

	mu     sync.Mutex
	count  int
	failAt int // 0: never
	sticky bool
	err    error
	torn   bool   // a failing write leaves half of its bytes
	only   string // "" or write, sync, rename, create, append, remove, truncate, syncdir
	hit    string
}

func (f *faulty) step(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.only != "" && f.only != op {
		return nil
	}
	f.count++
	if f.failAt > 0 && (f.count == f.failAt || f.sticky && f.count > f.failAt) {
		f.hit = op
		return f.err
	}
	return nil
}

func (f *faulty) set(failAt int, only string, sticky bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count, f.failAt, f.only, f.sticky, f.err, f.hit = 0, failAt, only, sticky, err, ""
}

func (f *faulty) Create(name string) (file, error) {
	if err := f.step("create"); err != nil {
		return nil, err
	}
	g, err := f.osFiles.Create(name)
	return &faultyFile{file: g, of: f}, err
}

func (f *faulty) Append(name string) (file, error) {
	if err := f.step("append"); err != nil {
		return nil, err
	}
	g, err := f.osFiles.Append(name)
	return &faultyFile{file: g, of: f}, err
}

func (f *faulty) Rename(from, to string) error {
	if err := f.step("rename"); err != nil {
		return err
	}
	return f.osFiles.Rename(from, to)
}

func (f *faulty) Remove(name string) error {
	if err := f.step("remove"); err != nil {
		return err
	}
	return f.osFiles.Remove(name)
}

func (f *faulty) SyncDir(dir string) error {
	if err := f.step("syncdir"); err != nil {
		return err
	}
	return f.osFiles.SyncDir(dir)
}

type faultyFile struct {
	file
	of *faulty
}

func (g *faultyFile) Write(b []byte) (int, error) {
	if err := g.of.step("write"); err != nil {
		if g.of.torn {
			n, _ := g.file.Write(b[:len(b)/2])
			return n, err
		}
		return 0, err
	}
	return g.file.Write(b)
}

func (g *faultyFile) Sync() error {
	if err := g.of.step("sync"); err != nil {
		return err
	}
	return g.file.Sync()
}

func (g *faultyFile) Truncate(size int64) error {
	if err := g.of.step("truncate"); err != nil {
		return err
	}
	return g.file.Truncate(size)
}

// memoryTree is a Merkle log that only counts, for tests of the other half.
type memoryTree struct {
	mu   sync.Mutex
	size ID
	err  error
}

func (m *memoryTree) Size() (ID, error)      { m.mu.Lock(); defer m.mu.Unlock(); return m.size, nil }
func (m *memoryTree) Published() (ID, error) { return m.Size() }
func (m *memoryTree) Close() error           { return nil }
func (m *memoryTree) Add(first ID, p [][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	if first != m.size {
		return fmt.Errorf("entry %d added at %d", first, m.size)
	}
	m.size += ID(len(p))
	return nil
}

func faultyOptions(f *faulty, m *memoryTree) Options {
	o := testOptions()
	o.SegmentBytes = 2 << 10
	o.files = f
	o.openTree = func(string, signingKey, time.Duration) (tree, error) { return m, nil }
	return o
}

func code(err error) problem.Code {
	var p *problem.Error
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

const attempts = 7

// workload makes attempts one after the other, and returns the acknowledged ones.
func workload(l *Log) []ID {
	var acked []ID
	for range attempts {
		id, err := l.Intent(context.Background(), anIntent(1))
		if err != nil {
			continue
		}
		acked = append(acked, id)
		_ = l.Outcome(context.Background(), id, Outcome{Result: problem.Performed})
	}
	return acked
}

// TestEveryIOError fails the n-th operation of the file layer, for each n until a run
// sees none: whatever was acknowledged is in the log afterwards, and it opens again.
func TestEveryIOError(t *testing.T) {
	for _, kind := range []struct {
		name string
		err  error
		torn bool
	}{{"EIO", syscall.EIO, false}, {"EIO torn", syscall.EIO, true}, {"ENOSPC", syscall.ENOSPC, true}} {
		t.Run(kind.name, func(t *testing.T) {
			for n, clean := 1, false; !clean; n++ {
				if n > 2000 {
					t.Fatal("there is no end to the operations")
				}
				clean = oneIOError(t, n, kind.err, kind.torn)
			}
		})
	}
}

func oneIOError(t *testing.T, n int, inject error, torn bool) (clean bool) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "audit")
	m, f := &memoryTree{}, &faulty{torn: torn}
	f.set(n, "", false, inject)
	o := faultyOptions(f, m)
	o.ReserveBytes = 8 << 10
	var acked []ID
	l, err := Open(dir, o)
	if err == nil {
		acked = workload(l)
		_ = l.Close()
	}
	clean = f.hit == ""
	hit := f.hit
	f.set(0, "", false, nil)
	l, err = Open(dir, o)
	if err != nil {
		t.Fatalf("operation %d (%s) failed; the next start: %v", n, hit, err)
	}
	more := workload(l)
	if len(more) != attempts {
		t.Fatalf("operation %d (%s) failed; after a restart only %d of %d intents are taken", n, hit, len(more), attempts)
	}
	mustClose(t, l)
	got := intentsInWAL(t, dir)
	for _, id := range append(acked, more...) {
		if !got[id] && id >= firstInWAL(t, dir) {
			t.Fatalf("operation %d (%s) failed; acknowledged intent %d is not in the log", n, hit, id)
		}
	}
	return clean
}

func firstInWAL(t *testing.T, dir string) ID {
	t.Helper()
	bases, err := segments(filepath.Join(dir, "wal"))
	if err != nil || len(bases) == 0 {
		t.Fatal(bases, err)
	}
	return bases[0]
}

func intentsInWAL(t *testing.T, dir string) map[ID]bool {
	t.Helper()
	got := map[ID]bool{}
	err := tail(filepath.Join(dir, "wal"), firstInWAL(t, dir), func(p [][]byte) error {
		for _, b := range p {
			e, err := decode(b)
			if err != nil {
				return err
			}
			if e.Kind == KindIntent {
				got[e.Seq] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAFailedSyncIsFinal(t *testing.T) {
	f := &faulty{}
	l := mustOpen(t, filepath.Join(t.TempDir(), "audit"), faultyOptions(f, &memoryTree{}))
	defer l.Close()
	if _, err := l.Intent(context.Background(), anIntent(1)); err != nil {
		t.Fatal(err)
	}
	f.set(1, "sync", false, syscall.EIO) // the second sync would succeed
	if _, err := l.Intent(context.Background(), anIntent(1)); code(err) != problem.AuditUnavailable {
		t.Fatalf("intent whose sync failed: %v", err)
	}
	for range 3 {
		if _, err := l.Intent(context.Background(), anIntent(1)); code(err) != problem.AuditUnavailable {
			t.Fatalf("intent after a failed sync: %v", err)
		}
	}
	if err := l.Record(context.Background(), Event{Kind: KindThawed}); code(err) != problem.AuditUnavailable {
		t.Fatalf("event after a failed sync: %v", err)
	}
	if l.Err() == nil {
		t.Fatal("a poisoned log says that it is ready")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count != 1 {
		t.Fatalf("%d syncs: after a failed one there must be no other", f.count)
	}
}

func TestFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	f := &faulty{torn: true}
	o := faultyOptions(f, &memoryTree{})
	o.SegmentBytes = 1 << 20
	o.Wait = 300 * time.Millisecond
	l := mustOpen(t, dir, o)
	id, err := l.Intent(context.Background(), anIntent(1))
	if err != nil {
		t.Fatal(err)
	}
	f.set(1, "write", false, syscall.ENOSPC) // giving the reserve up makes space for this one
	if err := l.Outcome(context.Background(), id, Outcome{Result: problem.Performed}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the outcome", func() bool { return l.Status().Durable == id+2 })
	f.set(1, "create", true, syscall.ENOSPC) // the reserve cannot be made again
	time.Sleep(2 * retrySpace)
	// The first retry may have come before the fault was set; fill the disk for good.
	f.set(1, "write", true, syscall.ENOSPC)
	before := l.Status().Next
	for begun := time.Now(); time.Since(begun) < time.Second; {
		if _, err := l.Intent(context.Background(), anIntent(1)); code(err) != problem.AuditUnavailable {
			t.Fatalf("intent on a full disk: %v", err)
		}
	}
	if l.Err() == nil {
		t.Fatal("a log on a full disk says that it is ready")
	}
	f.set(0, "", false, nil)
	waitFor(t, "readiness after there is space", func() bool { return l.Err() == nil })
	if _, err := l.Intent(context.Background(), anIntent(1)); err != nil {
		t.Fatalf("intent after there is space again: %v", err)
	}
	t.Logf("%d entries while the disk was full", l.Status().Next-before)
	mustClose(t, l)
	l = mustOpen(t, dir, o)
	mustClose(t, l)
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 5*time.Second {
			t.Fatalf("%s: not within 5 s", what)
		}
	}
}

// slowTree and slowFiles block, for the bound on waiting.
type slowFiles struct {
	osFiles
	gate chan struct{}
}

type slowFile struct {
	file
	gate chan struct{}
}

func (s *slowFiles) Append(name string) (file, error) {
	f, err := s.osFiles.Append(name)
	return &slowFile{f, s.gate}, err
}

func (s *slowFile) Sync() error { <-s.gate; return s.file.Sync() }

func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "audit")
		s := &slowFiles{gate: make(chan struct{})}
		o := testOptions()
		o.files = s
		o.openTree = func(string, signingKey, time.Duration) (tree, error) { return &memoryTree{}, nil }
		l := mustOpen(t, dir, o)
		begun := time.Now()
		_, err := l.Intent(context.Background(), anIntent(1))
		if took := time.Since(begun); code(err) != problem.AuditUnavailable || took != 2*time.Second {
			t.Errorf("with a disk that hangs: %v after %s; want %s after 2s", err, took, problem.AuditUnavailable)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		begun = time.Now()
		_, err = l.Intent(ctx, anIntent(1))
		if took := time.Since(begun); code(err) != problem.AuditUnavailable || took != 50*time.Millisecond {
			t.Errorf("with a caller that gives up: %v after %s", err, took)
		}
		close(s.gate)
		mustClose(t, l)
		entries := 0
		err = tail(filepath.Join(dir, "wal"), 0, func(p [][]byte) error {
			for _, b := range p {
				e, err := decode(b)
				if err != nil {
					return err
				}
				entries++
				if e.Kind == KindOutcome && (e.Outcome != "not_sent" || e.Reason != "abandoned") {
					t.Errorf("an abandoned intent was closed as %s (%s)", e.Outcome, e.Reason)
				}
			}
			return nil
		})
		if err != nil || entries != 4 {
			t.Errorf("%d entries, %v; want 2 intents and 2 outcomes", entries, err)
		}
	})
}

// TestTornTail cuts and garbles the last group at each byte: it is dropped and told;
// the same to a group before the last is damage, and the log does not open.
func TestTornTail(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	o := faultyOptions(&faulty{}, &memoryTree{})
	o.SegmentBytes = 1 << 20
	l := mustOpen(t, dir, o)
	fillLog(t, l, 3)
	mustClose(t, l)
	name := segmentName(filepath.Join(dir, "wal"), 0)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	last, before := lastGroups(t, name)
	reopen := func(content []byte) ([]Entry, error) {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		o.openTree = func(string, signingKey, time.Duration) (tree, error) { return &memoryTree{}, nil }
		l, err := Open(dir, o)
		if err != nil {
			return nil, err
		}
		mustClose(t, l)
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return entriesOf(t, raw), nil
	}
	for cut := last + 1; cut < int64(len(whole)); cut += 3 {
		all, err := reopen(whole[:cut])
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
		}
		if !has(all, KindWALTorn) {
			t.Fatalf("cut at %d: the log does not tell", cut)
		}
	}
	for at := last; at < int64(len(whole)); at += 7 {
		garbled := append([]byte{}, whole...)
		garbled[at] ^= 0x10
		all, err := reopen(garbled)
		if err != nil || !has(all, KindWALTorn) {
			t.Fatalf("last group garbled at %d: %v", at, err)
		}
	}
	for at := before; at < last; at += 7 {
		garbled := append([]byte{}, whole...)
		garbled[at] ^= 0x10
		if _, err := reopen(garbled); err == nil {
			t.Fatalf("the group before the last is damaged at %d, and the log opened as if it were a torn tail", at)
		}
	}
}

func has(all []Entry, k Kind) bool {
	for _, e := range all {
		if e.Kind == k {
			return true
		}
	}
	return false
}

func lastGroups(t *testing.T, name string) (last, before int64) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for off := int64(segmentHeader); ; {
		_, _, next, err := readGroup(f, off)
		if err != nil {
			return last, before
		}
		last, before, off = off, last, next
	}
}

func TestATreeThatFailsIsTriedAgain(t *testing.T) {
	m := &memoryTree{err: errors.New("disk on fire")}
	o := faultyOptions(&faulty{}, m)
	o.MaxBacklog = 50
	l := mustOpen(t, filepath.Join(t.TempDir(), "audit"), o)
	defer l.Close()
	taken := 0
	for range 100 {
		id, err := l.Intent(context.Background(), anIntent(1))
		if err != nil {
			if code(err) != problem.AuditUnavailable {
				t.Fatal(err)
			}
			break
		}
		taken++
		_ = l.Outcome(context.Background(), id, Outcome{})
	}
	if taken < 20 || taken > 60 {
		t.Fatalf("%d intents were taken while the Merkle log failed; the backlog is limited to 50 entries", taken)
	}
	waitFor(t, "the fault in Status", func() bool { return l.Status().Tree != nil })
	m.mu.Lock()
	m.err = nil
	m.mu.Unlock()
	waitFor(t, "the Merkle log to catch up", func() bool { s := l.Status(); return s.InTree == s.Durable && s.Tree == nil })
	if _, err := l.Intent(context.Background(), anIntent(1)); err != nil {
		t.Fatal(err)
	}
}
