package outbound

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/problem"
)

// call makes one call for an object and reports whether it was granted.
func call(t testing.TB, o *Objects, id string) bool {
	t.Helper()
	b, release := o.Hold(id)
	defer release()
	g, err := b.take(t.Context())
	if err != nil {
		if p := problem.From(err); p.Code != problem.UpstreamThrottled || !strings.Contains(p.Detail, "limit for "+o.config.For+" is used up") {
			t.Errorf("refused with %v", err)
		}
		return false
	}
	g.sent()
	g.done()
	return true
}

func (o *Objects) kept() (own, inShared int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.shared {
		if s != nil {
			inShared++
		}
	}
	return len(o.own), inShared
}

// Each object has the whole limit, whatever others do, and what is full again is forgotten.
func TestObjectsCountApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := NewObjects(BucketConfig{Calls: 3, Per: time.Hour, For: "this object"}, NewRoom(0))
		for _, id := range []string{"pi_1", "pi_2", ""} {
			for n := range 5 {
				if got := call(t, o, id); got != (n < 3) {
					t.Errorf("call %d of %q: granted %v", n+1, id, got)
				}
			}
		}
		if own, _ := o.kept(); own != 3 {
			t.Errorf("%d buckets of their own, want 3", own)
		}
		time.Sleep(2 * time.Hour)
		if !call(t, o, "pi_1") {
			t.Error("refused after the window")
		}
		if own, _ := o.kept(); own != 1 || o.room.used.Load() != 1 {
			t.Errorf("%d are kept and take %d places, want the one called just now", own, o.room.used.Load())
		}
	})
}

// A call that waits, runs or was just refused keeps its object: two buckets for one object
// would grant the limit twice.
func TestObjectsAreKeptWhileHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := NewObjects(BucketConfig{Calls: 1, Per: time.Second, For: "this object"}, NewRoom(0))
		first, release := o.Hold("pi_1")
		time.Sleep(time.Minute)
		for n := range 10 {
			call(t, o, fmt.Sprint(n))
		}
		again, releaseAgain := o.Hold("pi_1")
		if again != first {
			t.Error("an object that is held has two buckets")
		}
		release()
		releaseAgain()
		time.Sleep(time.Minute)
		for range 3 { // each looks at a few of the oldest
			call(t, o, "other")
		}
		if own, _ := o.kept(); own != 1 {
			t.Errorf("%d are kept after all were released, want 1", own)
		}
	})
}

// Where there is no room, the limit of each object still holds: also for one whose calls
// began in a shared bucket and go on when there is room again.
func TestObjectsWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 5
		o := NewObjects(BucketConfig{Calls: limit, Per: time.Hour, Wait: time.Millisecond, For: "this object"}, NewRoom(8))
		for n := range 8 {
			call(t, o, fmt.Sprint("early ", n))
		}
		time.Sleep(50 * time.Minute)
		var seen arrivals
		for range 3 {
			if call(t, o, "late") {
				seen.add(time.Now())
			}
		}
		if own, inShared := o.kept(); own != 8 || inShared != 1 {
			t.Fatalf("%d own and %d shared buckets, want 8 and 1", own, inShared)
		}
		time.Sleep(20 * time.Minute) // the early ones are full again: there is room
		for range 10 {
			if call(t, o, "late") {
				seen.add(time.Now())
			}
		}
		if got := seen.most(time.Hour); got != limit {
			t.Errorf("a window counts %d calls, the limit is %d", got, limit)
		}
		time.Sleep(2 * time.Hour)
		call(t, o, "late")
		if own, inShared := o.kept(); own != 1 || inShared != 0 {
			t.Errorf("%d own and %d shared buckets after all has stopped counting, want 1 and 0", own, inShared)
		}
	})
}

// A million objects, called by eight at a time: memory stays bounded, no object gets more
// than its limit, and one that is called all the time gets at least 90 % of it.
func TestMillionObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, window, callers = 10, time.Hour, 8
		ids := scaled(1_000_000, 4_000_000)
		room := NewRoom(0)
		o := NewObjects(BucketConfig{Calls: limit, Per: window, Wait: time.Millisecond, Queue: 1, For: "this object"}, room)
		began, most := heap(), int64(0)
		var hot arrivals
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for n := range ids / callers {
					call(t, o, fmt.Sprint(c, "/", n))
					if c == 0 && n%(ids/callers/5) == 0 {
						most = max(most, heap()-began)
					}
					if n%1000 != 0 {
						continue
					}
					time.Sleep(time.Duration(rand.N(int64(2 * time.Minute))))
					if call(t, o, "hot") {
						hot.add(time.Now())
					}
				}
			})
		}
		wg.Wait()
		own, inShared := o.kept()
		t.Logf("%d own and %d shared buckets, %d MiB at most", own, inShared, most>>20)
		if int64(own) != room.used.Load() || own > 1<<16 || inShared > shared {
			t.Errorf("%d own buckets (%d counted), %d shared", own, room.used.Load(), inShared)
		}
		if most > 48<<20 {
			t.Errorf("%d MiB for %d objects", most>>20, ids)
		}
		long := hot.at[len(hot.at)-1].Sub(hot.at[0])
		if got := hot.most(window); got > limit || len(hot.at) < int(0.9*limit*float64(long)/float64(window)) {
			t.Errorf("the one that is called all the time: %d in a window of %d, %d in %s", got, limit, len(hot.at), long)
		}
	})
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkObjects(b *testing.B) {
	o := NewObjects(BucketConfig{Calls: 1000, Per: time.Hour}, NewRoom(0))
	b.RunParallel(func(p *testing.PB) {
		for n := 0; p.Next(); n++ {
			bucket, release := o.Hold("pi_" + fmt.Sprint(n&0xfff))
			g, err := bucket.take(b.Context())
			if err == nil {
				g.done()
			}
			release()
		}
	})
}
