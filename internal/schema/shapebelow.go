package schema

import (
	"math/bits"

	"sallyport/internal/tape"
)

// Member is the shape of a member of that name. listed is false where no properties list it
// and only patternProperties or additionalProperties speak about it.
func (s Shape) Member(name []byte) (kid Shape, listed bool) {
	return s.MemberHashed(name, tape.Hash(name))
}

// MemberHashed is Member for a name whose tape.Hash is known.
func (s Shape) MemberHashed(name []byte, hash uint32) (kid Shape, listed bool) {
	if s.shape == nil {
		return Shape{}, false
	}
	b := s.open()
	if i := b.find(hash, name); i >= 0 {
		return b.members[i].kid, true
	}
	if b.byName {
		return s.p.shapeOf(s.unlisted(hash, name)), false
	}
	return b.other, false
}

// Rank orders the members that are listed as the document lists them: those of a schema
// before those of its parts and alternatives, in their order. It is -1 for every other name.
func (s Shape) Rank(name []byte) int {
	if s.shape == nil {
		return -1
	}
	return s.open().find(tape.Hash(name), name)
}

// find is the number of a listed member, or -1.
func (b *below) find(hash uint32, name []byte) int {
	if len(b.slots) == 0 {
		return -1
	}
	mask := uint32(len(b.slots) - 1)
	for at := hash & mask; b.slots[at] != 0; at = (at + 1) & mask {
		if m := &b.members[b.slots[at]-1]; m.hash == hash && m.name == string(name) {
			return int(b.slots[at] - 1)
		}
	}
	return -1
}

// open makes what is below a shape, once.
func (s *shape) open() *below {
	if b := s.below.Load(); b != nil {
		return b
	}
	b := &below{xml: s.p.xmlOf(s.ids)}
	s.list(b)
	Shape{s}.each(func(n *node) bool {
		b.byName = b.byName || s.p.exts[s.p.objs[n.obj].ext].patternsN > 0
		b.byIndex = b.byIndex || s.p.arrs[n.arr].prefixN > 0
		return true
	})
	if !b.byName {
		b.other = s.p.shapeOf(s.unlisted(0, nil))
	}
	b.item = s.p.shapeOf(s.elements(1 << 30))
	s.below.CompareAndSwap(nil, b)
	return s.below.Load()
}

// list fills the table of the members that are listed.
func (s *shape) list(b *below) {
	seen := map[string]bool{}
	Shape{s}.each(func(n *node) bool {
		o := &s.p.objs[n.obj]
		for _, pr := range s.p.props[o.props:o.propsEnd] {
			name := string(s.p.str(pr.name))
			if pr.listed && !seen[name] {
				seen[name] = true
				b.members = append(b.members, memberShape{hash: pr.hash, name: name})
			}
		}
		return true
	})
	if len(b.members) == 0 {
		return
	}
	b.slots = make([]uint32, 1<<bits.Len(uint(2*len(b.members))))
	mask := uint32(len(b.slots) - 1)
	for i := range b.members {
		m := &b.members[i]
		m.kid = s.p.shapeOf(s.listed(m.hash, []byte(m.name)))
		at := m.hash & mask
		for b.slots[at] != 0 {
			at = (at + 1) & mask
		}
		b.slots[at] = uint32(i + 1)
	}
}

// listed are the schemas of a member that is listed.
func (s *shape) listed(hash uint32, name []byte) []ID {
	var ids idSet
	Shape{s}.each(func(n *node) bool {
		if id, ok := s.p.property(n, hash, name); ok {
			ids.add(id)
		}
		return true
	})
	s.others(hash, name, &ids)
	return ids
}

// unlisted are the schemas of a member that nobody lists.
func (s *shape) unlisted(hash uint32, name []byte) []ID {
	var ids idSet
	s.others(hash, name, &ids)
	if len(ids) == 0 && s.free {
		ids.add(Anything)
	}
	return ids
}

// others adds the schemas of a member from those that do not list it.
func (s *shape) others(hash uint32, name []byte, ids *idSet) {
	p := s.p
	Shape{s}.each(func(n *node) bool {
		if n.obj == 0 {
			return true
		}
		o := &p.objs[n.obj]
		x := &p.exts[o.ext]
		_, found := p.property(n, hash, name)
		for _, k := range p.keyed[x.patterns : x.patterns+x.patternsN] {
			if len(name) <= maxPatternText && p.patterns[k.key].match(name) {
				ids.add(k.id)
				found = true
			}
		}
		switch {
		case found:
		case o.hasOther && o.other != Nothing:
			ids.add(o.other)
		case x.uneval && x.unevalP != Nothing:
			ids.add(x.unevalP)
		}
		return true
	})
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
func (s Shape) Item(i int) Shape {
	switch {
	case s.shape == nil:
		return Shape{}
	case s.open().byIndex:
		return s.p.shapeOf(s.elements(i))
	}
	return s.open().item
}

func (s *shape) elements(i int) []ID {
	var ids idSet
	Shape{s}.each(func(n *node) bool {
		if n.arr == 0 {
			return true
		}
		a := &s.p.arrs[n.arr]
		prefix := s.p.ids[a.prefix : a.prefix+a.prefixN]
		switch {
		case i < 0:
			for _, id := range prefix {
				ids.add(id)
			}
			fallthrough
		case i >= len(prefix):
			if a.hasItems && a.items != Nothing {
				ids.add(a.items)
			}
			if a.uneval && a.unevaluatedI != Nothing {
				ids.add(a.unevaluatedI)
			}
		default:
			ids.add(prefix[i])
		}
		return true
	})
	if len(ids) == 0 && s.free {
		ids.add(Anything)
	}
	return ids
}
