package schema

import (
	"fmt"

	"sallyport/internal/tape"
)

// finish completes what needs all schemas: references that are only that, marks, the types
// and tags of alternatives.
func (c *Compiler) finish() {
	for id := range c.p.nodes {
		c.collapse(ID(id), 0)
	}
	if c.circles(); len(c.faults) > 0 {
		return
	}
	c.dynamicAnchors()
	c.p.sortXML()
	c.p.lift()
	c.shortcuts()
	for i := range c.p.alts {
		c.tag(&c.p.alts[i])
	}
	if err := c.p.complete(); err != nil {
		c.faults = append(c.faults, err)
	}
}

// complete makes what is not kept on disk: patterns and values.
func (p *Program) complete() error {
	p.patterns = make([]*pattern, len(p.patSrc))
	for i, s := range p.patSrc {
		re, err := compilePattern(string(p.str(s)))
		if err != nil {
			return err
		}
		p.patterns[i] = re
	}
	return p.readValues()
}

// readValues reads the values of enums that are arrays or objects.
func (p *Program) readValues() error {
	p.values, p.valueAt = &tape.Tape{}, nil
	if len(p.valueSrc) == 0 {
		return nil
	}
	src := append(append([]byte{'['}, p.valueSrc...), ']')
	lim := tape.Limits{Bytes: tape.MaxBytes, Depth: 1 << 12, Elements: 1 << 30, Nodes: 1 << 30, Digits: 1 << 20, Exponent: 1 << 30}
	if err := p.values.Parse(src, lim); err != nil {
		return fmt.Errorf("read the values of enums: %w", err)
	}
	for i, end := uint32(1), p.values.Nodes[0].Next; i < end; i = p.values.Nodes[i].Next {
		p.valueAt = append(p.valueAt, i)
	}
	return nil
}

// collapse copies the target of a schema that only refers, so that no time goes into
// following it; its marks are added. It gives false in a circle of references alone.
func (c *Compiler) collapse(id ID, depth int) bool {
	n := &c.p.nodes[id]
	if n.combs != 1 || n.enum|n.str|n.num|n.arr|n.obj != 0 || n.types != AllTypes || n.flags&unevaluated != 0 || c.p.flags.Dynamic {
		return true
	}
	k := c.p.combs[n.comb]
	if k.op != opAll {
		return true
	}
	if depth > len(c.p.nodes) || ID(k.a) == id {
		return false
	}
	if !c.collapse(ID(k.a), depth+1) {
		return false
	}
	n = &c.p.nodes[id]
	mark, wins := n.mark, n.flags&nullWins
	*n = c.p.nodes[k.a]
	c.p.inheritXML(id, ID(k.a))
	n.mark |= mark
	n.flags |= wins
	return true
}

// circles refuses schemas that apply themselves to the same value: no check would end.
func (c *Compiler) circles() {
	if id, ok := c.p.circle(); ok {
		c.fault(c.places[id], "this schema applies itself to the same value, through $ref, allOf, anyOf, oneOf, not or if; write a schema that ends")
	}
}

// circle finds a schema that applies itself to the same value.
func (p *Program) circle() (found ID, ok bool) {
	const open, done = 1, 2
	state := make([]uint8, len(p.nodes))
	type visit struct {
		id    ID
		leave bool
	}
	var stack []visit
	for id := range p.nodes {
		stack = append(stack[:0], visit{id: ID(id)})
		for len(stack) > 0 {
			v := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			switch {
			case v.leave:
				state[v.id] = done
			case state[v.id] == open:
				return v.id, true
			case state[v.id] == 0:
				state[v.id] = open
				stack = append(stack, visit{v.id, true})
				for _, k := range p.combs[p.nodes[v.id].comb : p.nodes[v.id].comb+p.nodes[v.id].combs] {
					if k.op == opDynamic && state[k.a] != done {
						stack = append(stack, visit{id: ID(k.a)})
					}
				}
				p.eachPart(&p.nodes[v.id], func(part ID, _ combOp) {
					if state[part] != done {
						stack = append(stack, visit{id: part})
					}
				})
			}
		}
	}
	return 0, false
}

// eachPart calls do for the schemas that a schema applies to the same value. The targets of
// $dynamicRef, which depend on the scope, are not among them.
func (p *Program) eachPart(n *node, do func(id ID, op combOp)) {
	for _, k := range p.combs[n.comb : n.comb+n.combs] {
		switch k.op {
		case opAll, opNot:
			do(ID(k.a), k.op)
		case opDepends:
			do(ID(k.b), k.op)
		case opIf:
			for _, id := range []uint32{k.a, k.b, k.c} {
				if id != noLimit {
					do(ID(id), k.op)
				}
			}
		case opAny, opOne:
			a := &p.alts[k.a]
			for _, b := range p.branches[a.branches : a.branches+a.n] {
				do(b.id, k.op)
			}
		}
	}
}

