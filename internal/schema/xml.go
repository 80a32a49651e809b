package schema

import (
	"slices"

	"sallyport/internal/tape"
)

// XML is OpenAPI's xml object: how a value is written in XML. Empty fields are not said.
type XML struct {
	Name, Prefix, Namespace string
	Attribute, Wrapped      bool
	Text                    bool // OpenAPI 3.2's nodeType text: the member is its element's text
}

// xmlRule is the xml object of one schema.
type xmlRule struct {
	id                      ID
	name, prefix, namespace span
	attribute, wrapped      bool
	text                    bool
}

// xml reads the xml object of an OpenAPI schema.
func (c *Compiler) xml(r *reader, id ID) {
	if c.cfg.Dialect == Draft202012 {
		return
	}
	at, ok := r.object("xml")
	if !ok {
		return
	}
	rule := xmlRule{id: id}
	r.each(at, func(i int) {
		switch key := string(r.t.Key(i)); key {
		case "name", "prefix", "namespace", "nodeType":
			if r.kind(i) != tape.String {
				r.wrong(i, "a string")
				return
			}
			text := string(r.t.Text(i))
			switch key {
			case "name":
				rule.name = c.span(text)
			case "prefix":
				rule.prefix = c.span(text)
			case "namespace":
				rule.namespace = c.span(text)
			default:
				rule.attribute, rule.text = rule.attribute || text == "attribute", text == "text" || text == "cdata"
			}
		case "attribute", "wrapped":
			if r.kind(i) != tape.True && r.kind(i) != tape.False {
				r.wrong(i, "true or false")
				return
			}
			if key == "attribute" {
				rule.attribute = r.kind(i) == tape.True
			} else {
				rule.wrapped = r.kind(i) == tape.True
			}
		}
	})
	c.p.xmls = append(c.p.xmls, rule)
}

// inheritXML gives a schema that only refers the xml object of its target, unless it has its own.
func (p *Program) inheritXML(id, target ID) {
	from := -1
	for i := range p.xmls {
		switch p.xmls[i].id {
		case id:
			return
		case target:
			from = i
		}
	}
	if from >= 0 {
		rule := p.xmls[from]
		rule.id = id
		p.xmls = append(p.xmls, rule)
	}
}

func (p *Program) sortXML() {
	slices.SortFunc(p.xmls, func(a, b xmlRule) int { return int(a.id) - int(b.id) })
}

// xmlOf is the xml object of the first schema that has one; those of a schema's parts count
// where it has none itself.
func (p *Program) xmlOf(ids []ID) XML {
	if len(p.xmls) == 0 {
		return XML{}
	}
	for _, id := range ids {
		if x, ok := p.xmlIn(id, 0); ok {
			return XML{string(p.str(x.name)), string(p.str(x.prefix)), string(p.str(x.namespace)), x.attribute, x.wrapped, x.text}
		}
	}
	return XML{}
}

func (p *Program) xmlIn(id ID, depth int) (*xmlRule, bool) {
	i, ok := slices.BinarySearchFunc(p.xmls, id, func(x xmlRule, id ID) int { return int(x.id) - int(id) })
	if ok {
		return &p.xmls[i], true
	}
	if depth > 64 {
		return nil, false
	}
	n := &p.nodes[id]
	for _, k := range p.combs[n.comb : n.comb+n.combs] {
		switch k.op {
		case opAll, opDynamic:
			if x, ok := p.xmlIn(ID(k.a), depth+1); ok {
				return x, true
			}
		case opAny, opOne:
			a := &p.alts[k.a]
			for _, b := range p.branches[a.branches : a.branches+a.n] {
				if x, ok := p.xmlIn(b.id, depth+1); ok {
					return x, true
				}
			}
		}
	}
	return nil, false
}
