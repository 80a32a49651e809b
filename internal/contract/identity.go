package contract

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/tape"
)

// Identity is an object that an answer named: its kind and its id, as the provider wrote it.
type Identity struct{ Kind, ID string }

// Identities finds the ids in the answers of one operation. It is immutable and safe for
// concurrent use.
type Identities struct {
	op    *Operation
	root  *idNode
	body  bool // the answer is not an object
	kinds []string
}

// idNode is a place of an answer: of what kind the id there is, and what stands below it.
// Nodes of recursive schemas are shared, so that the graph may have circles.
type idNode struct {
	kind    string
	members map[string]*idNode
	entries *idNode // of a map
	items   *idNode
}

// Identities looks for ids of the wanted kinds (nil: of all) in what a view of returns
// shows (nil: in all that the contract knows).
func (o *Operation) Identities(returns []Path, wanted []string) (*Identities, error) {
	s := o.successTree()
	if s == nil {
		return &Identities{op: o, root: &idNode{}}, nil
	}
	b := idBuilder{wanted: wanted, made: map[string]*idNode{}}
	root := &idNode{}
	in := &Identities{op: o, root: root, body: rootName(s) != ""}
	if returns == nil {
		in.root = b.node([]*Schema{s})
	}
	for _, p := range returns {
		field, err := o.lookupReply(s, p)
		if err != nil {
			return nil, err
		}
		steps := p.steps
		if in.body {
			steps = steps[1:]
		}
		at := root
		for _, step := range steps {
			at = at.grow(step)
		}
		at.join(b.node([]*Schema{field}))
	}
	slices.Sort(b.kinds)
	in.kinds = slices.Compact(b.kinds)
	return in, nil
}

// Kinds lists the kinds that an answer can name, sorted.
func (in *Identities) Kinds() []string { return in.kinds }

// Find lists up to limit ids of a checked and reduced answer, in its order, each once.
func (in *Identities) Find(r Reply, limit int) ([]Identity, error) {
	if len(in.kinds) == 0 || len(r.Body) == 0 {
		return nil, nil
	}
	t := tapes.Get().(*tape.Tape)
	defer func() {
		t.Reset(keepTape)
		tapes.Put(t)
	}()
	if r.ContentType == XMLType {
		rule, _ := in.op.reply(in.op.success)
		if err := in.op.readXML(t, &rule, r.Body); err != nil {
			return nil, fmt.Errorf("find ids: %w", err)
		}
	} else if err := t.Parse(r.Body, bodyLimits); err != nil {
		return nil, fmt.Errorf("find ids: %w", err)
	}
	f := idFinder{t: t, limit: limit}
	f.walk(in.root, 0)
	return f.found, nil
}

type idFinder struct {
	t     *tape.Tape
	limit int
	found []Identity
}

func (f *idFinder) walk(n *idNode, i int) {
	if n == nil || len(f.found) >= f.limit {
		return
	}
	switch f.t.Nodes[i].Kind {
	case tape.String, tape.Number:
		if one := (Identity{Kind: n.kind, ID: string(f.t.Text(i))}); n.kind != "" && one.ID != "" && !slices.Contains(f.found, one) {
			f.found = append(f.found, one)
		}
	case tape.Array:
		for kid := range kids(f.t, i) {
			f.walk(n.items, kid)
		}
	case tape.Object:
		for kid := range kids(f.t, i) {
			next := n.entries
			if m, ok := n.members[string(f.t.Key(kid))]; ok {
				next = m
			}
			f.walk(next, kid)
		}
	}
}

// grow is the node one step below.
func (n *idNode) grow(s Step) *idNode {
	if s.Name == "" {
		if n.items == nil {
			n.items = &idNode{}
		}
		return n.items
	}
	if n.members == nil {
		n.members = map[string]*idNode{}
	}
	if n.members[s.Name] == nil {
		n.members[s.Name] = &idNode{}
	}
	return n.members[s.Name]
}

// join adds what another node finds. Neither is shared with a third at the places that
// grow made, and those of a builder are only read.
func (n *idNode) join(other *idNode) {
	n.kind = firstOf(n.kind, other.kind)
	for name, kid := range other.members {
		if n.members == nil {
			n.members = map[string]*idNode{}
		}
		n.members[name] = kid // all below: more than what a narrower path found
	}
	if other.items != nil {
		n.items = other.items
	}
	if other.entries != nil {
		n.entries = other.entries
	}
}

// idBuilder makes the nodes of an answer, one for each group of schemas.
type idBuilder struct {
	wanted []string
	made   map[string]*idNode
	kinds  []string
}

func (b *idBuilder) node(ss []*Schema) *idNode {
	var key strings.Builder
	for _, s := range ss {
		fmt.Fprintf(&key, "%p ", s)
	}
	if n, ok := b.made[key.String()]; ok {
		return n
	}
	n := &idNode{}
	b.made[key.String()] = n
	if kind := oneKind(ss, kindOf); kind != "" && (b.wanted == nil || slices.Contains(b.wanted, kind)) {
		n.kind = kind
		b.kinds = append(b.kinds, kind)
	}
	parts := flatten(ss)
	for _, name := range propertyNames(parts) {
		if kids, _ := members(parts, name); len(kids) > 0 && !slices.ContainsFunc(kids, isSecret) {
			if n.members == nil {
				n.members = map[string]*idNode{}
			}
			n.members[name] = b.node(kids)
		}
	}
	if items := elements(parts); len(items) > 0 {
		n.items = b.node(items)
	}
	var entries []*Schema
	for _, p := range parts {
		if p.Additional != nil {
			entries = append(entries, p.Additional)
		}
	}
	if len(entries) > 0 {
		n.entries = b.node(entries)
	}
	return n
}

func isSecret(s *Schema) bool { return s.Data == Secret }

// Place is a request parameter, or a field of one, of which the contract says something.
// Elements of arrays are written [].
type Place struct {
	Path Path
	*Schema
}

// Places lists the request's fields that fits chooses, in contract order. It looks through
// eight levels: what lies deeper in a recursive schema is found nowhere.
func (o *Operation) Places(fits func(*Schema) bool) []Place {
	var out []Place
	for i := range o.Params {
		p := &o.Params[i]
		out = places(out, Path{}.Child(p.Name), []*Schema{p.Schema}, fits, 0)
	}
	return out
}

func places(out []Place, at Path, ss []*Schema, fits func(*Schema) bool, depth int) []Place {
	if len(ss) == 0 || depth > 8 {
		return out
	}
	if s := combine(ss); fits(s) {
		return append(out, Place{at, s})
	}
	parts := flatten(ss)
	for _, name := range propertyNames(parts) {
		if kids, _ := members(parts, name); pathName(name) {
			out = places(out, at.Child(name), kids, fits, depth+1)
		}
	}
	return places(out, at.At(Every), elements(parts), fits, depth+1)
}
