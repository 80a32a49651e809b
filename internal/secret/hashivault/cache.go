package hashivault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"sallyport/internal/secret"
)

const (
	// retryFirst and retryMost are how long after a failure a secret is asked for again.
	retryFirst = time.Second
	retryMost  = 5 * time.Second
	// keptUnused is how long a secret that nobody reads is kept fresh.
	keptUnused = 24 * time.Hour
	// anewAfter keeps callers that want a new value from asking Vault each.
	anewAfter = time.Second
)

// entry is what is known of a secret. Its fields are guarded by Source.mu.
type entry struct {
	name    Name
	fields  map[string]secret.Value // nil: none, or their time has ended
	lease   lease
	version version   // of KV v2
	read    time.Time // when Vault gave them
	until   time.Time // they are given out before this
	ahead   time.Time // they are read anew from here on
	used    time.Time

	err      error // of the last try, where that failed
	failures int
	nextTry  time.Time
	flight   chan struct{} // closed when the request that is under way has ended
}

// fields gives a secret's fields: from memory where they are good, else from Vault.
func (s *Source) fields(ctx context.Context, n Name) (map[string]secret.Value, error) {
	s.mu.Lock()
	e, err := s.entry(n)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	now := s.o.Now()
	e.used = now
	if fields := s.good(e, now); fields != nil && (!secret.WantsAnew(ctx) || now.Sub(e.read) < anewAfter || now.Before(e.nextTry)) {
		if !now.Before(e.ahead) {
			s.start(e, now)
		}
		s.mu.Unlock()
		return fields, nil
	}
	if e.flight == nil && e.err != nil && now.Before(e.nextTry) {
		err := e.err
		s.mu.Unlock()
		return nil, err
	}
	done := s.start(e, now)
	s.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		return nil, s.failure(ctx, n.key(), context.Cause(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if fields := s.good(e, s.o.Now()); fields != nil {
		return fields, nil
	}
	if e.err == nil {
		return nil, &Failure{Kind: Unusable, Text: "the time of " + n.key() + " in Vault ended as soon as it was read"}
	}
	return nil, e.err
}

// good gives the fields while their time lasts; afterwards they are forgotten, and somebody
// hears of it. mu is held.
func (s *Source) good(e *entry, now time.Time) map[string]secret.Value {
	if e.fields != nil && !now.Before(e.until) {
		e.fields = nil
		key := e.name.key()
		s.ring(key, Trouble{Kind: Closed, Path: key,
			Text: "the last good value of " + key + " has passed its TTL: calls that need it are refused until Vault gives it again"}, now)
	}
	return e.fields
}

// entry finds or makes the entry of a name; mu is held.
func (s *Source) entry(n Name) (*entry, error) {
	key := n.key()
	if e, ok := s.entries[key]; ok {
		return e, nil
	}
	if len(s.entries) >= maxEntries {
		s.forgetUnused(s.o.Now().Add(-time.Hour))
	}
	if len(s.entries) >= maxEntries {
		return nil, fmt.Errorf("more than %d secrets of Vault are in use", maxEntries)
	}
	e := &entry{name: n}
	s.entries[key] = e
	return e, nil
}

// forgetUnused drops secrets that nobody has read since then; mu is held.
func (s *Source) forgetUnused(since time.Time) {
	for key, e := range s.entries {
		if e.flight == nil && e.used.Before(since) {
			delete(s.entries, key)
			s.settle(key)
		}
	}
}

// start asks Vault for a secret, unless that is being done; mu is held. What it returns is
// closed at the end. After Close nothing is asked any more.
func (s *Source) start(e *entry, now time.Time) <-chan struct{} {
	if e.flight != nil {
		return e.flight
	}
	done := make(chan struct{})
	if s.ctx.Err() != nil {
		e.err = errors.New("the gate is ending")
		close(done)
		return done
	}
	if e.err != nil && now.Before(e.nextTry) {
		close(done)
		return done
	}
	e.flight = done
	old := e.lease
	if s.good(e, now) == nil || !old.renewable || old.id == "" {
		old = lease{}
	}
	s.work.Go(func() {
		got, err := s.obtain(old, e.name)
		s.finish(e, got, err)
		close(done)
	})
	return done
}

// obtain renews the lease that a secret has, or reads the secret. Where a lease can be
// renewed no more, or for much less than at first, reading makes a new one.
func (s *Source) obtain(old lease, n Name) (answer, error) {
	ctx, cancel := context.WithTimeout(s.ctx, 3*s.o.Timeout)
	defer cancel()
	if old.id != "" {
		l, err := s.renewLease(ctx, old)
		if err == nil && l.lasts > old.lasts/3 {
			l.lasts = min(l.lasts, old.lasts)
			return answer{lease: l}, nil
		}
		if err != nil && !refusal(err, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound) {
			return answer{}, err
		}
	}
	return s.fetch(ctx, n)
}

// finish notes what became of a request.
func (s *Source) finish(e *entry, got answer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.flight = nil
	now := s.o.Now()
	if err == nil && got.fields == nil && s.good(e, now) == nil {
		err = &Failure{Kind: Slow, Text: "the lease of " + e.name.key() + " in Vault ended while it was being renewed"}
	}
	if err != nil {
		if s.ctx.Err() != nil {
			e.err = err
			return
		}
		e.err, e.failures = err, e.failures+1
		e.nextTry = now.Add(min(retryFirst<<min(e.failures-1, 8), retryMost))
		s.report(e, err, now)
		return
	}
	if got.fields != nil {
		e.fields, e.version = got.fields, got.version
	}
	e.lease, e.err, e.failures, e.nextTry = got.lease, nil, 0, time.Time{}
	ttl := s.o.TTL
	switch l := got.lease; {
	case l.id != "" && l.lasts > 0:
		ttl = l.lasts
	case l.lasts > 0: // KV v1 with a ttl of its own
		ttl = min(ttl, l.lasts)
	}
	e.read, e.until = now, now.Add(ttl)
	e.ahead = now.Add(jitter(ttl / 2))
	s.settle(e.name.key())
	s.settle("")
}

// jitter takes up to a fifth off, so that secrets read together are not read together for ever.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/5+1) }
