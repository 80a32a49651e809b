package provider_test

import (
	"fmt"
	"slices"
	"strings"
)

// compare holds a schema of ours against the official ones for the same place (any of
// which may apply).
func (c *checker) compare(where string, ours tree, theirs []tree) {
	key := fmt.Sprintf("%p %p %v", deref(c.ours, ours), deref(c.official.doc, theirs[0]), c.reading)
	if c.seen[key] || len(c.found) > 200 {
		return
	}
	c.seen[key] = true
	mine := shapes(c.ours, ours)
	var known []shape
	for _, t := range theirs {
		known = append(known, expansions(t, shapes(c.official.doc, t))...)
	}
	for _, s := range mine {
		c.compareShape(where, s, known)
	}
	if c.reading {
		c.understood(where, mine, known)
	}
}

// expansions marks the object alternatives that Stripe sends only when expand[] names
// the field.
func expansions(schema tree, list []shape) []shape {
	if schema["x-expansionResources"] != nil {
		for i := range list {
			list[i].expandable = list[i].kind == "object"
		}
	}
	return list
}

func (c *checker) compareShape(where string, ours shape, known []shape) {
	fit := candidates(c, ours, known)
	if len(fit) == 0 {
		c.add(where, "is %s in ours; officially it is %s", ours.kind, kindNames(known))
		return
	}
	if slices.ContainsFunc(fit, func(s shape) bool { return s.kind == "any" && len(s.enum) == 0 }) {
		return
	}
	switch ours.kind {
	case "object":
		c.compareObject(where, ours, fit)
	case "array":
		var items []tree
		for _, s := range fit {
			items = append(items, s.items...)
		}
		if len(ours.items) > 0 && len(items) > 0 {
			c.compare(where+"[]", ours.items[0], items)
		}
	default:
		c.compareValues(where, ours, fit)
		c.compareBounds(where, ours, fit)
	}
}

// candidates are the official alternatives that a shape of ours can stand for.
func candidates(c *checker, ours shape, known []shape) []shape {
	var fit []shape
	for _, s := range known {
		if s.kind == ours.kind || s.kind == "any" || ours.kind == "integer" && s.kind == "number" {
			fit = append(fit, s)
		}
	}
	if ours.kind != "object" || len(fit) < 2 {
		return fit
	}
	var tagged []shape
	for _, s := range fit {
		if !contradicts(c, ours, s) {
			tagged = append(tagged, s)
		}
	}
	if len(tagged) == 0 {
		return fit
	}
	return tagged
}

// contradicts reports whether a fixed value of ours (object: "customer") is not among
// the values of the official alternative.
func contradicts(c *checker, ours, theirs shape) bool {
	for name, p := range ours.properties {
		mine := shapes(c.ours, p[0])
		if len(mine) != 1 || len(mine[0].enum) != 1 || len(theirs.properties[name]) == 0 {
			continue
		}
		other := shapes(c.official.doc, theirs.properties[name][0])
		if len(other) == 1 && len(other[0].enum) > 0 && !slices.Contains(texts(other[0].enum), text(mine[0].enum[0])) {
			return true
		}
	}
	return false
}

func (c *checker) compareObject(where string, ours shape, fit []shape) {
	for _, name := range sorted(ours.properties) {
		at := where + "." + name
		var theirs []tree
		for _, s := range fit {
			theirs = append(theirs, s.properties[name]...)
		}
		if c.excused(at, ours.properties[name][0], len(theirs) > 0) || len(theirs) == 0 {
			continue
		}
		c.compare(at, ours.properties[name][0], theirs)
	}
	c.compareMap(where, ours, fit)
	c.compareRequired(where, ours, fit)
}

// compareMap checks free keys, such as those of metadata.
func (c *checker) compareMap(where string, ours shape, fit []shape) {
	values := object(ours.additional)
	if values == nil && ours.additional != true {
		return
	}
	for _, s := range fit {
		if s.additional == true || len(s.properties) == 0 && s.additional == nil {
			return
		}
		if theirs := object(s.additional); theirs != nil {
			if values != nil && len(theirs) > 0 {
				c.compare(where+".*", values, []tree{theirs})
			}
			return
		}
	}
	c.add(where, "takes any key in ours; officially its keys are listed")
}

// compareRequired: a request must hold what the provider requires; an answer may not
// be refused for want of what the provider may leave out.
func (c *checker) compareRequired(where string, ours shape, fit []shape) {
	for _, name := range sorted(ours.required) {
		if c.reading && !c.unlisted(ours, name) && slices.ContainsFunc(fit, func(s shape) bool { return len(s.properties[name]) > 0 && !s.required[name] }) {
			c.add(where+"."+name, "is required in our answer; officially it may be absent")
		}
	}
	if c.reading {
		return
	}
	missing := map[string]bool{}
	for name := range fit[0].required {
		if !ours.required[name] && !c.gateSets(name) {
			missing[name] = true
		}
	}
	for _, s := range fit[1:] {
		for name := range missing {
			if !s.required[name] {
				delete(missing, name)
			}
		}
	}
	for _, name := range sorted(missing) {
		c.add(where+"."+name, "is required officially and not required in ours")
	}
}

func (c *checker) unlisted(ours shape, name string) bool {
	return len(ours.properties[name]) > 0 && extension(ours.properties[name][0])["official"] != nil
}

func (c *checker) compareValues(where string, ours shape, fit []shape) {
	var allowed []string
	closed := true
	for _, s := range fit {
		closed = closed && len(s.enum) > 0
		allowed = append(allowed, texts(s.enum)...)
	}
	if !closed {
		return
	}
	for _, v := range ours.enum {
		if !slices.Contains(allowed, text(v)) {
			c.add(where, "%q is not one of the official values %s", text(v), strings.Join(allowed, ", "))
		}
	}
	if len(ours.enum) == 0 || !c.reading {
		return
	}
	for _, v := range allowed {
		if !slices.Contains(texts(ours.enum), v) {
			c.add(where, "the provider may send %q, which our enum refuses", v)
		}
	}
}

// compareBounds: a request may be narrower than the official one, an answer wider.
func (c *checker) compareBounds(where string, ours shape, fit []shape) {
	for _, key := range []string{"maxLength", "maximum", "minimum"} {
		mine, ok := ours.bounds[key]
		loosest, all := 0.0, true
		for i, s := range fit {
			b, has := s.bounds[key]
			all = all && has
			if i == 0 || (key == "minimum") == (b < loosest) {
				loosest = b
			}
		}
		switch {
		case !c.reading && all && ok && (key == "minimum") == (mine < loosest) && mine != loosest:
			c.add(where, "%s is %v; officially it is %v", key, mine, loosest)
		case c.reading && all && ok && (key == "minimum") == (mine > loosest) && mine != loosest:
			c.add(where, "%s is %v in our answer; officially it is %v", key, mine, loosest)
		}
	}
}

// understood: every type that the provider may send must be one of ours.
func (c *checker) understood(where string, mine, known []shape) {
	for _, s := range known {
		if s.expandable || s.kind == "any" {
			continue
		}
		if !slices.ContainsFunc(mine, func(m shape) bool {
			return m.kind == s.kind || m.kind == "any" || m.kind == "number" && s.kind == "integer"
		}) {
			c.add(where, "the provider may send %s, which ours refuses (it takes %s)", s.kind, kindNames(mine))
		}
	}
}

func kindNames(list []shape) string {
	var names []string
	for _, s := range list {
		if !slices.Contains(names, s.kind) {
			names = append(names, s.kind)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " or ")
}

func text(v any) string { return fmt.Sprint(v) }

func texts(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = text(v)
	}
	return out
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
