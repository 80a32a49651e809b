package typescript

import (
	"fmt"
	"maps"
	"slices"

	"sallyport/internal/contract"
	"sallyport/internal/site"
)

// place is what a rule says of one place of the parameters: something of the browser's
// (leave), a value that the gate inserts, or both somewhere below.
type place struct {
	leave func(s *contract.Schema, r *reader) (*shape, []string)
	fixed bool
	kids  map[string]*place
	items map[int]*place
}

// grammar is the places of a rule.
func grammar(rule *site.BrowserRule) *place {
	root := &place{}
	for _, f := range rule.Fixed {
		root.at(f.Path).fixed = true
	}
	for _, p := range rule.Sealed {
		root.at(p).fixed = true // the permit's value is inserted as the file's is
	}
	for _, f := range rule.From {
		root.at(f.Path).fixed = true // and so is what a price list says
	}
	for _, p := range rule.Free {
		root.at(p).leave = func(s *contract.Schema, r *reader) (*shape, []string) {
			ss := []*contract.Schema{s}
			return r.value(ss, seesAll).shape, r.words(ss)
		}
	}
	for _, p := range rule.Owned {
		root.at(p).leave = func(s *contract.Schema, r *reader) (*shape, []string) {
			ss := []*contract.Schema{s}
			return r.value(ss, seesAll).shape, append(r.words(ss), "Only an id that this visit received.")
		}
	}
	for _, c := range rule.OneOf {
		root.at(c.Path).leave = func(s *contract.Schema, r *reader) (*shape, []string) {
			var all []*shape
			for _, v := range c.Values {
				all = append(all, literalOf(v))
			}
			return unionOf(all...), described(s)
		}
	}
	for _, n := range rule.Range {
		root.at(n.Path).leave = func(s *contract.Schema, _ *reader) (*shape, []string) {
			return wordOf("number"), append(described(s), fmt.Sprintf("A whole number from %d to %d.", n.Min, n.Max))
		}
	}
	return root
}

func (p *place) at(path contract.Path) *place {
	for _, step := range path.Steps() {
		p = p.grow(step)
	}
	return p
}

func (p *place) grow(step contract.Step) *place {
	if step.Name != "" {
		if p.kids == nil {
			p.kids = map[string]*place{}
		}
		if p.kids[step.Name] == nil {
			p.kids[step.Name] = &place{}
		}
		return p.kids[step.Name]
	}
	if p.items == nil {
		p.items = map[int]*place{}
	}
	if p.items[step.Index] == nil {
		p.items[step.Index] = &place{}
	}
	return p.items[step.Index]
}

// inserted reports whether the gate makes this place, whatever a browser sends: it
// inserts something here or below. Below "[]" it does so only for elements that are there.
func (p *place) inserted() bool {
	for _, kid := range p.kids {
		if kid.inserted() {
			return true
		}
	}
	for index, kid := range p.items {
		if index != contract.Every && kid.inserted() {
			return true
		}
	}
	return p.fixed
}

// chooser reads one operation's parameters.
type chooser struct {
	op *contract.Operation
	*reader
}

// choice is what a browser chooses at one place; shape is nil where it is nothing.
type choice struct {
	shape *shape
	needs bool // a part of it must be given whenever the place exists
	doc   []string
}

// params is the type of an operation's parameters, and whether some must be given.
func params(op *contract.Operation, rule *site.BrowserRule) (*shape, bool) {
	root := grammar(rule)
	out := &shape{kind: object}
	var known []string
	for _, p := range op.Params {
		known = append(known, p.Name)
	}
	needs := false
	for _, name := range ordered(known, root.kids) {
		p, listed := op.Param(name)
		noNull := !listed || p.In != contract.InBody || op.RequestType == contract.FormType
		c := &chooser{op: op, reader: newReader(true, noNull)}
		must := listed && p.Required || !listed && requires(op.RequestBody(), name)
		m, given := c.member(name, contract.Path{}.Child(name), root.kids[name], must)
		if !given {
			continue
		}
		if listed && p.Description != "" {
			m.doc = slices.Concat([]string{sentence(p.Description)}, without(m.doc, described(p.Schema)))
		}
		out.members, needs = append(out.members, m), needs || !m.optional
	}
	return newReader(true, true).closed(out), needs
}

