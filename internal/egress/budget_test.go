package egress_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/budget"
	"sallyport/internal/egress"
	"sallyport/internal/money"
	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// balances is a budget.Store in memory.
type balances struct {
	mu   sync.Mutex
	rows map[budget.Account]*budget.Balance
	err  error
}

func (b *balances) of(a budget.Account) *budget.Balance {
	if b.rows[a] == nil {
		b.rows[a] = &budget.Balance{Account: a}
	}
	return b.rows[a]
}

func (b *balances) TakeBudgets(_ context.Context, takes []budget.Take) ([]budget.Taken, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []budget.Taken
	for _, t := range takes {
		out = append(out, b.of(t.Limit.Account).Take(t))
	}
	return out, b.err
}

func (b *balances) ReturnBudgets(_ context.Context, returns []budget.Return) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range returns {
		b.of(r.Account).Return(r)
	}
	return b.err
}

func (b *balances) ListBudgets(context.Context) ([]budget.Balance, error) { return nil, b.err }

func (b *balances) PurgeBudgets(context.Context, time.Time) (int, error) { return 0, b.err }

func amount(t *testing.T, s string) money.Amount {
	t.Helper()
	a, err := money.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// budgeted is a world whose connection has budgets.
func budgeted(t *testing.T, change func(c *site.Connection), more ...func(s *site.Site)) (*world, *balances) {
	t.Helper()
	store := &balances{rows: map[budget.Account]*budget.Balance{}}
	ledger := budget.NewLedger(budget.Options{Store: store})
	t.Cleanup(func() { _ = ledger.Close(context.Background()) })
	w := open(t)
	w.upstream.answer = func(int, *egress.Request) (*egress.Response, error) {
		return &egress.Response{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Attempts: 1,
			Body: []byte(`{"object":"list","data":[],"has_more":false,"url":"/v1/products"}`)}, nil
	}
	w.deps.Budgets = ledger
	c := payments(t)
	change(c)
	c.Site = "shop"
	shop := &site.Site{Name: "shop", Origins: []site.Origin{shopOrigin}, Connections: map[string]*site.Connection{c.Name: c}, Guards: w.guards}
	for _, f := range more {
		f(shop)
	}
	w.buildSite(shop)
	return w, store
}

func perDay(t *testing.T, max string) []budget.Rule {
	return []budget.Rule{{Period: budget.Day, Max: amount(t, max)}}
}

func TestBudgetStopsTheLastCalls(t *testing.T) {
	w, _ := budgeted(t, func(c *site.Connection) { c.Budgets = perDay(t, "10 calls") })
	key := w.backend("payments", "GET", "/v1/products", "")
	var out atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			c := *key
			switch a := w.Call(context.Background(), &c); {
			case a.Problem == nil:
				out.Add(1)
			case a.Problem.Code != problem.BudgetExhausted || a.Problem.RetryAfter <= 0 || a.Problem.Outcome != problem.NotSent:
				t.Errorf("%+v", a.Problem)
			}
		})
	}
	wg.Wait()
	if sent := len(w.upstream.calls); sent != 10 || out.Load() != 10 {
		t.Errorf("%d of 200 calls reached the provider and %d were answered; want 10", sent, out.Load())
	}
}

// TestBudgetLevels: a browser's call counts for operation, connection and site; what a smaller
// budget refuses is not taken from the larger ones; and visits that nobody vouches for share
// a fifth of each.
func TestBudgetLevels(t *testing.T) {
	for vouched, want := range map[string]int{"work": 10, "backend": 2} { // the visit has done a proof of work
		w, store := budgeted(t, func(c *site.Connection) {
			c.Costs = map[string]money.Amount{"list-products": amount(t, "0.25 USD")}
			c.BackendAll = false
			c.Browser = map[string]*site.BrowserRule{"list-products": {Operation: "list-products", Budgets: perDay(t, "10 calls"), Returns: paths(t, "data[].id")}}
			c.Budgets = perDay(t, "100 USD")
		}, func(s *site.Site) {
			s.Budgets = []budget.Rule{{Period: budget.Month, Max: amount(t, "1000 USD")}}
			if vouched == "backend" {
				s.Vouching.WholeBudget = "backend"
			}
		})
		for i := range 15 {
			a := w.Call(t.Context(), browser("payments", "GET", "/v1/products", ""))
			if got := a.Problem == nil; got != (i < want) {
				t.Fatalf("whole budget from %s on: call %d: %d %+v; want %d calls", vouched, i, a.Status, a.Problem, want)
			}
		}
		if err := w.deps.Budgets.(*budget.Ledger).Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		levels := map[string]int64{}
		for a, b := range store.rows {
			levels[a.Level()+" "+string(a.Unit)] = b.Taken
		}
		for level, each := range map[string]int64{"operation calls": money.One, "connection USD": 250_000, "site USD": 250_000} {
			if levels[level] != each*int64(want) {
				t.Errorf("whole budget from %s on: %s: %d millionths taken for %d calls", vouched, level, levels[level], want)
			}
		}
	}
}

