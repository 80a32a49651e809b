package egress_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// checkout is a connection with rules on nested values and arrays.
func checkout(t testing.TB) *site.Connection {
	p := func(s string) contract.Path {
		path, err := contract.ParsePath(s)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	return &site.Connection{Name: "payments", Provider: "stripe", Mode: provider.Sandbox,
		Browser: map[string]*site.BrowserRule{"create-checkout-session": {Operation: "create-checkout-session",
			Free: []contract.Path{p("customer_email"), p("metadata.note"), p("line_items[].adjustable_quantity.enabled")},
			Fixed: []site.Fixed{{Path: p("mode"), Value: "payment"}, {Path: p("metadata.shop"), Value: "one"},
				{Path: p("success_url"), Value: "https://shop.example/ok"}, {Path: p("automatic_tax"), Value: map[string]any{"enabled": true}}},
			OneOf: []site.Choice{{Path: p("line_items[].price"), Values: []any{"price_a", "price_b"}},
				{Path: p("allow_promotion_codes"), Values: []any{true}}},
			Range:   []site.Range{{Path: p("line_items[].quantity"), Min: 1, Max: 10}},
			Returns: []contract.Path{p("id")}}}}
}

// TestGrammar: only what a rule names passes, at its place, with a value that the rule
// allows; fixed values are inserted whatever comes.
func TestGrammar(t *testing.T) {
	const parameter, contractual = problem.ParameterRefused, problem.ContractViolation
	for _, row := range []struct {
		name, body string
		code       problem.Code // empty: passes
	}{
		{"nothing", `{}`, ""},
		{"free", `{"customer_email":"a@b.example"}`, ""},
		{"free, null", `{"customer_email":null}`, contractual},
		{"free, nested", `{"metadata":{"note":"x"}}`, ""},
		{"free, a sibling", `{"metadata":{"other":"x"}}`, parameter},
		{"free, in an array", `{"line_items":[{"price":"price_a","quantity":1,"adjustable_quantity":{"enabled":true}}]}`, ""},
		{"free, a sibling in an array", `{"line_items":[{"price":"price_a","quantity":1,"adjustable_quantity":{"enabled":true,"maximum":5}}]}`, parameter},
		{"one of", `{"line_items":[{"price":"price_a","quantity":1}]}`, ""},
		{"one of, two elements", `{"line_items":[{"price":"price_a","quantity":1},{"price":"price_b","quantity":2}]}`, ""},
		{"one of, second element bad", `{"line_items":[{"price":"price_a","quantity":1},{"price":"price_c","quantity":1}]}`, parameter},
		{"one of, other case", `{"line_items":[{"price":"PRICE_A","quantity":1}]}`, parameter},
		{"one of, a list of them", `{"line_items":[{"price":["price_a"],"quantity":1}]}`, parameter},
		{"one of, an object", `{"line_items":[{"price":{"id":"price_a"},"quantity":1}]}`, parameter},
		{"one of, null", `{"line_items":[{"price":null,"quantity":1}]}`, parameter},
		{"one of, true", `{"allow_promotion_codes":true}`, ""},
		{"one of, false", `{"allow_promotion_codes":false}`, parameter},
		{"one of, a word", `{"allow_promotion_codes":"yes"}`, parameter},
		{"range, low", `{"line_items":[{"price":"price_a","quantity":0}]}`, parameter},
		{"range, high", `{"line_items":[{"price":"price_a","quantity":11}]}`, parameter},
		{"range, negative", `{"line_items":[{"price":"price_a","quantity":-1}]}`, parameter},
		{"range, second element", `{"line_items":[{"price":"price_a","quantity":1},{"price":"price_a","quantity":99}]}`, parameter},
		{"range, float", `{"line_items":[{"price":"price_a","quantity":1.5}]}`, parameter},
		{"range, exponent", `{"line_items":[{"price":"price_a","quantity":1e0}]}`, parameter},
		{"range, 1e3", `{"line_items":[{"price":"price_a","quantity":1e3}]}`, parameter},
		{"range, huge", `{"line_items":[{"price":"price_a","quantity":` + strings.Repeat("9", 400) + `}]}`, contractual},
		{"range, 2^64+1", `{"line_items":[{"price":"price_a","quantity":18446744073709551617}]}`, parameter},
		{"range, minus zero", `{"line_items":[{"price":"price_a","quantity":-0}]}`, parameter},
		{"range, word", `{"line_items":[{"price":"price_a","quantity":"many"}]}`, parameter},
		{"range, 007", `{"line_items":[{"price":"price_a","quantity":"007"}]}`, parameter},
		{"range, +1", `{"line_items":[{"price":"price_a","quantity":"+1"}]}`, parameter},
		{"range, hex", `{"line_items":[{"price":"price_a","quantity":"0x1"}]}`, parameter},
		{"range, a space", `{"line_items":[{"price":"price_a","quantity":" 1"}]}`, parameter},
		{"range, other digits", `{"line_items":[{"price":"price_a","quantity":"１"}]}`, parameter},
		{"range, an object", `{"line_items":[{"price":"price_a","quantity":{"x":1}}]}`, parameter},
		{"range, a list", `{"line_items":[{"price":"price_a","quantity":[1]}]}`, parameter},
		{"range, true", `{"line_items":[{"price":"price_a","quantity":true}]}`, parameter},
		{"range, null", `{"line_items":[{"price":"price_a","quantity":null}]}`, parameter},
		{"unnamed beside", `{"line_items":[{"price":"price_a","quantity":1,"price_data":{"unit_amount":1}}]}`, parameter},
		{"empty array", `{"line_items":[]}`, parameter},
		{"empty element", `{"line_items":[{}]}`, parameter},
		{"empty object above free", `{"metadata":{}}`, parameter},
		{"array for an object", `{"metadata":["note"]}`, parameter},
		{"object for an array", `{"line_items":{"price":"price_a"}}`, parameter},
		{"fixed", `{"mode":"payment"}`, parameter},
		{"fixed, another value", `{"mode":"setup"}`, parameter},
		{"fixed, below", `{"automatic_tax":{"enabled":false}}`, parameter},
		{"fixed, beside below", `{"automatic_tax":{"liability":{"type":"self"}}}`, ""},
		{"fixed, above as text", `{"metadata":"x"}`, parameter},
		{"fixed, nested", `{"metadata":{"shop":"two"}}`, parameter},
		{"fixed, nested null", `{"metadata":{"shop":null}}`, parameter},
		{"fixed, as a list", `{"mode":["payment"]}`, parameter},
		{"unnamed", `{"customer":"cus_1"}`, parameter},
		{"unknown", `{"nothing":"x"}`, contractual},
		{"dotted name", `{"metadata.note":"x"}`, ""},
		{"bracket name", `{"metadata[note]":"x"}`, ""},
		{"prototype", `{"__proto__":{"mode":"setup"}}`, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := open(t, checkout(t))
			w.upstream.always(reply(200, `{"id":"cs_1","object":"checkout.session"}`), nil)
			a := w.Call(t.Context(), browser("payments", "POST", "/v1/checkout/sessions", row.body))
			refusedBoth := row.code == "" && a.Problem != nil
			switch {
			case strings.HasSuffix(row.name, " name"), row.name == "prototype", row.name == "fixed, beside below":
				if !refusedBoth || a.Status != 422 && a.Status != 400 {
					t.Errorf("%d %+v", a.Status, a.Problem)
				}
			case row.code == "":
				passed(t, a)
				fixedHold(t, string(w.upstream.last().Body))
			default:
				refused(t, a, row.code)
			}
			if a.Problem != nil && w.upstream.count() != 0 {
				t.Errorf("it was sent: %s", w.upstream.last().Body)
			}
		})
	}
}

