package egresstest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/budget"
	"sallyport/internal/money"
	"sallyport/internal/problem"
)

// Budgets runs the suite over stores that open makes, empty, one for each test. Nodes are
// ledgers on one store, as they are in life; each is used from many goroutines.
func Budgets(t *testing.T, open func(t *testing.T) budget.Store) {
	tests := map[string]func(*testing.T, budget.Store){
		"1000 at once against the last 10":              lastTen,
		"1000 at once on two nodes against the last 10": lastTenOfTwo,
		"two nodes never overspend, and spend it all":   spendAll,
		"all budgets of a call, or none":                allOrNone,
		"given back, it can be spent again":             givenBack,
		"a new day is whole, the old month is not":      periods,
		"a clock set back refills nothing":              setBack,
		"a clean stop returns blocks":                   cleanStop,
		"a crash counts too much, never too little":     crashed,
		"unvouched callers share a fifth":               share,
		"blocks of the other kind are used at the end":  otherKind,
		"alerts are told once":                          alerts,
		"a changed limit holds at once":                 changed,
		"modes and accounts stay apart":                 accountsApart,
		"old balances are purged":                       purged,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// clock is a wall clock that a test sets.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.set(noon())
	return c
}

func (c *clock) set(t time.Time) { c.at.Store(t.UnixNano()) }
func (c *clock) now() time.Time  { return time.Unix(0, c.at.Load()).UTC() }

// node is a ledger that ends with the test, cleanly.
func node(t *testing.T, s budget.Store, c *clock) *budget.Ledger {
	t.Helper()
	l := budget.NewLedger(budget.Options{Store: s, Now: c.now})
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Errorf("close ledger: %v", err)
		}
	})
	return l
}

func shop() budget.Account { return budget.Account{Site: "shop", Connection: "sms", Mode: "live"} }

// rule reads "10 calls a day" as a test writes it.
func rule(t *testing.T, p budget.Period, amount string) budget.Rule {
	t.Helper()
	a, err := money.Parse(amount)
	if err != nil {
		t.Fatal(err)
	}
	return budget.Rule{Period: p, Max: a}
}

func charges(t *testing.T, of budget.Account, price string, rules ...budget.Rule) []budget.Charge {
	t.Helper()
	a, err := money.Parse(price)
	if err != nil {
		t.Fatal(err)
	}
	return budget.Charges(of, rules, a)
}

