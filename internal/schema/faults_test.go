package schema

import (
	"strings"
	"testing"

	"sallyport/internal/tape"
)

// TestCompileFaults: what is wrong with a schema is said with its place, what was found and
// what to write; all at once.
func TestCompileFaults(t *testing.T) {
	tests := []struct{ name, schema, want string }{
		{"a type that is none", `{"type":"strnig"}`, `root.json#/type: found "strnig"; write a JSON type: null, boolean, integer, number, string, array or object`},
		{"a bound", `{"properties":{"a":{"minLength":-1}}}`, `root.json#/properties/a/minLength: found the number -1; write a whole number from 0 on`},
		{"a list", `{"enum":"a"}`, `root.json#/enum: found "a"; write an array`},
		{"a flag", `{"uniqueItems":1}`, `root.json#/uniqueItems: found the number 1; write true or false`},
		{"a schema", `{"items":[1]}`, `root.json#/items: found an array; write a schema object`},
		{"a multiple", `{"multipleOf":0}`, `root.json#/multipleOf: found 0; write a number above 0`},
		{"a pattern", `{"pattern":"(?=a)"}`, `root.json#/pattern: pattern "(?=a)"`},
		{"an unknown keyword", `{"maxLenght":1}`, `"maxLenght" is not known here; did you mean maxLength?`},
		{"a reference to nothing", `{"$ref":"#/$defs/x"}`, `$ref "#/$defs/x": nothing stands at /$defs/x`},
		{"a reference elsewhere", `{"$ref":"other.json"}`, `$ref "other.json": it leaves the document; write #/…, or load https://schemas.example/other.json too`},
		{"an anchor", `{"$ref":"#x"}`, `there is no $anchor "x"`},
		{"a circle", `{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"allOf":[{"$ref":"#/$defs/a"}]}},"$ref":"#/$defs/a"}`, `applies itself to the same value`},
		{"a circle of one", `{"anyOf":[{"type":"string"},{"$ref":"#"}]}`, `applies itself to the same value`},
		{"OpenAPI 2's required", `{"properties":{"a":{"required":true}}}`, `root.json#/properties/a/required: found true; write an array of names at the object that has this member`},
		{"a mark", `{"x-mark":"privat"}`, `x-mark "privat"; write personal, secret or card`},
		{"two at once", `{"properties":{"a":{"type":1},"b":{"maxItems":"x"}}}`, `root.json#/properties/b/maxItems: found "x"`},
		{"two at once, the other", `{"properties":{"a":{"type":1},"b":{"maxItems":"x"}}}`, `root.json#/properties/a/type: found the number 1`},
		{"a discriminator", `{"anyOf":[{},{}],"discriminator":"a"}`, `root.json#/discriminator: found "a"; write an object with propertyName`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCompiler(parse(t, tt.schema), "https://schemas.example/root.json", Config{Dialect: OpenAPI31, Marks: marksOf, RefuseUnknown: true})
			if _, err := c.Compile(0); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Finish(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v\nwant %s", err, tt.want)
			}
		})
	}
	c := NewCompiler(parse(t, `{"a":[1]}`), "x", Config{})
	if _, err := c.Compile(1); err == nil || !strings.Contains(err.Error(), "x#/a: found an array; write a schema object") {
		t.Errorf("%v", err)
	}
	if _, err := c.Compile(99); err == nil {
		t.Error("a node that is not there is compiled")
	}
}

