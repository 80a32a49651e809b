package importer

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/openapi"
)

var update = flag.Bool("update", false, "write docs/reference/imported-descriptions.md")

// notDescriptions are files of the folder that describe no API, with what Read says of them.
var notDescriptions = map[string]string{
	"stripe/fixtures3.json":    "has none of openapi, swagger and discoveryVersion",
	"vonage/common_errors.yml": "has none of openapi, swagger and discoveryVersion",
	"vonage/ncco-schema.json":  "has none of openapi, swagger and discoveryVersion",
}

func specs(t testing.TB) string {
	dir := os.Getenv("SALLYPORT_SPECS")
	if dir == "" {
		dir = "../../../shared/specs"
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the official descriptions are needed: %v", err)
		}
		t.Skipf("the official descriptions are not here: %v", err)
	}
	return dir
}

// TestOfficialDescriptions imports every operation of every file and holds each pack against the
// rules of the catalog. What the files have wrong stands in a page of the documentation, which is
// compared.
func TestOfficialDescriptions(t *testing.T) {
	root := specs(t)
	var table strings.Builder
	operations, kept := 0, 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		ext := filepath.Ext(path)
		if err != nil || e.IsDir() || ext != ".json" && ext != ".yml" {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		t.Run(name, func(t *testing.T) {
			n, k := importOne(t, root, filepath.ToSlash(name), &table)
			operations, kept = operations+n, kept+k
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page := fmt.Sprintf(pageHead, operations, kept) + table.String()
	const doc = "../../docs/reference/imported-descriptions.md"
	if *update {
		if err := os.WriteFile(doc, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if had, err := os.ReadFile(doc); err != nil || string(had) != page {
		t.Errorf("%s is not what the import finds (go test ./internal/importer -update): %v", doc, err)
	}
}

const pageHead = `# What the import finds in official descriptions

This page is made by a test (` + "`go test ./internal/importer -update`" + `), which imports every operation of every description that we
have of PayPal, Stripe, Twilio, Google and Vonage: %d operations, of which %d are in the packs. It lists what the descriptions have wrong or
the gate cannot carry, and what the import did about it. A line without an operation holds for all that reach it.

`

func importOne(t *testing.T, root, name string, table *strings.Builder) (operations, kept int) {
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(filepath.Join(root, name))
	start := time.Now()
	d, err := openapi.Read(filepath.Base(name), data, openapi.Options{Open: func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(folder, name)) }})
	if want := notDescriptions[name]; want != "" {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
		return 0, 0
	}
	if err != nil {
		t.Fatal(err)
	}
	made, err := Import(d, Options{File: filepath.Base(name), Data: data, ID: "imported", Operations: []string{"all"}, On: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		var wrong *Error
		if errors.As(err, &wrong) {
			t.Log(wrong.Hint, wrong.LeftOut)
		}
		t.Fatal(err)
	}
	t.Logf("%d operations, %d kept, %d marks, %d notes, %v", len(d.Operations), len(made.Report.Operations), len(made.Report.Marks), len(made.Report.Notes), time.Since(start).Round(time.Millisecond))
	describe(table, name, made.Report)
	return len(d.Operations), len(made.Report.Operations)
}

// describe writes a file's part of the page, if there is anything to say.
func describe(b *strings.Builder, name string, r Report) {
	if len(r.LeftOut)+len(r.Findings) == 0 {
		return
	}
	fmt.Fprintf(b, "## %s\n\n| where | operation | what | done |\n|---|---|---|---|\n", name)
	for _, f := range append(r.LeftOut, r.Findings...) {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.Pointer, f.Operation, escaped(f.What), escaped(f.Done))
	}
	b.WriteString("\n")
}

func escaped(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`, "`", "'").Replace(s)
}
