package openapi

import (
	"slices"
	"strings"
)

// convertSwagger writes a Swagger 2.0 document in the form of OpenAPI 3.0. Schemas stay where and
// as they are, because references point to them.
func convertSwagger(d *Document, root node, w *writer) func(string) string {
	c := &swagger{d: d, root: root, w: w}
	w.open('{')
	w.member("openapi", "3.0.3")
	for _, key := range []string{"info", "tags", "security", "externalDocs", "definitions", "x-sallyport"} {
		if v := root.get(key); v.ok() {
			w.key(key)
			w.raw(v.json())
		}
	}
	c.servers()
	c.schemes()
	w.key("paths")
	w.open('{')
	for path, item := range root.get("paths").members() {
		w.key(path)
		c.item(item)
	}
	w.close('}')
	w.close('}')
	return func(pointer string) string { return pointer }
}

type swagger struct {
	d    *Document
	root node
	w    *writer
}

func (c *swagger) servers() {
	host, base := c.root.get("host").text(), c.root.get("basePath").text()
	if base == "/" {
		base = ""
	}
	scheme := "https"
	if list := c.root.get("schemes").texts(); len(list) > 0 && !slices.Contains(list, "https") {
		scheme = list[0]
	}
	address := base
	if host != "" {
		address = scheme + "://" + host + base
	}
	if address == "" {
		return
	}
	c.w.key("servers")
	c.w.open('[')
	c.w.open('{')
	c.w.member("url", address)
	c.w.close('}')
	c.w.close(']')
}

func (c *swagger) schemes() {
	c.w.key("components")
	c.w.open('{')
	c.w.key("securitySchemes")
	c.w.open('{')
	for name, n := range c.root.get("securityDefinitions").members() {
		c.w.key(name)
		c.w.open('{')
		c.w.member("description", n.get("description").text())
		switch kind := n.get("type").text(); kind {
		case "basic":
			c.w.member("type", "http")
			c.w.member("scheme", "basic")
		case "oauth2":
			c.w.member("type", "oauth2")
			flow := map[string]string{"application": "clientCredentials", "accessCode": "authorizationCode", "implicit": "implicit", "password": "password"}[n.get("flow").text()]
			if flow != "" {
				c.w.key("flows")
				c.w.open('{')
				c.w.key(flow)
				c.w.open('{')
				c.w.member("tokenUrl", n.get("tokenUrl").text())
				c.w.close('}')
				c.w.close('}')
			}
		default:
			c.w.member("type", kind)
			c.w.member("in", n.get("in").text())
			c.w.member("name", n.get("name").text())
		}
		c.w.close('}')
	}
	c.w.close('}')
	c.w.close('}')
}

func (c *swagger) item(item node) {
	item = c.follow(item)
	c.w.open('{')
	shared := c.list(item.get("parameters"))
	for method, n := range item.members() {
		if method == "parameters" || method == "$ref" {
			continue
		}
		c.w.key(method)
		if !slices.Contains(methods, method) {
			c.w.raw(n.json())
			continue
		}
		c.operation(n, shared)
	}
	c.w.close('}')
}

// follow gives what a reference points to; where it leads nowhere, the reference itself, which
// is named when the operation is written.
func (c *swagger) follow(n node) node {
	if target, err := c.d.deref(n); err == nil {
		return target
	}
	return n
}

func (c *swagger) list(n node) []node {
	var list []node
	for p := range n.items() {
		list = append(list, c.follow(p))
	}
	return list
}

func (c *swagger) operation(n node, shared []node) {
	c.w.open('{')
	for key, v := range n.members() {
		switch key {
		case "parameters", "responses", "consumes", "produces", "schemes":
		default:
			c.w.key(key)
			c.w.raw(v.json())
		}
	}
	own := c.list(n.get("parameters"))
	for _, p := range shared {
		if !slices.ContainsFunc(own, func(q node) bool {
			return q.get("name").text() == p.get("name").text() && q.get("in").text() == p.get("in").text()
		}) {
			own = append(own, p)
		}
	}
	c.parameters(own)
	c.body(own, c.media(n, "consumes"))
	c.responses(n)
	c.w.close('}')
}

func (c *swagger) media(n node, key string) []string {
	list := n.get(key)
	if !list.ok() {
		list = c.root.get(key)
	}
	return list.texts()
}

