package contract

import (
	"strings"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// compileAll compiles what the operations take and answer into one program.
func (l *loader) compileAll(d *Document, ops []*Operation) {
	marks := map[int]schema.Mark{} // of parameters, by their schema's node
	for _, o := range ops {
		for i := range o.Params {
			if q := &o.Params[i]; q.mark != 0 {
				marks[q.node] |= q.mark
			}
		}
	}
	c := schema.NewCompiler(l.doc, "", schema.Config{
		Dialect: l.dialect(), RefuseUnknown: true, Marks: func(t *tape.Tape, node int) (schema.Mark, error) { return marks[node] | marksAt(t, node), nil },
	})
	for _, root := range roots(ops) {
		id, err := c.Compile(*root.node)
		if err != nil {
			l.compileFault(err)
		}
		*root.id = id
	}
	prog, err := c.Finish()
	if err != nil {
		l.compileFault(err)
		return
	}
	d.prog = prog
}

// root is a schema that an operation is checked with.
type root struct {
	node *int
	id   *schema.ID
}

// roots lists them in an order that depends on the document alone.
func roots(ops []*Operation) []root {
	var out []root
	for _, o := range ops {
		for i := range o.Params {
			if q := &o.Params[i]; q.In != InBody {
				out = append(out, root{&q.node, &q.id})
			}
		}
		if o.body != nil {
			out = append(out, root{&o.bodyNode, &o.bodyID})
		}
		for i := range o.replies {
			if r := &o.replies[i]; r.node >= 0 {
				out = append(out, root{&r.node, &r.id})
			}
		}
	}
	return out
}

func (l *loader) dialect() schema.Dialect {
	if v := l.member(0, "openapi"); l.is(v, tape.String) && strings.HasPrefix(string(l.doc.Text(v)), "3.0.") {
		return schema.OpenAPI30
	}
	return schema.OpenAPI31
}

// marksAt reads x-sallyport.data of a schema object; what is wrong with it is told by
// the loader's own reading.
func marksAt(t *tape.Tape, node int) schema.Mark {
	note, ok := t.Find(node, "x-sallyport")
	if !ok || t.Nodes[note].Kind != tape.Object {
		return 0
	}
	if data, ok := t.Find(note, "data"); ok {
		return markOf(Sensitivity(t.Text(data)))
	}
	return 0
}

func markOf(s Sensitivity) schema.Mark {
	switch s {
	case Personal:
		return schema.Personal
	case Secret:
		return schema.Secret
	case Card:
		return schema.Card
	}
	return 0
}

// sensitivity is the mark that asks for the most care.
func sensitivity(m schema.Mark) Sensitivity {
	switch {
	case m&schema.Secret != 0:
		return Secret
	case m&schema.Card != 0:
		return Card
	case m&schema.Personal != 0:
		return Personal
	}
	return Plain
}

// compileFault adds the engine's faults, except at places that have one already.
func (l *loader) compileFault(err error) {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, err := range all {
		at, words, ok := strings.Cut(strings.TrimPrefix(err.Error(), "#"), ": ")
		if !ok {
			at, words = "", err.Error()
		}
		if !l.told[at] {
			l.faultAt(at, "%s", words)
		}
	}
}
