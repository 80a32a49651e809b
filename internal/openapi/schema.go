package openapi

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/tape"
)

// place is where a schema is used.
type place struct {
	use    direction
	parent string // component or operation, for reports
	mark   Mark   // what the use adds to x-sallyport
	rename string // x-sallyport.name
	part   bool   // one of allOf, anyOf, oneOf, if …: other parts describe the rest
}

// The keywords of 2020-12 by what stands in them. Everything else that a schema may hold is
// for readers only.
var (
	oneSchema  = []string{"items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else", "unevaluatedProperties", "unevaluatedItems"}
	listed     = []string{"allOf", "anyOf", "oneOf", "prefixItems"}
	named      = []string{"patternProperties", "dependentSchemas"}
	numeric    = []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
	counting   = []string{"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"}
	combinable = []string{"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$ref", "$dynamicRef"}
	forReaders = []string{"title", "description", "default", "example", "examples", "externalDocs", "deprecated", "readOnly", "writeOnly", "nullable",
		"$schema", "$id", "$anchor", "$dynamicAnchor", "$comment", "$defs", "definitions", "$vocabulary", "contentSchema", "collectionFormat",
		"allowEmptyValue", "enumDescriptions", "enumDeprecated", "annotations", "id"}
	otherRules = []string{"type", "format", "pattern", "enum", "const", "properties", "required", "uniqueItems", "dependentRequired", "$ref", "$dynamicRef"}
)

// schema writes one schema in the terms of 2020-12.
func (x *export) schema(u *unit, n node, p place) {
	switch {
	case n.kind() == tape.True || n.kind() == tape.False:
		u.w.raw([]byte(n.scalar()))
		return
	case !n.isObject():
		u.refuse(n, "found %s where a schema stands", n.noun())
		u.w.raw([]byte("true"))
		return
	}
	if target, ok := x.reference(u, n); ok {
		x.referring(u, n, target, p)
		return
	}
	nullable := isNullable(n)
	if nullable && wraps(n) {
		x.wrapped(u, n, p)
		return
	}
	u.w.open('{')
	x.annotations(u, n, p)
	x.rules(u, n, p, nullable)
	u.w.close('}')
}

// isNullable reads the word of OpenAPI 3.0 and its predecessor in Swagger.
func isNullable(n node) bool {
	return n.file.legacy && (n.get("nullable").isTrue() || n.get("x-nullable").isTrue())
}

// wraps reports whether null must be let in beside the whole schema, because a part of it
// would refuse null whatever type says.
func wraps(n node) bool {
	for _, key := range combinable {
		if n.get(key).ok() {
			return true
		}
	}
	return n.get("const").ok()
}

// wrapped writes "this, or null".
func (x *export) wrapped(u *unit, n node, p place) {
	u.w.open('{')
	x.annotations(u, n, p)
	p.mark, p.rename, p.part = Mark{}, "", true
	u.w.key("anyOf")
	u.w.open('[')
	if anyOf := n.get("anyOf"); anyOf.isArray() && !constrained(n, "anyOf") {
		for one := range anyOf.items() {
			x.schema(u, one, p)
		}
	} else {
		u.w.open('{')
		x.rules(u, n, p, true)
		u.w.close('}')
	}
	u.w.raw([]byte(`{"type":"null"}`))
	u.w.close(']')
	u.w.close('}')
}

// constrained reports whether a schema has a rule apart from one keyword.
func constrained(n node, apart string) bool {
	for key := range n.members() {
		if key != apart && isRule(key) {
			return true
		}
	}
	return false
}

func isRule(key string) bool {
	return slices.Contains(otherRules, key) || slices.Contains(oneSchema, key) || slices.Contains(listed, key) ||
		slices.Contains(named, key) || slices.Contains(numeric, key) || slices.Contains(counting, key)
}

