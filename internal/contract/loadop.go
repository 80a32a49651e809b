package contract

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/tape"
)

var (
	methods      = []string{"get", "put", "post", "delete", "patch"}
	effectNames  = []string{EffectMoney, EffectMessage, EffectPersonal, EffectAdmin}
	operationIDs = "kebab-case, such as create-payment-intent"
)

// place is where an operation stands in the document.
type place struct {
	node, item int // the operation and its path's object
	loaded     bool
}

// opNote is x-sallyport on an operation.
type opNote struct {
	Server   string   `json:"server"`
	Auth     string   `json:"auth"`
	Retry    Retry    `json:"retry"`
	Effects  []string `json:"effects"`
	Official Official `json:"official"`
	Legacy   *Legacy  `json:"legacy"`
	Source   string   `json:"source"`
	Note     string   `json:"note"`
	Mock     struct {
		Set map[string]any `json:"set"`
	} `json:"mock"`
}

// document reads what every operation has: its names, its place and its annotations.
// What it takes and answers is read by load.
func (l *loader) document(d *Document) {
	l.keys(0, "openapi", "info", "servers", "tags", "paths", "components", "externalDocs", "security", "jsonSchemaDialect", "webhooks", "$self", "x-sallyport")
	if v := l.text(0, "openapi"); !strings.HasPrefix(v, "3.0.") && !strings.HasPrefix(v, "3.1.") && !strings.HasPrefix(v, "3.2.") {
		l.fault(0, "openapi", "found %q; write 3.1.0", v)
	}
	paths := l.object(0, "paths")
	if paths >= 0 && l.doc.Nodes[paths].Count == 0 && l.member(0, "x-sallyport") >= 0 && l.text(l.object(0, "x-sallyport"), "no_operations") != "" {
		return // said on purpose, with the reason
	}
	if paths < 0 || l.doc.Nodes[paths].Count == 0 {
		l.fault(0, "paths", "a contract without operations")
		return
	}
	shapes := map[string]string{}
	for item := range l.kids(paths) {
		template := l.key(item)
		if !l.is(item, tape.Object) {
			l.fault(item, "", "found %s; write an object", l.shown(item))
			continue
		}
		l.keys(item, append([]string{"summary", "description", "parameters", "servers"}, methods...)...)
		segments, err := parseTemplate(template)
		if err != nil {
			l.fault(item, "", "%v", err)
			continue
		}
		for _, method := range methods {
			node := l.object(item, method)
			if node < 0 {
				continue
			}
			o := &Operation{Method: strings.ToUpper(method), PathTemplate: template, segments: segments, doc: d, place: place{node: node, item: item}}
			l.operation(o)
			l.add(d, o, shapes)
		}
	}
}

func (l *loader) add(d *Document, o *Operation, shapes map[string]string) {
	if _, twice := d.byID[o.ID]; twice {
		l.fault(o.place.node, "", "operationId %q stands twice", o.ID)
	}
	if other, twice := shapes[o.shape()]; twice {
		l.fault(o.place.node, "", "%s and %s cannot be told apart by method and path", other, o.ID)
	}
	shapes[o.shape()] = o.ID
	d.byID[o.ID] = o
	d.ops = append(d.ops, o)
}

// operation reads an operation's own names and annotations.
func (l *loader) operation(o *Operation) {
	node := o.place.node
	l.keys(node, "operationId", "summary", "description", "tags", "parameters", "requestBody", "responses",
		"deprecated", "externalDocs", "security", "servers", "callbacks", "x-sallyport")
	o.ID, o.Summary = l.text(node, "operationId"), l.text(node, "summary")
	if !kebab(o.ID) {
		l.fault(node, "operationId", "found %q; write %s", o.ID, operationIDs)
	}
	l.note(o, node)
}

// load reads what an operation takes and answers.
func (l *loader) load(o *Operation) {
	node := o.place.node
	o.byName = map[string]int{}
	params := l.parameters(node, nil)
	params = l.parameters(o.place.item, params)
	for _, in := range []Location{InPath, InQuery, InHeader, InCookie} {
		for _, p := range params {
			if p.In == in {
				l.addParam(o, p, node)
			}
		}
	}
	l.pathParams(o, node)
	if body := l.object(node, "requestBody"); body >= 0 {
		l.body(o, body)
	}
	l.responses(o, node)
	o.place.loaded = true
}

