package contract

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport/internal/problem"
)

// pair is one name and value, decoded.
type pair struct{ key, value string }

// splitPairs reads a query or a form body (WHATWG URL §5.1, but strict): & separates,
// + is a space, and a semicolon, a bad escape or invalid UTF-8 is an error, because
// parsers differ over them.
func splitPairs(raw string, code problem.Code) ([]pair, error) {
	if raw == "" {
		return nil, nil
	}
	if strings.ContainsRune(raw, ';') {
		return nil, problem.New(code, "a semicolon stands between parameters").WithHint("separate them with &; write %%3B where a value has a semicolon")
	}
	var out []pair
	for _, part := range strings.Split(raw, "&") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		key, err1 := url.QueryUnescape(key)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, refuse(code, "parameter %d is not percent-encoded UTF-8", len(out)+1)
		}
		if key == "" {
			return nil, refuse(code, "parameter %d has no name", len(out)+1)
		}
		if len(out) >= maxElements {
			return nil, refuse(code, "more than %d parameters", maxElements)
		}
		out = append(out, pair{key, value})
	}
	return out, nil
}

// splitKey reads root[name][0][]. ok is false for unbalanced or stray brackets.
func splitKey(key string) (root string, steps []string, ok bool) {
	open := strings.IndexByte(key, '[')
	if open < 0 {
		return key, nil, key != "" && !strings.Contains(key, "]")
	}
	root, rest := key[:open], key[open:]
	for rest != "" {
		end := strings.IndexByte(rest, ']')
		if rest[0] != '[' || end < 0 || strings.Contains(rest[1:end], "[") || len(steps) >= maxDepth-1 {
			return "", nil, false
		}
		steps = append(steps, rest[1:end])
		rest = rest[end+1:]
	}
	return root, steps, root != "" && !strings.Contains(root, "]")
}

// node is a form's structure before the schema has been asked: values, or members by name.
type node struct {
	values []string
	kids   map[string]*node
	names  []string
}

// add puts a value below the steps; false: a place is both a value and a structure.
func (n *node) add(steps []string, value string) bool {
	for _, step := range steps {
		if len(n.values) > 0 {
			return false
		}
		if n.kids == nil {
			n.kids = map[string]*node{}
		}
		if n.kids[step] == nil {
			n.kids[step] = &node{}
			n.names = append(n.names, step)
		}
		n = n.kids[step]
	}
	if n.kids != nil {
		return false
	}
	n.values = append(n.values, value)
	return true
}

// formReader turns nodes into values with the schema's help.
type formReader struct {
	style formStyle
	code  problem.Code
}

func (r formReader) value(n *node, ss []*Schema, where string) (any, error) {
	parts := flatten(ss)
	switch {
	case n.kids != nil:
		return r.structure(n, parts, where)
	case r.style == asCommas && allows(parts, isArray) && !allows(parts, isString) && len(n.values) == 1:
		return splitCommas(n.values[0], parts), nil
	case r.style == asRepeat && allows(parts, isArray) && (len(n.values) > 1 || !allows(parts, isString)):
		return r.list(n.values, parts), nil
	case len(n.values) > 1:
		return nil, problem.New(r.code, "%s stands %d times", where, len(n.values)).WithHint("%s takes one value", where)
	}
	return coerce(n.values[0], parts), nil
}

func (r formReader) list(values []string, parts []*Schema) []any {
	items := flatten(elements(parts))
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = coerce(v, items)
	}
	return list
}

// structure reads members: an array written a[]= or a[0]=, or an object.
func (r formReader) structure(n *node, parts []*Schema, where string) (any, error) {
	if appended := n.kids[""]; appended != nil {
		switch {
		case len(n.kids) > 1:
			return nil, refuse(r.code, "%s mixes [] with other indexes", where)
		case appended.kids != nil:
			return nil, problem.New(r.code, "%s[] has members, so it is not clear which belong together", where).
				WithHint("write %s[0][…], %s[1][…]", where, where)
		}
		return r.list(appended.values, parts), nil
	}
	if !allows(parts, isArray) || allows(parts, isObject) && !allIndexes(n.names) {
		return r.object(n, parts, where)
	}
	list := make([]any, len(n.names))
	for i := range list {
		kid := n.kids[strconv.Itoa(i)]
		if kid == nil {
			return nil, problem.New(r.code, "%s has %d elements but none at [%d]", where, len(list), i).
				WithHint("write the indexes 0, 1, 2, … without gaps")
		}
		v, err := r.value(kid, elements(parts), where+"["+strconv.Itoa(i)+"]")
		if err != nil {
			return nil, err
		}
		list[i] = v
	}
	return list, nil
}

func allIndexes(names []string) bool {
	for _, s := range names {
		if numberShape(s) != plainInteger || s[0] == '-' {
			return false
		}
	}
	return true
}

func (r formReader) object(n *node, parts []*Schema, where string) (any, error) {
	m := make(map[string]any, len(n.names))
	for _, name := range n.names {
		kids, _ := members(parts, name)
		below := name
		if !pathName(name) || showName(name)[0] != '"' {
			below = "{" + showName(name) + "}"
		}
		if where != "" {
			below = where + "." + below
		}
		v, err := r.value(n.kids[name], kids, below)
		if err != nil {
			return nil, err
		}
		m[name] = v
	}
	return m, nil
}

// coerce reads a scalar as the type that parts want. A string stays a string where the
// contract takes that string; else it becomes true, false or a number if it is written
// exactly so; else it stays a string and the check will refuse it.
func coerce(s string, parts []*Schema) any {
	w := newWalker(false)
	var number, boolean bool
	for _, p := range parts {
		t := p.rules.types
		if p.rules.anything || t&isString != 0 && fitsText(w, p, s) {
			return s
		}
		number = number || t&isNumber != 0 || t&isInteger != 0 && numberShape(s) == plainInteger
		boolean = boolean || t&isBool != 0
		number = number || t == 0 && holdsNumber(p)
		boolean = boolean || t == 0 && p.Const == true
	}
	switch shape := numberShape(s); {
	case boolean && (s == "true" || s == "false"):
		return s == "true"
	case number && (shape == plainInteger || shape == otherNumber):
		return json.Number(s)
	}
	return s
}

func fitsText(w *walker, p *Schema, s string) bool {
	_, want := w.scalarFault(p, s, unlisted)
	_, bad := enumFault(p, s)
	return want == "" && !bad
}

// holdsNumber reports whether an untyped enumeration has numbers.
func holdsNumber(p *Schema) bool {
	for _, v := range append([]any{p.Const}, p.Enum...) {
		if _, ok := v.(json.Number); ok {
			return true
		}
	}
	return false
}
