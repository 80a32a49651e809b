package contract

import (
	"regexp"
	"slices"
	"strconv"

	"sallyport/internal/tape"
)

// rules are the parts of a Schema that only this package needs.
type rules struct {
	types typeSet // 0: any
	// secret: the field, or each element of it, is marked secret.
	secret bool
	// anything: no rule at all, every value is known in full.
	anything bool
	// listed: only const or enum decide, so that a value that fits is known in full.
	listed bool
	// neutral: says nothing about an object's members of its own.
	neutral bool
	// also are conditional schemas of the same value: if, then, else and the like.
	also     []*Schema
	patterns []namePattern
	prefix   []*Schema // prefixItems
	// content: the string is bytes of a media type, in base64.
	content bool
}

// namePattern is an entry of patternProperties.
type namePattern struct {
	re     *regexp.Regexp
	schema *Schema
}

// annotation is x-sallyport on a schema or a parameter.
type annotation struct {
	Data     Sensitivity `json:"data"`
	ID       idMark      `json:"id"`
	Public   bool        `json:"public"`
	Grants   string      `json:"grants"`
	Selects  bool        `json:"selects_account"`
	URL      bool        `json:"url"`
	Account  string      `json:"account"`
	Name     string      `json:"name"`
	Official string      `json:"official"`
	Mock     MockHint    `json:"mock"`
	Note     string      `json:"note"`
}

// annotationsOnly are keywords that may stand beside $ref without making a new rule.
var annotationsOnly = []string{"$ref", "title", "description", "example", "examples", "default", "deprecated", "x-sallyport"}

// wrapper is a reference with annotations: a copy of the target, made once that is complete.
type wrapper struct {
	into, target *Schema
	node         int
	note         annotation
}

// schema describes one schema. request closes objects that are not maps.
func (l *loader) schema(node int, request bool) *Schema {
	if l.is(node, tape.True) || l.is(node, tape.False) {
		return &Schema{rules: rules{anything: l.is(node, tape.True), neutral: true}}
	}
	if !l.is(node, tape.Object) {
		l.fault(node, "", "found %s; write a schema object", l.shown(node))
		return &Schema{}
	}
	key := schemaKey{node, request}
	if s, ok := l.schemas[key]; ok {
		return s
	}
	s := &Schema{}
	l.schemas[key] = s
	ref := l.member(node, "$ref")
	if !l.is(ref, tape.String) {
		l.compile(s, node, request)
		return s
	}
	target := l.target(string(l.doc.Text(ref)), node)
	if target < 0 {
		return s
	}
	if l.onlyAnnotations(node) {
		l.later = append(l.later, wrapper{into: s, target: l.schema(target, request), node: node, note: l.annotation(node)})
		return s
	}
	l.compile(s, node, request)
	s.AllOf = append([]*Schema{l.schema(target, request)}, s.AllOf...)
	s.rules.anything = false
	return s
}

func (l *loader) onlyAnnotations(node int) bool {
	for kid := range l.kids(node) {
		if k := l.key(kid); !slices.Contains(annotationsOnly, k) {
			return false
		}
	}
	return true
}

// annotation reads x-sallyport of a schema or a parameter.
func (l *loader) annotation(o int) annotation {
	var a annotation
	at := l.member(o, "x-sallyport")
	if at < 0 {
		return a
	}
	l.decode(at, &a)
	switch a.Data {
	case Plain, Personal, Secret, Card:
	default:
		l.fault(at, "", "data %q; write personal, secret or card", a.Data)
	}
	for _, kind := range []string{a.ID.kind, a.Grants} {
		if kind != "" && !kindName(kind) {
			l.fault(at, "", "kind %q; write a name of a-z, 0-9 and -, such as payment-intent", kind)
		}
	}
	switch a.Mock.Alphabet {
	case "", "hex", "digits", "base62", "upper":
	default:
		l.fault(at, "", "mock.alphabet %q; write hex, digits, base62 or upper", a.Mock.Alphabet)
	}
	switch a.Mock.Now {
	case "", "unix", "rfc3339", "rfc2822":
	default:
		l.fault(at, "", "mock.now %q; write unix, rfc3339 or rfc2822", a.Mock.Now)
	}
	return a
}

