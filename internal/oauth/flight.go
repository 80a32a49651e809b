package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"sallyport/internal/secret"
)

// none is the empty value.
var none = secret.Value{}

// errFenced: this process lost its lease while it asked, and somebody else goes on.
var errFenced = errors.New("another process asks for the token now")

// paused is a failure that is known already, of this process or another one.
type paused struct {
	Pause
	err error
}

func (p *paused) Error() string {
	if p.err != nil {
		return p.err.Error()
	}
	return fmt.Sprintf("token: %s: nobody asks again for %s", p.Reason, p.For)
}

func (p *paused) Unwrap() error { return p.err }

// pauseOf is how long to leave it after an error of obtain.
func pauseOf(err error) Pause {
	var p *paused
	if errors.As(err, &p) {
		return p.Pause
	}
	return Pause{For: firstPause, Failures: 1, Reason: ReasonFailed}
}

// obtain brings a token that is newer than seen: from the store where another process put it,
// or from the provider, where this process is the one that asks.
func (k *Keeper) obtain(ctx context.Context, key Key, s Source, seen int64) (held, error) {
	origin, err := s.Origin(ctx)
	if err != nil {
		f := faultOf(err)
		return held{}, &paused{Pause: Pause{For: f.pauseAfter(0), Reason: f.Reason}, err: f}
	}
	for {
		lease := Lease{Holder: rand.Text(), Seen: seen, For: leaseTime}
		r, err := k.o.Store.LeaseToken(ctx, key, lease)
		switch {
		case err != nil:
			return held{}, &paused{Pause: Pause{For: firstPause, Reason: ReasonFailed}, err: err}
		case r.Granted:
			t, err := k.fetch(ctx, key, s, lease, r.Pause.Failures)
			if !errors.Is(err, errFenced) {
				return t, err
			}
		case r.Version > seen:
			if t, ok := k.open(ctx, key, r, origin); ok {
				return t, nil
			}
			seen = r.Version
		case r.Pause.For > 0:
			return held{}, &paused{Pause: r.Pause}
		default:
			if err := rest(ctx, pollEvery/2+mathrand.N(pollEvery)); err != nil {
				return held{}, &paused{Pause: Pause{For: firstPause, Reason: ReasonUnreachable}, err: err}
			}
		}
	}
}

// open reads what another process saved. What does not open, or is of another account, or is
// over, is as good as nothing.
func (k *Keeper) open(ctx context.Context, key Key, r Record, origin Origin) (held, bool) {
	plain, err := k.o.Sealer.Open(ctx, key.Site, key.purpose(), r.Sealed)
	if err != nil {
		k.o.Log.Warn("a stored access token does not open; the gate asks for a new one", "site", key.Site, "connection", key.Connection, "name", key.Name, "error", err)
		return held{}, false
	}
	defer clear(plain)
	t, err := decodeToken(plain)
	if err != nil || t.Origin.Account != origin.Account || !t.usable(k.o.Now()) {
		return held{}, false
	}
	return held{Token: t, version: r.Version}, true
}

// fetch asks the provider, while the lease is kept.
func (k *Keeper) fetch(ctx context.Context, key Key, s Source, lease Lease, failures int) (held, error) {
	stop := k.keepLease(ctx, key, lease)
	t, err := s.Fetch(ctx, k.o.Now)
	stop()
	// The lease is ended or the token saved also where the gate is being stopped meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime)
	defer cancel()
	if err != nil {
		f := faultOf(err)
		return held{}, k.giveUp(ctx, key, lease, f, failures)
	}
	version, err := k.save(ctx, key, lease, t)
	switch {
	case err != nil:
		// The provider gave it, so it is used; other processes ask for their own.
		k.o.Log.Warn("an access token was not stored", "site", key.Site, "connection", key.Connection, "name", key.Name, "error", err)
		return held{Token: t, version: lease.Seen}, nil
	case version == 0:
		return held{}, errFenced
	}
	k.o.Log.Info("access token", "site", key.Site, "connection", key.Connection, "name", key.Name, "expires", t.Expires)
	return held{Token: t, version: version}, nil
}

// giveUp ends a lease after a failure. A secret that this process cannot read stops no other
// one: then the pause is this one's own.
func (k *Keeper) giveUp(ctx context.Context, key Key, lease Lease, f *Fault, failures int) error {
	p := Pause{For: f.pauseAfter(failures), Failures: failures + 1, Reason: f.Reason}
	shared := p
	if f.Reason == ReasonSecret || k.base.Err() != nil {
		shared = Pause{}
	}
	if err := k.o.Store.ReleaseToken(ctx, key, lease.Holder, shared); err != nil {
		k.o.Log.Warn("the lease of an access token was not given back; it ends by itself", "site", key.Site, "connection", key.Connection, "error", err)
	}
	return &paused{Pause: p, err: f}
}

func (k *Keeper) save(ctx context.Context, key Key, lease Lease, t Token) (version int64, err error) {
	plain, err := t.encode()
	if err != nil {
		return 0, fmt.Errorf("encode token: %w", err)
	}
	defer clear(plain)
	sealed, err := k.o.Sealer.Seal(ctx, key.Site, key.purpose(), plain)
	if err != nil {
		return 0, err
	}
	for attempt := range 3 {
		if version, err = k.o.Store.SaveToken(ctx, key, lease.Holder, Sealed{Bytes: sealed, Expires: t.Expires}); err == nil {
			return version, nil
		}
		if rest(ctx, time.Duration(attempt+1)*100*time.Millisecond) != nil {
			break
		}
	}
	return 0, err
}

// keepLease prolongs a lease until stop is called.
func (k *Keeper) keepLease(ctx context.Context, key Key, lease Lease) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for rest(ctx, leaseTime/3) == nil {
			if still, err := k.o.Store.ExtendLease(ctx, key, lease); err == nil && !still {
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// rest waits, or ends with ctx.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
