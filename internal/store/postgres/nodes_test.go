package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/egress"
	"sallyport/internal/session"
	"sallyport/internal/store/postgres"
	"sallyport/test/servers"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually asks until ok.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > within {
			t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(began)
}

func key(name string) egress.RepeatKey {
	k := egress.RepeatKey{Site: "shop", Connection: "payments", Operation: "create-refund"}
	copy(k.KeyHash[:], name)
	return k
}

func want() egress.Repeat { return egress.Repeat{ExpiresAt: time.Now().Add(time.Hour)} }

func begin(t *testing.T, s *postgres.Store, name string) (bool, egress.Repeat) {
	t.Helper()
	first, known, err := s.BeginRepeat(t.Context(), key(name), want(), time.Now())
	must(t, err)
	return first, known
}

func watchOf(t *testing.T, s *postgres.Store) egress.FreezeWatch {
	t.Helper()
	w, err := s.WatchFreezes(t.Context())
	must(t, err)
	return w
}

// passes says whether a node lets a call of shop pass; not knowing is not passing.
func passes(w egress.FreezeWatch) bool {
	_, frozen, err := w.Frozen("shop", "payments")
	return err == nil && !frozen
}

func shopFreeze() egress.Freeze { return egress.Freeze{Site: "shop", At: time.Now()} }

func TestLimitsInMemoryAllowOneNode(t *testing.T) {
	t.Parallel()
	for range 3 {
		if oneNode(t) {
			return
		}
	}
	t.Error("the machine is too busy to renew a lease of a second")
}

// oneNode is false where the first node lost its lease on the way: then another one may serve.
func oneNode(t *testing.T) bool {
	p := servers.SharedPostgres(t)
	o := options(p, empty(t, p))
	var log lines
	alone := o
	alone.Shares, alone.Name, alone.Log = false, "the first", log.logger()
	first := open(t, alone)
	alone.Log = nil
	var errs [2]error
	var took [2]time.Duration
	var both sync.WaitGroup
	for i, second := range []postgres.Options{alone, o} {
		both.Go(func() {
			began := time.Now()
			s, err := postgres.Open(context.Background(), second)
			if err == nil {
				_ = s.Close()
			}
			errs[i], took[i] = err, time.Since(began)
		})
	}
	both.Wait()
	if log.String() != "" {
		must(t, first.Close())
		return false
	}
	for i, err := range errs {
		if !errors.Is(err, postgres.ErrServed) || !strings.Contains(err.Error(), "the first") || !strings.Contains(err.Error(), "redis://") {
			t.Errorf("second node %d: %v", i, err)
		}
		if took[i] < time.Second {
			t.Errorf("it was refused after %s: the lease of a node that died would not have lapsed", took[i])
		}
	}
	tool := alone
	tool.Role = postgres.Tool
	must(t, open(t, tool).Freeze(t.Context(), shopFreeze()))
	must(t, first.Close())
	open(t, o) // both share now
	open(t, o)
	return true
}

// TestFreezeOnThreeNodes measures how long calls pass after somebody began to freeze, and
// holds that none passes anywhere once the command returned.
func TestFreezeOnThreeNodes(t *testing.T) {
	trials := 10
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		trials = 50
	}
	p := servers.SharedPostgres(t)
	o := options(p, empty(t, p))
	var watches []egress.FreezeWatch
	for range 3 {
		watches = append(watches, watchOf(t, open(t, o)))
	}
	o.Role = postgres.Tool
	tool := open(t, o)
	var longest, answered time.Duration
	for trial := range trials {
		last := make([]atomic.Int64, len(watches)) // when a call passed last
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i, w := range watches {
			if !passes(w) {
				t.Fatalf("trial %d: node %d lets nothing pass before the freeze", trial, i)
			}
			wg.Go(func() {
				for ctx.Err() == nil {
					at := time.Now()
					if passes(w) {
						last[i].Store(at.UnixNano())
					}
					time.Sleep(200 * time.Microsecond)
				}
			})
		}
		time.Sleep(time.Duration(trial%10) * 23 * time.Millisecond) // at any moment of a beat
		began := time.Now()
		must(t, tool.Freeze(t.Context(), shopFreeze()))
		returned := time.Now()
		time.Sleep(50 * time.Millisecond)
		stop()
		wg.Wait()
		for i := range watches {
			at := time.Unix(0, last[i].Load())
			if at.After(returned) {
				t.Errorf("trial %d: a call passed on node %d %s after the freeze was answered", trial, i, at.Sub(returned))
			}
			longest = max(longest, at.Sub(began))
		}
		answered = max(answered, returned.Sub(began))
		_, err := tool.Thaw(t.Context(), "shop", "")
		must(t, err)
	}
	if longest > time.Second || answered > 2*time.Second {
		t.Errorf("the last call passed %s after a freeze began, the answer took up to %s; want a second", longest, answered)
	}
	t.Logf("%d trials on 3 nodes: the last call passed %s after the freeze began, it was answered within %s", trials, longest, answered)
}

