package schematest

import "encoding/json"

// Small domains, so that rules and values meet.
var (
	names    = []string{"a", "b", "c", "ab", "ü", "x-1", "~/%"}
	strs     = []string{"a", "b", "ab", "abc", "", "ü", "A1", "😀x", "a\nb", "0", "2026-11-23"}
	numbers  = []json.Number{"0", "1", "2", "3", "-1", "-2", "0.5", "2.5", "1.0", "10", "1e1", "0.1", "0.3", "-0", "100", "4"}
	exotic   = []json.Number{"9007199254740993", "9007199254740992", "123456789012345678901234567890", "1e30", "1e-30", "0.30000000000000004", "-1E+2", "12345678901234567890.5"}
	patterns = []string{"^a", "b$", "^[a-z]+$", "[0-9]", "^$", "^.{1,2}$", "a|b", "^(ab?)*$"}
)

// Schema makes a document: a schema with some definitions that it refers to. It is also g.Root.
func (g *Gen) Schema() map[string]any {
	b := builder{g: g, defs: g.r.IntN(4)}
	b.dynamic = g.Dynamic && b.defs > 0 && g.chance(4)
	defs := map[string]any{}
	for i := range b.defs {
		b.after = i
		defs[defName(i)] = b.resource(b.schema(2, true), "sub"+defName(i))
	}
	b.after = -1
	root, ok := b.schema(3, true).(map[string]any)
	if !ok {
		root = map[string]any{"anyOf": []any{b.schema(2, true), b.schema(2, true)}}
	}
	b.resource(root, "https://test.example/doc.json")
	if b.defs > 0 {
		root["$defs"] = defs
	}
	g.Root = root
	return root
}

// resource gives a schema a URI and the anchor that $dynamicRef looks for: dynamic in some, plain in others.
func (b *builder) resource(v any, id string) any {
	s, ok := v.(map[string]any)
	if !b.dynamic {
		return v
	}
	if !ok {
		s = map[string]any{"allOf": []any{v}}
	}
	s["$id"] = id
	s[pick(b.g, "$dynamicAnchor", "$dynamicAnchor", "$anchor")] = "T"
	return s
}

func defName(i int) string { return string(rune('A' + i)) }

// builder makes the schemas of one document.
type builder struct {
	g    *Gen
	defs int
	// dynamic: each definition is a resource of its own, and values below may be told to be $dynamicRef.
	dynamic bool
	after   int // applied in place, only definitions after this one may be referred to: no endless loops
}

// schema makes one schema; inPlace is whether it is applied to the value of the schema around it.
func (b *builder) schema(depth int, inPlace bool) any {
	g := b.g
	if !inPlace {
		defer func(n int) { b.after = n }(b.after)
		b.after = -1
	}
	if g.chance(12) && !(g.Typed && inPlace) {
		return pick(g, any(true), any(true), any(false), any(map[string]any{}))
	}
	s := map[string]any{}
	if b.dynamic && !inPlace && g.chance(3) {
		s["$dynamicRef"] = "#T"
		return s
	}
	for range 1 + g.r.IntN(2) {
		b.keywords(s, depth)
	}
	if g.Typed && opens(s) {
		b.types(s)
	}
	return s
}

// keywords adds one group of keywords that belong together.
func (b *builder) keywords(s map[string]any, depth int) {
	kinds := 6
	if depth > 0 {
		kinds = 16
	}
	switch b.g.r.IntN(kinds) {
	case 0:
		b.types(s)
	case 1:
		b.values(s)
	case 2, 3:
		b.number(s)
	case 4, 5:
		b.text(s)
	case 6, 7, 8:
		b.array(s, depth-1)
	case 9, 10, 11, 12:
		b.object(s, depth-1)
	default:
		b.combination(s, depth-1)
	}
}

func (b *builder) types(s map[string]any) {
	all := []any{"null", "boolean", "integer", "number", "string", "array", "object"}
	if b.g.chance(3) {
		i := b.g.r.IntN(len(all) - 1)
		s["type"] = []any{all[i], all[i+1]}
		return
	}
	s["type"] = pick(b.g, all...)
}

func (b *builder) values(s map[string]any) {
	if b.g.chance(3) {
		s["const"] = b.g.anyValue(2)
		return
	}
	list := []any{}
	for range 1 + b.g.r.IntN(4) {
		v := b.g.anyValue(1)
		if !contains(list, v) {
			list = append(list, v)
		}
	}
	s["enum"] = list
}

func (b *builder) number(s map[string]any) {
	g := b.g
	if g.chance(2) {
		s["type"] = pick(g, any("integer"), any("number"))
	}
	some := func(key string) {
		if g.chance(3) {
			s[key] = g.numberOf(numbers)
		}
	}
	some("minimum")
	some("maximum")
	some("exclusiveMinimum")
	some("exclusiveMaximum")
	if g.chance(3) {
		s["multipleOf"] = pick(g, num("2"), num("0.5"), num("0.1"), num("3"), num("1.5"), num("1e1"))
	}
}

