package contract

import (
	"fmt"
	"sort"
	"sync/atomic"

	"sallyport/internal/tape"
	"sallyport/internal/wire"
)

// Args is one call's parameters by name. It owns its memory: nothing of the request that
// it was read from is kept. A copy of an Args shares its values with it; Clone does not.
// The zero value is empty and ready to use. It is not safe for concurrent change.
//
// What Parse read stays as it arrived: the body is one value, with the names of the wire,
// and the rest is an object beside it. Names are put together only by who asks for them.
type Args struct {
	op    *Operation  // whose names these are; nil: all of them are in rest
	rest  *tape.Tape  // an object: what is not in the body; nil: nothing
	body  *tape.Tape  // the body; nil: none
	files []wire.File // what file parts of a multipart body say beside their bytes
	err   error       // what NewArgs could not hold
	made  *made       // what Check wrote of what Parse read
}

// made is a form as Check wrote it, to find out whether a form can carry it: Encode takes it
// from there. Copies of an Args share it, as they share what it was made of.
type made struct{ body atomic.Pointer[[]byte] }

// keep keeps a form until a value changes.
func (m *made) keep(body []byte) {
	if m != nil {
		m.body.Store(&body)
	}
}

// take gives the form to one who writes it, once; nil: there is none.
func (m *made) take() []byte {
	if m == nil {
		return nil
	}
	if body := m.body.Swap(nil); body != nil {
		return *body
	}
	return nil
}

// NewArgs copies a tree of string, json.Number, bool, nil, []any and map[string]any. Go
// integers and floats become numbers; a value of another type becomes its JSON form. Of a
// tree that JSON cannot hold (text that is not UTF-8, a number that is none) nothing is
// kept, and Check and Encode refuse it.
func NewArgs(tree map[string]any) Args {
	var b tape.Builder
	t := new(tape.Tape)
	b.Start(t, tape.Limits{})
	b.Value(tree)
	if err := b.Done(); err != nil {
		return Args{err: fmt.Errorf("parameters: %w", err)}
	}
	return Args{rest: t}
}

// home says where a name stands: in the body, and there under which name ("": it is the
// whole body), or in the rest.
func (a *Args) home(name string) (wire string, inBody bool) {
	if a.op == nil || a.op.body == nil {
		return name, false
	}
	q, ok := a.op.Param(name)
	switch {
	case ok && q.In != InBody, !ok && !a.op.open, ok && q.Account != "":
		return name, false
	case !ok:
		return name, true
	case a.op.whole:
		return "", true
	}
	return q.Wire, true
}

// place finds the tape that a path leads into, and the steps there. ok is false for a
// path that no value can have.
func (a *Args) place(p Path) (t **tape.Tape, steps []tape.Step, ok bool) {
	if len(p.steps) == 0 || p.steps[0].Name == "" {
		return nil, nil, false
	}
	wire, inBody := a.home(p.steps[0].Name)
	t = &a.rest
	if inBody {
		t = &a.body
	}
	steps = make([]tape.Step, 0, len(p.steps))
	if wire != "" {
		steps = append(steps, tape.Step{Name: wire})
	}
	for _, s := range p.steps[1:] {
		if s.Name == "" && s.Index == Every {
			return nil, nil, false
		}
		steps = append(steps, tape.Step{Name: s.Name, Index: s.Index})
	}
	return t, steps, true
}

// Get finds the value at a path with concrete indexes, as a tree of its own. A "[]" step
// finds nothing.
func (a Args) Get(p Path) (any, bool) {
	t, steps, ok := a.place(p)
	if !ok || *t == nil {
		return nil, false
	}
	i, ok := (*t).At(steps...)
	if !ok {
		return nil, false
	}
	return (*t).Value(i), true
}

// Text is Get for a string: no tree is made. ok is false where there is none, or another kind.
func (a Args) Text(p Path) (text string, ok bool) {
	t, steps, ok := a.place(p)
	if !ok || *t == nil {
		return "", false
	}
	i, ok := (*t).At(steps...)
	if !ok || (*t).Nodes[i].Kind != tape.String {
		return "", false
	}
	return string((*t).Text(i)), true
}

// Set puts a value at a path, making the objects and arrays on the way. An index may
// be one that exists or the next one; a step through a value of another kind, or "[]",
// is an error and changes nothing.
func (a *Args) Set(p Path, v any) error {
	a.made.take() // it is of the old values
	t, steps, ok := a.place(p)
	if !ok {
		return fmt.Errorf("set %s: a path starts with a name and has no [] in it", p)
	}
	if len(steps) == 0 { // the whole body
		fresh := NewArgs(map[string]any{"body": v})
		i, ok := fresh.rest.Find(0, "body")
		if !ok {
			return fmt.Errorf("set %s: the value cannot be written as JSON", p)
		}
		a.body = copied(fresh.rest, i)
		return nil
	}
	if *t == nil {
		*t = new(tape.Tape)
	}
	if (*t).Empty() && steps[0].Name == "" {
		if steps[0].Index != 0 {
			return fmt.Errorf("set %s: an index must be 0 in a new array", p)
		}
		var b tape.Builder
		b.Start(*t, tape.Limits{})
		b.BeginArray()
		b.End()
		if err := b.Done(); err != nil {
			return fmt.Errorf("set %s: %w", p, err)
		}
	}
	if err := (*t).Set(steps, v); err != nil {
		return fmt.Errorf("set %s: %w", p, err)
	}
	return nil
}

