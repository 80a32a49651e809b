package contract

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var (
	methods      = []string{"get", "put", "post", "delete", "patch"}
	effectNames  = []string{EffectMoney, EffectMessage, EffectPersonal, EffectAdmin}
	operationIDs = "kebab-case, such as create-payment-intent"
)

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

func (l *loader) document(d *Document) {
	l.keys(l.root, "", "openapi", "info", "servers", "tags", "paths", "components", "externalDocs", "security", "jsonSchemaDialect", "x-sallyport")
	if v := l.text(l.root, "", "openapi"); !strings.HasPrefix(v, "3.0.") && !strings.HasPrefix(v, "3.1.") {
		l.fault("/openapi", "found %q; write 3.1.0", v)
	}
	paths := l.object(l.root, "", "paths")
	if paths == nil || len(paths.keys) == 0 {
		l.fault("/paths", "a contract without operations")
		return
	}
	shapes := map[string]string{}
	for _, template := range paths.keys {
		at := point("/paths", template)
		item := l.object(paths, "/paths", template)
		if item == nil {
			continue
		}
		l.keys(item, at, append([]string{"summary", "description", "parameters"}, methods...)...)
		segments, err := parseTemplate(template)
		if err != nil {
			l.fault(at, "%v", err)
			continue
		}
		for _, method := range methods {
			node := l.object(item, at, method)
			if node == nil {
				continue
			}
			o := &Operation{Method: strings.ToUpper(method), PathTemplate: template, segments: segments, byName: map[string]int{}}
			l.operation(o, node, item, point(at, method))
			l.add(d, o, point(at, method), shapes)
		}
	}
}

func (l *loader) add(d *Document, o *Operation, at string, shapes map[string]string) {
	if _, twice := d.byID[o.ID]; twice {
		l.fault(at, "operationId %q stands twice", o.ID)
	}
	if other, twice := shapes[o.shape()]; twice {
		l.fault(at, "%s and %s cannot be told apart by method and path", other, o.ID)
	}
	shapes[o.shape()] = o.ID
	d.byID[o.ID] = o
	d.ops = append(d.ops, o)
}

func (l *loader) operation(o *Operation, node, item *object, at string) {
	l.keys(node, at, "operationId", "summary", "description", "tags", "parameters", "requestBody", "responses",
		"deprecated", "externalDocs", "security", "x-sallyport")
	o.ID, o.Summary = l.text(node, at, "operationId"), l.text(node, at, "summary")
	if !kebab(o.ID) {
		l.fault(point(at, "operationId"), "found %q; write %s", o.ID, operationIDs)
	}
	l.note(o, node, at)
	itemAt := at[:strings.LastIndexByte(at, '/')]
	params := l.parameters(node, at, nil)
	params = l.parameters(item, itemAt, params)
	for _, in := range []Location{InPath, InQuery, InHeader} {
		for _, p := range params {
			if p.In == in {
				l.addParam(o, p, at)
			}
		}
	}
	l.pathParams(o, at)
	if body := l.object(node, at, "requestBody"); body != nil {
		l.body(o, body, point(at, "requestBody"))
	}
	l.responses(o, node, at)
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

func (l *loader) note(o *Operation, node *object, at string) {
	var n opNote
	at = point(at, "x-sallyport")
	v, ok := node.values["x-sallyport"]
	if !ok {
		l.fault(at, "missing; write {\"server\":…,\"auth\":…,\"retry\":…,\"effects\":[…]}")
		return
	}
	l.decode(v, at, &n)
	o.Server, o.Auth, o.Retry, o.Effects = n.Server, n.Auth, n.Retry, n.Effects
	o.Official, o.Legacy, o.Source, o.MockSet = n.Official, n.Legacy, n.Source, n.Mock.Set
	if n.Server == "" || n.Auth == "" {
		l.fault(at, "server and auth are needed; they name entries of pack.json")
	}
	switch n.Retry {
	case RetryNever, RetrySafe, RetryKeyed:
	default:
		l.fault(at, "retry %q; write safe, keyed or never", n.Retry)
	}
	if n.Effects == nil {
		l.fault(at, "effects is missing; write [] for a plain read of non-personal data")
	}
	for _, e := range n.Effects {
		if !slices.Contains(effectNames, e) {
			l.fault(at, "effect %q; write %s", e, strings.Join(effectNames, ", "))
		}
	}
}

// responses compiles the answers. Only JSON answers can be checked, so no other is accepted.
func (l *loader) responses(o *Operation, node *object, at string) {
	all := l.object(node, at, "responses")
	at = point(at, "responses")
	if all == nil {
		l.fault(at, "missing")
		return
	}
	for _, status := range all.keys {
		r, at := l.object(all, at, status), point(at, status)
		if r == nil {
			continue
		}
		if r, at = l.deref(r, at); r == nil {
			continue
		}
		l.keys(r, at, "description", "content", "headers", "links", "x-sallyport")
		rule, ok := statusRule(status)
		if !ok {
			l.fault(at, "%q; write a status, 2XX, 4XX, 5XX or default", status)
			continue
		}
		rule.schema = l.content(r, at)
		o.replies = append(o.replies, rule)
		if rule.low >= 200 && rule.low < 300 && (o.success == 0 || rule.low < o.success) {
			o.success = rule.low
		}
	}
	if o.success == 0 {
		l.fault(at, "no 2xx answer")
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

func (l *loader) content(r *object, at string) *Schema {
	content := l.object(r, at, "content")
	if content == nil {
		return nil
	}
	at = point(at, "content")
	var out *Schema
	for _, media := range content.keys {
		m, at := l.object(content, at, media), point(at, media)
		if m == nil {
			continue
		}
		if !jsonMedia(media) {
			l.fault(at, "answers are checked as JSON; write application/json")
			continue
		}
		l.keys(m, at, "schema", "example", "examples")
		s, ok := m.values["schema"]
		if !ok || out != nil {
			l.fault(at, "write one media type with a schema")
			continue
		}
		out = l.schema(s, point(at, "schema"), false)
	}
	return out
}

func jsonMedia(media string) bool {
	return media == JSONType || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}
