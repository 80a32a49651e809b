package egresstest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/egress"
)

func use(permit string, uses int) egress.PermitUse {
	return egress.PermitUse{KeyID: "key_a", PermitID: permit, Uses: uses, Until: noon().Add(time.Hour)}
}

// Permits runs the suite over stores that open makes, empty, one for each test.
func Permits(t *testing.T, open func(t *testing.T) egress.Permits) {
	tests := map[string]func(*testing.T, egress.Permits){
		"uses are spent one by one":          spendOneByOne,
		"what is given back can be spent":    spendAgain,
		"permits do not mix":                 spendApart,
		"a row stays until its end":          spendPurge,
		"exactly the uses of 100 succeed":    spendParallel,
		"spent and given back in parallel":   spendAndReturn,
		"a permit without uses buys nothing": spendNothing,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func spend(t *testing.T, s egress.Permits, u egress.PermitUse, want bool) {
	t.Helper()
	if ok, err := s.SpendPermit(t.Context(), u); err != nil || ok != want {
		t.Errorf("SpendPermit(%s, %d uses) = %v, %v; want %v", u.PermitID, u.Uses, ok, err, want)
	}
}

func spendOneByOne(t *testing.T, s egress.Permits) {
	for _, want := range []bool{true, true, true, false, false} {
		spend(t, s, use("p", 3), want)
	}
	spend(t, s, use("p", 4), true) // signed again for more: the count goes on
	spend(t, s, use("p", 4), false)
	spend(t, s, use("p", 1), false)
}

func spendNothing(t *testing.T, s egress.Permits) {
	spend(t, s, use("p", 0), false)
	spend(t, s, use("p", -1), false)
	spend(t, s, use("p", 1), true)
}

func spendAgain(t *testing.T, s egress.Permits) {
	spend(t, s, use("p", 1), true)
	if err := s.ReturnPermit(t.Context(), use("p", 1)); err != nil {
		t.Fatal(err)
	}
	spend(t, s, use("p", 1), true)
	spend(t, s, use("p", 1), false)
	for range 3 { // more than was spent makes no credit
		if err := s.ReturnPermit(t.Context(), use("p", 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.ReturnPermit(t.Context(), use("never spent", 1)); err != nil {
		t.Fatal(err)
	}
	spend(t, s, use("p", 1), true)
	spend(t, s, use("p", 1), false)
	spend(t, s, use("never spent", 1), true)
	spend(t, s, use("never spent", 1), false)
}

func spendApart(t *testing.T, s egress.Permits) {
	spend(t, s, use("p", 1), true)
	spend(t, s, use("P", 1), true)
	other := use("p", 1)
	other.KeyID = "key_b"
	spend(t, s, other, true)
	spend(t, s, use("p", 1), false)
}

func spendPurge(t *testing.T, s egress.Permits) {
	later := use("longer", 1)
	later.Until = noon().Add(2 * time.Hour)
	spend(t, s, use("p", 1), true)
	spend(t, s, later, true)
	sooner := later
	sooner.Until = noon() // signed twice with one id: the row stays as long as either
	spend(t, s, sooner, false)
	for _, row := range []struct {
		at   time.Time
		want int
	}{{noon().Add(time.Hour - time.Millisecond), 0}, {noon().Add(time.Hour), 1}, {noon().Add(time.Hour), 0}} {
		if n, err := s.PurgePermits(t.Context(), row.at); err != nil || n != row.want {
			t.Errorf("purge at %s removed %d, %v; want %d", row.at, n, err, row.want)
		}
	}
	spend(t, s, later, false)
	if n, err := s.PurgePermits(t.Context(), noon().Add(3*time.Hour)); err != nil || n != 1 {
		t.Errorf("the last purge removed %d, %v; want 1", n, err)
	}
}

func spendParallel(t *testing.T, s egress.Permits) {
	ctx := context.WithoutCancel(t.Context())
	var ok atomic.Int64
	atOnce(t, 100, func() error {
		spent, err := s.SpendPermit(ctx, use("p", 7))
		if spent {
			ok.Add(1)
		}
		return err
	})
	if ok.Load() != 7 {
		t.Errorf("%d of 100 parallel calls spent a permit of 7 uses", ok.Load())
	}
}

func spendAndReturn(t *testing.T, s egress.Permits) {
	ctx := context.WithoutCancel(t.Context())
	var held atomic.Int64
	atOnce(t, 60, func() error {
		for range 5 {
			spent, err := s.SpendPermit(ctx, use("p", 3))
			if err != nil || !spent {
				return err
			}
			if n := held.Add(1); n > 3 {
				t.Errorf("%d uses are held at once of a permit of 3", n)
			}
			held.Add(-1)
			if err := s.ReturnPermit(ctx, use("p", 3)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, want := range []bool{true, true, true, false} { // nothing was lost, nothing gained
		spend(t, s, use("p", 3), want)
	}
}

func atOnce(t *testing.T, n int, f func() error) {
	t.Helper()
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-start
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
}
