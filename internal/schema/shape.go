package schema

import "sallyport/internal/tape"

// Shape is what may stand at one place, whichever alternatives are taken: for readers of
// texts that do not say their types (forms, queries, XML). It is a small value that is
// computed on the way and costs no memory, except where more than eight schemas meet.
type Shape struct {
	p    *Program
	ids  [8]ID
	n    int
	more []ID
}

// Shape gives the shape of a schema.
func (p *Program) Shape(id ID) Shape { return Shape{p: p, ids: [8]ID{id}, n: 1} }

// Known reports whether any schema speaks about this place.
func (s *Shape) Known() bool { return s.n > 0 }

// each calls do for every schema that may apply, with its parts and alternatives, until it
// returns false.
func (s *Shape) each(do func(n *node) bool) {
	for _, id := range s.ids[:min(s.n, len(s.ids))] {
		if !s.p.eachInPlace(id, 0, do) {
			return
		}
	}
	for _, id := range s.more {
		if !s.p.eachInPlace(id, 0, do) {
			return
		}
	}
}

func (p *Program) eachInPlace(id ID, depth int, do func(n *node) bool) bool {
	n := &p.nodes[id]
	if !do(n) {
		return false
	}
	if depth > 64 {
		return true
	}
	for _, k := range p.combs[n.comb : n.comb+n.combs] {
		switch k.op {
		case opAll, opDynamic:
			if !p.eachInPlace(ID(k.a), depth+1, do) {
				return false
			}
		case opDepends:
			if !p.eachInPlace(ID(k.b), depth+1, do) {
				return false
			}
		case opIf:
			for _, b := range [3]uint32{k.a, k.b, k.c} {
				if b != noLimit && !p.eachInPlace(ID(b), depth+1, do) {
					return false
				}
			}
		case opAny, opOne:
			a := &p.alts[k.a]
			for _, b := range p.branches[a.branches : a.branches+a.n] {
				if !p.eachInPlace(b.id, depth+1, do) {
					return false
				}
			}
		}
	}
	return true
}

// Types is the set of types that may stand there.
func (s *Shape) Types() Types {
	var types Types
	for _, id := range s.ids[:min(s.n, len(s.ids))] {
		types |= s.p.mayStand(id, 0)
	}
	for _, id := range s.more {
		types |= s.p.mayStand(id, 0)
	}
	return types
}

// mayStand is the types that a schema with its parts leaves.
func (p *Program) mayStand(id ID, depth int) Types {
	n := &p.nodes[id]
	types := n.types
	if n.enum != 0 {
		types &= p.enums[n.enum].kinds(p)
	}
	if depth > 64 {
		return types
	}
	for _, k := range p.combs[n.comb : n.comb+n.combs] {
		switch k.op {
		case opAll, opDynamic:
			types &= p.mayStand(ID(k.a), depth+1)
		case opAny, opOne:
			a, any := &p.alts[k.a], Types(0)
			for _, b := range p.branches[a.branches : a.branches+a.n] {
				any |= p.mayStand(b.id, depth+1)
			}
			types &= any
		}
	}
	if n.flags&nullWins != 0 {
		types |= Null
	}
	return types
}

// kinds is the types of the values listed.
func (e *enumRule) kinds(p *Program) Types {
	types := e.types
	if e.bools != 0 {
		types |= Boolean
	}
	if e.strCount > 0 {
		types |= String
	}
	if e.numCount > 0 {
		types |= Number
	}
	if e.treeN > 0 {
		types |= Array | Object
	}
	return types
}

// Text reports whether the schema takes this very text as a string: where a text could be a
// string or something else, it is a string only if one of the schemas says so.
func (s *Shape) Text(text []byte) bool {
	m := s.p.Get()
	defer m.Put()
	m.mode, m.formats = Request, true
	fits := false
	for i := 0; i < s.n && !fits; i++ {
		id := s.at(i)
		m.left = baseSteps + stepsPerByte*len(text)
		fits = m.fitsName(text, id)
	}
	return fits
}

func (s *Shape) at(i int) ID {
	if i < len(s.ids) {
		return s.ids[i]
	}
	return s.more[i-len(s.ids)]
}

