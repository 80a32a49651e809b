// Package types tests what `sallyport types` writes: with the TypeScript compiler, which has to take every right use and
// refuse every wrong one, and with a compiled page that calls a running gate.
package types

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/test/harness"
)

// project is a TypeScript project in a folder of the test. All of it is compiled in one run, which also writes
// JavaScript.
type project struct {
	dir   string
	texts map[string]string // by name
}

// strict is what a careful project turns on. The declarations themselves are checked too.
const strict = `{"compilerOptions": {"strict": true, "skipLibCheck": false, "noUncheckedIndexedAccess": true, "noImplicitOverride": true,
  "target": "es2022", "lib": ["es2022", "dom", "dom.iterable"], "module": "esnext", "moduleResolution": "bundler", "types": [],
  "allowJs": true, "outDir": "out", "rootDir": ".", "noEmitOnError": false}, "include": ["*.ts", "*.js"]}`

func newProject(t *testing.T) *project {
	t.Helper()
	p := &project{dir: t.TempDir(), texts: map[string]string{}}
	p.add(t, "tsconfig.json", strict)
	p.add(t, "package.json", `{"type": "module"}`)
	return p
}

func (p *project) add(t *testing.T, name, text string) {
	t.Helper()
	if _, taken := p.texts[name]; taken {
		t.Fatalf("the project has two files %s", name)
	}
	p.texts[name] = text
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// addFiles adds the files of testdata whose name begins with prefix.
func (p *project) addFiles(t *testing.T, prefix string) {
	t.Helper()
	paths, err := filepath.Glob("testdata/" + prefix + "*.[tj]s")
	if err != nil || len(paths) == 0 {
		t.Fatalf("testdata has no %s: %v", prefix, err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		p.add(t, filepath.Base(path), string(raw))
	}
}

// compiler is tsc of test/node_modules.
func compiler(t *testing.T) (node, tsc string) {
	t.Helper()
	node = harness.Need(t, "node")
	tsc, err := filepath.Abs("../node_modules/typescript/bin/tsc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tsc); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the TypeScript compiler is not installed; run scripts/deps: %v", err)
		}
		t.Skipf("the TypeScript compiler is not installed; run scripts/deps: %v", err)
	}
	return node, tsc
}

var diagnostic = regexp.MustCompile(`^(\S+)\((\d+),\d+\): error (TS\d+): (.*)$`)

// compile runs tsc once and gives its complaints, "file:line TScode" with the words.
func (p *project) compile(t *testing.T) map[string]string {
	t.Helper()
	node, tsc := compiler(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, tsc, "-p", ".", "--pretty", "false")
	cmd.Dir = p.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	runErr := cmd.Run() // it fails where there are complaints
	found := map[string]string{}
	for _, line := range strings.Split(out.String(), "\n") {
		m := diagnostic.FindStringSubmatch(line)
		switch {
		case m != nil:
			found[fmt.Sprintf("%s:%s %s", m[1], m[2], m[3])] = m[4]
		case line != "" && !strings.HasPrefix(line, " "):
			t.Errorf("tsc: %s", line)
		}
	}
	if (runErr != nil) != (len(found) > 0) {
		t.Errorf("tsc: %v with %d complaints: %s%s", runErr, len(found), out.String(), errs.String())
	}
	return found
}

var wanted = regexp.MustCompile(`// (TS\d+(?: TS\d+)*)$`)

// expected are the complaints that lines of the project announce at their end: // TS2322.
func (p *project) expected() map[string]string {
	out := map[string]string{}
	for name, text := range p.texts {
		for i, line := range strings.Split(text, "\n") {
			if m := wanted.FindStringSubmatch(line); m != nil {
				for _, code := range strings.Fields(m[1]) {
					out[fmt.Sprintf("%s:%d %s", name, i+1, code)] = line
				}
			}
		}
	}
	return out
}

// judge compares what tsc said with what was announced.
func (p *project) judge(t *testing.T, found map[string]string) {
	t.Helper()
	expected := p.expected()
	told := 0
	for _, at := range slices.Sorted(maps.Keys(found)) {
		if _, ok := expected[at]; !ok {
			if told++; told < 40 {
				t.Errorf("%s: %s\n\t%s", at, found[at], p.line(at))
			}
		}
	}
	for _, at := range slices.Sorted(maps.Keys(expected)) {
		if _, ok := found[at]; !ok {
			t.Errorf("%s: tsc did not complain about: %s", at, strings.TrimSpace(expected[at]))
		}
	}
}

// line is the text at "file:line TScode".
func (p *project) line(at string) string {
	name, rest, _ := strings.Cut(at, ":")
	n := 0
	if _, err := fmt.Sscanf(rest, "%d", &n); err != nil {
		return ""
	}
	if lines := strings.Split(p.texts[name], "\n"); n > 0 && n <= len(lines) {
		return lines[n-1]
	}
	return ""
}
