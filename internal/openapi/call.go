package openapi

import (
	"slices"
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
