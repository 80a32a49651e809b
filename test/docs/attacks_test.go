package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// testFiles are the parsed test files of one package.
type testFiles struct {
	functions map[string][]*ast.FuncDecl // methods of different types may share a name
	values    map[string]ast.Node        // package-level constants and variables
}

// proof is one test that a row of the page names, with the rows that it names of it.
type proof struct {
	folder, function string
	rows             []string
}

var (
	span     = regexp.MustCompile("`([^`]+)`")
	testName = regexp.MustCompile(`^([a-z0-9]+)\.((?:Test|Fuzz)[A-Za-z0-9_]+)$`)
)

// proofs reads the last cell of a row: `package.TestName`, then names of its rows.
func proofs(cell string) ([]proof, error) {
	var all []proof
	for _, m := range span.FindAllStringSubmatch(cell, -1) {
		if name := testName.FindStringSubmatch(m[1]); name != nil {
			all = append(all, proof{folder: name[1], function: name[2]})
			continue
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("%q stands before any `package.TestName`", m[1])
		}
		all[len(all)-1].rows = append(all[len(all)-1].rows, m[1])
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no `package.TestName`")
	}
	return all, nil
}

// suites parses each package once.
type suites map[string]*testFiles

func (s suites) load(folder string) (*testFiles, error) {
	if s[folder] != nil {
		return s[folder], nil
	}
	dir := filepath.Join(root, "internal", folder)
	if _, err := os.Stat(dir); err != nil {
		dir = filepath.Join(root, "test", folder)
		if below, err := filepath.Glob(filepath.Join(root, "internal", "*", folder)); err == nil && len(below) == 1 {
			dir = below[0]
		}
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("package %s has no tests in internal or test: %v", folder, err)
	}
	f := &testFiles{functions: map[string][]*ast.FuncDecl{}, values: map[string]ast.Node{}}
	for _, path := range paths {
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		f.add(parsed)
	}
	s[folder] = f
	return f, nil
}

func (f *testFiles) add(file *ast.File) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			f.functions[d.Name.Name] = append(f.functions[d.Name.Name], d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					for _, name := range v.Names {
						f.values[name.Name] = v
					}
				}
			}
		}
	}
}

// literals are the strings, and the words of strings, in a test and in what it uses of its
// package, functions and tables.
func (f *testFiles) literals(function string) map[string]bool {
	found, done := map[string]bool{}, map[ast.Node]bool{}
	var walk func(n ast.Node)
	use := func(name string) {
		for _, d := range f.functions[name] {
			walk(d)
		}
		if v := f.values[name]; v != nil {
			walk(v)
		}
	}
	walk = func(n ast.Node) {
		if done[n] {
			return
		}
		done[n] = true
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				use(n.Name)
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					found[text] = true
					for word := range strings.FieldsSeq(text) {
						found[word] = true
					}
				}
			}
			return true
		})
	}
	use(function)
	return found
}

// check says what is wrong with the last cell of a row.
func (s suites) check(cell string) []string {
	all, err := proofs(cell)
	if err != nil {
		return []string{err.Error()}
	}
	var wrong []string
	for _, p := range all {
		f, err := s.load(p.folder)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		if len(f.functions[p.function]) == 0 {
			wrong = append(wrong, fmt.Sprintf("there is no %s in package %s", p.function, p.folder))
			continue
		}
		literals := f.literals(p.function)
		for _, row := range p.rows {
			if !literals[row] {
				wrong = append(wrong, fmt.Sprintf("%s.%s has no row %q", p.folder, p.function, row))
			}
		}
	}
	return wrong
}

// cells are the cells of a line of a table, or nil. A vertical bar in a code span counts
// as text.
func cells(line string) []string {
	if !strings.HasPrefix(line, "| ") || !strings.HasSuffix(line, " |") {
		return nil
	}
	var out []string
	for _, c := range strings.Split(strings.Trim(line, "|"), " | ") {
		out = append(out, strings.TrimSpace(c))
	}
	return out
}

// TestAttacks holds docs/reference/attacks.md against the tests that it names.
func TestAttacks(t *testing.T) {
	p := readPage(t, filepath.Join(root, "docs/reference/attacks.md"))
	all, section, rows := suites{}, "", map[string]int{}
	for i, line := range strings.Split(p.text, "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section, _, _ = strings.Cut(title, " ")
		}
		row := cells(line)
		if row == nil || row[0] == "attack" {
			continue
		}
		if len(row) != 4 || row[0] == "" || row[1] == "" || row[2] == "" {
			t.Errorf("%s:%d: %d cells, want attack, required, the gate, shown by", p.name, i+1, len(row))
			continue
		}
		rows[section]++
		for _, wrong := range all.check(row[3]) {
			t.Errorf("%s:%d: %s: %s", p.name, i+1, row[0], wrong)
		}
	}
	for section, least := range map[string]int{"5.1": 23, "5.2": 19, "5.3": 16, "5.4": 7, "5.5": 11, "5.6": 12, "5.7": 20} {
		if rows[section] < least {
			t.Errorf("section %s has %d rows, want %d or more", section, rows[section], least)
		}
	}
	t.Logf("rows by section: %v", rows)
}

// TestAttacksFindsLies makes sure that a test or a row that does not exist is found.
func TestAttacksFindsLies(t *testing.T) {
	all := suites{}
	for cell, good := range map[string]bool{
		"`docs.TestAttacksFindsLies`": true, "`docs.TestAttacksFindsLies` `lies and truth`": true, "`docs.TestAttacksFindsLies` `truth`": true,
		"`docs.TestNothing`": false, "`nowhere.TestAttacks`": false, "`docs.TestLinks` `lies and truth`": false, "`docs.testFiles`": false,
		"": false, "by eye": false, "`lies and truth` `docs.TestAttacks`": false, "`docs.TestAttacksFindsLies` `lies` and `nothing but` `" + "li" + "ars`": false,
	} {
		if wrong := all.check(cell); (len(wrong) == 0) != good {
			t.Errorf("%s: %v", cell, wrong)
		}
	}
	_ = "lies and truth"
}
