package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/secret"
)

func TestManyCallersShareAGroup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := mustOpen(t, dir, testOptions())
	var all sync.WaitGroup
	seen := make(chan ID, 8*50)
	for range 8 {
		all.Go(func() {
			for n := range 50 {
				id, err := l.Intent(context.Background(), anIntent(1))
				if err != nil {
					t.Error(err)
					return
				}
				seen <- id
				if n%2 == 0 {
					_ = l.Record(context.Background(), Event{Kind: KindRefused, Site: "shop", Code: problem.RateLimited})
				}
				if err := l.Outcome(context.Background(), id, Outcome{Result: problem.NotPerformed, Code: problem.ProviderRefused}); err != nil {
					t.Error(err)
				}
				_, _ = l.Err(), l.Status()
			}
		})
	}
	all.Wait()
	close(seen)
	ids := map[ID]bool{}
	for id := range seen {
		if ids[id] {
			t.Fatalf("number %d was given twice", id)
		}
		ids[id] = true
	}
	mustClose(t, l)
	if r := mustVerify(t, dir, Anchor{}); !r.OK() || r.Intents != 400 || r.Outcomes != 400 {
		t.Fatalf("%+v", r)
	}
}

// TestCanary searches all files of the log for what must never be in them.
func TestCanary(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	var logged bytes.Buffer
	o := testOptions()
	o.Logger = slog.New(slog.NewJSONHandler(&logged, nil))
	o.Key = func(string) (secret.Value, error) { return secret.NewValue([]byte("CANARY key of keyed hashes")), nil }
	l := mustOpen(t, dir, o)
	fillLog(t, l, 20)
	if _, err := l.Intent(context.Background(), Intent{Site: "CANARY@example.com", Attempt: 1}); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Fatalf("an address as a site: %v", err)
	}
	mustClose(t, l)
	canaries := [][]byte{[]byte("CANARY"), []byte("203.0.113"), []byte(hex.EncodeToString([]byte("CANARY"))),
		[]byte(base64.StdEncoding.EncodeToString([]byte("CANARY"))), []byte("key with spaces")}
	for _, name := range logFiles(t, dir) {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range canaries {
			if bytes.Contains(raw, c) {
				t.Errorf("%s holds %q", name, c)
			}
		}
	}
	if bytes.Contains(logged.Bytes(), []byte("CANARY")) {
		t.Error("the log of the log holds a canary")
	}
	found := 0
	want := Pseudonym(secret.NewValue([]byte("CANARY key of keyed hashes")), "visit", "CANARY-visit")
	if err := Show(dir, Filter{Visit: want, Kind: KindIntent}, func(Entry) error { found++; return nil }); err != nil {
		t.Fatal(err)
	}
	if found != 20 {
		t.Errorf("with the key, %d of 20 entries of the visit are found", found)
	}
}

func TestFieldsAreTokens(t *testing.T) {
	l := mustOpen(t, filepath.Join(t.TempDir(), "audit"), testOptions())
	defer l.Close()
	for _, bad := range []string{"a b", "a@b", "a\nb", "é", "a?b", "a=b", "+491701234567", strings.Repeat("x", 129), "\x00", "a\u2028"} {
		for name, in := range map[string]Intent{
			"request": {Request: bad, Attempt: 1}, "site": {Site: bad, Attempt: 1}, "operation": {Operation: bad, Attempt: 1},
			"effects": {Effects: []string{bad}, Attempt: 1}, "config": {Config: bad, Attempt: 1},
		} {
			if _, err := l.Intent(context.Background(), in); err == nil || strings.Contains(err.Error(), bad) {
				t.Errorf("%s %q: %v", name, bad, err)
			}
		}
		if err := l.Record(context.Background(), Event{Kind: KindFrozen, Name: bad}); err == nil {
			t.Errorf("event name %q was taken", bad)
		}
	}
	if _, err := l.Intent(context.Background(), Intent{}); err == nil {
		t.Error("an intent without an attempt's number was taken")
	}
	for _, k := range []Kind{"", "made-up", KindIntent, KindOutcome, KindWALRetired} {
		if err := l.Record(context.Background(), Event{Kind: k}); err == nil {
			t.Errorf("Record took kind %q", k)
		}
	}
}

