package contract

import (
	"net/textproto"
	"slices"
	"strings"
)

// formStyle says how arrays and objects are written in a form body or a query.
type formStyle string

const (
	asBrackets formStyle = "brackets" // a[b]=, a[0]=, a[]=
	asRepeat   formStyle = "repeat"   // a=1&a=2; no objects
	asCommas   formStyle = "commas"   // a=1,2; no objects
)

// gateHeaders are set by the gate alone; a contract cannot hand them to a caller.
var gateHeaders = []string{
	"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "Host", "Content-Length", "Content-Type", "Content-Encoding",
	"Transfer-Encoding", "Te", "Trailer", "Connection", "Keep-Alive", "Upgrade", "Expect", "Proxy-Connection", "Accept-Encoding",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Http-Method-Override",
}

// parameters reads an array of parameters; those already in params win (an
// operation's own over its path's).
func (l *loader) parameters(o *object, at string, params []Parameter) []Parameter {
	own := len(params)
	for i, v := range l.list(o, at, "parameters") {
		at := point(point(at, "parameters"), itoa(i))
		node, ok := v.(*object)
		if !ok {
			l.fault(at, "found %s; write a parameter object", kind(v))
			continue
		}
		if node, at = l.deref(node, at); node == nil {
			continue
		}
		p, ok := l.parameter(node, at)
		if !ok {
			continue
		}
		if slices.ContainsFunc(params[:own], func(q Parameter) bool { return q.In == p.In && q.Wire == p.Wire }) {
			continue
		}
		params = append(params, p)
	}
	return params
}

func (l *loader) parameter(o *object, at string) (Parameter, bool) {
	l.keys(o, at, "name", "in", "required", "description", "schema", "style", "explode", "deprecated", "example", "examples",
		"allowReserved", "allowEmptyValue", "x-sallyport")
	p := Parameter{Wire: l.text(o, at, "name"), In: Location(l.text(o, at, "in")), Required: l.flag(o, at, "required")}
	switch p.In {
	case InPath, InQuery:
	case InHeader:
		p.Wire = textproto.CanonicalMIMEHeaderKey(p.Wire)
		if slices.Contains(gateHeaders, p.Wire) {
			l.fault(at, "the header %s is the gate's own", p.Wire)
			return p, false
		}
	default:
		l.fault(at, "in %q; write path, query or header", p.In)
		return p, false
	}
	s, ok := o.values["schema"]
	if !ok {
		l.fault(at, "a parameter without schema")
		return p, false
	}
	note := l.annotation(o, at)
	p.Schema = l.schema(s, point(at, "schema"), true)
	if note != (annotation{}) { // the parameter's marks belong to this use of the schema only
		target := p.Schema
		p.Schema = &Schema{}
		l.later = append(l.later, wrapper{into: p.Schema, target: target, node: &object{}, at: at, note: note})
	}
	p.Name, p.Account, p.Unofficial = firstOf(note.Name, p.Wire), note.Account, note.Official
	p.Description = l.text(o, at, "description")
	l.style(&p, o, at)
	return p, true
}

func (l *loader) style(p *Parameter, o *object, at string) {
	explode, given := o.values["explode"].(bool)
	explode = explode || !given
	switch s := l.text(o, at, "style"); {
	case s == "deepObject" && p.In == InQuery:
		p.style = asBrackets
	case (s == "" || s == "form") && p.In == InQuery && explode:
		p.style = asRepeat
	case (s == "" || s == "form") && p.In == InQuery, (s == "" || s == "simple") && p.In != InQuery:
		p.style = asCommas
	default:
		l.fault(at, "style %q is not possible in %s; write form or deepObject in query, nothing elsewhere", s, p.In)
	}
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// addParam adds p to o's namespace.
func (l *loader) addParam(o *Operation, p Parameter, at string) {
	if !pathName(p.Name) {
		l.fault(at, "the parameter %q cannot be written in a path; give it a name in x-sallyport.name", p.Name)
	}
	if i, twice := o.byName[p.Name]; twice {
		l.fault(at, "%q is in %s and in %s; give one of them another name in x-sallyport.name", p.Name, o.Params[i].In, p.In)
		return
	}
	o.byName[p.Name] = len(o.Params)
	o.Params = append(o.Params, p)
}

// pathParams compares the template's parameters with the described ones.
func (l *loader) pathParams(o *Operation, at string) {
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
				l.fault(at, "the path parameter %q is not in the path", p.Wire)
			}
			delete(inTemplate, p.Wire)
		}
	}
	for name := range inTemplate {
		l.fault(at, "{%s} has no parameter", name)
	}
}

