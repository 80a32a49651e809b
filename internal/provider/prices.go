package provider

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/money"
)

// Price is what one call of some operations costs, as the provider publishes it: the list
// price before volume discounts and free allowances, and the highest where it depends on
// what is asked for.
type Price struct {
	Ops      []string `json:"operations"`
	Amount   string   `json:"amount"`   // a decimal number: 0.005
	Currency string   `json:"currency"` // ISO 4217, upper case
	Per      string   `json:"per"`      // call; nothing else can be held against a budget
	Fact
}

// Money is the price as an amount.
func (p Price) Money() money.Amount {
	a, err := money.Parse(p.Amount + " " + p.Currency)
	if err != nil {
		return money.Amount{} // Validate refuses such a pack
	}
	return a
}

// PriceOf finds what a call of an operation costs. Most providers publish no price that holds
// for every caller; then there is none.
func (p *Pack) PriceOf(operation string) (Price, bool) {
	for _, price := range p.Prices {
		if slices.Contains(price.Ops, operation) {
			return price, true
		}
	}
	return Price{}, false
}

func (p *Pack) checkPrices(f *faults) {
	seen := map[string]bool{}
	for i, price := range p.Prices {
		where := fmt.Sprintf("prices[%d]", i)
		a, err := money.Parse(price.Amount + " " + price.Currency)
		if err != nil || a.Unit == money.Calls || strings.ToUpper(price.Currency) != price.Currency {
			f.add("%s: %q %q is not an amount of money; write \"amount\": \"0.005\", \"currency\": \"USD\"", where, price.Amount, price.Currency)
		}
		f.oneOf(where+".per", price.Per, []string{"call"})
		if len(price.Ops) == 0 {
			f.add("%s: it names no operation", where)
		}
		for _, op := range price.Ops {
			if seen[op] {
				f.add("%s: %s has two prices", where, op)
			}
			seen[op] = true
		}
		p.checkOps(f, where, price.Ops)
		f.text(where+".statement", price.Statement)
		f.text(where+".source", price.Source)
		f.day(where+".date", price.Date)
		f.oneOf(where+".evidence", price.Evidence, Evidences())
	}
}

// inWords writes a price for people: 0.005 USD a call.
func (p Price) inWords() string { return p.Money().String() + " a " + p.Per }

func pricesCell(p *Pack) Cell {
	if len(p.Prices) == 0 {
		return notPublished("say what a call costs under costs:, for budgets of money")
	}
	c := published()
	for _, price := range p.Prices {
		c.Lines = append(c.Lines, price.inWords()+": "+strings.Join(price.Ops, ", ")+" ("+price.Provenance()+")")
		c = c.from(price.Source)
	}
	return c
}
