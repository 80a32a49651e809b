package jws

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The timetable of key sets that others publish.
const (
	// minFresh is how long a set is not fetched again, whatever a token's kid says.
	minFresh = time.Minute
	// usualFresh is how long a set counts as new that says nothing of it.
	usualFresh = 10 * time.Minute
	// maxFresh is the longest that a set counts as new, whatever its headers say.
	maxFresh = 24 * time.Hour
	// maxStale is how long a set goes on to count that cannot be fetched again.
	maxStale = time.Hour

	fetchTime = 15 * time.Second
)

// RemoteOptions are what a Remote needs. Fetch and Now are required.
type RemoteOptions struct {
	// Fetch gets the document, and for how long it may be kept (0: it does not say). It is
	// bounded in size and goes where the caller's configuration says, never where a token does.
	Fetch  func(ctx context.Context) (raw []byte, fresh time.Duration, err error)
	Accept Accept
	Now    func() time.Time
}

// Remote is a JWK set that somebody else publishes and rotates. It is fetched when it is
// first needed, when it is no longer new, and at most once a minute because a token names a
// kid that is not in it. Any number of callers share one fetch. While it cannot be fetched
// the last set counts for an hour. Safe for concurrent use.
type Remote struct {
	o RemoteOptions

	mu      sync.Mutex
	set     *Set
	tried   time.Time // the last fetch, whatever came of it
	fresh   time.Time // until then the set is new
	flight  chan struct{}
	lastErr error
}

// NewRemote makes a Remote; it fetches nothing yet.
func NewRemote(o RemoteOptions) (*Remote, error) {
	if o.Fetch == nil || o.Now == nil {
		return nil, errors.New("make remote key set: fetch and clock are required")
	}
	return &Remote{o: o}, nil
}

// FindKey implements KeyFinder.
func (r *Remote) FindKey(ctx context.Context, kid string) (Key, bool, error) {
	r.mu.Lock()
	now := r.o.Now()
	k, ok := r.set.Find(kid)
	isNew := r.set != nil && now.Before(r.fresh)
	if ok && isNew || r.set != nil && isNew && !r.mayTry(now) {
		r.mu.Unlock()
		return k, ok, nil
	}
	if r.flight == nil {
		if !r.mayTry(now) {
			defer r.mu.Unlock()
			return r.after(kid, now)
		}
		r.begin(context.WithoutCancel(ctx), now)
	}
	flight := r.flight
	r.mu.Unlock()
	select {
	case <-ctx.Done():
		return Key{}, false, ctx.Err()
	case <-flight:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.after(kid, r.o.Now())
}

// mayTry keeps fetches a minute apart, or what a stranger writes into a kid would be
// traffic for somebody else. A clock that stepped back does not hold them up.
func (r *Remote) mayTry(now time.Time) bool {
	return r.tried.IsZero() || now.Sub(r.tried) >= minFresh || now.Before(r.tried)
}

// begin starts a fetch that outlives the caller who asked first.
func (r *Remote) begin(ctx context.Context, now time.Time) {
	flight := make(chan struct{})
	r.flight, r.tried = flight, now
	go func() {
		ctx, cancel := context.WithTimeout(ctx, fetchTime)
		defer cancel()
		raw, fresh, err := r.o.Fetch(ctx)
		var set *Set
		if err == nil {
			set, err = ParseSet(raw, r.o.Accept)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.lastErr = err; err == nil {
			if fresh == 0 {
				fresh = usualFresh
			}
			r.set, r.fresh = set, r.o.Now().Add(min(max(fresh, minFresh), maxFresh))
		}
		r.flight = nil
		close(flight)
	}()
}

// after answers from what is known once a fetch was tried.
func (r *Remote) after(kid string, now time.Time) (Key, bool, error) {
	if r.set == nil || !now.Before(r.fresh.Add(maxStale)) {
		return Key{}, false, fmt.Errorf("fetch key set: %w", errors.Join(errors.New("there is none that still counts"), r.lastErr))
	}
	k, ok := r.set.Find(kid)
	return k, ok, nil
}
