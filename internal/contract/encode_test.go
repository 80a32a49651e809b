package contract

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/problem"
)

var account = map[string]string{"account_sid": "AC00ff", "from_number": "+15005550006"}

func TestEncode(t *testing.T) {
	tests := []struct{ name, op, args, want string }{
		{"form", "create-payment-intent", `{"metadata":{"b":"1","a b":"x&y=z"},"currency":"eur","amount":500,"confirm":true,"expand":["customer"],"line_items":[{"price_data":{"unit_amount":7},"quantity":2}],"payment_method_types":["card","ideal"]}`,
			"/v1/payment_intents?expand%5B0%5D=customer application/x-www-form-urlencoded amount=500&currency=eur&confirm=true&metadata%5Ba%20b%5D=x%26y%3Dz&metadata%5Bb%5D=1&payment_method_types%5B0%5D=card&payment_method_types%5B1%5D=ideal&line_items%5B0%5D%5Bquantity%5D=2&line_items%5B0%5D%5Bprice_data%5D%5Bunit_amount%5D=7"},
		{"repeat and account", "send-message", `{"MediaUrl":["a","b"],"To":"+123456789","From":"evil","AccountSid":"evil"}`,
			"/2010-04-01/Accounts/AC00ff/Messages.json application/x-www-form-urlencoded To=%2B123456789&From=%2B15005550006&MediaUrl=a&MediaUrl=b"},
		{"query", "list-payment-intents", `{"fields":["a","b c"],"status":["x","y"],"created":{"lt":9,"gte":9007199254740993},"limit":5}`,
			"/v1/payment_intents?limit=5&created%5Bgte%5D=9007199254740993&created%5Blt%5D=9&status=x&status=y&fields=a,b%20c"},
		{"JSON", "create-order", `{"purchase_units":[{"note":"a\"\\\n\u0000é\u2028\ud83d\ude00/</script>","amount":{"value":"1.00","currency_code":"EUR","tax":1.50E+2}}],"intent":"CAPTURE","query_intent":"x","request_id":"r"}`,
			`/v2/checkout/orders?intent=x application/json {"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00","tax":1.50E+2},"note":"a\"\\\u000a\u0000é` + "\u2028😀" + `/</script>"}]} Paypal-Request-Id=r`},
		{"a list", "update-order", `{"body":[{"path":"/a","op":"add","value":{"b":1,"a":[null,-0.0]}}]}`, `/v2/checkout/orders application/json [{"op":"add","path":"/a","value":{"a":[null,-0.0],"b":1}}]`},
		{"path", "retrieve-payment-intent", `{"intent":"pi_1 ü?#%+:;@&="}`, "/v1/payment_intents/pi_1%20%C3%BC%3F%23%25%2B%3A%3B%40%26%3D"},
		{"path with text around", "delete-message", `{"Sid":"SM00ff"}`, "/2010-04-01/Accounts/AC00ff/Messages/SM00ff.json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := operation(t, tt.op)
			for range 2 {
				out, err := o.Encode(NewArgs(tree(t, tt.args)), account)
				if err != nil {
					t.Fatal(err)
				}
				if got := outputText(out); got != tt.want {
					t.Errorf("encoded\n%s\nwant\n%s", got, tt.want)
				}
			}
		})
	}
}

func outputText(out Output) string {
	text := out.Path
	if out.RawQuery != "" {
		text += "?" + out.RawQuery
	}
	for _, part := range []string{out.ContentType, string(out.Body)} {
		if part != "" {
			text += " " + part
		}
	}
	for name, values := range out.Header {
		text += " " + name + "=" + strings.Join(values, "|")
	}
	return text
}

