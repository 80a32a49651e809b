package contract

import (
	"encoding/json"
	"testing"
)

// TestPointers: a fault names its place twice, as a parameter path and as a JSON pointer into
// the parameters by name; neither shows a name that looks like a value.
func TestPointers(t *testing.T) {
	const intent = `"amount":5,"currency":"eur"`
	for name, tt := range map[string]struct{ op, args, where, pointer string }{
		"missing":           {"create-payment-intent", `{"amount":5}`, "currency", "/currency"},
		"unknown":           {"create-payment-intent", `{` + intent + `,"amuont":5}`, "amuont", "/amuont"},
		"element":           {"create-payment-intent", `{` + intent + `,"line_items":[{"quantity":1},{"quantity":0}]}`, "line_items[1].quantity", "/line_items/1/quantity"},
		"odd name":          {"create-payment-intent", `{` + intent + `,"metadata":{"a/b~c":5}}`, `metadata{"a/b~c"}`, "/metadata/a~1b~0c"},
		"a card as a name":  {"create-payment-intent", `{` + intent + `,"metadata":{"4242424242424242":5}}`, `metadata{of 16 bytes}`, "/metadata/{of 16 bytes}"},
		"query":             {"list-payment-intents", `{"limit":0}`, "limit", "/limit"},
		"query, deep":       {"list-payment-intents", `{"created":{"gte":"x"}}`, "created.gte", "/created/gte"},
		"an element's text": {"list-payment-intents", `{"fields":["a","b,c"]}`, "fields[1]", "/fields/1"},
		"path":              {"retrieve-payment-intent", `{"intent":".."}`, "intent", "/intent"},
		"whole body":        {"update-order", `{"body":[{"op":"add","path":"/"},{"op":"x","path":"/"}]}`, "body[1].op", "/body/1/op"},
		"form cannot carry": {"create-payment-intent", `{` + intent + `,"metadata":{}}`, "metadata", "/metadata"},
	} {
		faults := operation(t, tt.op).Check(NewArgs(tree(t, tt.args)))
		if len(faults) != 1 || faults[0].Where != tt.where || faults[0].Pointer != tt.pointer {
			t.Errorf("%s: %+v; want %s and %s", name, faults, tt.where, tt.pointer)
		}
	}
	text, err := json.Marshal(operation(t, "create-payment-intent").Check(NewArgs(tree(t, `{"amount":5}`))))
	if want := `[{"where":"currency","pointer":"/currency","found":"nothing","want":"this is required: a string"}]`; err != nil || string(text) != want {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
}
