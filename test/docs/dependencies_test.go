package docs

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

var listed = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\|$")

// TestDependencies holds docs/dependencies.md against go.mod and test/package.json, both ways.
func TestDependencies(t *testing.T) {
	p := readPage(t, filepath.Join(root, "docs/dependencies.md"))
	goPart, nodePart, ok := strings.Cut(p.text, "\n## Node")
	if !ok {
		t.Fatal("the page has no part for Node")
	}
	compare(t, "go.mod", direct(t), names(t, goPart))
	compare(t, "test/package.json", node(t), names(t, nodePart))
}

func names(t *testing.T, part string) []string {
	t.Helper()
	var all []string
	for _, m := range listed.FindAllStringSubmatch(part, -1) {
		all = append(all, m[1])
	}
	if len(all) != len(slices.Compact(slices.Sorted(slices.Values(all)))) {
		t.Errorf("a name stands twice: %v", all)
	}
	return all
}

func compare(t *testing.T, file string, want, got []string) {
	t.Helper()
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("%s requires %s, and docs/dependencies.md does not say why", file, name)
		}
	}
	for _, name := range got {
		if !slices.Contains(want, name) {
			t.Errorf("docs/dependencies.md speaks of %s, and %s does not require it directly", name, file)
		}
	}
}

// direct are the modules that go.mod requires directly, and those that hold its tools.
func direct(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := modfile.Parse("go.mod", raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range file.Require {
		tool := slices.ContainsFunc(file.Tool, func(one *modfile.Tool) bool {
			return one.Path == r.Mod.Path || strings.HasPrefix(one.Path, r.Mod.Path+"/")
		})
		if !r.Indirect || tool {
			all = append(all, r.Mod.Path)
		}
	}
	return all
}

func node(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "test/package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Dependencies, DevDependencies map[string]string }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	return slices.AppendSeq(slices.Collect(maps.Keys(file.Dependencies)), maps.Keys(file.DevDependencies))
}
