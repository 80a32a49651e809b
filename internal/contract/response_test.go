package contract

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"sallyport/internal/problem"
)

const intentBody = `{"zzz":{"deep":1},"client_secret":"pi_1_secret_CANARY","id":"pi_1","object":"payment_intent","amount":1e3,"status":"succeeded","receipt_email":"eve@x.example","customer":{"id":"cus_1","object":"customer","email":"eve@x.example","ssn":"1"},"metadata":{"b":"2","a":"1"},"fee":0.10,"next_action":{"type":"t","codes":["s1"],"new":true},"charges":{"data":[{"id":"ch_1","card":{"last4":"4242","number":"4"}},{"id":"ch_2"}]}}`

func TestCheckResponse(t *testing.T) {
	tests := []struct {
		name, returns, body, want string
		dropped, reduced          int
		faults                    string
	}{
		{"all", "", intentBody, `{"client_secret":"pi_1_secret_CANARY","id":"pi_1","object":"payment_intent","amount":1e3,"status":"succeeded","receipt_email":"eve@x.example","customer":{"id":"cus_1","object":"customer","email":"eve@x.example"},"metadata":{"b":"2","a":"1"},"fee":0.10,"next_action":{"type":"t","codes":["s1"]},"charges":{"data":[{"id":"ch_1","card":{"last4":"4242"}},{"id":"ch_2"}]}}`, 4, 0, "null"},
		{"some", "id status", intentBody, `{"id":"pi_1","status":"succeeded"}`, 4, 9, "null"},
		{"a secret, named", "id client_secret", intentBody, `{"client_secret":"pi_1_secret_CANARY","id":"pi_1"}`, 4, 9, "null"},
		{"below", "charges.data[].card.last4 customer.id", intentBody, `{"customer":{"id":"cus_1"},"charges":{"data":[{"card":{"last4":"4242"}},{}]}}`, 4, 13, "null"},
		{"a parent without its secrets", "next_action", intentBody, `{"next_action":{"type":"t"}}`, 4, 11, "null"},
		{"a parent and its secret", "next_action next_action.codes", intentBody, `{"next_action":{"type":"t","codes":["s1"]}}`, 4, 10, "null"},
		{"the elements of a secret", "next_action.codes[]", intentBody, `{"next_action":{"codes":["s1"]}}`, 4, 11, "null"},
		{"nothing", "-", intentBody, `{}`, 4, 11, "null"},
		{"fault out of sight", "id", `{"id":"pi_1","amount":"CANARY","status":7,"customer":7}`, `{"id":"pi_1"}`, 0, 3, "null"},
		{"fault in sight", "id amount status customer", `{"id":{"$ne":1},"amount":"CANARY","status":"new","customer":7}`, `{"status":"new"}`, 0, 0,
			`[{"where":"id","found":"an object","want":"a string"},{"where":"amount","found":"a string of 6 characters","want":"a whole number in digits"},{"where":"status","found":"a string of 3 characters","want":"one of \"requires_payment_method\", \"succeeded\", \"canceled\""},{"where":"customer","found":"a number","want":"a string or an object or null"}]`},
		{"missing in sight", "id amount", `{"status":"succeeded"}`, `{}`, 0, 1, `[{"where":"id","found":"nothing","want":"this is required: a string"},{"where":"amount","found":"nothing","want":"this is required: a whole number in digits"}]`},
		{"expandable, not expanded", "id customer.id", `{"id":"pi_1","amount":1,"status":"succeeded","customer":"cus_1"}`, `{"id":"pi_1"}`, 0, 2, "null"},
		{"expandable, deleted", "customer", `{"id":"pi_1","amount":1,"status":"succeeded","customer":{"id":"cus_1","object":"customer","deleted":true,"email":1}}`, `{"customer":{"id":"cus_1","object":"customer","deleted":true}}`, 1, 3, "null"},
		{"null", "client_secret customer receipt_email", `{"client_secret":null,"customer":null,"receipt_email":null}`, `{"client_secret":null,"customer":null,"receipt_email":null}`, 0, 0, "null"},
	}
	o := operation(t, "retrieve-payment-intent")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			view := mustView(t, o, tt.returns)
			r, faults, err := o.CheckResponse(200, "application/json; charset=utf-8", []byte(tt.body), view)
			if err != nil {
				t.Fatal(err)
			}
			if string(r.Body) != tt.want || r.Dropped != tt.dropped || r.Reduced != tt.reduced || r.ContentType != JSONType {
				t.Errorf("reply %s dropped %d %v, reduced %d\nwant  %s dropped %d, reduced %d", r.Body, r.Dropped, r.Unknown, r.Reduced, tt.want, tt.dropped, tt.reduced)
			}
			if got := faultText(faults); got != tt.faults {
				t.Errorf("faults\n%s\nwant\n%s", got, tt.faults)
			}
		})
	}
}

