package contract

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/problem"
	"sallyport/internal/tape"
)

// tree reads JSON for comparisons.
func tree(t testing.TB, s string) map[string]any {
	t.Helper()
	return readTree(t, []byte(s)).(map[string]any)
}

func readTree(t testing.TB, text []byte) any {
	t.Helper()
	if text == nil {
		return nil
	}
	var v tape.Tape
	if err := v.Parse(text, tape.Limits{}); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v.Value(0)
}

// faultText writes faults without their pointers, which say the same as where: see TestPointers.
func faultText(faults []problem.Fault) string {
	faults = slices.Clone(faults)
	for i := range faults {
		faults[i].Pointer = ""
	}
	text, _ := json.Marshal(faults)
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(text))
}

func TestParseForm(t *testing.T) {
	tests := []struct{ name, op, path, query, body, want, faults string }{
		{"scalars", "create-payment-intent", "/v1/payment_intents", "", "amount=500&currency=eur&confirm=true", `{"amount":500,"currency":"eur","confirm":true}`, ""},
		{"nested", "create-payment-intent", "/v1/payment_intents", "", "line_items[0][quantity]=2&line_items[0][price_data][unit_amount]=7&line_items%5B1%5D%5Bquantity%5D=3&metadata[a b]=c%26d",
			`{"line_items":[{"quantity":2,"price_data":{"unit_amount":7}},{"quantity":3}],"metadata":{"a b":"c&d"}}`, ""},
		{"appended", "create-payment-intent", "/v1/payment_intents", "expand[]=customer&expand[]=charge", "payment_method_types[]=card&payment_method_types[]=ideal", `{"expand":["customer","charge"],"payment_method_types":["card","ideal"]}`, ""},
		{"indexes out of order", "create-payment-intent", "/v1/payment_intents", "", "payment_method_types[1]=b&payment_method_types[0]=a", `{"payment_method_types":["a","b"]}`, ""},
		{"numeric names of a map", "create-payment-intent", "/v1/payment_intents", "", "metadata[0]=x", `{"metadata":{"0":"x"}}`, ""},
		{"a number that is none", "create-payment-intent", "/v1/payment_intents", "", "amount=1e3&description=5&line_items[0][quantity]=007", `{"amount":"1e3","description":"5","line_items":[{"quantity":"007"}]}`, ""},
		{"exact", "create-payment-intent", "/v1/payment_intents", "", "amount=9007199254740993", `{"amount":9007199254740993}`, ""},
		{"empty", "create-payment-intent", "/v1/payment_intents", "", "description=&currency=", `{"description":"","currency":""}`, ""},
		{"plus and space", "create-payment-intent", "/v1/payment_intents", "", "description=a+b%2Bc%20d", `{"description":"a b+c d"}`, ""},
		{"mass assignment", "create-payment-intent", "/v1/payment_intents", "", "amount=5&role=admin&Amount=7&__proto__[x]=1", `{"amount":5}`, "role Amount __proto__"},
		{"nested unknown", "create-payment-intent", "/v1/payment_intents", "", "line_items[0][quantity]=1&line_items[0][price]=0&metadata[__proto__]=1&metadata[constructor]=1", `{"line_items":[{"quantity":1}],"metadata":{"constructor":"1"}}`, "line_items[0].price metadata.__proto__"},
		{"repeat", "send-message", "/2010-04-01/Accounts/AC9/Messages.json", "", "To=%2B123456789&MediaUrl=a&MediaUrl=b&ValidityPeriod=5", `{"To":"+123456789","MediaUrl":["a","b"],"ValidityPeriod":5}`, ""},
		{"repeat of one", "send-message", "/2010-04-01/Accounts/AC9/Messages.json", "", "MediaUrl=a", `{"MediaUrl":["a"]}`, ""},
		{"the gate's own", "send-message", "/2010-04-01/Accounts/EVIL/Messages.json", "", "From=evil", `{}`, ""},
		{"query", "list-payment-intents", "/v1/payment_intents", "limit=10&created[gte]=5&status=a&status=b&fields=x,y", "", `{"limit":10,"created":{"gte":5},"status":["a","b"],"fields":["x","y"]}`, ""},
		{"unknown in the query", "list-payment-intents", "/v1/payment_intents", "limt=10&created[gt]=5", "", `{"created":{}}`, "limt created.gt"},
		{"path", "delete-message", "/2010-04-01/Accounts/AC9/Messages/SM12ab.json", "", "", `{"Sid":"SM12ab"}`, ""},
		{"escaped path", "retrieve-payment-intent", "/v1/payment_intents/p%20i", "", "", `{"intent":"p i"}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args, faults, err := operation(t, tt.op).Parse(Input{Path: tt.path, RawQuery: tt.query, ContentType: "application/x-www-form-urlencoded; charset=UTF-8", Body: []byte(tt.body)})
			if err != nil {
				t.Fatal(err)
			}
			if want := tree(t, tt.want); !reflect.DeepEqual(args.Tree(), want) {
				t.Errorf("args %v; want %v", args.Tree(), want)
			}
			var where []string
			for _, f := range faults {
				where = append(where, f.Where)
			}
			if strings.Join(where, " ") != tt.faults {
				t.Errorf("faults %s; want at %s", faultText(faults), tt.faults)
			}
		})
	}
}

func TestParseJSON(t *testing.T) {
	o := operation(t, "create-order")
	in := Input{Path: "/v2/checkout/orders", RawQuery: "intent=x", Header: http.Header{"Paypal-Request-Id": {"r-1"}}, ContentType: "application/json",
		Body: []byte(`{"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00","tax":1E2},"note":null,"role":"admin"}],"Role":"admin","__proto__":{"a":1},"constructor":1}`)}
	args, faults, err := o.Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	want := tree(t, `{"query_intent":"x","request_id":"r-1","intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00","tax":1E2},"note":null}]}`)
	if !reflect.DeepEqual(args.Tree(), want) {
		t.Errorf("args %v", args.Tree())
	}
	if len(faults) != 4 || !strings.Contains(faultText(faults), `"where":"purchase_units[0].role"`) {
		t.Errorf("faults %s", faultText(faults))
	}
	patch := operation(t, "update-order")
	args, faults, err = patch.Parse(Input{Path: "/v2/checkout/orders", ContentType: "application/json", Body: []byte(`[{"op":"add","path":"/a","value":{"deep":[1,{"x":null}]},"evil":1}]`)})
	if err != nil || len(faults) != 1 || faults[0].Where != "body[0].evil" || !reflect.DeepEqual(args.Tree(), tree(t, `{"body":[{"op":"add","path":"/a","value":{"deep":[1,{"x":null}]}}]}`)) {
		t.Errorf("%v %s %v", args.Tree(), faultText(faults), err)
	}
	form := operation(t, "create-payment-intent")
	args, _, err = form.Parse(Input{Path: "/v1/payment_intents", ContentType: "application/json", Body: []byte(`{"amount":5,"line_items":[{"quantity":1}]}`)})
	if err != nil || !reflect.DeepEqual(args.Tree(), tree(t, `{"amount":5,"line_items":[{"quantity":1}]}`)) {
		t.Errorf("a JSON body for a form operation: %v, %v", args.Tree(), err)
	}
	args, _, err = o.Parse(Input{Path: "/v2/checkout/orders", ContentType: FormType, Body: []byte(`intent=CAPTURE&purchase_units[0][amount][value]=1.00`)})
	if err != nil || !reflect.DeepEqual(args.Tree(), tree(t, `{"intent":"CAPTURE","purchase_units":[{"amount":{"value":"1.00"}}]}`)) {
		t.Errorf("a form body for a JSON operation: %v, %v", args.Tree(), err)
	}
}

// TestParseRefuses holds the data rows of the attack list: what is not read at all.
func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat(`[`, 20000)
	long := "[" + strings.Repeat("1,", maxElements) + "1]"
	tests := []struct {
		name, kind, body string
		code             problem.Code
	}{
		{"duplicate key", JSONType, `{"intent":"CAPTURE","intent":"AUTHORIZE"}`, problem.BadBody},
		{"duplicate key, escaped", JSONType, `{"intent":"CAPTURE","inten\u0074":"AUTHORIZE"}`, problem.BadBody},
		{"duplicate key, deep in an unknown field", JSONType, `{"x":[{"y":{"a":1,"a":2}}]}`, problem.BadBody},
		{"depth", JSONType, deep, problem.BadBody},
		{"depth of objects", JSONType, strings.Repeat(`{"a":`, 65), problem.BadBody},
		{"long array", JSONType, `{"x":` + long + `}`, problem.BadBody},
		{"invalid UTF-8", JSONType, "{\"intent\":\"\xff\"}", problem.BadBody},
		{"overlong", JSONType, "{\"intent\":\"\xc0\xaf\"}", problem.BadBody},
		{"surrogate in UTF-8", JSONType, "{\"intent\":\"\xed\xa0\x80\"}", problem.BadBody},
		{"lone surrogate", JSONType, `{"intent":"\ud800"}`, problem.BadBody},
		{"lone low surrogate", JSONType, `{"intent":"\udc00x"}`, problem.BadBody},
		{"two high surrogates", JSONType, `{"intent":"\ud800\ud800"}`, problem.BadBody},
		{"byte order mark", JSONType, "\xef\xbb\xbf{}", problem.BadBody},
		{"UTF-16", JSONType, "{\x00}\x00", problem.BadBody},
		{"UTF-16 with mark", JSONType, "\xff\xfe{\x00}\x00", problem.BadBody},
		{"comment", JSONType, `{}//x`, problem.BadBody},
		{"two values", JSONType, `{}{}`, problem.BadBody},
		{"trailing comma", JSONType, `{"intent":"CAPTURE",}`, problem.BadBody},
		{"leading zero", JSONType, `{"x":01}`, problem.BadBody},
		{"plus", JSONType, `{"x":+1}`, problem.BadBody},
		{"NaN", JSONType, `{"x":NaN}`, problem.BadBody},
		{"control character", JSONType, "{\"intent\":\"a\nb\"}", problem.BadBody},
		{"truncated escape", JSONType, `{"intent":"\u00`, problem.BadBody},
		{"huge exponent", JSONType, `{"score":1e400}`, problem.ContractViolation},
		{"huge negative exponent", JSONType, `{"score":1e-999999999999}`, problem.ContractViolation},
		{"endless digits", JSONType, `{"score":1` + strings.Repeat("0", 10000) + `}`, problem.ContractViolation},
		{"an array for an object", JSONType, `[]`, problem.ContractViolation},
		{"null for an object", JSONType, `null`, problem.ContractViolation},
		{"JSON as text", "text/plain", `{}`, problem.MediaType},
		{"no type", "", `{}`, problem.MediaType},
		{"another charset", "application/json; charset=utf-7", `{}`, problem.MediaType},
		{"another charset, form", FormType + "; charset=iso-8859-1", `a=b`, problem.MediaType},
		{"two types", "application/json, text/plain", `{}`, problem.MediaType},
		{"two charsets", "application/json; charset=utf-8; charset=utf-7", `{}`, problem.MediaType},
		{"multipart", "multipart/form-data; boundary=x", `--x--`, problem.MediaType},
		{"XML", "application/xml", `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>`, problem.MediaType},
		{"semicolon", FormType, `a=1;b=2&a=3`, problem.BadBody},
		{"bad escape", FormType, `intent=%zz`, problem.BadBody},
		{"form, invalid UTF-8", FormType, `intent=%ff`, problem.BadBody},
		{"form, no name", FormType, `=x`, problem.BadBody},
		{"repeated", FormType, `intent=CAPTURE&intent=AUTHORIZE`, problem.BadBody},
		{"value and structure", FormType, `purchase_units=1&purchase_units[0][note]=a`, problem.BadBody},
		{"structure and value", FormType, `purchase_units[0][note]=a&purchase_units=1`, problem.BadBody},
		{"brackets", FormType, `purchase_units[0=a`, problem.BadBody},
		{"brackets twice", FormType, `purchase_units[[0]]=a`, problem.BadBody},
		{"text after brackets", FormType, `purchase_units[0]x=a`, problem.BadBody},
		{"gap", FormType, `purchase_units[1][note]=a`, problem.BadBody},
		{"huge index", FormType, `purchase_units[999999999][note]=a`, problem.BadBody},
		{"mixed indexes", FormType, `purchase_units[]=a&purchase_units[0]=b`, problem.BadBody},
		{"members of appended", FormType, `purchase_units[][note]=a&purchase_units[][x]=b`, problem.BadBody},
		{"deep brackets", FormType, `a` + strings.Repeat("[a]", 80) + `=1`, problem.BadBody},
	}
	o := operation(t, "create-order")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := o.Parse(Input{Path: "/v2/checkout/orders", ContentType: tt.kind, Body: []byte(tt.body)})
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != tt.code {
				t.Errorf("%v; want %s", err, tt.code)
			}
		})
	}
}