func TestBudgetGivesBackWhatWasNotSent(t *testing.T) {
	w, _ := budgeted(t, func(c *site.Connection) { c.Budgets = perDay(t, "1 calls") })
	w.audit.fail = errors.New("disk full")
	refused(t, w.Call(t.Context(), w.backend("payments", "POST", "/v1/refunds", `{"payment_intent":"pi_1"}`)), problem.AuditUnavailable)
	w.audit.fail = nil
	passed(t, w.Call(t.Context(), w.backend("payments", "GET", "/v1/products", "")))
	refused(t, w.Call(t.Context(), w.backend("payments", "GET", "/v1/products", "")), problem.BudgetExhausted)
}

// TestBudgetFailsClosed: a store that does not answer lets nothing out.
func TestBudgetFailsClosed(t *testing.T) {
	w, store := budgeted(t, func(c *site.Connection) { c.Budgets = perDay(t, "10 calls") })
	store.err = errors.New("gone")
	refused(t, w.Call(t.Context(), w.backend("payments", "GET", "/v1/products", "")), problem.StoreUnavailable)
	if len(w.upstream.calls) != 0 {
		t.Error("a call went out")
	}
}

func TestBudgetCanOnlyWatch(t *testing.T) {
	w, _ := budgeted(t, func(c *site.Connection) {
		c.Budgets, c.Observe = perDay(t, "1 calls"), []string{egress.CheckBudget}
	})
	for range 3 {
		passed(t, w.Call(t.Context(), w.backend("payments", "GET", "/v1/products", "")))
	}
	if seen := w.records.last().Observed; len(seen) == 0 || seen[0] != "budget.budget_exhausted" {
		t.Errorf("observed %q", seen)
	}
}

// TestBudgetReplayIsFree: the answer of the first call costs nothing again.
func TestBudgetReplayIsFree(t *testing.T) {
	w, _ := budgeted(t, func(c *site.Connection) { c.Budgets = perDay(t, "1 calls") })
	one := w.backend("payments", "POST", "/v1/refunds", `{"payment_intent":"pi_1"}`, "Idempotency-Key", "k1")
	again := *one
	first := w.Call(t.Context(), one)
	if first.Problem != nil && first.Problem.Code == problem.BudgetExhausted {
		t.Fatalf("%+v", first.Problem)
	}
	if second := w.Call(t.Context(), &again); second.Problem != nil && second.Problem.Code == problem.BudgetExhausted {
		t.Errorf("the repeat was charged: %+v", second.Problem)
	}
	if len(w.upstream.calls) != 1 {
		t.Errorf("%d calls reached the provider", len(w.upstream.calls))
	}
}

// TestBudgetNeedsAPrice: a Gate is not built over a budget of money that nothing can be held against.
func TestBudgetNeedsAPrice(t *testing.T) {
	w := open(t)
	for name, costs := range map[string]map[string]money.Amount{"no price": nil, "another currency": {"list-products": amount(t, "1 EUR")}} {
		c := payments(t)
		c.Site, c.BackendAll, c.Backend = "shop", false, []string{"list-products"}
		c.Browser, c.Budgets, c.Costs = nil, perDay(t, "10 USD"), costs
		if _, err := egress.New([]*site.Site{{Name: "shop", Connections: map[string]*site.Connection{"payments": c}}}, catalog, w.deps); err == nil {
			t.Errorf("%s: a gate was built", name)
		}
	}
}
