package schematest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Where schemas stand in a schema.
var (
	placeOne  = []string{"not", "if", "then", "else"}                                                                               // applied in place
	placeList = []string{"allOf", "anyOf", "oneOf"}                                                                                 // applied in place
	childOne  = []string{"items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties"} // applied below
	childMap  = []string{"properties", "patternProperties"}                                                                         // applied below
)

// Each calls do for each schema that stands directly in a schema; inPlace tells whether it
// applies to the same value. What do returns takes its place.
func Each(schema map[string]any, do func(sub any, inPlace bool) any) {
	one := func(keys []string, inPlace bool) {
		for _, k := range keys {
			if s, ok := schema[k]; ok {
				schema[k] = do(s, inPlace)
			}
		}
	}
	one(placeOne, true)
	one(childOne, false)
	for _, k := range placeList {
		eachIn(schema[k], true, do)
	}
	eachIn(schema["prefixItems"], false, do)
	eachIn(schema["dependentSchemas"], true, do)
	for _, k := range childMap {
		eachIn(schema[k], false, do)
	}
}

func eachIn(v any, inPlace bool, do func(any, bool) any) {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = do(v[i], inPlace)
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			v[k] = do(v[k], inPlace)
		}
	}
}

// Open gives the document for a validator of JSON Schema that is to judge as Sallyport judges
// answers: oneOf reads as anyOf, and a name that is not listed is no fault.
func Open(doc any) any {
	return rewriteAll(Copy(doc), func(s map[string]any) {
		openAlternatives(s)
		for _, k := range []string{"additionalProperties", "unevaluatedProperties"} {
			if s[k] == false {
				delete(s, k)
			}
		}
	})
}

func openAlternatives(s map[string]any) {
	one, ok := s["oneOf"].([]any)
	if !ok {
		return
	}
	delete(s, "oneOf")
	if _, both := s["anyOf"]; both {
		s["allOf"] = append(list(s["allOf"]), map[string]any{"anyOf": one})
		return
	}
	s["anyOf"] = one
}

// rewriteAll changes every schema object of a document, definitions included, from the inside out.
func rewriteAll(v any, change func(map[string]any)) any {
	s, ok := v.(map[string]any)
	if !ok {
		return v
	}
	Each(s, func(sub any, _ bool) any { return rewriteAll(sub, change) })
	eachIn(s["$defs"], false, func(sub any, _ bool) any { return rewriteAll(sub, change) })
	change(s)
	return s
}

// Close gives the document for a validator of JSON Schema that is to judge as Sallyport judges
// requests: unevaluatedProperties and unevaluatedItems are false at each composition root, that
// is each schema applied to a value from outside. A schema that says nothing about members, nor
// a type, lets everything through, unless another part of the same root speaks about members;
// whether it does may depend on the value, and then ok is false: no schema can say that.
func Close(doc any) (closed any, ok bool) {
	c := closer{root: doc, ok: true}
	out := c.open(Copy(doc))
	if root, isObject := out.(map[string]any); isObject {
		if defs, has := root["$defs"].(map[string]any); has {
			for _, k := range sortedKeys(defs) {
				defs[k] = c.open(defs[k])
			}
		}
		defs := root["$defs"]
		delete(root, "$defs")
		out = c.wrap(doc, root)
		if defs != nil {
			out.(map[string]any)["$defs"] = defs
		}
	}
	return out, c.ok
}

// Root is the pointer, in the documents of CloseAt and OpenAt, of the schema that stood at a pointer.
func Root(pointer string) string { return Pointer("$defs", pointer) }

// CloseAt is Close for a document of OpenAPI: each of roots, a pointer, stands at Root(pointer) as
// a composition root. unclear are the roots that reach a schema for which Close would say no.
func CloseAt(doc map[string]any, roots []string) (closed any, unclear map[string]bool) {
	defs, bad := map[string]any{}, map[string]bool{}
	unclear = map[string]bool{}
	for ref, v := range referred(doc, roots) {
		c := closer{root: doc, ok: true}
		defs[ref] = c.open(Copy(v))
		bad[ref] = !c.ok
	}
	for _, pointer := range roots {
		before, _ := Resolve(doc, "#"+pointer)
		c := closer{root: doc, ok: true}
		defs[pointer] = c.wrap(before, c.open(Copy(before)))
		unclear[pointer] = !c.ok || reaches(doc, before, bad, map[string]bool{})
	}
	return asDefs(defs), unclear
}