func TestParseRefusesTargets(t *testing.T) {
	o := operation(t, "list-payment-intents")
	for name, tt := range map[string]struct {
		in   Input
		code problem.Code
	}{
		"semicolon":         {Input{RawQuery: "a=1;b=2&a=3"}, problem.BadQuery},
		"repeated":          {Input{RawQuery: "limit=1&limit=2"}, problem.BadQuery},
		"repeated unlike":   {Input{RawQuery: "limit=1&limi%74=2"}, problem.BadQuery},
		"repeated member":   {Input{RawQuery: "created[gte]=1&created[gte]=2"}, problem.BadQuery},
		"value and members": {Input{RawQuery: "created=1&created[gte]=2"}, problem.BadQuery},
		"bad escape":        {Input{RawQuery: "limit=%"}, problem.BadQuery},
		"invalid UTF-8":     {Input{RawQuery: "limit=%c0%ae"}, problem.BadQuery},
		"repeated header":   {Input{Header: http.Header{"X-Trace": {"a", "b"}}}, problem.BadHeader},
		"body":              {Input{ContentType: JSONType, Body: []byte("{}")}, problem.BadBody},
	} {
		tt.in.Path = "/v1/payment_intents"
		_, _, err := o.Parse(tt.in)
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != tt.code {
			t.Errorf("%s: %v; want %s", name, err, tt.code)
		}
	}
	if _, _, err := o.Parse(Input{Path: "/v1/other"}); err == nil {
		t.Error("another path was read")
	}
}

