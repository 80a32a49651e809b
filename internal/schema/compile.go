package schema

import (
	"errors"
	"fmt"
	"net/url"

	"sallyport/internal/tape"
)

const maxCompileFaults = 100

// Compiler turns schema objects of one document, and of those it refers to, into a Program.
// It is for one goroutine and one Program.
type Compiler struct {
	cfg       Config
	p         *Program
	docs      []document
	resources []resource
	uris      map[string]int // resource by absolute URI
	refs      map[refKey]place
	ids       map[place]ID
	places    []place // of each node
	todo      []ID
	faults    []error
	spans     map[string]span
	patterns  map[string]uint32
	formats   map[string]uint32
	anchors   map[string]uint32 // numbers of dynamic anchors' names
	alts      []altSource
	values    int
}

// place is a node of a document.
type place struct{ doc, node int }

type refKey struct {
	resource int
	ref      string
}

// NewCompiler makes a compiler for a document. base is the document's own URI: what relative
// references start from, and what faults name.
func NewCompiler(doc *tape.Tape, base string, c Config) *Compiler {
	k := &Compiler{cfg: c, p: newProgram(), uris: map[string]int{}, refs: map[refKey]place{}, ids: map[place]ID{},
		spans: map[string]span{}, patterns: map[string]uint32{}, formats: map[string]uint32{}, anchors: map[string]uint32{}}
	k.places = make([]place, len(k.p.nodes))
	k.p.flags.AssertFormats = c.AssertFormats
	u, err := url.Parse(base)
	if err != nil {
		k.faults = append(k.faults, fmt.Errorf("the base URI %q: %w", base, err))
		u = &url.URL{}
	}
	k.addDocument(doc, u)
	return k
}

// newProgram has what stands at the index 0 of each table: nothing, and every default.
func newProgram() *Program {
	return &Program{
		nodes: []node{{}, {types: AllTypes, plain: AllTypes &^ (Array | Object), flags: opens, short: noLimit}},
		enums: make([]enumRule, 1), strs: make([]strRule, 1), nums: make([]numRule, 1),
		arrs: []arrRule{{max: noLimit}},
		objs: []objRule{{max: noLimit, mask: noLimit}},
		exts: make([]extRule, 1),
	}
}

// Compile adds the schema at a node of the document given to NewCompiler, and what it
// reaches. The same node gives the same ID. The ID is good for the Program of Finish; faults
// of the schema are reported there, all at once. The error says that no schema stands there.
func (c *Compiler) Compile(node int) (ID, error) {
	t := c.docs[0].t
	if node < 0 || node >= len(t.Nodes) {
		return Nothing, fmt.Errorf("compile a schema: the document has no node %d", node)
	}
	switch t.Nodes[node].Kind {
	case tape.Object, tape.True, tape.False:
	default:
		return Nothing, fmt.Errorf("%s: found %s; write a schema object", c.where(place{0, node}), describeNode(t, node))
	}
	id := c.id(place{0, node})
	c.p.roots = append(c.p.roots, id)
	c.drain()
	return id, nil
}

// Finish gives the Program. Every fault is in the one error, each with its JSON pointer, what
// was found and what to write.
func (c *Compiler) Finish() (*Program, error) {
	c.drain()
	if len(c.faults) == 0 {
		c.finish()
	}
	if len(c.faults) > 0 {
		return nil, errors.Join(c.faults...)
	}
	return c.p, nil
}

// drain compiles what was asked for and not yet looked at. It does not recurse: references
// may follow each other in any number.
func (c *Compiler) drain() {
	for len(c.todo) > 0 && len(c.faults) < maxCompileFaults {
		id := c.todo[len(c.todo)-1]
		c.todo = c.todo[:len(c.todo)-1]
		c.compile(id, c.places[id])
	}
}

// id is the number of the schema at a place, which is compiled later.
func (c *Compiler) id(at place) ID {
	t := c.docs[at.doc].t
	switch t.Nodes[at.node].Kind {
	case tape.True:
		return Anything
	case tape.False:
		return Nothing
	case tape.Object:
	default:
		c.fault(at, "found %s; write a schema object", describeNode(t, at.node))
		return Nothing
	}
	if id, ok := c.ids[at]; ok {
		return id
	}
	id := ID(len(c.p.nodes))
	c.p.nodes = append(c.p.nodes, node{})
	c.places = append(c.places, at)
	c.ids[at] = id
	c.todo = append(c.todo, id)
	return id
}

func (c *Compiler) where(at place) string {
	d := &c.docs[at.doc]
	return d.uri + "#" + d.t.Pointer(at.node)
}

// fault records what is wrong at a place.
func (c *Compiler) fault(at place, format string, args ...any) {
	if len(c.faults) < maxCompileFaults {
		c.faults = append(c.faults, fmt.Errorf("%s: %s", c.where(at), fmt.Sprintf(format, args...)))
	}
}

// span keeps a text in the program, each once.
func (c *Compiler) span(s string) span {
	if at, ok := c.spans[s]; ok {
		return at
	}
	at := span{uint32(len(c.p.text)), uint32(len(c.p.text) + len(s))}
	c.p.text = append(c.p.text, s...)
	c.spans[s] = at
	return at
}

// describeNode says what stands at a node of a document; documents hold no secrets.
func describeNode(t *tape.Tape, i int) string {
	n := &t.Nodes[i]
	switch n.Kind {
	case tape.Array:
		return "an array"
	case tape.Object:
		return "an object"
	case tape.Number:
		return "the number " + string(t.Text(i))
	}
	text := t.AppendJSON(nil, i)
	if len(text) > 64 {
		return "a string of " + itoa(len(text)-2) + " bytes"
	}
	return string(text)
}
