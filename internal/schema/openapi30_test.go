package schema

import (
	"fmt"
	"strings"
	"testing"
)

// rule30 is a rule of OpenAPI 3.0 with a schema that shows it. The table of
// docs/reference/json-schema.md is made of these.
type rule30 struct {
	rule    string
	source  string // section of OpenAPI 3.0.3
	schema  string
	yes, no string // values, separated by blanks
	mode    Mode
	differs string // how we read it, where the text leaves it open or we depart from it
}

func rules30() []rule30 {
	const schemaObject, discriminator, reference, dataTypes = "§4.7.24 Schema Object", "§4.7.25 Discriminator Object", "§4.7.23 Reference Object", "§4.4 Data Types"
	return []rule30{
		{rule: "`nullable: true` adds null to the type", source: schemaObject,
			schema: `{"type":"string","nullable":true,"minLength":1}`, yes: `null "a"`, no: `"" 1 false`},
		{rule: "`nullable` is false unless it is written", source: schemaObject,
			schema: `{"type":"object"}`, yes: `{}`, no: `null`},
		{rule: "`nullable: false` changes nothing", source: schemaObject,
			schema: `{"type":"integer","nullable":false}`, yes: `1`, no: `null`},
		{rule: "`nullable` beside `enum` that lacks null", source: schemaObject, schema: `{"type":"string","nullable":true,"enum":["a","b"]}`, yes: `null "a"`, no: `"c" 1`,
			differs: "null is allowed; read to the letter, `enum` would refuse it, and providers write it so"},
		{rule: "`enum` with null, not nullable", source: schemaObject,
			schema: `{"type":"string","enum":["a",null]}`, yes: `"a"`, no: `null "b"`},
		{rule: "`nullable` without `type`", source: schemaObject, schema: `{"nullable":true,"minimum":3}`, yes: `null 3 "a"`, no: `2`,
			differs: "null is allowed; every type is, since none is named"},
		{rule: "`nullable` beside `anyOf`", source: schemaObject, schema: `{"nullable":true,"anyOf":[{"type":"string"},{"type":"integer"}]}`, yes: `null "a" 1`, no: `true`,
			differs: "null is allowed; the text wants `type` beside `nullable`, and Stripe writes it without"},
		{rule: "`nullable` beside `oneOf`", source: schemaObject, schema: `{"nullable":true,"oneOf":[{"type":"string"},{"type":"integer","nullable":true}]}`, yes: `null "a" 1`, no: `true`,
			differs: "the same"},
		{rule: "`nullable` beside `allOf` with one `$ref`, the way to make a reference nullable", source: schemaObject + ", " + reference,
			schema: `{"x":{"type":"string"},"nullable":true,"allOf":[{"$ref":"#/x"}]}`, yes: `null "a"`, no: `1`,
			differs: "null is allowed; read to the letter, the referred schema would refuse it"},
		{rule: "`nullable` inside one part of `allOf` only", source: schemaObject,
			schema: `{"allOf":[{"type":"string","nullable":true},{"type":"string"}]}`, yes: `"a"`, no: `null`},
		{rule: "`nullable` in an alternative", source: schemaObject,
			schema: `{"anyOf":[{"type":"string","nullable":true},{"type":"integer"}]}`, yes: `null "a" 1`, no: `true`},
		{rule: "`nullable` of members and elements", source: schemaObject,
			schema: `{"type":"object","properties":{"a":{"type":"array","items":{"type":"integer","nullable":true}}},"additionalProperties":{"type":"string","nullable":true}}`,
			yes:    `{"a":[1,null]} {"b":null} {"b":"x"}`, no: `{"a":null} {"a":["x"]} {"b":1} null`},
		{rule: "`nullable` inside `not`", source: schemaObject,
			schema: `{"not":{"type":"string","nullable":true}}`, yes: `1 {}`, no: `null "a"`},
		{rule: "a required member may be null where it is nullable", source: schemaObject,
			schema: `{"type":"object","required":["a"],"properties":{"a":{"type":"string","nullable":true}}}`, yes: `{"a":null} {"a":"x"}`, no: `{} {"a":1}`},
		{rule: "`exclusiveMinimum: true` excludes `minimum`", source: schemaObject + " (JSON Schema Wright-00 §5.5)",
			schema: `{"type":"number","minimum":1,"exclusiveMinimum":true}`, yes: `1.01 2`, no: `1 1.0 0`},
		{rule: "`exclusiveMinimum: false` includes it", source: schemaObject + " (Wright-00 §5.5)",
			schema: `{"type":"number","minimum":1,"exclusiveMinimum":false}`, yes: `1 1.0 2`, no: `0.99`},
		{rule: "`exclusiveMaximum: true` excludes `maximum`", source: schemaObject + " (Wright-00 §5.3)",
			schema: `{"type":"number","maximum":10,"exclusiveMaximum":true}`, yes: `9.999 -5`, no: `10 1e1 11`},
		{rule: "a boolean exclusive bound without its bound does nothing", source: schemaObject + " (Wright-00 §5.5)",
			schema: `{"type":"number","exclusiveMinimum":true}`, yes: `-1 0`, no: `"a"`},
		{rule: "an exclusive bound that is a number, as later versions write it", source: schemaObject, schema: `{"type":"number","exclusiveMinimum":1}`, yes: `2`, no: `1`,
			differs: "read as 3.1 reads it; 3.0 does not allow it"},
		{rule: "`$ref` takes the place of what stands beside it", source: reference,
			schema: `{"x":{"type":"string"},"type":"object","properties":{"a":{"$ref":"#/x","maxLength":1,"nullable":true}}}`, yes: `{"a":"long"}`, no: `{"a":1} {"a":null}`,
			differs: "`providers import` lets null in where `nullable` stands beside `$ref`"},
		{rule: "`discriminator` alone changes no verdict", source: discriminator,
			schema: `{"x":{"c":{"type":"object","required":["kind","lives"],"properties":{"kind":{"type":"string"},"lives":{"type":"integer"}}},"d":{"type":"object","required":["kind","bark"],"properties":{"kind":{"type":"string"},"bark":{"type":"string"}}}},"oneOf":[{"$ref":"#/x/c"},{"$ref":"#/x/d"}],"discriminator":{"propertyName":"kind"}}`,
			yes:    `{"kind":"c","lives":9} {"kind":"d","bark":"woof"} {"kind":"c","bark":"woof"}`, no: `{"kind":"c"} {"kind":"c","lives":9,"bark":"woof"} 1`,
			differs: "it selects whose faults are told; a value whose tag names one alternative and that fits only another is not refused for that"},
		{rule: "`discriminator` with `mapping`", source: discriminator,
			schema: `{"x":{"c":{"type":"object","required":["lives"],"properties":{"kind":{"type":"string"},"lives":{"type":"integer"}}},"d":{"type":"object","required":["bark"],"properties":{"kind":{"type":"string"},"bark":{"type":"string"}}}},"oneOf":[{"$ref":"#/x/c"},{"$ref":"#/x/d"}],"discriminator":{"propertyName":"kind","mapping":{"cat":"#/x/c","dog":"d"}}}`,
			yes:    `{"kind":"cat","lives":9} {"kind":"dog","bark":"woof"}`, no: `{"kind":"cat"} {"lives":9,"bark":"x"}`,
			differs: "the same"},
		{rule: "`discriminator` with `enum` tags decides between alternatives that overlap otherwise", source: discriminator,
			schema: `{"oneOf":[{"type":"object","properties":{"kind":{"type":"string","enum":["a"]}},"required":["kind"]},{"type":"object","properties":{"kind":{"type":"string","enum":["b"]},"n":{"type":"integer"}},"required":["kind"]}],"discriminator":{"propertyName":"kind"}}`,
			yes:    `{"kind":"a","n":"any"} {"kind":"b","n":1}`, no: `{"kind":"b","n":"x"} {"kind":"c"} {}`},
		{rule: "`additionalProperties` defaults to true", source: schemaObject,
			schema: `{"type":"object","properties":{"a":{"type":"string"}}}`, yes: `{"b":1} {"a":"x","b":{}}`, no: `{"a":1}`},
		{rule: "… except in requests, which are closed", source: schemaObject, mode: Request,
			schema: `{"type":"object","properties":{"a":{"type":"string"}}}`, yes: `{"a":"x"} {}`, no: `{"b":1} {"a":"x","b":{}}`,
			differs: "requests are a closed world (see Modes)"},
		{rule: "`additionalProperties: true` and `{}` open a request's object", source: schemaObject, mode: Request,
			schema: `{"type":"object","properties":{"a":{"type":"string"},"m":{"type":"object","additionalProperties":{}}},"additionalProperties":true}`, yes: `{"a":"x","b":{"c":[1]}} {"m":{"x":{"y":1}}}`, no: `{"a":1}`},
		{rule: "`additionalProperties: false`", source: schemaObject,
			schema: `{"type":"object","properties":{"a":{}},"additionalProperties":false}`, yes: `{} {"a":1}`, no: `{"b":1}`},
		{rule: "`additionalProperties` with a schema", source: schemaObject,
			schema: `{"type":"object","additionalProperties":{"type":"integer"}}`, yes: `{} {"b":1}`, no: `{"b":"x"}`},
		{rule: "in a request, the names of all parts of `allOf` count together", source: schemaObject, mode: Request,
			schema: `{"allOf":[{"type":"object","properties":{"a":{"type":"string"}}},{"type":"object","properties":{"b":{"type":"string"}}}]}`, yes: `{"a":"x","b":"y"}`, no: `{"c":1}`,
			differs: "requests are a closed world"},
		{rule: "`readOnly` and `writeOnly` change no verdict of a schema", source: schemaObject,
			schema: `{"type":"object","properties":{"id":{"type":"string","readOnly":true},"pin":{"type":"string","writeOnly":true}}}`, yes: `{"id":"x"} {"pin":"y"}`, no: `{"id":1}`,
			differs: "`providers import` writes each schema for its direction: without readOnly members in requests, without writeOnly ones in answers, also in `required`"},
		{rule: "`type` is one name", source: schemaObject,
			schema: `{"type":"integer"}`, yes: `1 1.0 1e3`, no: `1.5 "1"`,
			differs: "an array of names is read as 3.1 reads it; in requests whole numbers are written in digits"},
		{rule: "whole numbers in a request", source: dataTypes, mode: Request,
			schema: `{"type":"integer"}`, yes: `1 -7`, no: `1.0 1e3 -0`,
			differs: "parsers differ over 1e3 and -0"},
		{rule: "`format: int32` and `int64` bind requests", source: dataTypes, mode: Request,
			schema: `{"type":"object","properties":{"a":{"type":"integer","format":"int32"},"b":{"type":"integer","format":"int64"}}}`,
			yes:    `{"a":2147483647} {"b":9223372036854775807}`, no: `{"a":2147483648} {"b":9223372036854775808}`},
		{rule: "formats describe answers", source: dataTypes, mode: Response,
			schema: `{"type":"object","properties":{"a":{"type":"string","format":"date-time"}}}`, yes: `{"a":"2026-11-23T17:00:00Z"} {"a":"yesterday"}`, no: `{"a":1}`},
		{rule: "`format: byte`, `date`, `date-time` bind requests; `binary`, `password` and unknown ones describe", source: dataTypes, mode: Request,
			schema: `{"type":"object","properties":{"y":{"type":"string","format":"byte"},"d":{"type":"string","format":"date"},"p":{"type":"string","format":"password"},"x":{"type":"string","format":"binary"},"u":{"type":"string","format":"sku"}}}`,
			yes:    `{"y":"YWJj","d":"2026-11-23","p":"*","x":"\u0000","u":"?"}`, no: `{"y":"*"} {"d":"23.11.2026"}`},
		{rule: "`oneOf` in an answer reads as `anyOf`", source: schemaObject, mode: Response,
			schema: `{"oneOf":[{"type":"object","properties":{"a":{"type":"string"}}},{"type":"object","properties":{"b":{"type":"string"}}}]}`, yes: `{} {"a":"x","b":"y"}`, no: `{"a":1,"b":1}`,
			differs: "providers' alternatives overlap, and an answer that fits two is no fault of the caller"},
		{rule: "`items` is needed for arrays; without it anything may stand there", source: schemaObject,
			schema: `{"type":"array"}`, yes: `[] [1,"a"]`, no: `{}`},
		{rule: "`not`, `allOf`, `anyOf`, `oneOf` take 3.0 schemas", source: schemaObject,
			schema: `{"allOf":[{"type":"number","minimum":0,"exclusiveMinimum":true},{"not":{"type":"number","maximum":10,"exclusiveMaximum":true}}]}`, yes: `10 11`, no: `0 5 9.9 -1`},
	}
}

