package outbound

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// ship is a set of nodes that come and go; each hears of it up to 400 ms late.
type ship struct {
	mu    sync.Mutex
	ids   []int
	since map[int]time.Time
	views map[int]*atomic.Pointer[Crew]
}

func (s *ship) change(come, go_ int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if come >= 0 {
		s.ids, s.since[come], s.views[come] = append(s.ids, come), time.Now(), &atomic.Pointer[Crew]{}
		slices.Sort(s.ids)
		s.views[come].Store(s.view(come, s.ids))
	}
	s.ids = slices.DeleteFunc(s.ids, func(id int) bool { return id == go_ })
	ids := slices.Clone(s.ids)
	for _, id := range ids {
		if id != come {
			view, next := s.views[id], s.view(id, ids)
			time.AfterFunc(rand.N(400*time.Millisecond), func() { view.Store(next) })
		}
	}
}

func (s *ship) view(id int, ids []int) *Crew {
	return &Crew{Index: slices.Index(ids, id), Live: len(ids), Since: s.since[id]}
}

// TestNodesKeepALimitTogether: nodes come and go while callers push each of them with the
// whole limit and more; no window of the provider ever counts more than its limit, and when
// the nodes are settled at least 90 % of it is used.
func TestNodesKeepALimitTogether(t *testing.T) {
	for _, limit := range []int{3, 10, 25, 100} {
		synctest.Test(t, func(t *testing.T) { keepTogether(t, limit, time.Second) })
	}
	synctest.Test(t, func(t *testing.T) { keepTogether(t, 300, 20*time.Second) })
}

func keepTogether(t *testing.T, limit int, window time.Duration) {
	s := &ship{since: map[int]time.Time{}, views: map[int]*atomic.Pointer[Crew]{}}
	var seen arrivals
	var work sync.WaitGroup
	sail := func(id int) (leave func()) {
		s.change(id, -1)
		view := s.views[id]
		b := NewBucket(BucketConfig{Calls: float64(limit), Per: window, Crew: func() Crew { return *view.Load() }})
		var gone atomic.Bool
		work.Go(func() {
			for !gone.Load() {
				work.Go(func() { pushed(b, &seen) })
				time.Sleep(window / time.Duration(limit) * 2 / 3)
			}
		})
		return func() { gone.Store(true); time.Sleep(2 * time.Second); s.change(-1, id) }
	}
	settle := 2*notice + 3*window
	stay := func(nodes int, least float64) {
		time.Sleep(settle)
		from := seen.count()
		time.Sleep(10 * window)
		if used := float64(seen.count()-from) / float64(10*limit); used < least {
			t.Errorf("%d per %s, %d nodes: %.0f %% of the limit is used, want %.0f %%", limit, window, nodes, used*100, least*100)
		}
	}
	first := sail(1)
	stay(1, 0.9)
	second := sail(2)
	stay(2, 0.9)
	third := sail(3)
	stay(3, 0.9)
	second()
	stay(2, 0.9)
	first()
	stay(1, 0.9)
	third()
	work.Wait()
	if most := seen.most(window); most > limit {
		t.Errorf("%d calls arrived within one %s; the limit is %d", most, window, limit)
	}
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

func pushed(b *Bucket, seen *arrivals) {
	g, err := b.take(context.Background())
	if err != nil {
		return
	}
	defer g.done()
	g.sent()
	time.Sleep(rand.N(40 * time.Millisecond))
	seen.add(time.Now())
	time.Sleep(rand.N(40 * time.Millisecond))
}

// TestMoreNodesThanCalls: a limit with fewer calls than there are nodes lets each node make
// one call in so many windows, and none is left without.
func TestMoreNodesThanCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := time.Now().Add(-time.Hour)
		for index := range 4 {
			b := NewBucket(BucketConfig{Calls: 1, Per: time.Second, Wait: time.Minute, Crew: func() Crew { return Crew{Index: index, Live: 4, Since: old} }})
			var seen arrivals
			for range 4 {
				pushed(b, &seen)
			}
			if took := seen.at[3].Sub(seen.at[0]); seen.most(4*time.Second-100*time.Millisecond) > 1 || took > 14*time.Second {
				t.Errorf("node %d: its 4 calls took %s, and at most %d of them are in one span of 4 s", index, took, seen.most(4*time.Second-100*time.Millisecond))
			}
		}
	})
}

// TestInFlightIsDivided: calls at once are divided too, and each node has at least one.
func TestInFlightIsDivided(t *testing.T) {
	for _, test := range []struct{ limit, live, want int }{{50, 1, 50}, {50, 2, 25}, {50, 3, 16}, {2, 5, 1}, {0, 2, 0}} {
		p := portion{crew: func() Crew { return Crew{Live: test.live} }}
		p.look(time.Now(), time.Second)
		if got := p.flying(test.limit); got != test.want {
			t.Errorf("%d of %d nodes: %d, want %d", test.limit, test.live, got, test.want)
		}
	}
}
