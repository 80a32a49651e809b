package schema

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/tape"
)

// parse reads JSON text into a new tape.
func parse(t testing.TB, text string) *tape.Tape {
	t.Helper()
	tp := &tape.Tape{}
	lim := tape.Limits{Exponent: 1 << 20, Digits: 1 << 12, Depth: 1 << 10, Elements: 1 << 20}
	if err := tp.Parse([]byte(text), lim); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return tp
}

func compileText(t testing.TB, text string, cfg Config) (*Program, ID) {
	t.Helper()
	c := NewCompiler(parse(t, text), "https://schemas.example/root.json", cfg)
	id, err := c.Compile(0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Finish()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p, id
}

// remotes are the suite's documents that are referred to by URI.
func remotes(t testing.TB) func(uri string) (*tape.Tape, error) {
	root := filepath.Join(moduleDir(t, requiredModule), requiredFolder)
	return func(uri string) (*tape.Tape, error) {
		path, local := strings.CutPrefix(uri, "http://localhost:1234/")
		file := filepath.Join(root, "remotes", filepath.FromSlash(path))
		if !local {
			rest, meta := strings.CutPrefix(uri, "https://json-schema.org/draft/2020-12/")
			if !meta {
				return nil, fmt.Errorf("no such document")
			}
			file = filepath.Join(root, "..", "meta-schemas", "draft2020-12", rest+".json")
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		tp := &tape.Tape{}
		return tp, tp.Parse(text, tape.Limits{})
	}
}

// TestSuiteExplained: in the official suite, faults are told exactly where a value does not fit.
func TestSuiteExplained(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(moduleDir(t, requiredModule), requiredFolder, "draft2020-12/*.json"))
	if len(files) < 40 {
		t.Fatalf("%d files", len(files))
	}
	cases, vague := 0, 0
	for _, file := range files {
		for _, g := range readSuite(t, file) {
			c := NewCompiler(parse(t, string(g.Schema)), "https://schemas.example/root.json", Config{Documents: remotes(t)})
			id, err := c.Compile(0)
			var p *Program
			if err == nil {
				p, err = c.Finish()
			}
			if err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(file), g.Description, err)
				continue
			}
			m := p.Get()
			for _, tt := range g.Tests {
				cases++
				sameRead(t, p, id, tt.Data, tape.Limits{Exponent: 1 << 20, Digits: 1 << 12})
				want := Invalid
				if tt.Valid {
					want = Valid
				}
				got := m.Check(parse(t, string(tt.Data)), 0, id, Strict)
				if got != want {
					t.Errorf("%s: %s: %s: %s is %v, want %v", filepath.Base(file), g.Description, tt.Description, tt.Data, got, want)
				}
				faults := m.Explain(Everything(), 20)
				if (len(faults) == 0) != tt.Valid {
					t.Errorf("%s: %s: %s: %s has %d faults", filepath.Base(file), g.Description, tt.Description, tt.Data, len(faults))
				}
				for _, f := range faults {
					if f.Rule == "schema" {
						vague++
						t.Logf("%s: %s: %s: %s", filepath.Base(file), g.Description, tt.Description, tt.Data)
					}
				}
			}
			m.Put()
		}
	}
	t.Logf("%d cases, %d told vaguely", cases, vague)
}
