package contract_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/contract"
)

// kinds is a contract whose answers name objects in every way: alone, in lists, in maps, as
// an id or as the whole object, and in a schema that contains itself.
const kinds = `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/o/{order}":{"post":{"operationId":"get-order",
 "x-sallyport":{"server":"api","auth":"key","retry":"safe","effects":[],"source":"https://docs.example"},
 "parameters":[{"name":"order","in":"path","required":true,"schema":{"type":"string","x-sallyport":{"id":"order"}}},
  {"name":"account","in":"query","schema":{"type":"string","x-sallyport":{"selects_account":true}}}],
 "requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{
  "to":{"type":"string","x-sallyport":{"grants":"number"}},
  "items":{"type":"array","items":{"type":"object","properties":{"price":{"type":"string","x-sallyport":{"id":"price"}}}}},
  "other":{"type":"string","x-sallyport":{"id":true}}}}}}},
 "responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"type":"object","properties":{
  "id":{"type":"string","x-sallyport":{"id":"order"}},
  "number":{"type":"integer","x-sallyport":{"id":"ticket"}},
  "customer":{"anyOf":[{"type":"string","x-sallyport":{"id":"customer"}},{"type":"object","properties":{"id":{"type":"string","x-sallyport":{"id":"customer"}},"mail":{"type":"string"}}}]},
  "unclear":{"anyOf":[{"type":"string","x-sallyport":{"id":"customer"}},{"type":"string","x-sallyport":{"id":"order"}}]},
  "token":{"type":"string","x-sallyport":{"id":"order","data":"secret"}},
  "map":{"type":"object","additionalProperties":{"type":"string","x-sallyport":{"id":"price"}}},
  "tree":{"$ref":"#/components/schemas/tree"}}}}}}}}}},
 "components":{"schemas":{"tree":{"type":"object","properties":{"id":{"type":"string","x-sallyport":{"id":"node"}},
  "kids":{"type":"array","items":{"$ref":"#/components/schemas/tree"}}}}}}}`

func kindsOperation(t *testing.T, document string) *contract.Operation {
	t.Helper()
	doc, err := contract.Load("kinds", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	op, ok := doc.Find("get-order")
	if !ok {
		t.Fatal("no operation")
	}
	return op
}

func TestIdentities(t *testing.T) {
	op := kindsOperation(t, kinds)
	const answer = `{"id":"or_1","number":7,"customer":{"id":"cu_1","mail":"eve@x.example"},"unclear":"cu_2","token":"or_2",
		"map":{"a":"pr_1","b":"pr_2","c":"pr_1"},"tree":{"id":"n1","kids":[{"id":"n2","kids":[{"id":"n3"}]},{"id":"n4"}]}}`
	for _, row := range []struct {
		name    string
		returns string
		wanted  []string
		answer  string
		want    string
	}{
		{"everything", "", nil, answer, "order:or_1 ticket:7 customer:cu_1 price:pr_1 price:pr_2 node:n1 node:n2 node:n3 node:n4"},
		{"an id instead of the object", "", nil, `{"customer":"cu_9"}`, "customer:cu_9"},
		{"of one kind", "", []string{"node"}, answer, "node:n1 node:n2 node:n3 node:n4"},
		{"what the view shows", "customer map", nil, `{"id":"or_1","customer":"cu_1","map":{"a":"pr_1"}}`, "customer:cu_1 price:pr_1"},
		{"a path into a list", "tree.kids[].id", nil, `{"tree":{"id":"n1","kids":[{"id":"n2"}]}}`, "node:n2"},
		{"values of another type", "", nil, `{"id":null,"number":true,"customer":["cu_1"]}`, ""},
		{"an empty id names nothing", "", nil, `{"id":""}`, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var returns []contract.Path
			for _, s := range strings.Fields(row.returns) {
				p, err := contract.ParsePath(s)
				if err != nil {
					t.Fatal(err)
				}
				returns = append(returns, p)
			}
			in, err := op.Identities(returns, row.wanted)
			if err != nil {
				t.Fatal(err)
			}
			found, err := in.Find(contract.Reply{Body: []byte(row.answer), ContentType: contract.JSONType}, 100)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, one := range found {
				got = append(got, one.Kind+":"+one.ID)
			}
			if d := cmp.Diff(row.want, strings.Join(got, " ")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestIdentitiesAreBounded(t *testing.T) {
	in, err := kindsOperation(t, kinds).Identities(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	found, err := in.Find(contract.Reply{Body: []byte(`{"map":{"a":"1","b":"2","c":"3"}}`)}, 2)
	if err != nil || len(found) != 2 {
		t.Errorf("%v, %v; want 2", found, err)
	}
	if d := cmp.Diff([]string{"customer", "node", "order", "price", "ticket"}, in.Kinds()); d != "" {
		t.Errorf("kinds (-want +got):\n%s", d)
	}
}

// TestPlaces: the marks of the request are found wherever they stand.
func TestPlaces(t *testing.T) {
	op := kindsOperation(t, kinds)
	list := func(fits func(*contract.Schema) bool) (out []string) {
		for _, p := range op.Places(fits) {
			out = append(out, p.Path.String()+":"+p.Kind+p.Grants)
		}
		return out
	}
	if d := cmp.Diff([]string{"order:order", "items[].price:price", "other:"}, list(func(s *contract.Schema) bool { return s.ID })); d != "" {
		t.Errorf("ids (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"to:number"}, list(func(s *contract.Schema) bool { return s.Grants != "" })); d != "" {
		t.Errorf("grants (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"account:"}, list(func(s *contract.Schema) bool { return s.SelectsAccount })); d != "" {
		t.Errorf("selects account (-want +got):\n%s", d)
	}
	if p, _ := op.Param("order"); p.Kind != "order" || !p.ID {
		t.Errorf("order: %+v", p)
	}
	if p, _ := op.Param("account"); !p.SelectsAccount {
		t.Error("account does not select an account")
	}
}

func TestKindsThatAreNone(t *testing.T) {
	for _, bad := range []string{`"Payment Intent"`, `""`, `7`, `"a_b"`} {
		_, err := contract.Load("kinds", []byte(strings.Replace(kinds, `{"id":"order"}`, `{"id":`+bad+`}`, 1)))
		if err == nil || !strings.Contains(err.Error(), "payment-intent") {
			t.Errorf("id %s: %v; want an error that shows what to write", bad, err)
		}
	}
}
