package config

import (
	"encoding/json"
	"strings"
)

// SchemaID names the schema; editors that fetch schemas by address get it from a file instead.
const SchemaID = "urn:sallyport:config:1"

// Schema is the JSON Schema (draft 2020-12) of sallyport.yaml for editors, made from the
// table of keys. It accepts what Load accepts as far as shape goes; whether hosts, credentials and
// operations fit together only Load can say.
func Schema() ([]byte, error) {
	root := schemaOf(fileKeys())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = SchemaID
	root["title"] = "sallyport.yaml"
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(out, '\n'), nil
}

// schemaOf translates one row and everything below it.
func schemaOf(k *key) map[string]any {
	s := shapeSchema(k)
	if k.or != nil {
		s = map[string]any{"anyOf": []any{s, schemaOf(k.or)}}
	}
	if k.kind == kindList && k.single {
		s = map[string]any{"anyOf": []any{s, schemaOf(k.item)}}
	}
	if k.doc != "" {
		s["description"] = strings.ReplaceAll(k.doc, "`", "")
	}
	return s
}

func shapeSchema(k *key) map[string]any {
	s := map[string]any{}
	switch k.kind {
	case kindText:
		s["type"], s["minLength"] = "string", 1
		if len(k.enum) > 0 {
			s["enum"] = k.enum
		}
		if k.pattern != "" {
			s["pattern"] = k.pattern
		}
	case kindWhole:
		s["type"] = "integer"
		if k.most > 0 {
			s["minimum"], s["maximum"] = 1, k.most
		}
	case kindShare:
		s["type"], s["minimum"], s["maximum"] = "number", 0, 1
	case kindSwitch:
		s["type"] = "boolean"
	case kindList:
		s["type"], s["items"] = "array", schemaOf(k.item)
	case kindTable:
		s["type"], s["additionalProperties"] = "object", schemaOf(k.item)
		if k.names != "" {
			s["propertyNames"] = map[string]any{"pattern": k.names}
		}
	case kindObject:
		objectSchema(s, k)
	}
	return s
}

func objectSchema(s map[string]any, k *key) {
	properties, required := map[string]any{}, []string{}
	for _, sub := range k.keys {
		if sub.later != "" {
			continue
		}
		properties[sub.name] = schemaOf(sub)
		if sub.required {
			required = append(required, sub.name)
		}
	}
	s["type"], s["properties"], s["additionalProperties"] = "object", properties, false
	if len(required) > 0 {
		s["required"] = required
	}
}