// TestReducedEdges: what is left out leaves no traces, wherever it stands, in texts and in
// values that were built.
func TestReducedEdges(t *testing.T) {
	const schema = `{"type":"object","properties":{"a":{},"b":{"type":"object","properties":{"c":{"type":"string"}}},"l":{"type":"array","prefixItems":[{},{"type":"object","properties":{"x":{}}}]}}}`
	tests := []struct{ name, value, want, log string }{
		{"first", `{"z":1, "a":2}`, `{"a":2}`, `{"z":"[unknown]","a":2}`},
		{"last", `{"a":2 , "z":1}`, `{"a":2}`, `{"a":2,"z":"[unknown]"}`},
		{"middle", `{"a":2,"z":{"y":[1]},"b":{}}`, `{"a":2,"b":{}}`, `{"a":2,"z":"[unknown]","b":{}}`},
		{"all", `{"z":1,"y":2}`, `{}`, `{"z":"[unknown]","y":"[unknown]"}`},
		{"inside", `{"a":1,"b":{"z":1,"c":"x"},"l":[]}`, `{"a":1,"b":{"c":"x"},"l":[]}`, `{"a":1,"b":{"z":"[unknown]","c":"x"},"l":[]}`},
		{"elements", `{"l":[1,{"x":1,"y":2},3,4]}`, `{"l":[1,{"x":1}]}`, `{"l":[1,{"x":1,"y":"[unknown]"},"[unknown]","[unknown]"]}`},
		{"escaped name first", `{"\u0061":1,"b":{},"z":1}`, `{"a":1,"b":{}}`, `{"a":1,"b":{},"z":"[unknown]"}`},
		{"names that could be values", `{"a":1,"eve@x.example":1,"4242424242424242":2,"y":3}`, `{"a":1}`, `{"a":1,"[unknown]":"[unknown]","y":"[unknown]"}`},
		{"nothing to leave out", `{"a":[1,{"q":"\u0041"}], "b":{"c":"é"}}`, `{"a":[1,{"q":"\u0041"}], "b":{"c":"é"}}`, `{"a":[1,{"q":"\u0041"}], "b":{"c":"é"}}`},
	}
	p, id := api(t, schema)
	m := p.Get()
	defer m.Put()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := parse(t, tt.value)
			if v := m.Check(text, 0, id, Response); v != Valid {
				t.Fatal(v)
			}
			got, _ := m.AppendReduced([]byte("before "), Everything())
			if string(got) != "before "+tt.want {
				t.Errorf("reduced %s, want %s", got, tt.want)
			}
			if log := string(m.AppendRedacted(nil)); log != tt.log {
				t.Errorf("redacted %s, want %s", log, tt.log)
			}
			built := &tape.Tape{}
			var b tape.Builder
			b.Start(built, tape.Limits{})
			b.Copy(text, 0)
			if err := b.Done(); err != nil {
				t.Fatal(err)
			}
			m.Check(built, 0, id, Response)
			again, _ := m.AppendReduced(nil, Everything())
			if want := string(parse(t, tt.want).AppendJSON(nil, 0)); string(again) != want {
				t.Errorf("built: reduced %s, want %s", again, want)
			}
			if want := string(parse(t, tt.log).AppendJSON(nil, 0)); string(m.AppendRedacted(nil)) != want {
				t.Errorf("built: redacted %s, want %s", m.AppendRedacted(nil), want)
			}
		})
	}
}

