package schema

import (
	"slices"
	"strings"

	"sallyport/internal/tape"
)

var enforced = []string{
	"$ref", "$dynamicRef", "type", "nullable", "format", "pattern", "enum", "const",
	"properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties",
	"dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems",
	"items", "prefixItems", "contains", "minContains", "maxContains", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength",
	"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
	"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "discriminator",
}

var describing = []string{
	"$id", "$schema", "$anchor", "$dynamicAnchor", "$vocabulary", "$comment", "$defs", "definitions",
	"title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "externalDocs", "xml",
	"contentEncoding", "contentMediaType", "contentSchema",
}

// compile fills a node from the schema object at a place.
func (c *Compiler) compile(id ID, at place) {
	r := c.reader(at)
	c.unknownKeywords(r)
	var n node
	n.types = AllTypes
	n.mark = c.marks(r)
	res := c.innermost(at.doc, at.node)
	n.scope = uint32(res)
	if _, isRef := r.keys["$ref"]; isRef && c.cfg.Dialect == OpenAPI30 {
		r.drop("$ref") // OpenAPI 3.0.3, Reference Object: what stands beside $ref is ignored
	}
	if c.resources[res].annotationsOnly {
		r.drop("$ref", "$dynamicRef", "properties", "additionalProperties", "patternProperties", "propertyNames", "dependentSchemas",
			"unevaluatedProperties", "unevaluatedItems", "items", "prefixItems", "contains", "allOf", "anyOf", "oneOf", "not", "if", "then", "else")
	}
	typed := c.types(r, &n)
	n.enum = c.enum(r)
	n.str, n.num = c.stringRule(r), c.numberRule(r)
	n.arr, n.obj = c.arrayRule(r, &n), c.objectRule(r, &n)
	c.parts(r, &n)
	_, required := r.keys["required"]
	if !typed && !required && n.combs == 0 && n.flags&(speaks|unevaluated) == 0 {
		n.flags |= opens
	}
	c.p.nodes[id] = n
	c.xml(r, id)
}

// marks asks for the sensitivity of a schema object.
func (c *Compiler) marks(r *reader) Mark {
	if c.cfg.Marks == nil {
		return 0
	}
	m, err := c.cfg.Marks(r.t, r.at.node)
	if err != nil {
		c.fault(r.at, "%v", err)
	}
	return m & allMarks
}

func (c *Compiler) unknownKeywords(r *reader) {
	if !c.cfg.RefuseUnknown {
		return
	}
	r.each(r.at.node, func(i int) {
		k := string(r.t.Key(i))
		if slices.Contains(enforced, k) || slices.Contains(describing, k) || strings.HasPrefix(k, "x-") {
			return
		}
		near := ""
		if n := Nearest(k, enforced); n != "" {
			near = "; did you mean " + n + "?"
		}
		c.fault(r.at, "%q is not known here%s (known: %s)", k, near, strings.Join(enforced, ", "))
	})
}

var typeNames = []struct {
	name  string
	types Types
	words string
}{
	{"boolean", Boolean, "true or false"}, {"integer", Integer, "a whole number in digits"}, {"number", Number, "a number"},
	{"string", String, "a string"}, {"array", Array, "an array"}, {"object", Object, "an object"}, {"null", Null, "null"},
}

// types reads type and nullable.
func (c *Compiler) types(r *reader, n *node) (typed bool) {
	if c.cfg.Dialect != Draft202012 && r.flag("nullable") {
		n.flags |= nullWins
	}
	i, ok := r.keys["type"]
	if !ok {
		return false
	}
	n.types = 0
	add := func(i int) {
		if r.kind(i) == tape.String {
			for _, t := range typeNames {
				if t.name == string(r.t.Text(i)) {
					n.types |= t.types
					return
				}
			}
		}
		r.wrong(i, "a JSON type: null, boolean, integer, number, string, array or object")
	}
	if r.kind(i) == tape.Array {
		r.each(i, add)
		return true
	}
	add(i)
	return true
}

// enum reads enum and const. Where both stand, a value must be in both.
func (c *Compiler) enum(r *reader) uint32 {
	var values []int
	list, isEnum := r.list("enum")
	single, isConst := r.keys["const"]
	if isEnum {
		r.each(list, func(i int) { values = append(values, i) })
	}
	if isConst {
		if isEnum {
			same := slices.ContainsFunc(values, func(i int) bool { return equalNodes(r.t, i, single) })
			values = nil
			if same {
				values = []int{single}
			}
		} else {
			values = []int{single}
		}
	}
	if !isEnum && !isConst {
		return 0
	}
	e := c.enumRule(r, values)
	e.isConst = isConst
	c.p.enums = append(c.p.enums, e)
	return uint32(len(c.p.enums) - 1)
}

func equalNodes(t *tape.Tape, i, j int) bool {
	m := Machine{left: 1 << 30}
	return m.equal(t, uint32(i), t, uint32(j))
}