func (a annotation) mark(s *Schema) {
	s.Data = stronger(s.Data, a.Data)
	s.ID = s.ID || a.ID.is
	s.Kind, s.Grants = firstOf(a.ID.kind, s.Kind), firstOf(a.Grants, s.Grants)
	s.SelectsAccount = s.SelectsAccount || a.Selects
	s.PublicID = s.PublicID || a.Public
	s.URL = s.URL || a.URL
	if a.Official != "" {
		s.Unofficial = a.Official
	}
	if a.Mock != (MockHint{}) {
		s.Mock = a.Mock
	}
}

// knownKeywords are those of JSON Schema 2020-12 and of the schema objects of OpenAPI 3.0
// to 3.2, and ours. An unknown keyword is a fault: it would be a rule without effect.
var knownKeywords = []string{
	"$id", "$schema", "$vocabulary", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$defs", "definitions", "$comment",
	"type", "nullable", "format", "pattern", "enum", "const", "default", "example", "examples", "title",
	"description", "deprecated", "readOnly", "writeOnly", "externalDocs", "xml", "discriminator", "contentEncoding", "contentMediaType", "contentSchema",
	"properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties", "unevaluatedProperties",
	"dependentRequired", "dependentSchemas", "if", "then", "else", "not", "allOf", "anyOf", "oneOf",
	"items", "prefixItems", "contains", "minContains", "maxContains", "minItems", "maxItems", "uniqueItems", "unevaluatedItems",
	"minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "x-sallyport",
}

// compile describes what a schema object says itself.
func (l *loader) compile(s *Schema, o int, request bool) {
	l.keys(o, knownKeywords...)
	l.types(s, o)
	s.Title, s.Description = l.text(o, "title"), l.text(o, "description")
	s.Format, s.Pattern = l.text(o, "format"), l.text(o, "pattern")
	s.Default, s.Example = l.plain(l.member(o, "default")), l.plain(l.member(o, "example"))
	for i := range l.kids(l.list(o, "enum")) {
		s.Enum = append(s.Enum, l.plain(i))
	}
	if c := l.member(o, "const"); c >= 0 {
		s.Const, s.HasConst = l.plain(c), true
	}
	s.rules.content = l.text(o, "contentMediaType") != "" || l.text(o, "contentEncoding") != ""
	s.MinLen, s.MaxLen = l.count(o, "minLength"), l.count(o, "maxLength")
	l.bounds(s, o)
	l.members(s, o, request)
	s.AllOf, s.AnyOf, s.OneOf = l.parts(o, "allOf", request), l.parts(o, "anyOf", request), l.parts(o, "oneOf", request)
	l.also(s, o, request)
	l.annotation(o).mark(s)
	s.rules.neutral = s.Properties == nil && s.Additional == nil && s.rules.patterns == nil
	untyped := s.rules.neutral && len(s.AllOf)+len(s.AnyOf)+len(s.OneOf)+len(s.Required)+len(s.rules.also) == 0 && s.rules.types == 0
	s.rules.listed = untyped && (s.Enum != nil || s.HasConst)
	s.rules.anything = untyped && !s.rules.listed
}

// plain is a value of the document as a Go tree; nil where there is none.
func (l *loader) plain(node int) any {
	if node < 0 {
		return nil
	}
	return l.doc.Value(node)
}

func (l *loader) parts(o int, key string, request bool) []*Schema {
	var out []*Schema
	for part := range l.kids(l.list(o, key)) {
		out = append(out, l.schema(part, request))
	}
	return out
}

// also describes the other schemas that speak of the same value, or of what is in it,
// under a condition: they list names, and hold marks.
func (l *loader) also(s *Schema, o int, request bool) {
	for _, key := range []string{"if", "then", "else"} {
		if i := l.member(o, key); i >= 0 {
			s.rules.also = append(s.rules.also, l.schema(i, request))
		}
	}
	for kid := range l.kids(l.object(o, "dependentSchemas")) {
		s.rules.also = append(s.rules.also, l.schema(kid, request))
	}
	if ref := l.member(o, "$dynamicRef"); l.is(ref, tape.String) {
		if target := l.target(string(l.doc.Text(ref)), o); target >= 0 {
			s.rules.also = append(s.rules.also, l.schema(target, request))
		}
	}
}

