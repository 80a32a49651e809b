package tape

import (
	"encoding/binary"
	"fmt"
)

// frame is an open container, or what is around the root.
type frame struct {
	left     int    // how many elements or members may still come
	open     uint32 // the container's node
	rule     uint32 // what is known of what is in it
	required uint32 // how many of the members were there that must be
	unlisted uint32 // how many were there that the rule does not list
	met      uint32 // where Tape.met has the members that were there
	closing  byte   // its bracket
}

const frameBytes = 32

// rootOnly is the closing bracket of what is around the root: there is none, and one value.
const rootOnly = 0

// What a value's first byte says.
const (
	noValue = iota
	aSpace
	aString
	aContainer
	aLiteral
	aDigit
	aNumber
)

// read is the tokeniser. It is one long function because a call for every name and value
// costs as much as they do. What is left of it is s.nodes, s.used and s.err.
func (s *scan) read(root uint32) {
	var (
		src, nodes = s.src, s.nodes
		used, i    int
		f          = s.enter(0, 0, rootOnly)
		rule       = &s.g.Rules[0] // of what is in the container
		want       = root          // rule of the next value
		n          *Node
		c          cursor
	)
	c.start(src, s.stops, &s.lim)
	if len(nodes) == 0 {
		nodes = s.grow()
	}
	nodes[0] = Node{}
	goto value
next:
	// An element or a member comes next.
	if f.left--; f.left < 0 {
		s.tooMany(i, f.closing)
		return
	}
	if used >= len(nodes) {
		if nodes = s.grow(); used >= len(nodes) {
			s.failed(i, fmt.Sprintf("more than %d values", s.lim.Nodes))
			return
		}
	}
	if f.closing != '}' {
		n = &nodes[used]
		n.KeyOff, n.KeyEnd, n.Hash, n.Flags = 0, 0, 0, 0
		want = rule.Items
		goto value
	}
	if uint(i) >= uint(len(src)) || src[i] != '"' {
		s.failed(i, "expected a name in quotes")
		return
	}
	i++
	s.aim(&c, f, rule)
	c.at, c.used = uint64(i), uint64(used)
	switch ended := readMembers(&c); s.ran(&c, f, ended) {
	case behind:
		i, used = int(c.at), int(c.used)
		goto after
	case atValue:
		i, used, want = int(c.at), int(c.used), uint32(c.rule)
		goto value
	}
	i, used = int(c.at), int(c.used)
	if i, want = s.slowName(i, used, f, rule); s.err != nil {
		return
	}
value:
	if uint(i) >= uint(len(src)) {
		s.failed(i, "the text ends where a value should be")
		return
	}
	n = &nodes[used]
	n.Count, n.Off, n.Next = 0, uint32(i), uint32(used+1)
	switch is := &starts[src[i]]; is.what {
	case aString:
		if i = s.text(n, i+1); i < 0 {
			return
		}
	case aContainer:
		if n.Kind = Array; src[i] == '{' {
			n.Kind = Object
		}
		if len(s.t.open) > s.lim.Depth {
			s.failed(i, fmt.Sprintf("nested deeper than %d levels", s.lim.Depth))
			return
		}
		rule = &s.g.Rules[want]
		if rule.Mark != 0 {
			s.found.Marked = append(s.found.Marked, Visit{uint32(used), rule.Mark})
		}
		if act := rule.Act(n.Kind); act != Enter {
			if act != Fits {
				s.found.note(act, used, want)
			}
			want = 0
			rule = &s.g.Rules[0]
		}
		closing := src[i] + 2
		if i++; uint(i) < uint(len(src)) && src[i] <= ' ' {
			i = skip(src, i)
		}
		used++
		if uint(i) < uint(len(src)) && src[i] == closing {
			i++
			n.End, n.Next = uint32(i), uint32(used)
			if rule.Required != 0 {
				s.found.Wrong = true
			}
			rule = &s.g.Rules[f.rule]
			goto after
		}
		f = s.enter(uint32(used-1), want, closing)
		goto next
	case aDigit:
		// Whole numbers of a few digits; number reads all others again.
		end := i + 1
		if end+8 <= len(src) {
			end += leading(nonDigits(binary.LittleEndian.Uint64(src[end:])))
		}
		for uint(end) < uint(len(src)) && src[end]-'0' <= 9 {
			end++
		}
		if end-i <= min(16, s.lim.Digits) && (end == len(src) || src[end] <= ',' && src[end] != '+' || src[end] == '}' || src[end] == ']') {
			n.Kind = Number
			n.Flags |= Whole
			i = end
			break
		}
		fallthrough
	case aNumber:
		end, whole, err := number(src, i, &s.lim)
		if err != nil {
			s.err = err
			return
		}
		n.Kind = Number
		if whole {
			n.Flags |= Whole
		}
		i = end
	case aLiteral:
		n.Kind = is.kind
		if i += int(is.size); i > len(src) || !literal(src[i-int(is.size):i], is.word) {
			s.failed(int(n.Off), "expected "+words[is.kind])
			return
		}
	case aSpace:
		i = skip(src, i)
		goto value
	default:
		s.failed(i, "expected a value")
		return
	}
	{
		j := &s.g.Rules[want]
		if n.Kind != String {
			n.End = uint32(i)
		}
		act := Act(j.Acts>>(2*(uint8(n.Kind)|uint8(n.Flags&Whole)<<1))) & 3
		if n.Kind == String && n.End-n.Off < j.Short {
			act = Fits
		}
		if uint32(act)|j.Mark != 0 {
			s.decide(j, act, used)
		}
		used++
	}
after:
	// Behind a value.
	if uint(i) < uint(len(src)) && src[i] <= ' ' {
		i = skip(src, i)
	}
	if uint(i) < uint(len(src)) && src[i] == ',' && f.closing != rootOnly {
		if i++; uint(i) < uint(len(src)) && src[i] <= ' ' {
			i = skip(src, i)
		}
		goto next
	}
	if f.closing == rootOnly {
		if i < len(src) {
			s.failed(i, "something after the end of the value")
		}
		s.used = used
		return
	}
	if uint(i) >= uint(len(src)) || src[i] != f.closing {
		s.failed(i, "expected , or "+string(f.closing))
		return
	}
	i++
	n = &nodes[f.open]
	n.End, n.Count, n.Next = uint32(i), uint32(s.lim.Elements-f.left), uint32(used)
	if f.required != rule.Required {
		s.found.Wrong = true
	}
	if f.unlisted > 1 && f.closing == '}' {
		s.t.Nodes = nodes[:used]
		if twin := s.t.twin(int(f.open)); twin >= 0 {
			s.err = s.t.repeated(twin)
			return
		}
	}
	f = s.leave()
	rule = &s.g.Rules[f.rule]
	goto after
}