// TestEncodeRefuses: even without Check, nothing is written that would be read as
// something else.
func TestEncodeRefuses(t *testing.T) {
	tests := []struct{ name, op, args string }{
		{"unknown name", "create-payment-intent", `{"role":"admin"}`},
		{"null in a form", "create-payment-intent", `{"currency":null}`},
		{"empty array in a form", "create-payment-intent", `{"payment_method_types":[]}`},
		{"empty object in a form", "create-payment-intent", `{"metadata":{}}`},
		{"brackets in a name", "create-payment-intent", `{"metadata":{"a][b":"x"}}`},
		{"empty name", "create-payment-intent", `{"metadata":{"":"x"}}`},
		{"object in a repeated form", "send-message", `{"Body":{"a":"b"}}`},
		{"object in a repeated array", "send-message", `{"MediaUrl":[{"a":"b"}]}`},
		{"dot", "retrieve-payment-intent", `{"intent":"."}`},
		{"dot dot", "retrieve-payment-intent", `{"intent":".."}`},
		{"empty path value", "retrieve-payment-intent", `{"intent":""}`},
		{"missing path value", "retrieve-payment-intent", `{}`},
		{"slash", "retrieve-payment-intent", `{"intent":"a/../b"}`},
		{"backslash", "retrieve-payment-intent", `{"intent":"..\\b"}`},
		{"NUL", "retrieve-payment-intent", `{"intent":"a\u0000"}`},
		{"line feed in a header", "list-payment-intents", `{"trace":"a\nb"}`},
		{"object in a header", "list-payment-intents", `{"trace":{"a":"b"}}`},
		{"not ASCII in a header", "list-payment-intents", `{"trace":"ü"}`},
		{"comma in a list", "list-payment-intents", `{"fields":["a,b"]}`},
		{"object in a plain query", "list-payment-intents", `{"limit":{"a":1}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := operation(t, tt.op).Encode(NewArgs(tree(t, tt.args)), account)
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != problem.ContractViolation {
				t.Errorf("%v, %v", outputText(out), err)
			}
		})
	}
	var p *problem.Error
	if _, err := operation(t, "send-message").Encode(NewArgs(nil), nil); err == nil || errors.As(err, &p) {
		t.Errorf("a missing account field: %v", err)
	}
	bad := NewArgs(map[string]any{"description": "\xff"})
	if _, err := operation(t, "create-payment-intent").Encode(bad, nil); err == nil {
		t.Error("invalid UTF-8 was written")
	}
	bad = NewArgs(map[string]any{"score": json.Number("1,2")})
	if _, err := operation(t, "create-order").Encode(bad, nil); err == nil {
		t.Error("a number that is none was written")
	}
}

func TestArgs(t *testing.T) {
	var a Args
	for _, s := range []string{"b", "a.x[0].y", "a.x[1]", "a.e"} {
		v := any("v")
		if s == "a.e" {
			v = map[string]any{}
		}
		if err := a.Set(path(t, s), v); err != nil {
			t.Fatal(err)
		}
	}
	if got := a.Tree(); !reflect.DeepEqual(got, tree(t, `{"b":"v","a":{"x":[{"y":"v"},"v"],"e":{}}}`)) {
		t.Errorf("tree %v", got)
	}
	var leaves []string
	for _, p := range a.Leaves() {
		leaves = append(leaves, p.String())
	}
	if got := strings.Join(leaves, " "); got != "a.e a.x[0].y a.x[1] b" {
		t.Errorf("leaves %s", got)
	}
	before := a.Clone()
	for _, s := range []string{"b.c", "b[0]", "a[0]", "a.x.y", "a.x[3]", "a.x[]", "a.x[0].y.z"} {
		if err := a.Set(path(t, s), "w"); err == nil {
			t.Errorf("%s was set", s)
		}
	}
	if !reflect.DeepEqual(a.Tree(), before.Tree()) {
		t.Error("a failed Set changed the arguments")
	}
	for s, want := range map[string]bool{"a.x[0].y": true, "a.x[2]": false, "a.x[]": false, "a.x": true, "c": false, "b.c": false, "a[0]": false} {
		if _, ok := a.Get(path(t, s)); ok != want {
			t.Errorf("Get %s: %v", s, ok)
		}
	}
	odd := NewArgs(map[string]any{"m": map[string]any{"a b": "x", "c": 1.5}})
	if l := odd.Leaves(); len(l) != 2 || l[0].String() != "m.c" || l[1].String() != "m" {
		t.Errorf("leaves with odd names: %v", l)
	}
}
