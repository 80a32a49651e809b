package schema

import (
	"strings"

	"sallyport/internal/tape"
)

// altSource remembers where the branches of anyOf or oneOf stand, for discriminators.
type altSource struct {
	alt    uint32
	at     place // of the schema with the keyword
	places []place
	names  []string // last parts of $refs, where branches are such
}

// parts reads the keywords that apply other schemas to the same value.
func (c *Compiler) parts(r *reader, n *node) {
	var list []comb
	add := func(op combOp, a, b, c uint32) { list = append(list, comb{op, a, b, c}) }
	if id, ok := c.ref(r, "$ref"); ok {
		add(opAll, uint32(id), 0, 0)
	}
	if id, ok := c.ref(r, "$dynamicRef"); ok {
		if name, ok := c.dynamicName(r); ok {
			add(opDynamic, uint32(id), name, 0)
		} else {
			add(opAll, uint32(id), 0, 0)
		}
	}
	if i, ok := r.list("allOf"); ok {
		r.each(i, func(j int) { add(opAll, uint32(c.id(r.place(j))), 0, 0) })
	}
	if i, ok := r.object("dependentSchemas"); ok {
		r.each(i, func(j int) {
			name, _ := c.keep([]span{c.span(string(r.t.Key(j)))})
			add(opDepends, name, uint32(c.id(r.place(j))), 0)
		})
	}
	for _, k := range []struct {
		key string
		op  combOp
	}{{"anyOf", opAny}, {"oneOf", opOne}} {
		i, ok := r.list(k.key)
		if _, told := r.keys["discriminator"]; ok && !told && r.t.Nodes[i].Count == 1 {
			// One alternative is no choice, and can be merged with its target.
			add(opAll, uint32(c.id(r.place(i+1))), 0, 0)
		} else if ok {
			add(k.op, c.alternatives(r, i), 0, 0)
		}
	}
	if id, ok := r.schema("not"); ok {
		add(opNot, uint32(id), 0, 0)
	}
	if id, ok := r.schema("if"); ok {
		next := [2]uint32{noLimit, noLimit}
		for k, key := range []string{"then", "else"} {
			if id, ok := r.schema(key); ok {
				next[k] = uint32(id)
			}
		}
		add(opIf, uint32(id), next[0], next[1])
	}
	n.comb, n.combs = uint32(len(c.p.combs)), uint32(len(list))
	c.p.combs = append(c.p.combs, list...)
	if n.combs > 0 {
		n.flags |= composed | memoised
	}
}

func (c *Compiler) ref(r *reader, key string) (ID, bool) {
	ref, ok := r.text(key)
	if !ok {
		return Nothing, false
	}
	to, err := c.resolve(r.at, ref)
	if err != nil {
		c.fault(r.at, "%s %q: %v", key, ref, err)
		return Nothing, true
	}
	return c.id(to), true
}

// dynamicName is the number of the name that a $dynamicRef looks for in the dynamic scope:
// only where it first leads to a $dynamicAnchor.
func (c *Compiler) dynamicName(r *reader) (uint32, bool) {
	ref, _ := r.text("$dynamicRef")
	to, err := c.resolve(r.at, ref)
	_, name, ok := strings.Cut(ref, "#")
	if err != nil || !ok || name == "" || name[0] == '/' {
		return 0, false
	}
	res := &c.resources[c.innermost(to.doc, to.node)]
	if node, ok := res.dynamic[name]; !ok || node != to.node {
		return 0, false
	}
	c.p.flags.Dynamic = true
	k, ok := c.anchors[name]
	if !ok {
		k = uint32(len(c.anchors))
		c.anchors[name] = k
	}
	return k, true
}

func (c *Compiler) alternatives(r *reader, list int) uint32 {
	a := altRule{}
	src := altSource{alt: uint32(len(c.p.alts)), at: r.at}
	var branches []branch
	r.each(list, func(j int) {
		at, name := r.place(j), ""
		if ref, ok := text(r.t, j, "$ref"); ok && r.kind(j) == tape.Object {
			if to, err := c.resolve(at, ref); err == nil {
				src.places, name = append(src.places, to), ref[strings.LastIndexByte(ref, '/')+1:]
			} else {
				src.places = append(src.places, at)
			}
		} else {
			src.places = append(src.places, at)
		}
		src.names = append(src.names, name)
		branches = append(branches, branch{id: c.id(at)})
	})
	a.branches, a.n = uint32(len(c.p.branches)), uint32(len(branches))
	c.p.branches = append(c.p.branches, branches...)
	c.discriminator(r, &a, &src)
	c.p.alts = append(c.p.alts, a)
	c.alts = append(c.alts, src)
	return src.alt
}

// discriminator reads which branch a member's value stands for: by mapping, else by the last
// part of its $ref.
func (c *Compiler) discriminator(r *reader, a *altRule, src *altSource) {
	i, ok := r.keys["discriminator"]
	if !ok || c.cfg.Dialect == Draft202012 {
		return
	}
	if r.kind(i) != tape.Object {
		r.wrong(i, "an object with propertyName")
		return
	}
	name, ok := text(r.t, i, "propertyName")
	if !ok {
		r.wrong(i, "an object with propertyName")
		return
	}
	a.disc = c.span(name)
	var list []keyedID
	add := func(value string, k int) {
		at, _ := c.keep([]span{c.span(value)})
		list = append(list, keyedID{at, ID(k)})
	}
	if m, ok := r.t.Find(i, "mapping"); ok && r.kind(m) == tape.Object {
		r.each(m, func(j int) {
			if r.kind(j) != tape.String {
				r.wrong(j, "the name of a schema, or a reference")
				return
			}
			if k := c.mapped(r, src, string(r.t.Text(j))); k >= 0 {
				add(string(r.t.Key(j)), k)
			}
		})
	}
	for k, name := range src.names {
		if name != "" {
			add(name, k)
		}
	}
	a.mapping, a.mappingN = uint32(len(c.p.keyed)), uint32(len(list))
	c.p.keyed = append(c.p.keyed, list...)
}

// mapped is the branch that a mapping's value names; -1: none.
func (c *Compiler) mapped(r *reader, src *altSource, to string) int {
	for k, name := range src.names {
		if name == to && name != "" {
			return k
		}
	}
	at, err := c.resolve(r.at, to)
	if err != nil {
		return -1
	}
	for k := range src.places {
		if src.places[k] == at {
			return k
		}
	}
	return -1
}