// mustView makes a view: "" is nil, "-" is an empty one.
func mustView(t testing.TB, o *Operation, returns string) *View {
	t.Helper()
	list := []Path{}
	switch returns {
	case "":
		list = nil
	case "-":
	default:
		list = paths(t, strings.Fields(returns)...)
	}
	v, err := o.View(list)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSensitiveIsListed(t *testing.T) {
	o := operation(t, "retrieve-payment-intent")
	r, _, err := o.CheckResponse(200, JSONType, []byte(intentBody), mustView(t, o, "id"))
	want := map[Sensitivity][]string{Secret: {"client_secret", "next_action.codes[]"}, Card: {"charges.data[].card"}, Personal: {"receipt_email", "customer"}}
	if err != nil || !reflect.DeepEqual(r.Sensitive, want) {
		t.Errorf("sensitive %v, %v; want %v", r.Sensitive, err, want)
	}
	if want := []string{"zzz", "customer.ssn", "next_action.new", "charges.data[].card.number"}; !reflect.DeepEqual(r.Unknown, want) {
		t.Errorf("unknown %v; want %v", r.Unknown, want)
	}
}

func TestCheckResponseRefuses(t *testing.T) {
	o := operation(t, "retrieve-payment-intent")
	good := `{"id":"pi_1","amount":1,"status":"succeeded"}`
	tests := []struct {
		name   string
		status int
		kind   string
		body   string
		code   problem.Code
	}{
		{"HTML", 200, "text/html", "<html>", problem.UpstreamMalformed},
		{"no type", 200, "", good, problem.UpstreamMalformed},
		{"another charset", 200, "application/json; charset=utf-7", good, problem.UpstreamMalformed},
		{"empty", 200, JSONType, "", problem.UpstreamMalformed},
		{"truncated", 200, JSONType, good[:20], problem.UpstreamMalformed},
		{"duplicate", 200, JSONType, `{"id":"pi_1","id":"pi_2"}`, problem.UpstreamMalformed},
		{"duplicate in an unknown field", 200, JSONType, `{"id":"pi_1","x":{"a":1,"a":1}}`, problem.UpstreamMalformed},
		{"invalid UTF-8", 200, JSONType, "{\"id\":\"\xff\"}", problem.UpstreamMalformed},
		{"lone surrogate in an unknown field", 200, JSONType, `{"x":"\ud800"}`, problem.UpstreamMalformed},
		{"status", 206, JSONType, good, problem.UpstreamContract},
	}
	o2 := *o
	o2.replies = o.replies[:1]
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _, err := o2.CheckResponse(tt.status, tt.kind, []byte(tt.body), nil)
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != tt.code || r.Body != nil {
				t.Errorf("%s, %v; want %s", r.Body, err, tt.code)
			}
		})
	}
}

func TestErrorAnswers(t *testing.T) {
	o := operation(t, "retrieve-payment-intent")
	body := []byte(`{"error":{"code":"x","message":"m","token":"CANARY","trace":"y"}}`)
	for view, want := range map[string]string{"": `{"error":{"code":"x","message":"m","token":"CANARY"}}`, "id": `{"error":{"code":"x","message":"m"}}`} {
		r, faults, err := o.CheckResponse(404, "application/problem+json", body, mustView(t, o, view))
		if err != nil || len(faults) > 0 || string(r.Body) != want || r.Dropped != 1 {
			t.Errorf("%s %v %v; want %s", r.Body, faults, err, want)
		}
	}
	list := operation(t, "list-payment-intents")
	if r, _, err := list.CheckResponse(500, "text/html", []byte("<html>"), nil); err != nil || r.Body != nil || r.Dropped != 1 {
		t.Errorf("an error that the contract does not have: %+v, %v", r, err)
	}
	if r, _, err := operation(t, "delete-message").CheckResponse(204, "", nil, nil); err != nil || r.Body != nil || r.Dropped != 0 {
		t.Errorf("no content: %+v, %v", r, err)
	}
}

