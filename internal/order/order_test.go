package order_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sallyport/internal/order"
	"sallyport/internal/problem"
)

func catalogue() *order.List {
	return &order.List{Name: "catalogue", Currency: "eur", Decimals: 2,
		Items:    []order.Item{{Name: "mug", Amount: 1900, Max: 5}, {Name: "shirt", Amount: 2900, Max: 3}, {Name: "sticker", Amount: 100, Max: 20}},
		Shipping: order.Shipping{Flat: 490, FreeFrom: 5000}, Pieces: 20, Min: 700, Max: 18000}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		header, text              string
		subtotal, shipping, total int64
	}{
		{"mug=2", "mug=2", 3800, 490, 4290},
		{"mug=2, shirt=1", "mug=2, shirt=1", 6700, 0, 6700},
		{"shirt=1,mug=2", "mug=2, shirt=1", 6700, 0, 6700},
		{"shirt=1 \t,\t mug=2", "mug=2, shirt=1", 6700, 0, 6700},
		{" mug=1 ", "mug=1", 1900, 490, 2390},
		{"mug=2, sticker=12", "mug=2, sticker=12", 5000, 0, 5000}, // free from exactly this on
	} {
		o, err := catalogue().Read([]string{c.header})
		if err != nil {
			t.Errorf("%q: %v", c.header, err)
			continue
		}
		if o.Subtotal != c.subtotal || o.Shipping != c.shipping || o.Total != c.total || o.String() != c.text {
			t.Errorf("%q: %+v, %s; want %+v", c.header, o, o, c)
		}
		again, err := catalogue().Read([]string{o.String()})
		if err != nil || again.Total != o.Total || again.String() != o.String() {
			t.Errorf("%q written and read again: %v, %v", c.header, again, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ name, header, want string }{
		{"empty", "", "not a list"},
		{"a name alone is true in RFC 8941", "mug", "not a list"},
		{"zero", "mug=0", "from 1"},
		{"below zero", "mug=-1", "not a whole number"},
		{"plus", "mug=+1", "not a whole number"},
		{"decimal", "mug=1.0", "not a whole number"},
		{"exponent", "mug=1e1", "not a whole number"},
		{"octal", "mug=010", "not a whole number"},
		{"hex", "mug=0x2", "not a whole number"},
		{"space before", "mug= 1", "not a whole number"},
		{"space after the name", "mug =1", "not a list"},
		{"text", `mug="1"`, "not a whole number"},
		{"boolean", "mug=?1", "not a whole number"},
		{"inner list", "mug=(1 2)", "not a whole number"},
		{"parameters", "mug=1;gift", "not a whole number"},
		{"other digits", "mug=٣", "not a whole number"},
		{"twice", "mug=1, mug=1", "twice"},
		{"trailing comma", "mug=1,", "not a list"},
		{"leading comma", ",mug=1", "not a list"},
		{"upper case", "Mug=1", "not a list"},
		{"semicolons", "mug=1;shirt=1", "not a whole number"},
		{"line break", "mug=1,\n shirt=1", "not a list"},
		{"unknown", "mugs=1", "no item mugs"},
		{"too many of one", "mug=6", "from 1 to 5"},
		{"too many of all", "sticker=20, mug=1", "21 pieces"},
		{"too little worth", "sticker=2", "6.90"},
		{"too much worth", "mug=5, shirt=3", "182.00 EUR"},
		{"larger than an int64", "mug=99999999999999999999", "not a whole number"},
		{"too long", strings.Repeat("a=1,", 300), "bytes"},
	} {
		o, err := catalogue().Read([]string{c.header})
		p := problem.From(err)
		if err == nil || p.Code != problem.OrderRefused || !strings.Contains(p.Detail, c.want) || p.Hint == "" {
			t.Errorf("%s: %+v, %v; want order_refused with %q", c.name, o, err, c.want)
		}
	}
	for name, values := range map[string][]string{"none": nil, "two fields": {"mug=1", "shirt=1"}} {
		if _, err := catalogue().Read(values); problem.From(err) == nil || problem.From(err).Code != problem.OrderRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := catalogue().Read([]string{"shrit=1"}); !strings.Contains(problem.From(err).Hint, "shirt") {
		t.Errorf("the nearest name is not told: %v", err)
	}
	if _, err := catalogue().Read([]string{"grand-piano=1"}); strings.Contains(problem.From(err).Hint, "did you mean") {
		t.Errorf("a far name is told: %v", err)
	}
}

// TestBounds: the largest list that the file allows cannot overflow, and Most is never exceeded.
func TestBounds(t *testing.T) {
	l := &order.List{Name: "big", Currency: "eur", Decimals: 2, Pieces: order.MaxQuantity * order.MaxItems}
	for i := range order.MaxItems {
		l.Items = append(l.Items, order.Item{Name: fmt.Sprintf("i%03d", i), Amount: order.MaxAmount, Max: order.MaxQuantity})
	}
	l.Shipping.Flat = order.MaxAmount
	var lines []order.Line
	for _, i := range l.Items {
		lines = append(lines, order.Line{Item: i.Name, Quantity: i.Max})
	}
	o, err := l.Price(lines)
	if err != nil || o.Total != l.Most() || o.Total <= 0 {
		t.Errorf("the largest order: %+v, %v; want %d", o, err, l.Most())
	}
}

func TestMostIsTheMost(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	l := catalogue()
	l.Max, l.Min, l.Shipping.FreeFrom, l.Pieces = 0, 0, 0, 7
	reached := int64(0)
	for range 20000 {
		lines := []order.Line{}
		for _, i := range l.Items {
			if n := rng.Int64N(i.Max + 1); n > 0 {
				lines = append(lines, order.Line{Item: i.Name, Quantity: n})
			}
		}
		if o, err := l.Price(lines); err == nil {
			reached = max(reached, o.Total)
		}
	}
	if reached != l.Most() {
		t.Errorf("Most = %d, random orders reached %d", l.Most(), reached)
	}
}

// FuzzRead: whatever arrives, a priced order is within every limit and worth exactly its lines.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"mug=2, shirt=1", "mug=1;a", "mug", "sticker=20", ",", "mug=99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l := catalogue()
		o, err := l.Read([]string{s})
		if err != nil {
			if problem.From(err).Code != problem.OrderRefused {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		sum, pieces := int64(0), int64(0)
		for _, line := range o.Lines {
			item, ok := l.Find(line.Item)
			if !ok || line.Quantity < 1 || line.Quantity > item.Max {
				t.Fatalf("%q: %+v", s, o)
			}
			sum, pieces = sum+item.Amount*line.Quantity, pieces+line.Quantity
		}
		if sum != o.Subtotal || o.Total != o.Subtotal+o.Shipping || pieces > l.Pieces || o.Total < l.Min || o.Total > l.Max {
			t.Fatalf("%q: %+v", s, o)
		}
	})
}
