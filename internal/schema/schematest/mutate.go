package schematest

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Mutation is a value with one rule of its schema broken.
type Mutation struct {
	Rule  string // the keyword, "format" with its name; "closed" for an unknown member
	Path  string // JSON pointer of the changed value
	Value any    // the whole value, changed in one place
	// Certain is set where the rule applies whatever branches fit, so that every judge refuses.
	Certain bool
}

// Mutations makes one value for each rule that the schemas have about a valid value, with just
// that rule broken, as far as it can be. closed adds unknown members to objects that the schemas
// list members of.
func (g *Gen) Mutations(v any, closed bool, schema any) []Mutation {
	m := mutator{g: g, root: v, closed: closed}
	m.walk(v, nil, []applied{{schema, true}})
	return m.out
}

// applied is a schema that applies to a value, for certain or in some branch.
type applied struct {
	schema  any
	certain bool
}

type mutator struct {
	g      *Gen
	root   any
	closed bool
	out    []Mutation
}

const maxMutations = 4000

func (m *mutator) emit(rule string, path []any, certain bool, value any) {
	if len(m.out) < maxMutations {
		m.out = append(m.out, Mutation{rule, pointerOf(path), replace(m.root, path, value), certain})
	}
}

func pointerOf(path []any) string {
	steps := make([]string, len(path))
	for i, p := range path {
		steps[i] = fmt.Sprint(p)
	}
	return Pointer(steps...)
}

// replace copies the way to a place and puts value there.
func replace(at any, path []any, value any) any {
	if len(path) == 0 {
		return value
	}
	switch at := at.(type) {
	case map[string]any:
		out := make(map[string]any, len(at)+1)
		for k, v := range at {
			out[k] = v
		}
		k := path[0].(string)
		out[k] = replace(at[k], path[1:], value)
		return out
	case []any:
		out := slices.Clone(at)
		i := path[0].(int)
		out[i] = replace(at[i], path[1:], value)
		return out
	}
	return at
}

// expand gives all schemas that apply to the same value.
func (m *mutator) expand(schemas []applied) []applied {
	var out []applied
	var add func(a applied, depth int)
	add = func(a applied, depth int) {
		s, ok := a.schema.(map[string]any)
		if !ok || depth > 30 {
			return
		}
		out = append(out, a)
		certain := a.certain && s["nullable"] != true
		if ref, ok := s["$ref"].(string); ok {
			if target, ok := Resolve(m.g.Root, ref); ok {
				add(applied{target, certain}, depth+1)
			}
		}
		for _, p := range list(s["allOf"]) {
			add(applied{p, certain}, depth+1)
		}
		for _, k := range []string{"anyOf", "oneOf"} {
			parts := list(s[k])
			for _, p := range parts {
				add(applied{p, certain && len(parts) == 1}, depth+1)
			}
		}
		for _, k := range []string{"then", "else"} {
			add(applied{s[k], false}, depth+1)
		}
	}
	for _, a := range schemas {
		add(a, 0)
	}
	return out
}

func (m *mutator) walk(v any, path []any, schemas []applied) {
	if len(m.out) >= maxMutations || len(path) > 30 {
		return
	}
	all := m.expand(schemas)
	for _, a := range all {
		s := a.schema.(map[string]any)
		m.ofAny(s, v, path, a.certain && s["nullable"] != true)
		switch v := v.(type) {
		case string:
			m.ofText(s, v, path, a.certain)
		case json.Number:
			m.ofNumber(s, path, a.certain)
		case []any:
			m.ofArray(s, v, path, a.certain)
		case map[string]any:
			m.ofObject(s, v, path, a.certain)
		}
	}
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			m.walk(e, add(path, i), m.below(all, i))
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			m.walk(v[k], add(path, k), m.belowName(all, k))
		}
		m.unknown(all, v, path)
	}
}

func add(path []any, step any) []any { return append(slices.Clone(path), step) }

func (m *mutator) below(all []applied, at int) []applied {
	var out []applied
	for _, a := range all {
		s := a.schema.(map[string]any)
		prefix := list(s["prefixItems"])
		if at < len(prefix) {
			out = append(out, applied{prefix[at], a.certain})
		} else if items, ok := s["items"]; ok {
			out = append(out, applied{items, a.certain})
		}
	}
	return out
}

func (m *mutator) belowName(all []applied, name string) []applied {
	var out []applied
	for _, a := range all {
		s := a.schema.(map[string]any)
		found := false
		if props, ok := s["properties"].(map[string]any); ok {
			if p, ok := props[name]; ok {
				out = append(out, applied{p, a.certain})
				found = true
			}
		}
		if other, ok := s["additionalProperties"]; ok && !found && !has(s, "patternProperties") {
			out = append(out, applied{other, a.certain})
		}
	}
	return out
}

// ofAny breaks type, enum and const.
func (m *mutator) ofAny(s map[string]any, v any, path []any, certain bool) {
	if t, ok := s["type"]; ok {
		wanted := []string{fmt.Sprint(t)}
		if l, ok := t.([]any); ok {
			wanted = nil
			for _, n := range l {
				wanted = append(wanted, fmt.Sprint(n))
			}
		}
		for _, other := range []any{nil, true, json.Number("7"), json.Number("7.5"), "text", []any{}, map[string]any{}} {
			name := TypeOf(other)
			if !slices.Contains(wanted, name) && !(name == "integer" && slices.Contains(wanted, "number")) {
				m.emit("type", path, certain && !(other == nil && s["nullable"] == true), other)
			}
		}
	}
	if e, ok := s["enum"].([]any); ok {
		m.emit("enum", path, certain && !contains(e, notIn(v)), notIn(v))
	}
	if c, ok := s["const"]; ok {
		m.emit("const", path, certain && !contains([]any{c}, notIn(v)), notIn(v))
	}
}

