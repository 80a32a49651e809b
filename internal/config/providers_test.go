package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/contract"
	"sallyport/internal/importer"
	"sallyport/internal/openapi"
	"sallyport/internal/provider"
	"sallyport/internal/store/compiled"
)

const orders = `{"openapi":"3.0.3","info":{"title":"Orders","version":"1"},"servers":[{"url":"https://api.orders.example"}],"paths":{
	"/orders":{"post":{"operationId":"create-order","requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{"amount":{"type":"integer","minimum":%d}}}}}},"responses":{"200":{"description":"d"}}},
		"get":{"operationId":"list-orders","parameters":[{"name":"q","in":"query","schema":{"type":"string"}}],"responses":{"200":{"description":"d"}}}}}}`

// putOrders imports a small description into the folder beside a file.
func putOrders(t *testing.T, folder, id string, minimum int) {
	t.Helper()
	d, err := openapi.Read("orders.json", fmt.Appendf(nil, orders, minimum), openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	made, err := importer.Import(d, importer.Options{File: "orders.json", ID: id, Operations: []string{"all"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(folder, id), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"pack.json": made.Pack, "contract.json": made.Contract} {
		if err := os.WriteFile(filepath.Join(folder, id, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const ordersFile = `version: 1
listen: {public: "127.0.0.1:8443", tls: off}
%s
sites:
  shop:
    connections:
      orders: {provider: %s, mode: mock, backend: %s}
`

// counted is a cache that counts.
type counted struct {
	contract.Cache
	hits, stores int
}

func (c *counted) Load(key string) ([]byte, bool) {
	data, ok := c.Cache.Load(key)
	if ok {
		c.hits++
	}
	return data, ok
}

func (c *counted) Store(key string, data []byte) {
	c.stores++
	c.Cache.Store(key, data)
}

func TestImportedProviders(t *testing.T) {
	dir := t.TempDir()
	put := func(extra, id, backend string) string {
		path := filepath.Join(dir, "sallyport.yaml")
		if err := os.WriteFile(path, fmt.Appendf(nil, ordersFile, extra, id, backend), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	putOrders(t, filepath.Join(dir, "providers"), "orders", 1)
	putOrders(t, filepath.Join(dir, "elsewhere"), "other", 1)
	putOrders(t, filepath.Join(dir, "taken"), "stripe", 1)
	for _, row := range []struct{ name, extra, id, backend, fault string }{
		{"beside the file", "", "orders", "all", ""},
		{"of the catalog too", "", "stripe", "[list-prices]", ""},
		{"in another folder", "providers: ./elsewhere", "other", "[create-order]", ""},
		{"not in that folder", "providers: ./elsewhere", "orders", "all", `the catalog has no provider "orders"`},
		{"no such folder", "providers: ./none", "stripe", "[list-prices]", "cannot be read: no such file"},
		{"a file", "providers: ./sallyport.yaml", "stripe", "[list-prices]", "it is not a folder"},
		{"an id of the catalog", "providers: ./taken", "stripe", "[list-prices]", "has the id of a provider that the catalog has already"},
		{"an unknown operation", "", "orders", "[drop-orders]", "drop-orders"},
	} {
		t.Run(row.name, func(t *testing.T) {
			file, faults := Load(put(row.extra, row.id, row.backend), provider.Builtin())
			if row.fault == "" {
				if len(faults) > 0 {
					t.Fatal(faults)
				}
				if pack, err := file.Catalog.Find(row.id); err != nil || len(pack.Contract().Operations()) < 2 {
					t.Errorf("the file's catalog: %v", err)
				}
				return
			}
			text := fmt.Sprint(faults)
			if !strings.Contains(text, row.fault) {
				t.Errorf("faults %s, want %s", text, row.fault)
			}
		})
	}
}

// TestCompiledContractsAreKept: the second start takes what the first compiled, a changed source is
// compiled again, and a spoilt entry is too.
func TestCompiledContractsAreKept(t *testing.T) {
	dir := t.TempDir()
	putOrders(t, filepath.Join(dir, "providers"), "orders", 1)
	path := filepath.Join(dir, "sallyport.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, ordersFile, "", "orders", "[create-order]"), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(hits, stores int) {
		t.Helper()
		var cache *counted
		catalog := provider.Builtin().Keep(func(dir string) contract.Cache {
			cache = &counted{Cache: compiled.New(dir, nil)}
			return cache
		})
		file, faults := Load(path, catalog)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if cache.hits != hits || cache.stores != stores {
			t.Errorf("%d hits and %d stores, want %d and %d", cache.hits, cache.stores, hits, stores)
		}
		pack, err := file.Catalog.Find("orders")
		if err != nil {
			t.Fatal(err)
		}
		op, _ := pack.Contract().Find("create-order")
		for amount, want := range map[string]bool{"5": true, "0": false} {
			args, _, err := op.Parse(contract.Input{Path: "/orders", ContentType: "application/json", Body: []byte(`{"amount":` + amount + `}`)})
			if err != nil {
				t.Fatal(err)
			}
			if faults := op.Check(args); (len(faults) == 0) != want {
				t.Errorf("amount %s: %v", amount, faults)
			}
		}
	}
	start(0, 1)
	start(1, 0)
	entries, err := filepath.Glob(filepath.Join(dir, "data", "cache", "contracts", "*"))
	if err != nil || len(entries) != 1 {
		t.Fatalf("entries %v: %v", entries, err)
	}
	if err := os.WriteFile(entries[0], []byte("spoilt"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(0, 1)
	start(1, 0)
	putOrders(t, filepath.Join(dir, "providers"), "orders", 2)
	start(0, 1)
	start(1, 0)
}

func TestCalledOperations(t *testing.T) {
	c := &collector{file: "f"}
	root := c.document([]byte(`
sites:
  a: {connections: {x: {provider: p, browser: {one: {}}, backend: [two]}, y: {provider: q, backend: all}, n: {provider: none}}}
  b: {connections: {x: {provider: p, backend: three}, y: {provider: q, browser: {one: {}}}}}
`))
	got := called(root)
	if p := got["p"]; !slices.Equal(p, []string{"one", "two", "three"}) {
		t.Errorf("p: %v", p)
	}
	if q, ok := got["q"]; !ok || q != nil {
		t.Errorf("q: %v %v", q, ok)
	}
	if n, ok := got["none"]; !ok || n == nil || len(n) > 0 {
		t.Errorf("none: %v %v", n, ok)
	}
}
