package audit

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/secret"
)

var testKey = secret.NewValue([]byte("0123456789abcdef0123456789abcdef"))

func testOptions() Options {
	return Options{
		Key:             func(string) (secret.Value, error) { return testKey, nil },
		ReserveBytes:    64 << 10,
		SequenceEvery:   5 * time.Millisecond,
		CheckpointEvery: 100 * time.Millisecond,
	}
}

func anIntent(n int) Intent {
	return Intent{Request: "req-1", Site: "shop", Connection: "payments", Provider: "stripe",
		Operation: "create-payment-intent", Mode: "mock", Caller: "browser", Effects: []string{"money"},
		Attempt: n, Visit: "CANARY-visit", Client: netip.MustParseAddr("203.0.113.77"), IdempotencyKey: "CANARY key with spaces"}
}

func mustOpen(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestIntentIsOnDiskWhenItReturns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := mustOpen(t, dir, testOptions())
	defer l.Close()
	for i := range 20 {
		id, err := l.Intent(context.Background(), anIntent(1))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(segmentName(filepath.Join(dir, "wal"), 0))
		if err != nil {
			t.Fatal(err)
		}
		got := entriesOf(t, raw)
		last := got[len(got)-1]
		if last.Seq != id || last.Kind != KindIntent {
			t.Fatalf("round %d: after Intent returned %d, the last entry on disk is %d (%s)", i, id, last.Seq, last.Kind)
		}
		if err := l.Outcome(context.Background(), id, Outcome{Result: problem.Performed, Status: 200, Took: time.Second}); err != nil {
			t.Fatal(err)
		}
	}
}

// entriesOf reads all entries of a segment's bytes.
func entriesOf(t testing.TB, raw []byte) []Entry {
	t.Helper()
	name := filepath.Join(t.TempDir(), "segment")
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []Entry
	for off := int64(segmentHeader); ; {
		_, payloads, next, err := readGroup(f, off)
		if err != nil {
			return all
		}
		for _, p := range payloads {
			e, err := decode(p)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
		off = next
	}
}

// TestRecordAllKeepsOrder: lines of one call are on disk when it returns, in their order, though
// they are more than one group takes; what cannot be recorded is an error.
func TestRecordAllKeepsOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := mustOpen(t, dir, testOptions())
	lines := make([]Event, 2*maxGroup+7)
	for i := range lines {
		lines[i] = Event{Kind: KindEventReceived, Site: "shop", Connection: "pay", Caller: "provider", Name: fmt.Sprintf("event%d", i)}
	}
	if err := l.RecordAll(t.Context(), lines); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(segmentName(filepath.Join(dir, "wal"), 0))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entriesOf(t, raw) {
		if e.Kind == KindEventReceived {
			names = append(names, e.Name)
		}
	}
	if len(names) != len(lines) {
		t.Fatalf("%d of %d lines are on disk", len(names), len(lines))
	}
	for i, name := range names {
		if name != lines[i].Name {
			t.Fatalf("line %d is %q", i, name)
		}
	}
	if err := l.RecordAll(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := l.RecordAll(t.Context(), []Event{lines[0], {Kind: "nonsense"}}); err == nil {
		t.Error("an unknown kind was recorded")
	}
	mustClose(t, l)
	mustVerify(t, dir, Anchor{})
	if err := l.RecordAll(t.Context(), lines); err == nil {
		t.Error("a closed log took lines")
	}
}
