package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/budget"
	"sallyport/internal/contract"
	"sallyport/internal/money"
	"sallyport/internal/ratelimit"
	"sallyport/internal/site"
)

// softDefault is the share in percent of a budget at which an alert is raised.
const softDefault = 80

// otherOperations is the key under costs for all operations that have no line of their own.
const otherOperations = "others"

// budgets reads what calls may cost per day and month.
func (b *builder) budgets(v *value) []budget.Rule {
	if v.form != mapping {
		return nil
	}
	soft := b.softStop(v.at("soft"))
	var out []budget.Rule
	for _, p := range budget.Periods() {
		for _, item := range v.at(string(p)).many() {
			if item.str() == "" {
				continue
			}
			a, err := money.Parse(item.text)
			switch {
			case err != nil:
				found, hint := split(err)
				b.fault(item, found, hint)
			case a.Millionths == 0:
				b.fault(item, "this budget pays for nothing", "write what calls may cost, such as 20 USD; to stop all calls: sallyport freeze")
			case slices.ContainsFunc(out, func(r budget.Rule) bool { return r.Period == p && r.Max.Unit == a.Unit }):
				b.fault(item, fmt.Sprintf("there are two budgets of %s for the %s", a.Unit, p), "keep the smaller one")
			default:
				out = append(out, budget.Rule{Period: p, Max: a, Soft: soft})
			}
		}
	}
	if len(out) == 0 && !v.at("day").present() && !v.at("month").present() {
		b.fault(v, "the budget names neither a day nor a month", "write for instance budget: {day: 20 USD, month: 300 USD}")
	}
	return out
}

func (b *builder) softStop(v *value) int {
	s := v.str()
	if s == "" {
		return softDefault
	}
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	if err != nil || !strings.HasSuffix(s, "%") || n < 1 || n > 100 {
		b.fault(v, "found "+v.shown(), "write a share from 1% to 100%, such as 80%")
		return softDefault
	}
	return n
}

// costs finds what a call of each operation costs: the file's word, else the catalog's.
func (l *linker) costs(v *value) {
	l.conn.Costs = map[string]money.Amount{}
	for _, op := range l.pack.Contract().Operations() {
		if price, ok := l.pack.PriceOf(op.ID); ok {
			l.conn.Costs[op.ID] = price.Money()
		}
	}
	var others *money.Amount
	own := map[string]bool{}
	for _, e := range v.entries {
		a, err := money.Parse(e.value.str())
		switch {
		case e.value.str() == "":
			continue // walk has named it
		case err != nil:
			found, hint := split(err)
			l.fault(e.value, found, hint)
		case a.Unit == money.Calls:
			l.fault(e.value, "a call costs money, not calls", "write for instance 0.05 USD")
		case e.key == otherOperations:
			others = &a
		case l.operation(keyPlace(v, e), e.key) != nil:
			l.conn.Costs[e.key], own[e.key] = a, true
		}
	}
	if others == nil {
		return
	}
	for _, op := range l.pack.Contract().Operations() {
		if _, known := l.conn.Costs[op.ID]; !known && !own[op.ID] {
			l.conn.Costs[op.ID] = *others
		}
	}
}

// placedBudget is a budget with the place where it stands and the operations that it is over.
type placedBudget struct {
	at    *value
	rules []budget.Rule
	ops   []*contract.Operation
}

// budgeted holds budgets of money against the prices of what they are over.
func (l *linker) budgeted(siteValue *value) {
	all := []placedBudget{{siteValue.at("budget"), l.site.Budgets, l.allowed()}, {l.v.at("budget"), l.conn.Budgets, l.allowed()}}
	for _, name := range slices.Sorted(maps.Keys(l.conn.Browser)) {
		if op, ok := l.pack.Contract().Find(name); ok {
			all = append(all, placedBudget{l.v.at("browser", name, "budget"), l.conn.Browser[name].Budgets, []*contract.Operation{op}})
		}
	}
	for _, b := range all {
		for i, r := range b.rules {
			if !slices.ContainsFunc(b.rules[:i], func(q budget.Rule) bool { return q.Max.Unit == r.Max.Unit }) {
				l.payable(b, r)
			}
			l.shared(b, r)
		}
	}
}