// TestOpenAPI30 shows each rule in which OpenAPI 3.0 differs from JSON Schema.
func TestOpenAPI30(t *testing.T) {
	for _, c := range rules30() {
		p, id := compileText(t, c.schema, Config{Dialect: OpenAPI30})
		for want, values := range map[Verdict]string{Valid: c.yes, Invalid: c.no} {
			for _, v := range strings.Fields(values) {
				m := p.Get()
				if got := m.Check(parse(t, v), 0, id, c.mode); got != want {
					t.Errorf("%s: %s with %s: %v, want %v", c.rule, c.schema, v, got, want)
				}
				m.Put()
			}
		}
		if c.yes == "" || c.no == "" || c.source == "" {
			t.Errorf("%s: lacks a case or its source", c.rule)
		}
	}
}

// rules30Table is the table of the reference page.
func rules30Table() string {
	var b strings.Builder
	b.WriteString("| rule | OpenAPI 3.0.3 | fits | does not | here |\n|---|---|---|---|---|\n")
	for _, c := range rules30() {
		differs := c.differs
		if differs == "" {
			differs = "as written"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", c.rule, c.source, code(c.yes), code(c.no), differs)
	}
	return b.String()
}

// code writes values as code, one by one.
func code(values string) string {
	var out []string
	for _, v := range strings.Fields(values) {
		out = append(out, "`"+strings.ReplaceAll(v, "|", "\\|")+"`")
	}
	return strings.Join(out, " ")
}
