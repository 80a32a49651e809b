package schema

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/reference/json-schema.md")

const referencePage = "../../docs/reference/json-schema.md"

// TestReferencePage holds the page against the tables that the tests run.
func TestReferencePage(t *testing.T) {
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for name, table := range map[string]string{
		"keywords": keywordTable(), "unmatched": unmatchedTable(), "formats": formatTable(), "openapi30": rules30Table(),
		"suite": suiteTable(t), "left": leftTable(), "unfit": unfitTable(),
	} {
		before, rest, ok := strings.Cut(text, "<!-- "+name+" -->\n")
		_, after, closed := strings.Cut(rest, "<!-- end -->")
		if !ok || !closed {
			t.Fatalf("%s has no place for the table %s", referencePage, name)
		}
		text = before + "<!-- " + name + " -->\n" + table + "<!-- end -->" + after
	}
	if text == string(page) {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the tables; write it with: go test ./internal/schema -run ReferencePage -update", referencePage)
	}
	if err := os.WriteFile(referencePage, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func keywordTable() string {
	list := func(words []string) string { return "`" + strings.Join(words, "` `") + "`" }
	return "| | |\n|---|---|\n| enforced | " + list(enforced) + " |\n| for readers | " + list(describing) + " |\n"
}

func unmatchedTable() string {
	var b strings.Builder
	b.WriteString("| pattern | why |\n|---|---|\n")
	for _, p := range slices.Sorted(maps.Keys(unmatched())) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", p, unmatched()[p])
	}
	return b.String()
}

func formatTable() string {
	var b strings.Builder
	b.WriteString("| format | binds | known to | what it means |\n|---|---|---|---|\n")
	for _, r := range formatRules() {
		var binds []string
		if r.strings {
			binds = append(binds, "strings")
		}
		if r.numbers {
			binds = append(binds, "numbers")
		}
		known := "JSON Schema, OpenAPI"
		if r.openAPI {
			known = "OpenAPI"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.name, strings.Join(binds, " and "), known, r.source)
	}
	return b.String()
}

func suiteTable(t *testing.T) string {
	required, optional, formats := 0, 0, 0
	for name, file := range suiteFiles(t) {
		n := 0
		for _, g := range readSuite(t, file) {
			n += len(g.Tests)
		}
		switch {
		case strings.HasPrefix(name, "optional/format/"):
			formats += n
		case strings.HasPrefix(name, "optional/"):
			optional += n
		default:
			required += n
		}
	}
	return fmt.Sprintf("| cases | run |\n|---|---|\n| required | %d |\n| optional, without formats | %d |\n| optional formats | %d |\n", required, optional, formats)
}

func leftTable() string {
	var b strings.Builder
	b.WriteString("| file | group | why |\n|---|---|---|\n")
	for _, l := range leftOuts() {
		group := l.group
		if group == "" {
			group = "all"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", l.file, group, l.reason)
	}
	return b.String()
}

func unfitTable() string {
	var b strings.Builder
	b.WriteString("| where | what |\n|---|---|\n")
	for _, u := range unfits() {
		fmt.Fprintf(&b, "| %s | no value fits: %s |\n", u.where, u.reason)
	}
	return b.String()
}
