package tape

import "encoding/binary"

// enter opens a container, of which a rule knows what is in it.
func (s *scan) enter(node, rule uint32, closing byte) *frame {
	t := s.t
	met, r := len(t.met), &s.g.Rules[rule]
	for k := uint32(0); k <= r.count; k += 64 {
		t.met = append(t.met, 0)
	}
	t.open = append(t.open, frame{left: s.lim.Elements, open: node, rule: rule, met: uint32(met), closing: closing})
	return &t.open[len(t.open)-1]
}

// leave closes the container that was opened last, and gives the one around it.
func (s *scan) leave() *frame {
	t := s.t
	last := len(t.open) - 1
	t.met = t.met[:t.open[last].met]
	t.open = t.open[:last]
	return &t.open[last-1]
}

// aim makes the quick way ready for the members of an object.
func (s *scan) aim(c *cursor, f *frame, r *Rule) {
	c.nodes, c.left, c.required, c.unlisted = s.nodes, uint64(f.left), 0, 0
	c.slots, c.members, c.shift = s.g.Slots[r.slots:r.slots+r.mask+1], s.g.Members[r.members:r.members+r.count], uint64(r.shift)
	c.met = s.t.met[f.met:]
	if c.other = nil; r.Other != Stray {
		c.other = &s.g.Rules[r.Other].judge
	}
}

// ran takes in what the quick way found.
func (s *scan) ran(c *cursor, f *frame, ended way) way {
	f.left = int(c.left)
	f.required += uint32(c.required)
	f.unlisted += uint32(c.unlisted)
	for k := range c.later[:c.todo] {
		l := &c.later[k]
		s.decide(&s.g.Rules[l.rule], l.act, int(l.node))
	}
	c.todo = 0
	return ended
}

// unlisted notes a member that its object's rule does not list, and gives the judge of its
// value.
func (s *scan) unlisted(f *frame, node int) *judge {
	f.unlisted++
	rule := s.g.Rules[f.rule].Other
	if rule == Stray {
		s.found.Strays = append(s.found.Strays, uint32(node))
		rule = 0
	}
	return &s.g.Rules[rule].judge
}

// slowName reads a member's name in the slow way, from behind its first quote on, and looks
// it up. It gives the index behind the colon and the rule of the value.
func (s *scan) slowName(i, node int, f *frame, r *Rule) (at int, rule uint32) {
	name, from, end, flags, err := s.name(i, s.t.stop(i))
	if s.err = err; err != nil {
		return -1, 0
	}
	n := &s.nodes[node]
	hash := longHash(name)
	n.KeyOff, n.KeyEnd, n.Hash, n.Flags = from, from+uint32(len(name)), uint32(hash), flags
	if at = end + 1; at >= len(s.src) || s.src[at] != ':' {
		if at = skip(s.src, at); at >= len(s.src) || s.src[at] != ':' {
			return s.failed(at, "expected :"), 0
		}
	}
	at++
	m, k := s.listed(r, name, heads(name), hash)
	if m == nil {
		return at, s.unlisted(f, node).rule
	}
	seen := &s.t.met[f.met+k/64]
	if *seen>>(k&63)&1 != 0 {
		return s.repeated(at, n.KeyOff, n.KeyEnd, flags), 0
	}
	*seen |= 1 << (k & 63)
	f.required += m.Required
	if m.Rule == Stray {
		return at, s.unlisted(f, node).rule
	}
	return at, m.Rule
}

// listed finds a name, or a string, among those that a rule lists, and its number there.
func (s *scan) listed(r *Rule, name []byte, head [4]uint64, hash uint64) (*Member, uint32) {
	for at := uint32(hash >> (r.shift & 63)); ; at++ {
		k := uint32(s.g.Slots[r.slots+at&r.mask])
		if k == 0 {
			return nil, 0
		}
		m := &s.g.Members[r.members+k-1]
		if m.head == head && m.size == uint32(len(name)) && (m.size <= 32 || string(s.g.Text[m.rest:m.rest+m.size-32]) == string(name[32:])) {
			return m, k - 1
		}
	}
}

// decide is for a value that does not simply fit, or has a mark.
func (s *scan) decide(r *Rule, act Act, node int) {
	if act != Fits {
		n := &s.nodes[node]
		if n.Kind != String || n.Flags&Escaped != 0 || !r.Values || !s.one(r, s.src[n.Off:n.End]) {
			s.found.note(act, node, r.rule)
		}
	}
	if r.Mark != 0 {
		s.found.Marked = append(s.found.Marked, Visit{uint32(node), r.Mark})
	}
}

// one reports whether a string is one of those that a rule lists.
func (s *scan) one(r *Rule, text []byte) bool {
	var w [4]uint64
	var hash uint64
	if size := len(text); size <= 32 && cap(text) >= 32 {
		first := &firsts[size]
		head := text[:32]
		w[0] = binary.LittleEndian.Uint64(head) & first[0]
		w[1] = binary.LittleEndian.Uint64(head[8:]) & first[1]
		w[2] = binary.LittleEndian.Uint64(head[16:]) & first[2]
		w[3] = binary.LittleEndian.Uint64(head[24:]) & first[3]
		hash = mix(hashStart, w[0], w[1], w[2], w[3])
	} else {
		w, hash = heads(text), longHash(text)
	}
	m, _ := s.listed(r, text, w, hash)
	return m != nil
}

// text reads a string in the slow way, from behind its first quote on, and gives the index
// behind the last, or -1 with s.err.
func (s *scan) text(n *Node, i int) int {
	n.Kind, n.Off = String, uint32(i)
	end := s.t.stop(i)
	if end >= len(s.src) || s.src[end] != '"' {
		var ok bool
		if end, ok = plain(s.src, i); !ok {
			if end, n.Count, s.err = s.t.escapedValue(i); s.err != nil {
				return -1
			}
			n.Flags |= Escaped
		}
	}
	n.End = uint32(end)
	return end + 1
}

// literal reports whether a text is the word of a literal, as start has it.
func literal(text []byte, word uint64) bool {
	for k, c := range text {
		if c != byte(word>>(8*k)) {
			return false
		}
	}
	return true
}

var words = [...]string{Null: "null", True: "true", False: "false"}