// eachChild calls do for the schemas of members and elements.
func (p *Program) eachChild(n *node, do func(id ID)) {
	if n.arr != 0 {
		a := &p.arrs[n.arr]
		for _, id := range p.ids[a.prefix : a.prefix+a.prefixN] {
			do(id)
		}
		for _, x := range []struct {
			has bool
			id  ID
		}{{a.hasItems, a.items}, {a.hasContains, a.contains}, {a.uneval, a.unevaluatedI}} {
			if x.has {
				do(x.id)
			}
		}
	}
	if n.obj == 0 {
		return
	}
	o := &p.objs[n.obj]
	for _, pr := range p.props[o.props:o.propsEnd] {
		if pr.listed {
			do(pr.id)
		}
	}
	if o.hasOther {
		do(o.other)
	}
	x := &p.exts[o.ext]
	for _, k := range p.keyed[x.patterns : x.patterns+x.patternsN] {
		do(k.id)
	}
	if x.uneval {
		do(x.unevalP)
	}
}

// dynamicAnchors compiles every schema that a $dynamicRef may lead to.
func (c *Compiler) dynamicAnchors() {
	if !c.p.flags.Dynamic {
		return
	}
	for done := false; !done; {
		done = true
		for r := range c.resources {
			for name, node := range c.resources[r].dynamic {
				k, wanted := c.anchors[name]
				if _, have := c.p.anchor(uint32(r), k); !wanted || have {
					continue
				}
				id := c.id(place{c.resources[r].doc, node})
				c.p.anchors = append(c.p.anchors, anchor{uint32(r), k, id})
				c.drain()
				done = false
			}
		}
	}
	for id := range c.p.nodes {
		if id > int(Anything) {
			c.p.nodes[id].flags = c.p.nodes[id].flags&^memoised | scoped | composed
		}
	}
}

// lift gives every schema the marks of its parts and alternatives, so that a value counts as
// sensitive if any of its shapes is, and finds out from where marks can be reached.
func (p *Program) lift() {
	for changed := true; changed; {
		changed = false
		for id := len(p.nodes) - 1; id >= 0; id-- {
			n := &p.nodes[id]
			mark, reach := n.mark, n.flags&reaches
			p.eachPart(n, func(part ID, op combOp) {
				if op != opNot {
					mark |= p.nodes[part].mark
				}
				reach |= p.nodes[part].flags & reaches
			})
			p.eachChild(n, func(id ID) { reach |= p.nodes[id].flags & reaches })
			if a := &p.arrs[n.arr]; a.hasItems {
				mark |= p.nodes[a.items].mark & hidden
			}
			if mark&Secret != 0 {
				mark |= hidden
			}
			if mark != 0 {
				reach = reaches
				p.flags.Marked = true
			}
			if mark != n.mark || reach != n.flags&reaches {
				n.mark, n.flags, changed = mark, n.flags|reach, true
			}
		}
	}
	if p.flags.Dynamic && p.flags.Marked {
		for id := range p.nodes {
			p.nodes[id].flags |= reaches
		}
	}
}

// shortcuts finds for every schema the types whose every value fits, and up to which length
// strings do, with nothing more to look at: most values need no more than that. What applies
// in place is taken into account, since plain values have nothing in them to be known.
func (c *Compiler) shortcuts() {
	p := c.p
	masks := map[ID]Types{}
	for i := range p.branches {
		p.branches[i].types = p.typesInPlace(p.branches[i].id, masks)
	}
	done := make([]bool, len(p.nodes))
	for id := range p.nodes {
		p.shortcut(ID(id), done)
		if n := &p.nodes[id]; n.combs > 1 || n.combs > 0 && n.obj|n.arr != 0 || n.flags&(memoised|composed) == memoised|composed && n.combs == 0 {
			n.flags |= shares
		}
	}
	for i := range p.props {
		if pr := &p.props[i]; pr.listed {
			n := &p.nodes[pr.id]
			pr.plain, pr.short, pr.mark = n.plain, n.short, n.mark
		}
	}
}

func (p *Program) shortcut(id ID, done []bool) {
	n := &p.nodes[id]
	if done[id] {
		return
	}
	done[id] = true
	plain, short := n.types&(Null|Boolean), uint32(0)
	if n.str == 0 {
		plain |= n.types & String
	} else if s := &p.strs[n.str]; n.types&String != 0 && s.min == 0 && s.pattern == 0 && s.format == 0 {
		short = max(s.max, s.max+1)
	}
	if n.num == 0 {
		plain |= n.types & Number
	}
	if plain&String != 0 {
		short = noLimit
	}
	if n.enum != 0 || n.flags&scoped != 0 {
		plain, short = 0, 0
	}
	for _, k := range p.combs[n.comb : n.comb+n.combs] {
		switch k.op {
		case opAll:
			p.shortcut(ID(k.a), done)
			plain, short = plain&p.nodes[k.a].plain, min(short, p.nodes[k.a].short)
		case opAny, opOne:
			a, s := p.shortcutAlternatives(&p.alts[k.a], k.op == opOne, done)
			plain, short = plain&a, min(short, s)
		case opDepends:
		default:
			plain, short = 0, 0
		}
	}
	if n.flags&nullWins != 0 {
		plain |= Null
		if n.flags&composed == 0 {
			n.types |= Null
		}
	}
	n.plain, n.short = plain, short
}

