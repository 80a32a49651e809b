package schema

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"sallyport/internal/tape"
)

// Shape is what may stand at one place, whichever alternatives are taken: for readers of
// texts that do not say their types (forms, queries, XML). The zero Shape is a place that no
// schema speaks about. A Program keeps the shapes that were asked for, so that going from one
// to the next is a look-up that allocates nothing.
type Shape struct{ *shape }

type shape struct {
	p     *Program
	ids   []ID
	types Types
	mark  Mark
	free  bool
	below atomic.Pointer[below] // made when it is first asked for
}

// below is what a shape says about members and elements.
type below struct {
	slots   []uint32 // open addressing into members: index+1
	members []memberShape
	byName  bool  // patternProperties: what an unlisted name may hold depends on it
	other   Shape // of an unlisted name
	byIndex bool  // prefixItems
	item    Shape // of an element, or of those behind prefixItems
	xml     XML
}

type memberShape struct {
	hash uint32
	name string
	kid  Shape
}

// shapes are a Program's shapes by the schemas that meet in them. There are no more of them
// than schemas in all but the oddest documents; beyond maxShapes they are made anew each time.
type shapes struct {
	mu   sync.Mutex
	seen map[string]*shape
}

const maxShapes = 1 << 16

// Shape gives the shape of a schema.
func (p *Program) Shape(id ID) Shape { return p.shapeOf([]ID{id}) }

func (p *Program) shapeOf(ids []ID) Shape {
	if len(ids) == 0 {
		return Shape{}
	}
	key := make([]byte, 0, 32)
	for _, id := range ids {
		key = binary.LittleEndian.AppendUint32(key, uint32(id))
	}
	p.shapes.mu.Lock()
	s, ok := p.shapes.seen[string(key)]
	p.shapes.mu.Unlock()
	if ok {
		return Shape{s}
	}
	s = &shape{p: p, ids: slices.Clone(ids)}
	for _, id := range ids {
		left := maxParts
		s.types |= p.mayStand(id, &left)
	}
	Shape{s}.each(func(n *node) bool { s.mark |= n.mark; return true })
	s.free = Shape{s}.isFree()
	p.shapes.mu.Lock()
	defer p.shapes.mu.Unlock()
	if old, ok := p.shapes.seen[string(key)]; ok {
		return Shape{old}
	}
	if p.shapes.seen == nil {
		p.shapes.seen = map[string]*shape{}
	}
	if len(p.shapes.seen) < maxShapes {
		p.shapes.seen[string(key)] = s
	}
	return Shape{s}
}

// Known reports whether any schema speaks about this place.
func (s Shape) Known() bool { return s.shape != nil }

// each calls do for every schema that may apply, with its parts and alternatives, until it
// returns false.
func (s Shape) each(do func(n *node) bool) {
	if s.shape == nil {
		return
	}
	left := maxParts
	for _, id := range s.ids {
		if !s.p.eachInPlace(id, &left, do) {
			return
		}
	}
}

// idSet gathers schemas, each once.
type idSet []ID

func (s *idSet) add(id ID) {
	if !slices.Contains(*s, id) {
		*s = append(*s, id)
	}
}

// maxParts bounds how many parts of one schema are looked at: allOf could name the same
// schemas again and again.
const maxParts = 1 << 14

func (p *Program) eachInPlace(id ID, left *int, do func(n *node) bool) bool {
	n := &p.nodes[id]
	if *left--; *left < 0 || !do(n) {
		return false
	}
	for _, k := range p.combs[n.comb : n.comb+n.combs] {
		switch k.op {
		case opAll, opDynamic:
			if !p.eachInPlace(ID(k.a), left, do) {
				return false
			}
		case opDepends:
			if !p.eachInPlace(ID(k.b), left, do) {
				return false
			}
		case opIf:
			for _, b := range [3]uint32{k.a, k.b, k.c} {
				if b != noLimit && !p.eachInPlace(ID(b), left, do) {
					return false
				}
			}
		case opAny, opOne:
			a := &p.alts[k.a]
			for _, b := range p.branches[a.branches : a.branches+a.n] {
				if !p.eachInPlace(b.id, left, do) {
					return false
				}
			}
		}
	}
	return true
}

// Types is the set of types that may stand there.
func (s Shape) Types() Types {
	if s.shape == nil {
		return 0
	}
	return s.types
}

// mayStand is the types that a schema with its parts leaves.
func (p *Program) mayStand(id ID, left *int) Types {
	n := &p.nodes[id]
	types := n.types
	if n.enum != 0 {
		types &= p.enums[n.enum].kinds(p)
	}
	if *left--; *left < 0 {
		return types
	}
	for _, k := range p.combs[n.comb : n.comb+n.combs] {
		switch k.op {
		case opAll, opDynamic:
			types &= p.mayStand(ID(k.a), left)
		case opAny, opOne:
			a, any := &p.alts[k.a], Types(0)
			for _, b := range p.branches[a.branches : a.branches+a.n] {
				any |= p.mayStand(b.id, left)
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
func (s Shape) Text(text []byte) bool {
	if s.shape == nil {
		return false
	}
	m := s.p.Get()
	defer m.Put()
	m.mode, m.formats = Request, true
	for _, id := range s.ids {
		m.left = baseSteps + stepsPerByte*len(text)
		if m.fitsName(text, id) {
			return true
		}
	}
	return false
}

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

// Free reports whether members and elements are left entirely open: a schema lets everything
// through and no other speaks about them.
func (s Shape) Free() bool { return s.shape != nil && s.free }

func (s Shape) isFree() bool {
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
func (s Shape) Mark() Mark {
	if s.shape == nil {
		return 0
	}
	return s.mark & allMarks
}

// Hidden reports whether the place must be named in a Lens to be seen: it, or each element of
// it, may be secret.
func (s Shape) Hidden() bool { return s.shape != nil && s.mark&hidden != 0 }

// Names lists the members that are listed, in the document's order, each once. It allocates.
func (s Shape) Names() []string {
	if s.shape == nil {
		return nil
	}
	members := s.open().members
	names := make([]string, len(members))
	for i := range members {
		names[i] = members[i].name
	}
	return names
}

// XML says how the value is written in XML.
func (s Shape) XML() XML {
	if s.shape == nil {
		return XML{}
	}
	return s.open().xml
}
