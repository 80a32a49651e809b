package outbound

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	fsbulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"sallyport/internal/problem"
)

// breaker holds calls back from a failing host. It wraps failsafe's so that only
// the probe itself decides about a half-open circuit: attempts that began before
// it opened would otherwise add probes when they end.
type breaker struct {
	mu      sync.Mutex
	circuit circuitbreaker.CircuitBreaker[any]
}

func newBreaker(c Breaker) *breaker {
	return &breaker{circuit: circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(c.Rate, uint(c.Least), c.Window).
		WithDelay(c.Probe).WithSuccessThreshold(1).Build()}
}

// closedFor reports how long nothing will be let through; 0: something may be.
func (b *breaker) closedFor() time.Duration {
	return b.circuit.RemainingDelay()
}

// enter asks to begin an attempt. Every pass must be followed by one leave.
func (b *breaker) enter() (probe, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ok = b.circuit.TryAcquirePermit()
	return ok && b.circuit.IsHalfOpen(), ok
}

// leave tells how the attempt ended.
func (b *breaker) leave(probe, failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !probe && !b.circuit.IsClosed() {
		return
	}
	if failed {
		b.circuit.RecordFailure()
	} else {
		b.circuit.RecordSuccess()
	}
}

// bulkhead bounds the attempts on one host, so that a hanging provider holds a
// bounded part of the gate.
type bulkhead struct {
	inner   fsbulkhead.Bulkhead[any]
	wait    time.Duration
	queue   int64
	waiting atomic.Int64
}

func newBulkhead(c Capacity) *bulkhead {
	return &bulkhead{inner: fsbulkhead.New[any](uint(c.Concurrent)), wait: c.Wait, queue: int64(c.Queue)}
}

// enter waits for room, at most Wait, in a queue of bounded length.
func (b *bulkhead) enter(ctx context.Context) error {
	if b.inner.TryAcquirePermit() {
		return nil
	}
	defer b.waiting.Add(-1)
	var err error = fsbulkhead.ErrFull
	if b.waiting.Add(1) <= b.queue {
		err = b.inner.AcquirePermitWithMaxWait(ctx, b.wait)
	}
	if !errors.Is(err, fsbulkhead.ErrFull) {
		return err
	}
	p := problem.New(problem.Overloaded, "too many calls to this provider are in progress")
	p.RetryAfter = time.Second
	return p
}

func (b *bulkhead) leave() { b.inner.ReleasePermit() }

// The retry budget looks at one minute, in slots.
const (
	budgetSlot  = 5 * time.Second
	budgetSlots = 12
)

// budget keeps repeats at one tenth of the calls of the last minute, or one a
// minute where there are fewer than ten. The zero budget is ready.
type budget struct {
	mu      sync.Mutex
	start   time.Time
	slot    int64
	calls   [budgetSlots]int
	repeats [budgetSlots]int
}

func (b *budget) advance() int64 {
	if b.start.IsZero() {
		b.start = time.Now()
	}
	now := int64(time.Since(b.start) / budgetSlot) // monotonic: a clock that is set changes nothing
	for n := 0; b.slot < now && n < budgetSlots; n++ {
		b.slot++
		b.calls[b.slot%budgetSlots], b.repeats[b.slot%budgetSlots] = 0, 0
	}
	b.slot = max(b.slot, now)
	return b.slot % budgetSlots
}

// call counts a call's first attempt.
func (b *budget) call() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls[b.advance()]++
}

// repeat reports whether one more repeat is within the budget, and counts it.
func (b *budget) repeat() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.advance()
	calls, repeats := 0, 0
	for i := range budgetSlots {
		calls, repeats = calls+b.calls[i], repeats+b.repeats[i]
	}
	if repeats >= max(1, calls/10) {
		return false
	}
	b.repeats[at]++
	return true
}