func TestListAnswer(t *testing.T) {
	o := operation(t, "search-payment-intents")
	body := []byte(`[{"id":"pi_1","amount":1,"status":"succeeded","client_secret":"s"},{"id":"pi_2","amount":"x","status":"canceled","x":1}]`)
	r, faults, err := o.CheckResponse(200, JSONType, body, mustView(t, o, "body[].id"))
	if err != nil || len(faults) > 0 || string(r.Body) != `[{"id":"pi_1"},{"id":"pi_2"}]` {
		t.Errorf("%s %s %v", r.Body, faultText(faults), err)
	}
	if _, faults, _ = o.CheckResponse(200, JSONType, body, nil); len(faults) != 1 || faults[0].Where != "body[1].amount" {
		t.Errorf("faults %s", faultText(faults))
	}
	if r, faults, _ = o.CheckResponse(200, JSONType, []byte(`{"error":1}`), mustView(t, o, "body[].id")); len(faults) != 1 || r.Body != nil {
		t.Errorf("an object for a list: %s %s", r.Body, faultText(faults))
	}
}

func TestViewRefuses(t *testing.T) {
	o := operation(t, "list-payment-intents")
	for p, want := range map[string]string{"data[0].id": "write [] for every element", "data[].clientsecret": "did you mean client_secret?", "dat": "did you mean data?"} {
		if _, err := o.View(paths(t, p)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", p, err, want)
		}
	}
}

func TestRedact(t *testing.T) {
	o := operation(t, "create-payment-intent")
	a := NewArgs(tree(t, `{"amount":5,"receipt_email":"CANARY","card":{"number":"CANARY"},"metadata":{"k":"v"},"line_items":[{"quantity":1,"x":"CANARY"}],"role":"CANARY"}`))
	want := `{"role":"[unknown]","amount":5,"card":"[card]","line_items":[{"quantity":1,"x":"[unknown]"}],"metadata":{"k":"v"},"receipt_email":"[personal]"}`
	if got := string(o.RedactArgs(a)); got != want {
		t.Errorf("args\n%s\nwant\n%s", got, want)
	}
	got := string(o.RedactReply(200, []byte(intentBody)))
	want = `{"zzz":"[unknown]","client_secret":"[secret]","id":"pi_1","object":"payment_intent","amount":1e3,"status":"succeeded","receipt_email":"[personal]","customer":"[personal]","metadata":{"b":"2","a":"1"},"fee":0.10,"next_action":{"type":"t","codes":["[secret]"],"new":"[unknown]"},"charges":{"data":[{"id":"ch_1","card":"[card]"},{"id":"ch_2"}]}}`
	if got != want {
		t.Errorf("reply\n%s\nwant\n%s", got, want)
	}
	for _, body := range []string{"CANARY", `{"id":"CANARY"`, ""} {
		if got := string(o.RedactReply(200, []byte(body))); got != maskedUnreadable {
			t.Errorf("%q is shown as %s", body, got)
		}
	}
	if got := string(o.RedactReply(301, []byte(`{"id":"CANARY"}`))); got != maskedUnreadable {
		t.Errorf("an answer without a schema is shown as %s", got)
	}
}

// TestWorkIsBounded: alternatives inside each other could double the work at each level,
// and do not; what takes more work than its size allows is undecided, and refused.
func TestWorkIsBounded(t *testing.T) {
	load := func(schema string) *Operation {
		d, err := Load("deep", []byte(`{"openapi":"3.1.0","info":{},"paths":{"/a":{"post":{"operationId":"do-it","x-sallyport":{"server":"s","auth":"a","retry":"safe","effects":[]},
			"requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{"t":{"$ref":"#/components/schemas/t"}}}}}},
			"responses":{"200":{"content":{"application/json":{"schema":{"type":"object","properties":{"t":{"$ref":"#/components/schemas/t"}}}}}}}}}},"components":{"schemas":{"t":`+schema+`}}}`))
		if err != nil {
			t.Fatal(err)
		}
		o, _ := d.Find("do-it")
		return o
	}
	body := []byte(`{"t":` + strings.Repeat(`{"n":`, 60) + `{}` + strings.Repeat(`}`, 60) + `}`)
	start := time.Now()
	o := load(`{"anyOf":[{"type":"object","properties":{"n":{"$ref":"#/components/schemas/t"}}},{"type":"object","properties":{"n":{"$ref":"#/components/schemas/t"},"m":{"type":"string"}}}]}`)
	args, faults, err := o.Parse(Input{Path: "/a", ContentType: JSONType, Body: body})
	if err != nil || len(faults)+len(o.Check(args)) > 0 {
		t.Errorf("deep alternatives: %v, %v", faults, err)
	}
	if r, faults, err := o.CheckResponse(200, JSONType, body, nil); err != nil || len(faults) > 0 || !bytes.Equal(r.Body, body) {
		t.Errorf("deep alternatives in an answer: %s, %v, %v", r.Body, faults, err)
	}
	var branches []string // what a dynamic reference means depends on the way there, so no verdict can be remembered
	for i := range 3 {
		branches = append(branches, fmt.Sprintf(`{"type":"object","properties":{"n":{"$dynamicRef":"#a"}},"required":["x%d"]}`, i))
	}
	o = load(`{"$dynamicAnchor":"a","anyOf":[` + strings.Join(branches, ",") + `,{"type":"object","properties":{"n":{"$dynamicRef":"#a"},"x0":{},"x1":{},"x2":{}}}]}`)
	if args, _, err = o.Parse(Input{Path: "/a", ContentType: JSONType, Body: body}); err != nil {
		t.Fatal(err)
	}
	if faults := o.Check(args); len(faults) != 1 || faults[0].Code != problem.ContractTooComplex {
		t.Errorf("too much work: %v", faults)
	}
	var p *problem.Error
	if _, _, err := o.CheckResponse(200, JSONType, body, nil); !errors.As(err, &p) || p.Code != problem.UpstreamMalformed {
		t.Errorf("too much work for an answer: %v", err)
	}
	if text := string(o.RedactReply(200, body)); text != maskedUnreadable {
		t.Errorf("what was not understood is shown: %.100s", text)
	}
	if text := string(o.RedactArgs(args)); text != `{"body":`+maskedUnreadable+`}` {
		t.Errorf("what was not understood is shown: %.100s", text)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("all of it took %v", took)
	}
}

