// Package docs tests what README.md and docs/guide say: every fenced example is run against the real binary or
// checked, every link leads somewhere, and docs/dependencies.md agrees with go.mod.
//
// The language of a fence decides what is done with it:
//
//	sh       run, all blocks of a page in one shell, in a folder with the page's sallyport.yaml
//	console  the same; after a line `$ command` stands what it prints, where … is any text
//	yaml     loaded as sallyport.yaml, a fragment after it was put where it belongs
//	json     parsed
//	js, html checked by node
//	ts       compiled by test/types, with the types of the documented example
//	go       parsed
//	php      read by php, python by python3
//	ini      a systemd unit: known sections and keys, and a command that exists
//	text     shown, nothing more
//
// A comment line `<!-- file NAME -->` before a block says that it is a file of that name in the page's folder, where
// the helpers of backend/ stand as well. A comment line `<!-- server -->` before an sh block says that it needs a server, root or a name: it is not run,
// but its syntax, and each sallyport command and flag in it, are checked. A fence that none of this decides fails.
package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// fence is one fenced block of a page.
type fence struct {
	language string
	marker   string // of the comment line before it, without <!-- -->
	text     string
	line     int // of its first line
}

// page is one Markdown file.
type page struct {
	name   string // from the root
	text   string
	fences []fence
}

func readPage(t *testing.T, path string) page {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name, err := filepath.Rel(root, path)
	if err != nil {
		t.Fatal(err)
	}
	p := page{name: name, text: string(raw)}
	p.fences = fencesOf(p.text)
	return p
}

func fencesOf(text string) []fence {
	var all []fence
	open, before := -1, ""
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		switch {
		case open < 0 && strings.HasPrefix(line, "```"):
			open = len(all)
			all = append(all, fence{language: strings.TrimPrefix(line, "```"), marker: comment(before), line: i + 2})
		case open >= 0 && line == "```":
			open = -1
		case open >= 0:
			all[open].text += line + "\n"
		}
		before = line
	}
	if open >= 0 {
		all[open].language = "never closed"
	}
	return all
}

func comment(line string) string {
	inner, ok := strings.CutPrefix(line, "<!--")
	if !ok {
		return ""
	}
	return strings.TrimSpace(strings.TrimSuffix(inner, "-->"))
}

// tested are the pages whose examples are held to this package's rules.
func tested(t *testing.T) []page {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "docs/guide/*.md"))
	if err != nil || len(paths) < 10 {
		t.Fatalf("docs/guide has %d pages: %v", len(paths), err)
	}
	paths = append([]string{filepath.Join(root, "README.md")}, paths...)
	pages := make([]page, len(paths))
	for i, path := range paths {
		pages[i] = readPage(t, path)
	}
	return pages
}

// TestFences decides on every fence. Blocks of a shell are run page by page in TestCommands.
func TestFences(t *testing.T) {
	for _, p := range tested(t) {
		for _, f := range p.fences {
			t.Run(p.name+"/"+f.language, func(t *testing.T) { decide(t, p, f) })
		}
	}
}

func decide(t *testing.T, p page, f fence) {
	t.Helper()
	fail := func(err error) {
		if err != nil {
			t.Errorf("%s:%d: %v", p.name, f.line, err)
		}
	}
	switch f.language {
	case "yaml":
		fail(checkYAML(t, f.text))
	case "json":
		fail(checkJSON(f.text))
	case "js":
		fail(checkScript(t, f.text))
	case "html":
		fail(checkHTML(t, f.text))
	case "go":
		fail(checkGo(f.text))
	case "php":
		fail(checkFile(t, "example.php", f.text, "php", "-l"))
	case "python":
		fail(checkFile(t, "example.py", f.text, "/usr/bin/python3", "-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())"))
	case "ini":
		fail(checkUnit(t, f.text))
	case "sh":
		if f.marker == "server" {
			fail(checkShell(t, f.text))
		}
	case "console", "text", "ts":
	default:
		t.Errorf("%s:%d: nobody has decided what is done with a fence %q: see the comment of package docs", p.name, f.line, f.language)
	}
}

// TestDeciding makes sure that broken examples are found.
func TestDeciding(t *testing.T) {
	for name, err := range map[string]error{
		"yaml: unknown key":       checkYAML(t, "sites: {shop: {orgins: [https://shop.example]}}\n"),
		"yaml: belongs nowhere":   checkYAML(t, "colour: red\n"),
		"yaml: unknown operation": checkYAML(t, "browser: {create-nothing: {returns: []}}\n"),
		"json":                    checkJSON(`{"a": }`),
		"php":                     checkFile(t, "example.php", "<?php $a = ;", "php", "-l"),
		"python":                  checkFile(t, "example.py", "def f(:\n", "/usr/bin/python3", "-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())"),
		"js":                      checkScript(t, "const = 1"),
		"html":                    checkHTML(t, "<script>const = 1</script>"),
		"go":                      checkGo("x := = 1"),
		"unit: key":               checkUnit(t, "[Service]\nExecStrat=/usr/local/bin/sallyport run\n"),
		"unit: command":           checkUnit(t, "[Service]\nExecStart=/usr/local/bin/sallyport walk\n"),
		"sh: syntax":              checkShell(t, "if true\n"),
		"sh: flag":                checkShell(t, "sallyport check --sekrets\n"),
		"sh: command":             checkShell(t, "./sallyport secrets frob shop/stripe\n"),
		"sh: make":                checkShell(t, "make coffee   # not here\n"),
	} {
		if err == nil {
			t.Errorf("%s: a broken example passes", name)
		}
	}
	if got := fencesOf("```\nx\n"); len(got) != 1 || got[0].language != "never closed" {
		t.Errorf("an open fence: %+v", got)
	}
}