func TestOutcomesBelongToIntents(t *testing.T) {
	l := mustOpen(t, filepath.Join(t.TempDir(), "audit"), testOptions())
	defer l.Close()
	ctx := context.Background()
	id, err := l.Intent(ctx, anIntent(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Outcome(ctx, id+7, Outcome{}); err == nil {
		t.Error("an outcome of nothing was taken")
	}
	if err := l.Outcome(ctx, id, Outcome{Result: "maybe"}); err == nil {
		t.Error("an outcome that does not exist was taken")
	}
	if err := l.Outcome(ctx, id, Outcome{}); err != nil {
		t.Error(err)
	}
	if err := l.Outcome(ctx, id, Outcome{}); err == nil {
		t.Error("a second outcome was taken")
	}
}

func TestOpenIntentsAreClosedAsUnknown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := mustOpen(t, dir, testOptions())
	for range 3 {
		if _, err := l.Intent(context.Background(), anIntent(1)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)
	mustClose(t, l) // again, without harm
	if _, err := l.Intent(context.Background(), anIntent(1)); code(err) != problem.AuditUnavailable {
		t.Errorf("intent after Close: %v", err)
	}
	unknown := 0
	err := Show(dir, Filter{Outcome: problem.Unknown}, func(e Entry) error { unknown++; return nil })
	if err != nil || unknown != 3 {
		t.Fatalf("%d closed as unknown, %v", unknown, err)
	}
}

func TestStaleIntentsExpire(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	o := testOptions()
	o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	l := mustOpen(t, filepath.Join(t.TempDir(), "audit"), o)
	defer l.Close()
	id, err := l.Intent(context.Background(), anIntent(1))
	if err != nil {
		t.Fatal(err)
	}
	l.closeStale()
	if l.Status().OpenIntents != 1 {
		t.Fatal("an intent in flight was closed")
	}
	mu.Lock()
	now = now.Add(maxAge + time.Second)
	mu.Unlock()
	l.closeStale()
	if l.Status().OpenIntents != 0 || l.Outcome(context.Background(), id, Outcome{}) == nil {
		t.Fatal("an intent of a quarter of an hour ago is still open")
	}
}

func TestRefusalsAreThinnedAndCounted(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	o := testOptions()
	o.Now = func() time.Time { return now }
	dir := filepath.Join(t.TempDir(), "audit")
	l := mustOpen(t, dir, o)
	ctx := context.Background()
	for range 1000 {
		for _, caller := range []string{"", "browser"} { // nobody's crowd out nobody else's
			if err := l.Record(ctx, Event{Kind: KindRefused, Site: "shop", Caller: caller}); err != nil {
				t.Fatal(err)
			}
		}
	}
	now = now.Add(time.Second)
	for _, caller := range []string{"", "browser"} {
		if err := l.Record(ctx, Event{Kind: KindRefused, Site: "shop", Caller: caller}); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)
	written, counted := 0, int64(0)
	err := Show(dir, Filter{Kind: KindRefused}, func(e Entry) error { written++; counted += e.Count; return nil })
	if err != nil || written != 201+21 || counted != 800+980 {
		t.Fatalf("%d written, %d counted, %v; want 201 and 21, 800 and 980", written, counted, err)
	}
}

// TestTheTreeIsAheadOfTheLog loses the end of the write-ahead log, or all of it, after
// the tree has it: nothing is lost, the log goes on behind the tree and tells.
func TestTheTreeIsAheadOfTheLog(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, wal string){
		"the last group cut": func(t *testing.T, wal string) {
			last, _ := lastGroups(t, segmentName(wal, 0))
			if err := os.Truncate(segmentName(wal, 0), last+5); err != nil {
				t.Fatal(err)
			}
		},
		"three groups gone": func(t *testing.T, wal string) {
			if err := os.Truncate(segmentName(wal, 0), segmentHeader+2); err != nil {
				t.Fatal(err)
			}
		},
		"all segments gone": func(t *testing.T, wal string) {
			if err := os.Remove(segmentName(wal, 0)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "audit")
			l := mustOpen(t, dir, testOptions())
			fillLog(t, l, 10)
			mustClose(t, l)
			before := mustVerify(t, dir, Anchor{})
			damage(t, filepath.Join(dir, "wal"))
			if mustVerify(t, dir, Anchor{}).OK() {
				t.Fatal("verify did not find it")
			}
			l = mustOpen(t, dir, testOptions())
			fillLog(t, l, 2)
			mustClose(t, l)
			r := mustVerify(t, dir, Anchor{Checkpoint: []byte(before.Signed)})
			if !r.OK() || len(r.Notes) < 2 || r.Intents != 12 || r.Outcomes != 12 {
				t.Fatalf("after recovery: %+v", r)
			}
		})
	}
}