func kebab(id string) bool {
	for i := 0; i < len(id); i++ {
		c := id[i]
		if !(c >= 'a' && c <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '-')) {
			return false
		}
	}
	return id != "" && !strings.HasSuffix(id, "-") && !strings.Contains(id, "--")
}

func (l *loader) note(o *Operation, node int) {
	var n opNote
	at := l.member(node, "x-sallyport")
	if at < 0 {
		l.fault(node, "x-sallyport", "missing; write {\"server\":…,\"auth\":…,\"retry\":…,\"effects\":[…]}")
		return
	}
	l.decode(at, &n)
	o.Server, o.Auth, o.Retry, o.Effects = n.Server, n.Auth, n.Retry, n.Effects
	o.Official, o.Legacy, o.Source, o.MockSet = n.Official, n.Legacy, n.Source, n.Mock.Set
	if n.Server == "" || n.Auth == "" {
		l.fault(at, "", "server and auth are needed; they name entries of pack.json")
	}
	switch n.Retry {
	case RetryNever, RetrySafe, RetryKeyed:
	default:
		l.fault(at, "", "retry %q; write safe, keyed or never", n.Retry)
	}
	if n.Effects == nil {
		l.fault(at, "", "effects is missing; write [] for a plain read of non-personal data")
	}
	for _, e := range n.Effects {
		if !slices.Contains(effectNames, e) {
			l.fault(at, "", "effect %q; write %s", e, strings.Join(effectNames, ", "))
		}
	}
}

// responses reads the answers. Only JSON answers can be checked, so no other is accepted.
func (l *loader) responses(o *Operation, node int) {
	all := l.object(node, "responses")
	if all < 0 {
		l.fault(node, "responses", "missing")
		return
	}
	for r := range l.kids(all) {
		status := l.key(r)
		if strings.HasPrefix(status, "x-") {
			continue
		}
		if !l.is(r, tape.Object) {
			l.fault(r, "", "found %s; write an object", l.shown(r))
			continue
		}
		rule, ok := statusRule(status)
		if !ok {
			l.fault(r, "", "%q; write a status, 2XX, 4XX, 5XX or default", status)
			continue
		}
		if r = l.deref(r); r < 0 {
			continue
		}
		l.keys(r, "description", "summary", "content", "headers", "links", "x-sallyport")
		l.content(&rule, r)
		o.replies = append(o.replies, rule)
		if rule.low >= 200 && rule.low < 300 && (o.success == 0 || rule.low < o.success) {
			o.success = rule.low
		}
	}
	if o.success == 0 {
		l.fault(all, "", "no 2xx answer")
	}
}

func statusRule(s string) (replyRule, bool) {
	if s == "default" {
		return replyRule{low: 100, high: 599}, true
	}
	if len(s) == 3 && strings.HasSuffix(s, "XX") && s[0] >= '2' && s[0] <= '5' {
		low := int(s[0]-'0') * 100
		return replyRule{low: low, high: low + 99}, true
	}
	n, err := strconv.Atoi(s)
	return replyRule{low: n, high: n}, err == nil && n >= 200 && n <= 599 && http.StatusText(n) != ""
}

// content finds the schema of an answer: that of its JSON, else of its XML; absent: it has
// no body. Other media types beside these are what the gate does not ask for.
func (l *loader) content(rule *replyRule, r int) {
	rule.node = absent
	media, found := l.object(r, "content"), absent
	var others []string
	for m := range l.kids(media) {
		switch family := mediaFamily(l.key(m)); {
		case !l.is(m, tape.Object):
			l.fault(m, "", "found %s; write an object", l.shown(m))
		case family == JSONType && (found < 0 || mediaFamily(l.key(found)) != JSONType), family == XMLType && found < 0:
			found = m
		case family == JSONType:
			l.fault(m, "", "write one media type with a schema")
		case family != XMLType:
			others = append(others, l.key(m))
		}
	}
	if found < 0 {
		if len(others) > 0 {
			l.fault(media, "", "found %q: answers are checked as JSON or XML; write %s", others, JSONType)
		}
		return
	}
	l.keys(found, "schema", "example", "examples")
	s := l.member(found, "schema")
	if s < 0 {
		l.fault(found, "", "write one media type with a schema")
		return
	}
	if rule.node = s; !l.brief {
		rule.schema = l.schema(s, false)
	}
	if mediaFamily(l.key(found)) == XMLType {
		rule.xmlRoot = l.xmlRoot(s)
	}
}

func jsonMedia(media string) bool {
	return media == JSONType || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}
