package contract

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// builtinContracts reads every contract of the catalog.
func builtinContracts(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../provider/builtin/*/contract.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no contracts found: %v", err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(filepath.Dir(f))] = data
	}
	return out
}

func TestBuiltinContractsLoad(t *testing.T) {
	all := builtinContracts(t)
	start := time.Now()
	for name, data := range all {
		d, err := Load(name+"/contract.json", data)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for _, o := range d.Operations() {
			if op, _ := d.Route(o.Method, o.PathTemplate); op == nil {
				t.Errorf("%s %s: its own template is not routed", name, o.ID)
			}
		}
	}
	t.Logf("%d contracts in %v", len(all), time.Since(start))
}

func BenchmarkLoadBuiltin(b *testing.B) {
	all := builtinContracts(b)
	for b.Loop() {
		for name, data := range all {
			if _, err := Load(name, data); err != nil {
				b.Fatal(err)
			}
		}
	}
}
