package egress_test

import (
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/egress"
	"sallyport/internal/order"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

func eurList() *order.List {
	return &order.List{Name: "catalogue", Currency: "EUR", Decimals: 2, Pieces: 20, Items: []order.Item{
		{Name: "mug", Amount: 1900, Max: 5}, {Name: "shirt", Amount: 2900, Max: 20}}, Shipping: order.Shipping{Flat: 490, FreeFrom: 5000}}
}

// priced is a connection where the amount of a payment comes from a price list.
func priced(t *testing.T) *site.Connection {
	l := eurList()
	c := payments(t)
	c.Browser["create-payment-intent"] = &site.BrowserRule{Operation: "create-payment-intent", Free: paths(t, "receipt_email"), Returns: paths(t, "id"),
		From: []site.From{
			{Path: path(t, "amount"), List: l, Part: order.Total},
			{Path: path(t, "currency"), List: l, Part: order.Currency, Currency: "eur"},
			{Path: path(t, "metadata.order"), List: l, Part: order.Text},
		}}
	return c
}

func TestOrderIsPricedHere(t *testing.T) {
	w := open(t, priced(t))
	passed(t, w.Call(t.Context(), browser("payments", "POST", intents, `{"receipt_email":"a@b.example"}`, order.Header, "shirt=1,mug=2")))
	sent := string(w.upstream.calls[0].Body)
	for _, want := range []string{"amount=6700", "currency=eur", "metadata%5Border%5D=mug%3D2%2C%20shirt%3D1"} {
		if !strings.Contains(sent, want) {
			t.Errorf("the provider got %s; want %s in it", sent, want)
		}
	}
	if w.upstream.calls[0].Header.Get(order.Header) != "" {
		t.Error("the order's header went on to the provider")
	}
}

// TestOrderTextAmounts: where the contract wants text, the amount has the currency's decimals.
func TestOrderTextAmounts(t *testing.T) {
	for _, c := range []struct {
		currency string
		decimals int
		want     string
	}{{"EUR", 2, `"value":"42.90"`}, {"JPY", 0, `"value":"4290"`}, {"KWD", 3, `"value":"4.290"`}} {
		l := eurList()
		l.Currency, l.Decimals = c.currency, c.decimals
		w := open(t, &site.Connection{Name: "paypal", Provider: "paypal", Mode: provider.Sandbox, Browser: map[string]*site.BrowserRule{
			"create-order": {Operation: "create-order", Fixed: []site.Fixed{{Path: path(t, "intent"), Value: "CAPTURE"}}, Returns: paths(t, "id"),
				From: []site.From{
					{Path: path(t, "purchase_units[0].amount.value"), List: l, Part: order.Total, AsText: true},
					{Path: path(t, "purchase_units[0].amount.currency_code"), List: l, Part: order.Currency, Currency: c.currency}}}}})
		w.upstream.answer = func(int, *egress.Request) (*egress.Response, error) {
			return &egress.Response{Status: 201, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"id":"5O190127TN364715T","status":"CREATED"}`), Attempts: 1}, nil
		}
		a := w.Call(t.Context(), browser("paypal", "POST", "/v2/checkout/orders", `{}`, order.Header, "mug=2"))
		if a.Problem != nil || len(w.upstream.calls) != 1 {
			t.Fatalf("%s: %d %+v", c.currency, a.Status, a.Problem)
		}
		if sent := string(w.upstream.calls[0].Body); !strings.Contains(sent, c.want) || !strings.Contains(sent, c.currency) {
			t.Errorf("%s: the provider got %s; want %s", c.currency, sent, c.want)
		}
	}
}

// TestOrderCannotBeArguedWith plays the visitor who wants to pay less: nothing goes out.
func TestOrderCannotBeArguedWith(t *testing.T) {
	w := open(t, priced(t))
	for _, c := range []struct {
		name, body, order string
		code              problem.Code
	}{
		{"an amount beside the order", `{"amount":1}`, "mug=2", problem.ParameterRefused},
		{"a currency", `{"currency":"jpy"}`, "mug=2", problem.ParameterRefused},
		{"the order's text", `{"metadata":{"order":"mug=9"}}`, "mug=2", problem.ParameterRefused},
		{"the map above it", `{"metadata":null}`, "mug=2", problem.ParameterRefused},
		{"below the amount", `{"amount":{"x":1}}`, "mug=2", problem.ContractViolation},
		{"no order", `{}`, "", problem.OrderRefused},
		{"nothing of it", `{}`, "mug=0", problem.OrderRefused},
		{"less than nothing", `{}`, "mug=2, shirt=-1", problem.OrderRefused},
		{"an item of their own", `{}`, "air=1", problem.OrderRefused},
		{"more than there may be", `{}`, "mug=6", problem.OrderRefused},
		{"an overflow", `{}`, "shirt=999999", problem.OrderRefused},
		{"the same twice", `{}`, "mug=1, mug=1", problem.OrderRefused},
	} {
		header := []string{order.Header, c.order}
		if c.order == "" {
			header = nil
		}
		a := w.Call(t.Context(), browser("payments", "POST", intents, c.body, header...))
		if a.Problem == nil || a.Problem.Code != c.code && !(c.code == problem.ContractViolation && a.Problem.Code == problem.ParameterRefused) {
			t.Errorf("%s: %d %+v; want %s", c.name, a.Status, a.Problem, c.code)
		}
	}
	two := browser("payments", "POST", intents, `{}`)
	two.Header[order.Header] = []string{"mug=1", "shirt=1"}
	refused(t, w.Call(t.Context(), two), problem.OrderRefused)
	if n := len(w.upstream.calls); n != 0 {
		t.Errorf("%d calls reached the provider", n)
	}
	if len(w.audit.refusals) == 0 {
		t.Error("the refusals left no audit entry")
	}
	plain := open(t, payments(t))
	refused(t, plain.Call(t.Context(), browser("payments", "POST", intents, `{"amount":1900}`, order.Header, "mug=1")), problem.OrderRefused)
}

// TestOrderIsPartOfTheKey: two orders that come to one total are two calls.
func TestOrderIsPartOfTheKey(t *testing.T) {
	c := priced(t)
	rule := c.Browser["create-payment-intent"]
	rule.From = rule.From[:2] // the text is not inserted
	rule.From[0].List.Items[1].Amount = 1900
	w := open(t, c)
	one := func(o string) *egress.Answer {
		return w.Call(t.Context(), browser("payments", "POST", intents, `{}`, order.Header, o, "Idempotency-Key", "k1"))
	}
	passed(t, one("mug=2, shirt=1"))
	passed(t, one("shirt=1,mug=2")) // the same order
	refused(t, one("mug=1, shirt=2"), problem.IdempotencyConflict)
	if n := len(w.upstream.calls); n != 1 {
		t.Errorf("%d calls reached the provider, want 1", n)
	}
}
