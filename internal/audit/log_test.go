package audit

import (
	"context"
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
