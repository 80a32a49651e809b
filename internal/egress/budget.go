package egress

import (
	"context"
	"fmt"
	"maps"

	"sallyport/internal/budget"
	"sallyport/internal/money"
	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// Budgets spends what calls cost; *budget.Ledger is one. Methods are safe for concurrent use.
type Budgets interface {
	// Spend takes all charges or none. Its error is a *problem.Error, and means that nothing
	// may be sent.
	Spend(ctx context.Context, charges []budget.Charge, vouched bool) (budget.Spent, error)
	// Return gives back what a call spent of which no byte was sent.
	Return(budget.Spent)
}

// spendBudget takes what the call costs from every budget that it concerns, as the last thing
// before it is sent. A call that the provider gets again under its own key is paid again.
func spendBudget(ctx context.Context, g *Gate, x *exchange) Decision {
	charges := x.charges()
	if len(charges) == 0 {
		return allow("no budget applies")
	}
	spent, err := g.deps.Budgets.Spend(ctx, charges, x.vouched)
	if err != nil {
		return denyErr(err)
	}
	x.ifNotSent(func(context.Context) error { g.deps.Budgets.Return(spent); return nil })
	return allow("paid for")
}

// spendAgain pays for a repeat of the attempt before it: whether the provider charges for
// calls that it did not answer is not known, so a budget counts each.
func (g *Gate) spendAgain(ctx context.Context, x *exchange) error {
	charges := x.charges()
	if len(charges) == 0 {
		return nil
	}
	_, err := g.deps.Budgets.Spend(ctx, charges, x.vouched)
	if err == nil || problem.From(err).Code == problem.BudgetExhausted && x.observes(CheckBudget) {
		return nil
	}
	return err
}

// charges are what one attempt of this call costs.
func (x *exchange) charges() []budget.Charge {
	switch {
	case x.rule != nil:
		return x.rule.charges
	case x.caller == site.Gate:
		return x.conn.own.charges
	}
	return x.conn.backend[x.op.ID].charges
}

// priced holds the budgets of a connection against the prices of its operations.
type priced struct {
	site  *site.Site
	conn  *site.Connection
	costs map[string]money.Amount
}

// charges are what a call of an operation costs; own are the budgets of the operation itself.
func (p *priced) charges(operation string, own []budget.Rule) ([]budget.Charge, error) {
	price, known := p.costs[operation]
	of := budget.Account{Site: p.site.Name, Mode: string(p.conn.Mode)}
	var out []budget.Charge
	for level, rules := range [][]budget.Rule{p.site.Budgets, p.conn.Budgets, own} {
		switch level {
		case 1:
			of.Connection = p.conn.Name
		case 2:
			of.Operation = operation
		}
		for _, r := range rules {
			switch {
			case r.Max.Unit == money.Calls:
			case !known:
				return nil, fmt.Errorf("operation %s has no price, and a budget of %s is over it", operation, r)
			case price.Unit != r.Max.Unit:
				return nil, fmt.Errorf("operation %s costs %s, and a budget of %s is over it", operation, price, r)
			}
		}
		out = append(out, budget.Charges(of, rules, price)...)
	}
	return out, nil
}

// budget compiles what the calls of a connection cost.
func (c *connection) budget(s *site.Site, has bool) error {
	p := &priced{site: s, conn: c.Connection, costs: maps.Clone(c.Costs)}
	some := false
	for name, rule := range c.browser {
		charges, err := p.charges(name, rule.Budgets)
		if err != nil {
			return err
		}
		rule.charges, some = charges, some || len(charges) > 0
	}
	for name, rule := range c.backend {
		charges, err := p.charges(name, nil)
		if err != nil {
			return err
		}
		rule.charges, some = charges, some || len(charges) > 0
	}
	if c.own != nil {
		charges, err := p.charges(c.own.op.ID, nil)
		if err != nil {
			return err
		}
		c.own.charges, some = charges, some || len(charges) > 0
	}
	if some && !has {
		return fmt.Errorf("there is nothing that keeps budgets")
	}
	return nil
}
