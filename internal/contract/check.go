package contract

import (
	"slices"
	"sync"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
	"sallyport/internal/wire"
)

// writers are used again; one keeps nothing of what it has written.
var writers = sync.Pool{New: func() any { return new(wire.Writer) }}

// tooComplex is the one fault of a request that would take too much work to check.
var tooComplex = problem.Fault{Code: problem.ContractTooComplex, Found: "a value with too many possible readings", Want: "a simpler value"}

// Check checks parameters against the contract: the first 20 faults; none means that
// they may be encoded and sent. The value of a sensitive field is never in a fault.
// Parameters that the gate inserts are not looked at. A request that would take too much
// work to check has one fault, with the code contract_too_complex.
func (o *Operation) Check(a Args) []problem.Fault {
	a, err := a.of(o)
	if err != nil || !o.Loaded() {
		return []problem.Fault{{Found: "parameters that cannot be read", Want: "JSON values in UTF-8"}}
	}
	c := checker{op: o, machine: o.doc.prog.Get(), writer: writers.Get().(*wire.Writer)}
	defer writers.Put(c.writer)
	defer c.machine.Put()
	c.strangers(a.rest)
	for i := range o.Params {
		if q := &o.Params[i]; q.In != InBody && q.Account == "" {
			c.param(q, a.rest)
		}
	}
	c.body(&a)
	if c.complex {
		return []problem.Fault{tooComplex}
	}
	return c.faults
}

// checker is one check.
type checker struct {
	op      *Operation
	machine *schema.Machine
	writer  *wire.Writer
	faults  []problem.Fault
	complex bool
}

func (c *checker) add(faults ...problem.Fault) {
	for _, f := range faults {
		twice := slices.ContainsFunc(c.faults, func(g problem.Fault) bool { return g.Where == f.Where })
		if len(c.faults) < maxFaults && !twice { // one fault for one value is enough
			c.faults = append(c.faults, f)
		}
	}
}

// strangers refuses names that no parameter has: Parse has none, rules of the file might.
func (c *checker) strangers(rest *tape.Tape) {
	if rest == nil || rest.Empty() {
		return
	}
	for i := range kids(rest, 0) {
		if j, ok := c.op.byName[string(rest.Key(i))]; !ok || c.op.Params[j].In == InBody {
			c.add(stranger(nil, string(rest.Key(i)), c.op.ParamNames()))
		}
	}
}

func (c *checker) param(q *Parameter, rest *tape.Tape) {
	at, ok := 0, false
	if rest != nil && !rest.Empty() {
		at, ok = rest.Find(0, q.Name)
	}
	here := []schema.Step{named(q.Name)}
	switch {
	case !ok && q.Required:
		c.add(faultAt(here, "nothing", "this is required: "+describe(q.Schema), ""))
	case ok && c.fits(rest, at, q.id, here):
		for _, m := range c.misfits(q, rest, at) {
			c.add(faultAt(c.way(rest, m.Node), m.Found, m.Want, ""))
			break // one fault for one parameter is enough
		}
	}
}

// fits runs the engine over one value and tells its faults.
func (c *checker) fits(t *tape.Tape, at int, id schema.ID, before []schema.Step) bool {
	switch c.machine.Check(t, at, id, schema.Request) {
	case schema.Valid:
		return true
	case schema.TooComplex:
		c.complex = true
		return false
	}
	for _, f := range c.machine.Explain(schema.Everything(), maxFaults) {
		c.add(faultAt(c.op.ours(before, f.Path), f.Found, f.Want, f.Near))
	}
	return false
}

// misfits says why a value that fits its schema cannot stand in its place.
func (c *checker) misfits(q *Parameter, t *tape.Tape, at int) []wire.Misfit {
	p := c.op.wire.of(c.op, q)
	switch q.In {
	case InPath:
		return c.writer.PathMisfits(t, at, p)
	case InHeader:
		return c.writer.HeaderMisfits(t, at, p)
	case InCookie:
		return c.writer.CookieMisfits(t, at, p)
	}
	return c.writer.QueryMisfits(t, at, p)
}

// ours is the way to a place of the body in our namespace, where a name on the wire may
// have another.
func (o *Operation) ours(before, steps []schema.Step) []schema.Step {
	out := append(before[:len(before):len(before)], steps...)
	if len(before) == 0 && len(out) > 0 && out[0].Index < 0 {
		out[0].Name = firstOf(o.wires[out[0].Name], out[0].Name)
	}
	return out
}

// way gives the steps from the root of a tape to a node.
func (c *checker) way(t *tape.Tape, node int) []schema.Step {
	var steps []schema.Step
	nodes := t.Parents(nil, node)
	for k := 1; k < len(nodes); k++ {
		if box := nodes[k-1]; t.Nodes[box].Kind == tape.Object {
			steps = append(steps, named(string(t.Key(nodes[k]))))
			continue
		}
		n := 0
		for kid := range kids(t, nodes[k-1]) {
			if kid == nodes[k] {
				break
			}
			n++
		}
		steps = append(steps, schema.Step{Index: n})
	}
	return steps
}

// body checks the whole body at once.
func (c *checker) body(a *Args) {
	o, t := c.op, a.body
	switch {
	case o.body == nil || t == nil && !o.BodyRequired:
		return
	case t == nil && o.whole:
		c.add(faultAt([]schema.Step{named("body")}, "nothing", "this is required: "+describe(o.body), ""))
		return
	case t == nil || t.Empty():
		t = emptyObject
	}
	var before []schema.Step
	if o.whole {
		before = []schema.Step{named("body")}
	}
	if c.fits(t, 0, o.bodyID, before) && o.RequestType == FormType && a.made != nil && t == a.body {
		body, err := c.writer.Form(make([]byte, 0, 2*len(t.Src)+64), t, 0, o.form, o.doc.prog.Shape(o.bodyID))
		if err == nil {
			a.made.keep(body)
			return
		}
	}
	for _, m := range o.bodyMisfits(c.writer, t, a.files) {
		c.add(faultAt(o.ours(before, c.way(t, m.Node)), m.Found, m.Want, ""))
	}
}

// emptyObject stands for a body that was not given, so that what it lacks is told.
var emptyObject = &tape.Tape{Nodes: []tape.Node{{Kind: tape.Object, Next: 1}}}