// notIn is a value of the same type that no list has.
func notIn(v any) any {
	switch v := v.(type) {
	case string:
		return v + "\u00a7"
	case json.Number:
		return json.Number("987654321")
	case bool:
		return !v
	}
	return "\u00a7"
}

func (m *mutator) ofText(s map[string]any, v string, path []any, certain bool) {
	if n := intOf(s["minLength"], 0); n > 0 && n < 4096 {
		m.emit("minLength", path, certain, strings.Repeat("a", n-1))
	}
	if n := intOf(s["maxLength"], -1); n >= 0 && n < 100_000 {
		long := v
		if long == "" {
			long = "a"
		}
		for len([]rune(long)) <= n {
			long += long
		}
		m.emit("maxLength", path, certain, string([]rune(long)[:n+1]))
	}
	if p, ok := s["pattern"].(string); ok {
		re := m.g.compile(p)
		for _, other := range []string{"", "\u00a7", v + "\u00a7", "\u00a7" + v, "\n" + v, v + "\n", v + "!", v + v} {
			if re != nil && !re.MatchString(other) {
				m.emit("pattern", path, certain, other)
				break
			}
		}
	}
	if f, ok := s["format"].(string); ok && samples[f] != nil && f != "uri-reference" && f != "iri-reference" && f != "regex" && f != "json-pointer" {
		m.emit("format "+f, path, false, "not a "+f+" \u00a7")
	}
}

func (m *mutator) ofNumber(s map[string]any, path []any, certain bool) {
	one := big.NewRat(1, 1)
	if n := ratOf(s["minimum"]); n != nil {
		m.emit("minimum", path, certain, decimal(new(big.Rat).Sub(n, one)))
		if s["exclusiveMinimum"] == true {
			m.emit("exclusiveMinimum", path, certain, decimal(n))
		}
	}
	if n := ratOf(s["maximum"]); n != nil {
		m.emit("maximum", path, certain, decimal(new(big.Rat).Add(n, one)))
		if s["exclusiveMaximum"] == true {
			m.emit("exclusiveMaximum", path, certain, decimal(n))
		}
	}
	for _, k := range []string{"exclusiveMinimum", "exclusiveMaximum"} {
		if n := ratOf(s[k]); n != nil {
			m.emit(k, path, certain, decimal(n))
		}
	}
	if n := ratOf(s["multipleOf"]); n != nil {
		m.emit("multipleOf", path, certain, decimal(new(big.Rat).Mul(n, big.NewRat(5, 2))))
	}
	switch s["format"] {
	case "int32":
		m.emit("format int32", path, false, json.Number("2147483648"))
	case "int64":
		m.emit("format int64", path, false, json.Number("9223372036854775808"))
	}
}

func decimal(n *big.Rat) json.Number {
	if n.IsInt() {
		return json.Number(n.Num().String())
	}
	return json.Number(strings.TrimRight(n.FloatString(30), "0"))
}

func (m *mutator) ofArray(s map[string]any, v []any, path []any, certain bool) {
	if n := intOf(s["minItems"], 0); n > 0 && len(v) >= n {
		m.emit("minItems", path, certain, slices.Clone(v[:n-1]))
	}
	if n := intOf(s["maxItems"], -1); n >= 0 && n < 2000 && len(v) > 0 {
		long := slices.Clone(v)
		for len(long) <= n {
			long = append(long, v[len(long)%len(v)])
		}
		m.emit("maxItems", path, certain, long[:n+1])
	}
	if s["uniqueItems"] == true && len(v) > 0 {
		m.emit("uniqueItems", path, certain, append(slices.Clone(v), v[0]))
	}
}

func (m *mutator) ofObject(s map[string]any, v map[string]any, path []any, certain bool) {
	for _, n := range list(s["required"]) {
		name, _ := n.(string)
		if _, ok := v[name]; !ok {
			continue
		}
		without := Copy(v).(map[string]any)
		delete(without, name)
		m.emit("required", path, certain, without)
	}
	if n := intOf(s["minProperties"], 0); n > 0 && len(v) >= n {
		fewer := map[string]any{}
		for _, k := range sortedKeys(v)[:n-1] {
			fewer[k] = v[k]
		}
		m.emit("minProperties", path, certain, fewer)
	}
	if n := intOf(s["maxProperties"], -1); n >= 0 && n < 1000 {
		more := Copy(v).(map[string]any)
		for i := 0; len(more) <= n; i++ {
			more[fmt.Sprintf("more%d", i)] = "a"
		}
		m.emit("maxProperties", path, certain, more)
	}
	if s["additionalProperties"] == false && !has(s, "patternProperties") {
		m.emit("additionalProperties", path, certain, with(v, "unknown§"))
	}
}

func with(v map[string]any, name string) map[string]any {
	more := Copy(v).(map[string]any)
	more[name] = "x"
	return more
}

// unknown adds a member to an object whose schemas list members and leave no others open.
func (m *mutator) unknown(all []applied, v map[string]any, path []any) {
	if !m.closed {
		return
	}
	lists := false
	for _, a := range all {
		s := a.schema.(map[string]any)
		lists = lists || has(s, "properties") && a.certain
		if has(s, "additionalProperties", "patternProperties", "unevaluatedProperties") {
			return
		}
	}
	if lists {
		m.emit("closed", path, true, with(v, "unknown§"))
	}
}
