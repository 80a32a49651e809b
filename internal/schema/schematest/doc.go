// Package schematest makes schemas and values for tests of whatever reads JSON Schema: random
// schemas over all keywords, values that a given schema most likely accepts, values that break
// one rule of it, and the same schemas rewritten for an independent validator.
//
// It guarantees that the same seed gives the same output on every machine. It does not guarantee
// that a value is valid: a judge of the test's choice says so.
//
// Schemas and values are trees of map[string]any, []any, string, json.Number, bool and nil.
package schematest

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
)

// Gen makes schemas and values from a seed. It is not safe for concurrent use.
type Gen struct {
	// Root is the document that $ref refers into.
	Root any
	// Translate writes a schema's pattern as package regexp understands it; nil: it does already.
	Translate func(pattern string) (string, error)
	// Plain leaves out numbers beyond what floating point holds exactly.
	Plain bool
	// Whole writes whole numbers in digits only.
	Whole bool
	// Dynamic makes definitions resources of their own with anchors, and uses $dynamicRef.
	Dynamic bool
	// Deeper is how many levels of required members more than four are made below the depth asked for. A validator
	// that remembers nothing may take time that doubles with each.
	Deeper int
	// Limit is how many values a value may hold; 0: 3,000.
	Limit int
	// Typed gives every schema a type or parts, so that none lets everything through.
	Typed bool

	r    *rand.Rand
	made int // values, of the one being made
}

// New returns a generator of that seed.
func New(seed uint64) *Gen { return &Gen{r: rand.New(rand.NewPCG(seed, 0x5eed))} }

// Parse reads JSON text into a tree. Numbers stay as they are written.
func Parse(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

// Text writes a tree as JSON, members in the order of their names.
func Text(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // a tree of this package's types always encodes
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Copy is a deep copy of a tree.
func Copy(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = Copy(e)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = Copy(e)
		}
		return l
	}
	return v
}

func (g *Gen) chance(oneIn int) bool { return g.r.IntN(oneIn) == 0 }

// Change makes a value that is much the same: some part of it is another value.
func (g *Gen) Change(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := Copy(v).(map[string]any)
		switch keys := sortedKeys(out); {
		case len(keys) == 0 || g.chance(4):
			out[pick(g, names...)] = g.anyValue(1)
		case g.chance(3):
			delete(out, pick(g, keys...))
		default:
			k := pick(g, keys...)
			out[k] = g.Change(out[k])
		}
		return out
	case []any:
		out := Copy(v).([]any)
		switch {
		case len(out) == 0 || g.chance(4):
			return append(out, g.anyValue(1))
		case g.chance(3):
			return out[1:]
		}
		i := g.r.IntN(len(out))
		out[i] = g.Change(out[i])
		return out
	}
	return g.anyValue(2)
}

func pick[T any](g *Gen, list ...T) T { return list[g.r.IntN(len(list))] }

func num(text string) json.Number { return json.Number(text) }

func count(n int) json.Number { return json.Number(strconv.Itoa(n)) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
