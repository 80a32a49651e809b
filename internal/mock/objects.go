package mock

import (
	"maps"
	"strings"

	"sallyport/internal/contract"
)

// idName is the property that holds an object's id: the one the contract marks, else
// id or sid.
func idName(s *contract.Schema) string {
	for _, part := range s.AllOf {
		if name := idName(part); name != "" {
			return name
		}
	}
	for _, name := range s.Order {
		field := s.Properties[name]
		if field.ID && (name == "id" || name == "sid" || strings.HasSuffix(name, "_id") && s.Properties["id"] == nil) {
			return name
		}
	}
	for _, name := range []string{"id", "_id", "sid"} {
		if s.Properties[name] != nil {
			return name
		}
	}
	return ""
}

func setID(object map[string]any, s *contract.Schema, id string) {
	name := idName(s)
	if field := s.Properties[name]; field != nil && fits(id, field) {
		object[name] = id
	}
}

// sameKind says whether a kept object is what this operation answers with: it has every
// required property of the schema.
func sameKind(kept, made map[string]any, s *contract.Schema) bool {
	for name := range made {
		if _, ok := kept[name]; !ok && contains(s.Required, name) {
			return false
		}
	}
	return idName(s) != ""
}

func contains(list []string, name string) bool {
	for _, l := range list {
		if l == name {
			return true
		}
	}
	return false
}

// merge changes a kept object by the parameters that were sent.
func merge(kept, made map[string]any, op *contract.Operation, args contract.Args) map[string]any {
	out := maps.Clone(kept)
	for _, p := range op.Params {
		if p.In != contract.InBody {
			continue
		}
		path, err := contract.ParsePath(p.Name)
		if err != nil {
			continue
		}
		if _, sent := args.Get(path); !sent {
			continue
		}
		if v, ok := made[p.Name]; ok {
			out[p.Name] = v
		}
	}
	return out
}

// fit leaves out what the schema does not know: one object may be read by several operations.
func fit(object map[string]any, s *contract.Schema) map[string]any {
	if len(s.Properties) == 0 {
		return object
	}
	out := map[string]any{}
	for name, v := range object {
		if s.Properties[name] != nil {
			out[name] = v
		}
	}
	for _, name := range s.Required {
		if _, ok := out[name]; !ok {
			return object
		}
	}
	return out
}

// fillList puts the objects that were created into a list's array, newest first, in
// place of the made-up element: those whose id is of the element's kind.
func (p *Provider) fillList(object map[string]any, s *contract.Schema) {
	for name, field := range s.Properties {
		if field.Items == nil || kind(field) != "array" {
			continue
		}
		id := field.Items.Properties[idName(field.Items)]
		if id == nil || id.Mock.Prefix == "" {
			continue
		}
		var found []any
		for i := len(p.order) - 1; i >= 0 && len(found) < 10; i-- {
			if strings.HasPrefix(p.order[i], id.Mock.Prefix) {
				found = append(found, fit(p.objects[p.order[i]], field.Items))
			}
		}
		if len(found) > 0 {
			object[name] = found
		}
	}
}

// nameItself puts the object's own id where a hint's prefix says {id}, as in
// pi_123_secret_456.
func nameItself(object map[string]any, s *contract.Schema) {
	id, _ := object[idName(s)].(string)
	for name, v := range object {
		if text, ok := v.(string); ok && strings.HasPrefix(text, "{id}") {
			object[name] = id + strings.TrimPrefix(text, "{id}")
		}
	}
}
