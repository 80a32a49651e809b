// Package budget keeps calls within what a site's file lets them cost: per day and month, in
// money or in calls, for a site, a connection or an operation.
//
// It guarantees that all budgets of a call are spent at once or none is; that no budget is
// ever overspent, whatever the number of callers, nodes and crashes; that callers nobody
// vouches for share a fifth of it at most; and that a clock that is set back refills nothing.
// A crash may only count too much, never too little: at most the blocks that the node had
// reserved and not spent (Ledger).
//
// It knows nothing of files, SQL or HTTP: a Store keeps the balances, prices come with each
// charge.
package budget

import (
	"fmt"
	"time"

	"sallyport/internal/money"
)

// Period is the time after which a budget is whole again, in UTC.
type Period string

// The periods.
const (
	Day   Period = "day"
	Month Period = "month"
)

// Periods lists the periods, the shorter first.
func Periods() []Period { return []Period{Day, Month} }

// Start is when the period that holds t began.
func (p Period) Start(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	if p == Month {
		d = 1
	}
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// End is when the period that began at start is over.
func (p Period) End(start time.Time) time.Time {
	if p == Month {
		return start.AddDate(0, 1, 0)
	}
	return start.AddDate(0, 0, 1)
}

// Account names what is counted together. What one mode of a connection spends counts apart
// from another's: calls of the provider's test system use up no budget of live ones.
type Account struct {
	Site       string
	Connection string // empty: the whole site
	Operation  string // empty: the whole connection
	Mode       string
	Period     Period
	Unit       money.Unit
}

// Level says in a word what the account covers.
func (a Account) Level() string {
	switch {
	case a.Operation != "":
		return "operation"
	case a.Connection != "":
		return "connection"
	}
	return "site"
}

// Name is the account's place as people write it: shop, shop/sms, shop/sms create-message.
func (a Account) Name() string {
	name := a.Site
	if a.Connection != "" {
		name += "/" + a.Connection
	}
	if a.Operation != "" {
		name += " " + a.Operation
	}
	return name
}

// Rule is one budget as the file says it.
type Rule struct {
	Period Period
	Max    money.Amount
	// Soft is the share in percent at which an alert is raised; 0: none.
	Soft int
}

// String writes a rule for people: "20.00 USD a day".
func (r Rule) String() string { return fmt.Sprintf("%s a %s", r.Max, r.Period) }

// Limit is a rule with the account that it holds for.
type Limit struct {
	Account Account
	Max     int64 // millionths of the account's unit
	Soft    int64 // the alert's threshold; 0: none
}

// Limit ties a rule to an account; Period and Unit of the account are set.
func (r Rule) Limit(of Account) Limit {
	of.Period, of.Unit = r.Period, r.Max.Unit
	l := Limit{Account: of, Max: r.Max.Millionths}
	if r.Soft > 0 {
		l.Soft = max(1, r.Max.Millionths/100*int64(r.Soft)+r.Max.Millionths%100*int64(r.Soft)/100)
	}
	return l
}

// unvouchedPart is the part of a budget that callers nobody vouches for share.
const unvouchedPart = 5

// Share is how much of the budget callers may spend that nobody vouches for: a fifth.
func (l Limit) Share() int64 { return l.Max / unvouchedPart }

// Charge is what one call costs one budget.
type Charge struct {
	Limit Limit
	Cost  int64 // millionths of the account's unit
}

// Charges are what one call costs the budgets of a site, a connection or an operation; price
// is that of the call, and its zero value says that the call costs nothing.
func Charges(of Account, rules []Rule, price money.Amount) []Charge {
	var out []Charge
	for _, r := range rules {
		cost := int64(money.One)
		if r.Max.Unit != money.Calls {
			cost = price.Millionths
		}
		if cost > 0 {
			out = append(out, Charge{Limit: r.Limit(of), Cost: cost})
		}
	}
	return out
}