// payable names the operations that have no price in the budget's currency.
func (l *linker) payable(b placedBudget, r budget.Rule) {
	if r.Max.Unit == money.Calls {
		return
	}
	var missing, other []string
	for _, op := range b.ops {
		price, ok := l.conn.Costs[op.ID]
		switch {
		case !ok:
			missing = append(missing, op.ID)
		case price.Unit != r.Max.Unit && price.Millionths > 0:
			other = append(other, op.ID+" ("+price.String()+")")
		}
	}
	at := fmt.Sprintf("costs of %s/%s", l.site.Name, l.conn.Name)
	if len(missing) > 0 {
		l.fault(b.at, fmt.Sprintf("a budget of money is over operations of %s/%s that have no price: %s", l.site.Name, l.conn.Name, few(missing)),
			fmt.Sprintf("say under %s what a call costs, costs: {%s: 0.05 %s}; costs: {%s: 0 %s} for all that cost nothing; or count calls: budget: {day: 200 calls}", at, missing[0], r.Max.Unit, otherOperations, r.Max.Unit))
	}
	if len(other) > 0 {
		l.fault(b.at, fmt.Sprintf("the budget is in %s, and operations of %s/%s cost something else: %s", r.Max.Unit, l.site.Name, l.conn.Name, few(other)),
			fmt.Sprintf("write the budget in that currency, or say under %s what a call costs in %s; the gate converts no currencies", at, r.Max.Unit))
	}
}

func few(names []string) string {
	if len(names) <= 4 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
}

// shared warns of a budget whose fifth pays for no call: visitors could never make one.
func (l *linker) shared(b placedBudget, r budget.Rule) {
	for _, op := range b.ops {
		if l.conn.Browser[op.ID] == nil {
			continue
		}
		cost := l.cost(op.ID, r)
		switch {
		case cost > r.Max.Millionths:
			l.fault(b.at, fmt.Sprintf("one call of %s costs %s, and the budget is %s", op.ID, l.conn.Costs[op.ID], r), "write a budget that pays for a call")
		case cost > r.Limit(budget.Account{}).Share():
			l.warn(b.at, fmt.Sprintf("visitors for whom nobody vouches share a fifth of %s, which pays for no call of %s", r, op.ID), "write a larger budget, or vouch for the visitors that may call it")
		}
	}
}

// cost is what a call of an operation costs a budget.
func (l *linker) cost(operation string, r budget.Rule) int64 {
	if r.Max.Unit == money.Calls {
		return money.One
	}
	return l.conn.Costs[operation].Millionths
}

// worstDay is the most that strangers can make an operation cost in a day: what its price, the
// budgets over it and the limits that count all callers together allow. ok is false where its
// price is not known or nothing bounds it.
func (l *linker) worstDay(op *contract.Operation, rule *site.BrowserRule) (money.Amount, bool) {
	price, ok := l.conn.Costs[op.ID]
	if !ok {
		return money.Amount{}, false
	}
	worst := int64(-1)
	bound := func(n int64) {
		if worst < 0 || n < worst {
			worst = n
		}
	}
	for _, r := range slices.Concat(l.site.Budgets, l.conn.Budgets, rule.Budgets) {
		share := r.Limit(budget.Account{}).Share()
		if r.Max.Unit == money.Calls {
			share, ok = times(share/money.One, price.Millionths)
		}
		if ok && (r.Max.Unit == money.Calls || r.Max.Unit == price.Unit) {
			bound(share)
		}
	}
	for _, r := range slices.Concat(l.site.Limits, l.conn.Limits, rule.Limits) {
		if r.Per == ratelimit.PerSession || r.Per == ratelimit.PerPrefix || r.Window <= 0 {
			continue // any number of visits and networks can be had
		}
		// A limit lets its whole number pass at once, and the same again by and by.
		day := int64(r.Calls) + int64(r.Calls)*int64(24*time.Hour/time.Second)/max(1, int64(r.Window/time.Second))
		if n, ok := times(day, price.Millionths); ok {
			bound(n)
		}
	}
	return money.Amount{Millionths: worst, Unit: price.Unit}, worst >= 0
}

func times(a, b int64) (int64, bool) {
	n, err := money.Product(a, b)
	return n, err == nil
}

// cost fills in what an exposed operation costs, for check.
func (e *Exposure) cost(l *linker, op *contract.Operation, rule *site.BrowserRule) {
	e.Budgets = []string{}
	for _, r := range slices.Concat(rule.Budgets, l.conn.Budgets, l.site.Budgets) {
		e.Budgets = append(e.Budgets, r.String())
	}
	if price, ok := l.conn.Costs[op.ID]; ok {
		e.Price = price.String()
	}
	if worst, ok := l.worstDay(op, rule); ok {
		e.WorstDay = worst.String()
	}
	if len(rule.From) > 0 {
		list := rule.From[0].List
		e.Chooses = append(e.Chooses, fmt.Sprintf("an order from %s, up to %s", list.Name, list.Money(list.Most())))
	}
}
