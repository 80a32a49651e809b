package openapi

import (
	"net/textproto"
	"slices"
	"strings"
)

// gateHeaders are set by the gate alone. OpenAPI itself says that the first three are no parameters.
var gateHeaders = []string{"Accept", "Content-Type", "Authorization",
	"Proxy-Authorization", "Cookie", "Set-Cookie", "Host", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Te", "Trailer", "Connection",
	"Keep-Alive", "Upgrade", "Expect", "Proxy-Connection", "Accept-Encoding", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded",
	"X-Http-Method-Override", "User-Agent"}

// parameter is one parameter that will be written.
type parameter struct {
	n        node
	name, in string
	wire     string // its place in our namespace differs from name
}

// maxParameters is how many parameters one list may have.
const maxParameters = 1000

// parameters writes those of the operation and of its path, the operation's first.
func (x *export) parameters(u *unit, o Operation, body *requestBody) {
	var list []parameter
	for _, from := range []node{o.node.get("parameters"), o.item.get("parameters")} {
		if from.count() > maxParameters {
			u.refuse(from, "%d parameters; up to %d are taken", from.count(), maxParameters)
			continue
		}
		if from.ok() && !from.isArray() {
			u.refuse(from, "found %s where parameters is a list", from.noun())
		}
		for n := range from.items() {
			if p, ok := x.parameter(u, n); ok && !slices.ContainsFunc(list, func(q parameter) bool { return q.in == p.in && q.name == p.name }) {
				list = append(list, p)
			}
		}
	}
	list = x.pathParameters(u, o, list)
	if len(list) == 0 {
		return
	}
	nameAll(list, body)
	u.w.key("parameters")
	u.w.open('[')
	for _, p := range list {
		x.writeParameter(u, p)
	}
	u.w.close(']')
}

// parameter reads one parameter; ok is false where it is left out.
func (x *export) parameter(u *unit, n node) (p parameter, ok bool) {
	at := n
	n, err := x.d.deref(n)
	if err != nil {
		u.refuse(at, "%v", err)
		return p, false
	}
	p = parameter{n: n, name: n.get("name").text(), in: n.get("in").text()}
	required := n.get("required").isTrue()
	leaveOut := func(format string, args ...any) {
		if required {
			u.refuse(n, format+", and it is required", args...)
		} else {
			u.note(n, "the parameter is left out", format, args...)
		}
	}
	switch {
	case p.name == "":
		u.note(n, "it is left out", "a parameter without name")
	case x.hooks.Skip != nil && x.hooks.Skip(p.in, p.name):
	case p.in == "header" && slices.Contains(gateHeaders, textproto.CanonicalMIMEHeaderKey(p.name)):
		if !slices.Contains(gateHeaders[:3], textproto.CanonicalMIMEHeaderKey(p.name)) {
			u.note(n, "the parameter is left out", "the header %s is the gate's own", short(p.name))
		}
	case p.in != "path" && p.in != "query" && p.in != "header" && p.in != "cookie":
		leaveOut("the parameter %q travels in %s, which the gate does not send", short(p.name), n.get("in").shown())
	case n.get("content").ok() && (n.get("content").count() != 1 || family(plainMedia(keys(n.get("content"))[0])) != jsonType):
		leaveOut("the parameter %q is written as %s", short(p.name), orElse(inWords(keys(n.get("content"))), "nothing"))
	default:
		return p, true
	}
	return p, false
}

// pathParameters holds the list against the path.
func (x *export) pathParameters(u *unit, o Operation, list []parameter) []parameter {
	inPath := map[string]bool{}
	for _, segment := range strings.Split(o.Path, "/") {
		if _, rest, ok := strings.Cut(segment, "{"); ok {
			name, _, _ := strings.Cut(rest, "}")
			inPath[name] = false
		}
	}
	list = slices.DeleteFunc(list, func(p parameter) bool {
		if p.in != "path" {
			return false
		}
		if _, ok := inPath[p.name]; !ok {
			u.note(p.n, "the parameter is left out", "the path parameter %q is not in the path %s", short(p.name), o.Path)
			return true
		}
		inPath[p.name] = true
		return false
	})
	for _, segment := range strings.Split(o.Path, "/") {
		if _, rest, ok := strings.Cut(segment, "{"); ok {
			name, _, _ := strings.Cut(rest, "}")
			if !inPath[name] {
				u.note(o.node, "it is any text", "{%s} in the path has no parameter", short(name))
				list = append(list, parameter{name: name, in: "path"})
				inPath[name] = true
			}
		}
	}
	return list
}

// nameAll gives each parameter its place in the one namespace of an operation: those of the body
// keep their names, the others make way.
func nameAll(list []parameter, body *requestBody) {
	taken := map[string]bool{}
	if body != nil {
		if body.names == nil {
			taken["body"] = true
		}
		for _, name := range body.names {
			taken[pathName(name)] = true
		}
	}
	for i := range list {
		p := &list[i]
		name := pathName(p.name)
		if taken[name] {
			name = free(name+"_"+p.in, func(s string) bool { return taken[s] })
		}
		taken[name] = true
		if name != p.name {
			p.wire = name
		}
	}
}

func (x *export) writeParameter(u *unit, p parameter) {
	schema, media := p.n.get("schema"), ""
	for name, at := range p.n.get("content").members() {
		schema, media = at.get("schema"), plainMedia(name)
	}
	mark := Mark{}
	if p.n.ok() {
		target := schema
		if !target.ok() {
			target = p.n
		}
		mark = x.mark(u, Field{Name: p.name, In: p.in, Request: true}, target)
	}
	u.w.open('{')
	u.w.member("name", p.name)
	u.w.member("in", p.in)
	u.w.flag("required", p.in == "path" || p.n.get("required").isTrue())
	u.w.member("description", words(p.n.get("description").text(), 160))
	u.w.flag("deprecated", p.n.get("deprecated").isTrue())
	if !p.n.get("content").ok() {
		x.style(u, p)
	}
	u.w.notes(p.n.get("x-sallyport"), mark, p.wire)
	if media != "" {
		u.w.key("content")
		u.w.open('{')
		u.w.key(media)
		u.w.open('{')
	}
	u.w.key("schema")
	switch {
	case schema.ok():
		x.schema(u, schema, place{use: inRequest, parent: u.name})
	case media != "":
		u.w.raw([]byte("{}"))
	case p.n.ok():
		u.note(p.n, "it is any text", "the parameter %q has no schema", short(p.name))
		fallthrough
	default:
		u.w.raw([]byte(`{"type":"string"}`))
	}
	if media != "" {
		u.w.close('}')
		u.w.close('}')
	}
	u.w.close('}')
}

// styles are those of each place, the one that holds where nothing is said first.
func styles(in string) []string {
	switch in {
	case "query":
		return []string{"form", "deepObject", "spaceDelimited", "pipeDelimited"}
	case "path":
		return []string{"simple", "label", "matrix"}
	case "cookie":
		return []string{"form"}
	}
	return []string{"simple"}
}

// style writes how a list or an object stands in its place.
func (x *export) style(u *unit, p parameter) {
	style, known := p.n.get("style"), styles(p.in)
	switch {
	case style.ok() && !slices.Contains(known, style.text()):
		u.note(p.n, "it is written as "+known[0], "the style %s in %s", style.shown(), p.in)
	case style.text() != known[0]:
		u.w.member("style", style.text())
	}
	explode := p.n.get("explode")
	if explode.ok() && explode.isTrue() != (known[0] == "form" && (!style.ok() || style.text() == "form") || style.text() == "deepObject") {
		u.w.key("explode")
		u.w.raw(explode.json())
	}
}