// spendMany makes n calls at once, spread over the nodes, and counts those that went out.
func spendMany(t *testing.T, n int, charges []budget.Charge, vouched bool, nodes ...*budget.Ledger) int {
	t.Helper()
	var out atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			_, err := nodes[i%len(nodes)].Spend(context.Background(), charges, vouched)
			if err == nil {
				out.Add(1)
				return
			}
			if p := problem.From(err); p.Code != problem.BudgetExhausted || p.RetryAfter <= 0 {
				t.Errorf("refused with %v, retry after %s", err, p.RetryAfter)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(out.Load())
}

func spendOne(t *testing.T, l *budget.Ledger, charges []budget.Charge, vouched bool) (budget.Spent, bool) {
	t.Helper()
	s, err := l.Spend(t.Context(), charges, vouched)
	if err != nil && problem.From(err).Code != problem.BudgetExhausted {
		t.Fatalf("Spend: %v", err)
	}
	return s, err == nil
}

func lastTen(t *testing.T, s budget.Store) {
	l := node(t, s, newClock())
	day := charges(t, shop(), "0.05 USD", rule(t, budget.Day, "110 calls"), rule(t, budget.Month, "1000 USD"))
	if n := spendMany(t, 100, day, true, l); n != 100 {
		t.Fatalf("%d of the first 100 went out", n)
	}
	if n := spendMany(t, 1000, day, true, l); n != 10 {
		t.Errorf("%d of 1,000 parallel calls went out against the last 10", n)
	}
	if n := spendMany(t, 100, day, true, l); n != 0 {
		t.Errorf("%d went out of a spent budget", n)
	}
}

func lastTenOfTwo(t *testing.T, s budget.Store) {
	c := newClock()
	one, two := node(t, s, c), node(t, s, c)
	day := charges(t, shop(), "0.05 USD", rule(t, budget.Day, "0.50 USD"))
	if n := spendMany(t, 1000, day, true, one, two); n != 10 {
		t.Errorf("%d of 1,000 parallel calls went out against the last 10", n)
	}
}

func spendAll(t *testing.T, s budget.Store) {
	c := newClock()
	one, two := node(t, s, c), node(t, s, c)
	day := charges(t, shop(), "0.01 USD", rule(t, budget.Day, "30 USD"))
	n := spendMany(t, 4000, day, true, one, two)
	if n > 3000 || n < 2900 {
		t.Errorf("%d went out, 3,000 are paid for; at most a hundredth may wait in each node", n)
	}
	for _, l := range []*budget.Ledger{one, two} { // what an idle node holds goes back to the other
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n += spendMany(t, 400, day, true, node(t, s, c)); n != 3000 {
		t.Errorf("%d went out in all, want 3,000", n)
	}
}

func allOrNone(t *testing.T, s budget.Store) {
	c := newClock()
	l := node(t, s, c)
	op := shop()
	op.Operation = "create-message"
	small := charges(t, op, "1 USD", rule(t, budget.Day, "3 calls"))
	large := charges(t, shop(), "1 USD", rule(t, budget.Day, "100 USD"), rule(t, budget.Month, "100 USD"))
	if n := spendMany(t, 50, append(large, small...), true, l); n != 3 {
		t.Fatalf("%d went out, the smallest budget pays for 3", n)
	}
	if n := spendMany(t, 200, large, true, l); n != 97 {
		t.Errorf("%d more went out of 100 USD after 3: what was refused had been spent all the same", n)
	}
}

func givenBack(t *testing.T, s budget.Store) {
	l := node(t, s, newClock())
	day := charges(t, shop(), "1 USD", rule(t, budget.Day, "2 calls"), rule(t, budget.Month, "2 USD"))
	first, ok1 := spendOne(t, l, day, true)
	_, ok2 := spendOne(t, l, day, true)
	if _, ok3 := spendOne(t, l, day, true); !ok1 || !ok2 || ok3 {
		t.Fatalf("spent %v %v %v; want two", ok1, ok2, ok3)
	}
	l.Return(first)
	if _, ok := spendOne(t, l, day, true); !ok {
		t.Error("what was given back cannot be spent")
	}
	if _, ok := spendOne(t, l, day, true); ok {
		t.Error("given back once, spent twice")
	}
	l.Return(budget.Spent{}) // nothing was spent
}

func periods(t *testing.T, s budget.Store) {
	c := newClock()
	l := node(t, s, c)
	both := charges(t, shop(), "1 USD", rule(t, budget.Day, "10 USD"), rule(t, budget.Month, "15 USD"))
	late, ok := spendOne(t, l, both, true)
	if n := spendMany(t, 20, both, true, l); !ok || n != 9 {
		t.Fatalf("%d went out on the first day, want 9 more", n)
	}
	c.set(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))
	l.Return(late) // of yesterday: the month gets it back, today does not
	if n := spendMany(t, 20, both, true, l); n != 6 {
		t.Errorf("%d went out on the second day, the month pays for 6", n)
	}
	c.set(time.Date(2026, 12, 1, 0, 0, 1, 0, time.UTC))
	if n := spendMany(t, 20, both, true, l); n != 10 {
		t.Errorf("%d went out in the new month, the day pays for 10", n)
	}
}

func setBack(t *testing.T, s budget.Store) {
	c := newClock()
	l := node(t, s, c)
	day := charges(t, shop(), "1 USD", rule(t, budget.Day, "3 calls"))
	if n := spendMany(t, 5, day, true, l); n != 3 {
		t.Fatalf("%d went out", n)
	}
	for _, back := range []time.Duration{-time.Hour, -24 * time.Hour, -400 * 24 * time.Hour} {
		c.set(noon().Add(back))
		if n := spendMany(t, 5, day, true, l); n != 0 {
			t.Errorf("%d went out after the clock was set back by %s", n, -back)
		}
		if n := spendMany(t, 5, day, true, node(t, s, c)); n != 0 {
			t.Errorf("%d went out of a new node after the clock was set back by %s", n, -back)
		}
	}
	c.set(noon().Add(24 * time.Hour))
	if n := spendMany(t, 5, day, true, l); n != 3 {
		t.Errorf("%d went out on the next day", n)
	}
}

func balance(t *testing.T, s budget.Store, a budget.Account) budget.Balance {
	t.Helper()
	all, err := s.ListBudgets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		if b.Account == a {
			return b
		}
	}
	t.Fatalf("no balance of %+v among %+v", a, all)
	return budget.Balance{}
}

