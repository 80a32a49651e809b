package oauth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sallyport/internal/problem"
)

// Source asks for tokens of one key. Implementations are safe for concurrent use.
type Source interface {
	// Origin tells with what Fetch would ask. It is cheap, and its error a *Fault.
	Origin(ctx context.Context) (Origin, error)
	// Fetch asks for a token, once. Its error is a *Fault.
	Fetch(ctx context.Context, now func() time.Time) (Token, error)
}

// Sealer encrypts what is stored, with the key of a site, bound to a purpose.
type Sealer interface {
	Seal(ctx context.Context, site, purpose string, plaintext []byte) ([]byte, error)
	Open(ctx context.Context, site, purpose string, sealed []byte) ([]byte, error)
}

// Alert is a token that could not be had: an operator should look.
type Alert struct {
	Site, Connection string
	Reason           string // one of the Reason constants
}

// Options say what a Keeper works with. All but Now are required.
type Options struct {
	Store  TokenStore
	Sealer Sealer
	Log    *slog.Logger
	Alert  func(ctx context.Context, a Alert)
	Now    func() time.Time // nil: time.Now
}

const (
	// flightTime bounds asking for a token with all waits. A caller's own time is shorter.
	flightTime = 25 * time.Second
	// leaseTime is how long another node waits for one that died while it asked.
	leaseTime = 5 * time.Second
	// pollEvery is how often a node looks whether another one has the token, before jitter.
	pollEvery = 60 * time.Millisecond
	// forceEvery keeps a provider that refuses every token from being asked for new ones
	// all the time.
	forceEvery = 30 * time.Second
	// originEvery is how often it is looked whether the credential is another one.
	originEvery = time.Second
	maxEntries  = 4096
)

// Keeper holds the tokens of all connections. It is safe for concurrent use and outlives
// reloads.
type Keeper struct {
	o      Options
	base   context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	entries map[Key]*entry
}

// NewKeeper makes a Keeper. Close ends it.
func NewKeeper(o Options) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	k := &Keeper{o: o, entries: map[Key]*entry{}}
	k.base, k.cancel = context.WithCancel(context.Background())
	return k
}

// Close breaks off what is being asked for and waits for it.
func (k *Keeper) Close() error {
	k.cancel()
	k.work.Wait()
	return nil
}

// Forget drops the tokens of a connection, in memory and in the store: after a leak, or when
// an account is no longer to be used. Other nodes use theirs until they end.
func (k *Keeper) Forget(ctx context.Context, site, connection string) error {
	k.mu.Lock()
	for key := range k.entries {
		if key.Site == site && key.Connection == connection {
			delete(k.entries, key)
		}
	}
	k.mu.Unlock()
	return k.o.Store.DeleteTokens(ctx, site, connection)
}

// entry is what is known of one key.
type entry struct {
	key Key

	mu      sync.Mutex
	have    held
	refused uint64 // the have.count that the provider refused
	forced  time.Time
	looked  time.Time // when the origin was last compared
	other   bool      // the credential is another one than that of have
	flight  *flight
	failure failure
}

// held is a token in memory.
type held struct {
	Token
	version int64  // in the store
	count   uint64 // of this process
	due     time.Time
}

// flight is one asking for a token, for all who wait.
type flight struct {
	done chan struct{}
}

// failure is why the last flight brought nothing, and until when none is begun.
type failure struct {
	err    *problem.Error
	reason string
	until  time.Time
}

// holds reports whether it is too early to ask again. What lies farther off than any pause is
// of a clock that was set back.
func (f failure) holds(now time.Time) bool {
	return now.Before(f.until) && f.until.Sub(now) <= LongestPause
}

func (k *Keeper) entry(key Key) *entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e, ok := k.entries[key]; ok {
		return e
	}
	if len(k.entries) >= maxEntries { // the rest is read from the store again
		for other, e := range k.entries {
			if e.idle() {
				delete(k.entries, other)
				break
			}
		}
	}
	e := &entry{key: key}
	k.entries[key] = e
	return e
}

func (e *entry) idle() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.flight == nil
}

// get finds a token that can be sent, and asks for one where there is none. It blocks while
// none is left and one is being asked for. Its error is a problem.
func (k *Keeper) get(ctx context.Context, key Key, s Source) (held, error) {
	e := k.entry(key)
	for range 3 { // a token that ends while it is waited for is asked for again
		have, f, err := k.look(ctx, e, s)
		if f == nil {
			return have, err
		}
		if err := wait(ctx, f); err != nil {
			return held{}, err
		}
	}
	return held{}, unavailable(ReasonMalformed, 0, nil)
}

