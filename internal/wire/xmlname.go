package wire

import (
	"encoding/xml"

	"sallyport/internal/schema"
)

// xmlForm is how a member is written in XML (OpenAPI's xml object).
type xmlForm struct {
	name      xml.Name // of the element or attribute; of an array that is not wrapped, of each element of it
	prefix    string
	attribute bool
	text      bool // the member is the text of the object's element
	wrapped   bool
	item      xml.Name // of the elements in the wrapper
	itemMark  string
}

// formOf gives the form of the member called name that has shape s, in an element of
// namespace space.
func formOf(name string, s view, space string) xmlForm {
	x := s.XML()
	f := xmlForm{attribute: x.Attribute, text: x.Text, wrapped: x.Wrapped, prefix: x.Prefix}
	f.name = xmlName(x, name, space)
	if x.Attribute && x.Namespace == "" {
		f.name.Space = ""
	}
	if !s.may(schema.Array) || x.Attribute {
		f.wrapped = false
		return f
	}
	item := s.Item(0).XML()
	f.item, f.itemMark = xmlName(item, f.name.Local, f.name.Space), item.Prefix
	if !f.wrapped {
		f.name, f.prefix = f.item, f.itemMark
	}
	return f
}

// xmlName is the name of an element: its own, else fallback; its own namespace, else the one
// around it.
func xmlName(x schema.XML, fallback, space string) xml.Name {
	n := xml.Name{Local: fallback, Space: space}
	if x.Name != "" {
		n.Local = x.Name
	}
	if x.Namespace != "" {
		n.Space = x.Namespace
	}
	return n
}
