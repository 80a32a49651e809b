package typescript

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/contract"
	"sallyport/internal/site"
	"sallyport/web"
)

// operationWith is an operation with these properties in its body, and this answer.
func operationWith(t *testing.T, media, request, answer string) *contract.Operation {
	t.Helper()
	raw := fmt.Sprintf(`{"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {"/x": {"post": {"operationId": "do", "summary": "Do it",
		"x-sallyport": {"server": "api", "auth": "key", "retry": "never", "effects": []},
		"requestBody": {"required": true, "content": {%q: {"schema": %s}}},
		"responses": {"200": {"description": "done", "content": {"application/json": {"schema": %s}}}}}}},
		"components": {"schemas": {
			"tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/components/schemas/tree"}}, "n": {"type": "integer"}}},
			"any": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/components/schemas/any"}}]}
		}}}`, media, request, answer)
	doc, err := contract.Load("x", []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	op, _ := doc.Find("do")
	return op
}

func paths(t *testing.T, list ...string) []contract.Path {
	t.Helper()
	var out []contract.Path
	for _, s := range list {
		p, err := contract.ParsePath(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// written is a shape as text on one line.
func written(s *shape) string {
	p := &printer{class: classes([]*shape{s}), names: newNames(), named: map[int]string{}, open: map[int]bool{}}
	p.count([]*shape{s})
	text := strings.TrimPrefix(p.declaration("T", s, ""), "export ")
	for i := 0; i < len(p.later); i++ {
		text += p.declaration(p.later[i].name, p.later[i].shape, "")
	}
	return strings.Join(strings.Fields(text), " ")
}

// TestResults: what comes back through a rule's returns, as contract.View reduces it.
func TestResults(t *testing.T) {
	const person = `{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "mail": {"type": ["string", "null"]}, "key": {"type": "string", "x-sallyport": {"data": "secret"}}}}`
	for _, row := range []struct {
		name, answer string
		returns      []string
		want         string
	}{
		{"nothing", person, nil, `interface T {}`},
		{"fields", person, []string{"mail", "id"}, `interface T { id: string; mail?: string | null; }`},
		{"a secret that is named", person, []string{"key"}, `interface T { key?: string; }`},
		{"a whole object without its secret", `{"type": "object", "properties": {"p": ` + person + `}}`, []string{"p"}, `interface T { p?: { id: string; mail?: string | null; }; }`},
		{"and with it", `{"type": "object", "properties": {"p": ` + person + `}}`, []string{"p", "p.key"}, `interface T { p?: { id: string; mail?: string | null; key?: string; }; }`},
		{"null cannot be cut", `{"type": "object", "required": ["p"], "properties": {"p": {"type": ["object", "null"], "properties": {"id": {"type": "string"}}}}}`, []string{"p.id"}, `interface T { p?: { id?: string; }; }`},
		{"null as a whole", `{"type": "object", "required": ["p"], "properties": {"p": {"type": ["object", "null"], "properties": {"id": {"type": "string"}}}}}`, []string{"p"}, `interface T { p: { id?: string; } | null; }`},
		{"an array is the answer", `{"type": "array", "items": ` + person + `}`, []string{"body[].id"}, `type T = { id: string; }[];`},
		{"nothing of an array", `{"type": "array", "items": ` + person + `}`, nil, `type T = null;`},
		{"an array of both", `{"type": "array", "items": {"anyOf": [{"type": "string"}, ` + person + `]}}`, []string{"body"}, `type T = (string | { id: string; mail?: string | null; })[];`},
		{"part of an alternative", `{"type": "object", "required": ["p"], "properties": {"p": {"anyOf": [{"type": "string"}, ` + person + `]}}}`, []string{"p.id"}, `interface T { p?: { id: string; }; }`},
		{"a map", `{"type": "object", "additionalProperties": {"type": "integer"}}`, []string{"a", "b"}, `interface T { a?: number; b?: number; }`},
		{"names and a map", `{"type": "object", "properties": {"m": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "integer"}}}}`, []string{"m"}, `interface T { m?: { a?: string; [name: string]: number | string | undefined; }; }`},
		{"circles", `{"$ref": "#/components/schemas/tree"}`, []string{"kids"}, `interface T { kids?: Kids[]; } export interface Kids { kids?: Kids[]; n?: number; }`},
		{"circles without an object", `{"type": "object", "properties": {"a": {"$ref": "#/components/schemas/any"}}}`, []string{"a"}, `interface T { a?: string | A[]; } export type A = string | A[];`},
		{"listed", `{"type": "object", "properties": {"a": {"type": "string", "enum": ["x", "y"], "nullable": true}, "b": {"const": 5}, "c": {"enum": [true, null]}}}`, []string{"a", "b", "c"}, `interface T { a?: "x" | "y" | null; b?: 5; c?: true | null; }`},
		{"listed and open", `{"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"const": "x"}]}}}`, []string{"a"}, `interface T { a?: string; }`},
		{"parts", `{"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "object", "required": ["a"], "properties": {"a": {"enum": ["x"]}}}]}`, []string{"a"}, `interface T { a: "x"; }`},
		{"anything", `{"type": "object", "properties": {"a": {}, "b": {}}}`, []string{"a", "b.c"}, `interface T { a?: unknown; b?: { c?: unknown; }; }`},
		{"beside alternatives", `{"type": "object", "properties": {"a": {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}, "anyOf": [{"type": "object", "properties": {"y": {"type": "string"}}}, {"type": "object", "properties": {"z": {"type": "string"}}}]}}}`, []string{"a"}, `interface T { a?: ({ y?: string; } | { z?: string; }) & { x: string; }; }`},
	} {
		t.Run(row.name, func(t *testing.T) {
			op := operationWith(t, contract.JSONType, `{"type": "object", "properties": {"a": {"type": "string"}}}`, row.answer)
			if got := written(result(op, paths(t, row.returns...))); strip(got) != row.want {
				t.Errorf("got  %s\nwant %s", strip(got), row.want)
			}
		})
	}
}

var comments = regexp.MustCompile(`/\*\*.*?\*/ `)

func strip(s string) string { return comments.ReplaceAllString(s, "") }

// TestParams: what a rule leaves to a browser, and what of it must be given.
func TestParams(t *testing.T) {
	const request = `{"type": "object", "required": ["a", "box", "list"], "properties": {
		"a": {"type": "string"}, "n": {"type": ["integer", "null"]},
		"box": {"type": "object", "required": ["x", "y"], "properties": {"x": {"type": "string"}, "y": {"type": "string"}, "z": {"type": "string"}}},
		"crate": {"type": "object", "required": ["x", "y"], "properties": {"x": {"type": "string"}, "y": {"type": "string"}, "z": {"type": "string"}}},
		"list": {"type": "array", "items": {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}, "y": {"type": "string"}}}},
		"rows": {"type": "array", "items": {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}, "y": {"type": "string"}}}}}}`
	for _, row := range []struct {
		name        string
		free, fixed []string
		want        string
		needs       bool
	}{
		{"nothing", nil, []string{"a"}, `type T = Record<string, never>;`, false},
		{"as the contract says", []string{"a", "n"}, nil, `interface T { a: string; n?: number | null; }`, true},
		{"fixed is absent", []string{"n"}, []string{"a", "box", "list"}, `interface T { n?: number | null; }`, false},
		{"part of what is required", []string{"box.x", "box.z"}, nil, `interface T { box: { x: string; z?: string; }; }`, true},
		{"the gate makes the rest of it", []string{"box.z"}, []string{"box.x", "box.y"}, `interface T { box?: { z?: string; }; }`, false},
		{"the gate makes it, so its other half is needed", []string{"crate.x"}, []string{"crate.y"}, `interface T { crate: { x: string; }; }`, true},
		{"nothing makes it", []string{"crate.x", "crate.y"}, nil, `interface T { crate?: { x: string; y: string; }; }`, false},
		{"every element", []string{"list[].x"}, []string{"list[].y"}, `interface T { list: { x: string; }[]; }`, true},
		{"one element", []string{"rows[0].y"}, []string{"rows[0].x"}, `interface T { rows?: [{ y?: string; }]; }`, false},
		{"one element that is needed", []string{"rows[0].x"}, []string{"rows[0].y"}, `interface T { rows: [{ x: string; }]; }`, true},
		{"one element and the others", []string{"rows[0].x", "rows[].y"}, nil, `interface T { rows?: [{ x: string; y?: string; }, ...{ y?: string; }[]]; }`, false},
		{"the second element", []string{"rows[1].x"}, []string{"rows[0].x", "rows[1].y"}, `interface T { rows: [Record<string, never>, { x: string; }]; }`, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			rule := &site.BrowserRule{Free: paths(t, row.free...)}
			for _, p := range paths(t, row.fixed...) {
				rule.Fixed = append(rule.Fixed, site.Fixed{Path: p, Value: "v"})
			}
			s, needs := params(operationWith(t, contract.JSONType, request, `{"type": "object"}`), rule)
			if got := strip(written(s)); got != row.want || needs != row.needs {
				t.Errorf("got  %s, needs %v\nwant %s", got, needs, row.want)
			}
		})
	}
	s, _ := params(operationWith(t, contract.FormType, request, `{"type": "object"}`), &site.BrowserRule{Free: paths(t, "n")})
	if got := strip(written(s)); got != `interface T { n?: number; }` {
		t.Errorf("a form cannot carry null: %s", got)
	}
}

// TestNames: names that fall together are told apart, and none is TypeScript's own.
func TestNames(t *testing.T) {
	n := newNames()
	var got []string
	for _, want := range []string{pascal("create-payment-intent"), pascal("createPaymentIntent"), "Problem", pascal("3d-secure"), pascal("-")} {
		got = append(got, n.take(want))
	}
	if want := []string{"CreatePaymentIntent", "CreatePaymentIntent_2", "Problem_2", "C3DSecure", "C"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestWords: a contract's text cannot leave the comment that it stands in.
func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"one":                         "one.",
		"  one\n two.\n\nthree":       "one two.",
		"*/ declare const x: any; /*": `*\/ declare const x: any; /*.`,
		"*\u200b/ alert()":            `*\/ alert().`,
		"@see me":                     "see me.",
		"a\u202eb\x00c":               "abc.",
		strings.Repeat("word ", 200):  strings.TrimSpace(strings.Repeat("word ", 80)) + " …",
		strings.Repeat("\u00e9", 300): strings.Repeat("\u00e9", 200) + " …",
		"Is it? *":                    "Is it? *.",
	} {
		if got := sentence(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := comment([]string{"It ends with *", "@see https://x/*/y"}, ""); strings.Count(got, "*/") != 2 { // the address was cleaned where it was read
		t.Errorf("%q", got)
	}
}

// TestClient: the declarations that are the same for every site are those of client.js.
func TestClient(t *testing.T) {
	exported := func(text, pattern string) []string {
		var names []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			names = append(names, m[1])
		}
		slices.Sort(names)
		return names
	}
	script := exported(web.ClientJS, `(?m)^export (?:async )?(?:function|class|const) (\w+)`)
	declared := exported(clientTypes, `(?m)^  export (?:function|class|const) (\w+)`)
	if !slices.Equal(script, declared) || len(script) < 5 {
		t.Errorf("client.js exports %v, the types declare %v", script, declared)
	}
	_, class, _ := strings.Cut(clientTypes, "export class Problem")
	script, declared = exported(web.ClientJS, `this\.(\w+) =`), exported(class, `readonly (\w+):`)
	if !slices.Equal(script, declared) {
		t.Errorf("a Problem has %v, the types declare %v", script, declared)
	}
	for _, m := range regexp.MustCompile(`code: "(\w+)"|\?\? "(\w+)"`).FindAllStringSubmatch(web.ClientJS, -1) {
		if code := m[1] + m[2]; !strings.Contains(allCodes(), quote(code)) {
			t.Errorf("client.js makes the code %s, which the types do not have", code)
		}
	}
}

func allCodes() string {
	w := &writer{names: newNames()}
	w.codes()
	return w.b.String()
}
