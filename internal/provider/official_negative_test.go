package provider_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/provider"
)

// at walks into a document; every step must be there.
func at(t *testing.T, doc tree, steps ...string) tree {
	t.Helper()
	for _, s := range steps {
		if doc = object(doc[s]); doc == nil {
			t.Fatalf("the contract has no %q on the way %v", s, steps)
		}
	}
	return doc
}

// TestCheckerFindsFaults breaks a contract in one place at a time; the checker must
// name each, and find nothing in the unbroken one.
func TestCheckerFindsFaults(t *testing.T) {
	const form, intents = "application/x-www-form-urlencoded", "/v1/payment_intents"
	body := func(t *testing.T, doc tree) tree {
		return at(t, doc, "paths", intents, "post", "requestBody", "content", form, "schema")
	}
	answer := func(t *testing.T, doc tree) tree {
		return at(t, doc, "components", "schemas", "payment_intent", "properties")
	}
	cases := []struct {
		name  string
		spoil func(t *testing.T, doc tree)
		want  string // empty: nothing is found
	}{
		{"unbroken", func(*testing.T, tree) {}, ""},
		{"made-up request field", func(t *testing.T, doc tree) {
			at(t, body(t, doc), "properties")["colour"] = tree{"type": "string"}
		}, "body.colour: is not in the official file"},
		{"made-up field deep down", func(t *testing.T, doc tree) {
			at(t, body(t, doc), "properties", "shipping", "properties", "address", "properties")["planet"] = tree{"type": "string"}
		}, "body.shipping.address.planet: is not in the official file"},
		{"made-up answer field", func(t *testing.T, doc tree) { answer(t, doc)["mood"] = tree{"type": "string"} }, "answer 200.mood: is not"},
		{"made-up parameter", func(t *testing.T, doc tree) {
			op := at(t, doc, "paths", intents, "get")
			op["parameters"] = append(anys(op["parameters"]), tree{"name": "sort", "in": "query", "schema": tree{"type": "string"}})
		}, "query.sort: is not in the official file"},
		{"wrong request type", func(t *testing.T, doc tree) {
			at(t, body(t, doc), "properties")["amount"] = tree{"type": "string"}
		}, "body.amount: is string in ours; officially it is integer"},
		{"wrong answer type", func(t *testing.T, doc tree) { answer(t, doc)["amount"] = tree{"type": "string"} }, "answer 200.amount: is string in ours"},
		{"number for integer", func(t *testing.T, doc tree) {
			at(t, body(t, doc), "properties")["amount"] = tree{"type": "number"}
		}, "body.amount: is number in ours"},
		{"wrong element type", func(t *testing.T, doc tree) {
			at(t, body(t, doc), "properties")["payment_method_types"] = tree{"type": "array", "items": tree{"type": "integer"}}
		}, "body.payment_method_types[]: is integer in ours"},
		{"null not expected", func(t *testing.T, doc tree) { answer(t, doc)["canceled_at"] = tree{"type": "integer"} }, "the provider may send null"},
		{"null never sent", func(t *testing.T, doc tree) {
			answer(t, doc)["amount"] = tree{"type": []any{"integer", "null"}}
		}, "answer 200.amount: is null in ours"},
		{"made-up value", func(t *testing.T, doc tree) {
			at(t, body(t, doc), "properties", "capture_method")["enum"] = []any{"manual", "psychic"}
		}, `"psychic" is not one of the official values`},
		{"narrow answer values", func(t *testing.T, doc tree) {
			answer(t, doc)["status"] = tree{"type": "string", "enum": []any{"succeeded"}}
		}, "which our enum refuses"},
		{"required forgotten", func(t *testing.T, doc tree) { body(t, doc)["required"] = []any{"amount"} }, "body.currency: is required officially"},
		{"required in the answer", func(t *testing.T, doc tree) {
			s := at(t, doc, "components", "schemas", "payment_intent")
			s["required"] = append(anys(s["required"]), "latest_charge")
		}, "answer 200.latest_charge: is required in our answer"},
		{"too long", func(t *testing.T, doc tree) {
			at(t, body(t, doc), "properties", "receipt_email")["maxLength"] = float64(9e9)
			at(t, body(t, doc), "properties", "description")["maxLength"] = float64(9e9)
			at(t, body(t, doc), "properties", "statement_descriptor")["maxLength"] = float64(9e9)
		}, "maxLength is 9e+09; officially it is 22"},
		{"any key", func(t *testing.T, doc tree) {
			at(t, body(t, doc), "properties", "shipping", "properties", "address")["additionalProperties"] = true
		}, "takes any key in ours"},
		{"wrong media type", func(t *testing.T, doc tree) {
			content := at(t, doc, "paths", intents, "post", "requestBody", "content")
			content["application/json"] = content[form]
			delete(content, form)
		}, "the official file takes no application/json"},
		{"excuse that is not needed", func(t *testing.T, doc tree) {
			at(t, body(t, doc), "properties", "amount")["x-sallyport"] = tree{"official": "unlisted: it is really listed"}
		}, "is said to be unlisted, but"},
		{"excuse without a reason", func(t *testing.T, doc tree) {
			at(t, body(t, doc), "properties")["colour"] = tree{"type": "string", "x-sallyport": tree{"official": "unlisted:"}}
		}, "and the reason"},
		{"wrong server", func(t *testing.T, doc tree) {
			at(t, doc, "paths", intents, "post", "x-sallyport")["server"] = "elsewhere"
		}, "url: "},
	}
	files := newOfficialFiles()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			doc := readContract(t, "stripe")
			c.spoil(t, doc)
			methods := []string{"post"}
			if c.want == "" || strings.HasPrefix(c.want, "query.") {
				methods = []string{"get", "post"}
			}
			found := checkPaymentIntents(t, files, doc, intents, methods...)
			if c.want == "" && len(found) > 0 || c.want != "" && !strings.Contains(strings.Join(found, "\n"), c.want) {
				t.Errorf("found %q; want %q", found, c.want)
			}
		})
	}
}

