package jws_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/jws"
)

// publisher is somebody else's key set, as a test wants it.
type publisher struct {
	mu      sync.Mutex
	doc     string
	err     error
	fresh   time.Duration
	fetches atomic.Int64
}

func (p *publisher) fetch(ctx context.Context) ([]byte, time.Duration, error) {
	p.fetches.Add(1)
	select { // a set takes its time to come
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	case <-time.After(100 * time.Millisecond):
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return []byte(p.doc), p.fresh, p.err
}

func (p *publisher) set(doc string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doc, p.err = doc, err
}

func find(t *testing.T, r *jws.Remote, kid string, wantKey, wantErr bool) {
	t.Helper()
	_, ok, err := r.FindKey(t.Context(), kid)
	if ok != wantKey || (err != nil) != wantErr {
		t.Errorf("key %s: found %t, error %v; want found %t, an error %t", kid, ok, err, wantKey, wantErr)
	}
}

func TestRemoteFollowsRotation(t *testing.T) {
	s := newSigner(t)
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{doc: string(s.doc), fresh: time.Hour}
		r, err := jws.NewRemote(jws.RemoteOptions{Fetch: p.fetch, Accept: jws.Accept{RSA: jws.RS256}, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 100 { // one fetch for all
			all.Go(func() { find(t, r, "one", true, false) })
		}
		all.Wait()
		for range 50 { // kids of strangers within the minute: no fetch
			find(t, r, "../../etc/passwd", false, false)
		}
		if n := p.fetches.Load(); n != 1 {
			t.Fatalf("%d fetches, not 1", n)
		}
		p.set(strings.Replace(string(s.doc), "one", "two", 1), nil)
		time.Sleep(61 * time.Second)
		find(t, r, "two", true, false) // rotated: one fetch, long before the hour is over
		find(t, r, "one", false, false)
		find(t, r, "three", false, false)
		if n := p.fetches.Load(); n != 2 {
			t.Fatalf("%d fetches, not 2", n)
		}
	})
}

func TestRemoteThatCannotBeFetched(t *testing.T) {
	s := newSigner(t)
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{doc: "{}", fresh: 5 * time.Minute}
		r, err := jws.NewRemote(jws.RemoteOptions{Fetch: p.fetch, Accept: jws.Accept{RSA: jws.RS256}, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		find(t, r, "one", false, true) // never a set: nobody knows
		find(t, r, "one", false, true)
		if n := p.fetches.Load(); n != 1 {
			t.Fatalf("%d fetches within a minute, not 1", n)
		}
		p.set(string(s.doc), nil)
		time.Sleep(2 * time.Minute)
		find(t, r, "one", true, false)
		p.set("", errors.New("away"))
		time.Sleep(64 * time.Minute)
		find(t, r, "one", true, false) // old, but not an hour too old
		time.Sleep(2 * time.Minute)
		find(t, r, "one", false, true)
	})
}

func TestRemoteCallerWhoLeaves(t *testing.T) {
	s := newSigner(t)
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{doc: string(s.doc)}
		r, err := jws.NewRemote(jws.RemoteOptions{Fetch: p.fetch, Accept: jws.Accept{RSA: jws.RS256}, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, _, err := r.FindKey(ctx, "one"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who left was told %v", err)
		}
		find(t, r, "one", true, false) // the fetch went on
		if n := p.fetches.Load(); n != 1 {
			t.Errorf("%d fetches, not 1", n)
		}
	})
}
