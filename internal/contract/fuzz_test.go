package contract

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// FuzzParse: whatever arrives, what passes Check is written so that it is read back.
func FuzzParse(f *testing.F) {
	d := fixture(f)
	f.Add(uint8(1), "/v1/payment_intents", "expand[]=customer", true, "amount=5&currency=eur&metadata[a]=b&line_items[0][quantity]=1")
	f.Add(uint8(0), "/v2/checkout/orders", "intent=x", false, `{"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00"}}]}`)
	f.Add(uint8(6), "/2010-04-01/Accounts/AC1/Messages.json", "", true, "To=%2B12345678&MediaUrl=a&MediaUrl=b")
	f.Add(uint8(3), "/v1/payment_intents", "limit=1&created[gte]=2&status=a&status=b&fields=a,b", true, "")
	f.Add(uint8(7), "/v2/checkout/orders", "", false, `[{"op":"add","path":"/x","value":{"a":[]}}]`)
	f.Fuzz(func(t *testing.T, which uint8, path, query string, form bool, body string) {
		o := d.Operations()[int(which)%len(d.Operations())]
		in := Input{Path: path, RawQuery: query, ContentType: JSONType, Body: []byte(body)}
		if form {
			in.ContentType = FormType
		}
		args, _, err := o.Parse(in)
		if err != nil || len(o.Check(args)) > 0 {
			return
		}
		out, err := o.Encode(args, account)
		if err != nil {
			t.Fatalf("Check accepts %v, Encode does not: %v", args.Tree(), err)
		}
		back, faults, err := o.Parse(Input(out))
		if err != nil || len(faults) > 0 || !reflect.DeepEqual(back.Tree(), args.Tree()) {
			t.Fatalf("%s\nread as %v\nwas     %v\n%v %v", outputText(out), back.Tree(), args.Tree(), faults, err)
		}
	})
}

// FuzzRoute: a path that is routed has as many segments as its template, and its
// literal parts are there.
func FuzzRoute(f *testing.F) {
	d := fixture(f)
	for _, s := range []string{"/v1/payment_intents/pi_1", "/v1/payment_intents%2Fpi_1", "/v1/payment_intents/a%2Fb", "/2010-04-01/Accounts/A/Messages/SM1.json", "//", "/%", ""} {
		f.Add("GET", s)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		o, allowed := d.Route(method, path)
		if o == nil {
			for _, m := range allowed {
				if op, _ := d.Route(m, path); op == nil || m == method {
					t.Fatalf("%s is allowed on %q but not routed", m, path)
				}
			}
			return
		}
		if o.Method != method || strings.Count(path, "/") != strings.Count(o.PathTemplate, "/") {
			t.Fatalf("%s %q is routed to %s", method, path, o.PathTemplate)
		}
		if parts, ok := splitPath(path); !ok || !o.matches(parts) {
			t.Fatalf("%q has no values for %s", path, o.PathTemplate)
		}
	})
}

// FuzzForm: a form that is read is either refused or means one thing.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=1&a=2", "a[b]=1&a[b][c]=2", "metadata[a][b]=1", "line_items[0][quantity]=1", "payment_method_types[]=a", "a%5Bb%5D=1", "a[]=;"} {
		f.Add(s)
	}
	o := operation(f, "create-payment-intent")
	f.Fuzz(func(t *testing.T, body string) {
		in := Input{Path: "/v1/payment_intents", ContentType: FormType, Body: []byte(body)}
		args, _, err := o.Parse(in)
		if err != nil {
			return
		}
		for name := range args.Tree() {
			if _, ok := o.Param(name); !ok {
				t.Fatalf("%q gave the unknown parameter %q", body, name)
			}
		}
		again, _, _ := o.Parse(in)
		if !reflect.DeepEqual(args.Tree(), again.Tree()) {
			t.Fatalf("%q is read in two ways", body)
		}
	})
}

// FuzzCheckResponse: nothing passes that the contract does not know or the view does
// not name, and what passed passes again unchanged.
func FuzzCheckResponse(f *testing.F) {
	f.Add([]byte(intentBody))
	f.Add([]byte(`{"id":"pi_1","amount":1,"status":"succeeded","customer":{"deleted":true,"id":"x"}}`))
	f.Add([]byte(`{"id":{"$ne":1}}`))
	o := operation(f, "retrieve-payment-intent")
	view := mustView(f, o, "id status charges.data[].id")
	f.Fuzz(func(t *testing.T, body []byte) {
		full, _, err := o.CheckResponse(200, JSONType, body, nil)
		if err != nil {
			return
		}
		if strings.Contains(string(o.RedactReply(200, full.Body)), maskedUnknown) && !bytes.Contains(body, []byte(maskedUnknown)) {
			t.Fatalf("an unknown field passed: %s", full.Body)
		}
		part, faults, err := o.CheckResponse(200, JSONType, body, view)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := o.CheckResponse(200, JSONType, part.Body, view)
		if part.Body != nil && (err != nil || !bytes.Equal(part.Body, again.Body)) {
			t.Fatalf("%s passed as %s: %v %v", part.Body, again.Body, faults, err)
		}
		for _, word := range []string{"client_secret", "receipt_email", "amount", "metadata", "card"} {
			if hasKey(readTree(t, part.Body), word) {
				t.Fatalf("%s passed: %s", word, part.Body)
			}
		}
	})
}

func hasKey(v any, name string) bool {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			if k == name || hasKey(v[k], name) {
				return true
			}
		}
	case []any:
		for i := range v {
			if hasKey(v[i], name) {
				return true
			}
		}
	}
	return false
}
