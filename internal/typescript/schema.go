package typescript

import (
	"encoding/json"
	"maps"
	"slices"

	"sallyport/internal/contract"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// allParts lists schemas with the parts of their allOf, each once.
func allParts(ss []*contract.Schema) []*contract.Schema {
	var out []*contract.Schema
	var add func(list []*contract.Schema)
	add = func(list []*contract.Schema) {
		for _, s := range list {
			if s != nil && !slices.Contains(out, s) {
				out = append(out, s)
				add(s.AllOf)
			}
		}
	}
	add(ss)
	return out
}

// propertyNames lists the names that parts list, in contract order.
func propertyNames(parts []*contract.Schema) []string {
	var out []string
	for _, p := range parts {
		for _, name := range p.Order {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// kindsOf lists the JSON types, apart from null, that all parts allow. Where no part
// names any, what else they say tells it; nil: nothing is said.
func kindsOf(parts []*contract.Schema) []string {
	var kinds []string
	typed := false
	for _, p := range parts {
		switch {
		case len(p.Types) == 0:
		case !typed:
			kinds, typed = slices.Clone(p.Types), true
		default:
			kinds = slices.DeleteFunc(kinds, func(k string) bool { return !overlaps(k, p.Types) })
		}
	}
	if typed {
		return kinds
	}
	for _, p := range parts {
		if len(p.Properties) > 0 || p.Additional != nil || len(p.Required) > 0 || p.Names != nil {
			kinds = append(kinds, "object")
		}
		if p.Items != nil {
			kinds = append(kinds, "array")
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func overlaps(kind string, types []string) bool {
	number := func(k string) bool { return k == "integer" || k == "number" }
	return slices.ContainsFunc(types, func(t string) bool { return t == kind || number(t) && number(kind) })
}

// isKind reports whether a value of the contract has a JSON type.
func isKind(v any, kind string) bool {
	switch v.(type) {
	case nil:
		return kind == "null"
	case bool:
		return kind == "boolean"
	case string:
		return kind == "string"
	case json.Number:
		return kind == "number" || kind == "integer"
	case []any:
		return kind == "array"
	}
	return kind == "object"
}

// requires reports whether every value of s must have the member: s says so itself, a
// part of it does, or all its alternatives do.
func requires(s *contract.Schema, name string) bool { return requiresWithin(s, name, 8) }

func requiresWithin(s *contract.Schema, name string, depth int) bool {
	if s == nil || depth == 0 {
		return false
	}
	if slices.Contains(s.Required, name) {
		return true
	}
	does := func(part *contract.Schema) bool { return requiresWithin(part, name, depth-1) }
	if slices.ContainsFunc(s.AllOf, does) {
		return true
	}
	for _, list := range [][]*contract.Schema{s.AnyOf, s.OneOf} {
		if len(list) > 0 && !slices.ContainsFunc(list, func(p *contract.Schema) bool { return !does(p) }) {
			return true
		}
	}
	return false
}

// flatten lists schemas with all their parts and alternatives, each once.
func flatten(ss []*contract.Schema) []*contract.Schema {
	var out []*contract.Schema
	var add func(list []*contract.Schema)
	add = func(list []*contract.Schema) {
		for _, s := range list {
			if s != nil && !slices.Contains(out, s) {
				out = append(out, s)
				add(s.AllOf)
				add(s.AnyOf)
				add(s.OneOf)
			}
		}
	}
	add(ss)
	return out
}

// holdsSecret reports whether a field, or each element of it, is marked secret: the gate
// gives it only where it is named.
func holdsSecret(ss []*contract.Schema) bool { return secretWithin(ss, 8) }

func secretWithin(ss []*contract.Schema, depth int) bool {
	for _, s := range flatten(ss) {
		if s.Data == contract.Secret || depth > 0 && s.Items != nil && secretWithin([]*contract.Schema{s.Items}, depth-1) {
			return true
		}
	}
	return false
}
