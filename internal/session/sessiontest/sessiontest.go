// Package sessiontest holds the conformance suites of the stores that session uses.
package sessiontest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/session"
)

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func signingKey(id, predecessor string, from time.Time) session.StoredSigningKey {
	return session.StoredSigningKey{
		ID: id, Public: ed25519.PublicKey(pad(id)), Sealed: []byte("sealed " + id),
		Predecessor: predecessor, CreatedAt: from.Add(-time.Hour), SignsFrom: from,
	}
}

func pad(s string) []byte {
	b := make([]byte, 32)
	copy(b, s)
	return b
}

// KeyStore runs the suite over stores that open makes, empty, one for each test.
func KeyStore(t *testing.T, open func(t *testing.T) session.KeyStore) {
	t.Run("list by turn, delete", func(t *testing.T) {
		s := open(t)
		a, b, c := signingKey("a", "", noon()), signingKey("b", "a", noon().Add(time.Hour)), signingKey("c", "b", noon().Add(2*time.Hour))
		for _, k := range []session.StoredSigningKey{c, a, b} {
			if err := s.CreateSigningKey(t.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
		expectKeys(t, s, a, b, c)
		for range 2 {
			if err := s.DeleteSigningKey(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}
		expectKeys(t, s, b, c)
	})
	t.Run("one id, one successor", func(t *testing.T) {
		s := open(t)
		first := signingKey("a", "", noon())
		if err := s.CreateSigningKey(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		for name, k := range map[string]session.StoredSigningKey{
			"id": signingKey("a", "x", noon()), "first": signingKey("b", "", noon()),
		} {
			if err := s.CreateSigningKey(t.Context(), k); !errors.Is(err, session.ErrKeyExists) {
				t.Errorf("a second key with the same %s: %v, want ErrKeyExists", name, err)
			}
		}
		expectKeys(t, s, first)
	})
	t.Run("one of eight at once", func(t *testing.T) {
		s, ctx := open(t), context.WithoutCancel(t.Context())
		var made atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				err := s.CreateSigningKey(ctx, signingKey(string(rune('a'+i)), "", noon()))
				if err == nil {
					made.Add(1)
				} else if !errors.Is(err, session.ErrKeyExists) {
					t.Errorf("CreateSigningKey: %v", err)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 {
			t.Errorf("%d first keys were made, want 1", made.Load())
		}
	})
}

func expectKeys(t *testing.T, s session.KeyStore, want ...session.StoredSigningKey) {
	t.Helper()
	got, err := s.ListSigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("signing keys (-want +got):\n%s", d)
	}
}

// RevocationStore runs the suite over stores that open makes, empty, one for each test.
func RevocationStore(t *testing.T, open func(t *testing.T) session.RevocationStore) {
	s, ctx := open(t), t.Context()
	for i, id := range []string{"a", "b", "c", "b"} {
		if err := s.CreateRevocation(ctx, session.Revocation{SessionID: id, Until: noon().Add(time.Duration(i) * time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(after int64, now time.Time) (out string, last int64) {
		list, err := s.ListRevocations(ctx, after, now)
		if err != nil {
			t.Fatal(err)
		}
		last = after
		for _, r := range list {
			if r.Seq <= last {
				t.Errorf("Seq %d after %d: not in order", r.Seq, last)
			}
			out, last = out+r.SessionID, r.Seq
		}
		return out, last
	}
	got, last := ids(0, noon().Add(-time.Minute))
	if got != "abc" {
		t.Errorf("all revocations: %q, want abc", got)
	}
	if got, _ := ids(0, noon()); got != "bc" {
		t.Errorf("those that matter at noon: %q, want bc", got)
	}
	if err := s.CreateRevocation(ctx, session.Revocation{SessionID: "d", Until: noon().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	got, last = ids(last, noon())
	if got != "d" {
		t.Errorf("those after the last: %q, want d", got)
	}
	if n, err := s.PurgeRevocations(ctx, noon().Add(2*time.Hour)); err != nil || n != 4 {
		t.Errorf("purge removed %d, %v; want 4", n, err)
	}
	if err := s.CreateRevocation(ctx, session.Revocation{SessionID: "e", Until: noon().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if got, _ := ids(last, noon()); got != "e" {
		t.Errorf("after a purge Seq went back: %q, want e", got)
	}
}
