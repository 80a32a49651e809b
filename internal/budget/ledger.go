package budget

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sallyport/internal/problem"
)

const (
	// storeTimeout bounds one exchange with the store.
	storeTimeout = 5 * time.Second
	// dryFor is how long the store's "nothing left" counts without asking again: a flood of
	// calls against a spent budget must not become a flood of transactions.
	dryFor = 250 * time.Millisecond
	// idleTicks is after how many ticks of Run an unused block goes back to the store, for
	// other nodes; forgetTicks, after how many an account is forgotten that no call can be using.
	idleTicks   = 2
	forgetTicks = 600
	tick        = time.Second
)

// Options are what a Ledger needs. Store is required.
type Options struct {
	Store Store
	Now   func() time.Time // the wall clock; nil: time.Now
	Log   *slog.Logger     // nil: nothing is logged
	// Tell hears of every alert, once in a period over all nodes; it must not block for long.
	Tell func(a Account, one Alert)
}

// Ledger spends from budgets for one node. A call costs no transaction of its own: the node
// reserves a hundredth of what is left, at least one call, and spends that from memory; near
// the end of a budget it takes what each call needs, so that the last calls are exact over
// any number of nodes. Unused blocks go back after two seconds and at Close. What a crashed
// node had reserved stays spent.
//
// It is safe for concurrent use. Run returns idle blocks; without it they return at Close.
type Ledger struct {
	store Store
	now   func() time.Time
	log   *slog.Logger
	tell  func(Account, Alert)

	mu       sync.Mutex
	accounts map[Account]*account
	queue    []*waiter
	leading  bool
	closed   bool
	leaders  sync.WaitGroup
}

// account is one budget as this node holds it.
type account struct {
	start time.Time // of the period
	end   time.Time // of the period; zero: not known yet
	block [2]int64  // by class: what may be spent without asking
	dry   [2]dry
	calls int64 // spent and not yet told to the store
	idle  int   // ticks without a spend
}

// dry is what the store last said when there was too little.
type dry struct {
	at   time.Time
	left int64
	max  int64 // of the limit that it was said of
}

// short: the store said a moment ago that it has too little.
func (a *account) short(c int, now time.Time) bool {
	age := now.Sub(a.dry[c].at)
	return !a.dry[c].at.IsZero() && age >= 0 && age < dryFor
}

const (
	vouchedClass = iota
	unvouchedClass
)

func class(vouched bool) int {
	if vouched {
		return vouchedClass
	}
	return unvouchedClass
}

// waiter is a call that waits for a block.
type waiter struct {
	charges []Charge
	class   int
	gone    bool // nobody waits any more
	spent   Spent
	err     error
	done    chan struct{}
}

// Spent is what one call has spent; give it to Return if no byte of the call was sent. The
// zero value has spent nothing.
type Spent struct {
	charges []Charge
	starts  []time.Time
	class   int
}

// NewLedger makes the ledger of this node.
func NewLedger(o Options) *Ledger {
	l := &Ledger{store: o.Store, now: o.Now, log: o.Log, tell: o.Tell, accounts: map[Account]*account{}}
	if l.now == nil {
		l.now = time.Now
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	return l
}

var errClosed = errors.New("budgets are closed")

// Spend takes all charges of a call, or none. Its error is a *problem.Error: BudgetExhausted
// where too little is left, StoreUnavailable where the store does not answer: then nothing
// may be sent. It waits for the store only when the node's block does not suffice.
func (l *Ledger) Spend(ctx context.Context, charges []Charge, vouched bool) (Spent, error) {
	if len(charges) == 0 {
		return Spent{}, nil
	}
	now, c := l.now(), class(vouched)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return Spent{}, unavailable(errClosed)
	}
	spent, lacking := l.spend(charges, c, now)
	if lacking < 0 {
		l.mu.Unlock()
		return spent, nil
	}
	if p := l.knownDry(charges, c, now); p != nil {
		l.mu.Unlock()
		return Spent{}, p
	}
	w := &waiter{charges: charges, class: c, done: make(chan struct{})}
	l.queue = append(l.queue, w)
	if !l.leading {
		l.leading = true
		l.leaders.Go(l.lead)
	}
	l.mu.Unlock()
	select {
	case <-w.done:
		return w.spent, w.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	w.gone = true
	spent = w.spent
	l.mu.Unlock()
	l.Return(spent) // it may have been served just now
	return Spent{}, problem.Wrap(ctx.Err(), problem.StoreUnavailable, "the caller went away before its budget was known")
}

func unavailable(err error) *problem.Error {
	return problem.Wrap(err, problem.StoreUnavailable, "it is not known what is left of a budget, so nothing is sent").WithHint("repeat in a few seconds")
}

// of finds the account at now; a period that is over takes its block with it.
func (l *Ledger) of(a Account, now time.Time) *account {
	acc := l.accounts[a]
	if acc == nil {
		acc = &account{}
		l.accounts[a] = acc
	}
	if now.Before(acc.end) { // also where the clock was set back: the later period holds
		return acc
	}
	if start := a.Period.Start(now); start.After(acc.start) {
		*acc = account{start: start}
	}
	acc.end = a.Period.End(acc.start)
	return acc
}

// spend takes the charges from the blocks, or says which of them lacks. l.mu is held.
func (l *Ledger) spend(charges []Charge, c int, now time.Time) (Spent, int) {
	var room [4]*account
	of := room[:0]
	for i := range charges {
		acc := l.of(charges[i].Limit.Account, now)
		if acc.block[c] < charges[i].Cost {
			return Spent{}, i
		}
		of = append(of, acc)
	}
	s := Spent{charges: charges, starts: make([]time.Time, len(charges)), class: c}
	for i, acc := range of {
		acc.block[c] -= charges[i].Cost
		acc.calls++
		acc.idle = 0
		s.starts[i] = acc.start
	}
	return s, -1
}

// Return gives back what a call spent of which no byte was sent.
func (l *Ledger) Return(s Spent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range s.charges {
		acc := l.accounts[s.charges[i].Limit.Account]
		if acc == nil || !acc.start.Equal(s.starts[i]) {
			continue // that period is over
		}
		acc.block[s.class] += s.charges[i].Cost
		acc.calls--
		acc.idle = 0
		acc.dry = [2]dry{}
	}
}

// knownDry answers from memory where the store said a moment ago that too little is left.
func (l *Ledger) knownDry(charges []Charge, c int, now time.Time) *problem.Error {
	for i := range charges {
		ch := &charges[i]
		acc := l.accounts[ch.Limit.Account]
		if acc == nil || acc.block[c] >= ch.Cost || acc.block[1-c] > 0 {
			continue
		}
		if d := acc.dry[c]; acc.short(c, now) && d.max == ch.Limit.Max && acc.block[c]+d.left < ch.Cost {
			return l.exhausted(ch, c, acc, now)
		}
	}
	return nil
}

func (l *Ledger) exhausted(ch *Charge, c int, acc *account, now time.Time) *problem.Error {
	a := ch.Limit.Account
	detail := fmt.Sprintf("the budget of this %s for the %s is spent", a.Level(), a.Period)
	hint := "it is whole again at the end of the " + string(a.Period) + " (UTC); the operator may raise it in sallyport.yaml"
	if c == unvouchedClass {
		hint += "; callers for whom nobody vouches share a fifth of it"
	}
	p := problem.New(problem.BudgetExhausted, "%s", detail).WithHint("%s", hint)
	p.RetryAfter = max(a.Period.End(acc.start).Sub(now), time.Second)
	return p
}
