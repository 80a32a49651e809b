package openapi

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Server is one set of addresses under which operations live.
type Server struct {
	URLs []Address
}

// Address is one address of a server, with its variables filled in; the last slash is cut off.
type Address struct {
	URL  string // relative where the document writes it so
	Note string // the document's words about it
}

// Scheme is one way to prove who calls.
type Scheme struct {
	Name string // in the document
	// Kind is bearer, basic, header, query, cookie, oauth2, openid, or unknown.
	Kind  string
	Param string // of the header, the query parameter or the cookie
	// TokenURL is where oauth2 gets a token for the client itself; "" where it cannot.
	TokenURL string
	Note     string
}

// Operation is one call that the document describes.
type Operation struct {
	ID         string // kebab-case and unique: what the contract calls it
	Named      string // as the document names it, or ""
	Method     string // upper case
	Path       string // as the document writes it, without the server's part
	Summary    string
	Tags       []string
	Deprecated bool
	Docs       string // an https page about it, or ""
	Pointer    string // where it stands in the document
	Server     int    // index into Document.Servers; -1: the document names none
	// Security are alternatives, each the names of schemes that are needed together. Open is
	// set where the document says that none is needed, or says nothing.
	Security [][]string
	Open     bool

	node, item node
}

var methods = []string{"get", "put", "post", "delete", "patch"}

// read fills d from a document in the form of OpenAPI.
func (d *Document) read(root node) {
	info := root.get("info")
	d.Title = words(info.get("title").text(), 80)
	d.Description = words(info.get("description").text(), 200)
	d.APIVersion = info.get("version").scalar()
	for _, n := range []node{root.at("externalDocs", "url"), info.at("contact", "url"), info.get("termsOfService")} {
		if d.Docs == "" && httpsPage(n.text()) {
			d.Docs = n.text()
		}
	}
	d.schemes(root)
	paths := root.get("paths")
	if paths.ok() && !paths.isObject() {
		d.findings.note(paths, "no operation is read", "found %s where paths is an object", paths.noun())
	}
	ids := map[string]bool{}
	for path, item := range paths.members() {
		if !strings.HasPrefix(path, "/") {
			if !strings.HasPrefix(path, "x-") {
				d.findings.note(item, "it is left out", "a path that does not begin with /")
			}
			continue
		}
		d.pathItem(root, path, item, ids)
	}
}

func httpsPage(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

func (d *Document) pathItem(root node, path string, item node, ids map[string]bool) {
	item, err := d.deref(item)
	if err != nil {
		d.findings.note(item, "it is left out", "%v", err)
		return
	}
	for key, n := range item.members() {
		switch {
		case slices.Contains(methods, key):
			d.operation(root, path, key, item, n, ids)
		case slices.Contains([]string{"head", "options", "trace", "query", "additionalOperations"}, key):
			d.findings.note(n, "it is left out", "the method %s does not pass the gate", strings.ToUpper(key))
		}
	}
}

func (d *Document) operation(root node, path, method string, item, n node, ids map[string]bool) {
	if !n.isObject() {
		d.findings.note(n, "it is left out", "found %s where an operation is an object", n.noun())
		return
	}
	o := Operation{Method: strings.ToUpper(method), Path: path, Named: n.get("operationId").text(), Tags: n.get("tags").texts(),
		Deprecated: n.get("deprecated").isTrue(), Pointer: "/paths/" + escapePointer(path) + "/" + method, node: n, item: item}
	o.Summary = words(n.get("summary").text(), 120)
	if o.Summary == "" {
		o.Summary = words(n.get("description").text(), 120)
	}
	if page := n.at("externalDocs", "url").text(); httpsPage(page) {
		o.Docs = page
	}
	o.ID = d.operationID(n, o, ids)
	ids[o.ID] = true
	o.Server = d.serverOf(root, item, n)
	o.Security, o.Open = security(root, n)
	d.Operations = append(d.Operations, o)
}

// operationID makes the name under which the contract has an operation.
func (d *Document) operationID(n node, o Operation, ids map[string]bool) string {
	id, made := Kebab(o.Named), madeID(o.Method, o.Path)
	taken := func(s string) bool { return ids[s] }
	switch {
	case n.get("operationId").ok() && !n.get("operationId").isString():
		d.findings.note(n.get("operationId"), "it is called "+free(made, taken), "found %s where operationId is a string", n.get("operationId").noun())
	case o.Named == "":
		d.findings.note(n, "it is called "+free(made, taken), "there is no operationId")
	case id == "":
		d.findings.note(n.get("operationId"), "it is called "+free(made, taken), "operationId %q has no letters or digits", short(o.Named))
	case ids[id]:
		d.findings.note(n.get("operationId"), "it is called "+free(made, taken), "operationId %q stands twice, or differs from another only in its writing", short(o.Named))
	default:
		return id
	}
	return free(made, taken)
}

// serverOf gives the index of the servers that hold for an operation: its own, its path's, the document's.
func (d *Document) serverOf(root, item, n node) int {
	list := root.get("servers")
	for _, own := range []node{item.get("servers"), n.get("servers")} {
		if own.count() > 0 {
			list = own
		}
	}
	var s Server
	for entry := range list.items() {
		s.URLs = append(s.URLs, Address{URL: address(entry), Note: words(entry.get("description").text(), 80)})
	}
	if len(s.URLs) == 0 {
		return -1
	}
	key := fmt.Sprintf("%q", s.URLs)
	if i, known := d.byServer[key]; known {
		return i
	}
	if d.byServer == nil {
		d.byServer = map[string]int{}
	}
	d.byServer[key] = len(d.Servers)
	d.Servers = append(d.Servers, s)
	return len(d.Servers) - 1
}

// address fills the variables of a server's address with their defaults.
func address(n node) string {
	u := n.get("url").text()
	for name, v := range n.get("variables").members() {
		if value := v.get("default").scalar(); value != "" {
			u = strings.ReplaceAll(u, "{"+name+"}", value)
		}
	}
	return strings.TrimRight(u, "/")
}

func security(root, n node) (alternatives [][]string, open bool) {
	list := root.get("security")
	if own := n.get("security"); own.ok() {
		list = own
	}
	open = list.count() == 0
	for entry := range list.items() {
		var names []string
		for name := range entry.members() {
			names = append(names, name)
		}
		if len(names) == 0 {
			open = true
			continue
		}
		alternatives = append(alternatives, names)
	}
	return alternatives, open
}

func (d *Document) schemes(root node) {
	for name, n := range root.at("components", "securitySchemes").members() {
		n, err := d.deref(n)
		if err != nil {
			d.findings.note(n, "it is left out", "%v", err)
			continue
		}
		s := Scheme{Name: name, Kind: "unknown", Note: words(n.get("description").text(), 120)}
		switch kind, scheme := n.get("type").text(), strings.ToLower(n.get("scheme").text()); {
		case kind == "http" && (scheme == "bearer" || scheme == "basic"):
			s.Kind = scheme
		case kind == "apiKey" && slices.Contains([]string{"header", "query", "cookie"}, n.get("in").text()):
			s.Kind, s.Param = n.get("in").text(), n.get("name").text()
		case kind == "oauth2":
			s.Kind, s.TokenURL = "oauth2", n.at("flows", "clientCredentials", "tokenUrl").text()
		case kind == "openIdConnect":
			s.Kind = "openid"
		}
		d.Schemes = append(d.Schemes, s)
	}
}