// TestStrangersAreCheap: ten thousand unknown names must not cost ten thousand searches
// for the name that was meant, and a large honest answer is not too complex.
func TestStrangersAreCheap(t *testing.T) {
	var names, elements []string
	for i := range maxElements {
		names = append(names, fmt.Sprintf(`"%s%d":1`, strings.Repeat("n", 50), i))
		elements = append(elements, fmt.Sprintf(`{"id":"pi_%d","amount":1,"status":"succeeded","metadata":{"a":"b"}}`, i))
	}
	o := operation(t, "create-payment-intent")
	start := time.Now()
	_, faults, err := o.Parse(Input{Path: "/v1/payment_intents", ContentType: JSONType, Body: []byte("{" + strings.Join(names, ",") + "}")})
	if took := time.Since(start); err != nil || len(faults) != maxFaults || took > 2*time.Second {
		t.Errorf("%d faults, %v, in %v", len(faults), err, took)
	}
	list := operation(t, "search-payment-intents")
	r, faults, err := list.CheckResponse(200, JSONType, []byte("["+strings.Join(elements, ",")+"]"), nil)
	if err != nil || len(faults) > 0 || len(r.Body) < 50*maxElements {
		t.Errorf("a large answer: %d bytes, %v, %v", len(r.Body), faults, err)
	}
}

// TestConcurrent uses one operation twice and from 8 goroutines.
func TestConcurrent(t *testing.T) {
	d := fixture(t)
	errs := make(chan error, 8)
	for i := range 8 {
		go func() { errs <- useTwice(d, i) }()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func useTwice(d *Document, i int) error {
	for round := range 2 {
		o, _ := d.Route("POST", "/v1/payment_intents")
		body := fmt.Sprintf("amount=%d&currency=eur&metadata[r]=%d&line_items[0][quantity]=1", i+1, round)
		args, faults, err := o.Parse(Input{Path: "/v1/payment_intents", ContentType: FormType, Body: []byte(body)})
		if err != nil || len(faults)+len(o.Check(args)) > 0 {
			return fmt.Errorf("parse %d: %v %v", i, faults, err)
		}
		out, err := o.Encode(args, nil)
		if want := fmt.Sprintf("amount=%d&currency=eur&metadata%%5Br%%5D=%d&line_items%%5B0%%5D%%5Bquantity%%5D=1", i+1, round); err != nil || string(out.Body) != want {
			return fmt.Errorf("encode %d: %s %v", i, out.Body, err)
		}
		view, err := o.View([]Path{{steps: []Step{{Name: "id"}}}})
		if err != nil {
			return err
		}
		r, faults, err := o.CheckResponse(200, JSONType, []byte(fmt.Sprintf(`{"id":"pi_%d","amount":1,"status":"succeeded"}`, i)), view)
		if want := fmt.Sprintf(`{"id":"pi_%d"}`, i); err != nil || len(faults) > 0 || string(r.Body) != want {
			return fmt.Errorf("reply %d: %s %v %v", i, r.Body, faults, err)
		}
	}
	return nil
}