func (c *Compiler) enumRule(r *reader, values []int) enumRule {
	var e enumRule
	var strs, nums, shown []span
	e.trees = uint32(len(c.p.ids))
	for _, i := range values {
		text := string(r.t.AppendJSON(nil, i))
		shown = append(shown, c.span(text))
		switch r.kind(i) {
		case tape.Null:
			e.types |= Null
		case tape.False:
			e.bools |= 1
		case tape.True:
			e.bools |= 2
		case tape.String:
			strs = append(strs, c.span(string(r.t.Text(i))))
		case tape.Number:
			nums = append(nums, c.span(text))
		default:
			if c.values > 0 {
				c.p.valueSrc = append(c.p.valueSrc, ',')
			}
			c.p.valueSrc = append(c.p.valueSrc, text...)
			c.p.ids = append(c.p.ids, ID(c.values))
			c.values++
			e.treeN++
		}
	}
	e.strs, e.strCount = c.keep(strs)
	e.nums, e.numCount = c.keep(nums)
	e.shown, e.shownN = c.keep(shown)
	return e
}

// keep appends to the table of texts.
func (c *Compiler) keep(list []span) (first, n uint32) {
	first = uint32(len(c.p.texts))
	c.p.texts = append(c.p.texts, list...)
	return first, uint32(len(list))
}

func (c *Compiler) stringRule(r *reader) uint32 {
	s := strRule{min: r.count("minLength", 0), max: r.count("maxLength", noLimit)}
	if text, ok := r.text("pattern"); ok {
		s.pattern = c.pattern(r.place(r.keys["pattern"]), text) + 1
	}
	s.format = c.format(r, true)
	if s == (strRule{max: noLimit}) {
		return 0
	}
	c.p.strs = append(c.p.strs, s)
	return uint32(len(c.p.strs) - 1)
}

// pattern keeps each pattern once.
func (c *Compiler) pattern(at place, source string) uint32 {
	if k, ok := c.patterns[source]; ok {
		return k
	}
	k := uint32(len(c.p.patSrc))
	if _, err := compilePattern(source); err != nil {
		c.fault(at, "%v", err)
	}
	c.patterns[source] = k
	c.p.patSrc = append(c.p.patSrc, c.span(source))
	return k
}

// format is the rule of a format for strings or for numbers; 0 where it only describes.
func (c *Compiler) format(r *reader, strings bool) uint32 {
	name, ok := r.text("format")
	if !ok {
		return 0
	}
	rule, ok := formatNamed(name, c.cfg.Dialect != Draft202012)
	if !ok || strings && !rule.strings || !strings && !rule.numbers {
		return 0
	}
	k, ok := c.formats[name]
	if !ok {
		k = uint32(len(c.p.formats))
		c.formats[name] = k
		c.p.formats = append(c.p.formats, c.span(name))
		c.p.check = append(c.p.check, rule.format)
	}
	return k + 1
}

// numberRule reads the bounds of numbers. OpenAPI 3.0 writes exclusiveMinimum: true beside
// minimum, everything later a number alone.
func (c *Compiler) numberRule(r *reader) uint32 {
	var n numRule
	if text, ok := r.number("minimum"); ok {
		n.low(c, text, r.bool("exclusiveMinimum"))
	}
	if text, ok := r.number("maximum"); ok {
		n.high(c, text, r.bool("exclusiveMaximum"))
	}
	if !r.bools("exclusiveMinimum") {
		if text, ok := r.number("exclusiveMinimum"); ok {
			n.low(c, text, true)
		}
	}
	if !r.bools("exclusiveMaximum") {
		if text, ok := r.number("exclusiveMaximum"); ok {
			n.high(c, text, true)
		}
	}
	if text, ok := r.number("multipleOf"); ok {
		if compareNumbers([]byte(text), []byte("0")) <= 0 {
			c.fault(r.place(r.keys["multipleOf"]), "found %s; write a number above 0", text)
		}
		n.multiple, n.flags = c.span(text), n.flags|hasMultiple
	}
	n.format = c.format(r, false)
	if n == (numRule{}) {
		return 0
	}
	c.p.nums = append(c.p.nums, n)
	return uint32(len(c.p.nums) - 1)
}

// bools reports whether a keyword is written as a boolean where that is allowed.
func (r *reader) bools(key string) bool {
	i, ok := r.keys[key]
	return ok && r.c.cfg.Dialect != Draft202012 && (r.kind(i) == tape.True || r.kind(i) == tape.False)
}

func (r *reader) bool(key string) bool { return r.bools(key) && r.kind(r.keys[key]) == tape.True }

// low takes a lower bound, of two the stricter.
func (n *numRule) low(c *Compiler, text string, above bool) {
	if n.flags&hasLow != 0 {
		if d := compareNumbers([]byte(text), c.p.str(n.lowText)); d < 0 || d == 0 && !above {
			return
		}
	}
	n.flags = n.flags&^(lowSmall|aboveLow) | hasLow
	if above {
		n.flags |= aboveLow
	}
	n.lowText, n.lowInt = c.span(text), 0
	if v, ok := smallInt([]byte(text)); ok {
		n.lowInt, n.flags = v, n.flags|lowSmall
	}
}

func (n *numRule) high(c *Compiler, text string, below bool) {
	if n.flags&hasHigh != 0 {
		if d := compareNumbers([]byte(text), c.p.str(n.highText)); d > 0 || d == 0 && !below {
			return
		}
	}
	n.flags = n.flags&^(highSmall|belowHigh) | hasHigh
	if below {
		n.flags |= belowHigh
	}
	n.highText, n.highInt = c.span(text), 0
	if v, ok := smallInt([]byte(text)); ok {
		n.highInt, n.flags = v, n.flags|highSmall
	}
}
