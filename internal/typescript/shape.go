package typescript

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// kind is the kind of a type. The zero value is TypeScript's unknown: nothing is known.
type kind uint8

const (
	unknown kind = iota
	word         // string, number, boolean, null, never, undefined
	literal      // "eur", 5, true
	list         // of parts[0]
	tuple        // parts, then any number of rest
	object       // members, and others by any name
	union        // one of parts
	both         // all of parts
)

// shape is one type. Shapes are a graph with circles, because schemas are: a part may
// still be empty while others already point to it, so nothing looks into a shape before
// the graph is whole.
type shape struct {
	kind    kind
	text    string // of a word or a literal
	parts   []*shape
	rest    *shape
	least   int // of a tuple: how many parts must be there
	members []member
	others  *shape
}

type member struct {
	name     string
	optional bool
	shape    *shape
	doc      []string
}

func wordOf(s string) *shape { return &shape{kind: word, text: s} }

func listOf(element *shape) *shape { return &shape{kind: list, parts: []*shape{element}} }

// unionOf leaves out what is nil; the union of nothing is nil.
func unionOf(parts ...*shape) *shape { return joined(union, parts) }

func bothOf(parts ...*shape) *shape { return joined(both, parts) }

func joined(k kind, parts []*shape) *shape {
	parts = slices.DeleteFunc(slices.Clone(parts), func(s *shape) bool { return s == nil })
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return parts[0]
	}
	return &shape{kind: k, parts: parts}
}

// literalOf is the type of exactly this JSON value.
func literalOf(v any) *shape {
	switch v := v.(type) {
	case nil:
		return wordOf("null")
	case string:
		return &shape{kind: literal, text: quote(v)}
	case bool:
		return &shape{kind: literal, text: strconv.FormatBool(v)}
	case json.Number:
		f, err := v.Float64()
		if err != nil || math.IsInf(f, 0) {
			return wordOf("number")
		}
		return &shape{kind: literal, text: strconv.FormatFloat(f, 'f', -1, 64)}
	case []any:
		out := &shape{kind: tuple, least: len(v)}
		for _, item := range v {
			out.parts = append(out.parts, literalOf(item))
		}
		return out
	case map[string]any:
		out := &shape{kind: object}
		for _, name := range sortedKeys(v) {
			out.members = append(out.members, member{name: name, shape: literalOf(v[name])})
		}
		return out
	}
	return &shape{}
}

// flat lists the parts of a union with those of unions in it, each class once: literals
// whose whole kind is there too are left out, and unknown swallows everything.
func flat(s *shape, class map[*shape]int) []*shape {
	var parts []*shape
	seen := map[int]bool{}
	words := map[string]bool{}
	var add func(s *shape)
	add = func(s *shape) {
		switch {
		case s.kind == union:
			for _, p := range s.parts {
				add(p)
			}
		case !seen[class[s]]:
			seen[class[s]] = true
			parts = append(parts, s)
			if s.kind == word {
				words[s.text] = true
			}
		}
	}
	add(s)
	for _, p := range parts {
		if p.kind == unknown {
			return []*shape{p}
		}
	}
	parts = slices.DeleteFunc(parts, func(p *shape) bool { return p.kind == literal && words[kindOfLiteral(p.text)] })
	slices.SortStableFunc(parts, func(a, b *shape) int { return last(a) - last(b) })
	return parts
}

func kindOfLiteral(text string) string {
	switch {
	case text == "true" || text == "false":
		return "boolean"
	case text[0] == '"':
		return "string"
	}
	return "number"
}

// last puts null and undefined behind what a value usually is.
func last(s *shape) int {
	if s.kind != word {
		return 0
	}
	return map[string]int{"null": 1, "undefined": 2}[s.text]
}
