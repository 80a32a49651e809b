package outbound

import (
	"testing"
	"testing/synctest"
	"time"
)

// In any minute at most one tenth of the calls is repeated, and at least one may be.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b budget
		repeats := 0
		spend := func(calls int) int {
			got := 0
			for range calls {
				b.call()
				for b.repeat() {
					got++
				}
			}
			return got
		}
		if got := spend(1); got != 1 {
			t.Errorf("a quiet host: %d repeats for one call, want 1", got)
		}
		time.Sleep(2 * time.Minute)
		for range 60 {
			repeats += spend(100)
			time.Sleep(time.Second)
		}
		if repeats < 590 || repeats > 600 {
			t.Errorf("%d repeats for 6,000 calls, want 10 %%", repeats)
		}
		time.Sleep(time.Hour)
		if !b.repeat() || b.repeat() {
			t.Error("after an hour: want one repeat and no second")
		}
	})
}

// While a host fails, one probe a second passes; late failures of attempts that
// began before add none; one success lets all pass.
func TestBreakerProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(Breaker{}.filled())
		for range 30 {
			if _, ok := b.enter(); ok {
				b.leave(false, true)
			}
		}
		if d := b.closedFor(); d <= 0 || d > time.Second {
			t.Fatalf("closed for %s after 30 failures", d)
		}
		probes := 0
		for range 1000 { // 10 s
			if probe, ok := b.enter(); ok {
				if !probe {
					t.Fatal("an attempt passed that is not a probe")
				}
				probes++
				b.leave(false, false) // old attempts end while the probe is out
				b.leave(false, true)
				b.leave(true, true)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if probes < 9 || probes > 10 {
			t.Errorf("%d probes in 10 s", probes)
		}
		time.Sleep(time.Second)
		probe, ok := b.enter()
		if !ok || !probe {
			t.Fatal("no probe after a second")
		}
		if _, second := b.enter(); second {
			t.Error("a second probe passed beside the first")
		}
		b.leave(true, false)
		for range 50 {
			if probe, ok := b.enter(); !ok || probe {
				t.Fatal("held back after a success")
			}
			b.leave(false, false)
		}
	})
}

// A few failures among many successes, or few in all, open nothing.
func TestBreakerStaysClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(Breaker{}.filled())
		for i := range 1000 {
			if _, ok := b.enter(); !ok {
				t.Fatalf("held back at call %d with 30 %% failures", i)
			}
			b.leave(false, i%10 < 3)
		}
		b = newBreaker(Breaker{}.filled())
		for range 19 {
			b.leave(false, true)
		}
		if _, ok := b.enter(); !ok {
			t.Error("19 failures opened it")
		}
	})
}
