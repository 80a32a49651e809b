// Package audittest is the conformance suite of audit.AdminEvents, for every store in
// which acts of operators wait.
//
// A store that passes keeps their order and loses none; that an act and its event are one
// transaction is for the suites of the acts.
package audittest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sallyport/internal/audit"
)

// AdminEvents runs the suite over stores that open makes, empty, one for each test. Their
// process serves.
func AdminEvents(t *testing.T, open func(t *testing.T) audit.AdminEvents) {
	acts := []audit.AdminEvent{
		{Kind: audit.KindSecretSet, Name: "shop/stripe"},
		{Kind: audit.KindFrozen, Site: "shop", Connection: "payments"},
		{Kind: audit.KindSecretRemoved, Name: "shop/stripe"},
	}
	fill := func(t *testing.T) audit.AdminEvents {
		s := open(t)
		for _, e := range acts {
			if err := s.CreateAdminEvent(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	t.Run("in order, up to the limit", func(t *testing.T) {
		s := fill(t)
		got := list(t, s, 10)
		if d := cmp.Diff(acts, got, cmpopts.IgnoreFields(audit.AdminEvent{}, "ID", "At")); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
		for i, e := range got {
			if e.At.IsZero() || i > 0 && e.ID <= got[i-1].ID {
				t.Errorf("event %d: id %d, at %s", i, e.ID, e.At)
			}
		}
		if got := list(t, s, 2); len(got) != 2 || got[0].Kind != audit.KindSecretSet {
			t.Errorf("the first two: %+v", got)
		}
	})
	t.Run("delete, twice", func(t *testing.T) {
		s := fill(t)
		first := list(t, s, 1)[0]
		for range 2 {
			if err := s.DeleteAdminEvent(t.Context(), first.ID); err != nil {
				t.Fatal(err)
			}
		}
		left := list(t, s, 10)
		if len(left) != 2 || left[0].Kind != audit.KindFrozen {
			t.Errorf("left: %+v", left)
		}
		for _, e := range left {
			if err := s.DeleteAdminEvent(t.Context(), e.ID); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.CreateAdminEvent(t.Context(), acts[0]); err != nil {
			t.Fatal(err)
		}
		if got := list(t, s, 10); len(got) != 1 || got[0].ID <= left[1].ID {
			t.Errorf("an id was given twice: %+v after %d", got, left[1].ID)
		}
	})
}

func list(t *testing.T, s audit.AdminEvents, limit int) []audit.AdminEvent {
	t.Helper()
	got, err := s.ListAdminEvents(t.Context(), limit)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
