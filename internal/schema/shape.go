package schema

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
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