func (b *builder) text(s map[string]any) {
	g := b.g
	if g.chance(2) {
		s["type"] = "string"
	}
	if g.chance(3) {
		s["minLength"] = count(g.r.IntN(3))
	}
	if g.chance(3) {
		s["maxLength"] = pick(g, num("1"), num("2"), num("3"), num("2.0"))
	}
	if g.chance(2) {
		s["pattern"] = pick(g, patterns...)
	}
	if g.chance(6) {
		s["format"] = pick(g, "date", "ipv4", "uuid", "unheard-of")
	}
}

func (b *builder) array(s map[string]any, depth int) {
	g := b.g
	if g.chance(2) {
		s["type"] = "array"
	}
	if g.chance(2) {
		s["items"] = b.schema(depth, false)
	}
	if g.chance(3) {
		s["prefixItems"] = b.list(depth, false)
	}
	if g.chance(4) {
		s["minItems"] = count(g.r.IntN(3))
	}
	if g.chance(4) {
		s["maxItems"] = count(1 + g.r.IntN(3))
	}
	if g.chance(4) {
		s["uniqueItems"] = g.r.IntN(4) > 0
	}
	if g.chance(4) {
		s["contains"] = b.schema(depth, false)
		if g.chance(2) {
			s["minContains"] = count(g.r.IntN(3))
		}
		if g.chance(3) {
			s["maxContains"] = count(1 + g.r.IntN(2))
		}
	}
	if g.chance(5) {
		s["unevaluatedItems"] = b.schemaOrFalse(depth)
	}
}

func (b *builder) schemaOrFalse(depth int) any {
	if b.g.chance(2) {
		return false
	}
	return b.schema(depth, false)
}

func (b *builder) list(depth int, inPlace bool) []any {
	list := make([]any, 1+b.g.r.IntN(3))
	for i := range list {
		list[i] = b.schema(depth, inPlace)
	}
	return list
}

func (b *builder) object(s map[string]any, depth int) {
	g := b.g
	if g.chance(2) {
		s["type"] = "object"
	}
	if g.r.IntN(4) > 0 {
		s["properties"] = b.members(names, depth)
	}
	if g.chance(3) {
		s["required"] = g.someNames()
	}
	if g.chance(5) {
		s["patternProperties"] = b.members(patterns, depth)
	}
	if g.chance(3) {
		s["additionalProperties"] = b.schemaOrFalse(depth)
	}
	if g.chance(8) {
		s["propertyNames"] = b.schema(0, false)
	}
	if g.chance(6) {
		s["minProperties"] = count(g.r.IntN(3))
	}
	if g.chance(6) {
		s["maxProperties"] = count(1 + g.r.IntN(3))
	}
	if g.chance(8) {
		s["dependentRequired"] = map[string]any{pick(g, names...): g.someNames(), pick(g, names...): g.someNames()}
	}
	if g.chance(8) {
		s["dependentSchemas"] = map[string]any{pick(g, names...): b.schema(depth, true)}
	}
	if g.chance(5) {
		s["unevaluatedProperties"] = b.schemaOrFalse(depth)
	}
}

func (b *builder) members(keys []string, depth int) map[string]any {
	m := map[string]any{}
	for range 1 + b.g.r.IntN(3) {
		m[pick(b.g, keys...)] = b.schema(depth, false)
	}
	return m
}

func (g *Gen) someNames() []any {
	list := []any{}
	for range g.r.IntN(3) {
		if n := any(pick(g, names...)); !contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

func (b *builder) combination(s map[string]any, depth int) {
	g := b.g
	if b.defs > b.after+1 && g.chance(3) {
		name := defName(b.after + 1 + g.r.IntN(b.defs-b.after-1))
		if s["$ref"] = "#/$defs/" + name; b.dynamic {
			s["$ref"] = "sub" + name
		}
		return
	}
	switch g.r.IntN(6) {
	case 0:
		s["allOf"] = b.list(depth, true)
	case 1, 2:
		s["anyOf"] = b.list(depth, true)
	case 3:
		s["oneOf"] = b.list(depth, true)
	case 4:
		s["not"] = b.schema(depth, true)
	default:
		s["if"] = b.schema(depth, true)
		if g.r.IntN(4) > 0 {
			s["then"] = b.schema(depth, true)
		}
		if g.r.IntN(4) > 0 {
			s["else"] = b.schema(depth, true)
		}
	}
}

func (g *Gen) numberOf(list []json.Number) json.Number {
	n := pick(g, list...)
	if !g.Plain && g.chance(8) {
		n = pick(g, exotic...)
	}
	if r := ratOf(n); g.Whole && r.IsInt() {
		return json.Number(r.Num().String())
	}
	return n
}

// anyValue is a value that follows no schema.
func (g *Gen) anyValue(depth int) any {
	kinds := 6
	if depth > 0 {
		kinds = 10
	}
	switch g.r.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return g.chance(2)
	case 2, 3:
		return g.numberOf(numbers)
	case 4, 5:
		return pick(g, strs...)
	case 6, 7:
		list := []any{}
		for range g.r.IntN(4) {
			list = append(list, g.anyValue(depth-1))
		}
		return list
	default:
		m := map[string]any{}
		for range g.r.IntN(4) {
			m[pick(g, names...)] = g.anyValue(depth - 1)
		}
		return m
	}
}

// contains is written by text: enum members that differ only in how a number is written are kept.
func contains(list []any, v any) bool {
	for _, e := range list {
		if string(Text(e)) == string(Text(v)) {
			return true
		}
	}
	return false
}
