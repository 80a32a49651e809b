package grant

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/url"
	"time"

	"sallyport/internal/authcode"
)

const (
	// flightTime bounds a renewal with all waits, renewTime one question to the provider.
	flightTime = 25 * time.Second
	renewTime  = 12 * time.Second
	// leaseTime is how long another node waits for one that died while it renewed.
	leaseTime = 5 * time.Second
	// pollEvery is how often a node looks whether another one has renewed, before jitter.
	pollEvery = 60 * time.Millisecond
	// restTime is the pause after a failure, per grant and process.
	restTime = 2 * time.Second
	// saveTime bounds the storing of what came: it is tried until then.
	saveTime = 4 * time.Second
)

// flight is one renewal, for all who wait. err is set before done is closed.
type flight struct {
	done chan struct{}
	err  error
}

// pause is a failure, and until when nobody asks again.
type pause struct {
	err   error
	until time.Time
}

// unsaved is what a provider gave and the store did not take yet. It is used by nobody.
type unsaved struct {
	version int64
	sealed  []byte
}

// find gives a grant with its tokens, ready to send. It renews where the access token is
// over, and blocks meanwhile; where it ends soon, it renews beside. Its error is a problem.
func (d *Desk) find(ctx context.Context, a At, subject string) (Stored, tokens, error) {
	key, err := d.key(a, subject)
	if err != nil {
		return Stored{}, tokens{}, err
	}
	for range 4 { // what another process has changed meanwhile is read again
		s, ok, err := d.o.Store.FindGrant(ctx, key)
		switch {
		case err != nil:
			return s, tokens{}, storeFault(err)
		case !ok:
			return s, tokens{}, required(a.Connection.Name)
		case s.Ended:
			return s, tokens{}, reconnect(a.Connection.Name)
		}
		t, err := d.open(ctx, s)
		if err != nil {
			return s, tokens{}, unavailable(err, 0)
		}
		now := d.o.Now()
		if t.usable(now) {
			if t.due(now) && !t.Refresh.Empty() {
				d.renew(a, s)
			}
			return s, t, nil
		}
		if err := wait(ctx, d.renew(a, s)); err != nil {
			return s, tokens{}, unavailable(err, restTime)
		}
	}
	return Stored{}, tokens{}, unavailable(errors.New("the grant changes again and again"), restTime)
}

func wait(ctx context.Context, f *flight) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// renew joins the flight of a grant, or begins one. It ends by itself, whatever becomes of its
// callers.
func (d *Desk) renew(a At, s Stored) *flight {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f, ok := d.flights[s.Key]; ok {
		return f
	}
	f := &flight{done: make(chan struct{})}
	now := d.o.Now()
	if p, ok := d.pauses[s.Key]; ok && now.Before(p.until) && p.until.Sub(now) <= restTime {
		f.err = p.err
		close(f.done)
		return f
	}
	d.flights[s.Key] = f
	d.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), flightTime)
		defer cancel()
		f.err = d.obtain(ctx, a, s)
		d.land(s.Key, f.err)
		close(f.done)
	})
	return f
}