// without leaves out of a comment what is said already.
func without(doc, said []string) []string {
	return slices.DeleteFunc(slices.Clone(doc), func(s string) bool { return slices.Contains(said, s) })
}

// ordered lists the names of places: known ones in their order, then the others.
func ordered(known []string, places map[string]*place) []string {
	var out []string
	for _, name := range known {
		if places[name] != nil {
			out = append(out, name)
		}
	}
	for _, name := range sortedKeys(places) {
		if !slices.Contains(known, name) {
			out = append(out, name)
		}
	}
	return out
}

// member is one name; must: the contract requires it. given is false where all of it is
// the gate's.
func (c *chooser) member(name string, path contract.Path, p *place, must bool) (m member, given bool) {
	got := c.choose(path, p)
	if got.shape == nil {
		return member{}, false
	}
	if p.inserted() { // it is there in any case, so what it needs is needed in any case
		must = got.needs
	}
	return member{name: name, optional: !must, shape: got.shape, doc: got.doc}, true
}

func (c *chooser) choose(path contract.Path, p *place) choice {
	s, err := c.op.Lookup(path)
	if err != nil { // the rule of a loaded file fits its contract
		return choice{}
	}
	switch {
	case p.leave != nil:
		got, doc := p.leave(s, c.reader)
		return choice{shape: got, needs: true, doc: doc}
	case len(p.kids) > 0:
		out := choice{shape: &shape{kind: object}, doc: described(s)}
		for _, name := range ordered(propertyNames(flatten([]*contract.Schema{s})), p.kids) {
			m, given := c.member(name, path.Child(name), p.kids[name], requires(s, name))
			if given {
				out.shape.members = append(out.shape.members, m)
				out.needs = out.needs || !m.optional
			}
		}
		if len(out.shape.members) == 0 {
			return choice{}
		}
		return out
	case len(p.items) > 0:
		return c.elements(path, p, s)
	}
	return choice{}
}

// elements is an array of which every element, or some by their index, are chosen.
func (c *chooser) elements(path contract.Path, p *place, s *contract.Schema) choice {
	out := choice{doc: append(described(s), sizes(s)...)}
	every := p.items[contract.Every]
	if every != nil {
		out.shape = c.choose(path.At(contract.Every), every).shape
	}
	if every != nil && len(p.items) == 1 {
		if out.shape != nil {
			out.shape = listOf(out.shape)
		}
		return out
	}
	t := &shape{kind: tuple, rest: out.shape, least: 1}
	chosen := t.rest != nil
	for i := 0; i <= slices.Max(slices.Collect(maps.Keys(p.items))) && i < maxTuple; i++ {
		element, own := c.element(path, p, i), p.items[i]
		if own != nil && own.inserted() && element.needs {
			t.least, out.needs = i+1, true
		}
		if element.shape == nil {
			element.shape = &shape{kind: object, others: wordOf("never")} // the gate makes it; {} stands for it
		} else {
			chosen = true
		}
		t.parts = append(t.parts, element.shape)
	}
	if out.shape = t; !chosen {
		return choice{}
	}
	return out
}

// maxTuple bounds the elements that are typed one by one.
const maxTuple = 32

// element is what is chosen of the element i: what its own rules leave, and those for all.
func (c *chooser) element(path contract.Path, p *place, i int) choice {
	own, every := p.items[i], p.items[contract.Every]
	switch {
	case own == nil && every == nil:
		return choice{}
	case own == nil:
		return c.choose(path.At(contract.Every), every)
	case every == nil:
		return c.choose(path.At(i), own)
	}
	return c.choose(path.At(i), own.with(every))
}

// with is p and also what q says, where p says nothing.
func (p *place) with(q *place) *place {
	if q == nil || p.leave != nil || p.fixed {
		return p
	}
	if p == nil || q.leave != nil || q.fixed {
		return q
	}
	out := &place{kids: map[string]*place{}, items: map[int]*place{}}
	for _, from := range []*place{p, q} {
		for name, kid := range from.kids {
			out.kids[name] = kid.with(out.kids[name])
		}
		for i, kid := range from.items {
			out.items[i] = kid.with(out.items[i])
		}
	}
	return out
}