func cleanStop(t *testing.T, s budget.Store) {
	l := node(t, s, newClock())
	day := charges(t, shop(), "0.01 USD", rule(t, budget.Day, "100 USD"))
	spendMany(t, 7, day, true, l)
	spendMany(t, 3, day, false, l)
	if b := balance(t, s, day[0].Limit.Account); b.Taken <= 100_000 {
		t.Errorf("the node reserved no block: %d taken for 10 calls of 0.01 USD", b.Taken)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := balance(t, s, day[0].Limit.Account)
	if b.Taken != 100_000 || b.Unvouched != 30_000 || b.Calls != 10 || !b.Start.Equal(budget.Day.Start(noon())) {
		t.Errorf("after a clean stop: %+v; want 0.10 USD taken, 0.03 of it unvouched, 10 calls", b)
	}
	if _, err := l.Spend(t.Context(), day, true); problem.From(err).Code != problem.StoreUnavailable {
		t.Errorf("a closed ledger: %v; want store_unavailable", err)
	}
}

func crashed(t *testing.T, s budget.Store) {
	c := newClock()
	day := charges(t, shop(), "0.01 USD", rule(t, budget.Day, "10 USD"))
	dead := budget.NewLedger(budget.Options{Store: s, Now: c.now}) // never closed
	if n := spendMany(t, 25, day, true, dead); n != 25 {
		t.Fatalf("%d went out", n)
	}
	n := spendMany(t, 1200, day, true, node(t, s, c))
	if n > 975 || n < 965 {
		t.Errorf("%d went out after the crash; 975 were left, and the dead node held at most a hundredth", n)
	}
}

func share(t *testing.T, s budget.Store) {
	c := newClock()
	l := node(t, s, c)
	day := charges(t, shop(), "1 USD", rule(t, budget.Day, "50 calls"))
	if n := spendMany(t, 1000, day, false, l, node(t, s, c)); n != 10 {
		t.Errorf("%d calls that nobody vouches for went out of 50, want 10", n)
	}
	if n := spendMany(t, 1000, day, true, l); n != 40 {
		t.Errorf("%d vouched calls went out of the 40 left", n)
	}
}

func otherKind(t *testing.T, s budget.Store) {
	l := node(t, s, newClock())
	day := charges(t, shop(), "0.01 USD", rule(t, budget.Day, "10 USD"))
	if n := spendMany(t, 1, day, false, l) + spendMany(t, 2000, day, true, l); n != 1000 {
		t.Errorf("%d of 1,000 went out: the rest lies in the block for unvouched callers", n)
	}
	day = charges(t, shop(), "0.01 USD", rule(t, budget.Month, "10 USD"))
	if n := spendMany(t, 801, day, true, l) + spendMany(t, 500, day, false, l); n != 1000 {
		t.Errorf("%d of 1,000 went out: the rest lies in the block for vouched callers", n)
	}
}

func alerts(t *testing.T, s budget.Store) {
	c := newClock()
	var mu sync.Mutex
	var told []string
	open := func() *budget.Ledger {
		l := budget.NewLedger(budget.Options{Store: s, Now: c.now, Tell: func(a budget.Account, one budget.Alert) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, string(a.Period)+" "+one.Word())
		}})
		t.Cleanup(func() { _ = l.Close(context.Background()) })
		return l
	}
	r := rule(t, budget.Day, "20 calls")
	r.Soft = 80
	day := charges(t, shop(), "1 USD", r)
	one, two := open(), open()
	expectTold := func(when string, want ...string) {
		t.Helper()
		var heard []string
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // a call does not wait until an alert is told
			mu.Lock()
			heard = slices.Clone(told)
			mu.Unlock()
			if fmt.Sprint(heard) == fmt.Sprint(want) {
				return
			}
			if time.Now().After(end) {
				break
			}
		}
		t.Errorf("%s: told %q, want %q", when, heard, want)
	}
	spendMany(t, 15, day, true, one, two)
	expectTold("below the soft stop")
	spendMany(t, 1, day, true, one)
	expectTold("at the soft stop", "day soft")
	spendMany(t, 4, day, true, one, two)
	expectTold("all spent, nobody refused", "day soft")
	spendMany(t, 20, day, true, one, two)
	spendMany(t, 20, day, true, open())
	expectTold("refused", "day soft", "day spent")
	c.set(noon().Add(24 * time.Hour))
	spendMany(t, 5, day, false, one)
	expectTold("the share on the next day", "day soft", "day spent", "day share")
}

