package egress

import (
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/provider"
	"sallyport/internal/session"
)

// presentedAt is a place where a provider's key stands, and so the site key of a backend.
type presentedAt struct {
	kind  string // header, query, body
	name  string
	match *regexp.Regexp // of the value; its groups are the key, or the halves of a pair
}

// presentedPlaces reads the places from the catalog's auth templates.
func presentedPlaces(p *provider.Pack) []presentedAt {
	var out []presentedAt
	var add func(a provider.Auth)
	add = func(a provider.Auth) {
		switch a.Kind {
		case "header", "query", "body":
			if m := templatePattern(a.Value); m != nil {
				out = append(out, presentedAt{kind: a.Kind, name: a.Name, match: m})
			}
		}
		for _, also := range a.Also {
			add(also)
		}
	}
	names := make([]string, 0, len(p.Auth))
	for name := range p.Auth {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		add(p.Auth[name])
	}
	return out
}

// templatePattern turns "Bearer {secret_key}" into a pattern whose groups are the fields. A
// field ends where the text after it begins; fields without text between them cannot be told
// apart, and such a template is left out.
func templatePattern(template string) *regexp.Regexp {
	pieces := strings.Split(template, "{")
	if len(pieces) < 2 {
		return nil
	}
	out := "^(?i:" + regexp.QuoteMeta(pieces[0]) + ")"
	for i, piece := range pieces[1:] {
		_, after, ok := strings.Cut(piece, "}")
		last := i == len(pieces)-2
		if !ok || after == "" && !last {
			return nil
		}
		group := `(\S+)`
		if !last {
			group = `([^\s` + regexp.QuoteMeta(after[:1]) + `]+)`
		}
		out += group + regexp.QuoteMeta(after)
	}
	return regexp.MustCompile(out + "$")
}

// keysIn are the candidates in a value that stands at the place: the fields of its template,
// or else all of it, as a key of another shape is one text.
func (at presentedAt) keysIn(value string) []string {
	m := at.match.FindStringSubmatch(value)
	if m == nil && at.kind == "header" { // another scheme
		return nil
	}
	if m == nil {
		return []string{value}
	}
	return slices.DeleteFunc(m[1:], session.Statement)
}

// presentedKeys collects every candidate: Bearer, Basic (either half may be the key, as
// SDKs differ), and the places that the catalog names. The names of query parameters and
// fields that carried one are remembered, so that parse leaves them out.
func (x *exchange) presentedKeys() []string {
	var out []string
	if b := bearer(x.call.Header); b != "" && !session.Statement(b) {
		out = append(out, b)
	}
	if x.grant != nil {
		out = append(out, x.grant.keys()...)
	}
	if user, pass, ok := basic(x.call.Header); ok {
		out = append(out, pass, user)
	}
	for _, at := range x.conn.presented {
		switch at.kind {
		case "header":
			if v := x.call.Header.Get(at.name); v != "" {
				out = append(out, at.keysIn(v)...)
			}
		case "query":
			if v, ok := queryValue(x.call.RawQuery, at.name); ok {
				out = append(out, at.keysIn(v)...)
				x.stripQ = append(x.stripQ, at.name)
			}
		case "body":
			if v, ok := x.fields.value(at.name); ok {
				out = append(out, at.keysIn(v)...)
				x.stripB = append(x.stripB, at.name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out) // one key found in two ways is still one key
}

// elsewhere reports whether something stands where a key could, but for the body.
func (x *exchange) elsewhere(conn *connection) bool {
	if x.call.Header.Get("Authorization") != "" {
		return true
	}
	for _, at := range conn.presented {
		if at.kind == "header" && x.call.Header.Get(at.name) != "" {
			return true
		}
		if _, ok := queryValue(x.call.RawQuery, at.name); ok && at.kind == "query" {
			return true
		}
	}
	return false
}
