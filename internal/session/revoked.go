package session

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/problem"
)

const (
	// maxRevoked bounds the set of ended visits. Each costs a minted session, which is
	// limited per prefix and per site, and is gone after MaxTTL.
	maxRevoked = 1 << 18

	revocationPoll  = 500 * time.Millisecond
	revocationPurge = time.Minute
)

// revoked is the set of visits that ended early.
type revoked struct {
	count atomic.Int64 // lets the usual case, none, skip the lock
	mu    sync.RWMutex
	until map[string]time.Time
	seq   int64                                // the last one read from the store
	sites atomic.Pointer[map[string]time.Time] // sites whose visits were ended, and when
}

func (r *revoked) has(id string) bool {
	if r.count.Load() == 0 {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.until[id]
	return ok
}

// add refuses, rather than forgets, when the set is full.
func (r *revoked) add(id string, until time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.until[id]; !ok && len(r.until) >= maxRevoked {
		p := problem.New(problem.Overloaded, "too many sessions were ended in the last minutes")
		p.RetryAfter = time.Minute
		return p
	}
	if r.until == nil {
		r.until = make(map[string]time.Time)
	}
	r.until[id] = until
	r.count.Store(int64(len(r.until)))
	return nil
}

func (r *revoked) purge(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, until := range r.until {
		if !now.Before(until) {
			delete(r.until, id)
		}
	}
	r.count.Store(int64(len(r.until)))
}

// Sync takes over the revocations that other processes stored before it is called.
func (v *Verifier) Sync(ctx context.Context) error {
	v.syncing.Lock()
	defer v.syncing.Unlock()
	list, err := v.o.Store.ListRevocations(ctx, v.revoked.seq, v.o.Now())
	if err != nil {
		return fmt.Errorf("list revocations: %w", err)
	}
	for _, r := range list {
		known, err := v.mark(ctx, r)
		if err != nil {
			return err
		}
		if known {
			v.revoked.seq = max(v.revoked.seq, r.Seq)
			continue
		}
		if err := v.revoked.add(r.SessionID, r.Until); err != nil {
			return err
		}
		v.revoked.seq = max(v.revoked.seq, r.Seq)
	}
	return nil
}

// Run takes over revocations of other processes twice a second and purges those that no
// longer matter, until ctx ends; then it returns nil. It is called once. While the store
// cannot be read, what is known stays in force, and that is logged once per outage.
func (v *Verifier) Run(ctx context.Context) error {
	poll, purge := time.NewTicker(revocationPoll), time.NewTicker(revocationPurge)
	defer poll.Stop()
	defer purge.Stop()
	failing := false
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
			err = v.Sync(ctx)
		case <-purge.C:
			v.revoked.purge(v.o.Now())
			_, err = v.o.Store.PurgeRevocations(ctx, v.o.Now())
		}
		if err != nil && !failing && ctx.Err() == nil {
			v.o.Log.ErrorContext(ctx, "ended sessions of other nodes are not known", "error", err)
		}
		failing = err != nil
	}
}
