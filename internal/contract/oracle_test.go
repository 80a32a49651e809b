package contract

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// TestAgreesWithJSONSchema compares verdicts with an independent implementation over
// random schemas and values. Where we differ on purpose (docs/formats/contract.md) the
// generator stays away: open objects in requests, integers written 1.0, formats.
func TestAgreesWithJSONSchema(t *testing.T) {
	verdicts := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		reply := rapid.Bool().Draw(t, "reply")
		mode := schema.Request
		if reply {
			mode = schema.Response
		}
		g := schemaGen{reply: reply}
		generated := g.schema(t, 3)
		text, err := json.Marshal(generated)
		if err != nil {
			t.Fatal(err)
		}
		oracle := compileOracle(t, text)
		ours, id := compileOurs(t, text)
		for range 20 {
			value := valueFor(t, generated, 3)
			body, _ := json.Marshal(value)
			var v tape.Tape
			if err := v.Parse(body, bodyLimits); err != nil {
				t.Fatal(err)
			}
			m := ours.Get()
			verdict := m.Check(&v, 0, id, mode)
			m.Put()
			theirs := oracle.Validate(v.Value(0))
			verdicts[theirs == nil]++
			if verdict == schema.TooComplex || (verdict == schema.Valid) != (theirs == nil) {
				t.Fatalf("schema %s\nvalue %s\nours: %s\ntheirs: %v", text, body, verdict, theirs)
			}
		}
	})
	if verdicts[true]*20 < verdicts[false] || verdicts[false]*20 < verdicts[true] {
		t.Errorf("the values are too one-sided to show anything: %v", verdicts)
	}
}

