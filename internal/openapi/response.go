package openapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

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
