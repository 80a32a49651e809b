package wire

import (
	"encoding/xml"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// XML reads an XML document as one value, added to b. root is the name of its element where
// the schema's own xml object does not say one; "" allows any. Elements and attributes that
// s does not know are there as well: an attribute as @name, text beside elements as #text,
// and {namespace}name where the plain name would be another member's. The error is a
// *problem.Error of code bad_body.
func (r *Reader) XML(b *tape.Builder, body []byte, root string, s schema.Shape) error {
	x := xmlReader{b: b}
	if err := x.doc.parse(body); err != nil {
		return problem.New(problem.BadBody, "the XML %v", err).
			WithHint("send one well-formed element in UTF-8, without DOCTYPE, processing instructions and entities of your own")
	}
	top := &x.doc.elements[0]
	if want := xmlName(s.XML(), root, ""); want.Local != "" && top.name.Local != want.Local || s.XML().Namespace != "" && top.name.Space != want.Space {
		return refuse(problem.BadBody, "the XML element is %s; want %s", tape.ShowName(top.name.Local), want.Local)
	}
	v := viewOf(s)
	if err := x.value(0, v, top.name.Space); err != nil {
		return err
	}
	r.code = problem.BadBody
	return r.blame(b)
}

type xmlReader struct {
	doc document
	b   *tape.Builder
}

// value adds what element n holds.
func (x *xmlReader) value(n int, s view, space string) error {
	e := &x.doc.elements[n]
	switch {
	case isNil(e):
		x.b.Null()
	case s.may(schema.Array) && !s.may(schema.Object) && (len(e.kids) > 0 || blank(e.text) && !isWhole(s, e.text)):
		return x.wrapper(n, s, space)
	case len(e.kids) > 0 || len(e.attrs) > 0 || s.may(schema.Object) && (blank(e.text) || !s.may(scalars) || hasText(s)):
		return x.object(n, s, space)
	default:
		addScalar(x.b, e.text, s)
	}
	return nil
}

// isNil reports xsi:nil="true" on an empty element.
func isNil(e *element) bool {
	return len(e.kids) == 0 && len(e.text) == 0 && len(e.attrs) == 1 &&
		e.attrs[0].Name == xml.Name{Space: nilSpace, Local: "nil"} && (e.attrs[0].Value == "true" || e.attrs[0].Value == "1")
}

// hasText reports whether one of the members is the element's text.
func hasText(s view) bool {
	for _, name := range s.Names() {
		if kid, _ := s.Member([]byte(name)); kid.XML().Text {
			return true
		}
	}
	return false
}

// wrapper reads the elements of an array out of the element around them.
func (x *xmlReader) wrapper(n int, s view, space string) error {
	e := &x.doc.elements[n]
	item := xmlName(s.Item(0).XML(), e.name.Local, e.name.Space)
	if !blank(e.text) || len(e.attrs) > 0 {
		return refuse(problem.BadBody, "the XML element %s has text or attributes; it is a list", tape.ShowName(e.name.Local))
	}
	x.b.BeginArray()
	for i, kid := range e.kids {
		if got := x.doc.elements[kid].name; got != item {
			return refuse(problem.BadBody, "the XML element %s stands in a list of %s", tape.ShowName(got.Local), item.Local)
		}
		v := s.item(i)
		if err := x.value(kid, v, item.Space); err != nil {
			return err
		}
	}
	x.b.End()
	return nil
}

// group is what an object's element says for one member.
type group struct {
	key   string
	kid   view
	form  xmlForm
	known bool
	nodes []int
}

func (x *xmlReader) object(n int, s view, space string) error {
	e := &x.doc.elements[n]
	forms := formsOf(s, e.name.Space)
	x.b.BeginObject()
	for _, a := range e.attrs {
		key, kid := forms.attribute(a.Name, s)
		x.b.KeyString(key)
		addScalar(x.b, []byte(a.Value), kid)
	}
	for _, g := range x.groups(e, s, forms) {
		x.b.KeyString(g.key)
		if err := x.member(&g); err != nil {
			return err
		}
	}
	switch key, kid, known := forms.text(s); {
	case known && (len(e.text) > 0 && len(e.kids) == 0 || !blank(e.text)):
		x.b.KeyString(key)
		addScalar(x.b, e.text, kid)
	case !known && !blank(e.text):
		x.b.KeyString("#text")
		x.b.Bytes(e.text)
	}
	x.b.End()
	return nil
}

// groups gathers the elements of one name, in the order in which they first appear.
func (x *xmlReader) groups(e *element, s view, forms xmlForms) []group {
	var list []group
	at := map[string]int{}
	for _, kid := range e.kids {
		g := forms.element(x.doc.elements[kid].name, s, e.name.Space)
		i, there := at[g.key]
		if !there {
			i = len(list)
			at[g.key] = i
			list = append(list, g)
		}
		list[i].nodes = append(list[i].nodes, kid)
	}
	return list
}

func (x *xmlReader) member(g *group) error {
	switch {
	case g.known && g.kid.may(schema.Array) && !g.form.wrapped:
		x.b.BeginArray()
		for i, n := range g.nodes {
			v := g.kid.item(i)
			if err := x.value(n, v, g.form.name.Space); err != nil {
				return err
			}
		}
		x.b.End()
		return nil
	case len(g.nodes) > 1 && g.known:
		return problem.New(problem.BadBody, "the XML element %s stands %d times", g.form.name.Local, len(g.nodes)).WithHint("it takes one value")
	case len(g.nodes) > 1:
		x.b.BeginArray()
		for _, n := range g.nodes {
			if err := x.value(n, view{}, ""); err != nil {
				return err
			}
		}
		x.b.End()
		return nil
	}
	return x.value(g.nodes[0], g.kid, g.form.name.Space)
}

// xmlForms are the members of an object by their names in XML.
type xmlForms struct {
	elements, attributes map[xml.Name]string
	textual              string
	hasText              bool
}

func formsOf(s view, space string) xmlForms {
	f := xmlForms{elements: map[xml.Name]string{}, attributes: map[xml.Name]string{}}
	for _, name := range s.Names() {
		kid, _ := s.member([]byte(name))
		switch form := formOf(name, kid, space); {
		case form.text:
			f.textual, f.hasText = name, true
		case form.attribute:
			f.attributes[form.name] = name
		default:
			f.elements[form.name] = name
		}
	}
	return f
}

func (f xmlForms) text(s view) (key string, kid view, known bool) {
	kid, _ = s.member([]byte(f.textual))
	return f.textual, kid, f.hasText
}

func (f xmlForms) attribute(name xml.Name, s view) (string, view) {
	if key, ok := f.attributes[name]; ok {
		kid, _ := s.member([]byte(key))
		return key, kid
	}
	if _, listed := s.member([]byte("@" + name.Local)); name.Space != "" || listed {
		return "@{" + name.Space + "}" + name.Local, view{}
	}
	return "@" + name.Local, view{}
}

// element finds the member that an element belongs to. A name that is not known stays,
// but never as the name of a member that is written otherwise.
func (f xmlForms) element(name xml.Name, s view, space string) group {
	if key, ok := f.elements[name]; ok {
		kid, _ := s.member([]byte(key))
		return group{key: key, kid: kid, form: formOf(key, kid, space), known: true}
	}
	g := group{key: name.Local, form: xmlForm{name: name}}
	if _, listed := s.member([]byte(name.Local)); listed || name.Space != space {
		g.key = "{" + name.Space + "}" + name.Local
		return g
	}
	g.kid, _ = s.member([]byte(name.Local)) // a map's entry
	g.known = g.kid.Known()
	if g.known {
		g.form = formOf(g.key, g.kid, space)
	}
	return g
}
