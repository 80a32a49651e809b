package openapi

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// The media types that a contract speaks, apart from their relatives.
const (
	jsonType      = "application/json"
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data"
	xmlType       = "application/xml"
)

// family gives the one of them that a media type is written as, or "".
func family(media string) string {
	switch {
	case media == jsonType || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"):
		return jsonType
	case isXML(media):
		return xmlType
	case media == formType || media == multipartType:
		return media
	}
	return ""
}

func isXML(media string) bool {
	return media == xmlType || media == "text/xml" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+xml")
}

// operation writes one operation.
func (x *export) operation(o Operation) *unit {
	u := &unit{name: o.ID, source: o.node}
	for _, segment := range strings.Split(o.Path, "/") {
		if strings.Count(segment, "{") > 1 || strings.Count(segment, "{") != strings.Count(segment, "}") {
			u.refuse(o.node, "the path %s has more than one parameter between two slashes, or an open brace", o.Path)
		}
	}
	if strings.ContainsAny(o.Path, "?#%") || strings.Contains(o.Path, "//") {
		u.refuse(o.node, "the path %s has a query, a fragment, an escape or an empty part", o.Path)
	}
	body := x.requestBody(u, o)
	u.w.open('{')
	u.w.member("operationId", o.ID)
	u.w.member("summary", o.Summary)
	u.w.flag("deprecated", o.Deprecated)
	u.noteAt = len(u.w.out)
	x.parameters(u, o, body)
	x.writeBody(u, body)
	x.responses(u, o)
	u.w.close('}')
	return u
}

// requestBody is what is known about a body before it is written.
type requestBody struct {
	media    string
	schema   node
	content  node
	required bool
	names    []string // top-level names; nil where the body is no object
	brackets bool
}

// requestBody picks the one media type that the gate will speak.
func (x *export) requestBody(u *unit, o Operation) *requestBody {
	n := o.node.get("requestBody")
	if !n.ok() {
		return nil
	}
	n, err := x.d.deref(n)
	if err != nil {
		u.refuse(o.node.get("requestBody"), "%v", err)
		return nil
	}
	content := n.get("content")
	media, at := pick(content)
	switch {
	case content.count() == 0:
		u.note(n, "the operation takes no body", "a request body without content")
		return nil
	case media == "":
		if o.Method == "GET" || !n.get("required").isTrue() && o.Method == "DELETE" {
			u.note(n, "the operation takes no body", "a body of a %s in %s", o.Method, inWords(keys(content)))
			return nil
		}
		u.refuse(content, "the body is %s; the gate sends JSON, forms, multipart and XML", inWords(keys(content)))
		return nil
	}
	b := &requestBody{media: media, schema: at.get("schema"), content: at, required: n.get("required").isTrue()}
	if !b.schema.ok() {
		u.note(at, "any JSON value is taken", "a body without schema")
		return b
	}
	if names, ok := x.bodyNames(b.schema, 0); ok {
		b.names = names
	} else if media == formType || media == multipartType || o.Method == "GET" {
		u.soft = append(u.soft, quiet(u, b.schema)...)
		return nil
	}
	if o.Method == "GET" {
		u.note(n, "the operation takes no body", "a body of a GET, which servers need not read")
		return nil
	}
	b.brackets = media == formType && x.bracketed(at)
	return b
}

// quiet says that a form without fields is no body, where the schema has more to it than that.
func quiet(u *unit, n node) []Finding {
	if n.get("properties").count() == 0 && !composed(n) && !n.get("additionalProperties").isObject() {
		return nil
	}
	return []Finding{finding(n, "a form without named fields", "the operation takes no body")}
}

// pick gives the media type and its object that a contract can hold: JSON, a form, multipart, XML, in
// this order. A body that may be anything is JSON.
func pick(content node) (string, node) {
	found := map[string]node{}
	names := map[string]string{}
	for name, at := range content.members() {
		plain := plainMedia(name)
		f := family(plain)
		if plain == "*/*" || plain == "application/*" {
			f, plain = "*/*", jsonType
		}
		if _, known := found[f]; f != "" && (!known || plain == jsonType || plain == xmlType) {
			found[f], names[f] = at, plain
		}
	}
	for _, f := range []string{jsonType, formType, multipartType, xmlType, "*/*"} {
		if at, ok := found[f]; ok {
			return names[f], at
		}
	}
	return "", node{}
}

func plainMedia(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(name), ";")
	return strings.TrimSpace(name)
}

func keys(n node) []string {
	var list []string
	for key := range n.members() {
		list = append(list, key)
	}
	return list
}

func inWords(list []string) string {
	if len(list) > 6 {
		list = append(slices.Clone(list[:6]), "…")
	}
	return strings.Join(list, ", ")
}

// bracketed reports whether a form writes a[b]= and a[0]=: the document says so, or there is
// no other way to write what is in it.
func (x *export) bracketed(media node) bool {
	encoding := media.get("encoding")
	for _, e := range encoding.members() {
		if e.get("style").text() == "deepObject" {
			return true
		}
	}
	return x.nested(media.get("schema"), 0)
}

