package openapi

import (
	"slices"
	"strings"

	"sallyport/internal/tape"
)

// object writes properties, required and additionalProperties.
func (x *export) object(u *unit, n node, p place, types []string) {
	properties := n.get("properties")
	if properties.ok() && !properties.isObject() {
		u.refuse(properties, "found %s where properties is an object of schemas", properties.noun())
		return
	}
	required := x.required(u, n, p)
	listed := map[string]bool{}
	if properties.ok() || len(required) > 0 && !p.part && !n.get("additionalProperties").ok() && !composed(n) {
		u.w.key("properties")
		u.w.open('{')
		for name, v := range properties.members() {
			if x.hidden(v, p.use) {
				continue
			}
			listed[name] = true
			u.w.key(name)
			x.property(u, name, v, p)
		}
		x.undescribed(u, n, p, required, listed)
		u.w.close('}')
	}
	u.w.texts("required", required)
	x.others(u, n, types)
}

// undescribed adds the names that are required but described nowhere.
func (x *export) undescribed(u *unit, n node, p place, required []string, listed map[string]bool) {
	if p.part || composed(n) || n.get("additionalProperties").ok() || n.get("patternProperties").ok() || ref(n) != "" {
		return
	}
	for _, name := range required {
		if !listed[name] {
			u.note(n, "any value is taken there", "%q is required but described nowhere", short(name))
			u.w.key(name)
			u.w.raw([]byte("{}"))
		}
	}
}

func composed(n node) bool {
	for _, key := range combinable {
		if n.get(key).ok() {
			return true
		}
	}
	return false
}

// others writes additionalProperties. An object of which nothing is said is free, in OpenAPI;
// our contract wants that written down.
func (x *export) others(u *unit, n node, types []string) {
	v := n.get("additionalProperties")
	if v.ok() {
		return // written with the other schemas
	}
	if slices.Contains(types, "object") && !n.get("properties").ok() && !composed(n) && !n.get("patternProperties").ok() && !n.get("required").ok() {
		u.w.flag("additionalProperties", true)
	}
}

// hidden reports whether a member does not belong into this direction: what is readOnly is not
// sent, what is writeOnly does not come back.
func (x *export) hidden(v node, use direction) bool {
	word := ""
	switch use {
	case inRequest:
		word = "readOnly"
	case inAnswer:
		word = "writeOnly"
	default:
		return false
	}
	for range maxHops {
		if v.get(word).isTrue() {
			return true
		}
		r := ref(v)
		if r == "" {
			return false
		}
		target, err := x.d.target(v, r)
		if err != nil {
			return false
		}
		v = target
	}
	return false
}

// required lists the names that must be there in this direction, each once, in order. The boolean
// form inside of a property, which is not OpenAPI but often seen, counts.
func (x *export) required(u *unit, n node, p place) []string {
	var names []string
	properties := n.get("properties")
	known, seen := map[string]node{}, map[string]bool{}
	if n.get("required").ok() || n.get(neededInRequest).ok() {
		for name, v := range properties.members() {
			known[name] = v
		}
	}
	add := func(name string) {
		if !seen[name] && !x.hidden(known[name], p.use) {
			seen[name] = true
			names = append(names, name)
		}
	}
	switch list := n.get("required"); {
	case list.isArray():
		for item := range list.items() {
			if item.isString() {
				add(item.text())
			} else {
				u.note(item, "it is left out", "found %s where required lists names", item.noun())
			}
		}
	case list.ok() && list.kind() != tape.True && list.kind() != tape.False:
		u.note(list, "it is left out", "found %s where required is a list of names", list.noun())
	}
	if p.use == inRequest {
		for _, name := range n.get(neededInRequest).texts() {
			add(name)
		}
	}
	for name, v := range properties.members() {
		if v.get("required").isTrue() {
			u.note(v.get("required"), "the object that it stands in requires it", "required: true inside of a property")
			known[name] = v
			add(name)
		}
	}
	return names
}

// property writes one member of an object, with the mark that it gets.
func (x *export) property(u *unit, name string, v node, p place) {
	inner := place{use: p.use, parent: u.name}
	if p.use != inAnswer && !goodName(name) {
		inner.rename = pathName(name)
	}
	inner.mark = x.mark(u, Field{Name: name, Request: p.use != inAnswer}, v)
	x.schema(u, v, inner)
}

// mark asks what is known of a field, and keeps the answer for the report.
func (x *export) mark(u *unit, f Field, v node) Mark {
	if x.hooks.Mark == nil || v.at("x-sallyport", "data").ok() {
		return Mark{}
	}
	resolved, err := x.d.deref(v)
	if err != nil {
		return Mark{}
	}
	f.Parent, f.Format = u.name, resolved.get("format").text()
	f.WriteOnly = v.get("writeOnly").isTrue() || resolved.get("writeOnly").isTrue()
	f.PII = orElse(v.at("x-twilio", "pii", "handling").text(), resolved.at("x-twilio", "pii", "handling").text())
	f.Types = x.typesOf(resolved, 0)
	f.Listed = resolved.get("enum").ok() || resolved.get("const").ok()
	m := x.hooks.Mark(f)
	if m.Data != "" || m.ID || m.URL {
		u.marks = append(u.marks, Marked{Where: u.name + "." + f.Name, Data: m.Data, ID: m.ID, URL: m.URL, Why: m.Why})
	}
	return m
}

// typesOf are the types that a value may have, as far as the schema itself and its alternatives say.
func (x *export) typesOf(n node, depth int) []string {
	types := n.get("type").texts()
	if t := n.get("type").text(); t != "" {
		types = []string{t}
	}
	if len(types) == 0 && n.get("properties").ok() {
		types = []string{"object"}
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		for part := range n.get(key).items() {
			if part, err := x.d.deref(part); err == nil && depth < 4 {
				types = append(types, x.typesOf(part, depth+1)...)
			}
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// bodyNames lists the top-level names of a request body; ok is false where it is no object with
// properties.
func (x *export) bodyNames(n node, depth int) (names []string, ok bool) {
	if depth > maxHops {
		return nil, false
	}
	if r := ref(n); r != "" {
		if target, err := x.d.target(n, r); err == nil {
			names, ok = x.bodyNames(target, depth+1)
		}
	}
	for name, v := range n.get("properties").members() {
		if !x.hidden(v, inRequest) {
			names, ok = append(names, name), true
		}
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		for part := range n.get(key).items() {
			more, found := x.bodyNames(part, depth+1)
			names, ok = append(names, more...), ok || found
		}
	}
	slices.Sort(names)
	return slices.Compact(names), ok
}

// nested reports whether a form's body holds more than plain values and lists of them.
func (x *export) nested(n node, depth int) bool {
	n, err := x.d.deref(n)
	if err != nil || depth > 8 {
		return false
	}
	for _, v := range n.get("properties").members() {
		v, err := x.d.deref(v)
		if err != nil {
			continue
		}
		inner := v
		if items := v.get("items"); items.ok() {
			if inner, err = x.d.deref(items); err != nil {
				continue
			}
		}
		if inner.get("properties").ok() || inner.get("additionalProperties").isObject() || strings.Contains(inner.get("type").text(), "object") {
			return true
		}
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		for part := range n.get(key).items() {
			if x.nested(part, depth+1) {
				return true
			}
		}
	}
	return false
}
