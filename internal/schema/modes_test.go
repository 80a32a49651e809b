package schema

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/tape"
)

// marksOf reads x-mark of the tests' schemas.
func marksOf(t *tape.Tape, node int) (Mark, error) {
	switch s, _ := text(t, node, "x-mark"); s {
	case "":
		return 0, nil
	case "personal":
		return Personal, nil
	case "secret":
		return Secret, nil
	case "card":
		return Card, nil
	default:
		return 0, fmt.Errorf("x-mark %q; write personal, secret or card", s)
	}
}

func api(t testing.TB, text string) (*Program, ID) {
	t.Helper()
	return compileText(t, text, Config{Dialect: OpenAPI31, Marks: marksOf, RefuseUnknown: true})
}

func faultText(faults []Fault) string {
	var lines []string
	for _, f := range faults {
		line := PathText(f.Path, false) + ": " + f.Rule + ": found " + f.Found + ", want " + f.Want
		if f.Near != "" {
			line += " (" + f.Near + "?)"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestRequest(t *testing.T) {
	tests := []struct {
		name, schema, value string
		want                Verdict
		faults              string
	}{
		{"closed", `{"type":"object","properties":{"amount":{"type":"integer"}}}`, `{"amount":1,"amout":2}`, Invalid,
			`amout: closed: found the unknown name "amout", want one of amount (amount?)`},
		{"open by additionalProperties", `{"type":"object","properties":{"a":{}},"additionalProperties":{"type":"string"}}`, `{"a":1,"b":"x"}`, Valid, ""},
		{"a map's values are not shown", `{"type":"object","additionalProperties":{"type":"integer"}}`, `{"b":"x"}`, Invalid,
			`b: type: found a string of 1 characters, want a whole number in digits`},
		{"object without properties", `{"type":"object"}`, `{"a":1}`, Invalid, `a: closed: found the unknown name "a", want no names here`},
		{"anything", `{"properties":{"a":{}}}`, `{"a":{"b":[{"c":1}]}}`, Valid, ""},
		{"anything but __proto__", `{"properties":{"a":{}}}`, `{"a":{"b":[{"__proto__":1}]}}`, Invalid,
			`a.b[0].__proto__: closed: found the unknown name "__proto__", want no names here`},
		{"__proto__ in a map", `{"additionalProperties":{}}`, `{"__proto__":1}`, Invalid, `__proto__: closed: found the unknown name "__proto__", want no names here`},
		{"__proto__ where it is listed", `{"properties":{"__proto__":{}}}`, `{"__proto__":1}`, Valid, ""},
		{"allOf counts together", `{"allOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{"b":{}}},{"description":"d"}]}`, `{"a":1,"b":{"x":1}}`, Valid, ""},
		{"a part that says nothing opens nothing", `{"allOf":[{"properties":{"a":{}}},{"description":"d"}]}`, `{"c":1}`, Invalid,
			`c: closed: found the unknown name "c", want one of a (a?)`},
		{"anyOf counts what fits", `{"anyOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{}}}]}`, `{"a":1,"b":1}`, Valid, ""},
		{"anyOf does not count what fails", `{"anyOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{}}}]}`, `{"a":"x","b":1}`, Invalid,
			`a: closed: found the unknown name "a", want one of b (b?)`},
		{"oneOf below closed members", `{"oneOf":[{"properties":{"p":{"type":"object","properties":{"x":{}}}}},{"properties":{"p":{"type":"object","properties":{"y":{}}}}}]}`,
			`{"p":{"y":1}}`, Valid, ""},
		{"several fit oneOf", `{"oneOf":[{"properties":{"a":{}}},{"properties":{"b":{}}}]}`, `{}`, Invalid,
			`: oneOf: found a value that fits several alternatives, want exactly one of: a value`},
		{"digits", `{"type":"integer"}`, `1e3`, Invalid, `: type: found the number 1e3, want a whole number in digits`},
		{"digits or number", `{"type":["integer","number"]}`, `1e3`, Valid, ""},
		{"formats bind", `{"type":"string","format":"email"}`, `"eve"`, Invalid, `: format: found the string "eve", want a string of format email`},
		{"int32", `{"type":"integer","format":"int32"}`, `2147483648`, Invalid, `: format: found the number 2147483648, want a whole number of 32 bits`},
		{"marked values are not shown", `{"properties":{"a":{"type":"string","maxLength":2,"pattern":"^x","x-mark":"secret"}}}`, `{"a":"CA"}`, Invalid,
			`a: pattern: found a string of 2 characters, want a string that matches ^x`},
		{"marks of alternatives hold", `{"properties":{"a":{"anyOf":[{"type":"integer"},{"type":"boolean","x-mark":"card"}]}}}`, `{"a":"CANARY"}`, Invalid,
			`a: type: found a string of 6 characters, want a whole number in digits or true or false`},
		{"required", `{"type":"object","required":["a"],"properties":{"a":{"type":"string"}}}`, `{}`, Invalid, `a: required: found nothing, want this is required: a string`},
		{"nullable wins", `{"nullable":true,"anyOf":[{"type":"string"},{"type":"object"}]}`, `null`, Valid, ""},
		{"nullable beside an enum", `{"type":"string","nullable":true,"enum":["a"]}`, `null`, Valid, ""},
		{"nullable beside $ref", `{"properties":{"a":{"$ref":"#/$defs/s","nullable":true}},"$defs":{"s":{"type":"string"}}}`, `{"a":null}`, Valid, ""},
		{"an array without items", `{"type":"array"}`, `[1]`, Invalid, `[0]: closed: found an element too many, want only the elements that the schema describes`},
		{"discriminator", `{"oneOf":[{"$ref":"#/$defs/cat"},{"$ref":"#/$defs/dog"}],"discriminator":{"propertyName":"kind"},
			"$defs":{"cat":{"type":"object","properties":{"kind":{"type":"string"},"lives":{"type":"integer"}},"required":["kind","lives"]},
			"dog":{"type":"object","properties":{"kind":{"type":"string"},"legs":{"type":"integer"},"tail":{"type":"integer"}},"required":["kind","legs","tail"]}}}`,
			`{"kind":"dog","legs":"4","tail":"1","lives":"9"}`, Invalid,
			"legs: type: found the string \"4\", want a whole number in digits\ntail: type: found the string \"1\", want a whole number in digits\nlives: closed: found the unknown name \"lives\", want one of kind, legs, tail"},
		{"unknown discriminator", `{"oneOf":[{"$ref":"#/$defs/cat"},{"$ref":"#/$defs/dog"}],"discriminator":{"propertyName":"kind"},
			"$defs":{"cat":{"type":"object","properties":{"kind":{"type":"string"}},"required":["lives"]},"dog":{"type":"object","properties":{"kind":{"type":"string"}},"required":["legs"]}}}`,
			`{"kind":"cow"}`, Invalid, `kind: discriminator: found the string "cow", want one of "cat", "dog"`},
		{"tag", `{"anyOf":[{"type":"object","required":["object"],"properties":{"object":{"const":"a"},"x":{"type":"integer"}}},{"type":"object","properties":{"object":{"enum":["b","c"]},"x":{"type":"string"},"y":{"type":"string"}}}]}`,
			`{"object":"b","x":1,"y":2}`, Invalid, "x: type: found the number 1, want a string\ny: type: found the number 2, want a string"},
		{"a long text against a pattern", `{"type":"string","pattern":"a"}`, `"` + strings.Repeat("a", 4097) + `"`, Invalid,
			`: pattern: found 4097 bytes, want at most 4096 bytes where a pattern stands`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, id := api(t, tt.schema)
			m := p.Get()
			defer m.Put()
			if got := m.Check(parse(t, tt.value), 0, id, Request); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
			if got := faultText(m.Explain(Everything(), 20)); got != tt.faults {
				t.Errorf("faults\n%s\nwant\n%s", got, tt.faults)
			}
		})
	}
}

const intentSchema = `{"type":"object","required":["id","amount","status"],"properties":{
 "id":{"type":"string"},"object":{"type":"string","const":"payment_intent"},"amount":{"type":"integer"},"status":{"type":"string","enum":["requires_payment_method","succeeded","canceled"]},
 "client_secret":{"type":"string","nullable":true,"x-mark":"secret"},"receipt_email":{"type":"string","nullable":true,"x-mark":"personal"},
 "customer":{"nullable":true,"x-mark":"personal","anyOf":[{"type":"string"},{"$ref":"#/$defs/customer"},{"$ref":"#/$defs/deleted"}]},
 "metadata":{"type":"object","additionalProperties":{"type":"string"}},"fee":{"type":"number"},
 "next_action":{"type":"object","properties":{"type":{"type":"string"},"codes":{"type":"array","items":{"type":"string","x-mark":"secret"}}}},
 "charges":{"type":"object","properties":{"data":{"type":"array","items":{"type":"object","properties":{"id":{"type":"string"},"card":{"type":"object","x-mark":"card","properties":{"last4":{"type":"string"}}}}}}}}},
 "$defs":{"customer":{"type":"object","required":["id"],"properties":{"id":{"type":"string"},"object":{"const":"customer"},"email":{"type":"string"}}},
 "deleted":{"type":"object","required":["id","deleted"],"properties":{"id":{"type":"string"},"object":{"const":"customer"},"deleted":{"const":true}}}}}`

const intentBody = `{"zzz":{"deep":1},"client_secret":"pi_1_secret_CANARY","id":"pi_1","object":"payment_intent","amount":1e3,"status":"succeeded",
 "receipt_email":"eve@x.example","customer":{"id":"cus_1","object":"customer","email":"eve@x.example","ssn":"1"},"metadata":{"b":"2","a":"1"},"fee":0.10,
 "next_action":{"type":"t","codes":["s1"],"new":true},"charges":{"data":[{"id":"ch_1","card":{"last4":"4242","number":"4"}},{"id":"ch_2"}]}}`

// lensOf makes a lens of paths such as "id customer.id charges.data[].id"; "" sees everything.
func lensOf(paths string, secrets ...string) *Lens {
	if paths == "" {
		return Everything()
	}
	root := &Lens{}
	for _, path := range strings.Fields(strings.TrimPrefix(paths, "-")) {
		l := root
		for _, step := range strings.Split(path, ".") {
			name, every := strings.CutSuffix(step, "[]")
			l = l.Grow(name, false)
			if every {
				l = l.Grow("", true)
			}
		}
		l.All = true
		for _, s := range secrets {
			l.Secrets = l.Secrets || s == path
		}
	}
	root.Spread()
	return root
}

func TestResponse(t *testing.T) {
	tests := []struct {
		name, returns, body, want string
		dropped, reduced          int
		faults                    string
	}{
		{"some", "id status", intentBody, `{"id":"pi_1","status":"succeeded"}`, 4, 9, ""},
		{"a secret, named", "id client_secret", intentBody, `{"client_secret":"pi_1_secret_CANARY","id":"pi_1"}`, 4, 9, ""},
		{"below", "charges.data[].card.last4 customer.id", intentBody, `{"customer":{"id":"cus_1"},"charges":{"data":[{"card":{"last4":"4242"}},{}]}}`, 4, 13, ""},
		{"a parent without its secrets", "next_action", intentBody, `{"next_action":{"type":"t"}}`, 4, 11, ""},
		{"a parent and its secret", "next_action next_action.codes", intentBody, `{"next_action":{"type":"t","codes":["s1"]}}`, 4, 10, ""},
		{"the elements of a secret", "next_action.codes[]", intentBody, `{"next_action":{"codes":["s1"]}}`, 4, 11, ""},
		{"nothing", "-", intentBody, `{}`, 4, 11, ""},
		{"fault out of sight", "id", `{"id":"pi_1","amount":"CANARY","status":7,"customer":7}`, `{"id":"pi_1"}`, 0, 3, ""},
		{"fault in sight", "id amount status customer", `{"id":{"$ne":1},"amount":"CANARY","status":"new","customer":7}`, `{"status":"new"}`, 0, 0,
			"id: type: found an object, want a string\namount: type: found a string of 6 characters, want a whole number in digits\nstatus: enum: found a string of 3 characters, want one of \"requires_payment_method\", \"succeeded\", \"canceled\"\ncustomer: type: found a number, want a string or an object"},
		{"missing in sight", "id amount", `{"status":"succeeded"}`, `{}`, 0, 1, "id: required: found nothing, want this is required: a string\namount: required: found nothing, want this is required: a whole number in digits"},
		{"expandable, not expanded", "id customer.id", `{"id":"pi_1","amount":1,"status":"succeeded","customer":"cus_1"}`, `{"id":"pi_1"}`, 0, 2, ""},
		{"expandable, deleted", "customer", `{"id":"pi_1","amount":1,"status":"succeeded","customer":{"id":"cus_1","object":"customer","deleted":true,"email":1}}`, `{"customer":{"id":"cus_1","object":"customer","deleted":true}}`, 1, 3, ""},
		{"null", "client_secret customer receipt_email", `{"client_secret":null,"customer":null,"receipt_email":null}`, `{"client_secret":null,"customer":null,"receipt_email":null}`, 0, 0, ""},
		{"escaped names", "id", `{"\u0069d":"pi_1","amount":1,"status":"succeeded","x":1}`, `{"id":"pi_1"}`, 1, 2, ""},
	}
	p, id := api(t, intentSchema)
	m := p.Get()
	defer m.Put()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lens := lensOf(tt.returns, "client_secret", "next_action.codes", "next_action.codes[]")
			m.Check(parse(t, tt.body), 0, id, Response)
			if got := faultText(m.Explain(lens, 20)); got != tt.faults {
				t.Errorf("faults\n%s\nwant\n%s", got, tt.faults)
			}
			got, tally := m.AppendReduced(nil, lens)
			if string(got) != tt.want || tally.Dropped != tt.dropped || tally.Reduced != tt.reduced {
				t.Errorf("reply %s %+v\nwant  %s dropped %d, reduced %d", got, tally, tt.want, tt.dropped, tt.reduced)
			}
		})
	}
}

