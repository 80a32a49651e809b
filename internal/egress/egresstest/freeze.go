package egresstest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/egress"
)

// FreezeStore runs the suite over stores that open makes, empty, one for each test.
func FreezeStore(t *testing.T, open func(t *testing.T) egress.FreezeStore) {
	site := egress.Freeze{Site: "shop", Reason: "incident", By: "ops", At: noon()}
	one := egress.Freeze{Site: "shop", Connection: "payments", Reason: "card testing", By: "ops", At: noon().Add(time.Second)}
	other := egress.Freeze{Site: "blog", Connection: "maps", At: noon()}

	t.Run("list, thaw", func(t *testing.T) {
		s := open(t)
		for _, f := range []egress.Freeze{one, site, other} {
			if err := s.Freeze(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, s, other, site, one)
		if was, err := s.Thaw(t.Context(), "shop", ""); err != nil || !was {
			t.Fatalf("Thaw = %v, %v", was, err)
		}
		if was, err := s.Thaw(t.Context(), "shop", ""); err != nil || was {
			t.Fatalf("the second Thaw = %v, %v; want false", was, err)
		}
		expect(t, s, other, one)
	})
	t.Run("the first freeze stays", func(t *testing.T) {
		s := open(t)
		again := site
		again.Reason = "another reason"
		for _, f := range []egress.Freeze{site, again} {
			if err := s.Freeze(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, s, site)
	})
	t.Run("a site is required", func(t *testing.T) {
		if err := open(t).Freeze(t.Context(), egress.Freeze{Connection: "payments"}); err == nil {
			t.Error("a freeze without a site was stored")
		}
	})
}

func expect(t *testing.T, s egress.FreezeStore, want ...egress.Freeze) {
	t.Helper()
	got, err := s.ListFreezes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("freezes (-want +got):\n%s", d)
	}
}