// wait waits for the end of a flight, however it ends.
func wait(ctx context.Context, f *flight) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return unavailable(ReasonUnreachable, time.Second, ctx.Err())
	}
}

// look says what to send now, or which flight to wait for.
func (k *Keeper) look(ctx context.Context, e *entry, s Source) (held, *flight, error) {
	now := k.o.Now()
	k.compare(ctx, e, s, now)
	e.mu.Lock()
	defer e.mu.Unlock()
	usable := e.have.usable(now)
	refused := e.have.count != 0 && e.refused == e.have.count
	switch {
	case usable && !refused && !e.other && now.Before(e.have.due) && now.After(e.have.Issued.Add(-time.Minute)):
		return e.have, nil, nil
	case e.flight == nil && !e.failure.holds(now):
		k.begin(e, s)
	}
	switch {
	case usable && !refused:
		return e.have, nil, nil // while the next one is asked for
	case e.flight != nil:
		return held{}, e.flight, nil
	case usable:
		return e.have, nil, nil // refused once, and there is no other: the provider decides
	}
	p := *e.failure.err
	p.RetryAfter = max(e.failure.until.Sub(now), time.Second)
	return held{}, nil, &p
}

// compare looks now and then whether the credential is still the one that the token is of. A
// credential that cannot be read changes nothing while there is a token.
func (k *Keeper) compare(ctx context.Context, e *entry, s Source, now time.Time) {
	e.mu.Lock()
	recent := e.have.count == 0 || now.Sub(e.looked).Abs() < originEvery
	if !recent {
		e.looked = now
	}
	e.mu.Unlock()
	if recent {
		return
	}
	origin, err := s.Origin(ctx)
	if err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if origin.Account != e.have.Origin.Account {
		e.have.Value = none // of another account: never sent
	}
	e.other = origin != e.have.Origin
}

// renew is asked for after the provider refused a token. It reports whether there is another
// one now.
func (k *Keeper) renew(ctx context.Context, key Key, s Source, used uint64) (bool, error) {
	e := k.entry(key)
	f := k.force(e, s, used)
	if f != nil {
		if err := wait(ctx, f); err != nil {
			return false, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.have.count != used && e.have.usable(k.o.Now()), nil
}

// force begins a flight for a token that was refused, or finds the one that is under way.
func (k *Keeper) force(e *entry, s Source, used uint64) *flight {
	now := k.o.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.have.count != used:
		return nil
	case e.flight != nil:
	case e.failure.holds(now), !e.forced.IsZero() && now.Sub(e.forced).Abs() < forceEvery:
		return nil
	default:
		e.forced = now
		k.begin(e, s)
	}
	e.refused = used
	return e.flight
}

// begin starts a flight; e.mu is held. It ends by itself, whatever becomes of its callers.
func (k *Keeper) begin(e *entry, s Source) {
	f := &flight{done: make(chan struct{})}
	e.flight = f
	seen, failures := e.have.version, e.failure.reason != ""
	k.work.Go(func() {
		ctx, cancel := context.WithTimeout(k.base, flightTime)
		defer cancel()
		t, err := k.obtain(ctx, e.key, s, seen)
		k.land(ctx, e, t, err, failures)
		close(f.done)
	})
}

// land keeps what a flight brought.
func (k *Keeper) land(ctx context.Context, e *entry, t held, err error, failed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.flight = nil
	now := k.o.Now()
	if err == nil {
		t.count, t.due = e.have.count+1, t.Token.due()
		e.have, e.other, e.looked, e.failure = t, false, time.Time{}, failure{}
		return
	}
	pause := pauseOf(err)
	e.failure = failure{err: unavailable(pause.Reason, pause.For, err), reason: pause.Reason, until: now.Add(pause.For)}
	if k.base.Err() == nil {
		k.o.Log.Warn("no access token was had", "site", e.key.Site, "connection", e.key.Connection, "name", e.key.Name,
			"reason", pause.Reason, "retry_after", pause.For, "error", err)
		if failed || !e.have.usable(now) { // one failure while there is a token is in the log only
			k.alert(ctx, e, pause.Reason)
		}
	}
}

func (k *Keeper) alert(ctx context.Context, e *entry, reason string) {
	if k.o.Alert != nil {
		k.o.Alert(context.WithoutCancel(ctx), Alert{Site: e.key.Site, Connection: e.key.Connection, Reason: reason})
	}
}