func TestCheck(t *testing.T) {
	const order = `"purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00"}}]`
	const intent = `"amount":5,"currency":"eur"`
	tests := []struct{ name, op, args, want string }{
		{"good", "create-payment-intent", `{` + intent + `,"metadata":{"a":"b"},"line_items":[{"quantity":1}],"return_url":"https://shop.example/x","description":""}`, `null`},
		{"missing", "create-payment-intent", `{"amount":5}`, `[{"where":"currency","found":"nothing","want":"this is required: a string"}]`},
		{"nothing at all", "create-payment-intent", `{}`, `[{"where":"amount","found":"nothing","want":"this is required: a whole number in digits"},{"where":"currency","found":"nothing","want":"this is required: a string"}]`},
		{"type", "create-payment-intent", `{"amount":"5","currency":"eur"}`, `[{"where":"amount","found":"the string \"5\"","want":"a whole number in digits"}]`},
		{"too small", "create-payment-intent", `{"amount":0,"currency":"eur"}`, `[{"where":"amount","found":"the number 0","want":"at least 1"}]`},
		{"too large, beyond float64", "create-payment-intent", `{"amount":99999999.00000000000001,"currency":"eur"}`, `[{"where":"amount","found":"the number 99999999.00000000000001","want":"a whole number in digits"}]`},
		{"exponent", "create-payment-intent", `{"amount":1e3,"currency":"eur"}`, `[{"where":"amount","found":"the number 1e3","want":"a whole number in digits"}]`},
		{"minus zero", "create-payment-intent", `{"amount":-0,"currency":"eur"}`, `[{"where":"amount","found":"the number -0","want":"a whole number in digits"}]`},
		{"pattern", "create-payment-intent", `{"amount":5,"currency":"EUR"}`, `[{"where":"currency","found":"the string \"EUR\"","want":"a string that matches ^[a-z]{3}$"}]`},
		{"enum", "create-payment-intent", `{` + intent + `,"capture_method":"auto"}`, `[{"where":"capture_method","found":"the string \"auto\"","want":"one of \"automatic\", \"manual\""}]`},
		{"personal is not shown", "create-payment-intent", `{` + intent + `,"receipt_email":"Eve Canary"}`, `[{"where":"receipt_email","found":"a string of 10 characters","want":"a string of format email"}]`},
		{"inherited mark", "create-payment-intent", `{` + intent + `,"card":{"number":"4242-CANARY","cvc":12345}}`, `[{"where":"card.cvc","found":"a number","want":"a string"},{"where":"card.number","found":"a string of 11 characters","want":"a string that matches ^[0-9]{12,19}$"}]`},
		{"a map's values are not shown", "create-payment-intent", `{` + intent + `,"metadata":{"a":17}}`, `[{"where":"metadata.a","found":"a number","want":"a string"}]`},
		{"a map's names", "create-payment-intent", `{` + intent + `,"metadata":{"` + strings.Repeat("n", 41) + `":"x"}}`, `[{"where":"metadata.` + strings.Repeat("n", 41) + `","found":"the name \"` + strings.Repeat("n", 41) + `\"","want":"a name that is a string of at most 40 characters"}]`},
		{"a form cannot carry", "create-payment-intent", `{` + intent + `,"metadata":{},"payment_method_types":[]}`, `[{"where":"metadata","found":"an object of 0 names","want":"a value that a form can carry"},{"where":"payment_method_types","found":"an empty array","want":"nothing at all: a form cannot carry an empty array"}]`},
		{"brackets in a name", "create-payment-intent", `{` + intent + `,"metadata":{"a][b":"x","":"y"}}`, `[{"where":"metadata{of 0 bytes}","found":"a name that is empty or has brackets","want":"a name that a form can carry"},{"where":"metadata{\"a][b\"}","found":"a name that is empty or has brackets","want":"a name that a form can carry"}]`},
		{"unknown", "create-payment-intent", `{` + intent + `,"amuont":5}`, `[{"where":"amuont","found":"the unknown name \"amuont\"","want":"one of expand, amount, currency, customer, receipt_email, confirm, capture_method, description, metadata, payment_method_types, return_url, card, …","near":"amount"}]`},
		{"nested unknown", "create-payment-intent", `{` + intent + `,"line_items":[{"quantity":1,"Gift":true}]}`, `[{"where":"line_items[0].Gift","found":"the unknown name \"Gift\"","want":"one of quantity, gift, price_data","near":"gift"}]`},
		{"two paths to one length", "create-payment-intent", `{` + intent + `,"payment_method_types":["a","b","c","d","e","f"]}`, `[{"where":"payment_method_types","found":"6 elements","want":"at most 5 elements"}]`},
		{"dot segments", "retrieve-payment-intent", `{"intent":".."}`, `[{"where":"intent","found":"a value that changes the path","want":"a value without slashes and control characters that is not empty, . or .."}]`},
		{"a slash in the path", "retrieve-payment-intent", `{"intent":"a/b"}`, `[{"where":"intent","found":"a value that changes the path","want":"a value without slashes and control characters that is not empty, . or .."}]`},
		{"header injection", "list-payment-intents", `{"trace":"a\r\nb: c"}`, `[{"where":"trace","found":"characters that a header cannot carry","want":"printable ASCII without spaces at the ends"}]`},
		{"comma in a list", "list-payment-intents", `{"fields":["a,b"]}`, `[{"where":"fields[0]","found":"an element with a comma","want":"elements without commas"}]`},
		{"number of 64 bits", "list-payment-intents", `{"created":{"gte":9223372036854775808}}`, `[{"where":"created.gte","found":"the number 9223372036854775808","want":"a whole number of 64 bits"}]`},
		{"allOf", "create-order", `{"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00","tax":0.01}}]}`, `null`},
		{"allOf, unknown", "create-order", `{"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00","tx":1}}]}`, `[{"where":"purchase_units[0].amount.tx","found":"the unknown name \"tx\"","want":"one of currency_code, value, tax","near":"tax"}]`},
		{"exact bound", "create-order", `{"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00","tax":0.0099999999999999999999999}}]}`, `[{"where":"purchase_units[0].amount.tax","found":"the number 0.0099999999999999999999999","want":"at least 0.01"}]`},
		{"null where allowed", "create-order", `{"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00"},"note":null}]}`, `null`},
		{"null where not", "create-order", `{"intent":null,` + order + `}`, `[{"where":"intent","found":"null","want":"one of \"CAPTURE\", \"AUTHORIZE\""}]`},
		{"oneOf", "create-order", `{"intent":"CAPTURE",` + order + `,"payer":{"id":"x"}}`, `null`},
		{"oneOf, neither", "create-order", `{"intent":"CAPTURE",` + order + `,"payer":{}}`, `[{"where":"payer.email","found":"nothing","want":"this is required: a string"}]`},
		{"multiple", "create-order", `{"intent":"CAPTURE",` + order + `,"score":0.3}`, `null`},
		{"not a multiple", "create-order", `{"intent":"CAPTURE",` + order + `,"score":0.35}`, `[{"where":"score","found":"the number 0.35","want":"a multiple of 0.1"}]`},
		{"exclusive", "create-order", `{"intent":"CAPTURE",` + order + `,"score":10}`, `[{"where":"score","found":"the number 10","want":"less than 10"}]`},
		{"a body that is a list", "update-order", `{"body":[{"op":"move"}]}`, `[{"where":"body[0].op","found":"the string \"move\"","want":"one of \"add\", \"replace\""},{"where":"body[0].path","found":"nothing","want":"this is required: a string"}]`},
		{"a missing body", "update-order", `{}`, `[{"where":"body","found":"nothing","want":"this is required: an array"}]`},
		{"the gate's own are not asked for", "send-message", `{"To":"+12345678"}`, `null`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := faultText(operation(t, tt.op).Check(NewArgs(tree(t, tt.args)))); got != tt.want {
				t.Errorf("faults\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestCheckTellsTwentyFaults(t *testing.T) {
	args := map[string]any{}
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		args["unknown-"+string(c)] = 1
	}
	if n := len(operation(t, "create-payment-intent").Check(NewArgs(args))); n != maxFaults {
		t.Errorf("%d faults; want %d", n, maxFaults)
	}
}
