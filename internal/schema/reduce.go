package schema

import "sallyport/internal/tape"

// AppendReduced writes the value of the last Check without the members that the schema does
// not know, those that the lens does not see, and, after Explain, those whose type is wrong.
// What stays is copied as it was written where the tape holds JSON text, else encoded anew,
// in the order of the tape. Nothing is appended where nothing is seen. It is for Valid
// verdicts, and for Invalid ones after Explain.
func (m *Machine) AppendReduced(dst []byte, lens *Lens) ([]byte, Tally) {
	w := reducer{m: m, t: m.t, dst: dst, strange: unknowns{m: m, list: m.strange}}
	m.text = m.text[:0]
	if lens != nil && lens.Secrets {
		w.dirt = m.findDirt(0)
	} else {
		w.dirt = m.findDirt(hidden)
	}
	if w.shows(m.at, lens) {
		w.value(m.at, lens)
	} else {
		w.count(m.at)
	}
	if w.tally.Dropped > 0 {
		w.tally.Unknown = w.strange.done(w.missed)
	}
	return w.dst, w.tally
}

// reducer writes one value.
type reducer struct {
	m     *Machine
	t     *tape.Tape
	dst   []byte
	tally Tally
	dirt  dirt

	strange unknowns // places that were dropped on the way; their own place is in m.text
	missed  bool     // something was dropped where the writer did not go
}

// drop leaves out what the schema does not know.
func (w *reducer) drop(k uint32, box tape.Kind) {
	w.tally.Dropped++
	base := w.step(k, box)
	w.strange.note()
	w.m.text = w.m.text[:base]
}

// inside writes a value that is in another one.
func (w *reducer) inside(k uint32, box tape.Kind, lens *Lens) {
	if w.t.Nodes[k].Kind < tape.Array {
		w.whole(k)
		return
	}
	base := w.step(k, box)
	w.value(k, lens)
	w.m.text = w.m.text[:base]
}

// step goes on to a member or an element, and gives what to cut m.text to afterwards.
func (w *reducer) step(k uint32, box tape.Kind) (base int) {
	base = len(w.m.text)
	w.m.text = appendStep(w.m.text, w.t, box, k)
	return base
}

// shows reports whether anything of a value is written: of a plain value all or nothing.
func (w *reducer) shows(i uint32, lens *Lens) bool {
	if lens == nil || w.m.state[i]&bad != 0 {
		return false
	}
	switch w.t.Nodes[i].Kind {
	case tape.Object:
		return true
	case tape.Array:
		return lens.All || lens.Every != nil
	}
	return lens.All
}

// value writes a value that is seen.
func (w *reducer) value(i uint32, lens *Lens) {
	nd := &w.t.Nodes[i]
	switch {
	case nd.Kind < tape.Array || w.clean(i, nd, lens):
		w.whole(i)
	case w.t.Raw && lens.clear():
		w.rest(i, nd, lens)
	case nd.Kind == tape.Array:
		w.array(i, nd, lens)
	default:
		w.object(i, nd, lens)
	}
}

// whole writes a value with all that is in it.
func (w *reducer) whole(i uint32) {
	if !w.t.Raw {
		w.dst = w.t.AppendJSON(w.dst, int(i))
		return
	}
	from, to := w.t.Span(int(i))
	w.dst = append(w.dst, w.t.Src[from:to]...)
}

// clean reports whether everything in a value is known and seen.
func (w *reducer) clean(i uint32, nd *tape.Node, lens *Lens) bool {
	if nd.Kind < tape.Array {
		return true
	}
	if !lens.All || len(lens.Kids) > 0 || lens.Every != nil {
		return false
	}
	return !w.dirt.below(i, nd.Next)
}

