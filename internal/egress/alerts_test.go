package egress_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/egress"
)

type toll struct {
	egress.Alert
	before int
}

func bell(now func() time.Time) (*egress.Bell, *fakeAudit, func() []toll) {
	log := &fakeAudit{}
	var mu sync.Mutex
	var told []toll
	b := egress.NewBell(log, func(_ context.Context, a egress.Alert, before int) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, toll{a, before})
	}, now)
	return b, log, func() []toll { mu.Lock(); defer mu.Unlock(); return told }
}

// TestBellTellsOnceInTenMinutes: one line and one audit event for a source, a reason and a
// site; what is held back is counted in the next line.
func TestBellTellsOnceInTenMinutes(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	b, log, told := bell(func() time.Time { return now })
	alert := egress.Alert{Source: "cards", Reason: "declines", Site: "shop", Connection: "payments", Operation: "confirm-payment-intent"}
	for range 50 {
		b.Alert(t.Context(), alert)
	}
	other := alert
	other.Site = "garden"
	b.Alert(t.Context(), other)
	now = now.Add(egress.Quiet - time.Nanosecond)
	b.Alert(t.Context(), alert)
	if got := told(); len(got) != 2 || got[0].before != 0 || got[1].Site != "garden" {
		t.Fatalf("told %+v", got)
	}
	now = now.Add(time.Nanosecond)
	b.Alert(t.Context(), alert)
	if got := told(); len(got) != 3 || got[2].before != 50 {
		t.Errorf("after ten minutes: %+v", got)
	}
	want := audit.Event{Kind: audit.KindAlert, Site: "shop", Connection: "payments", Operation: "confirm-payment-intent", Name: "cards/declines"}
	if len(log.refusals) != 3 || log.refusals[0] != want {
		t.Errorf("the audit log got %+v", log.refusals)
	}
}

// TestBellIsBounded: more kinds than it remembers are all told, and it stays silent again afterwards.
func TestBellIsBounded(t *testing.T) {
	now := time.Now()
	b, _, told := bell(func() time.Time { return now })
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for k := range 2000 {
				b.Alert(t.Context(), egress.Alert{Source: "cards", Reason: "declines", Site: fmt.Sprint(i, "-", k)})
			}
		})
	}
	all.Wait()
	n := len(told())
	if n != 16000 {
		t.Fatalf("%d of 16000 sites were told of", n)
	}
	b.Alert(t.Context(), egress.Alert{Source: "cards", Reason: "declines", Site: "last"})
	b.Alert(t.Context(), egress.Alert{Source: "cards", Reason: "declines", Site: "last"})
	if got := len(told()); got != n+1 {
		t.Errorf("%d lines about one site, want 1", got-n)
	}
}
