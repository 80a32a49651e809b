package schema

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"sallyport/internal/tape"
)

// document is a tape with schemas in it.
type document struct {
	t     *tape.Tape
	uri   string
	first int // its first resource; others of it may stand anywhere in Compiler.resources
}

// resource is a schema with a URI of its own, with all in it that has none.
type resource struct {
	doc       int
	node, end int
	base      *url.URL
	anchors   map[string]int // nodes
	dynamic   map[string]int
	// annotationsOnly: its metaschema lacks the vocabulary of assertions.
	annotationsOnly bool
}

func (c *Compiler) addDocument(t *tape.Tape, base *url.URL) int {
	doc := len(c.docs)
	uri := withoutFragment(base)
	c.docs = append(c.docs, document{t: t, uri: uri, first: len(c.resources)})
	r := c.addResource(doc, 0, base)
	switch c.cfg.Dialect {
	case Draft202012:
		c.scan(doc, 0, r)
	case OpenAPI31:
		c.scanAll(doc, r)
	}
	return doc
}

func withoutFragment(u *url.URL) string {
	v := *u
	v.Fragment, v.RawFragment = "", ""
	return v.String()
}

func (c *Compiler) addResource(doc, node int, base *url.URL) int {
	t := c.docs[doc].t
	end := 1
	if len(t.Nodes) > 0 {
		end = int(t.Nodes[node].Next)
	}
	uri := withoutFragment(base)
	if _, twice := c.uris[uri]; !twice {
		c.uris[uri] = len(c.resources)
	}
	c.resources = append(c.resources, resource{doc: doc, node: node, end: end, base: base})
	return len(c.resources) - 1
}

// Keywords that hold schemas: one, a list, or a map by name.
var (
	holdsOne = []string{"additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else",
		"unevaluatedItems", "unevaluatedProperties", "contentSchema"}
	holdsList = []string{"allOf", "anyOf", "oneOf", "prefixItems"}
	holdsMap  = []string{"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"}
)

// scan finds the identifiers in a schema: only where schemas stand, since an $id in an enum
// or under an unknown keyword is none.
func (c *Compiler) scan(doc, node, r int) {
	t := c.docs[doc].t
	if len(t.Nodes) == 0 || t.Nodes[node].Kind != tape.Object {
		return
	}
	r = c.identify(doc, node, r)
	for _, k := range holdsOne {
		if i, ok := t.Find(node, k); ok {
			c.scan(doc, i, r)
		}
	}
	for _, list := range [][]string{holdsList, holdsMap} {
		for _, k := range list {
			if i, ok := t.Find(node, k); ok && t.Nodes[i].Kind >= tape.Array {
				for j := i + 1; j < int(t.Nodes[i].Next); j = int(t.Nodes[j].Next) {
					c.scan(doc, j, r)
				}
			}
		}
	}
}

// identify reads $id, $anchor and $dynamicAnchor of a schema and gives its resource.
func (c *Compiler) identify(doc, node, r int) int {
	t := c.docs[doc].t
	if id, ok := text(t, node, "$id"); ok {
		u, err := url.Parse(strings.TrimSuffix(id, "#"))
		switch {
		case err != nil || u.Fragment != "":
			c.fault(place{doc, node}, "$id %q; write a URI without a fragment", id)
		case node == c.resources[r].node:
			c.resources[r].base = c.resources[r].base.ResolveReference(u)
			c.uris[withoutFragment(c.resources[r].base)] = r
		default:
			r = c.addResource(doc, node, c.resources[r].base.ResolveReference(u))
		}
	}
	res := &c.resources[r]
	if a, ok := text(t, node, "$anchor"); ok {
		res.anchors = with(res.anchors, a, node)
	}
	if a, ok := text(t, node, "$dynamicAnchor"); ok {
		res.anchors, res.dynamic = with(res.anchors, a, node), with(res.dynamic, a, node)
	}
	if node == res.node {
		if s, ok := text(t, node, "$schema"); ok && c.cfg.Dialect == Draft202012 {
			c.resources[r].annotationsOnly = c.withoutAssertions(s)
		}
	}
	return r
}

func with(m map[string]int, name string, node int) map[string]int {
	if m == nil {
		m = map[string]int{}
	}
	m[name] = node
	return m
}

const (
	standardMeta    = "https://json-schema.org/draft/2020-12/schema"
	validationVocab = "https://json-schema.org/draft/2020-12/vocab/validation"
)

