// Package typescript writes TypeScript declarations for the client.js of one site: the
// connections, operations and parameters that the site's file leaves to a browser, and
// the fields that come back.
//
// It guarantees that what the gate would refuse by name or kind does not compile: an
// operation or a parameter that the file does not name, a fixed value, a value that is
// not under one_of, a field that is not under returns. The same site, catalog and options
// give the same bytes. What types cannot say (ranges, patterns, lengths) stands in the
// comments, in words.
//
// It reads no file and decides nothing about calls: the gate does, whatever a page was
// compiled with.
package typescript

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/order"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// Catalog finds a provider by its id.
type Catalog interface {
	Find(id string) (*provider.Pack, error)
}

// Options say how the declarations are made.
type Options struct {
	// Connection is the only connection to declare; empty: all that a browser may use.
	Connection string
	// Modules are the names under which pages import client.js: addresses, and names of
	// an import map; one may have a "*". ModuleName is always declared.
	Modules []string
	// Command and Version go into the head of the file.
	Command, Version string
}

// ModuleName is the module that holds the declarations of a site; those of
// Options.Modules are the same under another name.
func ModuleName(site string) string { return "sallyport/" + site }

// Declarations is what Declare made.
type Declarations struct {
	Text        []byte
	Connections int // with operations or public values for pages
	Operations  int
}

// Declare writes the declarations for one site. The error is about the catalog: the
// rules of a loaded site fit their contracts.
func Declare(s *site.Site, catalog Catalog, o Options) (Declarations, error) {
	w := &writer{names: newNames()}
	for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
		c := s.Connections[name]
		if o.Connection != "" && name != o.Connection || len(c.Browser) == 0 && len(c.Public) == 0 {
			continue
		}
		pack, err := catalog.Find(c.Provider)
		if err != nil {
			return Declarations{}, fmt.Errorf("declare %s: %w", name, err)
		}
		conn := &connection{name: name, provider: pack.Name, public: c.Public}
		for _, id := range slices.Sorted(maps.Keys(c.Browser)) {
			op, ok := pack.Contract().Find(id)
			if !ok {
				return Declarations{}, fmt.Errorf("declare %s: %s has no operation %s", name, c.Provider, id)
			}
			conn.operations = append(conn.operations, declare(op, c.Browser[id]))
		}
		w.connections = append(w.connections, conn)
	}
	out := Declarations{Text: w.file(s.Name, o), Connections: len(w.connections)}
	for _, c := range w.connections {
		out.Operations += len(c.operations)
	}
	return out, nil
}

// connection is what a page may do with one provider.
type connection struct {
	name, provider string
	public         map[string]string
	operations     []*operation
}

// operation is one call with the types of its parameters and its answer.
type operation struct {
	id     string
	doc    []string
	params *shape
	needs  bool        // there is a parameter that a page must give
	permit bool        // some are sealed, so that a call needs a permit
	order  *order.List // some come from a price list, so that a call needs an order
	result *shape

	paramsName, resultName string
}

func declare(op *contract.Operation, rule *site.BrowserRule) *operation {
	out := &operation{id: op.ID, doc: operationWords(op), permit: len(rule.Sealed) > 0, result: result(op, rule.Returns)}
	if len(rule.From) > 0 {
		out.order = rule.From[0].List
	}
	out.params, out.needs = params(op, rule)
	return out
}

// pascal writes create-payment-intent as CreatePaymentIntent.
func pascal(name string) string {
	var b strings.Builder
	up := true
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z' && up:
			b.WriteRune(r - 'a' + 'A')
			up = false
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			b.WriteRune(r)
			up = r <= '9'
		default:
			up = true
		}
	}
	return b.String()
}
