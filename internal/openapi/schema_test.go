package openapi

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// answerIn gives the schema of the only answer of a document that holds the schema under
// components/schemas/S, as Write writes it.
func written(t *testing.T, version, schema string, hooks Hooks) (map[string]any, *Result) {
	t.Helper()
	doc := `{"openapi":"` + version + `","info":{"title":"T","version":"1"},"paths":{"/s":{"post":{"operationId":"s",
		"requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{"in":{"$ref":"#/components/schemas/S"}}}}}},
		"responses":{"200":{"description":"d","content":{"application/json":{"schema":{"$ref":"#/components/schemas/S"}}}}}}}},
		"components":{"schemas":{"S":` + schema + `,"T":{"type":"string","maxLength":5}}}}`
	d, err := Read("doc.json", []byte(doc), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Write([]string{"s"}, hooks)
	if err != nil && !errors.Is(err, errNothing) {
		t.Fatal(err)
	}
	if err != nil {
		return nil, r
	}
	var out struct {
		Components struct {
			Schemas map[string]map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(r.Contract, &out); err != nil {
		t.Fatal(err)
	}
	if out.Components.Schemas["S"] == nil {
		t.Fatalf("no S in %s", r.Contract)
	}
	return out.Components.Schemas["S"], r
}

func TestSchemasInTheTermsOf2020(t *testing.T) {
	for _, row := range []struct {
		name, version, in, want string
		found                   string // in a finding
	}{
		{name: "nullable type", version: "3.0.3", in: `{"type":"string","nullable":true}`, want: `{"type":["string","null"]}`},
		{name: "nullable has no meaning in 3.1", version: "3.1.0", in: `{"type":"string","nullable":true}`, want: `{"type":"string"}`},
		{name: "nullable enum", version: "3.0.3", in: `{"type":"string","enum":["a"],"nullable":true}`, want: `{"type":["string","null"],"enum":["a",null]}`},
		{name: "nullable enum that lists null", version: "3.0.3", in: `{"type":"string","enum":["a",null],"nullable":true}`, want: `{"type":["string","null"],"enum":["a",null]}`},
		{name: "nullable beside anyOf", version: "3.0.3", in: `{"nullable":true,"anyOf":[{"type":"string"},{"type":"integer"}]}`,
			want: `{"anyOf":[{"type":"string"},{"type":"integer"},{"type":"null"}]}`},
		{name: "nullable beside anyOf and a type", version: "3.0.3", in: `{"nullable":true,"type":"object","description":"It","anyOf":[{"required":["a"]}],"properties":{"a":{"type":"string"}}}`,
			want: `{"description":"It","anyOf":[{"type":["object","null"],"properties":{"a":{"type":"string"}},"anyOf":[{"required":["a"]}]},{"type":"null"}]}`},
		{name: "nullable beside $ref", version: "3.0.3", in: `{"nullable":true,"$ref":"#/components/schemas/T"}`, want: `{"anyOf":[{"$ref":"#/components/schemas/T"},{"type":"null"}]}`},
		{name: "nullable of anything", version: "3.0.3", in: `{"nullable":true}`, want: `{}`},
		{name: "exclusive bounds as booleans", version: "3.0.3", in: `{"type":"number","minimum":1,"exclusiveMinimum":true,"maximum":9,"exclusiveMaximum":false}`,
			want: `{"type":"number","exclusiveMinimum":1,"maximum":9}`},
		{name: "exclusive bounds as numbers", version: "3.1.0", in: `{"type":"number","exclusiveMinimum":1,"maximum":9e2}`, want: `{"type":"number","exclusiveMinimum":1,"maximum":9e2}`},
		{name: "beside $ref in 3.0", version: "3.0.3", in: `{"$ref":"#/components/schemas/T","description":"Short. More.","maxLength":2}`,
			want: `{"$ref":"#/components/schemas/T","description":"Short."}`, found: "maxLength beside $ref; it has no effect"},
		{name: "beside $ref in 3.1", version: "3.1.0", in: `{"$ref":"#/components/schemas/T","maxLength":2}`, want: `{"$ref":"#/components/schemas/T","maxLength":2}`},
		{name: "for readers", version: "3.1.0", in: `{"type":"string","example":"x","examples":["y"],"externalDocs":{"url":"https://x.example"},"x-other":1,"xml":{"name":"n"}}`, want: `{"type":"string"}`},
		{name: "all of 2020-12", version: "3.1.0",
			in:   `{"type":["array","null"],"prefixItems":[{"const":1}],"items":false,"contains":{"type":"string"},"minContains":2,"unevaluatedItems":{"not":{"type":"string","nullable":true}},"if":{"minItems":1},"then":true}`,
			want: `{"type":["array","null"],"prefixItems":[{"const":1}],"items":false,"contains":{"type":"string"},"minContains":2,"unevaluatedItems":{"not":{"type":"string"}},"if":{"minItems":1},"then":true}`},
		{name: "objects of 2020-12", version: "3.1.0",
			in:   `{"type":"object","patternProperties":{"^x":{"type":"string"}},"propertyNames":{"maxLength":3},"dependentRequired":{"a":["b"]},"dependentSchemas":{"a":{"minProperties":2}},"unevaluatedProperties":false}`,
			want: `{"type":"object","patternProperties":{"^x":{"type":"string"}},"propertyNames":{"maxLength":3},"dependentRequired":{"a":["b"]},"dependentSchemas":{"a":{"minProperties":2}},"unevaluatedProperties":false}`},
		{name: "an object of which nothing is said", version: "3.0.3", in: `{"type":"object"}`, want: `{"type":"object","additionalProperties":true}`},
		{name: "an object without members", version: "3.0.3", in: `{"type":"object","properties":{}}`, want: `{"type":"object","properties":{}}`},
		{name: "an array without items", version: "3.0.3", in: `{"type":"array"}`, want: `{"type":"array","items":{}}`, found: "an array without items"},
		{name: "required in a property", version: "3.0.3", in: `{"type":"object","properties":{"a":{"type":"string","required":true}}}`,
			want: `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`, found: "required: true inside of a property"},
		{name: "required but not described", version: "3.0.3", in: `{"type":"object","required":["a","b","b"],"properties":{"a":{"type":"string"}}}`,
			want: `{"type":"object","properties":{"a":{"type":"string"},"b":{}},"required":["a","b"]}`, found: `"b" is required but described nowhere`},
		{name: "numbers in an enum of text", version: "3.0.3", in: `{"type":"string","enum":[1,true,"1"]}`, want: `{"type":"string","enum":["1","true"]}`, found: "values without quotes"},
		{name: "a bound in quotes", version: "3.0.3", in: `{"type":"string","maxLength":"9","minLength":-1}`, want: `{"type":"string","maxLength":9}`, found: "minLength is a whole number"},
		{name: "a keyword of nobody", version: "3.0.3", in: `{"type":"string","maxlength":9}`, want: `{"type":"string"}`, found: `"maxlength" is not a keyword of OpenAPI 3.0`},
		{name: "defaults that fit", version: "3.0.3", in: `{"type":"integer","default":9}`, want: `{"type":"integer","default":9}`},
		{name: "defaults that do not", version: "3.0.3", in: `{"type":"integer","default":"9"}`, want: `{"type":"integer"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, r := written(t, row.version, row.in, Hooks{})
			var want map[string]any
			if err := json.Unmarshal([]byte(row.want), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				text, _ := json.Marshal(got)
				t.Errorf("got %s, want %s", text, row.want)
			}
			text := said(r.Findings)
			if row.found == "" && text != "" || !strings.Contains(text, row.found) {
				t.Errorf("found %q, want %q", text, row.found)
			}
		})
	}
}

func said(list []Finding) string {
	var lines []string
	for _, f := range list {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

func TestSchemasThatCannotBeHeld(t *testing.T) {
	noLookahead := func(p string) error {
		if strings.Contains(p, "(?!") {
			return errors.New("a lookahead")
		}
		return nil
	}
	for _, row := range []struct{ name, in, found string }{
		{"a pattern", `{"type":"string","pattern":"^(?!a)"}`, `doc.json#/components/schemas/S/pattern (s): the pattern "^(?!a)" cannot be held: a lookahead`},
		{"a pattern of names", `{"patternProperties":{"(?!a)":{}}}`, "the pattern of names"},
		{"a type", `{"type":"date"}`, `#/components/schemas/S/type (s): "date" is not a type of JSON`},
		{"a type that is a number", `{"type":1}`, "found a number where type is a name"},
		{"a schema that is text", `{"type":"array","items":"string"}`, "#/components/schemas/S/items (s): found a string where a schema stands"},
		{"a reference to nothing", `{"properties":{"a":{"$ref":"#/components/schemas/U"}}}`, `#/components/schemas/S/properties/a (s): $ref "#/components/schemas/U" points to nothing`},
		{"a circle of references", `{"$ref":"#/components/schemas/S"}`, "in a circle"},
		{"the network", `{"$ref":"https://schemas.example/a.json"}`, "nothing is fetched"},
		{"another file, from standard input", `{"$ref":"other.json#/a"}`, "cannot be found from standard input"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, r := written(t, "3.1.0", row.in, Hooks{Pattern: noLookahead})
			if got := said(r.LeftOut); !strings.Contains(got, row.found) {
				t.Errorf("left out %q, want %q", got, row.found)
			}
		})
	}
	if _, r := written(t, "3.1.0", `{"type":"string","pattern":"^(?!a)"}`, Hooks{Pattern: noLookahead, Loose: []string{"/components/schemas/S/pattern"}}); len(r.LeftOut) != 0 || !strings.Contains(said(r.Findings), "given up, as told") {
		t.Errorf("given up: left out %v, found %v", r.LeftOut, r.Findings)
	}
}

func TestReadOnlyIsNotSentAndWriteOnlyDoesNotComeBack(t *testing.T) {
	_, r := written(t, "3.0.3", `{"type":"object","required":["id","key","name"],"properties":{"id":{"type":"string","readOnly":true},"key":{"type":"string","writeOnly":true},"name":{"type":"string"},"self":{"$ref":"#/components/schemas/S"}}}`, Hooks{})
	var out struct {
		Components struct {
			Schemas map[string]struct {
				Required   []string
				Properties map[string]any
			}
		}
	}
	if err := json.Unmarshal(r.Contract, &out); err != nil {
		t.Fatal(err)
	}
	sent, back := out.Components.Schemas["S.request"], out.Components.Schemas["S"]
	if got, want := sent.Required, []string{"key", "name"}; !reflect.DeepEqual(got, want) || sent.Properties["id"] != nil || sent.Properties["key"] == nil {
		t.Errorf("sent: required %v of %v", got, sent.Properties)
	}
	if got, want := back.Required, []string{"id", "name"}; !reflect.DeepEqual(got, want) || back.Properties["key"] != nil || back.Properties["id"] == nil {
		t.Errorf("back: required %v of %v", got, back.Properties)
	}
	if self := sent.Properties["self"]; !reflect.DeepEqual(self, map[string]any{"$ref": "#/components/schemas/S.request"}) {
		t.Errorf("the request refers to %v", self)
	}
}

func TestMarks(t *testing.T) {
	mark := func(f Field) Mark {
		if f.Name == "email" || f.PII == "sensitive" || f.Format == "password" {
			return Mark{Data: "personal", Why: "told by the test"}
		}
		return Mark{}
	}
	got, r := written(t, "3.0.3", `{"type":"object","properties":{"email":{"type":"string"},"a":{"x-twilio":{"pii":{"handling":"sensitive"}}},"b":{"$ref":"#/components/schemas/T"},
		"email2":{"type":"string","x-sallyport":{"data":"secret"}},"pw":{"type":"string","format":"password"}}}`, Hooks{Mark: mark})
	marks := map[string]any{}
	for name, v := range got["properties"].(map[string]any) {
		marks[name] = v.(map[string]any)["x-sallyport"]
	}
	personal := map[string]any{"data": "personal"}
	want := map[string]any{"email": personal, "a": personal, "b": nil, "email2": map[string]any{"data": "secret"}, "pw": personal}
	if !reflect.DeepEqual(marks, want) {
		t.Errorf("marks %v, want %v", marks, want)
	}
	if len(r.Marks) != 3 || r.Marks[1] != (Marked{Where: "S.email", Data: "personal", Why: "told by the test"}) {
		t.Errorf("report %+v", r.Marks)
	}
}