func (x *export) writeBody(u *unit, b *requestBody) {
	if b == nil {
		return
	}
	u.w.key("requestBody")
	u.w.open('{')
	u.w.flag("required", b.required)
	u.w.key("content")
	u.w.open('{')
	u.w.key(b.media)
	u.w.open('{')
	if b.media == formType && !b.brackets {
		u.w.member("x-sallyport-form", "repeat")
	}
	if encoding := b.content.get("encoding"); b.media == multipartType && encoding.isObject() {
		x.encoding(u, encoding)
	}
	u.w.key("schema")
	if b.schema.ok() {
		x.schema(u, b.schema, place{use: inRequest, parent: u.name})
	} else {
		u.w.raw([]byte("{}"))
	}
	u.w.close('}')
	u.w.close('}')
	u.w.close('}')
}

// encoding writes how the fields of a multipart body are written.
func (x *export) encoding(u *unit, encoding node) {
	u.w.key("encoding")
	u.w.open('{')
	for name, e := range encoding.members() {
		u.w.key(name)
		u.w.open('{')
		for _, key := range []string{"contentType", "style", "explode"} {
			if v := e.get(key); v.ok() {
				u.w.key(key)
				u.w.raw(v.json())
			}
		}
		u.w.close('}')
	}
	u.w.close('}')
}

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

// responses writes the answers.
func (x *export) responses(u *unit, o Operation) {
	all := o.node.get("responses")
	type entry struct {
		status string
		n      node
	}
	var list []entry
	success := false
	for status, n := range all.members() {
		if strings.HasPrefix(status, "x-") {
			continue
		}
		name, ok := statusName(status)
		if !ok {
			u.note(n, "the entry is left out", "%q is not a status of an answer", short(status))
			continue
		}
		success = success || name[0] == '2'
		list = append(list, entry{name, n})
	}
	if !success {
		i := slices.IndexFunc(list, func(e entry) bool { return e.status == "default" })
		if i < 0 {
			u.refuse(o.node, "no answer with a status of 200 to 299 is described, but only %s", orElse(inWords(keys(all)), "none at all"))
			return
		}
		u.note(list[i].n, "it holds for every 2xx", "the only answer is default")
		list = slices.Insert(list, 0, entry{"2XX", list[i].n})
	}
	u.w.key("responses")
	u.w.open('{')
	for _, e := range list {
		u.w.key(e.status)
		x.response(u, e.status, e.n)
	}
	u.w.close('}')
}

func statusName(s string) (string, bool) {
	if s == "default" {
		return s, true
	}
	if len(s) == 3 && strings.EqualFold(s[1:], "XX") && s[0] >= '2' && s[0] <= '5' {
		return s[:1] + "XX", true
	}
	n, err := strconv.Atoi(s)
	return s, err == nil && n >= 200 && n <= 599 && http.StatusText(n) != ""
}

// response writes one answer. A success that is not JSON cannot be checked, so the operation is
// not usable; an error that is not JSON passes without its body.
func (x *export) response(u *unit, status string, n node) {
	at := n
	n, err := x.d.deref(n)
	success := status[0] == '2'
	if err != nil {
		if success {
			u.refuse(at, "%v", err)
		} else {
			u.note(at, "that answer passes without its body", "%v", err)
		}
	}
	u.w.open('{')
	u.w.key("description")
	u.w.str(orElse(words(n.get("description").text(), 80), "not described"))
	content := n.get("content")
	media, found := answerMedia(content)
	switch {
	case content.count() == 0 || status == "204" || status == "205":
	case found.ok():
		u.w.key("content")
		u.w.open('{')
		u.w.key(media)
		u.w.open('{')
		u.w.key("schema")
		if schema := found.get("schema"); schema.ok() {
			x.schema(u, schema, place{use: inAnswer, parent: u.name})
		} else {
			u.note(found, "any JSON value is taken, and all of it passes", "an answer without schema")
			u.w.raw([]byte("{}"))
		}
		u.w.close('}')
		u.w.close('}')
	case success:
		u.refuse(content, "the answer is %s; the gate checks JSON and XML", inWords(keys(content)))
	default:
		u.note(content, "that answer passes without its body", "the error is %s", inWords(keys(content)))
	}
	u.w.close('}')
}

// answerMedia picks the JSON among the media types of an answer, else the XML.
func answerMedia(content node) (string, node) {
	var other, xml, wild node
	otherName, xmlName := "", ""
	for name, at := range content.members() {
		plain := plainMedia(name)
		switch {
		case plain == jsonType:
			return jsonType, at
		case family(plain) == jsonType && !other.ok():
			other, otherName = at, plain
		case isXML(plain) && !xml.ok():
			xml, xmlName = at, plain
		case !wild.ok() && (plain == "*/*" || plain == "application/*" || plain == "text/json"):
			wild = at
		}
	}
	switch {
	case other.ok():
		return otherName, other
	case wild.ok():
		return jsonType, wild
	}
	return xmlName, xml
}
