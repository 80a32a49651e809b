// Package logintest is the conformance suite of login.Store, for stores.
package logintest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"sallyport/internal/login"
)

func at(n int) time.Time { return time.Unix(1_700_000_000+int64(n), 0) }

func one(site, subject string, n int) login.Stored {
	return login.Stored{ID: fmt.Sprintf("id-%s-%s-%d", site, subject, n), Site: site, Connection: "google", Subject: subject, Sealed: []byte{1, 2, byte(n)}, Begun: at(n), Ends: at(n + 1000)}
}

// Store runs the suite; each call of open gives an empty store.
func Store(t *testing.T, open func(t *testing.T) login.Store) {
	t.Run("keeps and removes", func(t *testing.T) { keeps(t, open(t)) })
	t.Run("keeps the newest of a person", func(t *testing.T) { newest(t, open(t)) })
	t.Run("forgets", func(t *testing.T) { forgets(t, open(t)) })
	t.Run("one key of pseudonyms", func(t *testing.T) { oneKey(t, open(t)) })
}

func create(t *testing.T, s login.Store, l login.Stored) []string {
	t.Helper()
	dropped, err := s.CreateLogin(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return dropped
}

func has(t *testing.T, s login.Store, l login.Stored, want bool) {
	t.Helper()
	got, ok, err := s.FindLogin(t.Context(), l.Site, l.ID)
	if err != nil || ok != want {
		t.Fatalf("%s: found %t, %v; want %t", l.ID, ok, err, want)
	}
	if ok && (got.Subject != l.Subject || got.Connection != l.Connection || !bytes.Equal(got.Sealed, l.Sealed) || !got.Begun.Equal(l.Begun) || !got.Ends.Equal(l.Ends) || got.ID != l.ID || got.Site != l.Site) {
		t.Errorf("found %+v, stored %+v", got, l)
	}
}

func keeps(t *testing.T, s login.Store) {
	a, b := one("shop", "ada", 1), one("blog", "ada", 1)
	create(t, s, a)
	create(t, s, b)
	has(t, s, a, true)
	has(t, s, b, true)
	if _, ok, err := s.FindLogin(t.Context(), "blog", a.ID); ok || err != nil {
		t.Errorf("another site finds it: %t, %v", ok, err)
	}
	if was, err := s.DeleteLogin(t.Context(), "blog", a.ID); was || err != nil {
		t.Errorf("another site removes it: %t, %v", was, err)
	}
	for _, want := range []bool{true, false} {
		if was, err := s.DeleteLogin(t.Context(), "shop", a.ID); was != want || err != nil {
			t.Errorf("removed %t, %v; want %t", was, err, want)
		}
	}
	has(t, s, a, false)
	has(t, s, b, true)
}

func newest(t *testing.T, s login.Store) {
	other := one("shop", "bob", 0)
	create(t, s, other)
	for n := range login.MaxPerSubject {
		if dropped := create(t, s, one("shop", "ada", n)); len(dropped) != 0 {
			t.Fatalf("the %dth dropped %v", n+1, dropped)
		}
	}
	oldest := one("shop", "ada", 0)
	if dropped := create(t, s, one("shop", "ada", login.MaxPerSubject)); !slices.Equal(dropped, []string{oldest.ID}) {
		t.Errorf("dropped %v, not the oldest", dropped)
	}
	has(t, s, oldest, false)
	has(t, s, one("shop", "ada", 1), true)
	has(t, s, other, true)
}

func forgets(t *testing.T, s login.Store) {
	all := []login.Stored{one("shop", "ada", 1), one("shop", "ada", 2), one("shop", "bob", 3), one("blog", "ada", 4)}
	for _, l := range all {
		create(t, s, l)
	}
	ids, err := s.DeleteLoginsOf(t.Context(), "shop", "ada")
	slices.Sort(ids)
	if err != nil || !slices.Equal(ids, []string{all[0].ID, all[1].ID}) {
		t.Fatalf("removed %v, %v", ids, err)
	}
	has(t, s, all[0], false)
	has(t, s, all[2], true)
	has(t, s, all[3], true)
	if n, err := s.PurgeLogins(t.Context(), at(1003)); n != 1 || err != nil {
		t.Errorf("purged %d, %v; want the one that has ended", n, err)
	}
	has(t, s, all[2], false)
	has(t, s, all[3], true)
}

func oneKey(t *testing.T, s login.Store) {
	first, err := s.SubjectKey(t.Context(), "shop", []byte("first"))
	if err != nil || string(first) != "first" {
		t.Fatalf("%q, %v", first, err)
	}
	again, err := s.SubjectKey(t.Context(), "shop", []byte("second"))
	if err != nil || string(again) != "first" {
		t.Errorf("the key changed: %q, %v", again, err)
	}
	if other, err := s.SubjectKey(t.Context(), "blog", []byte("third")); err != nil || string(other) != "third" {
		t.Errorf("another site: %q, %v", other, err)
	}
}
