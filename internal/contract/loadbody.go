package contract

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/tape"
	"sallyport/internal/wire"
)

// bodyTypes are the media types of request bodies, best first: of several that an
// operation takes, the provider gets the first of these.
var bodyTypes = []string{JSONType, FormType, MultipartType, XMLType}

// body reads the request body.
func (l *loader) body(o *Operation, node int) {
	if node = l.deref(node); node < 0 {
		return
	}
	l.keys(node, "description", "required", "content", "x-sallyport")
	o.BodyRequired = l.flag(node, "required")
	media := l.chooseMedia(o, node)
	if media < 0 {
		return
	}
	l.keys(media, "schema", "example", "examples", "encoding", "x-sallyport-form")
	s := l.member(media, "schema")
	if s < 0 {
		l.fault(media, "", "write the schema of the body")
		return
	}
	switch style := l.text(media, "x-sallyport-form"); {
	case style == "" || style == "brackets" && o.RequestType == FormType:
		o.form = wire.Brackets
	case style == "repeat" && o.RequestType == FormType:
		o.form = wire.Repeat
	default:
		l.fault(media, "", "x-sallyport-form %q; write brackets or repeat, on a form", style)
	}
	o.bodyNode = s
	o.xmlRoot = l.xmlRoot(s)
	o.body = l.schema(s, true)
	l.bodyParams(o, s)
	l.encoding(o, media)
}

// chooseMedia finds the entry of content that the provider gets.
func (l *loader) chooseMedia(o *Operation, node int) int {
	content := l.object(node, "content")
	best, rank := absent, len(bodyTypes)
	var others []string
	for m := range l.kids(content) {
		name := l.key(m)
		r := slices.Index(bodyTypes, mediaFamily(name))
		switch {
		case r < 0:
			others = append(others, name)
		case !l.is(m, tape.Object):
			l.fault(m, "", "found %s; write an object", l.shown(m))
		case r < rank:
			best, rank = m, r
		}
	}
	if best < 0 {
		found := "no media type"
		if len(others) > 0 {
			found = fmt.Sprintf("%q", others)
		}
		l.fault(node, "", "found %s; write one of %s", found, strings.Join(bodyTypes, ", "))
		return absent
	}
	o.RequestType, o.sentAs = bodyTypes[rank], l.key(best)
	return best
}

// mediaFamily maps a media type to the one of bodyTypes that it is written as.
func mediaFamily(media string) string {
	media, _, _ = strings.Cut(media, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	switch {
	case jsonMedia(media):
		return JSONType
	case media == "text/xml" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+xml"):
		return XMLType
	}
	return media
}

// encoding reads how the fields of a multipart body are written.
func (l *loader) encoding(o *Operation, media int) {
	if o.RequestType != MultipartType {
		return
	}
	entries := l.object(media, "encoding")
	for i := range o.Params {
		q := &o.Params[i]
		if q.In != InBody || o.whole {
			continue
		}
		wireName := q.Wire
		f := wire.Field{Name: wireName, Style: wire.Repeat, File: q.Schema.isFile() || q.Schema.Items != nil && q.Schema.Items.isFile()}
		at := l.object(entries, wireName)
		if at < 0 && !f.File {
			continue
		}
		l.keys(at, "contentType", "headers", "style", "explode", "allowReserved")
		for t := range strings.SplitSeq(l.text(at, "contentType"), ",") {
			if t = strings.TrimSpace(t); t != "" {
				f.Types = append(f.Types, t)
			}
		}
		switch style := l.text(at, "style"); {
		case style == "deepObject":
			f.Style = wire.Brackets
		case len(f.Types) == 1 && jsonMedia(f.Types[0]) && !f.File:
			f.Style = wire.JSON
		case style != "" && style != "form":
			l.fault(at, "style", "found %q; write form or deepObject", style)
		}
		o.fields = append(o.fields, f)
	}
}

// isFile reports whether a field of a multipart body is bytes: a
// string of format binary or of an encoding (OpenAPI 3.0), or a schema with a content
// media type and no type (3.1).
func (s *Schema) isFile() bool {
	return s.Format == "binary" || s.Format == "base64" || s.rules.content
}

// xmlRoot names the root element of a value whose schema has no xml.name of its own: that
// of the component it refers to.
func (l *loader) xmlRoot(schema int) string {
	if ref := l.member(schema, "$ref"); l.is(ref, tape.String) {
		text := string(l.doc.Text(ref))
		return text[strings.LastIndexByte(text, '/')+1:]
	}
	return "body"
}

// withoutInserted takes the properties that the gate inserts off the lists of those that are
// required: no caller is asked for them.
func withoutInserted(doc *tape.Tape) *tape.Tape {
	var drop []int
	for i := range doc.Nodes {
		if doc.Nodes[i].Kind != tape.Object {
			continue
		}
		note, ok := doc.Find(i, "x-sallyport")
		if !ok || doc.Nodes[note].Kind != tape.Object {
			continue
		}
		if _, ok := doc.Find(note, "account"); ok {
			drop = append(drop, requiredAs(doc, i)...)
		}
	}
	slices.Sort(drop)
	return without(doc, drop, documentLimits)
}

// requiredAs gives the entries of "required" that name the property whose schema stands at i.
func requiredAs(doc *tape.Tape, i int) []int {
	var out []int
	way := doc.Parents(nil, i)
	if len(way) < 3 || string(doc.Key(way[len(way)-2])) != "properties" {
		return nil
	}
	list, ok := doc.Find(way[len(way)-3], "required")
	if !ok {
		return nil
	}
	for kid := range kids(doc, list) {
		if doc.Nodes[kid].Kind == tape.String && string(doc.Text(kid)) == string(doc.Key(i)) {
			out = append(out, kid)
		}
	}
	return out
}
