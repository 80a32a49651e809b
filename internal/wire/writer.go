package wire

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// Misfit is a value that cannot be carried where it stands, because it would be read as
// something else.
type Misfit struct {
	Node  int    // in the tape; for a bad name the member that has it
	Found string // in words, never the value
	Want  string
}

// maxMisfits is how many are told.
const maxMisfits = 20

// Writer writes forms, queries and parameters. Its buffers are used again, so it is not for
// concurrent use. The zero Writer is ready.
type Writer struct {
	out     []byte
	key     []byte // the name of the place that is being written
	members []member
	misfits []Misfit
	scratch []byte // what a check wrote
	t       *tape.Tape
	style   Style
	first   bool // no pair has been written
	check   bool // find misfits, write nothing
}

// member is one member of an object on its way to be written.
type member struct {
	node int
	rank int // in the order of the contract
	kid  view
}

func (w *Writer) start(dst []byte, t *tape.Tape, style Style, check bool) {
	if cap(w.key)+cap(w.scratch)+cap(w.members)*48 > keepBytes {
		*w = Writer{}
	}
	w.out, w.t, w.style, w.first, w.check = dst, t, style, true, check
	w.key, w.members, w.misfits = w.key[:0], w.members[:0], w.misfits[:0]
}

// end gives what was written, or the first misfit as a *problem.Error.
func (w *Writer) end(dst []byte) ([]byte, error) {
	out := w.out
	w.out, w.t = nil, nil
	if len(w.misfits) > 0 {
		m := w.misfits[0]
		return dst, refuse(problem.ContractViolation, "%s cannot be written here; write %s", m.Found, m.Want)
	}
	return out, nil
}

// found gives the misfits of a check; the slice is the Writer's.
func (w *Writer) found() []Misfit {
	w.out, w.t = nil, nil
	return w.misfits
}

// Form appends object node as a body of type application/x-www-form-urlencoded: members in
// the order of s, then others by name; arrays with indexes, or repeated. The error is a
// *problem.Error of code contract_violation, and nothing is appended then.
func (w *Writer) Form(dst []byte, t *tape.Tape, node int, style Style, s schema.Shape) ([]byte, error) {
	w.start(dst, t, style, false)
	v := viewOf(s)
	w.form(node, v)
	return w.end(dst)
}

// FormMisfits lists what Form would refuse: at most 20, valid until the Writer's next use.
func (w *Writer) FormMisfits(t *tape.Tape, node int, style Style, s schema.Shape) []Misfit {
	w.start(nil, t, style, true)
	v := viewOf(s)
	w.form(node, v)
	return w.found()
}

func (w *Writer) form(node int, s view) {
	if w.t.Nodes[node].Kind != tape.Object {
		w.misfit(node, w.t.Nodes[node].Kind.String(), "an object: a form is one")
		return
	}
	for _, m := range w.ordered(node, s) {
		name := w.t.Key(m.node)
		switch {
		case len(name) == 0, w.style == Brackets && bytes.ContainsAny(name, "[]"):
			w.misfit(m.node, "a name that is empty or has brackets", "a name that a form can carry")
		case bytes.IndexByte(name, 0) >= 0:
			w.misfit(m.node, "a name with a NUL character", "a name that a form can carry")
		default:
			w.key = append(w.key[:0], name...)
			w.value(m.node, m.kid)
		}
	}
	w.members = w.members[:0]
}

// Query appends a parameter to a query string, with & before it unless dst is empty.
func (w *Writer) Query(dst []byte, t *tape.Tape, node int, p *Param) ([]byte, error) {
	w.start(dst, t, p.Style, false)
	w.query(node, p)
	return w.end(dst)
}

// QueryMisfits lists what Query would refuse.
func (w *Writer) QueryMisfits(t *tape.Tape, node int, p *Param) []Misfit {
	w.start(nil, t, p.Style, true)
	w.query(node, p)
	return w.found()
}

func (w *Writer) query(node int, p *Param) {
	w.first = len(w.out) == 0
	w.key = append(w.key[:0], p.Wire...)
	n, v := &w.t.Nodes[node], viewOf(p.Shape)
	switch {
	case p.Style == JSON:
		w.pairStart()
		if !w.check {
			w.out = appendEscaped(w.out, w.t.AppendJSON(nil, node))
		}
	case p.Style == Repeat && n.Kind == tape.Object && v.structured():
		w.spread(node, v)
	case p.Style == Repeat && v.structured():
		w.misfit(node, "a value that is no object", "an object: its members stand under their own names")
	case p.Style == Brackets || p.Style == Repeat:
		w.value(node, v)
	default:
		d := joiner{w: w, style: p.Style, wire: p.Wire, escape: true}
		w.pairStart()
		d.value(node, v)
	}
}

// spread writes an object's members beside the other parameters.
func (w *Writer) spread(node int, s view) {
	if w.t.Nodes[node].Count == 0 {
		w.misfit(node, "an empty object", "at least one member")
	}
	for _, m := range w.ordered(node, s) {
		name := w.t.Key(m.node)
		if len(name) == 0 || bytes.IndexByte(name, 0) >= 0 {
			w.misfit(m.node, "a name that is empty or has a NUL character", "a name that a query can carry")
			continue
		}
		if !m.kid.Known() {
			w.misfit(m.node, "a name that would be read as another parameter", "one of the parameter's own names")
			continue
		}
		w.key = append(w.key[:0], name...)
		w.value(m.node, m.kid)
	}
	w.members = w.members[:0]
}

