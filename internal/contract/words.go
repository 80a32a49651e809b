package contract

import (
	"encoding/json"
	"slices"
	"strings"
)

// describe says in words what a schema wants.
func describe(s *Schema) string {
	if s == nil {
		return "a value"
	}
	if s.HasConst {
		return compact(s.Const)
	}
	if s.Enum != nil {
		var words []string
		for _, v := range s.Enum {
			words = append(words, compact(v))
		}
		return "one of " + inWords(words)
	}
	names := map[string]string{"boolean": "true or false", "integer": "a whole number in digits", "number": "a number",
		"string": "a string", "array": "an array", "object": "an object"}
	var words []string
	for _, t := range s.Types {
		words = append(words, names[t])
	}
	if s.Nullable {
		words = append(words, "null")
	}
	for _, list := range [][]*Schema{s.AnyOf, s.OneOf} {
		if len(words) == 0 && len(list) > 0 {
			return describeAll(list)
		}
	}
	if len(words) == 0 {
		return "a value"
	}
	return strings.Join(words, " or ")
}

func describeAll(list []*Schema) string {
	var words []string
	for _, s := range list {
		if d := describe(s); !slices.Contains(words, d) {
			words = append(words, d)
		}
	}
	if len(words) > 6 {
		words = append(words[:6], "…")
	}
	return strings.Join(words, " or ")
}

func compact(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		return "a value"
	}
	return string(out)
}
