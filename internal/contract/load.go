package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const maxLoadFaults = 100

// loader turns a decoded document into operations and collects every fault.
type loader struct {
	name    string
	root    *object
	faults  []error
	schemas map[schemaKey]*Schema
	later   []wrapper // references with annotations beside them
	// patterns are shared: a contract uses few different ones, many times.
	patterns map[string]*regexp.Regexp
}

// schemaKey: one schema text is compiled once for requests and once for answers,
// because objects of requests are closed.
type schemaKey struct {
	node    *object
	request bool
}

func newLoader(name string) *loader {
	return &loader{name: name, schemas: map[schemaKey]*Schema{}, patterns: map[string]*regexp.Regexp{}}
}

func (l *loader) broken(err error) error { return fmt.Errorf("load contract %s: %w", l.name, err) }

func (l *loader) err() error { return l.broken(errors.Join(l.faults...)) }

// fault records a fault at a JSON pointer.
func (l *loader) fault(at, format string, args ...any) {
	if len(l.faults) < maxLoadFaults {
		l.faults = append(l.faults, fmt.Errorf("%s#%s: %s", l.name, at, fmt.Sprintf(format, args...)))
	}
}

func point(at, key string) string {
	if strings.ContainsAny(key, "~/") {
		key = strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
	}
	return at + "/" + key
}

// keys refuses members that the engine does not know.
func (l *loader) keys(o *object, at string, allowed ...string) {
	for _, k := range o.keys {
		if slices.Contains(allowed, k) || strings.HasPrefix(k, "x-") && !strings.HasPrefix(k, "x-sallyport") {
			continue
		}
		near := ""
		if n := nearest(k, allowed); n != "" {
			near = "; did you mean " + n + "?"
		}
		l.fault(at, "%q is not known here%s (known: %s)", k, near, strings.Join(allowed, ", "))
	}
}

// object gives a member that must be an object, or nil.
func (l *loader) object(o *object, at, key string) *object {
	v, ok := o.values[key]
	if !ok {
		return nil
	}
	child, ok := v.(*object)
	if !ok {
		l.fault(point(at, key), "found %s; write an object", kind(v))
		return nil
	}
	return child
}

func (l *loader) list(o *object, at, key string) []any {
	v, ok := o.values[key]
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		l.fault(point(at, key), "found %s; write an array", kind(v))
	}
	return list
}

func (l *loader) text(o *object, at, key string) string {
	v, ok := o.values[key]
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		l.fault(point(at, key), "found %s; write a string", kind(v))
	}
	return s
}

func (l *loader) flag(o *object, at, key string) bool {
	v, ok := o.values[key]
	if !ok {
		return false
	}
	b, ok := v.(bool)
	if !ok {
		l.fault(point(at, key), "found %s; write true or false", kind(v))
	}
	return b
}

func (l *loader) texts(o *object, at, key string) []string {
	var out []string
	for i, v := range l.list(o, at, key) {
		s, ok := v.(string)
		if !ok {
			l.fault(point(point(at, key), strconv.Itoa(i)), "found %s; write a string", kind(v))
			continue
		}
		out = append(out, s)
	}
	return out
}

// count gives a member that must be a whole number from 0 on; nil when absent.
func (l *loader) count(o *object, at, key string) *int {
	v, ok := o.values[key]
	if !ok {
		return nil
	}
	n, isNumber := v.(json.Number)
	i, err := strconv.Atoi(string(n))
	if !isNumber || err != nil || i < 0 {
		l.fault(point(at, key), "found %s; write a whole number from 0 on", kind(v))
		return nil
	}
	return &i
}

// kind names a JSON value's type for errors about our own documents.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return strconv.Quote(v)
	case json.Number:
		return "the number " + string(v)
	case []any:
		return "an array"
	}
	return "an object"
}

// deref follows "$ref" until something else stands there. at becomes the pointer of
// the target. A reference outside the document, a missing target and a circle of
// references alone are faults; the result is then nil.
func (l *loader) deref(o *object, at string) (*object, string) {
	for range 32 {
		ref, ok := o.values["$ref"].(string)
		if !ok {
			return o, at
		}
		target := l.target(ref, at)
		if target == nil {
			return nil, at
		}
		o, at = target, strings.TrimPrefix(ref, "#")
	}
	l.fault(at, "references go round in a circle")
	return nil, at
}

func (l *loader) target(ref, at string) *object {
	pointer, local := strings.CutPrefix(ref, "#/")
	if !local {
		l.fault(at, "$ref %q leaves the document; write #/components/…", ref)
		return nil
	}
	var v any = l.root
	for _, step := range strings.Split(pointer, "/") {
		o, ok := v.(*object)
		if !ok {
			v = nil
			break
		}
		v = o.values[strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")]
	}
	o, ok := v.(*object)
	if !ok {
		l.fault(at, "$ref %q points to nothing", ref)
		return nil
	}
	return o
}

// decode reads plain data (an annotation) into a struct, refusing unknown members.
func (l *loader) decode(v any, at string, into any) {
	text, err := json.Marshal(plain(v))
	if err == nil {
		dec := json.NewDecoder(strings.NewReader(string(text)))
		dec.DisallowUnknownFields()
		dec.UseNumber()
		err = dec.Decode(into)
	}
	if err != nil {
		l.fault(at, "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
}

// plain turns ordered objects into maps.
func plain(v any) any {
	switch v := v.(type) {
	case *object:
		m := make(map[string]any, len(v.values))
		for k := range v.values {
			m[k] = plain(v.values[k])
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	}
	return v
}
