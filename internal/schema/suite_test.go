package schema

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "cuelang.org/go/cue/token"                   // so that the module, whose testdata is read, stays in go.mod
	_ "github.com/google/jsonschema-go/jsonschema" // the same
)

// The official JSON-Schema-Test-Suite comes with two modules that nothing but tests needs: one has
// the required cases with the remote documents, the other has the optional cases too.
const (
	requiredModule = "github.com/google/jsonschema-go"
	requiredFolder = "jsonschema/testdata"
	optionalModule = "cuelang.org/go"
	optionalFolder = "encoding/jsonschema/testdata/external/tests"
)

// suiteGroup is a schema with values, as the suite writes it.
type suiteGroup struct {
	Description string
	Schema      json.RawMessage
	Tests       []suiteCase
}

type suiteCase struct {
	Description string
	Data        json.RawMessage
	Valid       bool
}

var moduleDirs sync.Map

// moduleDir is where the go command keeps a module's files. They are there wherever this test
// could be compiled, because it imports a package of the module.
func moduleDir(t testing.TB, module string) string {
	t.Helper()
	if dir, ok := moduleDirs.Load(module); ok {
		return dir.(string)
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Fatalf("module %s is not in the module cache: %v", module, err)
	}
	moduleDirs.Store(module, dir)
	return dir
}

func readSuite(t testing.TB, file string) []suiteGroup {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var groups []suiteGroup
	if err := json.Unmarshal(text, &groups); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(groups) == 0 {
		t.Fatalf("%s has no cases", file)
	}
	return groups
}

// TestFormatsOfTheSuite holds every format of JSON Schema against the suite's optional cases.
func TestFormatsOfTheSuite(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(moduleDir(t, optionalModule), optionalFolder, "draft2020-12/optional/format/*.json"))
	if len(files) < 20 {
		t.Fatalf("%d files of formats", len(files))
	}
	seen := map[string]int{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		rule, known := formatNamed(name, false)
		if name == "unknown" {
			continue
		}
		if !known {
			t.Errorf("no format %s", name)
			continue
		}
		for _, g := range readSuite(t, file) {
			for _, c := range g.Tests {
				var text string
				if json.Unmarshal(c.Data, &text) != nil || string(c.Data) == "null" {
					continue
				}
				seen[name]++
				if got := rule.format.fitsString([]byte(text)); got != c.Valid {
					t.Errorf("%s: %s: %q: %v, want %v", name, c.Description, text, got, c.Valid)
				}
			}
		}
	}
	for _, r := range formatRules() {
		if !r.openAPI && seen[r.name] == 0 {
			t.Errorf("no case for %s", r.name)
		}
	}
	t.Logf("cases of each format: %v", seen)
}
