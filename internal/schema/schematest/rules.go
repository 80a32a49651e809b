package schematest

import (
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// rules is what several schemas say together about one value, as far as it helps to make one.
type rules struct {
	never    bool
	types    []string // nil: any
	values   []any    // of enum and const; hasSet tells that there are such
	hasSet   bool
	low      []bound
	high     []bound
	multiple []*big.Rat
	minLen   int
	maxLen   int // -1: none
	patterns []string
	formats  []string

	props     map[string][]any
	matching  []keyed // patternProperties
	others    []any   // additionalProperties and unevaluatedProperties
	names     []any   // propertyNames
	required  []string
	dependent map[string][]string
	minProps  int
	maxProps  int

	prefix   [][]any
	items    []any
	contains []any
	minItems int
	maxItems int
	unique   bool
}

type bound struct {
	at       *big.Rat
	excluded bool
}

type keyed struct {
	key    string
	schema any
}

func newRules() *rules {
	return &rules{maxLen: -1, maxProps: -1, maxItems: -1, props: map[string][]any{}, dependent: map[string][]string{}}
}

// collect adds what schema says. Of alternatives it takes one at random.
func (g *Gen) collect(r *rules, schema any, depth int) {
	s, ok := schema.(map[string]any)
	if !ok {
		r.never = r.never || schema == false
		return
	}
	if depth > 40 {
		return
	}
	if ref, ok := s["$ref"].(string); ok {
		if target, ok := Resolve(g.Root, ref); ok {
			g.collect(r, target, depth+1)
		}
	}
	if _, ok := s["$dynamicRef"]; ok {
		g.collect(r, g.Root, depth+10)
	}
	if s["nullable"] == true && g.chance(5) {
		r.types, r.hasSet, r.values = []string{"null"}, false, nil
		return
	}
	r.ofValue(s)
	r.ofObject(s)
	r.ofArray(s)
	for _, part := range list(s["allOf"]) {
		g.collect(r, part, depth+1)
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if parts := list(s[key]); len(parts) > 0 {
			g.collect(r, g.branch(parts), depth+1)
		}
	}
	if test, ok := s["if"]; ok {
		if g.chance(2) {
			g.collect(r, test, depth+1)
			g.collect(r, orTrue(s, "then"), depth+1)
		} else {
			g.collect(r, orTrue(s, "else"), depth+1)
		}
	}
}

// branch picks an alternative, rather not one that nothing fits.
func (g *Gen) branch(parts []any) any {
	part := pick(g, parts...)
	if part == false {
		part = pick(g, parts...)
	}
	return part
}

func orTrue(s map[string]any, key string) any {
	if v, ok := s[key]; ok {
		return v
	}
	return true
}

func list(v any) []any { l, _ := v.([]any); return l }

func (r *rules) ofValue(s map[string]any) {
	switch t := s["type"].(type) {
	case string:
		r.limitTypes([]string{t})
	case []any:
		var names []string
		for _, n := range t {
			if n, ok := n.(string); ok {
				names = append(names, n)
			}
		}
		r.limitTypes(names)
	}
	if c, ok := s["const"]; ok {
		r.limitValues([]any{c})
	}
	if e, ok := s["enum"].([]any); ok {
		r.limitValues(e)
	}
	r.ofNumber(s)
	r.minLen = max(r.minLen, intOf(s["minLength"], 0))
	r.maxLen = lower(r.maxLen, intOf(s["maxLength"], -1))
	if p, ok := s["pattern"].(string); ok {
		r.patterns = append(r.patterns, p)
	}
	if f, ok := s["format"].(string); ok {
		r.formats = append(r.formats, f)
	}
}

func (r *rules) ofNumber(s map[string]any) {
	for _, key := range []string{"minimum", "exclusiveMinimum"} {
		if n := ratOf(s[key]); n != nil {
			r.low = append(r.low, bound{n, key != "minimum" || s["exclusiveMinimum"] == true})
		}
	}
	for _, key := range []string{"maximum", "exclusiveMaximum"} {
		if n := ratOf(s[key]); n != nil {
			r.high = append(r.high, bound{n, key != "maximum" || s["exclusiveMaximum"] == true})
		}
	}
	if n := ratOf(s["multipleOf"]); n != nil {
		r.multiple = append(r.multiple, n)
	}
}

func (r *rules) ofObject(s map[string]any) {
	props, _ := s["properties"].(map[string]any)
	for _, name := range sortedKeys(props) {
		r.props[name] = append(r.props[name], props[name])
	}
	matching, _ := s["patternProperties"].(map[string]any)
	for _, p := range sortedKeys(matching) {
		r.matching = append(r.matching, keyed{p, matching[p]})
	}
	for _, key := range []string{"additionalProperties", "unevaluatedProperties"} {
		if other, ok := s[key]; ok {
			r.others = append(r.others, other)
		}
	}
	if n, ok := s["propertyNames"]; ok {
		r.names = append(r.names, n)
	}
	for _, n := range list(s["required"]) {
		if n, ok := n.(string); ok {
			r.required = append(r.required, n)
		}
	}
	dependent, _ := s["dependentRequired"].(map[string]any)
	for _, name := range sortedKeys(dependent) {
		for _, n := range list(dependent[name]) {
			r.dependent[name] = append(r.dependent[name], n.(string))
		}
	}
	r.minProps = max(r.minProps, intOf(s["minProperties"], 0))
	r.maxProps = lower(r.maxProps, intOf(s["maxProperties"], -1))
}

func (r *rules) ofArray(s map[string]any) {
	if p := list(s["prefixItems"]); p != nil {
		r.prefix = append(r.prefix, p)
	}
	for _, key := range []string{"items", "unevaluatedItems"} {
		if i, ok := s[key]; ok {
			r.items = append(r.items, i)
		}
	}
	if c, ok := s["contains"]; ok {
		r.contains = append(r.contains, c)
		r.minItems = max(r.minItems, intOf(s["minContains"], 1))
	}
	r.minItems = max(r.minItems, intOf(s["minItems"], 0))
	r.maxItems = lower(r.maxItems, intOf(s["maxItems"], -1))
	r.unique = r.unique || s["uniqueItems"] == true
}

func (r *rules) limitTypes(types []string) {
	if r.types == nil {
		r.types = types
		return
	}
	var both []string
	for _, t := range types {
		if slices.Contains(r.types, t) || t == "integer" && slices.Contains(r.types, "number") {
			both = append(both, t)
		} else if t == "number" && slices.Contains(r.types, "integer") {
			both = append(both, "integer")
		}
	}
	r.types = both
	r.never = r.never || len(both) == 0
}

func (r *rules) limitValues(values []any) {
	if !r.hasSet {
		r.hasSet, r.values = true, values
		return
	}
	var both []any
	for _, v := range values {
		if contains(r.values, v) {
			both = append(both, v)
		}
	}
	r.values = both
}

func lower(a, b int) int {
	switch {
	case a < 0:
		return b
	case b < 0:
		return a
	}
	return min(a, b)
}

func intOf(v any, otherwise int) int {
	if n := ratOf(v); n != nil && n.IsInt() && n.Num().IsInt64() {
		return int(min(n.Num().Int64(), 1<<20))
	}
	return otherwise
}

func ratOf(v any) *big.Rat {
	n, ok := v.(json.Number)
	if !ok {
		return nil
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return nil
	}
	return r
}

// Resolve finds what a $ref of the form #/a/b refers to in a document, or subX: the definition X that Schema made a
// resource of its own.
func Resolve(root any, ref string) (any, bool) {
	if name, ok := strings.CutPrefix(ref, "sub"); ok {
		ref = "#/$defs/" + name
	}
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, false
	}
	if pointer == "" {
		return root, true
	}
	at := root
	for _, step := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(unescape(step))
		switch c := at.(type) {
		case map[string]any:
			if at, ok = c[step]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(c) {
				return nil, false
			}
			at = c[i]
		default:
			return nil, false
		}
	}
	return at, true
}
