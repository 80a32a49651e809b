package outbound

import (
	"cmp"
	"context"
	"sync"
	"time"

	"sallyport/internal/problem"
)

// BucketConfig is one documented limit of a provider.
type BucketConfig struct {
	// Calls per Per; Calls 0: no limit of rate. Half a call per second is one call
	// per two seconds.
	Calls float64
	Per   time.Duration
	// InFlight bounds concurrent calls; 0: no such limit.
	InFlight int
	// Wait is how long a call may queue; 0: 1 s.
	Wait time.Duration
	// Queue is how many may; 0: 256.
	Queue int
	// For says in a refusal what the limit counts for; empty: this credential.
	For string
	// Crew says which of several nodes that keep the limit together this one is, at any
	// moment; nil: the limit is this node's alone. It must be quick.
	Crew func() Crew
}

// tryPart is the least wait of a call that this node's part of a limit holds back: the part
// may grow without anything ending here.
const tryPart = 10 * time.Millisecond

// slots is how finely Per is divided; a call may count for up to one slot too long.
const slots = 256

// arrival is the share of Per after which a sent call is taken to have arrived at
// the provider even if no answer came yet.
const arrival = 0.08

// Bucket keeps the calls of one credential under one documented limit, whatever
// way the provider counts (fixed window of any alignment, or sliding). It is safe
// for concurrent use.
//
// A call counts from the moment it is granted until Per after it arrived at the
// provider. When it arrived is not known exactly, but it was before the answer
// came: so a call counts until Per after its answer, or, where answers are slow,
// until Per·1.08 after its last byte was written. Whatever window of length Per
// the provider looks at, all its calls were then counted here at one moment. What
// this costs is at most 8 % of the limit (and one slot of 256).
type Bucket struct {
	limit    int // calls per window; 0: none
	window   time.Duration
	slot     time.Duration
	inFlight int
	wait     time.Duration
	queue    int
	counts   string

	part portion // under mu

	mu      sync.Mutex
	start   time.Time
	ends    schedule // when calls stop counting
	counted int      // calls in ends
	unsent  int      // granted, last byte not yet written
	flying  int      // granted, not done
	hold    time.Time
	waiters []*waiter
	timer   *time.Timer
}

type waiter struct{ granted chan struct{} }

// NewBucket makes a Bucket.
func NewBucket(c BucketConfig) *Bucket {
	b := &Bucket{limit: int(c.Calls), window: c.Per, inFlight: c.InFlight, wait: c.Wait, queue: c.Queue, counts: cmp.Or(c.For, "this credential"), start: time.Now(), part: portion{crew: c.Crew}}
	if c.Calls > 0 && c.Calls < 1 {
		b.limit, b.window = 1, time.Duration(float64(c.Per)/c.Calls)
	}
	if b.window <= 0 {
		b.limit, b.window = 0, time.Second
	}
	if b.wait <= 0 {
		b.wait = time.Second
	}
	if b.queue <= 0 {
		b.queue = 256
	}
	b.slot = max(b.window/slots, 1)
	return b
}

// take waits until a call is within the limit, at most the bucket's Wait, and not at all
// where that cannot help: nothing is in flight that may end, and time alone takes longer.
// The error is a *problem.Error of upstream_throttled with RetryAfter, or ctx's.
func (b *Bucket) take(ctx context.Context) (*grant, error) {
	b.mu.Lock()
	b.advance()
	if len(b.waiters) == 0 && b.free() {
		b.grant()
		b.mu.Unlock()
		return &grant{bucket: b}, nil
	}
	if len(b.waiters) >= b.queue || b.flying == 0 && b.next() > b.wait {
		defer b.mu.Unlock()
		return nil, b.refusal()
	}
	w := &waiter{granted: make(chan struct{})}
	b.waiters = append(b.waiters, w)
	b.arm()
	b.mu.Unlock()
	return b.await(ctx, w)
}

