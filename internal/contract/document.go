package contract

import (
	"sort"
)

// Document is a loaded contract. It is immutable and safe for concurrent use.
type Document struct {
	name string
	ops  []*Operation // sorted by id
	byID map[string]*Operation
}

// Load reads an OpenAPI 3.0 or 3.1 document (JSON) with our annotations
// (docs/formats/contract.md). name stands in errors only. All faults are in the one
// error, each with its JSON pointer, what was found and what to write; a keyword that
// the engine does not enforce is a fault, so that no rule of a contract is silently
// without effect.
func Load(name string, data []byte) (*Document, error) {
	l := newLoader(name)
	root, err := readJSON(data, true)
	if err != nil {
		return nil, l.broken(err)
	}
	top, ok := root.(*object)
	if !ok {
		return nil, l.broken(&syntaxError{what: "the document is not an object"})
	}
	l.root = top
	d := &Document{name: name, byID: map[string]*Operation{}}
	l.document(d)
	l.finish()
	for _, o := range d.ops {
		o.marks()
	}
	if len(l.faults) > 0 {
		return nil, l.err()
	}
	sort.Slice(d.ops, func(i, j int) bool { return d.ops[i].ID < d.ops[j].ID })
	return d, nil
}

// Name is the name given to Load.
func (d *Document) Name() string { return d.name }

// Operations lists all operations, sorted by id. The slice must not be changed.
func (d *Document) Operations() []*Operation { return d.ops }

// Find finds an operation by its id.
func (d *Document) Find(id string) (*Operation, bool) {
	o, ok := d.byID[id]
	return o, ok
}

// Near is the id nearest to a mistyped one, or empty.
func (d *Document) Near(id string) string {
	ids := make([]string, len(d.ops))
	for i, o := range d.ops {
		ids[i] = o.ID
	}
	return nearest(id, ids)
}
