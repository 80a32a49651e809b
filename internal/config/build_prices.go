package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/money"
	"sallyport/internal/order"
	"sallyport/internal/site"
)

// Limits of an order where the file names none.
const (
	defaultPieces = 20
	maxDecimals   = 4
)

// prices reads the price lists of a site.
func (b *builder) prices(v *value) map[string]*order.List {
	if v.form != mapping {
		return nil
	}
	out := map[string]*order.List{}
	for _, e := range v.entries {
		if e.value.form == mapping {
			out[e.key] = b.priceList(e.key, e.value)
		}
	}
	return out
}

func (b *builder) priceList(name string, v *value) *order.List {
	l := &order.List{Name: name, Pieces: defaultPieces}
	b.listCurrency(v, l)
	o := v.at("order")
	if o.at("items").present() {
		l.Pieces = b.between(o.at("items"), 1, order.MaxQuantity)
	}
	l.Min, l.Max = b.between(o.at("min"), 0, order.MaxAmount), b.between(o.at("max"), 0, order.MaxAmount)
	if l.Max > 0 && l.Min > l.Max {
		b.fault(o.at("min"), fmt.Sprintf("min %d is above max %d", l.Min, l.Max), "swap them")
	}
	l.Shipping.Flat = b.between(v.at("shipping", "flat"), 0, order.MaxAmount)
	l.Shipping.FreeFrom = b.between(v.at("shipping", "free_from"), 0, order.MaxAmount)
	items := v.at("items")
	for _, e := range items.entries {
		if e.value.form != mapping {
			continue
		}
		i := order.Item{Name: e.key, Amount: b.between(e.value.at("amount"), 0, order.MaxAmount), Max: l.Pieces, Title: map[string]string{}}
		if most := e.value.at("max"); most.present() {
			i.Max = min(b.between(most, 1, order.MaxQuantity), l.Pieces)
		}
		for _, t := range e.value.at("title").entries {
			i.Title[t.key] = t.value.str()
		}
		l.Items = append(l.Items, i)
	}
	slices.SortFunc(l.Items, func(x, y order.Item) int { return cmp.Compare(x.Name, y.Name) })
	switch {
	case items.form == mapping && len(items.entries) == 0:
		b.fault(items, "the price list has no item", "add one: items: {mug: {amount: 1900}}")
	case len(l.Items) > order.MaxItems:
		b.fault(items, fmt.Sprintf("the price list has %d items", len(l.Items)), fmt.Sprintf("write at most %d; a larger shop prices its orders in a backend of its own", order.MaxItems))
	case l.Min > l.Most() && (l.Max == 0 || l.Min <= l.Max):
		b.fault(o.at("min"), fmt.Sprintf("no order of this list reaches %s; the largest comes to %s", l.Money(l.Min), l.Money(l.Most())), "write a smaller min")
	}
	return l
}

