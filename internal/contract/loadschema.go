package contract

import (
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strconv"
)

const maxPattern = 512

// rules are the parts of a Schema that only the check needs.
type rules struct {
	types    typeSet // 0: any
	pattern  *regexp.Regexp
	min, max *big.Rat
	multiple *big.Rat
	// nullWins: nullable: true allows null whatever else the schema says (OpenAPI 3.0,
	// where it may stand beside anyOf without a type).
	nullWins bool
	// secret: the field, or each element of it, is marked secret.
	secret bool
	// anything: no rule at all, every value is known in full.
	anything bool
	// listed: only const or enum decide, so that a value that fits is known in full.
	listed bool
	// neutral: says nothing about an object's members of its own.
	neutral bool
}

// annotation is x-sallyport on a schema or a parameter.
type annotation struct {
	Data     Sensitivity `json:"data"`
	ID       bool        `json:"id"`
	Public   bool        `json:"public"`
	URL      bool        `json:"url"`
	Account  string      `json:"account"`
	Name     string      `json:"name"`
	Official string      `json:"official"`
	Mock     MockHint    `json:"mock"`
	Note     string      `json:"note"`
}

// annotationsOnly are keywords that may stand beside $ref without making a new rule.
var annotationsOnly = []string{"$ref", "title", "description", "example", "default", "deprecated", "x-sallyport"}

// wrapper is a reference with annotations: a copy of the target, made once that is complete.
type wrapper struct {
	into, target *Schema
	node         *object
	at           string
	note         annotation
}

// schema compiles one schema. request closes objects that are not maps.
func (l *loader) schema(v any, at string, request bool) *Schema {
	o, ok := v.(*object)
	if !ok {
		if v == true {
			return &Schema{rules: rules{anything: true, neutral: true}}
		}
		l.fault(at, "found %s; write a schema object", kind(v))
		return &Schema{}
	}
	key := schemaKey{o, request}
	if s, ok := l.schemas[key]; ok {
		return s
	}
	s := &Schema{}
	l.schemas[key] = s
	ref, isRef := o.values["$ref"].(string)
	switch {
	case !isRef:
		l.compile(s, o, at, request)
	case onlyAnnotations(o):
		target := l.target(ref, at)
		if target == nil {
			return s
		}
		w := wrapper{into: s, target: l.schema(target, ref[1:], request), node: o, at: at, note: l.annotation(o, at)}
		l.later = append(l.later, w)
	default:
		if target := l.target(ref, at); target != nil {
			l.compile(s, o, at, request)
			s.AllOf = append([]*Schema{l.schema(target, ref[1:], request)}, s.AllOf...)
			s.rules.anything = false
		}
	}
	return s
}

func onlyAnnotations(o *object) bool {
	for _, k := range o.keys {
		if !slices.Contains(annotationsOnly, k) {
			return false
		}
	}
	return true
}

func (l *loader) annotation(o *object, at string) annotation {
	var a annotation
	v, ok := o.values["x-sallyport"]
	if !ok {
		return a
	}
	at = point(at, "x-sallyport")
	l.decode(v, at, &a)
	switch a.Data {
	case Plain, Personal, Secret, Card:
	default:
		l.fault(at, "data %q; write personal, secret or card", a.Data)
	}
	switch a.Mock.Alphabet {
	case "", "hex", "digits", "base62", "upper":
	default:
		l.fault(at, "mock.alphabet %q; write hex, digits, base62 or upper", a.Mock.Alphabet)
	}
	switch a.Mock.Now {
	case "", "unix", "rfc3339", "rfc2822":
	default:
		l.fault(at, "mock.now %q; write unix, rfc3339 or rfc2822", a.Mock.Now)
	}
	return a
}

func (a annotation) mark(s *Schema) {
	s.Data = stronger(s.Data, a.Data)
	s.ID = s.ID || a.ID
	s.PublicID = s.PublicID || a.Public
	s.URL = s.URL || a.URL
	if a.Official != "" {
		s.Unofficial = a.Official
	}
	if a.Mock != (MockHint{}) {
		s.Mock = a.Mock
	}
}

var knownKeywords = []string{
	"$ref", "$comment", "type", "nullable", "format", "pattern", "enum", "const", "default", "example", "examples", "title",
	"description", "deprecated", "readOnly", "writeOnly", "externalDocs",
	"properties", "required", "additionalProperties", "propertyNames", "minProperties", "maxProperties",
	"items", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength",
	"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "allOf", "anyOf", "oneOf", "x-sallyport",
}

func (l *loader) compile(s *Schema, o *object, at string, request bool) {
	l.keys(o, at, knownKeywords...)
	l.types(s, o, at)
	s.Title, s.Description = l.text(o, at, "title"), l.text(o, at, "description")
	s.Format = l.text(o, at, "format")
	s.Default, s.Example = plain(o.values["default"]), plain(o.values["example"])
	for _, v := range l.list(o, at, "enum") {
		s.Enum = append(s.Enum, plain(v))
	}
	if c, ok := o.values["const"]; ok {
		s.Const, s.HasConst = plain(c), true
	}
	s.MinLen, s.MaxLen = l.count(o, at, "minLength"), l.count(o, at, "maxLength")
	l.pattern(s, o, at)
	l.bounds(s, o, at)
	l.members(s, o, at, request)
	s.AllOf = l.parts(o, at, "allOf", request)
	s.AnyOf = l.parts(o, at, "anyOf", request)
	s.OneOf = l.parts(o, at, "oneOf", request)
	l.annotation(o, at).mark(s)
	s.rules.neutral = s.Properties == nil && s.Additional == nil
	untyped := s.rules.neutral && len(s.AllOf)+len(s.AnyOf)+len(s.OneOf)+len(s.Required) == 0 && s.rules.types == 0
	s.rules.listed = untyped && (s.Enum != nil || s.HasConst)
	s.rules.anything = untyped && !s.rules.listed
}

