package contract

import (
	"testing"
)

// TestSetAfterCheck: what Check wrote is sent only while the values are those it saw.
func TestSetAfterCheck(t *testing.T) {
	o := operation(t, "create-payment-intent")
	parse := func() Args {
		t.Helper()
		args, faults, err := o.Parse(Input{Path: "/v1/payment_intents", ContentType: FormType, Body: []byte("amount=5&currency=eur&line_items[0][quantity]=1")})
		if err != nil || len(faults)+len(o.Check(args)) > 0 {
			t.Fatal(faults, err)
		}
		return args
	}
	sent := func(a Args) string {
		t.Helper()
		out, err := o.Encode(a, nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(out.Body)
	}
	const first, second = "amount=5&currency=eur&line_items%5B0%5D%5Bquantity%5D=1", "amount=6&currency=eur&line_items%5B0%5D%5Bquantity%5D=1"
	args := parse()
	if a, b := sent(args), sent(args); a != first || b != first {
		t.Errorf("sent %s and %s", a, b)
	}
	for name, change := range map[string]func(a *Args) *Args{
		"itself":               func(a *Args) *Args { set(t, a, "amount", 6); return a },
		"a copy that shares":   func(a *Args) *Args { b := *a; set(t, &b, "amount", 6); return a },
		"a clone":              func(a *Args) *Args { b := a.Clone(); set(t, &b, "amount", 6); return &b },
		"checked, not changed": func(a *Args) *Args { o.Check(*a); set(t, a, "amount", 6); return a },
	} {
		a := parse()
		if got := sent(*change(&a)); got != second {
			t.Errorf("%s: sent %s", name, got)
		}
	}
	a := parse()
	clone := a.Clone()
	set(t, &clone, "amount", 7)
	if got := sent(a); got != first {
		t.Errorf("a clone changed what is sent: %s", got)
	}
}

func set(t *testing.T, a *Args, name string, v any) {
	t.Helper()
	if err := a.Set(path(t, name), v); err != nil {
		t.Fatal(err)
	}
}
