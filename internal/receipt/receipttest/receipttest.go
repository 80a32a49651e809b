// Package receipttest holds the conformance suite of receipt.Store: of any number of claims
// of one receipt exactly one is the first, in every store.
package receipttest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/receipt"
)

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func claim(site, id string) receipt.Claim {
	return receipt.Claim{Site: site, ID: id, Until: noon().Add(time.Hour)}
}

// Store runs the suite over stores that open makes, empty, one for each test.
func Store(t *testing.T, open func(t *testing.T) receipt.Store) {
	t.Run("once", func(t *testing.T) {
		s := open(t)
		expect(t, s, claim("shop", "a"), true)
		expect(t, s, claim("shop", "a"), false)
		expect(t, s, claim("shop", "A"), true)
		expect(t, s, claim("blog", "a"), true)
	})
	t.Run("until its end", func(t *testing.T) {
		s := open(t)
		expect(t, s, claim("shop", "a"), true)
		purge(t, s, noon().Add(time.Hour-time.Millisecond), 0)
		expect(t, s, claim("shop", "a"), false)
		purge(t, s, noon().Add(time.Hour), 1)
		purge(t, s, noon().Add(time.Hour), 0)
	})
	t.Run("one of 100 at once", func(t *testing.T) {
		s, ctx := open(t), context.WithoutCancel(t.Context())
		var firsts atomic.Int64
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range 100 {
			wg.Go(func() {
				<-start
				first, err := s.ClaimReceipt(ctx, claim("shop", "a"))
				if err != nil {
					t.Error(err)
				}
				if first {
					firsts.Add(1)
				}
			})
		}
		close(start)
		wg.Wait()
		if firsts.Load() != 1 {
			t.Errorf("%d of 100 claims were the first", firsts.Load())
		}
	})
}

func expect(t *testing.T, s receipt.Store, c receipt.Claim, want bool) {
	t.Helper()
	if first, err := s.ClaimReceipt(t.Context(), c); err != nil || first != want {
		t.Errorf("claim %s/%s: first = %v, %v; want %v", c.Site, c.ID, first, err, want)
	}
}

func purge(t *testing.T, s receipt.Store, at time.Time, want int) {
	t.Helper()
	if n, err := s.PurgeReceipts(t.Context(), at); err != nil || n != want {
		t.Errorf("purge at %s removed %d, %v; want %d", at, n, err, want)
	}
}
