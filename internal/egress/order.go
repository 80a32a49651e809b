package egress

import (
	"context"
	"encoding/json"
	"strconv"

	"sallyport/internal/money"
	"sallyport/internal/order"
	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// readOrder prices the order that came with a browser's call and inserts what it comes to,
// as insertFixed does: the grammar has refused any value of the browser at, above or below.
func readOrder(_ context.Context, _ *Gate, x *exchange) Decision {
	if x.rule == nil {
		return allow("a backend prices its own orders")
	}
	values := x.call.Header.Values(order.Header)
	if len(x.rule.From) == 0 {
		if len(values) > 0 {
			return deny(problem.New(problem.OrderRefused, "%s takes no order: nothing in it comes from a price list", x.op.ID).
				WithHint("leave %s out, or write from: in the operation's rule in sallyport.yaml", order.Header))
		}
		return allow("nothing comes from a price list")
	}
	o, err := x.rule.From[0].List.Read(values)
	if err != nil {
		return denyErr(err)
	}
	x.order = o
	for _, f := range x.rule.From {
		if err := x.args.Set(f.Path, partOf(o, f)); err != nil { // only where the grammar just observes
			return deny(problem.Wrap(err, problem.ParameterRefused, "%s cannot be inserted beside what the browser sent", f.Path))
		}
	}
	return allow("priced")
}

// partOf is what stands for one part of an order in a parameter.
func partOf(o *order.Order, f site.From) any {
	switch f.Part {
	case order.Currency:
		return f.Currency
	case order.Text:
		return o.String()
	}
	n, ok := o.Amount(f.Part)
	switch {
	case !ok:
		return nil // the contract refuses it; config has refused such a part before
	case f.AsText:
		return money.Decimal(n, f.List.Decimals)
	}
	return json.Number(strconv.FormatInt(n, 10))
}

// orderText is the order as the receipt and the record of repeats know it; "" where none came.
func (x *exchange) orderText() string {
	if x.order == nil {
		return ""
	}
	return x.order.String()
}
