package mock

import (
	"encoding/json"
	"maps"
	"slices"

	"sallyport/internal/contract"
)

// write gives a value as JSON with the members of its objects in the order of the schema,
// which is the provider's: callers receive an answer's members in the order in which it came.
func write(v any, s *contract.Schema) ([]byte, error) {
	return appendValue(nil, v, []*contract.Schema{s})
}

func appendValue(dst []byte, v any, ss []*contract.Schema) ([]byte, error) {
	switch v := v.(type) {
	case map[string]any:
		return appendObject(dst, v, spread(ss))
	case []any:
		return appendArray(dst, v, spread(ss))
	}
	text, err := json.Marshal(v)
	return append(dst, text...), err
}

func appendArray(dst []byte, list []any, parts []*contract.Schema) ([]byte, error) {
	var items []*contract.Schema
	for _, p := range parts {
		if p.Items != nil {
			items = append(items, p.Items)
		}
	}
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendValue(dst, v, items); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func appendObject(dst []byte, object map[string]any, parts []*contract.Schema) ([]byte, error) {
	dst = append(dst, '{')
	for i, name := range order(object, parts) {
		if i > 0 {
			dst = append(dst, ',')
		}
		text, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		var kids []*contract.Schema
		for _, p := range parts {
			if kid := p.Properties[name]; kid != nil {
				kids = append(kids, kid)
			}
		}
		if dst, err = appendValue(append(append(dst, text...), ':'), object[name], kids); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// order lists an object's names: those of the schemas as they stand there, then the others by name.
func order(object map[string]any, parts []*contract.Schema) []string {
	names := make([]string, 0, len(object))
	for _, p := range parts {
		for _, name := range p.Order {
			if _, ok := object[name]; ok && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// spread lists schemas with all their parts and alternatives.
func spread(ss []*contract.Schema) []*contract.Schema {
	var out []*contract.Schema
	for queue := ss; len(queue) > 0; queue = queue[1:] {
		if s := queue[0]; !slices.Contains(out, s) {
			out = append(out, s)
			queue = slices.Concat(queue, s.AllOf, s.AnyOf, s.OneOf)
		}
	}
	return out
}
