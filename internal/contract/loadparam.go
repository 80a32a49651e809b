package contract

import (
	"net/textproto"
	"slices"
	"strings"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
	"sallyport/internal/wire"
)

// gateHeaders are set by the gate alone; a contract cannot hand them to a caller.
var gateHeaders = []string{
	"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "Host", "Content-Length", "Content-Type", "Content-Encoding",
	"Transfer-Encoding", "Te", "Trailer", "Connection", "Keep-Alive", "Upgrade", "Expect", "Proxy-Connection", "Accept-Encoding",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Http-Method-Override",
}

// parameters reads an array of parameters; those already in params win (an
// operation's own over its path's).
func (l *loader) parameters(o int, params []Parameter) []Parameter {
	own := len(params)
	for node := range l.kids(l.list(o, "parameters")) {
		if !l.is(node, tape.Object) {
			l.fault(node, "", "found %s; write a parameter object", l.shown(node))
			continue
		}
		if node = l.deref(node); node < 0 {
			continue
		}
		p, ok := l.parameter(node)
		if !ok || slices.ContainsFunc(params[:own], func(q Parameter) bool { return q.In == p.In && q.Wire == p.Wire }) {
			continue
		}
		params = append(params, p)
	}
	return params
}

func (l *loader) parameter(o int) (Parameter, bool) {
	l.keys(o, "name", "in", "required", "description", "schema", "content", "style", "explode", "deprecated", "example", "examples",
		"allowReserved", "allowEmptyValue", "x-sallyport")
	p := Parameter{Wire: l.text(o, "name"), In: Location(l.text(o, "in")), Required: l.flag(o, "required")}
	switch p.In {
	case InPath, InQuery, InCookie:
	case InHeader:
		p.Wire = textproto.CanonicalMIMEHeaderKey(p.Wire)
		if slices.Contains(gateHeaders, p.Wire) {
			l.fault(o, "", "the header %s is the gate's own", p.Wire)
			return p, false
		}
	default:
		l.fault(o, "", "in %q; write path, query, header or cookie", p.In)
		return p, false
	}
	s := l.paramSchema(&p, o)
	if s < 0 {
		return p, false
	}
	p.node = s
	note := l.annotation(o)
	p.mark = markOf(note.Data)
	p.Schema = l.schema(s, true)
	if note != (annotation{}) { // the parameter's marks belong to this use of the schema only
		target := p.Schema
		p.Schema = &Schema{}
		l.later = append(l.later, wrapper{into: p.Schema, target: target, node: absent, note: note})
	}
	p.Name, p.Account, p.Unofficial = firstOf(note.Name, p.Wire), note.Account, note.Official
	p.Description = l.text(o, "description")
	return p, true
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// paramSchema finds the schema of a parameter and how it is written: schema with style and
// explode, or content with one media type.
func (l *loader) paramSchema(p *Parameter, o int) int {
	content := l.object(o, "content")
	if content >= 0 {
		return l.paramContent(p, o, content)
	}
	s := l.member(o, "schema")
	if s < 0 {
		l.fault(o, "", "a parameter without schema")
		return absent
	}
	var explode *bool
	if i := l.member(o, "explode"); i >= 0 {
		b := l.flag(o, "explode")
		explode = &b
	}
	var err error
	if p.style, err = wire.StyleOf(wireIn(p.In), l.text(o, "style"), explode); err != nil {
		l.fault(o, "", "%v", err)
		return absent
	}
	return s
}

func wireIn(in Location) wire.In {
	return map[Location]wire.In{InPath: wire.InPath, InQuery: wire.InQuery, InHeader: wire.InHeader, InCookie: wire.InCookie}[in]
}

func (l *loader) paramContent(p *Parameter, o, content int) int {
	media := absent
	for m := range l.kids(content) {
		if jsonMedia(l.key(m)) && media < 0 && l.is(m, tape.Object) {
			media = m
		}
	}
	s := l.member(media, "schema")
	if s < 0 || l.member(o, "schema") >= 0 || l.doc.Nodes[content].Count != 1 {
		l.fault(o, "", "a parameter has either a schema, or content with %s alone and its schema", JSONType)
		return absent
	}
	p.style = wire.JSON
	return s
}

// addParam adds p to o's namespace.
func (l *loader) addParam(o *Operation, p Parameter, node int) {
	if !pathName(p.Name) {
		l.fault(node, "", "the parameter %q cannot be written in a path; give it a name in x-sallyport.name", p.Name)
	}
	if i, twice := o.byName[p.Name]; twice {
		l.fault(node, "", "%q is in %s and in %s; give one of them another name in x-sallyport.name", p.Name, o.Params[i].In, p.In)
		return
	}
	o.byName[p.Name] = len(o.Params)
	o.Params = append(o.Params, p)
}

// pathParams compares the template's parameters with the described ones.
func (l *loader) pathParams(o *Operation, node int) {
	inTemplate := map[string]bool{}
	for _, s := range o.segments {
		if s.param != "" {
			inTemplate[s.param] = true
		}
	}
	for i := range o.Params {
		if p := &o.Params[i]; p.In == InPath {
			p.Required = true
			if !inTemplate[p.Wire] {
				l.fault(node, "", "the path parameter %q is not in the path", p.Wire)
			}
			delete(inTemplate, p.Wire)
		}
	}
	for _, name := range sortedKeys(inTemplate) {
		l.fault(node, "", "{%s} has no parameter", name)
	}
}

// bodyParams adds the properties of an object body to the namespace.
func (l *loader) bodyParams(o *Operation, node int) {
	names, required := l.properties(node, 0)
	if names == nil {
		o.whole = true
		if o.RequestType == FormType {
			l.fault(node, "", "a form is an object with properties")
		}
		l.addParam(o, Parameter{Name: "body", In: InBody, Required: o.BodyRequired, Schema: o.body}, node)
		return
	}
	o.wires = map[string]string{}
	for _, p := range names {
		note := l.annotation(p.node)
		name := firstOf(note.Name, p.name)
		l.addParam(o, Parameter{Name: name, Wire: p.name, In: InBody, Required: required[p.name], Account: note.Account,
			Schema: l.schema(p.node, true), Unofficial: note.Official}, node)
		o.wires[p.name] = name
	}
}

type property struct {
	name string
	node int
}

// properties lists the top-level properties of a body over $ref, allOf, anyOf and
// oneOf; nil: it is not an object with properties.
func (l *loader) properties(o, depth int) (list []property, required map[string]bool) {
	required = map[string]bool{}
	if !l.is(o, tape.Object) || depth > 16 {
		return nil, required
	}
	if ref := l.member(o, "$ref"); l.is(ref, tape.String) {
		list, required = l.properties(l.target(string(l.doc.Text(ref)), o), depth+1)
	}
	if p := l.member(o, "properties"); l.is(p, tape.Object) {
		for kid := range l.kids(p) {
			list = append(list, property{l.key(kid), kid})
		}
	}
	for _, name := range l.texts(o, "required") {
		required[name] = true
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		for part := range l.kids(l.member(o, key)) {
			more, needed := l.properties(part, depth+1)
			list = append(list, more...)
			for name := range needed {
				required[name] = required[name] || key == "allOf"
			}
		}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(p property) bool {
		twice := seen[p.name]
		seen[p.name] = true
		return twice
	}), required
}

// complete takes over what only finished schemas say: marks of parameters, whether the
// body is open, and which answers are no objects.
func (o *Operation) complete() {
	o.open = o.openBody()
	for i := range o.replies {
		if r := &o.replies[i]; r.node >= 0 {
			if s := o.doc.prog.Shape(r.id); s.Types()&schema.Object == 0 && len(s.Names()) == 0 {
				r.root = "body"
			}
		}
	}
	for i := range o.Params {
		p := &o.Params[i]
		p.ID, p.Kind, p.PublicID, p.URL = p.Schema.ID, p.Schema.Kind, p.Schema.PublicID, p.Schema.URL
		p.SelectsAccount = p.Schema.SelectsAccount
		if p.Unofficial == "" {
			p.Unofficial = p.Schema.Unofficial
		}
	}
}

// inWords lists names for an error.
func inWords(names []string) string {
	if len(names) > 12 {
		return strings.Join(names[:12], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
