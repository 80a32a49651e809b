package sqlite_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/store/sqlite"
)

// within asks until ok, at most a second: the time in which a freeze must hold.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a second: %s", what)
		}
	}
}

func TestFreezeOfAnotherProcessHoldsWithinASecond(t *testing.T) {
	file := path(t)
	served := open(t, file, sqlite.Serve)
	tool := open(t, file, sqlite.Tool) // its own connections, as another process has
	watch, err := served.WatchFreezes(t.Context())
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- watch.Run(ctx) }()

	frozen := func(site, connection string) bool {
		_, is, err := watch.Frozen(site, connection)
		must(t, err)
		return is
	}
	if frozen("shop", "payments") {
		t.Error("frozen without a freeze")
	}
	must(t, tool.Freeze(t.Context(), egress.Freeze{Site: "shop", Connection: "payments", At: time.Now()}))
	within(t, "a freeze by a tool", func() bool { return frozen("shop", "payments") })
	if frozen("shop", "maps") || frozen("blog", "payments") || frozen("shop", "") {
		t.Error("more is frozen than was asked for")
	}
	must(t, served.Freeze(t.Context(), egress.Freeze{Site: "shop", At: time.Now()}))
	within(t, "a freeze of the whole site", func() bool { return frozen("shop", "maps") && frozen("shop", "payments") })
	for _, c := range []string{"", "payments"} {
		_, err := tool.Thaw(t.Context(), "shop", c)
		must(t, err)
	}
	within(t, "a thaw", func() bool { return !frozen("shop", "payments") })
	stop()
	must(t, <-done)
}

func TestFreezesUnknownMeansNothingPasses(t *testing.T) {
	var ahead atomic.Int64
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path(t), Now: func() time.Time {
		return time.Now().Add(time.Duration(ahead.Load()))
	}})
	must(t, err)
	defer s.Close()
	watch, err := s.WatchFreezes(t.Context())
	must(t, err)
	if _, _, err := watch.Frozen("shop", "payments"); err != nil {
		t.Fatal(err)
	}
	ahead.Store(int64(6 * time.Second)) // Run is not running: nobody reads the file
	if _, _, err := watch.Frozen("shop", "payments"); err == nil {
		t.Error("an answer six seconds old still counts")
	}
}

// TestOneFailureTakesNothingWithIt mixes writes that fail into batches of writes.
func TestOneFailureTakesNothingWithIt(t *testing.T) {
	s := fresh(t)
	now := time.Now()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			k := repeatKey(string(rune('A' + i)))
			if i%4 == 0 {
				if err := s.ForgetRepeat(context.Background(), k); err == nil {
					t.Error("a call that is not there was forgotten")
				}
				return
			}
			first, _, err := s.BeginRepeat(context.Background(), k, egress.Repeat{ExpiresAt: now.Add(time.Hour)}, now)
			if err != nil || !first {
				t.Errorf("call %d: first=%v, %v", i, first, err)
			}
		})
	}
	wg.Wait()
	for i := range 64 {
		first, known, err := s.BeginRepeat(t.Context(), repeatKey(string(rune('A'+i))), egress.Repeat{ExpiresAt: now.Add(time.Hour)}, now)
		if wantFirst := i%4 == 0; err != nil || first != wantFirst || !wantFirst && known.State != egress.RepeatInProgress {
			t.Errorf("call %d afterwards: first=%v, %+v, %v", i, first, known, err)
		}
	}
}

func TestEndedCallerAndClosedStore(t *testing.T) {
	s := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Freeze(ctx, egress.Freeze{Site: "shop", At: time.Now()}); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that left: %v", err)
	}
	if list, err := s.ListFreezes(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("it was stored nevertheless: %v, %v", list, err)
	}
	must(t, s.Close())
	if err := s.Freeze(t.Context(), egress.Freeze{Site: "shop", At: time.Now()}); err == nil {
		t.Error("a closed store took a write")
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("a closed store is ready")
	}
}

func TestNothingLeavesTheFolder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir+"/store.db", sqlite.Serve)
	must(t, s.Freeze(t.Context(), egress.Freeze{Site: "shop", At: time.Now()}))
	must(t, s.Close())
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "store.db") {
			t.Errorf("stray file %s", e.Name())
		}
		if strings.HasSuffix(e.Name(), "-wal") {
			t.Error("the log was not written back at close")
		}
	}
}

func BenchmarkBeginFinish(b *testing.B) {
	s, err := sqlite.Open(b.Context(), sqlite.Options{Path: b.TempDir() + "/s.db", Role: sqlite.Serve})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	var n atomic.Int64
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			k := egress.RepeatKey{Site: "shop"}
			i := n.Add(1)
			for j := range 8 {
				k.KeyHash[j] = byte(i >> (8 * j))
			}
			if first, _, err := s.BeginRepeat(b.Context(), k, egress.Repeat{ExpiresAt: now.Add(time.Hour)}, now); err != nil || !first {
				b.Error(first, err)
			}
			if err := s.FinishRepeat(b.Context(), k, []byte("x"), now.Add(time.Hour)); err != nil {
				b.Error(err)
			}
		}
	})
}
