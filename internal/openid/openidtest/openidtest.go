// Package openidtest holds the conformance suite of the store that openid uses.
package openidtest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/openid"
)

func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

func key(id, predecessor string, from time.Time) openid.StoredKey {
	return openid.StoredKey{ID: id, Sealed: []byte("sealed " + id), Predecessor: predecessor, CreatedAt: from.Add(-time.Hour), SignsFrom: from}
}

// KeyStore runs the suite over stores that open makes, empty, one for each test.
func KeyStore(t *testing.T, open func(t *testing.T) openid.KeyStore) {
	t.Run("listed by turn, deleted twice", func(t *testing.T) {
		s := open(t)
		expect(t, s)
		a, b, c := key("a", "", noon()), key("b", "a", noon().Add(time.Hour)), key("c", "b", noon().Add(2*time.Hour))
		for _, k := range []openid.StoredKey{c, a, b} {
			if err := s.CreateOpenIDKey(t.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, s, a, b, c)
		for range 2 {
			if err := s.DeleteOpenIDKey(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, s, b, c)
	})
	t.Run("one id, one successor", func(t *testing.T) {
		s := open(t)
		first := key("a", "", noon())
		if err := s.CreateOpenIDKey(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		for name, k := range map[string]openid.StoredKey{"id": key("a", "x", noon()), "first": key("b", "", noon())} {
			if err := s.CreateOpenIDKey(t.Context(), k); !errors.Is(err, openid.ErrKeyExists) {
				t.Errorf("the same %s again: %v", name, err)
			}
		}
		expect(t, s, first)
	})
	t.Run("of many at once, one is made", func(t *testing.T) {
		s := open(t)
		var made atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				err := s.CreateOpenIDKey(t.Context(), key(string(rune('a'+i)), "", noon()))
				switch {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, openid.ErrKeyExists):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := made.Load(); n != 1 {
			t.Errorf("%d were made", n)
		}
	})
}

func expect(t *testing.T, s openid.KeyStore, want ...openid.StoredKey) {
	t.Helper()
	got, err := s.ListOpenIDKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Transformer("UTC", func(t time.Time) time.Time { return t.UTC() })); diff != "" {
		t.Error(diff)
	}
}
