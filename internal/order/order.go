// Package order prices what a visitor wants to buy, for sites that have no backend to do it:
// the file holds a list of items and prices, the browser sends how many of which, and the
// total is computed here.
//
// It guarantees that no price ever comes from a browser, that an order is read strictly (a
// dictionary of RFC 8941 whose members are whole numbers, each item once), that all limits of
// the list hold, and that arithmetic that would not fit is refused. It does not know what
// is in stock, taxes, or vouchers.
package order

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/money"
	"sallyport/internal/problem"
)

// Header is the request header that carries an order: "mug=2, shirt=1".
const Header = "Sallyport-Order"

// MaxHeader is the longest order, in bytes.
const MaxHeader = 1024

// Bounds of a list, which keep every total far below the end of an int64.
const (
	MaxItems    = 200
	MaxAmount   = 1_000_000_000_000
	MaxQuantity = 10_000
)

// List is one price list of a site. It is immutable.
type List struct {
	Name     string
	Currency string // as the file writes it: eur or EUR
	// Decimals of the currency: 2 means that amounts are hundredths.
	Decimals int
	Items    []Item // sorted by name
	Shipping Shipping
	// Pieces is the most pieces in an order, of all items together. Min and Max bound the
	// total; Max 0: no bound but that of the pieces.
	Pieces   int64
	Min, Max int64
}

// Item is one thing that can be bought.
type Item struct {
	Name   string
	Amount int64             // of one piece, in the currency's minor unit
	Max    int64             // pieces in an order
	Title  map[string]string // by language; may be empty
}

// Shipping is what an order costs beside its items.
type Shipping struct {
	Flat int64
	// FreeFrom: from this worth of items on, shipping costs nothing; 0: never.
	FreeFrom int64
}

// Line is one item of an order.
type Line struct {
	Item     string
	Quantity int64
}

// Order is a priced order.
type Order struct {
	Lines    []Line // sorted by item
	Pieces   int64
	Subtotal int64 // of the items
	Shipping int64
	Total    int64
}

// String writes the order as its header does, sorted by item.
func (o *Order) String() string {
	var b strings.Builder
	for i, l := range o.Lines {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(l.Item + "=" + strconv.FormatInt(l.Quantity, 10))
	}
	return b.String()
}

// NameRule says what an item's name is: a key of a dictionary of RFC 8941.
const NameRule = `^[a-z][a-z0-9_-]{0,39}$`

func refused(format string, args ...any) *problem.Error {
	return problem.New(problem.OrderRefused, format, args...).
		WithHint("send %s: mug=2, shirt=1, with items of the site's price list; with client.js: call(…, {order: {mug: 2, shirt: 1}})", Header)
}

// Read prices the order that a header carries. Its error is a *problem.Error.
func (l *List) Read(values []string) (*Order, error) {
	if len(values) == 0 {
		return nil, refused("this operation is priced from the list %s, and the call carries no order", l.Name)
	}
	if len(values) > 1 {
		return nil, refused("the order stands in %d header fields; it is one", len(values))
	}
	lines, err := parse(values[0])
	if err != nil {
		return nil, err
	}
	return l.Price(lines)
}

// parse reads the part of RFC 8941 that an order needs: members "key=integer" without
// parameters. A key twice, which the RFC lets the last win, is refused.
func parse(s string) ([]Line, *problem.Error) {
	if len(s) > MaxHeader {
		return nil, refused("the order has %d bytes, %d are allowed", len(s), MaxHeader)
	}
	var lines []Line
	for member := range strings.SplitSeq(s, ",") {
		if lines != nil {
			member = strings.TrimLeft(member, " \t") // optional white space stands on both sides of a comma
		}
		member = strings.TrimRight(member, " \t")
		if lines == nil {
			member = strings.TrimLeft(member, " ")
		}
		name, number, ok := strings.Cut(member, "=")
		if !ok || !isName(name) {
			return nil, refused("the order is not a list of item=quantity")
		}
		quantity, ok := wholeNumber(number)
		if !ok {
			return nil, refused("the quantity of %s is not a whole number from 1", name)
		}
		if slices.ContainsFunc(lines, func(l Line) bool { return l.Item == name }) {
			return nil, refused("%s stands twice in the order", name)
		}
		lines = append(lines, Line{Item: name, Quantity: quantity})
	}
	return lines, nil
}