// object writes the members that are known and seen. Those next to each other that stay
// whole are copied in one piece, with what stands between them.
func (w *reducer) object(i uint32, nd *tape.Node, lens *Lens) {
	w.dst = append(w.dst, '{')
	wrote, from, to := false, -1, 0
	for k := i + 1; k < nd.Next; k = w.t.Nodes[k].Next {
		c := &w.t.Nodes[k]
		kid := w.member(k, lens)
		if kid != nil && w.t.Raw && w.clean(k, c, kid) {
			off, ok := w.t.Member(int(k))
			if from < 0 && ok {
				from = off
			}
			if from >= 0 {
				_, to = w.t.Span(int(k))
				continue
			}
		}
		if from >= 0 {
			w.raw(from, to, &wrote)
			from = -1
		}
		if kid != nil {
			w.comma(&wrote)
			w.dst = append(tape.AppendString(w.dst, w.t.Key(int(k))), ':')
			w.inside(k, nd.Kind, kid)
		}
	}
	if from >= 0 {
		w.raw(from, to, &wrote)
	}
	w.dst = append(w.dst, '}')
}

// rest writes all of a container but what is unknown or wrong, in as few pieces as can be.
func (w *reducer) rest(i uint32, nd *tape.Node, lens *Lens) {
	open, end := byte('{'), byte('}')
	if nd.Kind == tape.Array {
		open, end = '[', ']'
	}
	w.dst = append(w.dst, open)
	wrote := false
	for k := i + 1; k < nd.Next; {
		first, last := k, uint32(0)
		if last, k = w.dirt.skip(w.t.Nodes, k, nd.Next); last != 0 {
			w.comma(&wrote)
			w.dst = appendRun(w.dst, w.t, first, last)
		}
		if k >= nd.Next {
			break
		}
		switch s := w.m.state[k]; {
		case s&known == 0:
			w.drop(k, nd.Kind)
		case s&bad == 0:
			w.comma(&wrote)
			if nd.Kind == tape.Object {
				w.dst = append(tape.AppendString(w.dst, w.t.Key(int(k))), ':')
			}
			w.inside(k, nd.Kind, lens)
		}
		k = w.t.Nodes[k].Next
	}
	w.dst = append(w.dst, end)
}

// raw writes members as they stand in the text.
func (w *reducer) raw(from, to int, wrote *bool) {
	w.comma(wrote)
	w.dst = append(w.dst, w.t.Src[from:to]...)
}

func (w *reducer) comma(wrote *bool) {
	if *wrote {
		w.dst = append(w.dst, ',')
	}
	*wrote = true
}

// member is what is seen of a member; nil: nothing, and that is counted.
func (w *reducer) member(k uint32, lens *Lens) *Lens {
	if w.m.state[k]&known == 0 {
		w.drop(k, tape.Object)
		return nil
	}
	kid := lens.child(w.t, k, w.m.hides(k))
	switch {
	case kid == nil:
		w.tally.Reduced++
		w.count(k)
	case !w.shows(k, kid):
		w.count(k)
		return nil
	}
	return kid
}

func (w *reducer) array(i uint32, nd *tape.Node, lens *Lens) {
	w.dst = append(w.dst, '[')
	kid, wrote := lens.Element(), false
	for k := i + 1; k < nd.Next; k = w.t.Nodes[k].Next {
		switch {
		case w.m.state[k]&known == 0:
			w.drop(k, nd.Kind)
		case !w.shows(k, kid):
			w.count(k)
		default:
			w.comma(&wrote)
			w.inside(k, nd.Kind, kid)
		}
	}
	w.dst = append(w.dst, ']')
}

// count counts what is unknown in a value that is not written.
func (w *reducer) count(i uint32) {
	nd := &w.t.Nodes[i]
	if nd.Kind < tape.Array || w.m.state[i]&bad != 0 {
		return
	}
	for k := i + 1; k < nd.Next; {
		switch s := w.m.state[k]; {
		case s&known == 0:
			w.tally.Dropped++
			w.missed = true
			k = w.t.Nodes[k].Next
		case s&bad != 0:
			k = w.t.Nodes[k].Next
		default:
			k++
		}
	}
}

// path is the way from where the check began to a node.
func (m *Machine) path(i int) []Step {
	way := m.t.Parents(nil, i)
	var out []Step
	for k := 1; k < len(way); k++ {
		if way[k] <= int(m.at) {
			continue
		}
		if box := way[k-1]; m.nodes[box].Kind == tape.Array {
			n := 0
			for c := box + 1; c < way[k]; c = int(m.nodes[c].Next) {
				n++
			}
			out = append(out, Step{Index: n})
			continue
		}
		out = append(out, Step{Name: string(m.t.Key(way[k])), Index: -1})
	}
	return out
}
