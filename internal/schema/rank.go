package schema

import "sallyport/internal/tape"

// Rank orders the members that are listed as the document lists them: those of a schema
// before those of its parts and alternatives, in their order. It is -1 for every other name.
func (s *Shape) Rank(name []byte) int {
	rank, part, hash := -1, 0, tape.Hash(name)
	s.each(func(n *node) bool {
		o := &s.p.objs[n.obj]
		if at, ok := s.p.propertyAt(o, hash, name); ok {
			rank = part<<20 | int(at-o.props)
			return false
		}
		part++
		return true
	})
	return rank
}

// propertyAt finds where in props a member stands that an object's schema lists.
func (p *Program) propertyAt(o *objRule, hash uint32, name []byte) (uint32, bool) {
	if o.mask == noLimit {
		return 0, false
	}
	slots := p.slots[o.slots : o.slots+o.mask+1]
	for at := hash & o.mask; slots[at] != 0; at = (at + 1) & o.mask {
		if pr := &p.props[slots[at]-1]; pr.hash == hash && string(p.str(pr.name)) == string(name) {
			return slots[at] - 1, pr.listed
		}
	}
	return 0, false
}