func changed(t *testing.T, s budget.Store) {
	l := node(t, s, newClock())
	day := func(calls string) []budget.Charge { return charges(t, shop(), "1 USD", rule(t, budget.Day, calls)) }
	if n := spendMany(t, 20, day("10 calls"), true, l); n != 10 {
		t.Fatalf("%d went out", n)
	}
	if n := spendMany(t, 20, day("15 calls"), true, l); n != 5 {
		t.Errorf("%d went out after the limit was raised by 5", n)
	}
	if n := spendMany(t, 20, day("3 calls"), true, l); n != 0 {
		t.Errorf("%d went out after the limit was lowered", n)
	}
}

func accountsApart(t *testing.T, s budget.Store) {
	l := node(t, s, newClock())
	base, accounts := shop(), []budget.Account{}
	for _, change := range []func(*budget.Account){
		func(*budget.Account) {}, func(a *budget.Account) { a.Site = "blog" }, func(a *budget.Account) { a.Connection = "" },
		func(a *budget.Account) { a.Operation = "create-message" }, func(a *budget.Account) { a.Mode = "sandbox" },
	} {
		a := base
		change(&a)
		accounts = append(accounts, a)
	}
	for _, a := range accounts {
		for _, r := range []budget.Rule{rule(t, budget.Day, "2 calls"), rule(t, budget.Day, "2 USD"), rule(t, budget.Day, "2 EUR"), rule(t, budget.Month, "2 calls")} {
			if n := spendMany(t, 5, charges(t, a, "1 USD", r), true, l); n != 2 {
				t.Errorf("%+v, %s: %d went out, want 2", a, r, n)
			}
		}
	}
}

func purged(t *testing.T, s budget.Store) {
	c := newClock()
	l := node(t, s, c)
	day := charges(t, shop(), "1 USD", rule(t, budget.Day, "2 calls"))
	spendMany(t, 2, day, true, l)
	if n, err := s.PurgeBudgets(t.Context(), budget.Day.Start(noon())); err != nil || n != 0 {
		t.Errorf("PurgeBudgets = %d, %v: what counts now was removed", n, err)
	}
	if n, err := s.PurgeBudgets(t.Context(), noon()); err != nil || n != 1 {
		t.Errorf("PurgeBudgets = %d, %v; want 1", n, err)
	}
	if err := s.ReturnBudgets(t.Context(), []budget.Return{{Account: day[0].Limit.Account, Start: budget.Day.Start(noon()), Vouched: 1}}); err != nil {
		t.Errorf("a return to a balance that is gone: %v", err)
	}
}