// shortcutAlternatives: of anyOf one branch is enough; of oneOf it must be the only one that
// the type allows.
func (p *Program) shortcutAlternatives(a *altRule, one bool, done []bool) (plain Types, short uint32) {
	var once, twice Types
	list := p.branches[a.branches : a.branches+a.n]
	for _, b := range list {
		p.shortcut(b.id, done)
		twice |= once & b.types
		once |= b.types
	}
	if twice&Integer != 0 {
		twice |= Fraction // 1.0 may count as an integer
	}
	for _, b := range list {
		n := &p.nodes[b.id]
		if !one {
			plain, short = plain|n.plain, max(short, n.short)
			continue
		}
		plain |= n.plain &^ twice
		if twice&String == 0 {
			short = max(short, n.short)
		}
	}
	return plain, short
}

// typesInPlace is the types of values that can fit a schema with its parts.
func (p *Program) typesInPlace(id ID, done map[ID]Types) Types {
	if t, ok := done[id]; ok {
		return t
	}
	n := &p.nodes[id]
	types := n.types
	for _, k := range p.combs[n.comb : n.comb+n.combs] {
		switch k.op {
		case opAll:
			types &= p.typesInPlace(ID(k.a), done)
		case opAny, opOne:
			a, any := &p.alts[k.a], Types(0)
			for _, b := range p.branches[a.branches : a.branches+a.n] {
				any |= p.typesInPlace(b.id, done)
			}
			types &= any
		}
	}
	if n.flags&nullWins != 0 {
		types |= Null
	}
	done[id] = types
	return types
}

// tag finds the member that tells the branches of an alternative apart: one that most of
// them allow only certain strings for. A branch that does not allow the string at hand
// cannot fit, so that it need not be tried.
func (c *Compiler) tag(a *altRule) {
	p := c.p
	branches := p.branches[a.branches : a.branches+a.n]
	if len(branches) < 2 || len(branches) > 64 {
		return
	}
	names := map[span]int{}
	var best span
	for _, b := range branches {
		p.eachMember(b.id, func(pr *prop) {
			if pr.listed && p.isTag(pr.id) {
				if names[pr.name]++; names[pr.name] > names[best] {
					best = pr.name
				}
			}
		})
	}
	if names[best] == 0 {
		return
	}
	values := map[span]uint64{}
	var order []span
	a.tag, a.tagHash = best, tape.Hash(p.str(best))
	for k, b := range branches {
		allowed, required := p.tagValues(b.id, best)
		if !required {
			a.absent |= 1 << k
		}
		if allowed == nil {
			a.other |= 1 << k
		}
		for _, v := range allowed {
			if _, ok := values[v]; !ok {
				order = append(order, v)
			}
			values[v] |= 1 << k
		}
	}
	a.tags, a.tagsN = uint32(len(p.tags)), uint32(len(order))
	for _, v := range order {
		p.tags = append(p.tags, tagValue{v, values[v]})
	}
}

// eachMember calls do for the members that a schema and the parts that always apply list.
func (p *Program) eachMember(id ID, do func(*prop)) { p.eachMemberOnce(id, map[ID]bool{}, do) }

func (p *Program) eachMemberOnce(id ID, seen map[ID]bool, do func(*prop)) {
	if seen[id] {
		return
	}
	seen[id] = true
	n := &p.nodes[id]
	if n.obj != 0 {
		o := &p.objs[n.obj]
		for i := o.props; i < o.propsEnd; i++ {
			do(&p.props[i])
		}
	}
	for _, k := range p.combs[n.comb : n.comb+n.combs] {
		if k.op == opAll {
			p.eachMemberOnce(ID(k.a), seen, do)
		}
	}
}

// isTag reports whether a schema allows only certain strings of all strings.
func (p *Program) isTag(id ID) bool {
	n := &p.nodes[id]
	return n.enum != 0 && p.enums[n.enum].strCount > 0
}

// tagValues are the strings that a branch allows for a member; nil: any.
func (p *Program) tagValues(id ID, name span) (allowed []span, required bool) {
	p.eachMember(id, func(pr *prop) {
		if pr.name != name {
			return
		}
		required = required || pr.required
		if pr.listed && allowed == nil && p.isTag(pr.id) {
			e := &p.enums[p.nodes[pr.id].enum]
			allowed = p.texts[e.strs : e.strs+e.strCount]
		}
	})
	return allowed, required
}
