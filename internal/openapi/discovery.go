package openapi

import (
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/tape"
)

// convertDiscovery writes a Google Discovery document in the form of OpenAPI 3.0.
func convertDiscovery(d *Document, root node, w *writer) func(string) string {
	c := &discovery{d: d, root: root, w: w, paths: map[string][]method{}, bodies: map[string][]string{}}
	w.open('{')
	w.member("openapi", "3.0.3")
	w.key("info")
	w.open('{')
	w.member("title", root.get("title").text())
	w.member("description", root.get("description").text())
	w.member("version", orElse(root.get("revision").scalar(), root.get("version").text()))
	w.close('}')
	if page := root.get("documentationLink").text(); page != "" {
		w.key("externalDocs")
		w.open('{')
		w.member("url", strings.TrimRight(page, "/"))
		w.close('}')
	}
	c.server()
	c.find(root)
	c.operations()
	c.components()
	w.close('}')
	return func(pointer string) string {
		if rest, ok := strings.CutPrefix(pointer, "/components/schemas/"); ok {
			return "/schemas/" + rest
		}
		return pointer
	}
}

// method is one method of the document with the path that it gets.
type method struct {
	n       node
	verb    string
	tokens  []string // parameters in the path
	renamed bool     // the path is flatPath, so its parameters are not those described
}

type discovery struct {
	d     *Document
	root  node
	w     *writer
	paths map[string][]method
	order []string
	// bodies are the ids of the methods that take a schema as their body.
	bodies map[string][]string
}

func (c *discovery) server() {
	base := c.root.get("rootUrl").text() + c.root.get("servicePath").text()
	if c.root.get("rootUrl").text() == "" {
		base = c.root.get("baseUrl").text()
	}
	if base == "" {
		return
	}
	c.w.key("servers")
	c.w.open('[')
	c.w.open('{')
	c.w.member("url", strings.TrimRight(base, "/"))
	c.w.close('}')
	c.w.close(']')
}

// find collects the methods of all resources, by path.
func (c *discovery) find(n node) {
	for _, m := range n.get("methods").members() {
		c.method(m)
	}
	for _, r := range n.get("resources").members() {
		c.find(r)
	}
}

var braces = regexp.MustCompile(`\{[^{}]*\}`)

func (c *discovery) method(n node) {
	path := n.get("path").text()
	if name := n.at("request", "$ref").text(); name != "" {
		c.bodies[name] = append(c.bodies[name], n.get("id").text())
	}
	m := method{n: n, verb: strings.ToLower(n.get("httpMethod").text())}
	if strings.Contains(path, "{+") && n.get("flatPath").ok() {
		path = n.get("flatPath").text()
	}
	for _, token := range braces.FindAllString(path, -1) {
		name := strings.Trim(token, "{}+*")
		path = strings.Replace(path, token, "{"+name+"}", 1)
		m.tokens = append(m.tokens, name)
		m.renamed = m.renamed || !n.at("parameters", name).ok()
	}
	path = "/" + strings.TrimPrefix(path, "/")
	if _, known := c.paths[path]; !known {
		c.order = append(c.order, path)
	}
	if slices.ContainsFunc(c.paths[path], func(other method) bool { return other.verb == m.verb }) {
		c.d.findings.note(n, "it is left out", "another method has the same path and verb")
		return
	}
	c.paths[path] = append(c.paths[path], m)
}

func (c *discovery) operations() {
	c.w.key("paths")
	c.w.open('{')
	for _, path := range c.order {
		c.w.key(path)
		c.w.open('{')
		for _, m := range c.paths[path] {
			c.w.key(m.verb)
			c.operation(m)
		}
		c.w.close('}')
	}
	c.w.close('}')
}

func (c *discovery) operation(m method) {
	c.w.open('{')
	id := m.n.get("id").text()
	if _, rest, ok := strings.Cut(id, "."); ok { // the first part is the name of the API
		id = rest
	}
	c.w.member("operationId", id)
	c.w.member("description", m.n.get("description").text())
	c.w.flag("deprecated", m.n.get("deprecated").isTrue())
	c.w.key("security")
	c.w.open('[')
	if m.n.get("scopes").count() > 0 {
		c.w.raw([]byte(`{"oauth2":[]}`))
	}
	c.w.raw([]byte(`{"key":[]}`))
	c.w.close(']')
	c.parameters(m)
	if name := m.n.at("request", "$ref").text(); name != "" {
		c.w.key("requestBody")
		c.content(name)
	}
	c.w.key("responses")
	c.w.open('{')
	c.w.key("200")
	if name := m.n.at("response", "$ref").text(); name != "" {
		c.content(name)
	} else {
		c.w.raw([]byte(`{"description":"done"}`))
	}
	c.w.close('}')
	c.w.close('}')
}

func (c *discovery) content(name string) {
	c.w.open('{')
	c.w.key("content")
	c.w.open('{')
	c.w.key(jsonType)
	c.w.open('{')
	c.w.key("schema")
	c.reference(name, node{})
	c.w.close('}')
	c.w.close('}')
	c.w.close('}')
}

