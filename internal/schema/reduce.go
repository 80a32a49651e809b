package schema

import "sallyport/internal/tape"

// AppendReduced writes the value of the last Check without the members that the schema does
// not know, those that the lens does not see, and, after Explain, those whose type is wrong.
// What stays is copied as it was written where the tape holds JSON text, else encoded anew,
// in the order of the tape. Nothing is appended where nothing is seen. It is for Valid
// verdicts, and for Invalid ones after Explain.
func (m *Machine) AppendReduced(dst []byte, lens *Lens) ([]byte, Tally) {
	w := reducer{m: m, t: m.t, dst: dst, odd: m.oddities()}
	if w.shows(m.at, lens) {
		w.value(m.at, lens)
	} else {
		w.count(m.at)
	}
	if w.tally.Dropped > 0 {
		w.tally.Unknown = m.unknown()
	}
	return w.dst, w.tally
}

// oddities lists the nodes that are not plainly known, in order: everything between them
// needs no second look.
func (m *Machine) oddities() []uint32 {
	m.odd = m.odd[:0]
	for i, end := m.at, m.nodes[m.at].Next; i < end; i++ {
		if m.state[i] != known {
			m.odd = append(m.odd, i)
		}
	}
	return m.odd
}

// reducer writes one value. It goes through the tape in order.
type reducer struct {
	odd   []uint32 // oddities that are still to come
	m     *Machine
	t     *tape.Tape
	dst   []byte
	tally Tally
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

// even reports whether a value and everything in it is plainly known.
func (w *reducer) even(i, next uint32) bool {
	for len(w.odd) > 0 && w.odd[0] < i {
		w.odd = w.odd[1:]
	}
	return len(w.odd) == 0 || w.odd[0] >= next
}

// clean reports whether everything in a value is known and seen.
func (w *reducer) clean(i uint32, nd *tape.Node, lens *Lens) bool {
	if nd.Kind < tape.Array {
		return true
	}
	if !lens.All || len(lens.Kids) > 0 || lens.Every != nil || !w.even(i, nd.Next) {
		return false
	}
	if lens.Secrets || len(w.m.marks) == 0 {
		return true
	}
	for _, k := range w.m.marks[i+1 : nd.Next] {
		if k&hidden != 0 {
			return false
		}
	}
	return true
}

// object writes the members that are known and seen. Those next to each other that stay
// whole are copied in one piece, with what stands between them.
func (w *reducer) object(i uint32, nd *tape.Node, lens *Lens) {
	w.dst = append(w.dst, '{')
	wrote, from, last := false, -1, uint32(0)
	flush := func() {
		if from >= 0 {
			w.comma(&wrote)
			_, to := w.t.Span(int(last))
			w.dst = append(w.dst, w.t.Src[from:to]...)
			from = -1
		}
	}
	every := w.t.Raw && lens.clear()
	for k := i + 1; k < nd.Next; k = w.t.Nodes[k].Next {
		if every && from >= 0 && w.even(k, w.t.Nodes[k].Next) {
			last = k
			continue
		}
		kid := w.member(k, lens)
		if kid == nil {
			flush()
			continue
		}
		if w.t.Raw && w.clean(k, &w.t.Nodes[k], kid) {
			off, ok := w.t.Member(int(k))
			if from < 0 && ok {
				from = off
			}
			if from >= 0 {
				last = k
				continue
			}
		}
		flush()
		w.comma(&wrote)
		w.dst = append(tape.AppendString(w.dst, w.t.Key(int(k))), ':')
		w.value(k, kid)
	}
	flush()
	w.dst = append(w.dst, '}')
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
		w.tally.Dropped++
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
			w.tally.Dropped++
		case !w.shows(k, kid):
			w.count(k)
		default:
			w.comma(&wrote)
			w.value(k, kid)
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
