// Package probetest holds the conformance suite of the store that probe uses.
package probetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/probe"
)

// Store runs the suite over stores that open makes, empty, one for each test.
func Store(t *testing.T, open func(t *testing.T) probe.Store) {
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	claim := func(t *testing.T, s probe.Store, now, before time.Time) bool {
		t.Helper()
		ok, err := s.ClaimProbe(t.Context(), probe.Claim{Site: "shop", Connection: "pay", Now: now, Before: before, For: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	t.Run("of many at once one is granted, and its lease ends", func(t *testing.T) {
		s := open(t)
		var granted atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if ok, err := s.ClaimProbe(t.Context(), probe.Claim{Site: "shop", Connection: "pay", Now: noon, Before: noon, For: time.Minute}); err != nil {
					t.Error(err)
				} else if ok {
					granted.Add(1)
				}
			})
		}
		wg.Wait()
		if granted.Load() != 1 {
			t.Errorf("%d were granted", granted.Load())
		}
		if claim(t, s, noon.Add(59*time.Second), noon) || !claim(t, s, noon.Add(61*time.Second), noon) {
			t.Error("a claim does not last for its time")
		}
		if !claim(t, s, noon.Add(-24*time.Hour), noon.Add(-48*time.Hour)) {
			t.Error("a lease of a clock that was a day ahead still holds")
		}
		if list, err := s.ListProbes(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("a claim is listed as a result: %v %v", list, err)
		}
	})
	t.Run("a result ends the claim and says when the next is due", func(t *testing.T) {
		s := open(t)
		claim(t, s, noon, noon)
		want := probe.Result{Site: "shop", Connection: "pay", Finding: probe.Refused, Note: "no", At: noon, Since: noon.Add(-time.Hour)}
		other := probe.Result{Site: "shop", Connection: "maps", Finding: probe.Works, At: noon, Since: noon}
		for _, r := range []probe.Result{want, other} {
			if err := s.SaveProbe(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.ListProbes(t.Context())
		if diff := cmp.Diff([]probe.Result{other, want}, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
		if claim(t, s, noon.Add(time.Hour), noon.Add(-time.Second)) || !claim(t, s, noon.Add(time.Hour), noon) {
			t.Error("what is due is not told by the last result")
		}
	})
}