// land ends a flight.
func (d *Desk) land(k Key, err error) {
	if err != nil {
		d.o.Log.Warn("a visitor's token was not renewed", "site", k.Site, "connection", k.Connection, "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.flights, k)
	delete(d.pauses, k)
	if err != nil {
		if len(d.pauses) >= maxPauses {
			clear(d.pauses)
		}
		d.pauses[k] = pause{err: err, until: d.o.Now().Add(restTime)}
	}
}

// calm forgets the pause of a grant that is another one now.
func (d *Desk) calm(k Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.pauses, k)
	delete(d.unsaved, k)
}

// obtain brings about a version that is newer than the one seen: here, or by the process that
// has the lease. A nil error means that the store has to be read again.
func (d *Desk) obtain(ctx context.Context, a At, seen Stored) error {
	for {
		lease := Lease{Holder: rand.Text(), Seen: seen.Version, For: leaseTime}
		s, found, granted, err := d.o.Store.LeaseGrant(ctx, seen.Key, lease)
		switch {
		case err != nil:
			return err
		case granted:
			return d.held(ctx, a, s, lease)
		case !found, s.Ended, s.Version != seen.Version:
			return nil
		}
		if err := rest(ctx, pollEvery/2+mathrand.N(pollEvery)); err != nil {
			return fmt.Errorf("wait for another process: %w", err)
		}
	}
}

// held renews while the lease is kept. What came is stored before anybody uses it.
func (d *Desk) held(ctx context.Context, a At, s Stored, lease Lease) error {
	stop := d.keepLease(ctx, s.Key, lease)
	defer stop()
	if sealed, ok := d.leftOver(s); ok {
		return d.save(ctx, s, lease, sealed)
	}
	sealed, err := d.ask(ctx, a, s)
	var refused *authcode.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Code == "invalid_grant", errors.Is(err, errNoRefresh):
		return d.end(ctx, s, lease, err)
	case err != nil:
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime)
		defer cancel()
		if gone := d.o.Store.ReleaseGrant(ctx, s.Key, lease.Holder); gone != nil {
			d.o.Log.Warn("the lease of a grant was not given back; it ends by itself", "site", s.Site, "connection", s.Connection, "error", gone)
		}
		return err
	}
	return d.save(ctx, s, lease, sealed)
}

// errNoRefresh: the access token is over, and the provider gave nothing to renew it with.
var errNoRefresh = errors.New("there is no refresh token")

// ask renews at the provider, once, and gives the new tokens sealed.
func (d *Desk) ask(ctx context.Context, a At, s Stored) ([]byte, error) {
	t, err := d.open(ctx, s)
	if err != nil {
		return nil, err
	}
	if t.Refresh.Empty() {
		return nil, errNoRefresh
	}
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	server, _, err := d.server(ctx, a)
	if err != nil {
		return nil, err
	}
	asked := d.o.Now()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(t.Refresh.Expose())}}
	got, err := authcode.Ask(ctx, d.o.Way(a.Connection, a.Pack), server.Token, d.client(a, server.Method), form)
	if err != nil {
		return nil, fmt.Errorf("renew token: %w", err)
	}
	return d.seal(context.WithoutCancel(ctx), s.Key, tokensOf(got, asked, t))
}

// save stores what a renewal brought, and goes on trying for a while: the old refresh token
// may be of no more use. What cannot be stored is kept for the next renewal of this process.
func (d *Desk) save(ctx context.Context, s Stored, lease Lease, sealed []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	var err error
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		var ok bool
		if ok, err = d.o.Store.SaveGrant(ctx, s.Key, lease.Holder, sealed, false); err == nil {
			d.mu.Lock()
			delete(d.unsaved, s.Key)
			d.mu.Unlock()
			if !ok {
				d.o.Log.Warn("a renewed token came too late: the grant is another one now", "site", s.Site, "connection", s.Connection)
			}
			return nil
		}
		if rest(ctx, pause) != nil {
			break
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.unsaved) < maxUnsaved {
		d.unsaved[s.Key] = unsaved{version: s.Version, sealed: sealed}
	}
	return fmt.Errorf("store renewed token: %w", err)
}

// leftOver is what an earlier renewal of this very version could not store.
func (d *Desk) leftOver(s Stored) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u, ok := d.unsaved[s.Key]
	return u.sealed, ok && u.version == s.Version
}

// end keeps that the provider has ended a grant, and tells it once.
func (d *Desk) end(ctx context.Context, s Stored, lease Lease, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	ok, err := d.o.Store.SaveGrant(ctx, s.Key, lease.Holder, nil, true)
	if err != nil {
		return fmt.Errorf("keep that a grant has ended: %w", err)
	}
	if ok {
		d.o.Log.Warn("a visitor's grant has ended; the visitor has to connect again", "site", s.Site, "connection", s.Connection, "reason", why.Error())
		d.o.Died(ctx, s.Key)
	}
	return nil
}

// keepLease prolongs a lease until stop is called.
func (d *Desk) keepLease(ctx context.Context, k Key, lease Lease) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for rest(ctx, leaseTime/3) == nil {
			if still, err := d.o.Store.ExtendGrantLease(ctx, k, lease); err == nil && !still {
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// rest waits, or ends with ctx.
func rest(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
