package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/config"
	"sallyport/internal/contract"
	"sallyport/internal/guard"
	"sallyport/internal/provider"
	"sallyport/internal/site"
	"sallyport/web"
)

// scriptSite is the table in client.js: no secret, no rule, only where parameters travel.
type scriptSite struct {
	Connections map[string]scriptConnection `json:"connections"`
	Prices      map[string]scriptPrices     `json:"prices,omitempty"`
	Logins      []string                    `json:"logins,omitempty"`   // connections to sign in with
	Connects    []string                    `json:"connects,omitempty"` // whose accounts visitors connect
	Origins     []site.Origin               `json:"origins,omitempty"`  // on which that works: not on previews
}

// scriptPrices is a price list as pages may see it: what a visitor pays is no secret.
type scriptPrices struct {
	Currency string                `json:"currency"`
	Decimals int                   `json:"decimals"`
	Items    map[string]scriptItem `json:"items"`
	Shipping scriptShipping        `json:"shipping"`
	Order    map[string]int64      `json:"order"`
}

type scriptItem struct {
	Amount int64             `json:"amount"`
	Max    int64             `json:"max"`
	Title  map[string]string `json:"title"`
}

type scriptShipping struct {
	Flat     int64 `json:"flat"`
	FreeFrom int64 `json:"free_from,omitempty"`
}

type scriptConnection struct {
	Public     map[string]string          `json:"public,omitempty"`
	Operations map[string]scriptOperation `json:"operations"`
}

type scriptOperation struct {
	Method string                 `json:"method"`
	Path   string                 `json:"path"`
	Body   any                    `json:"body,omitempty"` // true, "whole", or absent
	Params map[string]scriptParam `json:"params"`
	Order  string                 `json:"order,omitempty"` // the price list that an order is priced from
	Typed  *scriptTyped           `json:"typed,omitempty"` // it completes what a visitor types
}

type scriptTyped struct {
	Input string `json:"input"`
	Least int    `json:"least"` // characters, else the gate refuses
}

type scriptParam struct {
	In     contract.Location `json:"in"`
	Wire   string            `json:"wire"`
	Filled bool              `json:"filled,omitempty"` // by the gate: "_" stands for it in a path
}

const scriptMark = "/*SITE*/null"

// scripts builds client.js for every site.
func (g *Gate) scripts(f *config.File) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, s := range f.Sites {
		script, err := script(s, f.Catalog)
		if err != nil {
			return nil, fmt.Errorf("client.js of %s: %w", s.Name, err)
		}
		out[s.Name] = script
	}
	return out, nil
}

func script(s *site.Site, catalog config.Catalog) ([]byte, error) {
	table := scriptSite{Connections: map[string]scriptConnection{}}
	table.Connects = s.ConnectNames()
	for name, c := range s.Connections {
		if c.Login != nil {
			table.Logins = append(table.Logins, name)
		}
		if len(c.Browser) == 0 && len(c.Public) == 0 {
			continue
		}
		pack, err := catalog.Find(c.Provider)
		if err != nil {
			return nil, err
		}
		conn := scriptConnection{Public: c.Public, Operations: map[string]scriptOperation{}}
		for id, rule := range c.Browser {
			if op, ok := pack.Contract().Find(id); ok {
				described := describe(op, rule)
				described.Typed = typed(s, pack, id)
				conn.Operations[id] = described
				table.price(rule)
			}
		}
		table.Connections[name] = conn
	}
	if slices.Sort(table.Logins); len(table.Logins) > 0 {
		table.Origins = s.Origins
	}
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw) // escapes <, > and &: the table stands in a script
	if err := enc.Encode(table); err != nil {
		return nil, err
	}
	if strings.Count(web.ClientJS, scriptMark) != 1 {
		return nil, fmt.Errorf("the source has no single %s", scriptMark)
	}
	return []byte(strings.Replace(web.ClientJS, scriptMark, strings.TrimSpace(raw.String()), 1)), nil
}

// price adds the list that a rule takes orders from.
func (t *scriptSite) price(rule *site.BrowserRule) {
	if len(rule.From) == 0 {
		return
	}
	l := rule.From[0].List
	out := scriptPrices{Currency: l.Currency, Decimals: l.Decimals, Items: map[string]scriptItem{}, Shipping: scriptShipping(l.Shipping),
		Order: map[string]int64{"items": l.Pieces}}
	for name, bound := range map[string]int64{"min": l.Min, "max": l.Max} {
		if bound > 0 {
			out.Order[name] = bound
		}
	}
	for _, i := range l.Items {
		out.Items[i.Name] = scriptItem{Amount: i.Amount, Max: i.Max, Title: i.Title}
	}
	if t.Prices == nil {
		t.Prices = map[string]scriptPrices{}
	}
	t.Prices[l.Name] = out
}

func describe(op *contract.Operation, rule *site.BrowserRule) scriptOperation {
	out := scriptOperation{Method: op.Method, Path: op.PathTemplate, Params: map[string]scriptParam{}}
	if op.RequestType != "" {
		out.Body = true
		if p, ok := op.Param("body"); ok && p.In == contract.InBody && len(op.RequestBody().Properties) == 0 {
			out.Body = "whole"
		}
	}
	if len(rule.From) > 0 {
		out.Order = rule.From[0].List.Name
	}
	chosen := chosenRoots(rule)
	for _, p := range op.Params {
		if p.In != contract.InPath && !chosen[p.Name] {
			continue // what a page may not send, it need not know of
		}
		filled := p.Account != "" || slices.ContainsFunc(rule.Sealed, func(s contract.Path) bool { return s.String() == p.Name }) || slices.ContainsFunc(rule.Fixed, func(f site.Fixed) bool { return f.Path.String() == p.Name }) ||
			slices.ContainsFunc(rule.From, func(f site.From) bool { return f.Path.String() == p.Name })
		out.Params[p.Name] = scriptParam{In: p.In, Wire: p.Wire, Filled: filled}
	}
	return out
}

// chosenRoots are the parameters of which a page may choose at least a part.
func chosenRoots(rule *site.BrowserRule) map[string]bool {
	out := map[string]bool{}
	for _, p := range rule.Free {
		out[p.Root()] = true
	}
	for _, p := range rule.Owned {
		out[p.Root()] = true
	}
	for _, c := range rule.OneOf {
		out[c.Path.Root()] = true
	}
	for _, r := range rule.Range {
		out[r.Path.Root()] = true
	}
	return out
}

// typed says how an operation completes what a visitor types; nil: it does not.
func typed(s *site.Site, pack *provider.Pack, operation string) *scriptTyped {
	for _, a := range pack.Guards.Autocomplete {
		if a.Operation != operation {
			continue
		}
		least := 0
		if s.Guards.Autocomplete.Mode != guard.Off {
			least = s.Guards.Autocomplete.MinCharacters
		}
		return &scriptTyped{Input: a.Input, Least: least}
	}
	return nil
}