// TestMarksOfFailedBranches: what any alternative marks is marked, in whatever branch the
// check ended.
func TestMarksOfFailedBranches(t *testing.T) {
	schemas := map[string]string{
		"skipped by tag":  `{"anyOf":[{"properties":{"k":{"const":"a"},"v":{"x-mark":"secret"}},"required":["k"]},{"properties":{"k":{"const":"b"},"v":{}},"required":["k"]}]}`,
		"failed before":   `{"anyOf":[{"properties":{"k":{"const":"a"},"v":{"x-mark":"secret"}}},{"properties":{"k":{},"v":{}}}]}`,
		"not taken":       `{"if":{"properties":{"k":{"const":"a"}}},"then":{"properties":{"v":{"x-mark":"secret"}}},"properties":{"k":{},"v":{}}}`,
		"not":             `{"not":{"properties":{"k":{"const":"a"},"v":{"x-mark":"secret"}}},"properties":{"k":{},"v":{}}}`,
		"one of":          `{"oneOf":[{"properties":{"k":{"type":"string"},"v":{}}},{"properties":{"k":{"type":"integer"},"v":{"x-mark":"secret"}}}]}`,
		"by a reference":  `{"anyOf":[{"properties":{"k":{"const":"a"},"v":{"$ref":"#/$defs/s"}}},{"properties":{"k":{},"v":{}}}],"$defs":{"s":{"x-mark":"secret"}}}`,
		"a mark at a use": `{"properties":{"k":{},"v":{"$ref":"#/$defs/s","x-mark":"secret"}},"$defs":{"s":{"type":"string"}}}`,
		"additional":      `{"anyOf":[{"additionalProperties":{"x-mark":"secret","type":"integer"}},{"additionalProperties":true}]}`,
		"pattern":         `{"anyOf":[{"patternProperties":{"^v":{"x-mark":"secret","type":"integer"}}},{"additionalProperties":true}]}`,
		"dependent":       `{"properties":{"k":{},"v":{}},"anyOf":[{"dependentSchemas":{"k":{"properties":{"v":{"x-mark":"secret","type":"integer"}}}}},{}]}`,
	}
	for name, schema := range schemas {
		t.Run(name, func(t *testing.T) {
			p, id := api(t, schema)
			m := p.Get()
			defer m.Put()
			value := parse(t, `{"k":"b","v":"CANARY"}`)
			for _, mode := range []Mode{Strict, Request, Response} {
				v := m.Check(value, 0, id, mode)
				if v == Invalid {
					m.Explain(Everything(), 20)
				}
				if m.Marks(2) != Secret || m.Sensitive() != Secret {
					t.Errorf("mode %d, %v: marks %b", mode, v, m.Marks(2))
				}
				if log := string(m.AppendRedacted(nil)); strings.Contains(log, "CANARY") {
					t.Errorf("mode %d: %s", mode, log)
				}
				if got, _ := m.AppendReduced(nil, &Lens{All: true}); strings.Contains(string(got), "CANARY") {
					t.Errorf("mode %d: %s", mode, got)
				}
			}
		})
	}
}

// FuzzEngine: no schema and no value makes the engine panic or run without end, and what it
// says fits together.
func FuzzEngine(f *testing.F) {
	f.Add(twoSchemas, `{"b":{"tag":"two"}}`)
	f.Add(intentSchema, intentBody)
	f.Add(`{"$dynamicAnchor":"a","anyOf":[{"$dynamicRef":"#a"},{"unevaluatedProperties":false,"contains":{}}]}`, `[{"a":1}]`)
	f.Fuzz(func(t *testing.T, schema, value string) {
		doc, body := &tape.Tape{}, &tape.Tape{}
		if doc.Parse([]byte(schema), tape.Limits{}) != nil || body.Parse([]byte(value), tape.Limits{}) != nil {
			return
		}
		for _, dialect := range []Dialect{Draft202012, OpenAPI30, OpenAPI31} {
			c := NewCompiler(doc, "https://schemas.example/root.json", Config{Dialect: dialect, Marks: func(t *tape.Tape, i int) (Mark, error) { return Mark(i) & 1, nil }})
			id, err := c.Compile(0)
			if err != nil {
				return
			}
			if p, err := c.Finish(); err == nil {
				coherent(t, p, id, body)
			}
		}
	})
}

func coherent(t *testing.T, p *Program, id ID, body *tape.Tape) {
	m := p.Get()
	defer m.Put()
	for _, mode := range []Mode{Strict, Request, Response} {
		v := m.Check(body, 0, id, mode)
		faults := m.Explain(Everything(), 20)
		if (v == Valid) != (len(faults) == 0) {
			t.Errorf("mode %d: %v with %d faults", mode, v, len(faults))
		}
		m.AppendRedacted(nil)
		reduced, _ := m.AppendReduced(nil, Everything())
		if v != Valid {
			continue
		}
		again := &tape.Tape{}
		if err := again.Parse(reduced, tape.Limits{}); err != nil {
			t.Errorf("reduced to %s: %v", reduced, err)
		}
	}
}
