package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/arch"
)

const module = "sallyport/internal/"

// source is one non-test file of internal/, with its package path below internal/.
type source struct {
	pkg  string
	file string
	tree *ast.File
}

// suite says whether a package is a conformance suite: test code that other packages'
// tests import.
func suite(pkg string) bool { return strings.HasSuffix(pkg, "test") }

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	fset := token.NewFileSet()
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		tree, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(name)), "../")
		out = append(out, source{pkg: pkg, file: name, tree: tree})
		return nil
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("read sources: %v (%d files)", err, len(out))
	}
	return out
}

func imports(s source) []string {
	var out []string
	for _, imp := range s.tree.Imports {
		p, _ := strconv.Unquote(imp.Path.Value)
		out = append(out, p)
	}
	return out
}

func TestArrowsPointDown(t *testing.T) {
	rings, edges := arch.Packages(), arch.Edges()
	for _, s := range sources(t) {
		ring, known := rings[s.pkg]
		if !known {
			t.Errorf("%s: package %s has no ring; give it one in arch.Packages", s.file, s.pkg)
			continue
		}
		for _, p := range imports(s) {
			other, ours := strings.CutPrefix(p, module)
			if !ours || other == s.pkg {
				continue
			}
			switch to := rings[other]; {
			case to > ring:
				t.Errorf("%s: ring %d (%s) imports ring %d (%s); arrows point down only", s.file, ring, s.pkg, to, other)
			case to == ring && !slices.Contains(edges[s.pkg], other):
				t.Errorf("%s: %s imports %s in its own ring; list the edge in arch.Edges or turn it round", s.file, s.pkg, other)
			}
		}
	}
}

func TestEdgesAreAcyclic(t *testing.T) {
	edges := arch.Edges()
	var visit func(string, []string)
	visit = func(p string, above []string) {
		if slices.Contains(above, p) {
			t.Fatalf("cycle: %s", strings.Join(append(above, p), " → "))
		}
		for _, q := range edges[p] {
			visit(q, append(above, p))
		}
	}
	for p := range edges {
		visit(p, nil)
	}
}

func TestEdgesNeverImportEachOther(t *testing.T) {
	for _, s := range sources(t) {
		if arch.Packages()[s.pkg] != 3 {
			continue
		}
		for _, p := range imports(s) {
			if other, ours := strings.CutPrefix(p, module); ours && other != s.pkg && arch.Packages()[other] == 3 {
				t.Errorf("%s: edge %s imports edge %s", s.file, s.pkg, other)
			}
		}
	}
}

func allowed(pkg string, only []string) bool {
	return slices.ContainsFunc(only, func(o string) bool {
		if sub, ok := strings.CutSuffix(o, "/..."); ok {
			return strings.HasPrefix(pkg, sub+"/")
		}
		return o == pkg
	})
}

func TestWalls(t *testing.T) {
	for _, s := range sources(t) {
		imported := imports(s)
		for _, r := range arch.Rules() {
			if allowed(s.pkg, r.Only) {
				continue
			}
			if slices.Contains(imported, r.What) || slices.ContainsFunc(imported, func(p string) bool { return strings.HasPrefix(p, r.What+"/") && strings.Contains(r.What, ".") }) {
				t.Errorf("%s: imports %s: %s", s.file, r.What, r.Reason)
			}
			pkg, name, ok := strings.Cut(r.What, ".")
			if ok && !strings.Contains(r.What, "/") && uses(s, pkg, name) {
				t.Errorf("%s: uses %s: %s", s.file, r.What, r.Reason)
			}
		}
	}
}

func uses(s source, pkg, name string) bool {
	found := false
	ast.Inspect(s.tree, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == pkg && sel.Sel.Name == name {
			found = true
		}
		return true
	})
	return found
}

// TestExposeHasFewCallers keeps the places that can see a secret's bytes countable.
func TestExposeHasFewCallers(t *testing.T) {
	may := []string{"secret", "secret/seal", "secret/age", "outbound", "oauth", "authcode", "webhook/scheme", "login", "grant", "secret/env", "secret/file", "secret/keystore", "secret/hashivault", "session", "audit", "app", "store/sqlite", "store/postgres", "store/redis", "cli", "demo"}
	for _, s := range sources(t) {
		if slices.Contains(may, s.pkg) {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Expose" {
				t.Errorf("%s: calls Expose; the packages that may see a secret are listed in this test", s.file)
			}
			return true
		})
	}
}

func TestNoInitNoMutableGlobals(t *testing.T) {
	for _, s := range sources(t) {
		if suite(s.pkg) {
			continue
		}
		for _, d := range s.tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: has init(); register nothing behind the reader's back", s.file)
			}
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for i, name := range v.Names {
					if name.Name == "_" || constantLike(v, i) || embedded(g) {
						continue
					}
					t.Errorf("%s: package variable %s can change; make it a function, a constant or a field", s.file, name.Name)
				}
			}
		}
	}
}

// constantLike accepts values that are only ever read: errors, compiled patterns, tables.
func constantLike(v *ast.ValueSpec, i int) bool {
	if i >= len(v.Values) {
		return false
	}
	switch x := v.Values[i].(type) {
	case *ast.CompositeLit, *ast.FuncLit, *ast.BasicLit, *ast.BinaryExpr, *ast.UnaryExpr, *ast.Ident, *ast.SelectorExpr:
		return true
	case *ast.CallExpr:
		switch f := x.Fun.(type) {
		case *ast.SelectorExpr:
			return slices.Contains([]string{"New", "MustCompile", "MustParsePrefix", "MustParseAddr", "MakeTable", "Must", "Errorf", "NewReplacer", "Strict", "WithPadding", "OnceValue", "OnceValues", "Sub", "SumString", "MustParse"}, f.Sel.Name)
		case *ast.ArrayType, *ast.Ident, *ast.FuncLit:
			return true
		}
	}
	return false
}

func embedded(g *ast.GenDecl) bool {
	return g.Doc != nil && slices.ContainsFunc(g.Doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed") })
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	doc := map[string]int{}
	for _, s := range sources(t) {
		n := doc[s.pkg]
		if s.tree.Doc != nil {
			n = max(n, len(s.tree.Doc.Text()))
		}
		doc[s.pkg] = n
	}
	for pkg, n := range doc {
		if n < 80 && !suite(pkg) {
			t.Errorf("package %s: its doc comment has %d characters; say what it is for, what it guarantees, what it does not do", pkg, n)
		}
		for _, bad := range []string{"util", "utils", "common", "models", "manager", "helpers"} {
			if path.Base(pkg) == bad {
				t.Errorf("package %s: the name says nothing", pkg)
			}
		}
	}
}

// TestNoProviderNames: code never branches on a provider's name.
func TestNoProviderNames(t *testing.T) {
	names := []string{"stripe", "paypal", "google-signin", "facebook-login", "google-maps", "twilio", "vonage", "zigpoll", "turnstile", "hcaptcha"}
	for _, s := range sources(t) {
		if suite(s.pkg) || s.pkg == "demo" { // the tour shows these providers; it is data in Go clothes
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				v, _ := strconv.Unquote(lit.Value)
				if slices.Contains(names, v) {
					t.Errorf("%s: names provider %q; a provider is data, code never branches on it", s.file, v)
				}
			}
			return true
		})
	}
}