func (l *loader) types(s *Schema, o int) {
	names := []string{}
	at := l.member(o, "type")
	switch {
	case at < 0:
	case l.is(at, tape.String):
		names = append(names, string(l.doc.Text(at)))
	case l.is(at, tape.Array):
		names = l.texts(o, "type")
	default:
		l.fault(at, "", "found %s; write a type name or an array of them", l.shown(at))
	}
	s.Nullable = l.flag(o, "nullable")
	for _, n := range names {
		bit, ok := typeBits[n]
		switch {
		case !ok:
			l.fault(at, "", "%q is not a JSON type", n)
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

func (l *loader) bounds(s *Schema, o int) {
	number := func(key string) *float64 {
		i := l.member(o, key)
		if !l.is(i, tape.Number) {
			return nil
		}
		f, err := strconv.ParseFloat(string(l.doc.Text(i)), 64)
		if err != nil {
			return nil
		}
		return &f
	}
	s.Minimum, s.Maximum = number("minimum"), number("maximum")
	// OpenAPI 3.0 writes exclusiveMinimum: true beside minimum, 3.1 a number alone.
	s.AboveMin, s.BelowMax = l.is(l.member(o, "exclusiveMinimum"), tape.True), l.is(l.member(o, "exclusiveMaximum"), tape.True)
	if f := number("exclusiveMinimum"); f != nil && (s.Minimum == nil || *f >= *s.Minimum) {
		s.Minimum, s.AboveMin = f, true
	}
	if f := number("exclusiveMaximum"); f != nil && (s.Maximum == nil || *f <= *s.Maximum) {
		s.Maximum, s.BelowMax = f, true
	}
}

// members describes what concerns objects and arrays.
func (l *loader) members(s *Schema, o int, request bool) {
	if p := l.object(o, "properties"); p >= 0 {
		n := int(l.doc.Nodes[p].Count)
		s.Properties, s.Order = make(map[string]*Schema, n), make([]string, 0, n)
		for kid := range l.kids(p) {
			name := l.key(kid)
			s.Order = append(s.Order, name)
			s.Properties[name] = l.schema(kid, request)
		}
	}
	s.Required = l.texts(o, "required")
	extra := l.member(o, "additionalProperties")
	if extra < 0 {
		extra = l.member(o, "unevaluatedProperties")
	}
	switch {
	case extra < 0:
		s.Closed = request
	case l.is(extra, tape.False):
		s.Closed = true
	default:
		s.Additional = l.schema(extra, request)
	}
	for kid := range l.kids(l.object(o, "patternProperties")) {
		re, err := regexp.Compile(l.key(kid))
		if err != nil {
			continue // the engine's compiler says what is wrong with it
		}
		s.rules.patterns = append(s.rules.patterns, namePattern{re, l.schema(kid, request)})
	}
	if i := l.member(o, "propertyNames"); i >= 0 {
		s.Names = l.schema(i, request)
	}
	s.MinProps, s.MaxProps = l.count(o, "minProperties"), l.count(o, "maxProperties")
	s.MinItems, s.MaxItems = l.count(o, "minItems"), l.count(o, "maxItems")
	s.UniqueItems = l.flag(o, "uniqueItems")
	l.elements(s, o, request)
}

func (l *loader) elements(s *Schema, o int, request bool) {
	s.rules.prefix = l.parts(o, "prefixItems", request)
	items := l.member(o, "items")
	for _, key := range []string{"unevaluatedItems", "contains"} {
		if items < 0 {
			items = l.member(o, key)
		}
	}
	switch {
	case items >= 0:
		s.Items = l.schema(items, request)
	case len(s.rules.prefix) > 0:
		s.Items = s.rules.prefix[0]
	case slices.Contains(s.Types, "array"):
		l.fault(o, "", "an array without items; write the schema of its elements")
	}
}
