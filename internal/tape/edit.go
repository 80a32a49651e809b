package tape

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// Step is one step to a place in a value: a member's name or, where Name is "", the index
// of an element.
type Step struct {
	Name  string
	Index int
}

// Clone writes a copy of t that shares no memory with it.
func (t *Tape) Clone(dst *Tape) {
	dst.clear()
	dst.Nodes = append(dst.Nodes[:0], t.Nodes...)
	dst.Src = append(dst.spare[:0], t.Src...)
	dst.arena = append(dst.arena[:0], t.arena...)
	dst.Raw, dst.owned, dst.spare = t.Raw, true, nil
}

// At finds the value at a place. No steps are the root.
func (t *Tape) At(place ...Step) (i int, ok bool) {
	if t.Empty() {
		return 0, false
	}
	for _, s := range place {
		if s.Name != "" {
			i, ok = t.Find(i, s.Name)
		} else {
			i, ok = t.Element(i, s.Index)
		}
		if !ok {
			return 0, false
		}
	}
	return i, true
}

// Set puts v (see Builder.Value) at a place, making the objects and arrays on the way; an
// empty tape begins as an object, and null gives way to what has to stand there. An index
// is one that exists or the next. A step through a value of another kind is an error, and
// changes nothing. The text of what is replaced stays in memory until the next Reset.
func (t *Tape) Set(place []Step, v any) error {
	var b Builder
	var from Tape
	b.Start(&from, Limits{})
	b.Value(v)
	if err := b.Done(); err != nil {
		return fmt.Errorf("set a value: %w", err)
	}
	return t.SetTape(place, &from, 0)
}

// SetTape is Set with value i of another tape.
func (t *Tape) SetTape(place []Step, from *Tape, i int) error {
	lim := Limits{}.orDefault()
	if len(place) == 0 {
		return fmt.Errorf("set a value: no place given")
	}
	fresh := t.Empty()
	if fresh {
		t.clear()
		t.Src, t.owned, t.spare = t.spare[:0], true, nil
		t.Nodes = append(t.Nodes, Node{Kind: Object, Next: 1})
	}
	s := splice{t: t, way: []int{0}}
	rest, err := s.walk(place, &lim)
	if err == nil {
		err = s.check(place, rest, from, i)
	}
	if err != nil {
		if fresh {
			t.clear()
		}
		return err
	}
	t.own()
	s.apply(rest, from, i)
	return nil
}

// check refuses what would leave a tape that Parse would not have accepted.
func (s *splice) check(place, rest []Step, from *Tape, i int) error {
	lim := Limits{}.orDefault()
	for k, step := range rest {
		if step.Name == "" && step.Index != 0 && !(k == 0 && s.insert) {
			return fmt.Errorf("set a value: step %d: an index must be 0 in a new array", len(place)-len(rest)+k+1)
		}
		if !utf8.ValidString(step.Name) {
			return fmt.Errorf("set a value: step %d: the name is not valid UTF-8", len(place)-len(rest)+k+1)
		}
	}
	switch {
	case len(place)+from.depth(i) > lim.Depth:
		return fmt.Errorf("set a value: nested deeper than %d levels", lim.Depth)
	case len(s.t.Nodes)+len(rest)+len(from.Nodes) > lim.Nodes:
		return fmt.Errorf("set a value: more than %d values", lim.Nodes)
	case len(s.t.Src)+len(from.Src)+len(from.arena) > MaxBytes:
		return fmt.Errorf("set a value: the text is too long")
	}
	return nil
}

// splice is one change: the block of nodes from the last of way (or behind all in it, when
// insert) gives way to a new one.
type splice struct {
	t      *Tape
	way    []int
	insert bool
}

