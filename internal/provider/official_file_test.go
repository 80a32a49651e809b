package provider_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stripe/stripe-mock/embedded"
)

// call is one operation as an official file describes it.
type call struct {
	doc       tree
	servers   []string // base URLs
	path      string
	params    []tree          // name, in, required, schema
	bodies    map[string]tree // by media type; "" stands for any
	responses map[string]tree // by status; nil schema: no body
}

// officialFiles reads official files once each.
type officialFiles struct {
	folder string
	docs   map[string]tree
}

func newOfficialFiles() *officialFiles {
	folder := os.Getenv("SALLYPORT_SPECS")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "specs")
	}
	return &officialFiles{folder: folder, docs: make(map[string]tree)}
}

// open gives a file, or skips the test where official files are not required.
func (o *officialFiles) open(t *testing.T, name string) tree {
	t.Helper()
	doc, err := o.read(name)
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") == "" {
		t.Skipf("no official file %s below %s; set SALLYPORT_SPECS", name, o.folder)
	}
	if err != nil {
		t.Fatalf("read official file %s: %v", name, err)
	}
	return doc
}

func (o *officialFiles) read(name string) (tree, error) {
	if doc, ok := o.docs[name]; ok {
		return doc, nil
	}
	data := embedded.OpenAPISpec // Stripe's comes with a module, so it is always there
	if name != "stripe/spec3.json" {
		var err error
		if data, err = os.ReadFile(filepath.Join(o.folder, filepath.FromSlash(name))); err != nil {
			return nil, err
		}
	}
	doc := make(tree)
	var err error
	if ext := path.Ext(name); ext == ".yml" || ext == ".yaml" {
		err = yaml.Unmarshal(data, &doc)
	} else {
		err = json.Unmarshal(data, &doc)
	}
	o.docs[name] = doc
	return doc, err
}

// findCall finds an operation in an OpenAPI or Google Discovery document.
func findCall(doc tree, method, at string) (*call, error) {
	if doc["discoveryVersion"] != nil {
		return findDiscovery(doc, doc, method, at)
	}
	item := deref(doc, object(object(doc["paths"])[at]))
	if item == nil {
		return nil, fmt.Errorf("the official file has no path %s", at)
	}
	op := object(item[strings.ToLower(method)])
	if op == nil {
		return nil, fmt.Errorf("the official file has no %s on %s", method, at)
	}
	c := &call{doc: doc, path: at, bodies: make(map[string]tree), responses: make(map[string]tree)}
	for _, from := range []tree{op, item, doc} {
		for _, s := range list(from["servers"]) {
			c.servers = append(c.servers, fmt.Sprint(s["url"]))
		}
		if len(c.servers) > 0 {
			break
		}
	}
	for _, p := range append(list(item["parameters"]), list(op["parameters"])...) {
		c.params = append(c.params, deref(doc, p))
	}
	for media, m := range object(deref(doc, object(op["requestBody"]))["content"]) {
		c.bodies[media] = object(object(m)["schema"])
	}
	for status, r := range object(op["responses"]) {
		c.responses[fmt.Sprint(status)] = jsonSchema(deref(doc, object(r)))
	}
	return c, nil
}

// jsonSchema is the schema of an answer's JSON body.
func jsonSchema(response tree) tree {
	for media, m := range object(response["content"]) {
		if strings.Contains(media, "json") || media == "*/*" {
			return object(object(m)["schema"])
		}
	}
	return nil
}

func findDiscovery(doc, at tree, method, path string) (*call, error) {
	for _, m := range object(at["methods"]) {
		m := object(m)
		for _, key := range []string{"flatPath", "path"} {
			if p, ok := m[key].(string); ok && "/"+strings.TrimPrefix(p, "/") == path && m["httpMethod"] == method {
				return discoveryCall(doc, m, path), nil
			}
		}
	}
	for _, r := range object(at["resources"]) {
		if c, err := findDiscovery(doc, object(r), method, path); err == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("the official file has no %s on %s", method, path)
}

func discoveryCall(doc, m tree, path string) *call {
	c := &call{doc: doc, path: path, bodies: make(map[string]tree), responses: make(map[string]tree)}
	c.servers = []string{strings.TrimSuffix(fmt.Sprint(doc["rootUrl"])+fmt.Sprint(doc["servicePath"]), "/")}
	for _, from := range []tree{object(doc["parameters"]), object(m["parameters"])} {
		for name, p := range from {
			p := object(p)
			schema := p
			if p["repeated"] == true {
				schema = tree{"type": "array", "items": p}
			}
			c.params = append(c.params, tree{"name": name, "in": p["location"], "required": p["required"] == true, "schema": withoutRequired(schema)})
		}
	}
	if request := object(m["request"]); request != nil {
		c.bodies["application/json"] = request
	}
	c.responses["200"] = object(m["response"])
	return c
}

// withoutRequired drops the flag that Discovery keeps where JSON Schema has a list.
func withoutRequired(schema tree) tree {
	out := make(tree)
	for k, v := range schema {
		if k != "required" {
			out[k] = v
		}
	}
	return out
}