func TestRetentionKeepsWhatRecoveryNeeds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	o := testOptions()
	o.SegmentBytes = 4 << 10
	l := mustOpen(t, dir, o)
	defer l.Close()
	fillLog(t, l, 5)
	held, err := l.Intent(context.Background(), anIntent(1))
	if err != nil {
		t.Fatal(err)
	}
	fillLog(t, l, 60)
	waitFor(t, "the checkpoint", func() bool { n, _ := l.tree.Published(); return n >= l.Status().Durable })
	poke(l.moved)
	time.Sleep(100 * time.Millisecond)
	bases, err := segments(l.wal.dir)
	if err != nil {
		t.Fatal(err)
	}
	if bases[0] > held {
		t.Fatalf("the segment of open intent %d was deleted; the log begins at %d", held, bases[0])
	}
	if err := l.Outcome(context.Background(), held, Outcome{}); err != nil {
		t.Fatal(err)
	}
	waitRetired(t, l)
}

func TestOneWriterAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := mustOpen(t, dir, testOptions())
	if _, err := Open(dir, testOptions()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second Open: %v", err)
	}
	mustClose(t, l)
	mustClose(t, mustOpen(t, dir, testOptions()))
}

func TestKeysAndDirectoriesAreGuarded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	mustClose(t, mustOpen(t, dir, testOptions()))
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("signing key: %v %v", info.Mode(), err)
	}
	refuse := func(what string, change, back func() error) {
		t.Helper()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if l, err := Open(dir, testOptions()); err == nil {
			_ = l.Close()
			t.Errorf("%s: opened", what)
		}
		if err := back(); err != nil {
			t.Fatal(err)
		}
	}
	key := filepath.Join(dir, keyFile)
	refuse("key readable by others", func() error { return os.Chmod(key, 0o644) }, func() error { return os.Chmod(key, 0o600) })
	refuse("key gone", func() error { return os.Rename(key, key+"x") }, func() error { return os.Rename(key+"x", key) })
	refuse("directory writable by others", func() error { return os.Chmod(dir, 0o777) }, func() error { return os.Chmod(dir, 0o700) })
	if _, err := Open(dir, Options{}); err == nil {
		t.Error("opened without keys for keyed hashes")
	}
	o := testOptions()
	o.Key = func(string) (secret.Value, error) { return secret.Value{}, errors.New("CANARY store down") }
	l := mustOpen(t, dir, o)
	defer l.Close()
	if _, err := l.Intent(context.Background(), anIntent(1)); code(err) != problem.AuditUnavailable {
		t.Errorf("intent without a key for its hashes: %v", err)
	}
}

