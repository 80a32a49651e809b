package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/test/harness"
)

func checkJSON(text string) error {
	var v any
	return json.Unmarshal([]byte(text), &v)
}

// checkScript has node read the text as a module.
func checkScript(t *testing.T, text string) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "example.mjs")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	if out, err := exec.Command("node", "--check", path).CombinedOutput(); err != nil {
		return fmt.Errorf("node --check: %w\n%s", err, out)
	}
	return nil
}

// checkFile has a program read the text as a file of that name, its last argument.
func checkFile(t *testing.T, name, text, program string, args ...string) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	if out, err := exec.Command(harness.Need(t, program), append(args, path)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

var scripts = regexp.MustCompile(`(?s)<script[^>]*>(.*?)</script>`)

func checkHTML(t *testing.T, text string) error {
	t.Helper()
	found := scripts.FindAllStringSubmatch(text, -1)
	if len(found) == 0 || strings.Count(text, "<script") != len(found) {
		return fmt.Errorf("no whole <script> in it")
	}
	for _, m := range found {
		if err := checkScript(t, m[1]); err != nil {
			return err
		}
	}
	return nil
}

// checkGo parses a file, declarations, or statements of a function.
func checkGo(text string) error {
	parse := func(text string) error {
		_, err := parser.ParseFile(token.NewFileSet(), "example.go", text, parser.AllErrors)
		return err
	}
	if strings.HasPrefix(text, "package ") {
		return parse(text)
	}
	err := parse("package example\nfunc _() {\n" + text + "\n}\n")
	if err != nil && parse("package example\n"+text) == nil {
		return nil
	}
	return err
}

// unitKeys are the keys of systemd.unit(5), systemd.service(5) and systemd.exec(5) that the guide uses; a key that
// is not here is a misspelling, which systemd only warns about, or one to look up and add.
var unitKeys = map[string][]string{
	"Unit": {"Description", "Documentation", "After", "Wants"},
	"Service": {"Type", "User", "Group", "WorkingDirectory", "ExecStart", "ExecReload", "Restart", "RestartSec", "TimeoutStopSec",
		"LoadCredential", "Environment", "EnvironmentFile", "AmbientCapabilities", "CapabilityBoundingSet", "NoNewPrivileges",
		"ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "ReadWritePaths", "StateDirectory", "StateDirectoryMode",
		"ProtectKernelTunables", "ProtectControlGroups", "RestrictAddressFamilies", "LimitNOFILE", "LimitCORE", "UMask"},
	"Install": {"WantedBy"},
}

func checkUnit(t *testing.T, text string) error {
	t.Helper()
	section := ""
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || !slices.Contains(unitKeys[section], key) {
			return fmt.Errorf("[%s] has no key %q", section, key)
		}
		if key == "ExecStart" {
			if err := checkShell(t, value); err != nil {
				return err
			}
		}
	}
	return nil
}

var (
	sallyportCommand = regexp.MustCompile(`(?m)(?:^|[ /;&|(])sallyport((?: +[a-z][a-z0-9-]*)+)([^\n;&|)]*)`)
	flagWord         = regexp.MustCompile(`(?:^| )(--?[a-z][a-z-]*)`)
)

// checkShell checks the syntax, and that each sallyport command and flag exists.
func checkShell(t *testing.T, text string) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "example.sh")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	if out, err := exec.Command("sh", "-n", path).CombinedOutput(); err != nil {
		return fmt.Errorf("sh -n: %w\n%s", err, out)
	}
	for _, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, " #")
		if target, ok := strings.CutPrefix(line, "make "); ok && !makeTarget(t, strings.TrimSpace(target)) {
			return fmt.Errorf("the Makefile has no target %q", target)
		}
		for _, m := range sallyportCommand.FindAllStringSubmatch(line, -1) {
			if err := checkCommand(t, strings.Fields(m[1]), m[2]); err != nil {
				return err
			}
		}
	}
	return nil
}

func makeTarget(t *testing.T, name string) bool {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains("\n"+string(raw), "\n"+name+":")
}

// checkCommand asks the binary for the help of a command: words behind the command itself are its arguments.
func checkCommand(t *testing.T, words []string, rest string) error {
	t.Helper()
	out, err := exec.Command(harness.Binary(t), append(slices.Clone(words), "--help")...).CombinedOutput()
	usage := regexp.MustCompile(`sallyport ` + words[0] + `\b`)
	group := bytes.Contains(out, []byte("Available Commands:"))
	if err != nil || group || !usage.Match(out) {
		return fmt.Errorf("there is no command sallyport %s: %v\n%s", strings.Join(words, " "), err, out)
	}
	for _, m := range flagWord.FindAllStringSubmatch(rest, -1) {
		if !regexp.MustCompile(`(?m)(^|[ ,])` + regexp.QuoteMeta(m[1]) + `\b`).Match(out) {
			return fmt.Errorf("sallyport %s has no flag %s", strings.Join(words, " "), m[1])
		}
	}
	return nil
}
