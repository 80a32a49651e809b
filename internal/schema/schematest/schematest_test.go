package schematest

import (
	"encoding/json"
	"testing"
)

func tree(t *testing.T, text string) any {
	t.Helper()
	v, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// verdict is the independent validator's.
func verdict(t *testing.T, doc any, value string) bool {
	t.Helper()
	o, err := NewOracle(doc, OracleConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ok, err := o.Valid("", tree(t, value))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestCloseClosesEachRoot(t *testing.T) {
	tests := []struct {
		schema  string
		yes, no []string
	}{
		{`{"type":"object","properties":{"a":{"type":"object"}}}`, []string{`{}`, `{"a":{}}`}, []string{`{"b":1}`, `{"a":{"b":1}}`}},
		{`{"allOf":[{"type":"object","properties":{"a":true}},{"type":"object","properties":{"b":true}}]}`, []string{`{"a":1,"b":{"c":1}}`}, []string{`{"c":1}`}},
		{`{"anyOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"type":"object","properties":{"b":true}}]}`, []string{`{"a":"x","b":1}`, `{"b":1}`}, []string{`{"a":1}`}},
		{`{"$ref":"#/$defs/x","$defs":{"x":{"type":"object","properties":{"k":{"$ref":"#/$defs/x"}}}}}`, []string{`{"k":{"k":{}}}`}, []string{`{"k":{"l":1}}`}},
		{`{"type":"array","prefixItems":[{"type":"object"}]}`, []string{`[{}]`}, []string{`[{},1]`, `[{"a":1}]`}},
		{`{}`, []string{`{"a":1}`, `[1]`}, nil},
		{`{"type":"object","properties":{"a":{}}}`, []string{`{"a":{"b":[1]}}`}, []string{`{"b":1}`}},
	}
	for _, c := range tests {
		closed, ok := Close(tree(t, c.schema))
		if !ok {
			t.Errorf("%s: not ok", c.schema)
			continue
		}
		for _, v := range c.yes {
			if !verdict(t, closed, v) {
				t.Errorf("%s refuses %s: %s", c.schema, v, Text(closed))
			}
		}
		for _, v := range c.no {
			if verdict(t, closed, v) {
				t.Errorf("%s takes %s: %s", c.schema, v, Text(closed))
			}
		}
	}
	if _, ok := Close(tree(t, `{"anyOf":[{},{"properties":{"a":true}}]}`)); ok {
		t.Error("a root that is open for some values only was closed")
	}
}

func TestModern(t *testing.T) {
	for old, want := range map[string]string{
		`{"type":"string","nullable":true}`:                                        `{"anyOf":[{"type":"null"},{"type":"string"}]}`,
		`{"minimum":1,"exclusiveMinimum":true,"maximum":2}`:                        `{"exclusiveMinimum":1,"maximum":2}`,
		`{"minimum":1,"exclusiveMinimum":false}`:                                   `{"minimum":1}`,
		`{"$ref":"#/a","nullable":true}`:                                           `{"$ref":"#/a"}`,
		`{"properties":{"default":{"type":"integer","nullable":true}}}`:            `{"properties":{"default":{"anyOf":[{"type":"null"},{"type":"integer"}]}}}`,
		`{"responses":{"default":{"$ref":"#/b","description":"x"}},"example":[1]}`: `{"responses":{"default":{"$ref":"#/b"}}}`,
	} {
		if got := string(Text(Modern(tree(t, old)))); got != want {
			t.Errorf("%s: %s, want %s", old, got, want)
		}
	}
}

func TestShrinkKeepsWhatFails(t *testing.T) {
	fails := func(v any) bool {
		m, ok := v.(map[string]any)
		return ok && m["b"] != nil
	}
	small := Shrink(tree(t, `{"x":{"a":1,"b":[1,{"c":2}]},"y":0}`), 1000, fails)
	if got := string(Text(small)); got != `{"b":1}` && got != `{"b":[]}` {
		t.Errorf("%s", got)
	}
}

// TestMutationsBreakTheirRule has the independent validator refuse each certain mutation of a schema
// with every rule that is broken.
func TestMutationsBreakTheirRule(t *testing.T) {
	schema := tree(t, `{"type":"object","required":["s"],"minProperties":2,"maxProperties":6,"additionalProperties":false,"properties":{
		"s":{"type":"string","minLength":2,"maxLength":5,"pattern":"^[a-z]+$"},"e":{"enum":["a","b"]},"c":{"const":"x"},
		"n":{"type":"number","minimum":1,"maximum":9},"m":{"type":"number","exclusiveMinimum":1,"exclusiveMaximum":9,"multipleOf":0.5},
		"l":{"type":"array","minItems":1,"maxItems":2,"uniqueItems":true,"items":{"type":"integer"}}}}`)
	value := tree(t, `{"s":"abc","e":"a","c":"x","n":2,"m":2.5,"l":[1,2]}`)
	g := New(1)
	g.Root = schema
	seen := map[string]bool{}
	for _, m := range g.Mutations(value, false, schema) {
		seen[m.Rule] = true
		if m.Certain && verdict(t, schema, string(Text(m.Value))) {
			t.Errorf("%s broken at %s passes: %s", m.Rule, m.Path, Text(m.Value))
		}
	}
	for _, rule := range []string{"type", "required", "minProperties", "maxProperties", "additionalProperties", "minLength", "maxLength", "pattern", "enum", "const",
		"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems"} {
		if !seen[rule] {
			t.Errorf("%s was not broken", rule)
		}
	}
}

func TestTheSameSeedGivesTheSame(t *testing.T) {
	for seed := range uint64(50) {
		a, b := New(seed), New(seed)
		x, y := a.Schema(), b.Schema()
		if string(Text(x)) != string(Text(y)) || string(Text(a.Value(3, x))) != string(Text(b.Value(3, y))) {
			t.Errorf("seed %d differs", seed)
		}
	}
}

func TestWholeNumbersAreWrittenInDigits(t *testing.T) {
	g := New(3)
	g.Whole = true
	for range 500 {
		if n, ok := g.Value(1, map[string]any{"type": "integer", "minimum": json.Number("100")}).(json.Number); !ok || TypeOf(n) != "integer" || len(n) != 3 {
			t.Fatalf("%v", n)
		}
	}
}