func TestPrefix(t *testing.T) {
	for addr, want := range map[string]string{
		"203.0.113.77": "203.0.113.0/24", "::ffff:203.0.113.77": "203.0.113.0/24",
		"2001:db8:1:2ff:3::4": "2001:db8:1:200::/56", "fe80::1%eth0": "fe80::/56",
	} {
		if got, ok := Prefix(netip.MustParseAddr(addr)); !ok || got.String() != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
	if _, ok := Prefix(netip.Addr{}); ok {
		t.Error("no address has a prefix")
	}
}

// TestPseudonym holds the hash to a value computed with another program:
// printf 'visit\0v1' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
func TestPseudonym(t *testing.T) {
	if got := Pseudonym(testKey, "visit", "v1"); got != "3c5a5a15879b8396fe4a7f1f8a83bf9d" {
		t.Errorf("%s", got)
	}
}

func TestShowFilterAndForms(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := mustOpen(t, dir, testOptions())
	fillLog(t, l, 12)
	if err := l.Record(context.Background(), Event{Kind: KindSecretSet, Name: "keystore:shop/stripe", Actor: "ann"}); err != nil {
		t.Fatal(err)
	}
	count := func(f Filter) (n int) {
		t.Helper()
		if err := Show(dir, f, func(Entry) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	live := count(Filter{}) // some of it is still in the write-ahead log only
	mustClose(t, l)
	if closed := count(Filter{}); live != closed || closed != 27 {
		t.Errorf("%d entries beside the running log, %d after; want 27", live, closed)
	}
	for _, c := range []struct {
		name string
		f    Filter
		want int
	}{
		{"intents", Filter{Kind: KindIntent}, 12}, {"performed", Filter{Outcome: problem.Performed}, 12},
		{"site", Filter{Site: "other"}, 0}, {"from", Filter{From: 20}, 7}, {"to", Filter{To: 5}, 5},
		{"actor", Filter{Actor: Pseudonym(testKey, "actor", "ann")}, 1}, {"future", Filter{Since: time.Now().Add(time.Hour)}, 0},
		{"past", Filter{Until: time.Now().Add(-time.Hour)}, 0}, {"request, with outcomes", Filter{Request: "req-1"}, 24},
		{"outcomes of the request", Filter{Request: "req-1", Kind: KindOutcome}, 12}, {"outcomes of another", Filter{Request: "req-2", Kind: KindOutcome}, 0},
		{"performed of the request", Filter{Request: "req-1", Outcome: problem.Performed}, 12}, {"intents of the request", Filter{Request: "req-1", Kind: KindIntent}, 12},
	} {
		if got := count(c.f); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	var texts []string
	err := Show(dir, Filter{}, func(e Entry) error {
		texts = append(texts, e.Text())
		b, err := json.Marshal(e)
		if err == nil && !json.Valid(b) {
			err = errors.New("not JSON")
		}
		if len(texts) == 5 {
			return errors.Join(err, ErrStop)
		}
		return err
	})
	if err != nil || len(texts) != 5 {
		t.Fatalf("%d entries, %v", len(texts), err)
	}
	if !strings.Contains(texts[0], "shop/payments stripe.create-payment-intent by browser in mock [money]") ||
		!slices.ContainsFunc(texts, func(s string) bool {
			return strings.Contains(s, "for 0: performed") && strings.Contains(s, "after 3ms")
		}) {
		t.Errorf("%q", texts)
	}
}

// BenchmarkIntent measures an intent with its share of a group's fsync.
func BenchmarkIntent(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(itoa(callers)+"callers", func(b *testing.B) {
			l := mustOpen(b, filepath.Join(b.TempDir(), "audit"), func() Options {
				o := testOptions()
				o.SequenceEvery, o.CheckpointEvery = 0, 0
				return o
			}())
			defer l.Close()
			var mu sync.Mutex
			var took []time.Duration
			work := make(chan struct{})
			var all sync.WaitGroup
			b.ResetTimer()
			for range callers {
				all.Go(func() {
					for range work {
						begun := time.Now()
						id, err := l.Intent(context.Background(), anIntent(1))
						d := time.Since(begun)
						if err != nil {
							b.Error(err)
							return
						}
						_ = l.Outcome(context.Background(), id, Outcome{Result: problem.Performed})
						mu.Lock()
						took = append(took, d)
						mu.Unlock()
					}
				})
			}
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			all.Wait()
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		})
	}
}

func itoa(n int) string { return ID(n).String() }
