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

// lead serves waiters until there are none: one transaction for all that wait.
func (l *Ledger) lead() {
	for {
		l.mu.Lock()
		batch := l.queue
		l.queue = nil
		if len(batch) == 0 {
			l.leading = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		l.serve(batch)
	}
}

// atOnce is for how many waiting calls a round reserves at first; each round reserves for twice
// as many as the one before. So what is reserved for calls that another budget then refuses
// stays small, however many wait.
const atOnce = 4

// maxRounds bounds how often one batch asks the store: calls that need no block may take what
// was asked for the batch.
const maxRounds = 20

// serve lets the waiters spend, in their order. Where the store has too little, this node's
// block for the other kind of caller is given back first; only then is a call refused.
func (l *Ledger) serve(batch []*waiter) {
	for round := 0; len(batch) > 0; round++ {
		l.mu.Lock()
		batch = l.refuse(batch, round)
		takes := l.plan(batch, round)
		l.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		taken, err := l.take(takes)
		l.mu.Lock()
		if err != nil {
			l.regain(takes)
			l.fail(batch, unavailable(err))
			l.mu.Unlock()
			return
		}
		l.keep(takes, taken)
		batch = l.settle(batch)
		l.mu.Unlock()
		l.alert(takes, taken)
	}
}

// refuse ends the waiters that the store has too little for, and gives the others. l.mu is held.
func (l *Ledger) refuse(batch []*waiter, round int) []*waiter {
	if round == 0 {
		return batch
	}
	now := l.now()
	var rest []*waiter
	for _, w := range batch {
		switch w.err = l.hopeless(w, now); {
		case w.err != nil:
			close(w.done)
		case round == maxRounds:
			w.err = unavailable(errors.New("other calls were faster in every round"))
			close(w.done)
		default:
			rest = append(rest, w)
		}
	}
	return rest
}

// hopeless is the refusal of a waiter that lacks what the store does not have and this node
// does not hold.
func (l *Ledger) hopeless(w *waiter, now time.Time) error {
	for i := range w.charges {
		ch := &w.charges[i]
		acc := l.of(ch.Limit.Account, now)
		if acc.block[w.class] < ch.Cost && acc.short(w.class, now) && acc.block[1-w.class] == 0 {
			return l.exhausted(ch, w.class, acc, now)
		}
	}
	return nil
}

func (l *Ledger) take(takes []Take) ([]Taken, error) {
	if len(takes) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	taken, err := l.store.TakeBudgets(ctx, takes)
	if err == nil && len(taken) != len(takes) {
		err = fmt.Errorf("the store answered %d of %d takes", len(taken), len(takes))
	}
	return taken, err
}

type wanted struct {
	account Account
	class   int
}

// plan adds up what the waiters need beyond the blocks. After the first round it asks where the
// store had enough, and where it had not it gives back the block for the other kind of caller,
// if there is one. l.mu is held.
func (l *Ledger) plan(batch []*waiter, round int) []Take {
	now := l.now()
	need, order := map[wanted]*Take{}, []wanted{}
	for _, w := range batch {
		for i := range w.charges {
			ch := &w.charges[i]
			key := wanted{ch.Limit.Account, w.class}
			t := need[key]
			if t == nil {
				t = &Take{Unvouched: w.class == unvouchedClass}
				need[key] = t
				order = append(order, key)
			}
			t.Limit = ch.Limit // after a reload the latest holds
			t.Need = min(t.Need+ch.Cost, max(t.Need, ch.Cost*int64(atOnce)<<min(round, 10)))
		}
	}
	var takes []Take
	for _, key := range order {
		t, acc := need[key], l.of(key.account, now)
		t.Need -= acc.block[key.class]
		short, others := round > 0 && acc.short(key.class, now), acc.block[1-key.class] > 0
		if t.Need <= 0 || short && !others {
			continue
		}
		t.Start, t.Last = acc.start, short || !others
		t.Back = Return{Account: key.account, Start: acc.start, Calls: acc.calls}
		acc.calls = 0
		if short {
			t.Back.Vouched, t.Back.Unvouched = other(acc, key.class)
			acc.dry[key.class] = dry{} // what is on its way back can be taken again
		}
		takes = append(takes, *t)
	}
	return takes
}

// other empties the block for the other kind of caller.
func other(acc *account, class int) (vouched, unvouched int64) {
	n := acc.block[1-class]
	acc.block[1-class] = 0
	if class == vouchedClass {
		return 0, n
	}
	return n, 0
}

// regain puts back into memory what a transaction that failed should have given back.
func (l *Ledger) regain(takes []Take) {
	for i := range takes {
		b := &takes[i].Back
		if acc := l.accounts[b.Account]; acc != nil && acc.start.Equal(b.Start) {
			acc.block[vouchedClass] += b.Vouched
			acc.block[unvouchedClass] += b.Unvouched
			acc.calls += b.Calls
		}
	}
}

// keep puts what was granted into the blocks. l.mu is held.
func (l *Ledger) keep(takes []Take, taken []Taken) {
	now := l.now()
	for i := range takes {
		acc, got := l.of(takes[i].Limit.Account, now), &taken[i]
		if got.Start.After(acc.start) { // the clock was set back: the later period holds
			*acc = account{start: got.Start}
		}
		if !got.Start.Equal(acc.start) {
			continue // granted of a period that has just ended
		}
		c := class(!takes[i].Unvouched)
		acc.block[c] += got.Granted
		acc.dry[c] = dry{}
		if got.Granted < takes[i].Need {
			acc.dry[c] = dry{at: now, left: got.Left, max: takes[i].Limit.Max}
		}
	}
}

// settle lets those spend for whom there is enough now, and gives the others. l.mu is held.
func (l *Ledger) settle(batch []*waiter) []*waiter {
	now := l.now()
	var rest []*waiter
	for _, w := range batch {
		if w.gone {
			continue
		}
		spent, lacking := l.spend(w.charges, w.class, now)
		if lacking >= 0 {
			rest = append(rest, w)
			continue
		}
		w.spent = spent
		close(w.done)
	}
	return rest
}

func (l *Ledger) fail(batch []*waiter, err error) {
	for _, w := range batch {
		w.err = err
		close(w.done)
	}
}

// alert passes on what the store is the first to have raised in its period.
func (l *Ledger) alert(takes []Take, taken []Taken) {
	if l.tell == nil {
		return
	}
	for i := range taken {
		for _, one := range taken[i].Told.Alerts() {
			l.tell(takes[i].Limit.Account, one)
		}
	}
}

// Run gives blocks back that nobody used for two seconds, until ctx ends; it returns nil.
func (l *Ledger) Run(ctx context.Context) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		err := l.giveBack(ctx, idleTicks)
		if err != nil && ctx.Err() == nil && !failing {
			l.log.ErrorContext(ctx, "unused parts of budgets were not given back", "error", err)
		}
		failing = err != nil
	}
}

// Close gives every block back. Calls that still spend are refused.
func (l *Ledger) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.leaders.Wait()
	return l.giveBack(ctx, 0)
}

// giveBack returns the blocks that were idle for so many ticks. They leave memory first: what
// a failed transaction keeps in the store stays here too.
func (l *Ledger) giveBack(ctx context.Context, ticks int) error {
	l.mu.Lock()
	var returns []Return
	for a, acc := range l.accounts {
		acc.idle++
		if acc.idle > forgetTicks && acc.block == [2]int64{} && acc.calls == 0 {
			delete(l.accounts, a)
			continue
		}
		if acc.idle < ticks || acc.block == [2]int64{} && acc.calls == 0 {
			continue
		}
		returns = append(returns, Return{Account: a, Start: acc.start, Vouched: acc.block[vouchedClass], Unvouched: acc.block[unvouchedClass], Calls: acc.calls})
		acc.block, acc.calls, acc.dry = [2]int64{}, 0, [2]dry{}
	}
	l.mu.Unlock()
	if len(returns) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	err := l.store.ReturnBudgets(ctx, returns)
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range returns {
		l.regain([]Take{{Back: returns[i]}})
	}
	return fmt.Errorf("return blocks of budgets: %w", err)
}
