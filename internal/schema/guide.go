package schema

import (
	"encoding/binary"

	"sallyport/internal/tape"
)

// guide is what the Program knows of texts before they are read, made when it is first
// needed: for every schema that has no parts a rule of its own, so that most of an answer is
// judged while it is read. What is left is what needs another look: alternatives, enums,
// lengths near their bounds, unevaluated members. The rule of a schema has its ID and one.
func (p *Program) guide() *tape.Guide {
	p.guideOnce.Do(func() {
		g := tape.NewGuide(len(p.nodes) + 1)
		for id := range p.nodes {
			p.addRule(g, ID(id))
		}
		for id := range p.nodes {
			p.addChoice(g, ID(id))
		}
		g.Done()
		p.guided = g
	})
	return p.guided
}

func ruleOf(id ID) uint32 { return uint32(id) + 1 }

func (p *Program) addRule(g *tape.Guide, id ID) {
	n := &p.nodes[id]
	r := &g.Rules[ruleOf(id)]
	r.Mark, r.Short = uint32(n.mark), n.short
	for kind := tape.Null; kind <= tape.Object; kind++ {
		r.Set(kind, false, p.act(n, kindTypes[kind]))
	}
	r.Set(tape.Number, true, p.act(n, Integer))
	if n.flags&composed != 0 {
		return
	}
	if n.enum != 0 {
		p.addValues(g, r, n)
	}
	if a := &p.arrs[n.arr]; n.types&Array != 0 && p.readable(n) && a.hasItems && *a == (arrRule{items: a.items, hasItems: true, max: noLimit, minContains: 1, maxContains: noLimit}) {
		r.Items = ruleOf(a.items)
		r.Set(tape.Array, false, tape.Enter)
	}
	if n.types&Object != 0 && p.readable(n) && p.addObject(g, r, &p.objs[n.obj]) {
		r.Set(tape.Object, false, tape.Enter)
	}
}

// addChoice looks at alternatives of which a container can fit only one: it is entered as
// that one, if the others say nothing about what is sensitive in it.
func (p *Program) addChoice(g *tape.Guide, id ID) {
	n := &p.nodes[id]
	if n.combs != 1 || n.flags&(unevaluated|scoped) != 0 || n.enum|n.obj|n.arr != 0 {
		return
	}
	c := &p.combs[n.comb]
	if c.op != opAny && c.op != opOne {
		return
	}
	a, r := &p.alts[c.a], &g.Rules[ruleOf(id)]
	branches := p.branches[a.branches : a.branches+a.n]
	for _, kind := range []tape.Kind{tape.Array, tape.Object} {
		only, ok := p.onlyBranch(branches, kindTypes[kind])
		if from := &g.Rules[ruleOf(only)]; ok && n.types&kindTypes[kind] != 0 && from.Act(kind) == tape.Enter && p.readable(&p.nodes[only]) {
			r.Set(kind, false, tape.Enter)
			if kind == tape.Array {
				r.Items = from.Items
			} else {
				r.TakeNames(from)
			}
		}
	}
}

// onlyBranch is the one branch that values of a type can fit.
func (p *Program) onlyBranch(branches []branch, kind Types) (id ID, ok bool) {
	for _, b := range branches {
		switch {
		case b.types&kind == 0 && p.nodes[b.id].flags&reaches == 0:
		case b.types&kind == 0 || ok:
			return 0, false
		default:
			id, ok = b.id, true
		}
	}
	return id, ok
}

// addValues tells the strings of an enum. A length that is bounded beside it is left for
// later, unless all of them keep to it.
func (p *Program) addValues(g *tape.Guide, r *tape.Rule, n *node) {
	e, s := &p.enums[n.enum], &p.strs[n.str]
	if n.types&String == 0 || e.strCount == 0 || s.min > 0 || s.pattern != 0 {
		return
	}
	names := make([][]byte, e.strCount)
	for k, at := range p.texts[e.strs : e.strs+e.strCount] {
		if names[k] = p.str(at); n.str != 0 && uint32(len(names[k])) > s.max {
			return
		}
	}
	r.Values = g.AddNames(r, names, make([]tape.Member, len(names)))
}

// readable reports whether the values in a container can be judged as they are read.
func (p *Program) readable(n *node) bool { return n.flags&(composed|opens) == 0 && n.enum == 0 }

// act is what becomes of a value of a type, but for containers that are entered.
func (p *Program) act(n *node, kind Types) tape.Act {
	switch {
	case n.plain&kind != 0:
		return tape.Fits
	case n.flags&composed != 0 || kind == Fraction && n.types&Integer != 0:
		return tape.Later
	case n.types&kind == 0:
		return tape.Wrong
	case n.enum == 0 && (kind == Null || kind == Boolean):
		return tape.Fits
	}
	return tape.Later
}

// addObject tells the names of an object. It gives false for what cannot be judged name by
// name.
func (p *Program) addObject(g *tape.Guide, r *tape.Rule, o *objRule) bool {
	if o.ext != 0 || o.min > 0 || o.max != noLimit {
		return false
	}
	r.Other = tape.Stray
	if o.hasOther && o.other != Nothing {
		r.Other = ruleOf(o.other)
	}
	props := p.props[o.props:o.propsEnd]
	names, members := make([][]byte, len(props)), make([]tape.Member, len(props))
	for k := range props {
		names[k] = p.str(props[k].name)
		members[k].Rule = tape.Stray
		if props[k].listed {
			members[k].Rule = ruleOf(props[k].id)
		}
		if props[k].required {
			members[k].Required = 1
		}
	}
	return g.AddNames(r, names, members)
}

// Read reads an answer's text into a tape and checks it against a schema in the mode
// Response, mostly in one go: as Parse and Check, which say the same, in half the time. The
// error is that of Parse; then there is nothing to ask the Machine for.
func (m *Machine) Read(t *tape.Tape, text []byte, lim tape.Limits, root ID) (Verdict, error) {
	f := &m.finds
	if err := t.ParseGuided(text, lim, m.p.guide(), ruleOf(root), f); err != nil {
		return Invalid, err
	}
	m.begin(t, 0, root, Response)
	if f.Wrong {
		return Invalid, nil
	}
	fill(m.state, known)
	for _, i := range f.Strays {
		clear(m.state[i:m.nodes[i].Next])
	}
	for _, v := range f.Marked {
		m.note(v.Node, Mark(v.What))
	}
	for _, v := range f.Later {
		if next := m.nodes[v.Node].Next; next > v.Node+1 {
			clear(m.state[v.Node+1 : next])
		}
		if !m.eval(v.Node, ID(v.What-1), true) {
			if m.left < 0 {
				m.verdict = TooComplex
			}
			return m.verdict, nil
		}
	}
	m.verdict = Valid
	return Valid, nil
}

func fill(s []state, v state) {
	for len(s) >= 8 {
		binary.LittleEndian.PutUint64(s, uint64(v)*byte8)
		s = s[8:]
	}
	for i := range s {
		s[i] = v
	}
}