// reference finds the target of a schema's reference. A reference that leads nowhere makes the
// unit unusable.
func (x *export) reference(u *unit, n node) (node, bool) {
	r := ref(n)
	if r == "" {
		return node{}, false
	}
	target, err := x.d.target(n, r)
	if err == nil {
		_, err = x.d.deref(target) // a circle of references alone
	}
	if err != nil {
		u.refuse(n, "%v", err)
		return node{}, false
	}
	return target, true
}

// referring writes a reference. In OpenAPI 3.0 what stands beside it has no effect, except that
// null is let in where the document says so; in 2020-12 it is a further rule.
func (x *export) referring(u *unit, n, target node, p place) {
	comp := x.component(target, p.use)
	u.need(comp)
	pointer := "#/components/schemas/" + comp.name
	nullable := isNullable(n)
	u.w.open('{')
	if !nullable {
		u.w.member("$ref", pointer)
	}
	x.annotations(u, n, p)
	if nullable {
		u.w.key("anyOf")
		u.w.open('[')
		u.w.open('{')
		u.w.member("$ref", pointer)
		u.w.close('}')
		u.w.raw([]byte(`{"type":"null"}`))
		u.w.close(']')
	}
	switch {
	case n.file.legacy:
		var without []string
		for key := range n.members() {
			if key != "$ref" && isRule(key) {
				without = append(without, key)
			}
		}
		if len(without) > 0 {
			u.note(n, "it has no effect, as OpenAPI 3.0 says", "%s beside $ref", strings.Join(without, ", "))
		}
	case constrained(n, "$ref"):
		p.part = true
		x.rules(u, n, p, false)
	}
	u.w.close('}')
}

// annotations writes title, the first sentence of the description, deprecated, and our own marks.
func (x *export) annotations(u *unit, n node, p place) {
	if title := words(n.get("title").text(), 80); title != "" {
		u.w.member("title", title)
	}
	u.w.member("description", words(n.get("description").text(), 160))
	u.w.flag("deprecated", n.get("deprecated").isTrue())
	u.w.notes(n.get("x-sallyport"), p.mark, p.rename)
}

// rules writes every keyword that decides about a value.
func (x *export) rules(u *unit, n node, p place, nullable bool) {
	types := x.types(u, n, nullable)
	x.object(u, n, p, types)
	for key, v := range n.members() {
		switch {
		case key == "type" || key == "properties" || key == "required":
		case key == "enum":
			x.enum(u, v, types, nullable)
		case key == "const" || key == "contentEncoding" || key == "contentMediaType":
			u.w.key(key)
			u.w.raw(v.json())
		case key == "format":
			if !v.isString() {
				u.note(v, "it is left out", "found %s where format is a string", v.noun())
				continue
			}
			u.w.member(key, v.text())
		case key == "pattern":
			x.pattern(u, v)
		case key == "uniqueItems":
			u.w.flag(key, v.isTrue())
		case key == "discriminator":
			x.discriminator(u, n, v, p)
		case key == "xml":
			if x.d.main.speaksXML() {
				u.w.key(key)
				u.w.raw(v.json())
			}
		case key == "dependentRequired":
			u.w.key(key)
			u.w.raw(v.json())
		case slices.Contains(numeric, key):
			x.bound(u, n, key, v)
		case slices.Contains(counting, key):
			x.counted(u, key, v)
		case slices.Contains(oneSchema, key):
			u.w.key(key)
			x.schema(u, v, place{use: p.use, parent: p.parent, part: slices.Contains(combinable, key)})
		case slices.Contains(listed, key):
			x.list(u, key, v, p)
		case slices.Contains(named, key):
			x.table(u, key, v, p)
		case key == "$ref" || key == "$dynamicRef" || strings.HasPrefix(key, "x-") || slices.Contains(forReaders, key):
		default:
			u.note(v, "it has no effect", "%q is not a keyword of %s", short(key), x.d.Family)
		}
	}
	if slices.Contains(types, "array") && !n.get("items").ok() && !n.get("prefixItems").ok() {
		u.note(n, "any element is taken", "an array without items")
		u.w.key("items")
		u.w.raw([]byte("{}"))
	}
	x.defaultValue(u, n, types)
}

