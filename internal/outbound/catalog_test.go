package outbound

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/provider"
)

// TestEveryLimitOfTheCatalog does the same with each limit that a provider publishes, or
// that we set where none is published; and with one for each number, which no provider of
// the catalog documents.
func TestEveryLimitOfTheCatalog(t *testing.T) {
	catalog := provider.Builtin()
	tried := map[string]int{}
	for _, id := range catalog.List() {
		pack, err := catalog.Find(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range pack.Limits {
			tried[l.Scope]++
			limitStaysUnder(t, id, l)
		}
	}
	limitStaysUnder(t, "numbers", provider.Limit{Scope: "number", Calls: 1, Per: "1s"})
	if tried["account"] < 13 || tried["operation"] < 1 || tried["object"] < 1 {
		t.Errorf("only these limits were tried: %v", tried)
	}
}

func limitStaysUnder(t *testing.T, id string, l provider.Limit) {
	t.Helper()
	if l.InFlight > 0 {
		t.Run(fmt.Sprintf("%s: %d at once", id, l.InFlight), func(t *testing.T) { flightStaysUnder(t, l.InFlight) })
	}
	if l.Calls == 0 {
		return
	}
	per, err := time.ParseDuration(l.Per)
	if err != nil {
		t.Fatalf("%s: per %q: %v", id, l.Per, err)
	}
	t.Run(fmt.Sprintf("%s: %g per %s per %s", id, l.Calls, l.Per, l.Scope), func(t *testing.T) {
		limit := BucketConfig{Calls: l.Calls, Per: per}
		if l.EachNamed() {
			eachStaysUnder(t, limit)
		} else {
			staysUnder(t, limit, 80*time.Millisecond)
		}
	})
}

// eachStaysUnder pushes three times the limit of each of three objects, all at once.
func eachStaysUnder(t *testing.T, limit BucketConfig) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := NewObjects(limit, NewRoom(0))
		var wg sync.WaitGroup
		for _, id := range []string{"one", "two", "three"} {
			wg.Go(func() {
				heldUnder(t, limit, 80*time.Millisecond, func() (*Bucket, func()) { return o.Hold(id) })
			})
		}
		wg.Wait()
	})
}

// flightStaysUnder has three times as many callers as the provider serves at once; it
// refuses one more, and each slot that it has is used.
func flightStaysUnder(t *testing.T, most int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		const takes, rounds = 100 * time.Millisecond, 50
		b := NewBucket(BucketConfig{InFlight: most})
		var flying, over, served atomic.Int64
		var wg sync.WaitGroup
		began := time.Now()
		for range 3 * most {
			wg.Go(func() {
				for time.Since(began) < rounds*takes {
					g, err := b.take(t.Context())
					if err != nil {
						continue
					}
					g.sent()
					if flying.Add(1) > int64(most) {
						over.Add(1)
					}
					time.Sleep(takes)
					flying.Add(-1)
					served.Add(1)
					g.done()
				}
			})
		}
		wg.Wait()
		if over.Load() > 0 || served.Load() < int64(most*rounds*9/10) {
			t.Errorf("%d of %d calls were one too many at once; want none, and %d served", over.Load(), served.Load(), most*rounds*9/10)
		}
	})
}

// A flood of one operation takes nothing from the others, because the narrowest limit is
// asked first: what waits for its operation's turn holds no place in the account's limit.
func TestFloodOfOneOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := NewBucket(BucketConfig{Calls: 100, Per: time.Second})
		flooded, other := NewBucket(BucketConfig{Calls: 25, Per: time.Second}), NewBucket(BucketConfig{Calls: 25, Per: time.Second})
		var wg sync.WaitGroup
		var served, refused [2]atomic.Int64
		call := func(which int, narrow *Bucket, rate int) {
			for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(time.Second / time.Duration(rate)) {
				wg.Go(func() {
					all, err := take(t.Context(), []*Bucket{narrow, account})
					defer all.done()
					if err != nil {
						refused[which].Add(1)
						return
					}
					all.sent()
					served[which].Add(1)
					time.Sleep(80 * time.Millisecond)
				})
			}
		}
		wg.Go(func() { call(0, flooded, 400) })
		wg.Go(func() { call(1, other, 20) })
		wg.Wait()
		if refused[1].Load() > 0 || served[1].Load() < 100 {
			t.Errorf("beside the flood: %d served, %d refused; want 100 and none", served[1].Load(), refused[1].Load())
		}
		if served[0].Load() < 5*25*9/10 || refused[0].Load() == 0 {
			t.Errorf("the flood: %d served, %d refused", served[0].Load(), refused[0].Load())
		}
	})
}