func TestReducedWhole(t *testing.T) {
	p, id := api(t, intentSchema)
	m := p.Get()
	defer m.Put()
	if v := m.Check(parse(t, intentBody), 0, id, Response); v != Valid {
		t.Fatalf("%v: %s", v, faultText(m.Explain(Everything(), 20)))
	}
	got, tally := m.AppendReduced(nil, Everything())
	want := `{"client_secret":"pi_1_secret_CANARY","id":"pi_1","object":"payment_intent","amount":1e3,"status":"succeeded",
 "receipt_email":"eve@x.example","customer":{"id":"cus_1","object":"customer","email":"eve@x.example"},"metadata":{"b":"2","a":"1"},"fee":0.10,"next_action":{"type":"t","codes":["s1"]},"charges":{"data":[{"id":"ch_1","card":{"last4":"4242"}},{"id":"ch_2"}]}}`
	if string(got) != want {
		t.Errorf("reduced\n%s\nwant\n%s", got, want)
	}
	if want := "[zzz customer.ssn next_action.new charges.data[].card.number]"; fmt.Sprint(tally.Unknown) != want {
		t.Errorf("unknown %v, want %s", tally.Unknown, want)
	}
	if m.Sensitive() != Personal|Secret|Card {
		t.Errorf("sensitive %b", m.Sensitive())
	}
	logged := `{"zzz":"[unknown]","client_secret":"[secret]","id":"pi_1","object":"payment_intent","amount":1e3,"status":"succeeded","receipt_email":"[personal]","customer":"[personal]","metadata":{"b":"2","a":"1"},"fee":0.10,"next_action":{"type":"t","codes":["[secret]"],"new":"[unknown]"},"charges":{"data":[{"id":"ch_1","card":"[card]"},{"id":"ch_2"}]}}`
	if got := string(m.AppendRedacted(nil)); got != logged {
		t.Errorf("redacted\n%s\nwant\n%s", got, logged)
	}
}
