package budget

import (
	"context"
	"fmt"
	"time"
)

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