// types writes the type, with null where that is let in.
func (x *export) types(u *unit, n node, nullable bool) []string {
	t := n.get("type")
	var names []string
	switch {
	case t.isString():
		names = []string{t.text()}
	case t.isArray():
		names = t.texts()
	case t.ok():
		u.refuse(t, "found %s where type is a name or a list of names", t.noun())
	}
	var good []string
	for _, name := range names {
		switch name {
		case "object", "array", "string", "integer", "number", "boolean", "null":
			good = append(good, name)
		case "any":
			return nil
		case "file":
			good = append(good, "string")
		default:
			u.refuse(t, "%s is not a type of JSON", t.shown())
		}
	}
	if nullable && len(good) > 0 && !slices.Contains(good, "null") {
		good = append(good, "null")
	}
	switch len(good) {
	case 0:
	case 1:
		u.w.member("type", good[0])
	default:
		u.w.texts("type", good)
	}
	return good
}

// enum writes the values. Where the type is text, YAML's bare numbers and words are text too.
func (x *export) enum(u *unit, v node, types []string, nullable bool) {
	if !v.isArray() || v.count() == 0 {
		u.note(v, "it is left out", "found %s where enum is a list of values", v.noun())
		return
	}
	onlyText := slices.Equal(types, []string{"string"}) || slices.Equal(types, []string{"string", "null"})
	u.w.key("enum")
	u.w.open('[')
	hasNull, mended := false, false
	seen := map[string]bool{}
	for item := range v.items() {
		text := item.json()
		if item.kind() == tape.Null {
			hasNull = true
		} else if onlyText && !item.isString() && item.kind() < tape.Array {
			mended = true
			text = tape.AppendString(nil, item.scalar())
		}
		if seen[string(text)] {
			continue
		}
		seen[string(text)] = true
		u.w.raw(text)
	}
	if mended {
		u.note(v, "they are read as text", "values without quotes in an enum of strings")
	}
	if nullable && !hasNull {
		u.w.raw([]byte("null"))
	}
	u.w.close(']')
}

// pattern writes a pattern that can be held. One that cannot makes the unit unusable, unless
// the operator gave it up.
func (x *export) pattern(u *unit, v node) {
	if !v.isString() {
		u.refuse(v, "found %s where a pattern is a string", v.noun())
		return
	}
	if x.hooks.Pattern != nil {
		if err := x.hooks.Pattern(v.text()); err != nil {
			if slices.Contains(x.hooks.Loose, v.pointer()) {
				u.note(v, "it is given up, as told; the value is not held to it", "the pattern %q cannot be held: %v", clip(v.text(), 60), err)
				return
			}
			u.refuse(v, "the pattern %q cannot be held: %v", clip(v.text(), 60), err)
			return
		}
	}
	u.w.key("pattern")
	u.w.str(v.text())
}