func (w *Writer) misfit(node int, found, want string) {
	if len(w.misfits) < maxMisfits {
		w.misfits = append(w.misfits, Misfit{node, found, want})
	}
}

// ordered lists the members of an object: those that s lists in its order, then the others
// by name. The caller takes them off w.members when it is done.
func (w *Writer) ordered(node int, s view) []member {
	from := len(w.members)
	end := int(w.t.Nodes[node].Next)
	sorted := true
	for c := node + 1; c < end; c = int(w.t.Nodes[c].Next) {
		kid, listed := s.member(w.t.Key(c))
		rank := 1 << 30
		if listed {
			rank = s.Rank(w.t.Key(c))
		}
		if n := len(w.members); n > from && (w.members[n-1].rank > rank || !listed) {
			sorted = false
		}
		w.members = append(w.members, member{c, rank, kid})
	}
	list := w.members[from:len(w.members):len(w.members)]
	if !sorted {
		slices.SortFunc(list, func(a, b member) int {
			if a.rank != b.rank {
				return cmp.Compare(a.rank, b.rank)
			}
			return bytes.Compare(w.t.Key(a.node), w.t.Key(b.node))
		})
	}
	return list
}

// value writes a value below w.key. Arrays are written with indexes in brackets, or repeated.
func (w *Writer) value(node int, s view) {
	switch w.t.Nodes[node].Kind {
	case tape.Array:
		w.array(node, s)
	case tape.Object:
		w.object(node, s)
	case tape.Null:
		w.misfit(node, "null", "nothing at all: a form cannot carry null")
	default:
		w.scalar(node, s)
	}
}

func (w *Writer) scalar(node int, s view) {
	text := w.t.Text(node)
	switch {
	case bytes.IndexByte(text, 0) >= 0:
		w.misfit(node, "a NUL character", "text without NUL: a form cannot carry it")
	case w.style == Repeat && s.may(schema.Array) && !isWhole(s, text):
		w.misfit(node, "a plain value, which would be read as an array of one", "an array")
	default:
		w.pairStart()
		if !w.check {
			w.out = appendEscaped(w.out, text)
		}
	}
}

// pairStart writes &name=.
func (w *Writer) pairStart() {
	if w.check {
		return
	}
	if !w.first {
		w.out = append(w.out, '&')
	}
	w.first = false
	w.out = append(appendEscaped(w.out, w.key), '=')
}

func (w *Writer) array(node int, s view) {
	n := &w.t.Nodes[node]
	switch {
	case n.Count == 0:
		w.misfit(node, "an empty array", "nothing at all: a form cannot carry an empty array")
		return
	case !s.may(schema.Array):
		w.misfit(node, "an array, which would be read as something else", "a value of another type")
		return
	case w.style == Repeat && n.Count == 1 && w.readsWhole(node+1, s):
		w.misfit(node, "an array of one, which would be read as a plain value", "the plain value")
		return
	}
	length := len(w.key)
	for c, i := node+1, 0; c < int(n.Next); c, i = int(w.t.Nodes[c].Next), i+1 {
		if w.style == Brackets {
			w.key = append(strconv.AppendInt(append(w.key[:length], '['), int64(i), 10), ']')
			item := s.item(i)
			w.value(c, item)
			continue
		}
		w.plain(c)
	}
	w.key = w.key[:length]
}

// readsWhole reports whether a single element would be read as a plain value.
func (w *Writer) readsWhole(node int, s view) bool {
	return w.t.Nodes[node].Kind < tape.Array && isWhole(s, w.t.Text(node))
}

// plain writes an element of a repeated array.
func (w *Writer) plain(node int) {
	switch w.t.Nodes[node].Kind {
	case tape.Array, tape.Object:
		w.misfit(node, "a structure", "a plain value")
	case tape.Null:
		w.misfit(node, "null", "nothing at all: a form cannot carry null")
	default:
		w.scalar(node, view{})
	}
}

func (w *Writer) object(node int, s view) {
	n := &w.t.Nodes[node]
	if n.Count == 0 || w.style != Brackets {
		w.misfit(node, "an object of "+strconv.Itoa(int(n.Count))+" names", "a value that a form can carry")
		return
	}
	if s.may(schema.Array) && (!s.may(schema.Object) || w.allIndexes(node)) {
		w.misfit(node, "an object that would be read as an array", "an array, or other names")
		return
	}
	length, from := len(w.key), len(w.members)
	for _, m := range w.ordered(node, s) {
		name := w.t.Key(m.node)
		switch {
		case len(name) == 0 || bytes.ContainsAny(name, "[]"):
			w.misfit(m.node, "a name that is empty or has brackets", "a name that a form can carry")
		case bytes.IndexByte(name, 0) >= 0:
			w.misfit(m.node, "a name with a NUL character", "a name that a form can carry")
		default:
			w.key = append(append(append(w.key[:length], '['), name...), ']')
			w.value(m.node, m.kid)
		}
	}
	w.key, w.members = w.key[:length], w.members[:from]
}

func (w *Writer) allIndexes(node int) bool {
	for c := node + 1; c < int(w.t.Nodes[node].Next); c = int(w.t.Nodes[c].Next) {
		if index(w.t.Key(c)) < 0 {
			return false
		}
	}
	return true
}