func fixedHold(t *testing.T, body string) {
	t.Helper()
	form, err := url.ParseQuery(body)
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for name, want := range map[string]string{"mode": "payment", "metadata[shop]": "one", "success_url": "https://shop.example/ok", "automatic_tax[enabled]": "true"} {
		if got := form[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s = %q, want %q once: %s", name, got, want, body)
		}
	}
	for name := range form {
		for _, fixed := range []string{"mode", "success_url", "automatic_tax"} {
			if strings.HasPrefix(name, fixed+"[") && name != "automatic_tax[enabled]" {
				t.Errorf("%s stands beside the fixed value: %s", name, body)
			}
		}
	}
}

// FuzzInsertion: whatever a browser sends, what goes out holds each fixed value once,
// prices from the list and quantities in the range — or nothing goes out. With the
// grammar observed, the fixed values hold all the same.
func FuzzInsertion(f *testing.F) {
	for _, seed := range []string{`{}`, `{"mode":"setup"}`, `{"metadata":{"note":"x","shop":"y"}}`, `{"line_items":[{"price":"price_a","quantity":3}]}`,
		`{"automatic_tax":{"enabled":false}}`, `{"metadata":"x"}`, `{"mode":{"a":1}}`, `{"success_url":["https://evil.example"]}`, `{"metadata":[]}`, "mode=setup&metadata[shop]=two", "line_items[0][quantity]=3&line_items[0][price]=price_a"} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	w := open(f, checkout(f))
	loose := checkout(f)
	loose.Observe = []string{egress.CheckGrammar}
	w2 := open(f, loose)
	for _, each := range []*world{w, w2} {
		each.upstream.always(reply(200, `{"id":"cs_1","object":"checkout.session"}`), nil)
	}
	f.Fuzz(func(t *testing.T, body string, observe bool) {
		gate := w
		if observe {
			gate = w2
		}
		before := gate.upstream.count()
		c := browser("payments", "POST", "/v1/checkout/sessions", body)
		if !json.Valid([]byte(body)) {
			c.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		a := gate.Call(t.Context(), c)
		if a.Status == 500 {
			t.Fatalf("a defect: %+v %v", a.Problem, gate.records.last().InnerError)
		}
		if gate.upstream.count() == before {
			return
		}
		sent := gate.upstream.last()
		fixedHold(t, string(sent.Body))
		form, _ := url.ParseQuery(string(sent.Body))
		for name, values := range form {
			if observe {
				break
			}
			for _, v := range values {
				switch {
				case strings.HasSuffix(name, "[price]") && v != "price_a" && v != "price_b":
					t.Errorf("price %q", v)
				case strings.HasSuffix(name, "[quantity]") && (len(v) > 2 || v < "1" || v != "10" && len(v) > 1):
					t.Errorf("quantity %q", v)
				}
			}
		}
	})
}

// TestOverlappingRules: where a program builds rules that overlap, the closer rule holds
// and a free parent does not open it.
func TestOverlappingRules(t *testing.T) {
	c := checkout(t)
	rule := c.Browser["create-checkout-session"]
	rule.Free = paths(t, "line_items")
	w := open(t, c)
	w.upstream.always(reply(200, `{"id":"cs_1","object":"checkout.session"}`), nil)
	send := func(body string) *egress.Answer {
		return w.Call(t.Context(), browser("payments", "POST", "/v1/checkout/sessions", body))
	}
	refused(t, send(`{"line_items":[{"price":"price_c","quantity":1}]}`), problem.ParameterRefused)
	refused(t, send(`{"line_items":[{"price":"price_a","quantity":11}]}`), problem.ParameterRefused)
	passed(t, send(`{"line_items":[{"price":"price_a","quantity":1}]}`))
}

// TestGrammarOnForms: the grammar holds in queries and in forms as it does in JSON.
func TestGrammarOnForms(t *testing.T) {
	w := open(t, payments(t))
	for body, ok := range map[string]bool{
		"amount=1900": true, "amount=499": false, "amount=%2B1900": false, "amount=1900.0": false, "amount=1e4": false,
		"amount=01900": false, "amount[]=1900": false, "amount[x]=1900": false, "amount=1900&amount=2000": false,
		"amount=1900&currency=usd": false, "amount=1900&cur%72ency=usd": false, "amount=1900&currency[]=usd": false, "amount=%31900": true,
		"amount=1900&statement_descriptor_suffix=SHOP": true, "amount=1900&statement_descriptor_suffix=SHOP%00": false,
	} {
		before := w.upstream.count()
		a := w.Call(t.Context(), browser("payments", "POST", intents, body, "Content-Type", "application/x-www-form-urlencoded"))
		if got := w.upstream.count() > before; got != ok {
			t.Errorf("%s: sent %v, want %v: %d %+v", body, got, ok, a.Status, a.Problem)
		}
	}
	if a := w.Call(t.Context(), browser("payments", "POST", intents+"?currency=usd", `{"amount":1900}`)); a.Status != 422 {
		t.Errorf("a body parameter in the query: %d", a.Status)
	}
}