func (b *Bucket) await(ctx context.Context, w *waiter) (*grant, error) {
	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	select {
	case <-w.granted:
		return &grant{bucket: b}, nil
	case <-ctx.Done():
	case <-timer.C:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, other := range b.waiters {
		if other == w {
			b.waiters = append(b.waiters[:i], b.waiters[i+1:]...)
			b.advance()
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, b.refusal()
		}
	}
	return &grant{bucket: b}, nil // granted at the last moment
}

// Hold grants nothing for the time that the provider asked for, at most one minute.
func (b *Bucket) Hold(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until := time.Now().Add(min(d, time.Minute)); until.After(b.hold) {
		b.hold = until
	}
}

func (b *Bucket) refusal() error {
	p := problem.New(problem.UpstreamThrottled, "the provider's documented limit for %s is used up", b.counts)
	p.RetryAfter = max(b.next(), time.Second)
	return p.WithHint("repeat after the time given; the limit is the provider's, not this site's")
}

func (b *Bucket) free() bool {
	now := time.Now()
	if b.limit != 0 && !b.below(now) {
		return false
	}
	return (b.inFlight == 0 || b.flying < b.part.flying(b.inFlight)) && !now.Before(b.hold)
}

// below says whether fewer calls count than this node may make.
func (b *Bucket) below(now time.Time) bool {
	calls, _ := b.part.of(b.limit, now, b.window)
	return b.counted+b.unsent < calls
}

func (b *Bucket) grant() {
	b.unsent++
	b.flying++
}

// span is how long a call counts after it arrived.
func (b *Bucket) span() time.Duration {
	_, longer := b.part.of(b.limit, time.Now(), b.window)
	return b.window * time.Duration(longer)
}

// idle reports whether the bucket is as good as a new one.
func (b *Bucket) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance()
	return b.counted+b.unsent+b.flying+len(b.waiters) == 0 && !time.Now().Before(b.hold)
}

// slotOf is the slot that holds t, rounded up.
func (b *Bucket) slotOf(t time.Time) int64 {
	return int64((t.Sub(b.start) + b.slot - 1) / b.slot)
}

// advance drops what has stopped counting.
func (b *Bucket) advance() {
	b.part.look(time.Now(), b.window)
	b.counted -= b.ends.until(int64(time.Since(b.start) / b.slot))
}

// next is how long it takes until something may change by time alone.
func (b *Bucket) next() time.Duration {
	wait := time.Until(b.hold)
	if b.limit == 0 || b.below(time.Now()) {
		return max(wait, 0)
	}
	if calls, _ := b.part.of(b.limit, time.Now(), b.window); calls < b.limit {
		wait = max(wait, tryPart)
	}
	if slot, ok := b.ends.first(); ok {
		wait = max(wait, time.Until(b.start.Add(time.Duration(slot)*b.slot)))
	}
	return max(wait, 0)
}

// arm sees to it that pump runs when the next call stops counting.
func (b *Bucket) arm() {
	if len(b.waiters) == 0 {
		return
	}
	d := max(b.next(), time.Millisecond)
	if b.timer == nil {
		b.timer = time.AfterFunc(d, b.pump)
	} else {
		b.timer.Reset(d)
	}
}

func (b *Bucket) pump() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pumpLocked()
}

func (b *Bucket) pumpLocked() {
	b.advance()
	for len(b.waiters) > 0 && b.free() {
		b.grant()
		close(b.waiters[0].granted)
		b.waiters = b.waiters[1:]
	}
	b.arm()
}

// grant is the permission for one attempt. Its methods are called in order by the
// attempt alone: sent once the request was written (or may have been), done at the end.
type grant struct {
	bucket *Bucket
	slot   int64 // where it stops counting; 0: not sent
	over   bool
}

// sent starts the time for which the call counts.
func (g *grant) sent() {
	b := g.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	if g.slot != 0 || g.over {
		return
	}
	b.advance()
	g.slot = b.slotOf(time.Now().Add(b.span() + time.Duration(arrival*float64(b.window))))
	b.unsent--
	b.ends.add(g.slot)
	b.counted++
}

// done ends the call; what was never sent counts no longer, and what was answered
// early counts for Per from now.
func (g *grant) done() {
	b := g.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	if g.over {
		return
	}
	g.over = true
	b.flying--
	b.advance()
	early := b.slotOf(time.Now().Add(b.span()))
	switch {
	case g.slot == 0:
		b.unsent--
	case early < g.slot && b.ends.remove(g.slot):
		b.ends.add(early)
	}
	b.pumpLocked()
}

// grants are an attempt's permissions from all its buckets.
type grants []*grant

// take asks the buckets in order; what was granted is to be given back with done
// also after an error.
func take(ctx context.Context, buckets []*Bucket) (grants, error) {
	var all grants
	for _, b := range buckets {
		g, err := b.take(ctx)
		if err != nil {
			return all, err
		}
		all = append(all, g)
	}
	return all, nil
}

func (all grants) sent() {
	for _, g := range all {
		g.sent()
	}
}

func (all grants) done() {
	for _, g := range all {
		g.done()
	}
}
