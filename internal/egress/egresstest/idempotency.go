// Package egresstest holds the conformance suites of the stores that egress uses
// (idempotency, freezes), so that every store is held to the same rules.
//
// A store that passes lets exactly one of many equal calls go first and never lets an
// unknown outcome be repeated. The suites do not kill processes; a store's own tests do.
package egresstest

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/egress"
)

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func key(name string) egress.RepeatKey {
	k := egress.RepeatKey{Site: "shop", Connection: "payments", Operation: "create-refund", Caller: "backend"}
	copy(k.KeyHash[:], name)
	return k
}

func want(request string) egress.Repeat {
	r := egress.Repeat{ExpiresAt: noon().Add(24 * time.Hour)}
	copy(r.RequestHash[:], request)
	return r
}

// Idempotency runs the suite over stores that open makes, empty, one for each test.
func Idempotency(t *testing.T, open func(t *testing.T) egress.Idempotency) {
	tests := map[string]func(*testing.T, egress.Idempotency){
		"first, then in progress, then done":  lifecycle,
		"unknown stays unknown":               unknown,
		"forgotten goes first again":          forgotten,
		"keys do not mix":                     apart,
		"expired rows make room":              expired,
		"a call that is done stays done":      doneStays,
		"an unknown outcome may become known": unknownEnds,
		"exactly one of 100 goes first":       parallel,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func begin(t *testing.T, s egress.Idempotency, k egress.RepeatKey, request string, now time.Time) (bool, egress.Repeat) {
	t.Helper()
	first, known, err := s.BeginRepeat(t.Context(), k, want(request), now)
	if err != nil {
		t.Fatalf("BeginRepeat: %v", err)
	}
	return first, known
}

func lifecycle(t *testing.T, s egress.Idempotency) {
	if first, _ := begin(t, s, key("a"), "r1", noon()); !first {
		t.Fatal("the first call is not first")
	}
	first, known := begin(t, s, key("a"), "r2", noon().Add(time.Second))
	if first || known.State != egress.RepeatInProgress || known.RequestHash != want("r1").RequestHash || !known.CreatedAt.Equal(noon()) {
		t.Fatalf("the second call: first=%v, %+v; want the first one's row in progress", first, known)
	}
	if err := s.FinishRepeat(t.Context(), key("a"), []byte("answer"), noon().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	first, known = begin(t, s, key("a"), "r1", noon().Add(2*time.Second))
	if first || known.State != egress.RepeatDone || string(known.Sealed) != "answer" || !known.ExpiresAt.Equal(noon().Add(time.Hour)) {
		t.Fatalf("after the end: first=%v, %+v", first, known)
	}
}

func unknown(t *testing.T, s egress.Idempotency) {
	begin(t, s, key("a"), "r1", noon())
	if err := s.MarkRepeatUnknown(t.Context(), key("a")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if first, known := begin(t, s, key("a"), "r1", noon().Add(time.Second)); first || known.State != egress.RepeatUnknown {
			t.Fatalf("after an unknown outcome: first=%v, %+v", first, known)
		}
	}
}

func forgotten(t *testing.T, s egress.Idempotency) {
	begin(t, s, key("a"), "r1", noon())
	if err := s.ForgetRepeat(t.Context(), key("a")); err != nil {
		t.Fatal(err)
	}
	if first, _ := begin(t, s, key("a"), "r2", noon()); !first {
		t.Fatal("a call of which no byte was sent still stands in the way")
	}
}

func apart(t *testing.T, s egress.Idempotency) {
	base := key("a")
	begin(t, s, base, "r", noon())
	others := map[string]func(*egress.RepeatKey){
		"site":       func(k *egress.RepeatKey) { k.Site = "blog" },
		"connection": func(k *egress.RepeatKey) { k.Connection = "maps" },
		"operation":  func(k *egress.RepeatKey) { k.Operation = "create-charge" },
		"caller":     func(k *egress.RepeatKey) { k.Caller = "visit-1" },
		"key":        func(k *egress.RepeatKey) { k.KeyHash[31] = 1 },
	}
	for name, change := range others {
		k := base
		change(&k)
		if first, _ := begin(t, s, k, "r", noon()); !first {
			t.Errorf("a call with another %s was taken for a repeat", name)
		}
	}
}

func expired(t *testing.T, s egress.Idempotency) {
	begin(t, s, key("done"), "r", noon())
	begin(t, s, key("busy"), "r", noon())
	if err := s.FinishRepeat(t.Context(), key("done"), []byte("old"), noon().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	late := noon().Add(48 * time.Hour)
	if first, known := begin(t, s, key("busy"), "r", late); first || known.State != egress.RepeatInProgress {
		t.Errorf("a call in progress expired: first=%v, %+v", first, known)
	}
	if n, err := s.PurgeRepeats(t.Context(), noon().Add(time.Hour-time.Millisecond)); err != nil || n != 0 {
		t.Errorf("purge before expiry removed %d, %v", n, err)
	}
	if first, known := begin(t, s, key("done"), "r2", noon().Add(time.Hour)); !first || known.Sealed != nil {
		t.Errorf("an expired row still counts: first=%v, %+v", first, known)
	}
	if err := s.FinishRepeat(t.Context(), key("done"), []byte("new"), noon().Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.PurgeRepeats(t.Context(), late); err != nil || n != 1 {
		t.Errorf("purge removed %d, %v; want only the row that is done", n, err)
	}
}

func doneStays(t *testing.T, s egress.Idempotency) {
	ctx, k := t.Context(), key("a")
	check := func(when string) {
		t.Helper()
		if s.FinishRepeat(ctx, k, []byte("x"), noon()) == nil || s.MarkRepeatUnknown(ctx, k) == nil || s.ForgetRepeat(ctx, k) == nil {
			t.Errorf("%s: a call that has ended, or never began, was ended", when)
		}
	}
	check("no row")
	begin(t, s, k, "r", noon())
	if err := s.FinishRepeat(ctx, k, []byte("answer"), noon().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	check("done")
	if _, known := begin(t, s, k, "r", noon()); !bytes.Equal(known.Sealed, []byte("answer")) {
		t.Errorf("the answer was changed: %+v", known)
	}
}

// unknownEnds: a repeat of a call of unknown outcome, which the provider recognised, says
// how the call ended.
func unknownEnds(t *testing.T, s egress.Idempotency) {
	ctx := t.Context()
	for _, name := range []string{"done", "still unknown", "refused"} {
		begin(t, s, key(name), "r", noon())
		if err := s.MarkRepeatUnknown(ctx, key(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.FinishRepeat(ctx, key("done"), []byte("answer"), noon().Add(time.Hour)); err != nil {
		t.Fatalf("finish a call of unknown outcome: %v", err)
	}
	if first, known := begin(t, s, key("done"), "r", noon()); first || known.State != egress.RepeatDone || string(known.Sealed) != "answer" {
		t.Errorf("after its repeat ended: first=%v, %+v", first, known)
	}
	if err := s.MarkRepeatUnknown(ctx, key("still unknown")); err != nil {
		t.Fatalf("mark a call of unknown outcome: %v", err)
	}
	if first, known := begin(t, s, key("still unknown"), "r", noon()); first || known.State != egress.RepeatUnknown {
		t.Errorf("after its repeat ended unknown too: first=%v, %+v", first, known)
	}
	if err := s.ForgetRepeat(ctx, key("refused")); err != nil {
		t.Fatalf("forget a call of unknown outcome: %v", err)
	}
	if first, _ := begin(t, s, key("refused"), "r", noon()); !first {
		t.Error("a call that was forgotten still stands in the way")
	}
}

func parallel(t *testing.T, s egress.Idempotency) {
	ctx := context.WithoutCancel(t.Context())
	var firsts, others atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 100 {
		wg.Go(func() {
			<-start
			first, known, err := s.BeginRepeat(ctx, key("a"), want("r"), noon())
			switch {
			case err != nil:
				t.Errorf("BeginRepeat: %v", err)
			case first:
				firsts.Add(1)
			case known.State == egress.RepeatInProgress:
				others.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	if firsts.Load() != 1 || others.Load() != 99 {
		t.Errorf("%d calls were first and %d waited; want 1 and 99", firsts.Load(), others.Load())
	}
}
