package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"sallyport/internal/provider"
)

var update = flag.Bool("update", false, "rewrite docs/reference/commands.md")

// program is a whole command line whose run and demo only note what they were asked for.
func program(t *testing.T) (*Program, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	var out, errs bytes.Buffer
	p := &Program{
		Version: "v0.0.0-test", In: strings.NewReader(""), Out: &out, Err: &errs, Catalog: provider.Builtin(),
		Run: func(_ context.Context, o RunOptions) error {
			out.WriteString("run " + o.Config + " " + o.Level)
			return nil
		},
		Demo: func(context.Context, DemoOptions) error { out.WriteString("demo"); return nil },
	}
	return p, &out, &errs
}

// TestReferenceIsCurrent: docs/reference/commands.md is what the commands say.
func TestReferenceIsCurrent(t *testing.T) {
	const path = "../../docs/reference/commands.md"
	p, _, _ := program(t)
	got := p.Reference()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is out of date; run with -update (-file +commands):\n%s", path, diff)
	}
}

// TestEveryCommandHasManners: words, an example that begins with the program's name, and JSON for facts.
func TestEveryCommandHasManners(t *testing.T) {
	p, _, _ := program(t)
	facts := map[string]bool{"check": true, "list": true, "show": true, "compare": true, "version": true, "create": true, "verify": true}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Short == "" || !strings.HasPrefix(cmd.Example, "  sallyport") || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short %q, example %q", path, cmd.Short, cmd.Example)
		}
		if !cmd.HasSubCommands() && cmd.Long == "" {
			t.Errorf("%s has no long help", path)
		}
		if facts[cmd.Name()] && cmd.Flags().Lookup("json") == nil {
			t.Errorf("%s prints facts and has no --json", path)
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(p.Command())
}

// TestExamplesParse: every example is a command line that the program understands.
func TestExamplesParse(t *testing.T) {
	p, _, _ := program(t)
	root := p.Command()
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, line := range strings.FieldsFunc(dedent(cmd.Example), func(r rune) bool { return r == '\n' || r == '&' || r == '<' || r == '>' }) {
			words := strings.Fields(strings.ReplaceAll(line, `"`, ""))
			if len(words) == 0 || words[0] != "sallyport" {
				continue
			}
			found, rest, err := root.Find(words[1:])
			if err != nil || found == root {
				t.Errorf("%s: example %q is no command: %v", cmd.CommandPath(), line, err)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
			}
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
}

func TestRunAndDemo(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		out  string
		err  string
	}{
		"run":        {[]string{"run", "-c", "x.yaml", "--log-level", "warn"}, exitDone, "run x.yaml warn", ""},
		"bad level":  {[]string{"run", "--log-level", "loud"}, exitUsage, "", `there is no log level "loud"`},
		"demo":       {[]string{"demo"}, exitDone, "demo", ""},
		"no port":    {[]string{"demo", "--port", "70000"}, exitUsage, "", "there is no such port"},
		"an extra":   {[]string{"run", "now"}, exitUsage, "", "takes no arguments"},
		"a file":     {[]string{"run", "shop.yaml"}, exitUsage, "", "name the file with -c: sallyport run -c shop.yaml"},
		"unfreeze":   {[]string{"unfreeze", "shop"}, exitUsage, "", "did you mean `sallyport thaw`?"},
		"start":      {[]string{"start"}, exitUsage, "", "did you mean `sallyport run`?"},
		"a value":    {[]string{"secrets", "set", "shop/stripe", "abc"}, exitUsage, "", "the value is asked for"},
		"no command": {[]string{"rnu"}, exitUsage, "", "did you mean `sallyport run`?"},
	} {
		t.Run(name, func(t *testing.T) {
			p, out, errs := program(t)
			if code := p.Main(t.Context(), c.args); code != c.code || out.String() != c.out || !strings.Contains(errs.String(), c.err) {
				t.Errorf("code %d, out %q, err %q", code, out, errs)
			}
		})
	}
}

// TestHelpFits: no line of any help is wider than a terminal of 80 columns, examples apart.
func TestHelpFits(t *testing.T) {
	p, _, _ := program(t)
	var visit func(*cobra.Command, []string)
	visit = func(cmd *cobra.Command, path []string) {
		p, out, errs := program(t)
		if code := p.Main(t.Context(), append(path, "--help")); code != exitDone || out.Len() < 100 {
			t.Errorf("%s: code %d, %s%s", path, code, out, errs)
		}
		text, example, _ := strings.Cut(out.String(), "\nExamples:\n")
		_, rest, _ := strings.Cut(example, "\n\n")
		for _, line := range strings.Split(text+rest, "\n") {
			if utf8.RuneCountInString(line) > 80 {
				t.Errorf("%s: %q", cmd.CommandPath(), line)
			}
		}
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				visit(sub, append(slices.Clone(path), sub.Name()))
			}
		}
	}
	visit(p.Command(), nil)
}

// TestPrompt: on a terminal the value is asked for; the question names what is asked.
func TestPrompt(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SALLYPORT_KEYSTORE_KEY", "a passphrase of some length")
	config := filepath.Join(dir, "sallyport.yaml")
	p, out, errs := program(t)
	if code := p.Main(t.Context(), []string{"secrets", "init", "-c", config}); code != exitDone {
		t.Fatalf("init: %s", errs)
	}
	asked := ""
	p.Prompt = func(question string) ([]byte, bool, error) {
		asked = question
		return []byte("canary-value"), true, nil
	}
	if code := p.Main(t.Context(), []string{"secrets", "set", "shop/stripe", "-c", config}); code != exitDone {
		t.Fatalf("set: %s", errs)
	}
	out.Reset()
	if code := p.Main(t.Context(), []string{"secrets", "list", "--json", "-c", config}); code != exitDone {
		t.Fatalf("list: %s", errs)
	}
	var list []struct{ Name string }
	if err := json.Unmarshal(out.Bytes(), &list); err != nil || len(list) != 1 || list[0].Name != "keystore:shop/stripe" {
		t.Errorf("list: %v %s", err, out)
	}
	if !strings.Contains(asked, "shop/stripe") || strings.Contains(out.String()+errs.String(), "canary") {
		t.Errorf("asked %q, printed %s%s", asked, out, errs)
	}
}
