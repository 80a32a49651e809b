package egress_test

import (
	"testing"
)

// TestDetailTellsTheFault: a console and an SDK show the detail only, so it says which
// parameter is refused and what to write.
func TestDetailTellsTheFault(t *testing.T) {
	for _, row := range []struct{ body, detail string }{
		{`{"amount":1}`, `create-payment-intent: amount: found a value outside the range; write a whole number from 500 to 500000`},
		{`{"amount":1900,"currency":"usd"}`, `create-payment-intent: currency: found a value from the browser; write nothing: the gate inserts this value`},
		{`{}`, `create-payment-intent: amount is missing; write a whole number in digits`},
		{`{"amount":1900,"amout":1900}`, `create-payment-intent: amout: found the unknown name "amout"; did you mean amount?`},
		{`{"amount":1,"currency":"usd"}`, `create-payment-intent: amount: found a value outside the range; write a whole number from 500 to 500000 (and 1 more fault)`},
	} {
		a := open(t, payments(t)).Call(t.Context(), browser("payments", "POST", intents, row.body))
		if a.Problem == nil || a.Problem.Detail != row.detail {
			t.Errorf("%s: got %+v, want the detail %q", row.body, a.Problem, row.detail)
		}
	}
}
