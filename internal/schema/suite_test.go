package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/tape"

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
	judgeModule    = "github.com/santhosh-tekuri/jsonschema/v6"
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

// leftOut is a case of the suite that this engine decides differently, on purpose.
type leftOut struct {
	file   string // below draft2020-12
	group  string // description; empty: all of the file
	reason string
}

// leftOuts is the table of docs/reference/json-schema.md. TestOfficialSuite fails for an entry that
// would pass.
func leftOuts() []leftOut {
	return []leftOut{
		{"optional/cross-draft.json", "", "a schema of draft 2019-09 behind a $ref: only draft 2020-12 and OpenAPI's dialects are read"},
		{"optional/dependencies-compatibility.json", "", "`dependencies` is of draft 7; 2020-12 has `dependentRequired` and `dependentSchemas`. In OpenAPI documents it is refused by name"},
		{"optional/format-assertion.json", "", "formats bind by mode (requests) or by the caller's choice, never by the vocabulary of a metaschema"},
	}
}

// suiteFiles are the suite's files by their path below draft2020-12: the required ones of one module, and what only
// the other has. Formats have a test of their own.
func suiteFiles(t testing.TB) map[string]string {
	files := map[string]string{}
	for _, root := range []string{
		filepath.Join(moduleDir(t, requiredModule), requiredFolder, "draft2020-12"),
		filepath.Join(moduleDir(t, optionalModule), optionalFolder, "draft2020-12"),
	} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
				return err
			}
			name, _ := filepath.Rel(root, path)
			if name = filepath.ToSlash(name); files[name] == "" {
				files[name] = path
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// suiteDocuments gives the suite's remote documents, which it expects at http://localhost:1234/, and the metaschemas.
func suiteDocuments(t testing.TB) func(uri string) (*tape.Tape, error) {
	remotes := filepath.Join(moduleDir(t, requiredModule), requiredFolder, "remotes")
	return func(uri string) (*tape.Tape, error) {
		var text []byte
		var err error
		if path, ok := strings.CutPrefix(uri, "http://localhost:1234/"); ok {
			text, err = os.ReadFile(filepath.Join(remotes, filepath.FromSlash(path)))
		} else {
			text, err = metaschema(t, uri)
		}
		if err != nil {
			return nil, err
		}
		doc := new(tape.Tape)
		return doc, doc.Parse(text, tape.Limits{})
	}
}

// metaschema gives a document of json-schema.org, from the module that is our independent judge.
func metaschema(t testing.TB, uri string) ([]byte, error) {
	path, ok := strings.CutPrefix(uri, "https://json-schema.org/")
	if !ok {
		path, ok = strings.CutPrefix(uri, "http://json-schema.org/")
	}
	if !ok {
		return nil, fmt.Errorf("no document %s", uri)
	}
	return os.ReadFile(filepath.Join(moduleDir(t, judgeModule), "metaschemas", filepath.FromSlash(path)))
}

type suiteTally struct{ files, cases, left int }

// TestOfficialSuite runs the official JSON-Schema-Test-Suite for draft 2020-12, with the optional cases.
func TestOfficialSuite(t *testing.T) {
	files := suiteFiles(t)
	documents := suiteDocuments(t)
	tally := suiteTally{}
	skipped := map[leftOut]bool{}
	for _, l := range leftOuts() {
		skipped[l] = false
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		tally.files++
		formats := strings.HasPrefix(name, "optional/format/") || name == "optional/ecmascript-regex.json"
		for _, g := range readSuite(t, files[name]) {
			bad := runGroup(t, g, Config{Documents: documents, AssertFormats: formats})
			left := findLeftOut(name, g.Description)
			tally.cases += len(g.Tests)
			switch {
			case left != nil:
				tally.left += len(bad)
				skipped[*left] = skipped[*left] || len(bad) > 0
			case len(bad) > 0:
				t.Errorf("%s: %s: %s", name, g.Description, strings.Join(bad, "; "))
			}
		}
	}
	for l, differs := range skipped {
		if !differs {
			t.Errorf("%s: %s: is left out and would pass", l.file, l.group)
		}
	}
	if tally.cases < 1800 {
		t.Errorf("only %d cases were found", tally.cases)
	}
	t.Logf("%d files, %d cases, %d left out", tally.files, tally.cases, tally.left)
}

func findLeftOut(file, group string) *leftOut {
	for _, l := range leftOuts() {
		if l.file == file && (l.group == "" || l.group == group) {
			return &l
		}
	}
	return nil
}

// runGroup gives the cases that came out wrong.
func runGroup(t testing.TB, g suiteGroup, conf Config) (bad []string) {
	doc := new(tape.Tape)
	if err := doc.Parse(g.Schema, tape.Limits{}); err != nil {
		return []string{"schema: " + err.Error()}
	}
	c := NewCompiler(doc, "https://test.example/suite.json", conf)
	id, err := c.Compile(0)
	if err != nil {
		return []string{"compile: " + err.Error()}
	}
	p, err := c.Finish()
	if err != nil {
		return []string{"finish: " + err.Error()}
	}
	for _, k := range g.Tests {
		value := new(tape.Tape)
		if err := value.Parse(k.Data, tape.Limits{Exponent: 1000}); err != nil {
			bad = append(bad, k.Description+": value: "+err.Error())
			continue
		}
		m := p.Get()
		want := Invalid
		if k.Valid {
			want = Valid
		}
		if got := m.Check(value, 0, id, Strict); got != want {
			bad = append(bad, fmt.Sprintf("%s: %v, want %v", k.Description, got, want))
		}
		m.Put()
	}
	return bad
}