// ownParameters are sent by the gate, or change the form of the answer so that it cannot be checked.
var ownParameters = []string{"key", "access_token", "oauth_token", "callback", "alt", "prettyPrint", "upload_protocol", "uploadType", "$.xgafv", "userIp"}

func (c *discovery) parameters(m method) {
	c.w.key("parameters")
	c.w.open('[')
	for _, list := range []node{m.n.get("parameters"), c.root.get("parameters")} {
		for name, p := range list.members() {
			inPath := p.get("location").text() == "path"
			if slices.Contains(ownParameters, name) && list.i == c.root.get("parameters").i || inPath && !slices.Contains(m.tokens, name) {
				continue
			}
			c.parameter(name, p)
		}
	}
	if m.renamed {
		c.flatTokens(m)
	}
	c.w.close(']')
}

// flatTokens describes the parameters of a flatPath: `places/{placesId}` of the described
// {name} that has the pattern ^places/[^/]+$.
func (c *discovery) flatTokens(m method) {
	for _, token := range m.tokens {
		if m.n.at("parameters", token).ok() {
			continue
		}
		c.w.open('{')
		c.w.member("name", token)
		c.w.member("in", "path")
		c.w.flag("required", true)
		c.w.key("schema")
		c.w.raw([]byte(`{"type":"string"}`))
		c.w.close('}')
	}
}

func (c *discovery) parameter(name string, p node) {
	c.w.open('{')
	c.w.member("name", name)
	c.w.member("in", p.get("location").text())
	c.w.flag("required", p.get("required").isTrue())
	c.w.member("description", p.get("description").text())
	c.w.key("schema")
	if p.get("repeated").isTrue() {
		c.w.open('{')
		c.w.member("type", "array")
		c.w.key("items")
		c.schema(p, "")
		c.w.close('}')
	} else {
		c.schema(p, "")
	}
	c.w.close('}')
}

func (c *discovery) components() {
	c.w.key("components")
	c.w.open('{')
	c.w.key("schemas")
	c.w.open('{')
	for name, n := range c.root.get("schemas").members() {
		c.w.key(name)
		c.schema(n, name)
	}
	c.w.close('}')
	c.w.key("securitySchemes")
	c.w.raw([]byte(`{"key":{"type":"apiKey","in":"query","name":"key"},"oauth2":{"type":"oauth2","flows":{}}}`))
	c.w.close('}')
}

// reference writes a reference; what stands beside it in the document describes.
func (c *discovery) reference(name string, beside node) {
	c.w.open('{')
	c.w.member("$ref", "#/components/schemas/"+strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1"))
	c.w.member("description", beside.get("description").text())
	c.w.flag("readOnly", beside.get("readOnly").isTrue())
	c.w.close('}')
}

// schema writes one schema: references are bare names, numbers stand in strings, and required is
// said by annotations that name methods.
func (c *discovery) schema(n node, name string) {
	if r := n.get("$ref").text(); r != "" {
		c.reference(r, n)
		return
	}
	c.w.open('{')
	for key, v := range n.members() {
		switch key {
		case "type":
			if v.text() != "any" {
				c.w.member(key, v.text())
			}
		case "description":
			if !n.get("location").ok() { // it stands with the parameter
				c.w.member(key, v.text())
			}
		case "id", "annotations", "location", "repeated", "enumDescriptions", "enumDeprecated", "default", "required", "properties", "items", "additionalProperties", "variant":
		case "minimum", "maximum":
			if jsonNumber.MatchString(v.scalar()) && !strings.HasSuffix(n.get("format").text(), "64") {
				c.w.key(key)
				c.w.raw([]byte(v.scalar()))
			}
		default:
			c.w.key(key)
			c.w.raw(v.json())
		}
	}
	c.w.texts(neededInRequest, c.needed(n, name))
	c.below(n)
	c.w.close('}')
}

// neededInRequest lists the names that a request must have and an answer need not.
const neededInRequest = "x-sallyport-needed"

// needed are the members of a body that are required by every method that takes it.
func (c *discovery) needed(n node, name string) []string {
	var names []string
	for member, v := range n.get("properties").members() {
		by := v.at("annotations", "required").texts()
		if len(by) == 0 || len(c.bodies[name]) == 0 {
			continue
		}
		if !slices.ContainsFunc(c.bodies[name], func(id string) bool { return !slices.Contains(by, id) }) {
			names = append(names, member)
		}
	}
	return names
}

func (c *discovery) below(n node) {
	if properties := n.get("properties"); properties.isObject() {
		c.w.key("properties")
		c.w.open('{')
		for name, v := range properties.members() {
			c.w.key(name)
			c.schema(v, "")
		}
		c.w.close('}')
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if v := n.get(key); v.kind() == tape.Object {
			c.w.key(key)
			c.schema(v, "")
		}
	}
}