// walk follows the steps as far as values are there; rest are the steps to be made.
func (s *splice) walk(place []Step, lim *Limits) (rest []Step, err error) {
	t := s.t
	for k, step := range place {
		at := s.way[len(s.way)-1]
		box := &t.Nodes[at]
		var next int
		var ok bool
		switch {
		case box.Kind == Null && k > 0:
			return place[k:], nil
		case step.Name != "" && box.Kind != Object:
			return nil, fmt.Errorf("set a value: step %d is not in an object", k+1)
		case step.Name != "":
			next, ok = t.Find(at, step.Name)
		case box.Kind != Array:
			return nil, fmt.Errorf("set a value: step %d is not in an array", k+1)
		case step.Index < 0 || step.Index > int(box.Count):
			return nil, fmt.Errorf("set a value: step %d: an index must be at most %d here", k+1, box.Count)
		default:
			next, ok = t.Element(at, step.Index)
		}
		if !ok {
			if int(box.Count) >= lim.Elements {
				return nil, fmt.Errorf("set a value: step %d: there are %d members or elements already", k+1, box.Count)
			}
			s.insert = true
			return place[k:], nil
		}
		s.way = append(s.way, next)
	}
	return nil, nil
}

// apply puts the new block in: the containers of the steps that are to be made, and in
// them the value.
func (s *splice) apply(rest []Step, from *Tape, i int) {
	t := s.t
	last := s.way[len(s.way)-1]
	size := int(from.Nodes[i].Next) - i
	block := make([]Node, 0, size+len(rest))
	start, end := last, int(t.Nodes[last].Next)
	var name Node
	if s.insert {
		start = end
		name = t.named(rest[0])
		rest = rest[1:]
	} else {
		old := t.Nodes[last]
		name = Node{KeyOff: old.KeyOff, KeyEnd: old.KeyEnd, Hash: old.Hash, Flags: old.Flags & KeyEscaped}
	}
	for _, step := range rest {
		box := name
		box.Kind, box.Count = Array, 1
		if step.Name != "" {
			box.Kind = Object
		}
		box.Next = uint32(start + size + len(rest))
		block = append(block, box)
		name = t.named(step)
	}
	block = t.graft(block, name, start, from, i)
	grown := len(block) - (end - start)
	for _, up := range s.way {
		if up != start {
			t.Nodes[up].Next = uint32(int(t.Nodes[up].Next) + grown)
		}
	}
	for k := end; k < len(t.Nodes); k++ {
		t.Nodes[k].Next = uint32(int(t.Nodes[k].Next) + grown)
	}
	if s.insert {
		t.Nodes[last].Count++
	}
	t.Nodes = slices.Replace(t.Nodes, start, end, block...)
}

// named is a node with the step's name.
func (t *Tape) named(step Step) Node {
	if step.Name == "" {
		return Node{}
	}
	off, end := t.keep([]byte(step.Name))
	return Node{KeyOff: off, KeyEnd: end, Hash: Hash(step.Name)}
}

// keep appends text to the tape's own memory.
func (t *Tape) keep(s []byte) (off, end uint32) {
	off = uint32(len(t.Src))
	t.Src = append(t.Src, s...)
	return off, uint32(len(t.Src))
}

// graft appends value i of from to a block that will begin at node start.
func (t *Tape) graft(block []Node, name Node, start int, from *Tape, i int) []Node {
	first := len(block)
	shift := start + first - i
	for k := i; k < int(from.Nodes[i].Next); k++ {
		n := from.Nodes[k]
		n.Next = uint32(int(n.Next) + shift)
		if n.Kind < Array {
			n.Off, n.End = t.keep(from.Text(k))
			n.Count = 0
		} else {
			n.Off, n.End = 0, 0
		}
		switch {
		case k == i:
			n.KeyOff, n.KeyEnd, n.Hash = name.KeyOff, name.KeyEnd, name.Hash
		case n.Hash != 0 || n.KeyEnd != 0: // elements have no name at all
			n.KeyOff, n.KeyEnd = t.keep(from.Key(k))
		}
		n.Flags &= Whole
		block = append(block, n)
	}
	block[first].Flags |= name.Flags & KeyEscaped
	return block
}

// own makes Src the tape's own memory, which may grow.
func (t *Tape) own() {
	if !t.owned {
		t.Src = append(t.spare[:0], t.Src...)
		t.owned, t.spare = true, nil
	}
	t.Raw = false
}

// depth is how many containers are around the deepest value of i, with i itself.
func (t *Tape) depth(i int) int {
	deepest := 0
	if t.Nodes[i].Kind >= Array {
		for c := i + 1; c < int(t.Nodes[i].Next); c = int(t.Nodes[c].Next) {
			deepest = max(deepest, t.depth(c))
		}
		deepest++
	}
	return deepest
}
