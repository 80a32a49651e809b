package audit

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/tessera/api/layout"

	"sallyport/internal/problem"
)

// fillLog writes n intents with their outcomes, and some events.
func fillLog(t testing.TB, l *Log, n int) {
	t.Helper()
	ctx := context.Background()
	for i := range n {
		id, err := l.Intent(ctx, anIntent(1))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Outcome(ctx, id, Outcome{Result: problem.Performed, Status: 200, Took: 3 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			if err := l.Record(ctx, Event{Kind: KindFrozen, Site: "shop", Actor: "CANARY operator"}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func mustVerify(t testing.TB, dir string, a Anchor) *Report {
	t.Helper()
	r, err := Verify(dir, a)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// closedLog makes a log with several segments, full and partial bundles.
func closedLog(t testing.TB, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "audit")
	o := testOptions()
	o.SegmentBytes = 24 << 10
	l := mustOpen(t, dir, o)
	fillLog(t, l, n)
	waitRetired(t, l)
	mustClose(t, l)
	return dir
}

// waitRetired waits until the log has deleted what it need not keep.
func waitRetired(t testing.TB, l *Log) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		bases, err := segments(l.wal.dir)
		if err != nil {
			t.Fatal(err)
		}
		if bases[0] > 0 && len(bases) <= l.opt.KeepSegments+1 {
			return
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%d segments after 10 s: none was retired", len(bases))
		}
		poke(l.moved)
	}
}

func TestVerifyOfAnUntouchedLog(t *testing.T) {
	dir := closedLog(t, 400)
	r := mustVerify(t, dir, Anchor{})
	if !r.OK() {
		t.Fatalf("faults in an untouched log: %+v", r.Faults)
	}
	if r.Intents != 400 || r.Outcomes != 400 || r.OpenCount != 0 || r.Checkpoint != r.Entries || r.InTree != r.Entries || r.Events < 40 {
		t.Fatalf("unexpected report: %+v", r)
	}
	if r.WALFrom == 0 {
		t.Fatalf("no segment was retired: %+v", r)
	}
}

func TestVerifyBesideARunningGate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	o := testOptions()
	o.SegmentBytes = 8 << 10
	l := mustOpen(t, dir, o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		fillLog(t, l, 400)
	}()
	for rounds := 0; ; rounds++ {
		if r := mustVerify(t, dir, Anchor{}); !r.OK() {
			t.Errorf("round %d: false alarm: %+v", rounds, r.Faults)
		}
		select {
		case <-done:
			mustClose(t, l)
			return
		default:
		}
	}
}

func TestVerifyAgainstAnAnchor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := mustOpen(t, dir, testOptions())
	fillLog(t, l, 50)
	mustClose(t, l)
	old := mustVerify(t, dir, Anchor{})
	older := copyTree(t, dir)

	l = mustOpen(t, dir, testOptions())
	fillLog(t, l, 300)
	mustClose(t, l)
	now := mustVerify(t, dir, Anchor{Checkpoint: []byte(old.Signed), PublicKey: old.PublicKey})
	if !now.OK() {
		t.Fatalf("a log that grew does not continue its own checkpoint: %+v", now.Faults)
	}
	if r := mustVerify(t, older, Anchor{}); !r.OK() {
		t.Fatalf("the older copy is whole in itself: %+v", r.Faults)
	}
	if r := mustVerify(t, older, Anchor{Checkpoint: []byte(now.Signed)}); r.OK() {
		t.Fatal("an older copy was put back and the anchor did not notice")
	}
	other := closedLog(t, 140)
	if r := mustVerify(t, other, Anchor{Checkpoint: []byte(old.Signed)}); r.OK() {
		t.Fatal("a log with another key passed for the anchored one")
	}
	if r := mustVerify(t, other, Anchor{PublicKey: old.PublicKey}); r.OK() {
		t.Fatal("a log made anew passed for the one whose key was given")
	}
}

// TestVerifyFindsEveryMutation changes one thing in a closed log, again and again:
// one bit, a deletion, a truncation, a swap of two pieces, a repetition, an insertion.
func TestVerifyFindsEveryMutation(t *testing.T) {
	dir := closedLog(t, 140)
	files := slices.DeleteFunc(logFiles(t, dir), func(n string) bool { return n == "reserve" }) // only zeros
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d files", seed, len(files))
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range scaled(120, 10_000) {
		name := files[rng.IntN(len(files))]
		path := filepath.Join(dir, name)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		after, what := mutate(rng, before)
		if bytes.Equal(before, after) {
			continue
		}
		if after == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, after, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if r := mustVerify(t, dir, Anchor{}); r.OK() && !harmless(dir, name, after) {
			t.Errorf("mutation %d (%s in %s, seed %d) was not found", i, what, name, seed)
		}
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := mustVerify(t, dir, Anchor{}); !r.OK() {
		t.Fatalf("after putting all back: %+v", r.Faults)
	}
}

// harmless names the only changes without meaning: the reserve and old partial tiles,
// which Tessera itself deletes, may be gone.
func harmless(dir, name string, after []byte) bool {
	if after != nil {
		return false
	}
	if name == "reserve" || name == "lock" || strings.HasSuffix(name, ".lock") || name == "tree/.state/gcState" || name == keyFile || name == "tree/.state/version" {
		return true
	}
	state, err := readTreeState(filepath.Join(dir, "tree"))
	if err != nil || !strings.Contains(name, ".p/") {
		return false
	}
	// The partial tiles of the present size are needed; older ones are not.
	size, needed := state.Size, map[string]bool{}
	needed["tree/"+layout.EntriesPathForLogIndex(size-1, size)] = true
	for level := range uint64(3) {
		index := size >> (8 * (level + 1))
		needed["tree/"+layout.TilePath(level, index, layout.PartialTileSize(level, index, size))] = true
	}
	return !needed[name]
}

func mutate(rng *rand.Rand, b []byte) ([]byte, string) {
	c := bytes.Clone(b)
	if len(c) == 0 {
		return []byte{byte(rng.UintN(256))}, "insertion into an empty file"
	}
	at, n := rng.IntN(len(c)), 1+rng.IntN(64)
	end := min(len(c), at+n)
	switch rng.IntN(7) {
	case 0:
		return nil, "deletion of the file"
	case 1:
		return c[:at], fmt.Sprintf("truncation to %d", at)
	case 2:
		return append(c[:at:at], c[end:]...), fmt.Sprintf("deletion of %d bytes at %d", end-at, at)
	case 3:
		other := rng.IntN(len(c))
		c[at], c[other] = c[other], c[at]
		return c, fmt.Sprintf("swap of bytes %d and %d", at, other)
	case 4:
		return append(append(bytes.Clone(c[:end]), c[at:end]...), c[end:]...), fmt.Sprintf("repetition of %d bytes at %d", end-at, at)
	case 5:
		junk := make([]byte, n)
		for i := range junk {
			junk[i] = byte(rng.UintN(256))
		}
		return append(append(bytes.Clone(c[:at]), junk...), c[at:]...), fmt.Sprintf("insertion of %d bytes at %d", n, at)
	default:
		c[at] ^= 1 << rng.UintN(8)
		return c, fmt.Sprintf("flip at %d", at)
	}
}

func logFiles(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestVerifyFindsSwappedEntriesAndFiles swaps whole units, with checksums made anew
// where the log uses plain ones.
func TestVerifyFindsSwappedEntriesAndFiles(t *testing.T) {
	dir := closedLog(t, 270)
	t.Run("two bundles", func(t *testing.T) {
		c := copyTree(t, dir)
		a, b := filepath.Join(c, "tree/tile/entries/000"), filepath.Join(c, "tree/tile/entries/001")
		swapFiles(t, a, b)
		if mustVerify(t, c, Anchor{}).OK() {
			t.Error("not found")
		}
	})
	t.Run("two entries of the write-ahead log, checksums made anew", func(t *testing.T) {
		c := copyTree(t, dir)
		rewriteSegment(t, c, func(p [][]byte) { p[0], p[1] = p[1], p[0] })
		if mustVerify(t, c, Anchor{}).OK() {
			t.Error("not found")
		}
	})
	t.Run("an entry of the write-ahead log changed, checksums made anew", func(t *testing.T) {
		c := copyTree(t, dir)
		rewriteSegment(t, c, func(p [][]byte) { p[0] = bytes.Replace(p[0], []byte("shop"), []byte("shoq"), 1) })
		if mustVerify(t, c, Anchor{}).OK() {
			t.Error("not found")
		}
	})
	t.Run("the last segment deleted", func(t *testing.T) {
		c := copyTree(t, dir)
		bases, err := segments(filepath.Join(c, "wal"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(segmentName(filepath.Join(c, "wal"), bases[len(bases)-1])); err != nil {
			t.Fatal(err)
		}
		if mustVerify(t, c, Anchor{}).OK() {
			t.Error("not found")
		}
	})
	t.Run("the first segment deleted without saying so", func(t *testing.T) {
		c := copyTree(t, dir)
		bases, err := segments(filepath.Join(c, "wal"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(segmentName(filepath.Join(c, "wal"), bases[0])); err != nil {
			t.Fatal(err)
		}
		if mustVerify(t, c, Anchor{}).OK() {
			t.Error("not found")
		}
	})
}

func swapFiles(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a, y, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b, x, 0o600); err != nil {
		t.Fatal(err)
	}
}

// rewriteSegment lets edit change the payloads of the newest segment, all in one group.
func rewriteSegment(t *testing.T, dir string, edit func([][]byte)) {
	t.Helper()
	wal := filepath.Join(dir, "wal")
	bases, err := segments(wal)
	if err != nil {
		t.Fatal(err)
	}
	base := bases[len(bases)-1]
	raw, err := os.ReadFile(segmentName(wal, base))
	if err != nil {
		t.Fatal(err)
	}
	var payloads [][]byte
	for _, e := range entriesOf(t, raw) {
		p, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		payloads = append(payloads, p)
	}
	edit(payloads)
	out := raw[:segmentHeader:segmentHeader]
	for i := 0; i < len(payloads); i += maxGroup {
		out = appendGroup(out, base+ID(i), payloads[i:min(len(payloads), i+maxGroup)])
	}
	if err := os.WriteFile(segmentName(wal, base), out, 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyTree(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"", "wal", "tree"} {
		if err := os.Chmod(filepath.Join(to, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(to, keyFile), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}
