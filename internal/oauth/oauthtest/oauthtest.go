// Package oauthtest is the conformance suite of oauth.TokenStore, for every store of tokens.
//
// A store that passes gives one lease at a time, lets only its holder save or extend, keeps
// pauses for everybody, and counts versions up. The suite does not look at what is sealed.
package oauthtest

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/oauth"
)

// TokenStore runs the suite over stores that open makes, empty, one for each test.
func TokenStore(t *testing.T, open func(t *testing.T) oauth.TokenStore) {
	for name, f := range map[string]func(t *testing.T, s oauth.TokenStore){
		"a token from lease to lease":           life,
		"one lease at a time":                   single,
		"a lease that ran out is taken over":    takenOver,
		"an extended lease lasts":               extended,
		"a pause is everybody's":                pause,
		"keys are apart, and deleted by theirs": apart,
		"purge":                                 purge,
		"one of many gets the lease":            race,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

var key = oauth.Key{Site: "shop", Connection: "payments", Name: "client-credentials"}

func lease(t *testing.T, s oauth.TokenStore, holder string, seen int64, d time.Duration) oauth.Record {
	t.Helper()
	r, err := s.LeaseToken(t.Context(), key, oauth.Lease{Holder: holder, Seen: seen, For: d})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func save(t *testing.T, s oauth.TokenStore, holder, bytes string) int64 {
	t.Helper()
	v, err := s.SaveToken(t.Context(), key, holder, oauth.Sealed{Bytes: []byte(bytes), Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func life(t *testing.T, s oauth.TokenStore) {
	if r := lease(t, s, "a", 0, time.Minute); !r.Granted || r.Version != 0 || r.Sealed != nil || r.Pause != (oauth.Pause{}) {
		t.Fatalf("the first lease: %+v", r)
	}
	if v := save(t, s, "a", "one"); v != 1 {
		t.Fatalf("the first version is %d", v)
	}
	if r := lease(t, s, "b", 0, time.Minute); r.Granted || r.Version != 1 || string(r.Sealed) != "one" {
		t.Fatalf("who has seen nothing: %+v; want the token and no lease", r)
	}
	if r := lease(t, s, "b", 1, time.Minute); !r.Granted || r.Version != 1 || string(r.Sealed) != "one" {
		t.Fatalf("who has seen it: %+v; want a lease", r)
	}
	if v := save(t, s, "b", "two"); v != 2 {
		t.Fatalf("the second version is %d", v)
	}
	if v := save(t, s, "b", "three"); v != 0 {
		t.Fatalf("a lease saved twice: version %d", v)
	}
	if r := lease(t, s, "c", 1, time.Minute); r.Granted || r.Version != 2 || string(r.Sealed) != "two" {
		t.Fatalf("after the second: %+v", r)
	}
	if r := lease(t, s, "c", 9, time.Minute); !r.Granted {
		t.Fatalf("who has seen more than there is (a store from a backup): %+v; want a lease", r)
	}
}

func single(t *testing.T, s oauth.TokenStore) {
	if !lease(t, s, "a", 0, time.Minute).Granted {
		t.Fatal("no lease")
	}
	if lease(t, s, "b", 0, time.Minute).Granted {
		t.Fatal("two leases at once")
	}
	if !lease(t, s, "a", 0, time.Minute).Granted {
		t.Fatal("its holder, who did not hear the answer, is refused")
	}
	for _, holder := range []string{"b", ""} {
		if v := save(t, s, holder, "stolen"); v != 0 {
			t.Fatalf("%q saved without a lease", holder)
		}
		if ok, err := s.ExtendLease(t.Context(), key, oauth.Lease{Holder: holder, For: time.Minute}); err != nil || ok {
			t.Fatalf("%q extended somebody's lease: %v", holder, err)
		}
		if err := s.ReleaseToken(t.Context(), key, holder, oauth.Pause{For: time.Minute, Failures: 9, Reason: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if v := save(t, s, "a", "own"); v != 1 {
		t.Fatalf("the holder could not save: version %d", v)
	}
}

func takenOver(t *testing.T, s oauth.TokenStore) {
	lease(t, s, "dead", 0, 30*time.Millisecond)
	time.Sleep(60 * time.Millisecond)
	if !lease(t, s, "b", 0, time.Minute).Granted {
		t.Fatal("a lease that ran out is still held")
	}
	if v := save(t, s, "dead", "late"); v != 0 {
		t.Fatal("who lost its lease could save")
	}
	if ok, err := s.ExtendLease(t.Context(), key, oauth.Lease{Holder: "dead", For: time.Minute}); err != nil || ok {
		t.Fatalf("who lost its lease could extend it: %v", err)
	}
	if v := save(t, s, "b", "good"); v != 1 {
		t.Fatalf("version %d", v)
	}
}

func extended(t *testing.T, s oauth.TokenStore) {
	lease(t, s, "a", 0, 500*time.Millisecond)
	if ok, err := s.ExtendLease(t.Context(), key, oauth.Lease{Holder: "a", For: time.Minute}); err != nil || !ok {
		t.Fatalf("extend: %v, %v", ok, err)
	}
	time.Sleep(600 * time.Millisecond)
	if lease(t, s, "b", 0, time.Minute).Granted {
		t.Fatal("an extended lease was given to another one")
	}
}

func pause(t *testing.T, s oauth.TokenStore) {
	lease(t, s, "a", 0, time.Minute)
	if err := s.ReleaseToken(t.Context(), key, "a", oauth.Pause{For: 400 * time.Millisecond, Failures: 3, Reason: "refused"}); err != nil {
		t.Fatal(err)
	}
	r := lease(t, s, "b", 0, time.Minute)
	if r.Granted || r.Pause.For <= 0 || r.Pause.For > 400*time.Millisecond || r.Pause.Failures != 3 || r.Pause.Reason != "refused" {
		t.Fatalf("in the pause: %+v", r)
	}
	time.Sleep(450 * time.Millisecond)
	if r = lease(t, s, "b", 0, time.Minute); !r.Granted || r.Pause.Failures != 3 {
		t.Fatalf("after the pause: %+v; the count stays until a token is saved", r)
	}
	save(t, s, "b", "good")
	if r = lease(t, s, "c", 1, time.Minute); !r.Granted || r.Pause != (oauth.Pause{}) {
		t.Fatalf("after a token: %+v", r)
	}
}

func apart(t *testing.T, s oauth.TokenStore) {
	keys := []oauth.Key{key, {Site: "shop", Connection: "payments", Name: "other"}, {Site: "shop", Connection: "messages", Name: key.Name}, {Site: "blog", Connection: "payments", Name: key.Name}}
	for i, k := range keys {
		if r, err := s.LeaseToken(t.Context(), k, oauth.Lease{Holder: "h", For: time.Minute}); err != nil || !r.Granted {
			t.Fatalf("%s: %+v, %v", k, r, err)
		}
		if v, err := s.SaveToken(t.Context(), k, "h", oauth.Sealed{Bytes: []byte(strconv.Itoa(i)), Expires: time.Now()}); err != nil || v != 1 {
			t.Fatalf("%s: version %d, %v", k, v, err)
		}
	}
	if r, err := s.LeaseToken(t.Context(), key, oauth.Lease{Holder: "late", Seen: 1, For: time.Minute}); err != nil || !r.Granted {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := s.DeleteTokens(t.Context(), "shop", "payments"); err != nil {
		t.Fatal(err)
	}
	for i, k := range keys {
		r, err := s.LeaseToken(t.Context(), k, oauth.Lease{Holder: "again", For: time.Minute})
		if gone := i < 2; err != nil || r.Granted != gone || !gone && string(r.Sealed) != strconv.Itoa(i) {
			t.Errorf("%s after the deletion: %+v, %v", k, r, err)
		}
	}
	if v := save(t, s, "late", "of before"); v != 0 {
		t.Error("a lease outlived the deletion: a token of before came back")
	}
}

func purge(t *testing.T, s oauth.TokenStore) {
	lease(t, s, "a", 0, time.Minute)
	save(t, s, "a", "one") // good for an hour
	for _, c := range []struct {
		before time.Time
		want   int
	}{{time.Now().Add(time.Minute), 0}, {time.Now().Add(2 * time.Hour), 1}} {
		if n, err := s.PurgeTokens(t.Context(), c.before); err != nil || n != c.want {
			t.Errorf("purge before %s: %d, %v; want %d", c.before, n, err, c.want)
		}
	}
	if r := lease(t, s, "b", 0, time.Minute); !r.Granted || r.Version != 0 {
		t.Errorf("after the purge: %+v", r)
	}
	if n, err := s.PurgeTokens(t.Context(), time.Now().Add(-time.Minute)); err != nil || n != 0 {
		t.Errorf("purge took a lease that somebody holds: %d, %v", n, err)
	}
}

func race(t *testing.T, s oauth.TokenStore) {
	for seen := range int64(3) {
		var granted atomic.Int64
		var holder atomic.Value
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				name := strconv.Itoa(i)
				r, err := s.LeaseToken(t.Context(), key, oauth.Lease{Holder: name, Seen: seen, For: time.Minute})
				if err != nil {
					t.Error(err)
				} else if r.Granted {
					granted.Add(1)
					holder.Store(name)
				}
			})
		}
		wg.Wait()
		if n := granted.Load(); n != 1 {
			t.Fatalf("round %d: %d leases", seen, n)
		}
		name, _ := holder.Load().(string)
		if v := save(t, s, name, "x"); v != seen+1 {
			t.Fatalf("round %d: version %d", seen, v)
		}
	}
}
