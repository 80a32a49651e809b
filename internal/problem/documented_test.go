package problem_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/problem"
)

var row = regexp.MustCompile("^\\| `([a-z_]+)` \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\|$")

// TestEveryCodeIsDocumented: docs/reference/problems.md has one row for each code, in their order, with its
// status, a cause and a remedy, and no row for anything else.
func TestEveryCodeIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/problems.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for line := range strings.Lines(string(page)) {
		m := row.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		documented = append(documented, m[1])
		info := problem.Lookup(problem.Code(m[1]))
		if string(info.Code) != m[1] {
			t.Errorf("%s is documented, but is no code", m[1])
			continue
		}
		if status := strings.TrimSpace(m[2]); status != strconv.Itoa(info.Status) && info.Code != problem.ProviderRefused {
			t.Errorf("%s: the page says status %s, the program %d", m[1], status, info.Status)
		}
		if len(strings.Fields(m[3])) < 4 || len(strings.Fields(m[4])) < 2 {
			t.Errorf("%s: a cause and a remedy are wanted: %q, %q", m[1], m[3], m[4])
		}
	}
	var codes []string
	for _, info := range problem.Codes() {
		codes = append(codes, string(info.Code))
	}
	if got, want := strings.Join(documented, "\n"), strings.Join(codes, "\n"); got != want {
		t.Errorf("docs/reference/problems.md lists\n%s\nthe codes are\n%s", got, want)
	}
}

// TestEveryCodeHasAStatusAndATitle: a code that Codes forgets would be an internal error to callers.
func TestEveryCodeHasAStatusAndATitle(t *testing.T) {
	source, err := os.ReadFile("codes.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, info := range problem.Codes() {
		known[string(info.Code)] = true
		if info.Status < 400 || info.Status > 599 || info.Title == "" {
			t.Errorf("%+v", info)
		}
	}
	declared := regexp.MustCompile(`Code\s+= "([a-z_]+)"|^\t\w+\s+= "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(declared) != len(known) {
		t.Errorf("%d codes are declared, Codes lists %d", len(declared), len(known))
	}
	for _, m := range declared {
		if !known[m[1]] {
			t.Errorf("%s is declared, but not listed", m[1])
		}
	}
}