func compileOracle(t *rapid.T, text []byte) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("x.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("x.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func compileOurs(t *rapid.T, text []byte) (*schema.Program, schema.ID) {
	var doc tape.Tape
	if err := doc.Parse(text, documentLimits); err != nil {
		t.Fatal(err)
	}
	c := schema.NewCompiler(&doc, "", schema.Config{Dialect: schema.OpenAPI31})
	id, err := c.Compile(0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Finish()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p, id
}

// schemaGen makes schemas in the words that contracts use.
type schemaGen struct{ reply bool }

var words = []string{"a", "b", "ab", "abc", "", "ü", "A1"}

func (g schemaGen) schema(t *rapid.T, depth int) map[string]any {
	kinds := []string{"string", "integer", "number", "boolean", "enum", "const", "union"}
	if depth > 0 {
		kinds = append(kinds, "object", "object", "map", "array", "anyOf", "anyOf", "allOf")
		if !g.reply {
			kinds = append(kinds, "oneOf")
		}
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "string":
		s := map[string]any{"type": "string"}
		maybe(t, s, "minLength", rapid.IntRange(0, 2))
		maybe(t, s, "maxLength", rapid.IntRange(1, 4))
		maybe(t, s, "pattern", rapid.SampledFrom([]string{"^a", "b$", "^[a-z]+$", "[0-9]", "^$"}))
		return s
	case "integer", "number":
		s := map[string]any{"type": kind}
		maybe(t, s, "minimum", rapid.IntRange(-2, 2))
		maybe(t, s, "exclusiveMaximum", rapid.SampledFrom([]float64{1, 2.5, 3, 0.1}))
		maybe(t, s, "multipleOf", rapid.SampledFrom([]float64{2, 0.5, 0.1}))
		return s
	case "boolean":
		return map[string]any{"type": "boolean"}
	case "union":
		return map[string]any{"type": []string{"string", rapid.SampledFrom([]string{"null", "integer", "boolean"}).Draw(t, "other")}}
	case "enum":
		return map[string]any{"enum": []any{rapid.SampledFrom(words).Draw(t, "e"), 2, nil, []any{1, "a"}}}
	case "const":
		return map[string]any{"const": rapid.SampledFrom([]any{"a", 2, true, nil, map[string]any{"a": 1}}).Draw(t, "c")}
	case "object":
		return g.object(t, depth)
	case "map":
		s := map[string]any{"type": "object", "additionalProperties": g.schema(t, depth-1)}
		maybe(t, s, "propertyNames", rapid.Just(map[string]any{"maxLength": 1}))
		maybe(t, s, "minProperties", rapid.IntRange(0, 2))
		maybe(t, s, "maxProperties", rapid.IntRange(1, 2))
		return s
	case "array":
		s := map[string]any{"type": "array", "items": g.schema(t, depth-1)}
		maybe(t, s, "minItems", rapid.IntRange(0, 2))
		maybe(t, s, "maxItems", rapid.IntRange(1, 2))
		maybe(t, s, "uniqueItems", rapid.Bool())
		return s
	case "allOf":
		return map[string]any{"allOf": []any{g.schema(t, 0), g.schema(t, 0)}}
	default:
		parts := []any{g.schema(t, depth-1), g.schema(t, depth-1)}
		if rapid.Bool().Draw(t, "third") {
			parts = append(parts, g.schema(t, depth-1))
		}
		return map[string]any{kind: parts}
	}
}

func (g schemaGen) object(t *rapid.T, depth int) map[string]any {
	props := map[string]any{}
	required := []string{}
	for _, name := range []string{"p", "q", "r"} {
		if rapid.Bool().Draw(t, name) {
			props[name] = g.schema(t, depth-1)
			if rapid.Bool().Draw(t, "required "+name) {
				required = append(required, name)
			}
		}
	}
	s := map[string]any{"type": "object", "properties": props, "required": required}
	if !g.reply {
		s["additionalProperties"] = false
	}
	return s
}

func maybe[V any](t *rapid.T, s map[string]any, key string, g *rapid.Generator[V]) {
	if rapid.IntRange(0, 3).Draw(t, "maybe "+key) == 0 {
		s[key] = g.Draw(t, key)
	}
}

// valueFor makes a value that often fits the schema.
func valueFor(t *rapid.T, schema map[string]any, depth int) any {
	if depth < 0 || rapid.IntRange(0, 9).Draw(t, "stray") == 0 {
		return rapid.SampledFrom([]any{nil, true, false, 0, 1, 2, 2.5, -1, 0.3, "a", "abc", "", "ü", []any{}, []any{1, "a"}, []any{1, 1}, map[string]any{}, map[string]any{"p": 1, "a": 1}}).Draw(t, "any")
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		if parts, ok := schema[key].([]any); ok {
			return valueFor(t, rapid.SampledFrom(parts).Draw(t, "part").(map[string]any), depth)
		}
	}
	if c, ok := schema["const"]; ok {
		return c
	}
	if e, ok := schema["enum"].([]any); ok {
		return rapid.SampledFrom(e).Draw(t, "e")
	}
	switch schema["type"] {
	case "string":
		return rapid.SampledFrom(words).Draw(t, "s")
	case "integer":
		return rapid.IntRange(-3, 6).Draw(t, "i")
	case "number":
		return rapid.SampledFrom([]any{0, 1, 2, 0.5, 0.1, 0.30, 1.7, -1.5, 3}).Draw(t, "n")
	case "boolean":
		return rapid.Bool().Draw(t, "b")
	case "array":
		list := make([]any, rapid.IntRange(0, 3).Draw(t, "len"))
		for i := range list {
			list[i] = valueFor(t, schema["items"].(map[string]any), depth-1)
		}
		return list
	case "object":
		m := map[string]any{}
		props, _ := schema["properties"].(map[string]any)
		for _, name := range []string{"p", "q", "r", "ab"} {
			if p, ok := props[name].(map[string]any); ok && rapid.IntRange(0, 4).Draw(t, name) > 0 {
				m[name] = valueFor(t, p, depth-1)
			} else if extra, ok := schema["additionalProperties"].(map[string]any); ok && rapid.Bool().Draw(t, name) {
				m[name] = valueFor(t, extra, depth-1)
			} else if rapid.IntRange(0, 19).Draw(t, "unlisted "+name) == 0 {
				m[name] = 1
			}
		}
		return m
	}
	return rapid.SampledFrom([]any{"a", nil, 2, true}).Draw(t, "u")
}

// TestMain makes the property tests longer for the torture run.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("rapid.nofailfile", "true"); err != nil { // a failure prints its seed; files would lie beside the fixtures
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		if err := flag.Set("rapid.checks", "20000"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}
