package budget

import (
	"context"
	"time"
)

// Store keeps the balances. Methods are safe for concurrent use, from several nodes too; a nil
// error means durable.
type Store interface {
	// TakeBudgets runs Balance.Take for each account in its order, all in one transaction
	// that no other may overlap on these accounts, and keeps what comes out. An account that is
	// not there begins at zero.
	TakeBudgets(ctx context.Context, takes []Take) ([]Taken, error)
	// ReturnBudgets runs Balance.Return for each account in one transaction. An account that is
	// not there is passed over.
	ReturnBudgets(ctx context.Context, returns []Return) error
	// ListBudgets lists all balances, by account.
	ListBudgets(ctx context.Context) ([]Balance, error)
	// PurgeBudgets removes balances whose period began before a time.
	PurgeBudgets(ctx context.Context, before time.Time) (int, error)
}

// Balance is what a Store keeps of one account, of the latest period that was ever spent in.
type Balance struct {
	Account Account
	Start   time.Time // of the period
	// Taken is what was spent, and what nodes have reserved, in millionths; Unvouched is the
	// part of it that callers spent whom nobody vouches for.
	Taken, Unvouched int64
	// Calls is how many calls spent it, as far as nodes have told.
	Calls int64
	// Told are the alerts that this period has had.
	Told Alert
}

// Alert is a set of things that are told once in a period.
type Alert uint8

// The alerts.
const (
	Soft  Alert = 1 << iota // the soft threshold is reached
	Hard                    // nothing that a call could spend is left
	Share                   // what callers may spend whom nobody vouches for is spent
)

// Word names one alert: soft, spent or share.
func (a Alert) Word() string {
	switch a {
	case Soft:
		return "soft"
	case Hard:
		return "spent"
	case Share:
		return "share"
	}
	return ""
}

// Alerts lists the single alerts of a set.
func (a Alert) Alerts() []Alert {
	var out []Alert
	for _, one := range []Alert{Soft, Hard, Share} {
		if a&one != 0 {
			out = append(out, one)
		}
	}
	return out
}

// Take asks for a block of a budget.
type Take struct {
	Limit     Limit
	Start     time.Time // of the period, by the node's clock
	Unvouched bool      // for callers nobody vouches for
	Need      int64     // what waits to be spent; the block may be larger
	Back      Return    // given back in the same step, before anything is taken
	// Last: where too little is left, somebody is refused. The node has no more of its own.
	Last bool
}

// Taken is what a Take got.
type Taken struct {
	// Start is of the period that was taken from: a later one than asked for, if the clock
	// was set back.
	Start   time.Time
	Granted int64 // all of Need, or all that is left
	Left    int64 // what the same kind of caller could still take
	Told    Alert // alerts that this Take is the first of its period to raise
}

// blockPart is the part of what is left that a node takes at once: a hundredth. Near the end
// of a budget that is less than a call, and calls are taken singly.
const blockPart = 100

// Take takes from the balance. It is the one place that decides how much, for all stores.
func (b *Balance) Take(t Take) Taken {
	if t.Start.After(b.Start) {
		*b = Balance{Account: t.Limit.Account, Start: t.Start}
	}
	b.Return(t.Back)
	left := b.left(t.Limit, t.Unvouched)
	granted := min(left, max(t.Need, left/blockPart))
	b.Taken += granted
	if t.Unvouched {
		b.Unvouched += granted
	}
	told := b.alerts(t, granted) &^ b.Told
	b.Told |= told
	return Taken{Start: b.Start, Granted: granted, Left: left - granted, Told: told}
}

func (b *Balance) left(l Limit, unvouched bool) int64 {
	left := l.Max - b.Taken
	if unvouched {
		left = min(left, l.Share()-b.Unvouched)
	}
	return max(left, 0)
}

func (b *Balance) alerts(t Take, granted int64) (a Alert) {
	if t.Limit.Soft > 0 && b.Taken >= t.Limit.Soft {
		a |= Soft
	}
	if granted >= t.Need || !t.Last {
		return a
	}
	if t.Unvouched && t.Limit.Max-b.Taken >= t.Need-granted { // the whole budget could have paid
		return a | Share
	}
	return a | Hard
}

// Return gives back what was reserved and not spent, and tells of calls that were made.
type Return struct {
	Account   Account
	Start     time.Time // of the period that it was taken from
	Vouched   int64     // of blocks for vouched callers
	Unvouched int64     // of blocks for the others
	Calls     int64     // made since the node last told
}

// Return gives back to the balance. What was taken in an earlier period is gone with it.
func (b *Balance) Return(r Return) {
	if !r.Start.Equal(b.Start) {
		return
	}
	b.Unvouched = max(0, b.Unvouched-r.Unvouched)
	b.Taken = max(b.Unvouched, b.Taken-r.Vouched-r.Unvouched)
	b.Calls += r.Calls
}