// bound writes a numeric bound; the boolean forms of OpenAPI 3.0 become numbers.
func (x *export) bound(u *unit, n node, key string, v node) {
	if !n.file.legacy && v.kind() != tape.Number || v.kind() != tape.Number && v.kind() != tape.True && v.kind() != tape.False && !jsonNumber.MatchString(v.text()) {
		u.note(v, "it is left out", "found %s where %s is a number", v.noun(), key)
		return
	}
	excluding := map[string]string{"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}
	switch v.kind() {
	case tape.True:
		for plain, exclusive := range excluding {
			if b := n.get(plain); exclusive == key && b.kind() == tape.Number {
				u.w.key(key)
				u.w.raw(b.json())
			}
		}
		return
	case tape.False:
		return
	case tape.String:
		u.note(v, "it is read as a number", "found a string where %s is a number", key)
	}
	if other, ok := excluding[key]; ok && n.file.legacy && n.get(other).isTrue() {
		return // the exclusive bound says it
	}
	u.w.key(key)
	u.w.raw([]byte(v.scalar()))
}

// counted writes a bound of length or number.
func (x *export) counted(u *unit, key string, v node) {
	text := v.scalar()
	if whole, _, ok := strings.Cut(text, ".0"); ok {
		text = whole
	}
	if i, err := strconv.Atoi(text); err != nil || i < 0 {
		u.note(v, "it is left out", "found %s where %s is a whole number from 0 on", v.shown(), key)
		return
	}
	if v.isString() {
		u.note(v, "it is read as a number", "found a string where %s is a number", key)
	}
	u.w.key(key)
	u.w.raw([]byte(text))
}

// discriminator writes which alternative a member's value tells: it does not decide about a
// value, but about which faults of it are told.
func (x *export) discriminator(u *unit, n, v node, p place) {
	property := v.get("propertyName").text()
	if property == "" || !n.get("oneOf").ok() && !n.get("anyOf").ok() {
		return
	}
	u.w.key("discriminator")
	u.w.open('{')
	u.w.member("propertyName", property)
	mapping := map[string]string{}
	for _, key := range []string{"oneOf", "anyOf"} {
		for part := range n.get(key).items() {
			if target, ok := x.reference(u, part); ok {
				mapping[nameOf(target)] = "#/components/schemas/" + x.component(target, p.use).name
			}
		}
	}
	for value, to := range v.get("mapping").members() {
		r := to.text()
		if pointer, known := mapping[r]; known {
			mapping[value] = pointer
		} else if target, err := x.d.target(v, r); err == nil {
			if pointer, known := mapping[nameOf(target)]; known {
				mapping[value] = pointer
			}
		}
	}
	if len(mapping) > 0 {
		u.w.key("mapping")
		u.w.open('{')
		for _, value := range slices.Sorted(maps.Keys(mapping)) {
			u.w.member(value, mapping[value])
		}
		u.w.close('}')
	}
	u.w.close('}')
}

func (x *export) list(u *unit, key string, v node, p place) {
	if !v.isArray() || v.count() == 0 {
		u.note(v, "it is left out", "found %s where %s is a list of schemas", v.noun(), key)
		return
	}
	u.w.key(key)
	u.w.open('[')
	for item := range v.items() {
		x.schema(u, item, place{use: p.use, parent: p.parent, part: key != "prefixItems"})
	}
	u.w.close(']')
}

func (x *export) table(u *unit, key string, v node, p place) {
	if !v.isObject() {
		u.note(v, "it is left out", "found %s where %s is an object of schemas", v.noun(), key)
		return
	}
	u.w.key(key)
	u.w.open('{')
	for name, item := range v.members() {
		if key == "patternProperties" && x.hooks.Pattern != nil {
			if err := x.hooks.Pattern(name); err != nil {
				u.refuse(item, "the pattern of names %q cannot be held: %v", short(name), err)
				continue
			}
		}
		u.w.key(name)
		x.schema(u, item, place{use: p.use, parent: p.parent, part: key == "dependentSchemas"})
	}
	u.w.close('}')
}

// defaultValue keeps a default that the schema itself takes, as far as a look tells.
func (x *export) defaultValue(u *unit, n node, types []string) {
	v := n.get("default")
	if !v.ok() || v.kind() >= tape.Array || len(v.scalar()) > 120 || n.get("pattern").ok() || n.get("format").ok() {
		return
	}
	if e := n.get("enum"); e.ok() {
		known := false
		for item := range e.items() {
			known = known || string(item.json()) == string(v.json())
		}
		if !known {
			return
		}
	}
	if len(types) == 1 && fits(v, types[0]) && !n.get("minLength").ok() {
		u.w.key("default")
		u.w.raw(v.json())
	}
}

func fits(v node, kind string) bool {
	switch kind {
	case "integer":
		return v.kind() == tape.Number && !strings.ContainsAny(v.scalar(), ".eE")
	case "number", "string", "boolean":
		return v.kind().String() == kind
	}
	return false
}