func isName(s string) bool {
	if s == "" || len(s) > 40 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// wholeNumber reads digits without sign and leading zero, below a million.
func wholeNumber(s string) (int64, bool) {
	if s == "" || len(s) > 6 || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// Price computes what the lines cost. Its error is a *problem.Error.
func (l *List) Price(lines []Line) (*Order, error) {
	o := &Order{Lines: slices.SortedFunc(slices.Values(lines), func(a, b Line) int { return strings.Compare(a.Item, b.Item) })}
	var err error
	for _, line := range o.Lines {
		item, ok := l.Find(line.Item)
		switch {
		case !ok:
			return nil, l.unknown(line.Item)
		case line.Quantity < 1 || line.Quantity > item.Max:
			return nil, refused("the order has %d of %s; from 1 to %d are allowed", line.Quantity, line.Item, item.Max)
		}
		worth, err1 := money.Product(item.Amount, line.Quantity)
		o.Pieces += line.Quantity
		if o.Subtotal, err = money.Sum(o.Subtotal, worth); err != nil || err1 != nil {
			return nil, refused("the order is worth more than can be counted")
		}
	}
	if o.Pieces > l.Pieces {
		return nil, refused("the order has %d pieces; %d are allowed", o.Pieces, l.Pieces)
	}
	if l.Shipping.FreeFrom == 0 || o.Subtotal < l.Shipping.FreeFrom {
		o.Shipping = l.Shipping.Flat
	}
	if o.Total, err = money.Sum(o.Subtotal, o.Shipping); err != nil {
		return nil, refused("the order is worth more than can be counted")
	}
	if o.Total < l.Min || l.Max > 0 && o.Total > l.Max || o.Total == 0 {
		return nil, refused("the order comes to %s; %s", l.Money(o.Total), l.bounds())
	}
	return o, nil
}

func (l *List) bounds() string {
	if l.Max == 0 {
		return "at least " + l.Money(max(l.Min, 1)) + " is needed"
	}
	return fmt.Sprintf("from %s to %s is allowed", l.Money(max(l.Min, 1)), l.Money(l.Max))
}

// Money writes an amount of the list for people: 38.00 EUR.
func (l *List) Money(minor int64) string {
	return money.Decimal(minor, l.Decimals) + " " + strings.ToUpper(l.Currency)
}

// Find finds an item by its name.
func (l *List) Find(name string) (Item, bool) {
	i, ok := slices.BinarySearchFunc(l.Items, name, func(i Item, name string) int { return strings.Compare(i.Name, name) })
	if !ok {
		return Item{}, false
	}
	return l.Items[i], true
}

// unknown names the nearest item: what a price list holds is no secret.
func (l *List) unknown(name string) *problem.Error {
	p := refused("the price list %s has no item %s", l.Name, name)
	if near := l.near(name); near != "" {
		p.WithHint("did you mean %s?", near)
		p.Faults = []problem.Fault{{Where: Header, Found: name, Want: "an item of the price list", Near: near}}
	}
	return p
}

func (l *List) near(name string) string {
	best, distance := "", 1+len(name)/3
	for _, i := range l.Items {
		if d := edits(name, i.Name); d <= distance && (best == "" || d < distance) {
			best, distance = i.Name, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two short names.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// Most is the largest total that an order of this list can come to.
func (l *List) Most() int64 {
	byWorth := slices.SortedFunc(slices.Values(l.Items), func(a, b Item) int { return int(min(1, max(-1, b.Amount-a.Amount))) })
	left, sum := l.Pieces, int64(0)
	for _, i := range byWorth {
		n := min(left, i.Max)
		sum += n * i.Amount // bounded by MaxItems, MaxAmount and MaxQuantity
		left -= n
	}
	sum += l.Shipping.Flat
	if l.Max > 0 {
		sum = min(sum, l.Max)
	}
	return sum
}

// Part names what of a priced order is put into a parameter. The zero value is none.
type Part string

// The parts.
const (
	Total    Part = "total"
	Subtotal Part = "subtotal" // without shipping
	Ship     Part = "shipping"
	Currency Part = "currency"
	Text     Part = "order" // the order itself: mug=2, shirt=1
)

// Parts lists the parts.
func Parts() []Part { return []Part{Total, Subtotal, Ship, Currency, Text} }

// Amount is a part that is an amount of money.
func (o *Order) Amount(p Part) (int64, bool) {
	switch p {
	case Total:
		return o.Total, true
	case Subtotal:
		return o.Subtotal, true
	case Ship:
		return o.Shipping, true
	}
	return 0, false
}