// TestNodeWithoutDatabase cuts one node off: within its lease nothing passes there, a
// freeze on the others is answered all the same, and it comes back by itself.
func TestNodeWithoutDatabase(t *testing.T) {
	t.Parallel()
	p := servers.SharedPostgres(t)
	o := options(p, empty(t, p))
	near := open(t, o)
	var way cutter
	var log lines
	o.Dial, o.Log = way.dial, log.logger()
	far := open(t, o)
	w := watchOf(t, far)
	if !passes(w) || far.Check(t.Context()) != nil {
		t.Fatal("nothing passes at the start")
	}
	way.set(true)
	began := time.Now()
	must(t, near.Freeze(t.Context(), shopFreeze()))
	if took := time.Since(began); passes(w) || took > 2*time.Second {
		t.Errorf("the freeze was answered after %s, and a node that knows nothing of it lets calls pass: %v", took, passes(w))
	}
	if _, _, err := w.Frozen("blog", "maps"); err == nil {
		t.Error("a node without a lease knows that other sites are not frozen")
	}
	if err := far.Check(t.Context()); err == nil {
		t.Error("a node without a lease is ready")
	}
	if _, _, err := far.BeginRepeat(t.Context(), key("a"), want(), time.Now()); err == nil {
		t.Error("a call began without the database")
	}
	_, err := near.Thaw(t.Context(), "shop", "")
	must(t, err)
	way.set(false)
	eventually(t, 5*time.Second, "the node comes back", func() bool { return passes(w) && far.Check(t.Context()) == nil })
	if first, _ := begin(t, far, "a"); !first {
		t.Error("the call that could not begin stands in its own way")
	}
	if text := log.String(); strings.Count(text, "nothing passes until it can") != 1 || !strings.Contains(text, "used again") {
		t.Errorf("an outage is two lines:\n%s", text)
	}
}

// TestDeadNode: the calls of a node that is gone are unknown, and only they; what it still
// learns of them afterwards counts.
func TestDeadNode(t *testing.T) {
	t.Parallel()
	p := servers.SharedPostgres(t)
	o := options(p, empty(t, p))
	alive := open(t, o)
	var way cutter
	o.Dial = way.dial
	dead := open(t, o)
	before := dead.NodeID()
	begin(t, dead, "in progress")
	begin(t, dead, "learned later")
	begin(t, dead, "done")
	must(t, dead.FinishRepeat(t.Context(), key("done"), []byte("answer"), time.Now().Add(time.Hour)))
	begin(t, alive, "of another node")
	way.set(true)
	if first, known := begin(t, alive, "in progress"); first || known.State != egress.RepeatInProgress {
		t.Fatalf("at once: first=%v, %+v", first, known)
	}
	took := eventually(t, 12*time.Second, "its calls are unknown", func() bool {
		first, known := begin(t, alive, "in progress")
		if first {
			t.Fatal("a call was made twice")
		}
		return known.State == egress.RepeatUnknown
	})
	if took < 4*time.Second {
		t.Errorf("a node was declared dead after %s", took)
	}
	for name, state := range map[string]egress.RepeatState{"done": egress.RepeatDone, "of another node": egress.RepeatInProgress} {
		if first, known := begin(t, alive, name); first || known.State != state {
			t.Errorf("the call %s: first=%v, %+v", name, first, known)
		}
	}
	way.set(false)
	eventually(t, 5*time.Second, "it comes back", func() bool { return dead.Check(t.Context()) == nil })
	if dead.NodeID() <= before {
		t.Errorf("it came back as node %d, and was %d", dead.NodeID(), before)
	}
	must(t, dead.FinishRepeat(t.Context(), key("learned later"), []byte("late"), time.Now().Add(time.Hour)))
	if first, known := begin(t, alive, "learned later"); first || string(known.Sealed) != "late" {
		t.Errorf("what it learned: first=%v, %+v", first, known)
	}
}