func (c *swagger) parameters(list []node) {
	c.w.key("parameters")
	c.w.open('[')
	for _, p := range list {
		switch p.get("in").text() {
		case "body", "formData":
			continue
		}
		if ref(p) != "" {
			c.w.raw(p.json())
			continue
		}
		c.w.open('{')
		for _, key := range []string{"name", "in", "required", "description", "deprecated", "x-sallyport"} {
			if v := p.get(key); v.ok() {
				c.w.key(key)
				c.w.raw(v.json())
			}
		}
		if p.get("type").text() == "array" && p.get("in").text() == "query" {
			c.collection(p.get("collectionFormat").text())
		}
		c.w.key("schema")
		c.inline(p)
		c.w.close('}')
	}
	c.w.close(']')
}

func (c *swagger) collection(format string) {
	style := map[string]string{"ssv": "spaceDelimited", "pipes": "pipeDelimited", "tsv": "tabDelimited"}[format]
	c.w.member("style", style)
	c.w.key("explode")
	if format == "multi" {
		c.w.raw([]byte("true"))
	} else {
		c.w.raw([]byte("false"))
	}
}

// inline writes the schema whose keywords stand in a parameter itself.
func (c *swagger) inline(p node) {
	c.w.open('{')
	for key, v := range p.members() {
		switch key {
		case "type":
			c.w.key(key)
			if v.text() == "file" {
				c.w.str("string")
				c.w.member("format", "binary")
			} else {
				c.w.raw(v.json())
			}
		case "name", "in", "required", "description", "collectionFormat", "allowEmptyValue", "x-sallyport", "schema", "deprecated":
		default:
			c.w.key(key)
			c.w.raw(v.json())
		}
	}
	c.w.close('}')
}

// body writes the request body: the one body parameter, or the fields of a form.
func (c *swagger) body(list []node, consumes []string) {
	var whole node
	var fields []node
	file := false
	for _, p := range list {
		switch p.get("in").text() {
		case "body":
			whole = p
		case "formData":
			fields = append(fields, p)
			file = file || p.get("type").text() == "file"
		}
	}
	if !whole.ok() && len(fields) == 0 {
		return
	}
	c.w.key("requestBody")
	c.w.open('{')
	c.w.flag("required", whole.get("required").isTrue() || slices.ContainsFunc(fields, func(p node) bool { return p.get("required").isTrue() }))
	c.w.key("content")
	c.w.open('{')
	if whole.ok() {
		c.bodyMedia(whole, consumes)
	} else {
		c.form(fields, file || len(consumes) > 0 && !slices.Contains(consumes, formType))
	}
	c.w.close('}')
	c.w.close('}')
}

func (c *swagger) bodyMedia(p node, consumes []string) {
	if len(consumes) == 0 {
		consumes = []string{jsonType}
	}
	for _, media := range consumes {
		c.w.key(media)
		c.w.open('{')
		if schema := p.get("schema"); schema.ok() {
			c.w.key("schema")
			c.w.raw(schema.json())
		}
		c.w.close('}')
	}
}

func (c *swagger) form(fields []node, multipart bool) {
	if multipart {
		c.w.key("multipart/form-data")
	} else {
		c.w.key(formType)
	}
	c.w.open('{')
	c.w.key("schema")
	c.w.open('{')
	c.w.member("type", "object")
	c.w.key("properties")
	c.w.open('{')
	var required []string
	for _, p := range fields {
		name := p.get("name").text()
		if p.get("required").isTrue() {
			required = append(required, name)
		}
		c.w.key(name)
		c.inline(p)
	}
	c.w.close('}')
	c.w.texts("required", required)
	c.w.close('}')
	c.w.close('}')
}

func (c *swagger) responses(n node) {
	produces := c.media(n, "produces")
	if len(produces) == 0 {
		produces = []string{jsonType}
	}
	c.w.key("responses")
	c.w.open('{')
	for status, r := range n.get("responses").members() {
		c.w.key(status)
		r = c.follow(r)
		if ref(r) != "" {
			c.w.raw(r.json())
			continue
		}
		c.w.open('{')
		c.w.member("description", r.get("description").text())
		if schema := r.get("schema"); schema.ok() {
			c.w.key("content")
			c.w.open('{')
			for _, media := range produces {
				c.w.key(strings.ToLower(media))
				c.w.open('{')
				c.w.key("schema")
				c.w.raw(schema.json())
				c.w.close('}')
			}
			c.w.close('}')
		}
		c.w.close('}')
	}
	c.w.close('}')
}
