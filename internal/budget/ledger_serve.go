package budget

import (
	"context"
	"errors"
	"fmt"
	"time"
)

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
