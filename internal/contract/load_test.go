package contract

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func fixture(t testing.TB) *Document {
	t.Helper()
	data, err := os.ReadFile("testdata/shop.json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Load("shop", data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func operation(t testing.TB, id string) *Operation {
	t.Helper()
	o, ok := fixture(t).Find(id)
	if !ok {
		t.Fatalf("no operation %s", id)
	}
	return o
}

func path(t testing.TB, s string) Path {
	t.Helper()
	p, err := ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func paths(t testing.TB, list ...string) []Path {
	t.Helper()
	out := make([]Path, len(list))
	for i, s := range list {
		out[i] = path(t, s)
	}
	return out
}

func TestLoad(t *testing.T) {
	d := fixture(t)
	var ids []string
	for _, o := range d.Operations() {
		ids = append(ids, o.ID)
	}
	if got, want := strings.Join(ids, " "), "create-order create-payment-intent delete-message list-payment-intents retrieve-payment-intent search-payment-intents send-message update-order"; got != want {
		t.Errorf("operations\n%s\nwant\n%s", got, want)
	}
	o, _ := d.Find("create-payment-intent")
	if got, want := strings.Join(o.ParamNames(), " "), "expand amount currency customer receipt_email confirm capture_method description metadata payment_method_types return_url card line_items"; got != want {
		t.Errorf("parameters\n%s\nwant\n%s", got, want)
	}
	if o.Retry != RetryKeyed || !o.HasEffect(EffectMoney) || o.HasEffect(EffectAdmin) || o.Server != "api" || o.Auth != "secret-key" || o.Official.File != "stripe/spec3.json" || o.SuccessStatus() != 200 {
		t.Errorf("annotations were not read: %+v", o)
	}
	email, _ := o.Param("receipt_email")
	back, _ := o.Param("return_url")
	customer, _ := o.Param("customer")
	if email.Schema.Data != Personal || !back.URL || !customer.ID || customer.PublicID {
		t.Error("marks were not read")
	}
	s, err := o.LookupReply(path(t, "receipt_email"))
	if err != nil || s.Data != Personal || s.Description != "where the receipt goes" {
		t.Errorf("a reference with a description lost something: %+v, %v", s, err)
	}
	order, _ := d.Find("create-order")
	if p, ok := order.Param("query_intent"); !ok || p.Wire != "intent" || p.In != InQuery {
		t.Errorf("x-sallyport.name was not read: %+v", p)
	}
	if d.Near("create-payment-intents") != "create-payment-intent" {
		t.Error("the nearest id was not found")
	}
}

func TestLoadFaults(t *testing.T) {
	const head = `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/a":{"post":{"operationId":"do-it","x-sallyport":{"server":"s","auth":"a","retry":"safe","effects":[]},"responses":{"200":{}},`
	body := func(schema string) string {
		return head + `"requestBody":{"content":{"application/json":{"schema":` + schema + `}}}}}}}`
	}
	tests := []struct{ name, doc, want string }{
		{"not JSON", `{`, "expected a name"},
		{"duplicate", `{"openapi":"3.1.0","openapi":"3.1.0"}`, "stands twice"},
		{"version", `{"openapi":"2.0","paths":{"/a":{}}}`, `#/openapi: found "2.0"; write 3.1.0`},
		{"no paths", `{"openapi":"3.1.0"}`, "without operations"},
		{"typing error", strings.Replace(body(`{"type":"object"}`), "operationId", "operationid", 1), `"operationid" is not known here; did you mean operationId?`},
		{"keyword without effect", body(`{"type":"object","properties":{"a":{"type":"string","maxLenght":5}}}`), `#/paths/~1a/post/requestBody/content/application~1json/schema/properties/a: "maxLenght" is not known here; did you mean maxLength?`},
		{"keyword without effect, deep in another", body(`{"type":"object","properties":{"a":{"not":{"if":{"maxLenght":5}}}}}`), `/properties/a/not/if: "maxLenght" is not known here`},
		{"dangling reference", body(`{"$ref":"#/components/schemas/x"}`), "points to nothing"},
		{"outside reference", body(`{"$ref":"other.json#/x"}`), "leaves the document"},
		{"circle", strings.Replace(body(`{"$ref":"#/components/schemas/x"}`), `"paths"`, `"components":{"schemas":{"x":{"$ref":"#/components/schemas/y"},"y":{"$ref":"#/components/schemas/x"}}},"paths"`, 1), "circle"},
		{"schema in itself", strings.Replace(body(`{"$ref":"#/components/schemas/x"}`), `"paths"`, `"components":{"schemas":{"x":{"allOf":[{"$ref":"#/components/schemas/x"}]}}},"paths"`, 1), "contains itself"},
		{"pattern", body(`{"type":"object","properties":{"a":{"type":"string","pattern":"(?=x)"}}}`), "/properties/a/pattern: pattern \"(?=x)\", character 1: a lookahead"},
		{"array without items", body(`{"type":"object","properties":{"a":{"type":"array"}}}`), "array without items"},
		{"required name missing", body(`{"type":"object","properties":{"a":{"type":"string"}},"required":["b"]}`), `"b" is required but not in properties`},
		{"mark", body(`{"type":"object","properties":{"a":{"type":"string","x-sallyport":{"data":"private"}}}}`), `data "private"; write personal, secret or card`},
		{"misspelled extension", strings.Replace(body(`{"type":"object"}`), `"schema"`, `"x-sallyport-from":"repeat","schema"`, 1), `"x-sallyport-from" is not known here; did you mean x-sallyport-form?`},
		{"unknown annotation", body(`{"type":"object","properties":{"a":{"type":"string","x-sallyport":{"date":"secret"}}}}`), `unknown field "date"`},
		{"retry", strings.Replace(body(`{"type":"object"}`), `"safe"`, `"always"`, 1), `retry "always"`},
		{"effects missing", strings.Replace(body(`{"type":"object"}`), `,"effects":[]`, ``, 1), "effects is missing"},
		{"no success", strings.Replace(body(`{"type":"object"}`), `"200"`, `"400"`, 1), "no 2xx answer"},
		{"credential header", head + `"parameters":[{"name":"authorization","in":"header","schema":{"type":"string"}}]}}}}`, "the header Authorization is the gate's own"},
		{"location", head + `"parameters":[{"name":"a","in":"body","schema":{"type":"string"}}]}}}}`, `in "body"; write path, query, header or cookie`},
		{"style", head + `"parameters":[{"name":"a","in":"query","style":"matrix","schema":{"type":"string"}}]}}}}`, `style "matrix" is not possible in query`},
		{"schema and content", head + `"parameters":[{"name":"a","in":"query","schema":{},"content":{"application/json":{"schema":{}}}}]}}}}`, "either a schema, or content"},
		{"collision", head + `"parameters":[{"name":"a","in":"query","schema":{"type":"string"}},{"name":"a","in":"header","schema":{"type":"string"},"x-sallyport":{"name":"a"}}]}}}}`, "x-sallyport.name"},
		{"path parameter", strings.Replace(body(`{"type":"object"}`), `"/a"`, `"/{a}"`, 1), "{a} has no parameter"},
		{"media type", head + `"requestBody":{"content":{"text/csv":{"schema":{}}}}}}}}`, `found ["text/csv"]; write one of application/json, application/x-www-form-urlencoded, multipart/form-data, application/xml`},
		{"body without schema", head + `"requestBody":{"content":{"application/json":{}}}}}}}`, "write the schema of the body"},
		{"media type of an answer", strings.Replace(body(`{"type":"object"}`), `"200":{}`, `"200":{"content":{"text/html":{"schema":{}}}}`, 1), "answers are checked as JSON or XML"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load("x.json", []byte(tt.doc))
			if err == nil {
				t.Fatal("was accepted")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error\n%v\ndoes not say\n%s", err, tt.want)
			}
		})
	}
}

func TestLoadNamesAllFaults(t *testing.T) {
	_, err := Load("x.json", []byte(`{"openapi":"3.1.0","paths":{"/a":{"get":{"operationId":"A","responses":{}},"trace":{}}},"surprise":1}`))
	for _, want := range []string{`"surprise"`, `"trace"`, "kebab-case", "no 2xx", "x-sallyport: missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestRoute(t *testing.T) {
	d := fixture(t)
	tests := []struct{ method, path, want, allowed string }{
		{"POST", "/v1/payment_intents", "create-payment-intent", ""},
		{"GET", "/v1/payment_intents/pi_1", "retrieve-payment-intent", ""},
		{"GET", "/v1/payment_intents/search", "search-payment-intents", ""},
		{"GET", "/v1/payment_intents/se%61rch", "search-payment-intents", ""},
		{"GET", "/v1/payment_intents/a%2Fb", "retrieve-payment-intent", ""},
		{"DELETE", "/v1/payment_intents", "", "GET POST"},
		{"get", "/v1/payment_intents", "", "GET POST"},
		{"HEAD", "/v1/payment_intents/x", "", "GET"},
		{"GET", "/v1%2Fpayment_intents", "", ""},
		{"GET", "/v1/payment_intents/", "", ""},
		{"GET", "/V1/payment_intents", "", ""},
		{"GET", "/v1/payment_intents/a/b", "", ""},
		{"GET", "//v1/payment_intents", "", ""},
		{"GET", "v1/payment_intents", "", ""},
		{"GET", "/v1/payment_intents/%zz", "", ""},
		{"GET", "/v1/payment_intents/%ff", "", ""},
		{"DELETE", "/2010-04-01/Accounts/AC1/Messages/SM0a1b.json", "delete-message", ""},
		{"DELETE", "/2010-04-01/Accounts/AC1/Messages/.json", "", ""},
		{"DELETE", "/2010-04-01/Accounts/AC1/Messages/SM0a1b.xml", "", ""},
	}
	for _, tt := range tests {
		op, allowed := d.Route(tt.method, tt.path)
		got := ""
		if op != nil {
			got = op.ID
		}
		if got != tt.want || strings.Join(allowed, " ") != tt.allowed {
			t.Errorf("%s %s: %q %v; want %q %q", tt.method, tt.path, got, allowed, tt.want, tt.allowed)
		}
	}
}

func TestLookup(t *testing.T) {
	o := operation(t, "create-payment-intent")
	for _, p := range []string{"amount", "line_items[0].price_data.unit_amount", "line_items[].quantity", "metadata.anything", "card.number", "expand[0]"} {
		if _, err := o.Lookup(path(t, p)); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	for p, want := range map[string]string{
		"amont":                     "did you mean amount?",
		"line_items.quantity":       "write line_items[].quantity",
		"line_items[0].price.x":     "has no field \"price\"",
		"amount.x":                  "it has no fields",
		"amount[0]":                 "amount is not an array",
		"line_items[0].Quantity":    "did you mean quantity?",
		"line_items[0].price_dat.x": "did you mean price_data?",
	} {
		if _, err := o.Lookup(path(t, p)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", p, err, want)
		}
	}
	list := operation(t, "list-payment-intents")
	if s, err := list.LookupReply(path(t, "data[].client_secret")); err != nil || s.Data != Secret {
		t.Errorf("data[].client_secret: %+v, %v", s, err)
	}
	if _, err := list.LookupReply(path(t, "data.id")); err == nil || !strings.Contains(err.Error(), "data[].id") {
		t.Errorf("data.id: %v", err)
	}
	search := operation(t, "search-payment-intents")
	if _, err := search.LookupReply(path(t, "body[].id")); err != nil {
		t.Error(err)
	}
	if _, err := operation(t, "delete-message").LookupReply(path(t, "id")); err == nil {
		t.Error("an answer without a body has a field")
	}
}

// TestSuccesses: what answers an operation may have when it went well.
func TestSuccesses(t *testing.T) {
	for responses, want := range map[string][]int{
		`"200": {"description": "done"}, "default": {"description": "refused"}`:                                 {200},
		`"204": {"description": "gone"}, "200": {"description": "done"}, "4XX": {"description": "refused"}`:     {200, 204},
		`"2XX": {"description": "done"}, "500": {"description": "failed"}`:                                      {200},
		`"201": {"description": "made"}, "2XX": {"description": "done"}, "default": {"description": "refused"}`: {200, 201},
	} {
		raw := `{"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {"/x": {"get": {"operationId": "x", "summary": "x",
			"x-sallyport": {"server": "api", "auth": "key", "retry": "safe", "effects": []}, "responses": {` + responses + `}}}}}`
		doc, err := Load("x", []byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		op, _ := doc.Find("x")
		if got := op.Successes(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", responses, got, want)
		}
	}
}
