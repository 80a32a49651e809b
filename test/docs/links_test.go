package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// all are README.md, the other pages beside it, and everything under docs.
func all(t *testing.T) []page {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d pages: %v", len(paths), err)
	}
	pages := make([]page, len(paths))
	for i, path := range paths {
		pages[i] = readPage(t, path)
	}
	return pages
}

// TestLinks follows every relative link of every page, with its heading.
func TestLinks(t *testing.T) {
	for _, p := range all(t) {
		for _, m := range link.FindAllStringSubmatch(p.text, -1) {
			target, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			path := filepath.Join(root, filepath.Dir(p.name), target)
			if target == "" {
				path = filepath.Join(root, p.name)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: the link %s leads nowhere", p.name, m[1])
				continue
			}
			if heading != "" && !headings(readPage(t, path).text)[heading] {
				t.Errorf("%s: %s has no heading %s", p.name, target, heading)
			}
		}
	}
}

// headings are the anchors of a page's headings, as code hosts make them.
func headings(text string) map[string]bool {
	found := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		words, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !ok || !strings.HasPrefix(line, "#") {
			continue
		}
		found[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, words)] = true
	}
	return found
}

// TestIndex makes sure that docs/README.md leads to every guide, reference and format.
func TestIndex(t *testing.T) {
	index := readPage(t, filepath.Join(root, "docs/README.md")).text
	for _, p := range all(t) {
		for _, folder := range []string{"docs/guide/", "docs/reference/", "docs/formats/"} {
			if name := strings.TrimPrefix(p.name, "docs/"); strings.HasPrefix(p.name, folder) && !strings.Contains(index, "]("+name+")") {
				t.Errorf("docs/README.md does not lead to %s", p.name)
			}
		}
	}
}