// copied is a tape of one value of another.
func copied(from *tape.Tape, i int) *tape.Tape {
	var b tape.Builder
	t := new(tape.Tape)
	b.Start(t, tape.Limits{})
	b.Copy(from, i)
	if b.Done() != nil {
		return nil // what a tape holds fits a tape
	}
	return t
}

// Clone copies a deeply.
func (a Args) Clone() Args {
	for _, t := range []**tape.Tape{&a.rest, &a.body} {
		if *t != nil {
			fresh := new(tape.Tape)
			(*t).Clone(fresh)
			*t = fresh
		}
	}
	a.made = nil
	return a
}

// Tree gives the parameters as a tree, the caller's own: made of string, json.Number,
// bool, nil, []any and map[string]any.
func (a Args) Tree() map[string]any {
	tree := map[string]any{}
	a.each(func(name string, t *tape.Tape, i int) { tree[name] = t.Value(i) })
	return tree
}

// each visits every parameter under its own name: those of the rest, then those of the body.
func (a Args) each(visit func(name string, t *tape.Tape, i int)) {
	if a.rest != nil && !a.rest.Empty() {
		for i := range kids(a.rest, 0) {
			visit(string(a.rest.Key(i)), a.rest, i)
		}
	}
	switch {
	case a.body == nil || a.body.Empty():
	case a.op.whole:
		visit("body", a.body, 0)
	default:
		for i := range kids(a.body, 0) {
			wire := string(a.body.Key(i))
			visit(firstOf(a.op.wires[wire], wire), a.body, i)
		}
	}
}

// of gives the same parameters under an operation's names; those that Parse read are so
// already. Values for what the gate inserts are left out.
func (a Args) of(o *Operation) (Args, error) {
	if a.op == o || a.err != nil {
		return a, a.err
	}
	var rest, body tape.Builder
	out := Args{op: o, rest: new(tape.Tape), body: new(tape.Tape)}
	rest.Start(out.rest, tape.Limits{})
	body.Start(out.body, tape.Limits{})
	rest.BeginObject()
	if !o.whole {
		body.BeginObject()
	}
	a.each(func(name string, t *tape.Tape, i int) {
		if q, ok := o.Param(name); ok && q.Account != "" {
			return
		}
		switch wire, inBody := out.home(name); {
		case !inBody:
			rest.KeyString(name)
			rest.Copy(t, i)
		case wire == "":
			body.Copy(t, i)
		default:
			body.KeyString(wire)
			body.Copy(t, i)
		}
	})
	rest.End()
	if !o.whole {
		body.End()
	}
	if err := body.Done(); err != nil || out.body.Nodes[0].Count == 0 && !o.whole {
		out.body = nil // not given: an operation may live without a body
		if err != nil && !o.whole {
			return Args{}, fmt.Errorf("parameters of %s: %w", o.ID, err)
		}
	}
	if err := rest.Done(); err != nil {
		return Args{}, fmt.Errorf("parameters of %s: %w", o.ID, err)
	}
	return out, nil
}

// Leaves lists the path of every leaf and of every empty container, with concrete
// indexes, in the order of names. Names that the path grammar cannot write appear as
// their parent's path: what is not covered by a rule there is not covered at all.
func (a Args) Leaves() []Path {
	type root struct {
		name string
		t    *tape.Tape
		i    int
	}
	var roots []root
	a.each(func(name string, t *tape.Tape, i int) { roots = append(roots, root{name, t, i}) })
	sort.Slice(roots, func(i, j int) bool { return roots[i].name < roots[j].name })
	var out []Path
	for _, r := range roots {
		out = leaves(out, Path{steps: []Step{{Name: r.name}}}, r.t, r.i)
	}
	return out
}

func leaves(out []Path, p Path, t *tape.Tape, i int) []Path {
	n := &t.Nodes[i]
	if n.Kind < tape.Array || n.Count == 0 {
		return append(out, p)
	}
	if n.Kind == tape.Array {
		at := 0
		for kid := range kids(t, i) {
			out = leaves(out, p.At(at), t, kid)
			at++
		}
		return out
	}
	odd, list := false, make([]int, 0, n.Count)
	for kid := range kids(t, i) {
		if pathName(t.Key(kid)) {
			list = append(list, kid)
		} else {
			odd = true
		}
	}
	sort.Slice(list, func(i, j int) bool { return string(t.Key(list[i])) < string(t.Key(list[j])) })
	for _, kid := range list {
		out = leaves(out, p.Child(string(t.Key(kid))), t, kid)
	}
	if odd {
		out = append(out, p)
	}
	return out
}

func pathName[T ~string | ~[]byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if !nameByte(s[i]) {
			return false
		}
	}
	return len(s) > 0
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
