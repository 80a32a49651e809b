package wire

import (
	"encoding/xml"
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// XML appends value node as an XML document: members in the order of s, then others by name.
// root names the element where the schema's own xml object does not. What was written is
// read back and compared, so that a value which XML would carry as another one is refused.
// The error is a *problem.Error of code contract_violation.
func (w *Writer) XML(dst []byte, t *tape.Tape, node int, root string, s schema.Shape) ([]byte, error) {
	w.start(dst, t, Brackets, false)
	w.xml(node, root, s)
	return w.end(dst)
}

// XMLMisfits lists what XML would refuse.
func (w *Writer) XMLMisfits(t *tape.Tape, node int, root string, s schema.Shape) []Misfit {
	w.start(w.scratch[:0], t, Brackets, false)
	w.xml(node, root, s)
	w.scratch = w.out
	return w.found()
}

func (w *Writer) xml(node int, root string, s schema.Shape) {
	x := xmlWriter{w: w}
	from := len(w.out)
	w.out = append(w.out, `<?xml version="1.0" encoding="UTF-8"?>`...)
	name := xmlName(s.XML(), root, "")
	if !xmlWord(name.Local) {
		w.misfit(node, "a value whose element has no name", "a schema whose xml object says one")
		return
	}
	v := viewOf(s)
	x.element(node, v, name, s.XML().Prefix)
	if len(w.misfits) > 0 {
		return
	}
	var r Reader
	var b tape.Builder
	var back tape.Tape
	b.Start(&back, tape.Limits{})
	if err := r.XML(&b, w.out[from:], root, s); err != nil || b.Done() != nil || !sameText(w.t, node, &back, 0) {
		w.misfit(node, "a value that XML cannot carry as it is", "one without empty lists, or nested lists")
	}
}

// sameText compares what a text format can tell apart: the text of scalars. The order of
// members does not count.
func sameText(a *tape.Tape, i int, b *tape.Tape, j int) bool {
	x, y := &a.Nodes[i], &b.Nodes[j]
	scalar := x.Kind > tape.Null && x.Kind < tape.Array && y.Kind > tape.Null && y.Kind < tape.Array
	switch {
	case scalar:
		return string(a.Text(i)) == string(b.Text(j))
	case x.Kind != y.Kind || x.Count != y.Count:
		return false
	case x.Kind == tape.Null:
		return true
	}
	d := j + 1
	for c := i + 1; c < int(x.Next); c = int(a.Nodes[c].Next) {
		if x.Kind == tape.Object {
			var ok bool
			if d, ok = b.Find(j, string(a.Key(c))); !ok {
				return false
			}
		}
		if !sameText(a, c, b, d) {
			return false
		}
		d = int(b.Nodes[d].Next)
	}
	return true
}

type xmlWriter struct {
	w      *Writer
	scopes []scope
	depth  int
}

// element writes one element and all in it.
func (x *xmlWriter) element(node int, s view, name xml.Name, prefix string) {
	w := x.w
	if x.depth++; x.depth >= maxDepth {
		w.misfit(node, "a value that is nested too deeply", "fewer levels")
		return
	}
	w.out = append(w.out, '<')
	tag, declared := x.name(name, prefix, false)
	w.out = append(append(w.out, tag...), declared...)
	x.content(node, s, name, tag)
	for len(x.scopes) > 0 && x.scopes[len(x.scopes)-1].depth >= x.depth {
		x.scopes = x.scopes[:len(x.scopes)-1]
	}
	x.depth--
}

func (x *xmlWriter) content(node int, s view, name xml.Name, tag string) {
	w := x.w
	switch w.t.Nodes[node].Kind {
	case tape.Null:
		w.out = append(w.out, ` xmlns:xsi="`+nilSpace+`" xsi:nil="true"/>`...)
		return
	case tape.Object:
		x.object(node, s, name)
	case tape.Array:
		w.out = append(w.out, '>')
		first := s.item(0)
		item := first.XML()
		for c, i := node+1, 0; c < int(w.t.Nodes[node].Next); c, i = int(w.t.Nodes[c].Next), i+1 {
			v := s.item(i)
			x.element(c, v, xmlName(item, name.Local, name.Space), item.Prefix)
		}
	default:
		w.out = append(w.out, '>')
		x.text(node, false)
	}
	w.out = append(append(append(w.out, "</"...), tag...), '>')
}

// object writes attributes, then the text, then the elements.
func (x *xmlWriter) object(node int, s view, name xml.Name) {
	w := x.w
	from := len(w.members)
	list := w.ordered(node, s)
	forms := make([]xmlForm, len(list))
	for i, m := range list {
		key := string(w.t.Key(m.node))
		forms[i] = formOf(key, m.kid, name.Space)
		if !xmlWord(forms[i].name.Local) {
			w.misfit(m.node, "a name that XML does not allow", "a name of letters, digits, _, - and .")
			forms[i].name.Local = "x"
		}
		if forms[i].attribute {
			tag, declared := x.name(forms[i].name, forms[i].prefix, true)
			w.out = append(append(append(append(w.out, declared...), ' '), tag...), `="`...)
			x.text(m.node, true)
			w.out = append(w.out, '"')
		}
	}
	w.out = append(w.out, '>')
	for i, m := range list {
		if forms[i].text {
			x.text(m.node, false)
		}
	}
	for i, m := range list {
		if !forms[i].text && !forms[i].attribute {
			x.member(m, forms[i])
		}
	}
	w.members = w.members[:from]
}

func (x *xmlWriter) member(m member, f xmlForm) {
	n := &x.w.t.Nodes[m.node]
	if n.Kind != tape.Array || f.wrapped {
		x.element(m.node, m.kid, f.name, f.prefix)
		return
	}
	if n.Count == 0 {
		x.w.misfit(m.node, "an empty array", "nothing at all: this list has no element around it")
	}
	for c, i := m.node+1, 0; c < int(n.Next); c, i = int(x.w.t.Nodes[c].Next), i+1 {
		if x.w.t.Nodes[c].Kind == tape.Array {
			x.w.misfit(c, "an array in an array", "a list of plain values or objects")
			continue
		}
		v := m.kid.item(i)
		x.element(c, v, f.name, f.prefix)
	}
}

// text writes a scalar.
func (x *xmlWriter) text(node int, attribute bool) {
	w := x.w
	if kind := w.t.Nodes[node].Kind; kind >= tape.Array || kind == tape.Null {
		w.misfit(node, "null or a structure", "a plain value")
		return
	}
	text := w.t.Text(node)
	for i := 0; i < len(text); {
		c, n := utf8.DecodeRune(text[i:])
		switch {
		case c < 0x20 && c != '\t' && c != '\n' && c != '\r', c == 0xfffe, c == 0xffff:
			w.misfit(node, "a character that XML does not allow", "text without control characters")
			return
		case c == '&':
			w.out = append(w.out, "&amp;"...)
		case c == '<':
			w.out = append(w.out, "&lt;"...)
		case c == '>':
			w.out = append(w.out, "&gt;"...)
		case c == '"' && attribute:
			w.out = append(w.out, "&quot;"...)
		case c == '\r', attribute && c < 0x20:
			w.out = append(w.out, "&#"+strconv.Itoa(int(c))+";"...)
		default:
			w.out = append(w.out, text[i:i+n]...)
		}
		i += n
	}
}

// name gives the tag of an element or attribute, and the declarations that it needs.
func (x *xmlWriter) name(n xml.Name, prefix string, attribute bool) (tag, declared string) {
	if n.Space == "" && attribute {
		return n.Local, ""
	}
	if prefix == "" && (!attribute || n.Space == "") {
		if x.bound("") == n.Space {
			return n.Local, ""
		}
		if p := x.prefixOf(n.Space); p != "" {
			return p + ":" + n.Local, ""
		}
		x.scopes = append(x.scopes, scope{"", n.Space, x.depth})
		return n.Local, ` xmlns="` + attributeText(n.Space) + `"`
	}
	if prefix == "" {
		if prefix = x.prefixOf(n.Space); prefix == "" {
			prefix = "n" + strconv.Itoa(x.depth)
		}
	}
	if n.Space == "" {
		return n.Local, ""
	}
	if x.bound(prefix) != n.Space {
		x.scopes = append(x.scopes, scope{prefix, n.Space, x.depth})
		declared = " xmlns:" + prefix + `="` + attributeText(n.Space) + `"`
	}
	return prefix + ":" + n.Local, declared
}

// bound is the namespace that a prefix stands for here.
func (x *xmlWriter) bound(prefix string) string {
	for i := len(x.scopes) - 1; i >= 0; i-- {
		if x.scopes[i].prefix == prefix {
			return x.scopes[i].space
		}
	}
	return ""
}

func (x *xmlWriter) prefixOf(space string) string {
	for i := len(x.scopes) - 1; i >= 0 && space != ""; i-- {
		if s := x.scopes[i]; s.space == space && s.prefix != "" && x.bound(s.prefix) == space {
			return s.prefix
		}
	}
	return ""
}

func attributeText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;").Replace(s)
}

// xmlWord reports whether s is a name of an element without a prefix. XML allows more.
func xmlWord(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0xc0 && c != 0xd7 && c != 0xf7 && c < 0x2000
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '-' || c == '.')) {
			return false
		}
	}
	return s != ""
}