// body compiles the request body: exactly one media type.
func (l *loader) body(o *Operation, node *object, at string) {
	if node, at = l.deref(node, at); node == nil {
		return
	}
	l.keys(node, at, "description", "required", "content", "x-sallyport")
	o.BodyRequired = l.flag(node, at, "required")
	content := l.object(node, at, "content")
	if content == nil || len(content.keys) != 1 {
		l.fault(at, "write exactly one media type: %s or %s", JSONType, FormType)
		return
	}
	o.RequestType = content.keys[0]
	at = point(point(at, "content"), o.RequestType)
	media := l.object(content, at, o.RequestType)
	if media == nil || media.values["schema"] == nil || o.RequestType != JSONType && o.RequestType != FormType {
		l.fault(at, "write %s or %s with a schema", JSONType, FormType)
		return
	}
	l.keys(media, at, "schema", "example", "examples", "encoding", "x-sallyport-form")
	o.form = formStyle(l.text(media, at, "x-sallyport-form"))
	switch {
	case o.form == "":
		o.form = asBrackets
	case o.RequestType == JSONType || o.form != asBrackets && o.form != asRepeat:
		l.fault(at, "x-sallyport-form %q; write brackets or repeat, on a form", o.form)
	}
	o.body = l.schema(media.values["schema"], point(at, "schema"), true)
	l.bodyParams(o, media.values["schema"], at)
}

// bodyParams adds the properties of an object body to the namespace.
func (l *loader) bodyParams(o *Operation, node any, at string) {
	names, required := l.properties(node, at, 0)
	if names == nil {
		o.whole = true
		if o.RequestType == FormType {
			l.fault(at, "a form is an object with properties")
		}
		l.addParam(o, Parameter{Name: "body", In: InBody, Required: o.BodyRequired, Schema: o.body}, at)
		return
	}
	o.wires = map[string]string{}
	for _, p := range names {
		note := l.annotation(p.node, at)
		name := firstOf(note.Name, p.name)
		l.addParam(o, Parameter{Name: name, Wire: p.name, In: InBody, Required: required[p.name], Account: note.Account,
			Schema: l.schema(p.node, point(point(at, "schema/properties"), p.name), true), Unofficial: note.Official}, at)
		o.wires[p.name] = name
	}
}

type property struct {
	name string
	node *object
}

// properties lists the top-level properties of a body over $ref, allOf, anyOf and
// oneOf; nil: it is not an object with properties.
func (l *loader) properties(v any, at string, depth int) (list []property, required map[string]bool) {
	required = map[string]bool{}
	o, ok := v.(*object)
	if !ok || depth > 16 {
		return nil, required
	}
	if ref, isRef := o.values["$ref"].(string); isRef {
		if t := l.target(ref, at); t != nil {
			list, required = l.properties(t, at, depth+1)
		}
	}
	if p, ok := o.values["properties"].(*object); ok {
		for _, name := range p.keys {
			if node, ok := p.values[name].(*object); ok {
				list = append(list, property{name, node})
			}
		}
	}
	for _, name := range l.texts(o, at, "required") {
		required[name] = true
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		parts, _ := o.values[key].([]any)
		for _, part := range parts {
			more, needed := l.properties(part, at, depth+1)
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

// marks copies the marks of the finished schemas to the parameters.
func (o *Operation) marks() {
	for i := range o.Params {
		p := &o.Params[i]
		p.ID, p.PublicID, p.URL = p.Schema.ID, p.Schema.PublicID, p.Schema.URL
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
