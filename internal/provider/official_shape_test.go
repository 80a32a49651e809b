package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// tree is a document of JSON or YAML as plain Go values.
type tree = map[string]any

// shape is one alternative of a schema: $ref followed, allOf merged, anyOf and oneOf
// spread out, and exactly one type.
type shape struct {
	kind       string // a JSON type, or "any"
	properties map[string][]tree
	required   map[string]bool
	additional any // nil: not given
	items      []tree
	enum       []any
	bounds     map[string]float64 // maxLength, minimum, …
	expandable bool               // only sent as an object when the caller asked for it
}

// shapes gives the alternatives of a schema in doc.
func shapes(doc, schema tree) []shape {
	var out []shape
	for _, flat := range flatten(doc, schema, 0) {
		for _, kind := range kinds(flat) {
			out = append(out, newShape(flat, kind))
		}
	}
	return out
}

// flatten follows references and spreads unions; what it returns has neither.
func flatten(doc, schema tree, depth int) []tree {
	if depth > 40 {
		panic(fmt.Sprintf("a schema refers to itself without end: %v", schema))
	}
	if ref, ok := schema["$ref"].(string); ok {
		target := resolve(doc, ref)
		if target == nil {
			panic("a schema refers to nothing: " + ref)
		}
		return flatten(doc, target, depth+1)
	}
	base := maps.Clone(schema)
	alternatives := []tree{base}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		delete(base, key)
	}
	for _, part := range list(schema["allOf"]) {
		alternatives = combine(alternatives, flatten(doc, part, depth+1))
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		var union []tree
		for _, part := range list(schema[key]) {
			union = append(union, flatten(doc, part, depth+1)...)
		}
		if len(union) > 0 {
			alternatives = combine(alternatives, union)
		}
	}
	return alternatives
}

// combine merges every alternative of a with every one of b.
func combine(a, b []tree) []tree {
	var out []tree
	for _, x := range a {
		for _, y := range b {
			out = append(out, merge(x, y))
		}
	}
	return out
}

func merge(x, y tree) tree {
	m := maps.Clone(x)
	for k, v := range y {
		switch k {
		case "properties":
			both := make(tree)
			maps.Copy(both, object(x[k]))
			for name, schema := range object(v) {
				if had, ok := both[name]; ok { // one property in two parts: both must hold
					schema = tree{"allOf": []any{had, schema}}
				}
				both[name] = schema
			}
			m[k] = both
		case "required":
			m[k] = append(slices.Clone(anys(x[k])), anys(v)...)
		case "nullable":
			m[k] = v == true || x[k] == true
		default:
			if _, ok := m[k]; !ok || k == "type" || k == "enum" {
				m[k] = v
			}
		}
	}
	return m
}

func kinds(flat tree) []string {
	var out []string
	switch t := flat["type"].(type) {
	case string:
		out = []string{t}
	case []any:
		for _, x := range t {
			out = append(out, fmt.Sprint(x))
		}
	default:
		out = []string{impliedKind(flat)}
	}
	if flat["nullable"] == true && !slices.Contains(out, "null") {
		out = append(out, "null")
	}
	return out
}

func impliedKind(flat tree) string {
	switch {
	case flat["properties"] != nil || flat["additionalProperties"] != nil:
		return "object"
	case flat["items"] != nil:
		return "array"
	case flat["pattern"] != nil || flat["maxLength"] != nil:
		return "string"
	}
	values := anys(flat["enum"])
	if c, ok := flat["const"]; ok {
		values = append(slices.Clone(values), c)
	}
	if len(values) > 0 {
		switch values[0].(type) {
		case string:
			return "string"
		case bool:
			return "boolean"
		}
	}
	return "any"
}

func newShape(flat tree, kind string) shape {
	s := shape{kind: kind, properties: make(map[string][]tree), required: make(map[string]bool), bounds: make(map[string]float64)}
	for name, p := range object(flat["properties"]) {
		s.properties[name] = []tree{object(p)}
	}
	for _, name := range anys(flat["required"]) {
		s.required[fmt.Sprint(name)] = true
	}
	s.additional = flat["additionalProperties"]
	if items := object(flat["items"]); items != nil {
		s.items = []tree{items}
	}
	if kind != "null" {
		s.enum = anys(flat["enum"])
		if c, ok := flat["const"]; ok {
			s.enum = []any{c}
		}
	}
	for _, key := range []string{"maxLength", "minimum", "maximum", "maxItems"} {
		if n, ok := numeric(flat[key]); ok {
			s.bounds[key] = n
		}
	}
	return s
}

func resolve(doc tree, ref string) tree {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return object(object(doc["schemas"])[ref]) // Google Discovery names schemas alone
	}
	at := doc
	for _, step := range strings.Split(path, "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		if at = object(at[step]); at == nil {
			return nil
		}
	}
	return at
}

// deref follows the references of anything that is not a schema: parameters, bodies.
func deref(doc, at tree) tree {
	for range 20 {
		ref, ok := at["$ref"].(string)
		if !ok {
			return at
		}
		at = resolve(doc, ref)
	}
	return at
}

func object(v any) tree {
	m, _ := v.(tree)
	return m
}

func anys(v any) []any {
	a, _ := v.([]any)
	return a
}

func list(v any) []tree {
	var out []tree
	for _, x := range anys(v) {
		if m := object(x); m != nil {
			out = append(out, m)
		}
	}
	return out
}

func numeric(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}
