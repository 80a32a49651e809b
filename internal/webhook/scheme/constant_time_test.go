package scheme_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// TestOnlyConstantTimeComparisons reads the package's source: nothing in it compares bytes or texts
// with a function that stops at the first difference, and what is compared as text with == or != is
// on the list, none of it a signature or a secret.
func TestOnlyConstantTimeComparisons(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		src, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		found, constant := comparisons(t, f.Name(), src)
		for _, problem := range found {
			t.Error(problem)
		}
		for _, c := range constant {
			seen[c] = true
		}
	}
	for _, name := range []string{"hmac.Equal", "subtle.ConstantTimeCompare"} {
		if !seen[name] {
			t.Errorf("%s is used nowhere: the test looks in the wrong place", name)
		}
	}
}

// TestComparisonsAreFound shows that the rule finds what it forbids.
func TestComparisonsAreFound(t *testing.T) {
	for _, body := range []string{
		"return bytes.Equal(want, given)", "return string(want) == string(given)", "return string(want) != x", "return slices.Equal(want, given)",
		"return strings.EqualFold(sig, x)", "return hex.EncodeToString(want) == x", "return *want == *given", "return reflect.DeepEqual(want, given)", "return bytes.Compare(want, given) == 0",
		"switch string(want) { case x: return true }; return false", "return m.Sum(nil)[0] == 1", "return sum == other", "return token == other", "return bytes.HasPrefix(want, given)",
	} {
		src := "package p\nfunc f() bool { " + body + " }\n"
		if found, _ := comparisons(t, "p.go", []byte(src)); len(found) == 0 {
			t.Errorf("not found: %s", body)
		}
	}
}

// leaky are functions that stop at the first difference.
var leaky = map[string]bool{"bytes.Equal": true, "bytes.Compare": true, "bytes.EqualFold": true, "bytes.HasPrefix": true, "bytes.Contains": true, "slices.Equal": true, "slices.Compare": true,
	"reflect.DeepEqual": true, "strings.EqualFold": true, "strings.Compare": true}

// harmless are leaky calls on what is public: the name of an authorization scheme, a parameter of
// the file, the scheme of an address.
var harmless = map[string]bool{`strings.EqualFold(scheme, "Basic")`: true, `strings.EqualFold(scheme, "Bearer")`: true, `strings.EqualFold(v, is)`: true, `strings.EqualFold(a.scheme, "https://")`: true}

// sensitive are names under which a signature, a MAC or a secret goes in this package.
var sensitive = map[string]bool{"want": true, "given": true, "sig": true, "sum": true, "mac": true, "macs": true, "m": true, "key": true, "keys": true, "token": true, "g": true, "k": true,
	"secret": true, "text": true, "hash": true, "Hash": true, "body": true}

func comparisons(t *testing.T, name string, src []byte) (found, constant []string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := func(n ast.Node) string { return string(src[set.Position(n.Pos()).Offset:set.Position(n.End()).Offset]) }
	report := func(n ast.Node) { found = append(found, set.Position(n.Pos()).String()+": "+text(n)) }
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			switch f := text(n.Fun); {
			case f == "hmac.Equal" || f == "subtle.ConstantTimeCompare":
				constant = append(constant, f)
			case leaky[f] && !harmless[text(n)]:
				report(n)
			}
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && !plain(n.X) && !plain(n.Y) && (derived(n.X) || derived(n.Y)) {
				report(n)
			}
		case *ast.SwitchStmt:
			if n.Tag != nil && derived(n.Tag) {
				report(n.Tag)
			}
		}
		return true
	})
	return found, constant
}

// plain is what tells nothing: a number, a constant text, nil, a length.
func plain(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING || e.Kind == token.CHAR
	case *ast.Ident:
		return e.Name == "nil" || e.Name == "true" || e.Name == "false"
	case *ast.CallExpr:
		f, ok := e.Fun.(*ast.Ident)
		return ok && f.Name == "len"
	}
	return false
}

// derived is what may come of a signature: a name of one, bytes made text, an encoding, a hash.
func derived(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return sensitive[e.Name]
	case *ast.StarExpr:
		return derived(e.X)
	case *ast.ParenExpr:
		return derived(e.X)
	case *ast.IndexExpr:
		return derived(e.X)
	case *ast.SliceExpr:
		return derived(e.X)
	case *ast.SelectorExpr:
		return sensitive[e.Sel.Name]
	case *ast.CallExpr:
		switch f := e.Fun.(type) {
		case *ast.Ident:
			return f.Name == "string" || f.Name == "mac" || f.Name == "lowerHex"
		case *ast.SelectorExpr:
			return f.Sel.Name == "EncodeToString" || f.Sel.Name == "Sum" || f.Sel.Name == "Expose" || strings.HasPrefix(f.Sel.Name, "Sum")
		}
	}
	return false
}
