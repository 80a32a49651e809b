package types

import (
	"flag"
	"os"
	"strings"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/provider"
	"sallyport/internal/typescript"
)

var update = flag.Bool("update", false, "rewrite docs/reference/sallyport.example.d.ts")

const (
	exampleYAML  = "../../docs/reference/sallyport.example.yaml"
	exampleTypes = "../../docs/reference/sallyport.example.d.ts"
)

// exampleModules are the names under which pages of the documented example import client.js.
var exampleModules = []string{"https://api.shop.example/client.js", "*://api.shop.example:8443/client.js"}

// declare makes the types of the only site, or the named one, of a file.
func declare(t *testing.T, file string, catalog *provider.Catalog, o typescript.Options) string {
	t.Helper()
	f, faults := config.Load(file, catalog)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	made, err := typescript.Declare(f.Sites[0], catalog, o)
	if err != nil {
		t.Fatal(err)
	}
	return string(made.Text)
}

// TestDocumentedExample: the types that stand in the documentation are those of the file beside them.
func TestDocumentedExample(t *testing.T) {
	got := exampleText(t)
	if *update {
		if err := os.WriteFile(exampleTypes, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(exampleTypes)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is out of date; run with -update:\n%s", exampleTypes, got)
	}
}

func exampleText(t *testing.T) string {
	t.Helper()
	return declare(t, exampleYAML, provider.Builtin(), typescript.Options{Modules: exampleModules, Command: "sallyport types shop", Version: "v1.0.0"})
}

// kitchen is a site over a contract with every kind of type.
func kitchen(t *testing.T) string {
	t.Helper()
	catalog, err := provider.Open(os.DirFS("testdata/catalog"))
	if err != nil {
		t.Fatal(err)
	}
	return declare(t, "testdata/pantry.yaml", catalog, typescript.Options{Modules: []string{"*/kitchen/client.js"}, Command: "sallyport types kitchen", Version: "v1.0.0"})
}

// TestTypes compiles every right and every wrong use in one run, and then lets a compiled page call a running gate.
func TestTypes(t *testing.T) {
	p := newProject(t)
	p.add(t, "example.d.ts", exampleText(t))
	p.addFiles(t, "example-")
	p.add(t, "kitchen.d.ts", kitchen(t))
	p.addFiles(t, "kitchen-")
	p.addGuide(t)
	p.addCatalog(t)
	page := p.addPage(t)
	found := p.compile(t)
	p.judge(t, found)
	page(t)
	if n := len(p.expected()); n < 70 {
		t.Errorf("only %d wrong uses were tried", n)
	}
}

// TestSameBytes: the same file gives the same bytes, whatever the order of maps.
func TestSameBytes(t *testing.T) {
	first := kitchen(t)
	for range 20 {
		if kitchen(t) != first {
			t.Fatal("two runs give different types")
		}
	}
	for _, bad := range []string{"\u202e", "*/ alert", "@deprecated Words"} {
		if strings.Contains(first, bad) {
			t.Errorf("the types hold %q of the contract", bad)
		}
	}
}
