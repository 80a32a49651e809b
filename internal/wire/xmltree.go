package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// Bounds of XML documents.
const (
	maxElements = 10_000 // elements and attributes
	xmlSpace    = "http://www.w3.org/XML/1998/namespace"
	nilSpace    = "http://www.w3.org/2001/XMLSchema-instance"
)

// element is one element of a document.
type element struct {
	name    xml.Name // Space is the namespace, not the prefix
	attrs   []xml.Attr
	text    []byte
	kids    []int
	comment bool
}

// document is an XML document as elements; 0 is the root.
type document struct {
	elements []element
	open     []int
	scopes   []scope // namespaces in force, the innermost last
	count    int
}

// scope binds a prefix while its element is open.
type scope struct {
	prefix, space string
	depth         int
}

// errXML is what a document has that XML or these rules do not allow.
type errXML struct{ what string }

func (e *errXML) Error() string { return e.what }

// parse reads a document strictly: UTF-8, no DOCTYPE, no entities beyond the five, no
// processing instruction but the declaration, no comment inside of text.
func (d *document) parse(body []byte) error {
	if crowded(body) {
		return &errXML{"has too many elements"}
	}
	dec := xml.NewDecoder(bytes.NewReader(body))
	for first := true; ; first = false {
		from := dec.InputOffset()
		token, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &errXML{"is not well-formed"}
		}
		if err := d.token(token, body[from:dec.InputOffset()], first); err != nil {
			return err
		}
	}
	if len(d.open) > 0 || len(d.elements) == 0 {
		return &errXML{"is not one complete element"}
	}
	return nil
}

func (d *document) token(token xml.Token, raw []byte, first bool) error {
	switch t := token.(type) {
	case xml.StartElement:
		return d.start(t, raw)
	case xml.EndElement:
		return d.end(t)
	case xml.CharData:
		if len(d.open) > 0 {
			e := &d.elements[d.open[len(d.open)-1]]
			e.text = append(e.text, t...)
		} else if !blank(t) {
			return &errXML{"has text beside its element"}
		}
	case xml.Comment:
		if len(d.open) > 0 {
			d.elements[d.open[len(d.open)-1]].comment = true
		}
	case xml.ProcInst:
		if t.Target != "xml" || !first {
			return &errXML{"has a processing instruction"}
		}
	default:
		return &errXML{"has a DOCTYPE or another declaration"}
	}
	return nil
}

func (d *document) start(t xml.StartElement, raw []byte) error {
	d.count += 1 + len(t.Attr)
	switch {
	case len(d.open) == 0 && len(d.elements) > 0:
		return &errXML{"has two elements at the top"}
	case len(d.open) >= maxDepth-1:
		return &errXML{"is nested too deeply"}
	case d.count > maxElements:
		return &errXML{"has too many elements"}
	case looseAttribute(raw):
		return &errXML{"has a line break or tab in an attribute; write &#10; or &#9;"}
	}
	depth := len(d.open) + 1
	for _, a := range t.Attr {
		switch {
		case a.Name.Space == "xmlns" && (a.Value == "" || a.Name.Local == "xmlns" || a.Name.Local == "xml" && a.Value != xmlSpace):
			return &errXML{"binds a prefix to no namespace"}
		case a.Name.Space == "xmlns":
			d.scopes = append(d.scopes, scope{a.Name.Local, a.Value, depth})
		case a.Name == xml.Name{Local: "xmlns"}:
			d.scopes = append(d.scopes, scope{"", a.Value, depth})
		}
	}
	e := element{}
	var ok bool
	if e.name, ok = d.resolve(t.Name, true); !ok {
		return &errXML{"uses a prefix that it does not declare"}
	}
	seen := map[xml.Name]bool{}
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name == (xml.Name{Local: "xmlns"}) {
			if twice := (xml.Name{Space: "xmlns", Local: a.Name.Space + ":" + a.Name.Local}); seen[twice] {
				return &errXML{"has an attribute twice"}
			} else {
				seen[twice] = true
			}
			continue
		}
		name, ok := d.resolve(a.Name, false)
		if !ok {
			return &errXML{"uses a prefix that it does not declare"}
		}
		if seen[name] {
			return &errXML{"has an attribute twice"}
		}
		seen[name] = true
		e.attrs = append(e.attrs, xml.Attr{Name: name, Value: a.Value})
	}
	at := len(d.elements)
	d.elements = append(d.elements, e)
	if depth > 1 {
		up := &d.elements[d.open[depth-2]]
		up.kids = append(up.kids, at)
	}
	d.open = append(d.open, at)
	return nil
}

// resolve gives a name its namespace. Attributes without a prefix are in none.
func (d *document) resolve(n xml.Name, element bool) (xml.Name, bool) {
	switch {
	case n.Local == "" || strings.ContainsRune(n.Local, ':') || n.Space == "xmlns":
		return n, false
	case n.Space == "xml":
		return xml.Name{Space: xmlSpace, Local: n.Local}, true
	case n.Space == "" && !element:
		return n, true
	}
	for i := len(d.scopes) - 1; i >= 0; i-- {
		if d.scopes[i].prefix == n.Space {
			return xml.Name{Space: d.scopes[i].space, Local: n.Local}, true
		}
	}
	return n, n.Space == ""
}

func (d *document) end(t xml.EndElement) error {
	if len(d.open) == 0 {
		return &errXML{"ends an element that it does not begin"}
	}
	e := &d.elements[d.open[len(d.open)-1]]
	name, ok := d.resolve(t.Name, true)
	if !ok || name != e.name {
		return &errXML{"ends an element by another name"}
	}
	if e.comment && !blank(e.text) {
		return &errXML{"has a comment inside of text, which parsers read differently"}
	}
	depth := len(d.open)
	for len(d.scopes) > 0 && d.scopes[len(d.scopes)-1].depth >= depth {
		d.scopes = d.scopes[:len(d.scopes)-1]
	}
	d.open = d.open[:depth-1]
	return nil
}

// crowded finds, without parsing, documents with far more tags and attributes than maxElements,
// or with names beyond reason: the parser reads a whole tag before it can be stopped.
func crowded(body []byte) bool {
	const longest = 1 << 14 // bytes of a tag outside of quotes
	count, length, inTag, special, quote := 0, 0, false, false, byte(0)
	for i, c := range body {
		switch {
		case !inTag:
			if c == '<' {
				inTag, length, special = true, 0, i+1 < len(body) && body[i+1] == '!'
				count++
			}
			continue
		case quote != 0:
			if c == quote {
				quote = 0
			}
			continue
		case c == '>':
			inTag = false
		case special:
		case c == '"' || c == '\'':
			quote = c
		case c == '=':
			count++
		}
		if length++; length > longest && !special {
			return true
		}
	}
	return count > 4*maxElements
}

func blank(s []byte) bool { return len(bytes.Trim(s, " \t\r\n")) == 0 }

// looseAttribute finds a line break or tab inside of an attribute's quotes: XML reads it as a
// space, and not every parser does.
func looseAttribute(tag []byte) bool {
	quote := byte(0)
	for _, c := range tag {
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		case quote != 0 && (c == '\n' || c == '\r' || c == '\t'):
			return true
		}
	}
	return false
}