// between reads a whole number; a missing one is 0, and walk has named what is none.
func (b *builder) between(v *value, least, most int64) int64 {
	if v.form != whole {
		return 0
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	if err != nil || n < least || n > most {
		b.fault(v, "found "+v.shown(), fmt.Sprintf("write a whole number from %d to %d", least, most))
		return least
	}
	return n
}

func (b *builder) listCurrency(v *value, l *order.List) {
	at := v.at("currency")
	if at.str() == "" {
		return
	}
	unit, err := money.ParseUnit(at.text)
	if err != nil || unit == money.Calls {
		b.fault(at, at.shown()+" is not a currency", "write a code of ISO 4217 such as eur")
		return
	}
	l.Currency = at.text
	if d := v.at("decimals"); d.present() {
		l.Decimals = int(b.between(d, 0, maxDecimals))
		return
	}
	var ok bool
	if l.Decimals, ok = money.Decimals(string(unit)); !ok {
		b.fault(at, fmt.Sprintf("sources differ on how many decimals %s has", unit), "add decimals: 2 if amounts are hundredths, decimals: 0 if they are whole")
	}
}

// from reads the parameters whose values come from an order and a price list.
func (r *ruler) from(v *value) {
	for _, e := range v.entries {
		at := keyPlace(v, e)
		path, schema, ok := r.parameter(at, e.key, "from")
		if !ok || e.value.str() == "" {
			continue
		}
		if every(path) {
			r.fault(at, fmt.Sprintf("%s names every element of a list, and the browser would say how many there are", path), "name one element, such as "+firstElements(path).String())
			continue
		}
		f, ok := r.listPart(e.value)
		if !ok {
			continue
		}
		f.Path = path
		if len(r.rule.From) > 0 && r.rule.From[0].List != f.List {
			r.fault(e.value, fmt.Sprintf("values come from the lists %s and %s, and a call carries one order", r.rule.From[0].List.Name, f.List.Name), "use one list, or two operations")
			continue
		}
		if r.partFits(e.value, schema, &f) {
			r.rule.From = append(r.rule.From, f)
		}
	}
	r.pinned(v)
}

// listPart reads "catalogue", which is its total, or "catalogue.currency".
func (r *ruler) listPart(v *value) (site.From, bool) {
	name, part, dot := strings.Cut(v.text, ".")
	if !dot {
		part = string(order.Total)
	}
	l := r.site.Prices[name]
	if l == nil {
		known := slices.Sorted(maps.Keys(r.site.Prices))
		hint := "add prices: {" + orElse(regexp.MustCompile("[^a-z0-9-]").ReplaceAllString(name, ""), "catalogue") + ": {currency: eur, items: {mug: {amount: 1900}}}} to the site"
		if len(known) > 0 {
			hint = didYouMean(name, known, "write")
		}
		r.fault(v, fmt.Sprintf("the site has no price list %q", name), hint)
		return site.From{}, false
	}
	if !slices.Contains(order.Parts(), order.Part(part)) {
		names := make([]string, 0, len(order.Parts()))
		for _, p := range order.Parts() {
			names = append(names, string(p))
		}
		r.fault(v, fmt.Sprintf("an order has no %q", part), didYouMean(part, names, "write "+name+" with"))
		return site.From{}, false
	}
	return site.From{List: l, Part: order.Part(part)}, l.Currency != ""
}

// partFits finds how a part is written for the contract, and whether every value that it can
// have is one that the contract takes.
func (r *ruler) partFits(at *value, s *contract.Schema, f *site.From) bool {
	numeric := slices.Contains(s.Types, "integer") || slices.Contains(s.Types, "number")
	switch f.Part {
	case order.Currency:
		for _, code := range []string{f.List.Currency, strings.ToLower(f.List.Currency), strings.ToUpper(f.List.Currency)} {
			if r.takes(f.Path, code) {
				f.Currency = code
				return true
			}
		}
		r.fits(at, f.Path, f.List.Currency)
		return false
	case order.Text:
		if !slices.Contains(s.Types, "string") {
			r.fault(at, fmt.Sprintf("%s is not text in the contract, but %s", f.Path, strings.Join(s.Types, " or ")), "put the order where text fits, such as metadata.order")
			return false
		}
		r.fits(at, f.Path, longestOrder(f.List))
		return true
	}
	f.AsText = !numeric
	if !numeric && !slices.Contains(s.Types, "string") {
		r.fault(at, fmt.Sprintf("%s takes no amount: in the contract it is %s", f.Path, strings.Join(s.Types, " or ")), "write the path of the amount itself")
		return false
	}
	for _, n := range []int64{max(f.List.Min, 1), f.List.Most()} {
		if f.Part != order.Total && n != f.List.Most() {
			continue // nothing is a subtotal or shipping of its own
		}
		var v any = json.Number(strconv.FormatInt(n, 10))
		if f.AsText {
			v = money.Decimal(n, f.List.Decimals)
		}
		before := len(r.faults)
		if r.fits(at, f.Path, v); len(r.faults) > before {
			return false
		}
	}
	return true
}

// takes asks the contract about a value without naming a fault.
func (r *ruler) takes(path contract.Path, value any) bool {
	concrete, args := firstElements(path), contract.NewArgs(nil)
	if args.Set(concrete, value) != nil {
		return false
	}
	for _, f := range r.op.Check(args) {
		if where, err := contract.ParsePath(f.Where); err == nil && concrete.Covers(where) {
			return false
		}
	}
	return true
}

// longestOrder is about the longest text of an order: the longest names, as many as there
// may be pieces.
func longestOrder(l *order.List) string {
	items := slices.SortedFunc(slices.Values(l.Items), func(a, b order.Item) int { return len(b.Name) - len(a.Name) })
	o := &order.Order{}
	for _, i := range items[:min(int64(len(items)), l.Pieces)] {
		line := order.Line{Item: i.Name, Quantity: min(i.Max, max(1, l.Pieces-int64(len(items))))}
		if o.Lines = append(o.Lines, line); len(o.String()) > order.MaxHeader {
			o.Lines = o.Lines[:len(o.Lines)-1]
			break
		}
	}
	return o.String()
}

// currencyNames are what contracts call the currency beside an amount.
func currencyNames() []string { return []string{"currency", "currency_code", "currencyCode"} }

// pinned: an amount from a list means nothing while its currency is open: 1900 may be 19 EUR
// or 1900 JPY.
func (r *ruler) pinned(v *value) {
	for _, f := range r.rule.From {
		if f.Part == order.Currency || f.Part == order.Text {
			continue
		}
		at, ok := r.besides(f.Path)
		if ok && !r.pins(at, f.List) {
			r.fault(v, fmt.Sprintf("%s comes from the list %s, whose currency is %s, and %s is not pinned to it", f.Path, f.List.Name, strings.ToUpper(f.List.Currency), at),
				fmt.Sprintf("add %s: %s.currency under from", at, f.List.Name))
			return
		}
	}
}

// besides finds the parameter of the currency that stands beside an amount in the contract.
func (r *ruler) besides(amount contract.Path) (contract.Path, bool) {
	var parent contract.Path
	steps := amount.Steps()
	for _, s := range steps[:len(steps)-1] {
		if s.Name != "" {
			parent = parent.Child(s.Name)
		} else {
			parent = parent.At(s.Index)
		}
	}
	within, err := r.op.Lookup(parent)
	for _, name := range currencyNames() {
		_, beside := r.op.Param(name)
		if len(steps) > 1 { // a key of a map is not one of the contract's own names
			beside = err == nil && within != nil && within.Properties[name] != nil
		}
		if beside {
			return parent.Child(name), true
		}
	}
	return contract.Path{}, false
}

func (r *ruler) pins(at contract.Path, l *order.List) bool {
	for _, f := range r.rule.From {
		if f.Path.String() == at.String() && f.Part == order.Currency {
			return true
		}
	}
	for _, f := range r.rule.Fixed {
		if code, ok := f.Value.(string); ok && f.Path.String() == at.String() {
			return strings.EqualFold(code, l.Currency)
		}
	}
	return false
}
