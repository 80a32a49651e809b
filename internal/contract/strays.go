package contract

import (
	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// prune takes out of what was read the names that the contract knows in none of its
// alternatives, and tells them; and, without a word, what the gate will insert itself.
func (p *parse) prune(a *Args) {
	o := p.op
	w := strays{parse: p}
	if a.rest != nil && !a.rest.Empty() {
		w.tape, w.drop = a.rest, nil
		for i := range kids(a.rest, 0) {
			q := &o.Params[o.byName[string(a.rest.Key(i))]]
			w.steps = append(w.steps[:0], named(q.Name))
			w.walk(i, o.doc.prog.Shape(q.id))
		}
		a.rest = w.without()
	}
	if a.body == nil {
		return
	}
	w.tape, w.drop, w.steps = a.body, nil, w.steps[:0]
	if o.whole {
		w.steps = append(w.steps, named("body"))
		w.walk(0, o.doc.prog.Shape(o.bodyID))
	} else {
		w.root(o)
	}
	a.body = w.without()
}

// strays walks over a value beside its shape: what the schema and all its alternatives
// say about names. Which alternative holds, and whether values fit, is the check's to say.
type strays struct {
	parse *parse
	tape  *tape.Tape
	steps []schema.Step
	drop  []int // in the order of the tape
}

// root looks at the members of a body, which are parameters.
func (w *strays) root(o *Operation) {
	shape := o.doc.prog.Shape(o.bodyID)
	for i := range kids(w.tape, 0) {
		wire := w.tape.Key(i)
		q, listed := o.wire.body[string(wire)]
		_, taken := o.byName[string(wire)]
		switch {
		case listed && q.Account != "":
			w.drop = append(w.drop, i)
			continue
		case !listed && (!o.open || taken || string(wire) == "__proto__"):
			w.drop = append(w.drop, i)
			w.parse.stranger(nil, string(wire), o.ParamNames())
			continue
		case w.tape.Nodes[i].Kind < tape.Array:
			continue
		}
		name := string(wire)
		if listed {
			name = q.Name
		}
		kid, _ := shape.Member(wire)
		w.steps = append(w.steps[:0], named(name))
		w.walk(i, kid)
	}
}

func (w *strays) walk(i int, s schema.Shape) {
	n := &w.tape.Nodes[i]
	want := schema.Object
	if n.Kind == tape.Array {
		want = schema.Array
	}
	if n.Kind < tape.Array || s.Types()&want == 0 || s.Free() { // a value of a wrong type is not a matter of names
		return
	}
	depth := len(w.steps)
	if n.Kind == tape.Array {
		at := 0
		for kid := range kids(w.tape, i) {
			if w.tape.Nodes[kid].Kind >= tape.Array {
				w.steps = append(w.steps[:depth], schema.Step{Index: at})
				w.walk(kid, s.Item(at))
			}
			at++
		}
		w.steps = w.steps[:depth]
		return
	}
	for kid := range kids(w.tape, i) {
		name := w.tape.Key(kid)
		shape, listed := s.Member(name)
		if !listed && (!shape.Known() || string(name) == "__proto__") {
			w.drop = append(w.drop, kid)
			w.parse.stranger(w.steps[:depth], string(name), s.Names())
			continue
		}
		if w.tape.Nodes[kid].Kind >= tape.Array {
			w.steps = append(w.steps[:depth], named(string(name)))
			w.walk(kid, shape)
		}
	}
	w.steps = w.steps[:depth]
}

// without is the tape without what is to be dropped.
func (w *strays) without() *tape.Tape { return without(w.tape, w.drop, bodyLimits) }
