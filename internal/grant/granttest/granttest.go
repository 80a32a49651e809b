// Package granttest is the conformance suite of grant.Store, for stores.
package granttest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"sallyport/internal/grant"
)

var ada = grant.Key{Site: "shop", Connection: "calendar", Subject: "ada"}

// Store runs the suite; each call of open gives an empty store.
func Store(t *testing.T, open func(t *testing.T) grant.Store) {
	t.Run("keeps and removes", func(t *testing.T) { keeps(t, open(t)) })
	t.Run("one lease at a time", func(t *testing.T) { leases(t, open(t)) })
	t.Run("who lost the lease saves nothing", func(t *testing.T) { fences(t, open(t)) })
	t.Run("a grant that ended", func(t *testing.T) { ends(t, open(t)) })
	t.Run("many ask at once", func(t *testing.T) { rush(t, open(t)) })
}

func put(t *testing.T, s grant.Store, k grant.Key, sealed string) {
	t.Helper()
	if err := s.PutGrant(t.Context(), grant.Stored{Key: k, Sealed: []byte(sealed), Begun: time.Unix(1_700_000_000, 0)}); err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, s grant.Store, k grant.Key, version int64, sealed string) {
	t.Helper()
	g, ok, err := s.FindGrant(t.Context(), k)
	if err != nil || !ok {
		t.Fatalf("%v: found %t, %v", k, ok, err)
	}
	if g.Key != k || g.Version != version || !bytes.Equal(g.Sealed, []byte(sealed)) || g.Ended != (sealed == "") || !g.Begun.Equal(time.Unix(1_700_000_000, 0)) {
		t.Errorf("found %+v, want version %d of %q", g, version, sealed)
	}
}

func keeps(t *testing.T, s grant.Store) {
	others := []grant.Key{{Site: "blog", Connection: "calendar", Subject: "ada"}, {Site: "shop", Connection: "mail", Subject: "ada"}, {Site: "shop", Connection: "calendar", Subject: "bob"}}
	put(t, s, ada, "one")
	for _, k := range others {
		if _, ok, err := s.FindGrant(t.Context(), k); ok || err != nil {
			t.Errorf("%v: found %t, %v", k, ok, err)
		}
		put(t, s, k, "other")
	}
	has(t, s, ada, 1, "one")
	put(t, s, ada, "two")
	has(t, s, ada, 2, "two")
	all, err := s.ListGrants(t.Context(), "shop", "ada")
	if err != nil || len(all) != 2 || all[0].Connection != "calendar" || all[1].Connection != "mail" || string(all[0].Sealed) != "two" {
		t.Errorf("listed %+v, %v", all, err)
	}
	g, was, err := s.DeleteGrant(t.Context(), ada)
	if err != nil || !was || string(g.Sealed) != "two" || g.Key != ada {
		t.Errorf("deleted %+v, %t, %v", g, was, err)
	}
	if _, was, err := s.DeleteGrant(t.Context(), ada); was || err != nil {
		t.Errorf("deleted again: %t, %v", was, err)
	}
	for _, k := range others {
		has(t, s, k, 1, "other")
	}
}

func lease(t *testing.T, s grant.Store, holder string, seen int64, life time.Duration) (found, granted bool) {
	t.Helper()
	g, found, granted, err := s.LeaseGrant(t.Context(), ada, grant.Lease{Holder: holder, Seen: seen, For: life})
	if err != nil {
		t.Fatal(err)
	}
	if found && g.Key != ada {
		t.Errorf("leased %+v", g)
	}
	return found, granted
}

func want(t *testing.T, what string, got, want bool) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %t, want %t", what, got, want)
	}
}

func leases(t *testing.T, s grant.Store) {
	found, granted := lease(t, s, "a", 0, time.Minute)
	want(t, "a grant that is not there is found", found, false)
	want(t, "and leased", granted, false)
	put(t, s, ada, "one")
	_, granted = lease(t, s, "a", 0, time.Minute)
	want(t, "another version is leased", granted, false)
	_, granted = lease(t, s, "a", 1, 300*time.Millisecond)
	want(t, "the first is let", granted, true)
	_, granted = lease(t, s, "b", 1, 300*time.Millisecond)
	want(t, "the second is let", granted, false)
	still, err := s.ExtendGrantLease(t.Context(), ada, grant.Lease{Holder: "a", For: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "the holder extends", still, true)
	if still, err = s.ExtendGrantLease(t.Context(), ada, grant.Lease{Holder: "b", For: time.Minute}); err != nil {
		t.Fatal(err)
	}
	want(t, "somebody else extends", still, false)
	if err := s.ReleaseGrant(t.Context(), ada, "b"); err != nil {
		t.Fatal(err)
	}
	_, granted = lease(t, s, "b", 1, time.Minute)
	want(t, "let after somebody else's release", granted, false)
	if err := s.ReleaseGrant(t.Context(), ada, "a"); err != nil {
		t.Fatal(err)
	}
	_, granted = lease(t, s, "b", 1, 30*time.Millisecond)
	want(t, "let after the release", granted, true)
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) { // the store's clock is not ours to turn
		if _, granted = lease(t, s, "c", 1, 30*time.Millisecond); granted {
			break
		}
		if time.Since(begun) > 5*time.Second {
			t.Fatal("a lease does not end")
		}
	}
}

func save(t *testing.T, s grant.Store, holder, sealed string, ended bool) bool {
	t.Helper()
	ok, err := s.SaveGrant(t.Context(), ada, holder, []byte(sealed), ended)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func fences(t *testing.T, s grant.Store) {
	put(t, s, ada, "one")
	lease(t, s, "a", 1, time.Minute)
	want(t, "somebody without the lease saves", save(t, s, "b", "forged", false), false)
	want(t, "nobody saves", save(t, s, "", "forged", false), false)
	want(t, "the holder saves", save(t, s, "a", "two", false), true)
	has(t, s, ada, 2, "two")
	want(t, "the holder saves again", save(t, s, "a", "forged", false), false)
	_, granted := lease(t, s, "b", 1, time.Minute)
	want(t, "the old version is leased", granted, false)
	lease(t, s, "b", 2, time.Minute)
	put(t, s, ada, "connected anew")
	want(t, "who renewed the grant before saves", save(t, s, "b", "stale", false), false)
	has(t, s, ada, 3, "connected anew")
	lease(t, s, "c", 3, time.Minute)
	if _, _, err := s.DeleteGrant(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	want(t, "who renewed a deleted grant saves", save(t, s, "c", "undead", false), false)
	if _, ok, _ := s.FindGrant(t.Context(), ada); ok {
		t.Error("a deleted grant came back")
	}
}

func ends(t *testing.T, s grant.Store) {
	put(t, s, ada, "one")
	lease(t, s, "a", 1, time.Minute)
	want(t, "the holder ends it", save(t, s, "a", "what is over", true), true)
	has(t, s, ada, 2, "")
	_, granted := lease(t, s, "b", 2, time.Minute)
	want(t, "what has ended is renewed", granted, false)
	put(t, s, ada, "again")
	has(t, s, ada, 3, "again")
}

func rush(t *testing.T, s grant.Store) {
	put(t, s, ada, "one")
	var work sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for n := range 12 {
		work.Go(func() {
			_, _, granted, err := s.LeaseGrant(t.Context(), ada, grant.Lease{Holder: fmt.Sprint("h", n), Seen: 1, For: time.Minute})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if granted {
				won++
			}
		})
	}
	work.Wait()
	if won != 1 {
		t.Errorf("%d of 12 were let", won)
	}
}