func checkPaymentIntents(t *testing.T, files *officialFiles, contract tree, path string, methods ...string) []string {
	t.Helper()
	pack, err := provider.Builtin().Find("stripe")
	if err != nil {
		t.Fatal(err)
	}
	doc := files.open(t, "stripe/spec3.json")
	var found []string
	for _, method := range methods {
		official, err := findCall(doc, strings.ToUpper(method), path)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, checkOperation(pack, contract, method, path, official)...)
	}
	return found
}

func TestFindCallRefusesWrongMethodAndPath(t *testing.T) {
	doc := newOfficialFiles().open(t, "stripe/spec3.json")
	for _, c := range []struct{ method, path, want string }{
		{"PATCH", "/v1/payment_intents", "no PATCH on"},
		{"GET", "/v1/payment_intentions", "no path"},
	} {
		if _, err := findCall(doc, c.method, c.path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v; want an error with %q", c.method, c.path, err, c.want)
		}
	}
}

func TestSameURL(t *testing.T) {
	for _, c := range []struct {
		ours, theirs string
		same         bool
	}{
		{"https://a.b/v1/x/{id}", "https://a.b/v1/x/{other}", true},
		{"https://a.b/verify/json", "https://a.b/verify/{format}", true},
		{"https://a.b/v1/{id}.json", "https://a.b/v1/{Sid}.json", true},
		{"https://a.b/v1/{id}.json", "https://a.b/v1/{Sid}.xml", false},
		{"https://a.b/v1/{id}", "https://a.b/v1/x", false},
		{"https://a.b/v1/x", "https://a.c/v1/x", false},
		{"https://a.b/v1/x", "https://a.b/v1/x/y", false},
		{"https://a.b/v1/places:search", "https://a.b/v1/places:find", false},
	} {
		if got := sameURL(c.ours, c.theirs); got != c.same {
			t.Errorf("sameURL(%s, %s) = %v", c.ours, c.theirs, got)
		}
	}
}

// TestDiscovery reads a Google Discovery document: the checker sees through its own
// way to write references, repeated parameters and required ones.
func TestDiscovery(t *testing.T) {
	var doc, contract tree
	parse(t, `{"discoveryVersion":"v1","rootUrl":"https://places.example.com/","servicePath":"","parameters":{"key":{"type":"string","location":"query"}},
	 "resources":{"places":{"methods":{"get":{"httpMethod":"GET","path":"v1/{+name}","flatPath":"v1/places/{placesId}","parameters":{
	  "name":{"type":"string","location":"path","required":true},"region":{"type":"string","location":"query","required":true},
	  "types":{"type":"string","location":"query","repeated":true}},"response":{"$ref":"Place"}}}}},
	 "schemas":{"Place":{"id":"Place","type":"object","properties":{"id":{"type":"string"},"near":{"$ref":"Place"}}}}}`, &doc)
	parse(t, `{"paths":{"/v1/places/{place}":{"get":{"x-sallyport":{"server":"api"},"parameters":[
	  {"name":"place","in":"path","required":true,"schema":{"type":"string"}},{"name":"types","in":"query","schema":{"type":"array","items":{"type":"string"}}}],
	  "responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/p"}}}}}}}},
	 "components":{"schemas":{"p":{"type":"object","properties":{"id":{"type":"integer"},"near":{"$ref":"#/components/schemas/p"},"far":{"type":"string"}}}}}}`, &contract)
	pack := &provider.Pack{Servers: map[string]provider.Server{"api": {URL: map[provider.Mode]string{provider.Live: "https://places.example.com"}}}}
	official, err := findCall(doc, "GET", "/v1/places/{placesId}")
	if err != nil {
		t.Fatal(err)
	}
	found := checkOperation(pack, contract, "get", "/v1/places/{place}", official)
	slices.Sort(found)
	want := []string{
		"answer 200.far: is not in the official file",
		"answer 200.id: is integer in ours",
		"answer 200.id: the provider may send string",
		"query.region: is required officially",
	}
	if len(found) != len(want) {
		t.Fatalf("found %q", found)
	}
	for i := range want {
		if !strings.HasPrefix(found[i], want[i]) {
			t.Errorf("found %q; want %q", found[i], want[i])
		}
	}
}

func TestShapesMergeAllOf(t *testing.T) {
	var doc tree
	parse(t, `{"components":{"schemas":{"a":{"type":"object","properties":{"x":{"type":"string"}},"required":["x"]}}}}`, &doc)
	var schema tree
	parse(t, `{"allOf":[{"$ref":"#/components/schemas/a"},{"properties":{"y":{"type":"integer"}},"required":["y"]}],"nullable":true}`, &schema)
	got := shapes(doc, schema)
	if len(got) != 2 || got[0].kind != "object" || got[1].kind != "null" {
		t.Fatalf("shapes: %+v", got)
	}
	if names := slices.Sorted(maps.Keys(got[0].required)); !slices.Equal(names, []string{"x", "y"}) {
		t.Errorf("required: %v", names)
	}
}

func parse(t *testing.T, s string, into *tree) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), into); err != nil {
		t.Fatal(err)
	}
}