func (l *loader) parts(o *object, at, key string, request bool) []*Schema {
	var out []*Schema
	for i, v := range l.list(o, at, key) {
		out = append(out, l.schema(v, point(point(at, key), strconv.Itoa(i)), request))
	}
	return out
}

func (l *loader) types(s *Schema, o *object, at string) {
	names := []string{}
	switch v := o.values["type"].(type) {
	case nil:
	case string:
		names = append(names, v)
	case []any:
		names = l.texts(o, at, "type")
	default:
		l.fault(point(at, "type"), "found %s; write a type name or an array of them", kind(v))
	}
	s.Nullable = l.flag(o, at, "nullable")
	s.rules.nullWins = s.Nullable
	for _, n := range names {
		bit, ok := typeBits[n]
		switch {
		case !ok:
			l.fault(point(at, "type"), "%q is not a JSON type", n)
		case n == "null":
			s.Nullable = true
		default:
			s.Types = append(s.Types, n)
			s.rules.types |= bit
		}
	}
	if s.Nullable && s.rules.types != 0 || slices.Equal(names, []string{"null"}) {
		s.rules.types |= isNull
	}
}

func (l *loader) pattern(s *Schema, o *object, at string) {
	s.Pattern = l.text(o, at, "pattern")
	if s.Pattern == "" {
		return
	}
	if len(s.Pattern) > maxPattern {
		l.fault(point(at, "pattern"), "longer than %d bytes", maxPattern)
		return
	}
	if l.patterns[s.Pattern] == nil {
		re, err := regexp.Compile(s.Pattern)
		if err != nil {
			l.fault(point(at, "pattern"), "not an RE2 expression: %v", err)
			return
		}
		l.patterns[s.Pattern] = re
	}
	s.rules.pattern = l.patterns[s.Pattern]
}

func (l *loader) bounds(s *Schema, o *object, at string) {
	number := func(key string) (*big.Rat, *float64) {
		v, ok := o.values[key]
		if !ok {
			return nil, nil
		}
		n, ok := v.(json.Number)
		if !ok {
			l.fault(point(at, key), "found %s; write a number", kind(v))
			return nil, nil
		}
		r := exact(string(n))
		f, _ := r.Float64()
		return r, &f
	}
	s.rules.min, s.Minimum = number("minimum")
	s.rules.max, s.Maximum = number("maximum")
	// OpenAPI 3.0 writes exclusiveMinimum: true beside minimum, 3.1 a number alone.
	if b, ok := o.values["exclusiveMinimum"].(bool); ok {
		s.AboveMin = b
	} else if r, f := number("exclusiveMinimum"); r != nil {
		s.rules.min, s.Minimum, s.AboveMin = r, f, true
	}
	if b, ok := o.values["exclusiveMaximum"].(bool); ok {
		s.BelowMax = b
	} else if r, f := number("exclusiveMaximum"); r != nil {
		s.rules.max, s.Maximum, s.BelowMax = r, f, true
	}
	if s.rules.multiple, _ = number("multipleOf"); s.rules.multiple != nil && s.rules.multiple.Sign() <= 0 {
		l.fault(point(at, "multipleOf"), "write a number above 0")
		s.rules.multiple = nil
	}
}

// members compiles what concerns objects and arrays.
func (l *loader) members(s *Schema, o *object, at string, request bool) {
	if p := l.object(o, at, "properties"); p != nil {
		s.Properties = make(map[string]*Schema, len(p.keys))
		s.Order = p.keys
		for _, name := range p.keys {
			s.Properties[name] = l.schema(p.values[name], point(point(at, "properties"), name), request)
		}
	}
	s.Required = l.texts(o, at, "required")
	switch v := o.values["additionalProperties"].(type) {
	case nil:
		s.Closed = request
	case bool:
		s.Closed = !v
		if v {
			s.Additional = &Schema{rules: rules{anything: true, neutral: true}}
		}
	default:
		s.Additional = l.schema(v, point(at, "additionalProperties"), request)
	}
	if v, ok := o.values["propertyNames"]; ok {
		s.Names = l.schema(v, point(at, "propertyNames"), request)
	}
	s.MinProps, s.MaxProps = l.count(o, at, "minProperties"), l.count(o, at, "maxProperties")
	s.MinItems, s.MaxItems = l.count(o, at, "minItems"), l.count(o, at, "maxItems")
	s.UniqueItems = l.flag(o, at, "uniqueItems")
	if v, ok := o.values["items"]; ok {
		s.Items = l.schema(v, point(at, "items"), request)
	} else if slices.Contains(s.Types, "array") {
		l.fault(at, "an array without items; write the schema of its elements")
	}
}