// OpenAt is Open for a document of OpenAPI, with each of roots at Root(pointer).
func OpenAt(doc map[string]any, roots []string) any {
	defs := map[string]any{}
	for ref, v := range referred(doc, roots) {
		defs[ref] = Open(v)
	}
	for _, pointer := range roots {
		v, _ := Resolve(doc, "#"+pointer)
		defs[pointer] = Open(v)
	}
	return asDefs(defs)
}

// referred gives all schemas that the roots reach by $ref, by reference.
func referred(doc map[string]any, roots []string) map[string]any {
	found := map[string]any{}
	var look func(v any)
	look = func(v any) {
		eachObject(v, func(s map[string]any) {
			ref, ok := s["$ref"].(string)
			if _, known := found[ref]; !ok || known {
				return
			}
			if target, ok := Resolve(doc, ref); ok {
				found[ref] = target
				look(target)
			}
		})
	}
	for _, pointer := range roots {
		v, _ := Resolve(doc, "#"+pointer)
		look(v)
	}
	return found
}

// asDefs makes the schemas definitions of one schema, and references follow them.
func asDefs(defs map[string]any) any {
	doc := map[string]any{"$defs": defs}
	eachObject(doc, func(s map[string]any) {
		if ref, ok := s["$ref"].(string); ok && strings.HasPrefix(ref, "#/") {
			s["$ref"] = "#" + escapeFragment(Pointer("$defs", ref))
		}
	})
	return doc
}

func eachObject(v any, do func(map[string]any)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			eachObject(e, do)
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			eachObject(v[k], do)
		}
		do(v)
	}
}

// reaches tells whether a schema refers, over any number of others, to a bad one.
func reaches(doc, v any, bad, seen map[string]bool) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return reaches(doc, e, bad, seen) })
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && !seen[ref] {
			seen[ref] = true
			if target, ok := Resolve(doc, ref); bad[ref] || ok && reaches(doc, target, bad, seen) {
				return true
			}
		}
		for _, k := range sortedKeys(v) {
			if reaches(doc, v[k], bad, seen) {
				return true
			}
		}
	}
	return false
}

type closer struct {
	root any
	ok   bool
}

// open rewrites a schema where it applies in place: its children become roots.
func (c *closer) open(v any) any {
	s, ok := v.(map[string]any)
	if !ok {
		if v == true {
			return map[string]any{"additionalProperties": true, "items": true}
		}
		return v
	}
	opening := opens(s)
	Each(s, func(sub any, inPlace bool) any {
		before := Copy(sub)
		after := c.open(sub)
		if inPlace {
			return after
		}
		return c.wrap(before, after)
	})
	if opening {
		s["additionalProperties"], s["items"] = true, true
	}
	return s
}

// wrap closes a root: before is the schema as it stood, after the one to apply.
func (c *closer) wrap(before, after any) any {
	mayOpen, maySpeak := c.says(before, 0)
	if mayOpen && maySpeak {
		c.ok = false
	}
	return map[string]any{"allOf": []any{after}, "unevaluatedProperties": false, "unevaluatedItems": false}
}

// says tells whether some part in place may let everything through, and whether one may speak about members.
func (c *closer) says(v any, depth int) (mayOpen, maySpeak bool) {
	s, ok := v.(map[string]any)
	if !ok {
		return v == true, false
	}
	if depth > 30 {
		return false, false
	}
	mayOpen, maySpeak = opens(s), speaks(s)
	add := func(sub any) {
		o, p := c.says(sub, depth+1)
		mayOpen, maySpeak = mayOpen || o, maySpeak || p
	}
	if ref, ok := s["$ref"].(string); ok {
		if target, ok := Resolve(c.root, ref); ok {
			add(target)
		}
	}
	Each(maps.Clone(s), func(sub any, inPlace bool) any {
		if inPlace {
			add(sub)
		}
		return sub
	})
	return mayOpen, maySpeak
}

func has(s map[string]any, keys ...string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { _, ok := s[k]; return ok })
}

