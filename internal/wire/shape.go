package wire

import (
	"sallyport/internal/tape"
)

// Types are the JSON types that a place may have.
type Types uint8

const (
	Null Types = 1 << iota
	Boolean
	Integer
	Number
	String
	Array
	Object
	allTypes = Null | Boolean | Integer | Number | String | Array | Object
)

// Shape is a temporary one until package schema lands.
type Shape struct{ m *merged }

type merged struct {
	doc   *tape.Tape
	parts []int
	types Types
	any   bool
	names []string
	kids  map[string]Shape
	extra Shape
	open  bool
	items Shape
}

var memo = map[string]*merged{}

func shapeAt(doc *tape.Tape, nodes ...int) Shape {
	m := &merged{doc: doc, kids: map[string]Shape{}}
	for _, n := range nodes {
		m.flatten(n)
	}
	for _, p := range m.parts {
		m.part(p)
	}
	return Shape{m}
}

func (m *merged) flatten(n int) {
	for _, p := range m.parts {
		if p == n {
			return
		}
	}
	m.parts = append(m.parts, n)
	if ref, ok := m.doc.Find(n, "$ref"); ok {
		t, ok := m.doc.Resolve(string(m.doc.Text(ref))[1:])
		if ok {
			m.flatten(t)
		}
	}
	for _, k := range []string{"allOf", "anyOf", "oneOf"} {
		if l, ok := m.doc.Find(n, k); ok {
			for c := l + 1; c < int(m.doc.Nodes[l].Next); c = int(m.doc.Nodes[c].Next) {
				m.flatten(c)
			}
		}
	}
}

func (m *merged) part(n int) {
	d := m.doc
	if d.Nodes[n].Kind == tape.True || d.Nodes[n].Kind == tape.Object && d.Nodes[n].Count == 0 {
		m.any, m.types = true, allTypes
		return
	}
	bits := map[string]Types{"null": Null, "boolean": Boolean, "integer": Integer, "number": Number | Integer, "string": String, "array": Array, "object": Object}
	if t, ok := d.Find(n, "type"); ok {
		if d.Nodes[t].Kind == tape.String {
			m.types |= bits[string(d.Text(t))]
		} else {
			for c := t + 1; c < int(d.Nodes[t].Next); c++ {
				m.types |= bits[string(d.Text(c))]
			}
		}
	}
}

func (s Shape) Types() Types {
	if s.m == nil {
		return 0
	}
	return s.m.types
}
func (s Shape) IsAny() bool { return s.m != nil && s.m.any }
func (s Shape) Member(name []byte) (Shape, int, bool) {
	if s.m == nil {
		return Shape{}, -1, false
	}
	if s.m.any {
		return s, -1, false
	}
	if k, ok := s.m.kids[string(name)]; ok {
		return k, -1, true
	}
	var kids []int
	listed := false
	for _, p := range s.m.parts {
		if props, ok := s.m.doc.Find(p, "properties"); ok {
			if c, ok := s.m.doc.Find(props, string(name)); ok {
				kids = append(kids, c)
				listed = true
				continue
			}
		}
		if a, ok := s.m.doc.Find(p, "additionalProperties"); ok && s.m.doc.Nodes[a].Kind != tape.False {
			kids = append(kids, a)
		}
	}
	if len(kids) == 0 {
		return Shape{}, -1, false
	}
	k := shapeAt(s.m.doc, kids...)
	s.m.kids[string(name)] = k
	return k, 0, listed
}
func (s Shape) Item(int) Shape {
	if s.m == nil || s.m.any {
		return s
	}
	if s.m.items.m == nil {
		var kids []int
		for _, p := range s.m.parts {
			if a, ok := s.m.doc.Find(p, "items"); ok {
				kids = append(kids, a)
			}
		}
		if len(kids) > 0 {
			s.m.items = shapeAt(s.m.doc, kids...)
		}
	}
	return s.m.items
}
func (s Shape) Names() []string {
	var out []string
	if s.m != nil {
		for _, p := range s.m.parts {
			if props, ok := s.m.doc.Find(p, "properties"); ok {
				for c := props + 1; c < int(s.m.doc.Nodes[props].Next); c = int(s.m.doc.Nodes[c].Next) {
					out = append(out, string(s.m.doc.Key(c)))
				}
			}
		}
	}
	return out
}
func (s Shape) FitsText(text []byte) bool {
	for _, p := range s.m.parts {
		t, ok := s.m.doc.Find(p, "type")
		if !ok || string(s.m.doc.Text(t)) != "string" {
			continue
		}
		e, ok := s.m.doc.Find(p, "enum")
		if !ok {
			return true
		}
		for c := e + 1; c < int(s.m.doc.Nodes[e].Next); c++ {
			if string(s.m.doc.Text(c)) == string(text) {
				return true
			}
		}
	}
	return false
}

func (s Shape) Open() bool {
	_, _, listed := s.Member([]byte("\x00"))
	k, _, _ := s.Member([]byte("\x00"))
	return !listed && k.m != nil
}

type XML struct {
	Name, Prefix, Namespace  string
	Attribute, Wrapped, Text bool
}

func (s Shape) XML() (x XML) {
	if s.m == nil {
		return
	}
	d := s.m.doc
	for _, p := range s.m.parts {
		if o, ok := d.Find(p, "xml"); ok {
			str := func(k string) string {
				if i, ok := d.Find(o, k); ok {
					return string(d.Text(i))
				}
				return ""
			}
			return XML{str("name"), str("prefix"), str("namespace"), str("attribute") == "true", str("wrapped") == "true", str("nodeType") == "text"}
		}
	}
	return
}
