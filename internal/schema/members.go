package schema

import (
	"sallyport/internal/tape"
)

func (c *Compiler) arrayRule(r *reader, n *node) uint32 {
	a := arrRule{min: r.count("minItems", 0), max: r.count("maxItems", noLimit), unique: r.flag("uniqueItems"),
		minContains: r.count("minContains", 1), maxContains: r.count("maxContains", noLimit)}
	if i, ok := r.list("prefixItems"); ok {
		var ids []ID
		r.each(i, func(j int) { ids = append(ids, c.id(r.place(j))) })
		a.prefix, a.prefixN = uint32(len(c.p.ids)), uint32(len(ids))
		c.p.ids = append(c.p.ids, ids...)
	}
	a.items, a.hasItems = r.schema("items")
	a.contains, a.hasContains = r.schema("contains")
	a.unevaluatedI, a.uneval = r.schema("unevaluatedItems")
	if a.uneval {
		n.flags |= unevaluated | composed
		c.p.flags.Unevaluated = true
	}
	if a.hasItems || a.prefixN > 0 || a.hasContains {
		n.flags |= speaks
	}
	if a.hasContains && a.hasItems {
		n.flags |= memoised | composed
	}
	if a == (arrRule{max: noLimit, minContains: 1, maxContains: noLimit}) {
		return 0
	}
	c.p.arrs = append(c.p.arrs, a)
	return uint32(len(c.p.arrs) - 1)
}

func (c *Compiler) objectRule(r *reader, n *node) uint32 {
	o := objRule{min: r.count("minProperties", 0), max: r.count("maxProperties", noLimit), mask: noLimit}
	props := c.properties(r)
	if _, ok := r.object("properties"); ok {
		n.flags |= speaks
	}
	c.table(&o, props)
	o.other, o.hasOther = r.schema("additionalProperties")
	if o.hasOther {
		n.flags |= speaks
	}
	o.ext = c.extRule(r, n)
	if o == (objRule{max: noLimit, mask: noLimit, props: o.props, propsEnd: o.propsEnd, slots: o.slots}) {
		return 0
	}
	c.p.objs = append(c.p.objs, o)
	return uint32(len(c.p.objs) - 1)
}

// properties lists the members that properties or required name, in the document's order.
func (c *Compiler) properties(r *reader) []prop {
	var props []prop
	index := map[string]int{}
	if i, ok := r.object("properties"); ok {
		r.each(i, func(j int) {
			name := string(r.t.Key(j))
			index[name] = len(props)
			props = append(props, prop{hash: tape.Hash(name), name: c.span(name), id: c.id(r.place(j)), listed: true})
		})
	}
	i, ok := r.keys["required"]
	if !ok {
		return props
	}
	if k := r.kind(i); c.cfg.Dialect != Draft202012 && (k == tape.True || k == tape.False) {
		r.wrong(i, "an array of names at the object that has this member")
		return props
	}
	for _, name := range r.names(i) {
		k, ok := index[name]
		if !ok {
			k = len(props)
			index[name] = k
			props = append(props, prop{hash: tape.Hash(name), name: c.span(name)})
		}
		props[k].required = true
	}
	return props
}

// table lays out members for open addressing, at most half full.
func (c *Compiler) table(o *objRule, props []prop) {
	o.props = uint32(len(c.p.props))
	c.p.props = append(c.p.props, props...)
	o.propsEnd = uint32(len(c.p.props))
	for _, pr := range props {
		if pr.required {
			o.required++
		}
	}
	o.slots, o.mask = c.p.layOut(o.props, o.propsEnd)
}

// extRule reads what few objects have.
func (c *Compiler) extRule(r *reader, n *node) uint32 {
	var x extRule
	if i, ok := r.object("patternProperties"); ok {
		n.flags |= speaks
		var list []keyedID
		r.each(i, func(j int) {
			list = append(list, keyedID{c.pattern(r.place(j), string(r.t.Key(j))), c.id(r.place(j))})
		})
		x.patterns, x.patternsN = uint32(len(c.p.keyed)), uint32(len(list))
		c.p.keyed = append(c.p.keyed, list...)
	}
	x.names, x.hasNames = r.schema("propertyNames")
	if x.unevalP, x.uneval = r.schema("unevaluatedProperties"); x.uneval {
		n.flags |= unevaluated | composed
		c.p.flags.Unevaluated = true
	}
	if i, ok := r.object("dependentRequired"); ok {
		var list []listRef
		r.each(i, func(j int) {
			l := listRef{name: c.span(string(r.t.Key(j)))}
			var names []span
			for _, name := range r.names(j) {
				names = append(names, c.span(name))
			}
			l.names, l.n = c.keep(names)
			list = append(list, l)
		})
		x.dependent, x.dependentN = uint32(len(c.p.lists)), uint32(len(list))
		c.p.lists = append(c.p.lists, list...)
	}
	if x == (extRule{patterns: x.patterns, dependent: x.dependent}) {
		return 0
	}
	if x.patternsN > 0 || x.hasNames || x.dependentN > 0 {
		n.flags |= memoised | composed
	}
	c.p.exts = append(c.p.exts, x)
	return uint32(len(c.p.exts) - 1)
}