// withoutAssertions reports whether a metaschema lists vocabularies and not that of
// assertions: then those keywords only describe.
func (c *Compiler) withoutAssertions(uri string) bool {
	uri = strings.TrimSuffix(uri, "#")
	if uri == standardMeta || c.cfg.Documents == nil {
		return false
	}
	t, err := c.cfg.Documents(uri)
	if err != nil || t == nil || t.Empty() {
		return false
	}
	v, ok := t.Find(0, "$vocabulary")
	if !ok {
		return false
	}
	_, has := t.Find(v, validationVocab)
	return !has
}

// scanAll finds identifiers anywhere in a document that is no schema itself. Examples and
// values are passed over.
func (c *Compiler) scanAll(doc, r int) {
	t := c.docs[doc].t
	for i := 0; i < len(t.Nodes); {
		n := &t.Nodes[i]
		switch string(t.Key(i)) {
		case "example", "examples", "enum", "const", "default":
			i = int(n.Next)
			continue
		}
		if n.Kind == tape.Object && i > 0 && identified(t, i) {
			c.identify(doc, i, c.innermost(doc, i))
		}
		i++
	}
}

func identified(t *tape.Tape, i int) bool {
	for _, k := range []string{"$id", "$anchor", "$dynamicAnchor"} {
		if _, ok := text(t, i, k); ok {
			return true
		}
	}
	return false
}

// innermost is the resource that a node belongs to.
func (c *Compiler) innermost(doc, node int) int {
	best := c.docs[doc].first
	for r := best + 1; r < len(c.resources); r++ {
		if res := &c.resources[r]; res.doc == doc && res.node <= node && node < res.end && res.node >= c.resources[best].node {
			best = r
		}
	}
	return best
}

// text is a member that is a string.
func text(t *tape.Tape, node int, key string) (string, bool) {
	i, ok := t.Find(node, key)
	if !ok || t.Nodes[i].Kind != tape.String {
		return "", false
	}
	return string(t.Text(i)), true
}

// resolve finds what a reference at a place points to.
func (c *Compiler) resolve(at place, ref string) (place, error) {
	r := c.innermost(at.doc, at.node)
	key := refKey{r, ref}
	if to, ok := c.refs[key]; ok {
		return to, nil
	}
	to, err := c.lookUp(r, ref)
	if err == nil {
		c.refs[key] = to
	}
	return to, err
}

func (c *Compiler) lookUp(r int, ref string) (place, error) {
	u, err := url.Parse(ref)
	if err != nil {
		return place{}, fmt.Errorf("not a URI reference: %w", err)
	}
	if !strings.HasPrefix(ref, "#") && ref != "" {
		if r, err = c.find(c.resources[r].base.ResolveReference(u)); err != nil {
			return place{}, err
		}
	}
	res := &c.resources[r]
	t := c.docs[res.doc].t
	switch {
	case u.Fragment == "":
		return place{res.doc, res.node}, nil
	case u.Fragment[0] == '/':
		node, err := follow(t, res.node, u.Fragment)
		return place{res.doc, node}, err
	}
	node, ok := res.anchors[u.Fragment]
	if !ok {
		return place{}, fmt.Errorf("there is no $anchor %q in %s", u.Fragment, withoutFragment(res.base))
	}
	return place{res.doc, node}, nil
}

// find gives the resource with a URI, asking for its document where it is new.
func (c *Compiler) find(u *url.URL) (int, error) {
	uri := withoutFragment(u)
	if r, ok := c.uris[uri]; ok {
		return r, nil
	}
	if c.cfg.Documents == nil {
		return 0, fmt.Errorf("it leaves the document; write #/…, or load %s too", uri)
	}
	t, err := c.cfg.Documents(uri)
	if err != nil {
		return 0, fmt.Errorf("loading %s: %w", uri, err)
	}
	if t == nil || t.Empty() {
		return 0, fmt.Errorf("there is no document %s", uri)
	}
	base := *u
	base.Fragment, base.RawFragment = "", ""
	return c.docs[c.addDocument(t, &base)].first, nil
}

// follow walks a JSON pointer (RFC 6901) from a node.
func follow(t *tape.Tape, node int, pointer string) (int, error) {
	for _, step := range strings.Split(pointer[1:], "/") {
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		next, ok := 0, false
		switch t.Nodes[node].Kind {
		case tape.Object:
			next, ok = t.Find(node, step)
		case tape.Array:
			next, ok = element(t, node, step)
		}
		if !ok {
			return 0, fmt.Errorf("nothing stands at %s", pointer)
		}
		node = next
	}
	return node, nil
}

func element(t *tape.Tape, node int, step string) (int, bool) {
	n, err := strconv.Atoi(step)
	if err != nil || n < 0 || n >= int(t.Nodes[node].Count) {
		return 0, false
	}
	i := node + 1
	for ; n > 0; n-- {
		i = int(t.Nodes[i].Next)
	}
	return i, true
}

func itoa(i int) string { return strconv.Itoa(i) }