func TestOneOfTwoNodesGoesFirst(t *testing.T) {
	t.Parallel()
	p := servers.SharedPostgres(t)
	o := options(p, empty(t, p))
	nodes := []*postgres.Store{open(t, o), open(t, o)}
	var firsts, lapsed atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			first, known, err := nodes[i%2].BeginRepeat(context.Background(), key("a"), want(), time.Now())
			// A machine so busy that a lease of a second lapses lets nothing begin; whoever calls tries again.
			for end := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(end); {
				lapsed.Add(1)
				time.Sleep(50 * time.Millisecond)
				first, known, err = nodes[i%2].BeginRepeat(context.Background(), key("a"), want(), time.Now())
			}
			if err != nil || !first && known.State != egress.RepeatInProgress {
				t.Errorf("first=%v, %+v, %v", first, known, err)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	wg.Wait()
	if n := firsts.Load(); n > 1 || n == 0 && lapsed.Load() == 0 {
		t.Errorf("%d calls went first", n)
	}
}

// TestFence: a node ends its own calls and those of unknown outcome, nobody else's.
func TestFence(t *testing.T) {
	t.Parallel()
	p := servers.SharedPostgres(t)
	o := options(p, empty(t, p))
	one, other := open(t, o), open(t, o)
	begin(t, one, "a")
	eventually(t, time.Second, "each knows which of two it is", func() bool {
		first, _, early := one.Crew()
		second, _, late := other.Crew()
		return first == 0 && second == 1 && !early.IsZero() && !late.Before(early)
	})
	eventually(t, time.Second, "both know of two nodes", func() bool { return one.LiveNodes() == 2 && other.LiveNodes() == 2 })
	if other.ForgetRepeat(t.Context(), key("a")) == nil || other.FinishRepeat(t.Context(), key("a"), []byte("x"), time.Now()) == nil {
		t.Error("a node ended another one's call")
	}
	must(t, other.MarkRepeatUnknown(t.Context(), key("a"))) // the safe direction
	must(t, other.FinishRepeat(t.Context(), key("a"), []byte("answer"), time.Now().Add(time.Hour)))
	if first, known := begin(t, one, "a"); first || string(known.Sealed) != "answer" {
		t.Errorf("first=%v, %+v", first, known)
	}
	begin(t, one, "left behind")
	must(t, one.Close()) // a node that leaves leaves no call in progress
	if first, known := begin(t, other, "left behind"); first || known.State != egress.RepeatUnknown {
		t.Errorf("after an orderly end: first=%v, %+v", first, known)
	}
	eventually(t, time.Second, "one node is left", func() bool { return other.LiveNodes() == 1 })
}

// TestDoubt: a beginning that was not confirmed is no call; its own node takes the row
// over, another one must not.
func TestDoubt(t *testing.T) {
	t.Parallel()
	p := servers.SharedPostgres(t)
	o := options(p, empty(t, p))
	one, other := open(t, o), open(t, o)
	begin(t, one, "a")
	one.Doubt(key("a"))
	other.Doubt(key("a"))
	if first, known := begin(t, other, "a"); first || known.State != egress.RepeatInProgress {
		t.Errorf("another node: first=%v, %+v", first, known)
	}
	if first, _ := begin(t, one, "a"); !first {
		t.Error("its own node waits for a call that nobody makes")
	}
	if first, known := begin(t, one, "a"); first || known.State != egress.RepeatInProgress {
		t.Errorf("once more: first=%v, %+v", first, known)
	}
}

func TestOneNodeMovesEvents(t *testing.T) {
	t.Parallel()
	p := servers.SharedPostgres(t)
	o := options(p, empty(t, p))
	one, other := open(t, o), open(t, o)
	must(t, one.CreateAdminEvent(t.Context(), audit.AdminEvent{Kind: audit.KindSecretSet, Name: "a"}))
	for range 3 {
		if got, err := one.ListAdminEvents(t.Context(), 10); err != nil || len(got) != 1 {
			t.Fatalf("the first node gets %v, %v", got, err)
		}
		if got, err := other.ListAdminEvents(t.Context(), 10); err != nil || len(got) != 0 {
			t.Fatalf("both nodes get %v, %v", got, err)
		}
	}
	must(t, one.Close())
	if got, err := other.ListAdminEvents(t.Context(), 10); err != nil || len(got) != 1 {
		t.Errorf("after the first one left: %v, %v", got, err)
	}
}

// TestFollow: a revocation returns after every node took it in; a node that cannot take it
// in lets nothing pass.
func TestFollow(t *testing.T) {
	t.Parallel()
	p := servers.SharedPostgres(t)
	o := options(p, empty(t, p))
	one, other := open(t, o), open(t, o)
	var taken atomic.Int64
	var broken atomic.Bool
	other.Follow(func(ctx context.Context) error {
		if broken.Load() {
			return errors.New("no room")
		}
		list, err := other.ListRevocations(ctx, 0, time.Now())
		taken.Store(int64(len(list)))
		return err
	})
	revoke := func(id string) time.Duration {
		t.Helper()
		began := time.Now()
		must(t, one.CreateRevocation(t.Context(), session.Revocation{SessionID: id, Until: time.Now().Add(time.Hour)}))
		return time.Since(began)
	}
	for i, id := range []string{"a", "b", "c"} {
		revoke(id)
		// A node that a busy machine kept from it for longer than its lease lets nothing pass until it knows.
		if passes(watchOf(t, other)) && taken.Load() != int64(i+1) {
			t.Errorf("the other node knows %d visits that ended, want %d", taken.Load(), i+1)
		}
		eventually(t, 20*time.Second, "it knows", func() bool { return taken.Load() == int64(i+1) })
	}
	broken.Store(true)
	took := revoke("d")
	if w := watchOf(t, other); passes(w) || took > 3*time.Second {
		t.Errorf("answered after %s; the node that knows nothing of it lets calls pass: %v", took, passes(w))
	}
	broken.Store(false)
	eventually(t, 5*time.Second, "it takes it in after all", func() bool { return taken.Load() == 4 && passes(watchOf(t, other)) })
}

// BenchmarkRevocation is the end of a visit, acknowledged by three nodes, from 32 callers.
func BenchmarkRevocation(b *testing.B) {
	p := servers.StartPostgres(b, servers.PostgresOptions{Durable: true})
	o := options(p, p.Database(b))
	var nodes []*postgres.Store
	for range 3 {
		s, err := postgres.Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		nodes = append(nodes, s)
	}
	var n atomic.Int64
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			r := session.Revocation{SessionID: fmt.Sprint(i), Until: time.Now().Add(time.Hour)}
			if err := nodes[i%3].CreateRevocation(b.Context(), r); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkBeginFinish is the record of one keyed call on one node, from 32 callers.
func BenchmarkBeginFinish(b *testing.B) {
	p := servers.StartPostgres(b, servers.PostgresOptions{Durable: true})
	s, err := postgres.Open(b.Context(), options(p, p.Database(b)))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var n atomic.Int64
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			k := key(fmt.Sprint(n.Add(1)))
			if first, _, err := s.BeginRepeat(b.Context(), k, want(), time.Now()); err != nil || !first {
				b.Error(first, err)
			}
			if err := s.FinishRepeat(b.Context(), k, []byte("x"), time.Now().Add(time.Hour)); err != nil {
				b.Error(err)
			}
		}
	})
}