// add takes in one more schema.
func (s *Shape) add(id ID) {
	for i := range s.n {
		if s.at(i) == id {
			return
		}
	}
	if s.n < len(s.ids) {
		s.ids[s.n] = id
	} else {
		s.more = append(s.more, id)
	}
	s.n++
}

// Member is the shape of a member of that name. listed is false where no properties list it
// and only patternProperties or additionalProperties speak about it.
func (s *Shape) Member(name []byte) (kid Shape, listed bool) {
	kid.p = s.p
	hash := tape.Hash(name)
	s.each(func(n *node) bool {
		if id, ok := s.p.property(n, hash, name); ok {
			kid.add(id)
			listed = true
		}
		return true
	})
	s.each(func(n *node) bool {
		s.others(n, hash, name, &kid)
		return true
	})
	if kid.n == 0 && s.Free() {
		kid.add(Anything)
	}
	return kid, listed
}

// others adds the schemas of a member that one schema does not list.
func (s *Shape) others(n *node, hash uint32, name []byte, kid *Shape) {
	p := s.p
	if n.obj == 0 {
		return
	}
	o := &p.objs[n.obj]
	x := &p.exts[o.ext]
	_, found := p.property(n, hash, name)
	for _, k := range p.keyed[x.patterns : x.patterns+x.patternsN] {
		if len(name) <= maxPatternText && p.patterns[k.key].match(name) {
			kid.add(k.id)
			found = true
		}
	}
	switch {
	case found:
	case o.hasOther && o.other != Nothing:
		kid.add(o.other)
	case x.uneval && x.unevalP != Nothing:
		kid.add(x.unevalP)
	}
}

// property finds a member that a schema itself lists.
func (p *Program) property(n *node, hash uint32, name []byte) (ID, bool) {
	o := &p.objs[n.obj]
	if o.mask == noLimit {
		return Nothing, false
	}
	slots := p.slots[o.slots : o.slots+o.mask+1]
	for at := hash & o.mask; slots[at] != 0; at = (at + 1) & o.mask {
		if pr := &p.props[slots[at]-1]; pr.hash == hash && string(p.str(pr.name)) == string(name) {
			return pr.id, pr.listed
		}
	}
	return Nothing, false
}

// Item is the shape of element i of an array; -1: of any element.
func (s *Shape) Item(i int) Shape {
	kid := Shape{p: s.p}
	s.each(func(n *node) bool {
		if n.arr == 0 {
			return true
		}
		a := &s.p.arrs[n.arr]
		prefix := s.p.ids[a.prefix : a.prefix+a.prefixN]
		switch {
		case i < 0:
			for _, id := range prefix {
				kid.add(id)
			}
			fallthrough
		case i >= len(prefix):
			if a.hasItems && a.items != Nothing {
				kid.add(a.items)
			}
			if a.uneval && a.unevaluatedI != Nothing {
				kid.add(a.unevaluatedI)
			}
		default:
			kid.add(prefix[i])
		}
		return true
	})
	if kid.n == 0 && s.Free() {
		kid.add(Anything)
	}
	return kid
}

// Free reports whether members and elements are left entirely open: a schema lets everything
// through and no other speaks about them.
func (s *Shape) Free() bool {
	open := false
	s.each(func(n *node) bool {
		if n.flags&speaks != 0 {
			open = false
			return false
		}
		open = open || n.flags&opens != 0
		return true
	})
	return open
}

// Mark is every mark that the place may have.
func (s *Shape) Mark() Mark {
	var mark Mark
	s.each(func(n *node) bool { mark |= n.mark; return true })
	return mark & allMarks
}

// Hidden reports whether the place must be named in a Lens to be seen: it, or each element of
// it, may be secret.
func (s *Shape) Hidden() bool {
	var mark Mark
	s.each(func(n *node) bool { mark |= n.mark; return true })
	return mark&hidden != 0
}

// Names lists the members that are listed, in the document's order, each once. It allocates.
func (s *Shape) Names() []string {
	var names []string
	seen := map[string]bool{}
	s.each(func(n *node) bool {
		o := &s.p.objs[n.obj]
		for _, pr := range s.p.props[o.props:o.propsEnd] {
			if name := string(s.p.str(pr.name)); pr.listed && !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
		return true
	})
	return names
}
