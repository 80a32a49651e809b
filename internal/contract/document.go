package contract

import (
	"slices"
	"sort"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// Document is a loaded contract. It is immutable and safe for concurrent use.
type Document struct {
	name string
	ops  []*Operation // sorted by id
	byID map[string]*Operation
	prog *schema.Program
	// answers describes answers on demand; nil: they are described already.
	answers *answers
}

// Options say how much of a document is loaded.
type Options struct {
	// Only are the ids of the operations to load; nil: all. Every operation is routed and
	// has its names and annotations, but only these can be called, and only what they reach
	// is compiled and kept. Unknown ids are the caller's to find: see Find.
	Only []string
	// Cache keeps compiled programs; nil: there is none.
	Cache Cache
}

// Cache keeps compiled programs from one start to the next. Both methods may be called
// from many goroutines. What Load returns is checked before it is used: a cache that lost
// or mixed up its entries costs time only.
type Cache interface {
	// Load gives what was stored under a key.
	Load(key string) ([]byte, bool)
	// Store keeps data under a key, if it can.
	Store(key string, data []byte)
}

// documentLimits are those of a contract's text: official descriptions have objects of
// thousands of schemas.
var documentLimits = tape.Limits{Bytes: 64 << 20, Depth: 200, Elements: 100_000, Nodes: 1 << 24}

// Load reads an OpenAPI 3.0, 3.1 or 3.2 document (JSON) with our annotations
// (docs/formats/contract.md). name stands in errors only. All faults are in the one
// error, each with its JSON pointer, what was found and what to write; a keyword that
// the engine does not enforce is a fault, so that no rule of a contract is silently
// without effect.
func Load(name string, data []byte) (*Document, error) { return LoadWith(name, data, Options{}) }

// LoadOnly is Load for the operations of these ids.
func LoadOnly(name string, data []byte, ids ...string) (*Document, error) {
	return LoadWith(name, data, Options{Only: slices.Concat([]string{}, ids)})
}

// LoadWith is Load with options.
func LoadWith(name string, data []byte, options Options) (*Document, error) {
	if c := options.cached(data); c != nil {
		if d, _, err := load(name, data, options.Only, c); err == nil {
			return d, nil
		}
	}
	d, loaded, err := load(name, data, options.Only, nil)
	if err != nil {
		return nil, err
	}
	if options.Cache != nil && d.prog != nil {
		if blob, err := d.write(loaded); err == nil {
			options.Cache.Store(cacheKey(data, options.Only), blob)
		}
	}
	return d, nil
}

// load reads a document. With c, which was made of the same text when that had no fault, it
// compiles nothing and describes no answers.
func load(name string, data []byte, only []string, c *compiled) (*Document, []*Operation, error) {
	doc := new(tape.Tape)
	l := newLoader(name, doc)
	if err := doc.Parse(data, documentLimits); err != nil {
		return nil, nil, l.broken(err)
	}
	if !l.is(0, tape.Object) {
		return nil, nil, l.broken(&tape.SyntaxError{What: "the document is not an object"})
	}
	l.doc = withoutInserted(doc)
	l.brief = c != nil && len(c.text) > 0
	d := &Document{name: name, byID: map[string]*Operation{}}
	l.document(d)
	var loaded []*Operation
	for _, o := range d.ops {
		if only == nil || slices.Contains(only, o.ID) {
			l.load(o)
			loaded = append(loaded, o)
		}
	}
	l.finish()
	if c == nil {
		l.compileAll(d, loaded)
	} else if err := c.use(d, loaded); err != nil {
		return nil, nil, l.broken(err)
	}
	if d.prog != nil {
		l.complete(d, loaded, data, c)
	}
	if len(l.faults) > 0 {
		return nil, nil, l.err()
	}
	sort.Slice(d.ops, func(i, j int) bool { return d.ops[i].ID < d.ops[j].ID })
	return d, loaded, nil
}

// complete prepares the operations for calls, and lets go of what a call does not need.
func (l *loader) complete(d *Document, loaded []*Operation, data []byte, c *compiled) {
	for _, o := range loaded {
		o.complete()
		if err := o.prepare(); err != nil {
			l.fault(o.place.node, "", "%v", err)
		}
	}
	if l.brief {
		d.answers = packedAnswers(c.text)
	} else {
		d.answers = newAnswers(data)
	}
	for _, o := range loaded {
		for i := range o.replies {
			if d.answers != nil {
				o.replies[i].schema = nil
			}
		}
	}
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
	return schema.Nearest(id, ids)
}
