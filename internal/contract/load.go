package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

const maxLoadFaults = 100

// absent is the node of a member that is not there.
const absent = -1

// loader turns a document's tape into operations and collects every fault. Nodes of the
// tape are named by their index.
type loader struct {
	name    string
	doc     *tape.Tape
	faults  []error
	told    map[string]bool // places that have a fault already
	schemas map[schemaKey]*Schema
	later   []wrapper // references with annotations beside them
	brief   bool      // answers are not described
}

// schemaKey: one schema text is described once for requests and once for answers,
// because objects of requests are closed.
type schemaKey struct {
	node    int
	request bool
}

func newLoader(name string, doc *tape.Tape) *loader {
	return &loader{name: name, doc: doc, told: map[string]bool{}, schemas: map[schemaKey]*Schema{}}
}

func (l *loader) broken(err error) error { return fmt.Errorf("load contract %s: %w", l.name, err) }

func (l *loader) err() error { return l.broken(errors.Join(l.faults...)) }

// fault records a fault at a node, or at a member of it that may be missing.
func (l *loader) fault(node int, key, format string, args ...any) {
	at := l.pointer(node)
	if key != "" {
		at = point(at, key)
	}
	l.faultAt(at, format, args...)
}

// faultAt records a fault at a JSON pointer.
func (l *loader) faultAt(at, format string, args ...any) {
	if len(l.faults) < maxLoadFaults {
		l.told[at] = true
		l.faults = append(l.faults, fmt.Errorf("%s#%s: %s", l.name, at, fmt.Sprintf(format, args...)))
	}
}

// pointer is the JSON pointer of a node; only faults need it.
func (l *loader) pointer(node int) string {
	if node < 0 {
		return ""
	}
	return l.doc.Pointer(node)
}

func point(at, key string) string {
	if strings.ContainsAny(key, "~/") {
		key = strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
	}
	return at + "/" + key
}

// kids gives the nodes of a container's elements or members.
func (l *loader) kids(node int) iter.Seq[int] {
	return func(yield func(int) bool) {
		if node < 0 || l.doc.Nodes[node].Kind < tape.Array {
			return
		}
		for i, end := node+1, int(l.doc.Nodes[node].Next); i < end; i = int(l.doc.Nodes[i].Next) {
			if !yield(i) {
				return
			}
		}
	}
}

// key is the name of a member's node.
func (l *loader) key(kid int) string { return string(l.doc.Key(kid)) }

// member finds a member of an object; absent where there is none.
func (l *loader) member(o int, key string) int {
	if o < 0 {
		return absent
	}
	if i, ok := l.doc.Find(o, key); ok {
		return i
	}
	return absent
}

func (l *loader) is(node int, kind tape.Kind) bool {
	return node >= 0 && l.doc.Nodes[node].Kind == kind
}

// keys refuses members that the engine does not know.
func (l *loader) keys(o int, allowed ...string) {
	for kid := range l.kids(o) {
		k := l.key(kid)
		if slices.Contains(allowed, k) || strings.HasPrefix(k, "x-") && !strings.HasPrefix(k, "x-sallyport") {
			continue
		}
		near := ""
		if n := schema.Nearest(k, allowed); n != "" {
			near = "; did you mean " + n + "?"
		}
		l.fault(o, "", "%q is not known here%s (known: %s)", k, near, strings.Join(allowed, ", "))
	}
}

// object gives a member that must be an object, or absent.
func (l *loader) object(o int, key string) int { return l.kind(o, key, tape.Object, "an object") }

func (l *loader) list(o int, key string) int { return l.kind(o, key, tape.Array, "an array") }

func (l *loader) kind(o int, key string, kind tape.Kind, want string) int {
	i := l.member(o, key)
	if i >= 0 && !l.is(i, kind) {
		l.fault(i, "", "found %s; write %s", l.shown(i), want)
		return absent
	}
	return i
}

func (l *loader) text(o int, key string) string {
	if i := l.kind(o, key, tape.String, "a string"); i >= 0 {
		return string(l.doc.Text(i))
	}
	return ""
}

func (l *loader) flag(o int, key string) bool {
	i := l.member(o, key)
	if i >= 0 && !l.is(i, tape.True) && !l.is(i, tape.False) {
		l.fault(i, "", "found %s; write true or false", l.shown(i))
	}
	return l.is(i, tape.True)
}

func (l *loader) texts(o int, key string) []string {
	var out []string
	for i := range l.kids(l.list(o, key)) {
		if !l.is(i, tape.String) {
			l.fault(i, "", "found %s; write a string", l.shown(i))
			continue
		}
		out = append(out, string(l.doc.Text(i)))
	}
	return out
}

// count gives a member that must be a whole number from 0 on; nil when absent.
func (l *loader) count(o int, key string) *int {
	i := l.member(o, key)
	if i < 0 {
		return nil
	}
	n, err := strconv.Atoi(string(l.doc.Text(i)))
	if !l.is(i, tape.Number) || err != nil || n < 0 {
		l.fault(i, "", "found %s; write a whole number from 0 on", l.shown(i))
		return nil
	}
	return &n
}

// shown names a value for errors about our own documents.
func (l *loader) shown(i int) string {
	switch n := &l.doc.Nodes[i]; n.Kind {
	case tape.Array:
		return "an array"
	case tape.Object:
		return "an object"
	case tape.String:
		return strconv.Quote(string(l.doc.Text(i)))
	case tape.Number:
		return "the number " + string(l.doc.Text(i))
	}
	return string(l.doc.Text(i))
}

// deref follows "$ref" until something else stands there. A reference outside the
// document, a missing target and a circle of references alone are faults; the result is
// then absent.
func (l *loader) deref(o int) int {
	at := o
	for range 32 {
		ref := l.member(o, "$ref")
		if !l.is(ref, tape.String) {
			return o
		}
		if o = l.target(string(l.doc.Text(ref)), o); o < 0 {
			return absent
		}
	}
	l.fault(at, "", "references go round in a circle")
	return absent
}

// target is the node that a reference of node from means.
func (l *loader) target(ref string, from int) int {
	pointer, local := strings.CutPrefix(ref, "#")
	if !local {
		l.fault(from, "", "$ref %q leaves the document; write #/components/…", ref)
		return absent
	}
	if text, err := url.PathUnescape(pointer); err == nil { // RFC 6901 §6
		pointer = text
	}
	i, ok := l.doc.Resolve(pointer)
	if !ok && pointer != "" && pointer[0] != '/' {
		i = l.anchor(pointer)
		ok = i >= 0
	}
	if !ok || l.doc.Nodes[i].Kind != tape.Object && l.doc.Nodes[i].Kind != tape.True && l.doc.Nodes[i].Kind != tape.False {
		l.fault(from, "", "$ref %q points to nothing", ref)
		return absent
	}
	return i
}

// anchor finds the schema with that $anchor or $dynamicAnchor.
func (l *loader) anchor(name string) int {
	for i := range l.doc.Nodes {
		if !l.is(i, tape.Object) {
			continue
		}
		for _, key := range []string{"$anchor", "$dynamicAnchor"} {
			if a := l.member(i, key); l.is(a, tape.String) && string(l.doc.Text(a)) == name {
				return i
			}
		}
	}
	return absent
}

// decode reads plain data (an annotation) into a struct, refusing unknown members.
func (l *loader) decode(i int, into any) {
	dec := json.NewDecoder(bytes.NewReader(l.doc.AppendJSON(nil, i)))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		l.fault(i, "", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
}