func speaks(s map[string]any) bool {
	return has(s, "properties", "patternProperties", "additionalProperties", "items", "prefixItems", "contains", "unevaluatedProperties", "unevaluatedItems")
}

func opens(s map[string]any) bool {
	return !speaks(s) && !has(s, "type", "required", "$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas")
}

// Modern gives the schemas of an OpenAPI 3.0 document as JSON Schema 2020-12, in their places:
// nullable, boolean exclusive bounds, $ref without what stands beside it. It rewrites every
// object of the document that looks like a schema, which the pointers of a test select from.
func Modern(doc any) any {
	out := Copy(doc)
	modern(out)
	return out
}

// byName are the keys whose members have names of the document's choice.
var byName = []string{"properties", "patternProperties", "schemas", "responses", "parameters", "headers", "content", "paths", "callbacks",
	"requestBodies", "components", "links", "encoding", "securitySchemes", "definitions"}

func modern(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			modern(e)
		}
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			clear(v)
			v["$ref"] = ref
			return
		}
		for _, k := range sortedKeys(v) {
			named, isMap := v[k].(map[string]any)
			switch {
			case isMap && slices.Contains(byName, k):
				for _, n := range sortedKeys(named) {
					modern(named[n])
				}
			case k != "example" && k != "examples" && k != "enum" && k != "default":
				modern(v[k])
			}
		}
		modernObject(v)
	}
}

func modernObject(s map[string]any) {
	for key, bound := range map[string]string{"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"} {
		switch s[key] {
		case true:
			if b, ok := s[bound].(json.Number); ok {
				s[key] = b
				delete(s, bound)
			} else {
				delete(s, key)
			}
		case false:
			delete(s, key)
		}
	}
	for _, k := range []string{"example", "examples", "default", "discriminator", "xml", "externalDocs"} {
		delete(s, k)
	}
	if s["nullable"] == true {
		delete(s, "nullable")
		inner := maps.Clone(s)
		clear(s)
		s["anyOf"] = []any{map[string]any{"type": "null"}, inner}
	}
}

// Pointer escapes the steps of a JSON pointer and joins them.
func Pointer(steps ...string) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(s))
	}
	return b.String()
}

// Reducible gives the document without the rules that a value may keep only with members that
// the schema does not know: leaving those out would break them.
func Reducible(doc any) any {
	return rewriteAll(Copy(doc), func(s map[string]any) {
		for _, k := range []string{"not", "if", "then", "else", "minProperties", "minItems", "contains", "minContains", "maxContains", "uniqueItems", "dependentRequired", "dependentSchemas"} {
			delete(s, k)
		}
		var plain []any // a container that has to be one of some is not to be reduced
		for _, v := range list(s["enum"]) {
			if t := TypeOf(v); t != "array" && t != "object" {
				plain = append(plain, v)
			}
		}
		if delete(s, "enum"); plain != nil {
			s["enum"] = plain
		}
		if t := TypeOf(s["const"]); t == "array" || t == "object" {
			delete(s, "const")
		}
		props, _ := s["properties"].(map[string]any)
		var listed []any
		for _, n := range list(s["required"]) {
			if _, ok := props[n.(string)]; ok {
				listed = append(listed, n)
			}
		}
		if delete(s, "required"); listed != nil {
			s["required"] = listed
		}
	})
}

// Sprinkle adds a member with a name that no schema has to every object of a value.
func Sprinkle(v any) any {
	out := Copy(v)
	eachObject(out, func(m map[string]any) { m["unheard§"] = json.Number("1") })
	return out
}

// NamesUndescribed tells whether a schema, or one that it reaches, requires a member that it does
// not describe: leaving out what is not described then breaks it.
func NamesUndescribed(doc map[string]any, pointer string) bool {
	found := false
	look := func(v any) {
		eachObject(v, func(s map[string]any) {
			props, ok := s["properties"].(map[string]any)
			for _, n := range list(s["required"]) {
				if name, _ := n.(string); ok && props[name] == nil && !has(s, "additionalProperties") {
					found = true
				}
			}
		})
	}
	v, _ := Resolve(doc, "#"+pointer)
	look(v)
	for _, target := range referred(doc, []string{pointer}) {
		look(target)
	}
	return found
}
