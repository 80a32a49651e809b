package docs

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/test/harness"
)

// documentedPort is the port in the examples; each page is run on a free one instead.
const documentedPort = "8443"

// wrapper stands in for `sallyport`: what a reader types at a prompt comes from a pipe, and `run` goes to the
// background once it is ready, as in a reader's second terminal.
const wrapper = `#!/bin/sh
real='%s'
case "$1 $2" in
"run "*)
	"$real" "$@" 2>>run.log & echo $! >>'%s'
	for i in $(seq 400); do
		curl -sf -o /dev/null http://localhost:%s/readyz && exit 0
		sleep 0.05
	done
	cat run.log; echo 'the gate is not ready'; exit 1;;
"secrets set"|"secrets rotate")
	if [ -s /dev/stdin ] || [ -p /dev/stdin ]; then exec "$real" "$@"; fi
	echo "sk_test_51ExampleExampleExample$$" | "$real" "$@"
	exit;;
esac
exec "$real" "$@"
`

// goWrapper makes what the page builds: the wrapper, under the name that -o gives.
const goWrapper = `#!/bin/sh
[ "$1 $2 $4" = "build -o ./cmd/sallyport" ] || { echo "go $*: not in the examples"; exit 1; }
cp '%s' "$3"
`

// TestCommands runs the sh and console blocks of each page, in order, in one shell.
func TestCommands(t *testing.T) {
	pages := tested(t)
	base := firstFile(pages[0])
	for _, p := range pages {
		if steps := stepsOf(p); len(steps) > 0 {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				config := firstFile(p)
				if config == "" {
					config = base
				}
				runPage(t, p, config, steps)
			})
		}
	}
}

// firstFile is the first whole sallyport.yaml of a page.
func firstFile(p page) string {
	for _, f := range p.fences {
		if f.language == "yaml" && strings.HasPrefix(f.text, "version:") {
			return f.text
		}
	}
	return ""
}

// step is a command with what it prints according to the page.
type step struct {
	line    int
	command string
	prints  string
	shown   bool // what it prints is shown
}

func stepsOf(p page) []step {
	var all []step
	for _, f := range p.fences {
		switch {
		case f.language == "sh" && f.marker != "server":
			all = append(all, lines(f)...)
		case f.language == "console":
			all = append(all, prompts(f)...)
		}
	}
	return all
}

// lines makes each line of an sh block a step, so that none can fail unseen.
func lines(f fence) []step {
	if strings.Contains(f.text, "<<") {
		return []step{{line: f.line, command: "set -e\n" + f.text + "set +e"}}
	}
	var all []step
	for i, line := range strings.Split(strings.TrimSpace(f.text), "\n") {
		if n := len(all); n > 0 && strings.HasSuffix(all[n-1].command, "\\") {
			all[n-1].command += "\n" + line
			continue
		}
		all = append(all, step{line: f.line + i, command: line})
	}
	return all
}

func prompts(f fence) []step {
	var all []step
	for i, line := range strings.Split(strings.TrimSuffix(f.text, "\n"), "\n") {
		command, ok := strings.CutPrefix(line, "$ ")
		switch {
		case ok:
			all = append(all, step{line: f.line + i, command: command})
		case len(all) == 0:
			all = append(all, step{line: f.line + i, command: "echo 'a console block begins with $ and a command'; exit 1"})
		case strings.HasSuffix(all[len(all)-1].command, "\\"):
			all[len(all)-1].command += "\n" + line
		default:
			all[len(all)-1].prints += line + "\n"
			all[len(all)-1].shown = true
		}
	}
	return all
}

const mark = "=== end of step"

func runPage(t *testing.T, p page, config string, steps []step) {
	t.Helper()
	dir, bin := t.TempDir(), t.TempDir()
	_, port, err := net.SplitHostPort(harness.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	pids := filepath.Join(bin, "pids")
	place := func(path, text string, mode os.FileMode) {
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	place(filepath.Join(bin, "sallyport"), fmt.Sprintf(wrapper, harness.Binary(t), pids, port), 0o700)
	place(filepath.Join(bin, "go"), fmt.Sprintf(goWrapper, filepath.Join(bin, "sallyport")), 0o700)
	place(filepath.Join(dir, "sallyport.yaml"), strings.ReplaceAll(config, documentedPort, port), 0o600)
	placeFiles(t, p, dir, port)
	place(filepath.Join(bin, "python3"), "#!/bin/sh\nexec /usr/bin/python3 -B \"$@\"\n", 0o700) // where Debian's packages are
	var script strings.Builder
	script.WriteString("set -u\n")
	for i, s := range steps {
		fmt.Fprintf(&script, "%s\necho '%s' %d $?\n", strings.ReplaceAll(strings.TrimRight(s.command, "\n"), documentedPort, port), mark, i)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "SALLYPORT_KEYSTORE_KEY=", "SALLYPORT_KEYSTORE_KEY_FILE=")
	out := &bytes.Buffer{}
	output, err := os.Create(filepath.Join(bin, "output")) // a file, so that the gate in the background does not hold a pipe
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	runErr := cmd.Run()
	t.Cleanup(func() { stopAll(t, pids) })
	raw, err := os.ReadFile(output.Name())
	if err != nil {
		t.Fatal(err)
	}
	out.Write(raw)
	if runErr != nil {
		t.Errorf("the shell ended early: %v", runErr)
	}
	judge(t, p, steps, strings.ReplaceAll(out.String(), port, documentedPort))
}

// placeFiles writes the files of a page and the helpers that its readers copy.
func placeFiles(t *testing.T, p page, dir, port string) {
	t.Helper()
	texts := map[string]string{}
	for _, path := range []string{"node/sallyport.mjs", "php/Sallyport.php", "python/sallyport.py"} {
		raw, err := os.ReadFile(filepath.Join(root, "backend", path))
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(path)] = string(raw)
	}
	for _, f := range p.fences {
		if name, ok := strings.CutPrefix(f.marker, "file "); ok {
			texts[name] = strings.ReplaceAll(f.text, documentedPort, port)
		}
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// stopAll ends the gates that the page started.
func stopAll(t *testing.T, pids string) {
	raw, err := os.ReadFile(pids)
	if err != nil {
		return // none was started
	}
	for _, pid := range strings.Fields(string(raw)) {
		_ = exec.Command("kill", pid).Run() // it may have ended by itself
		deadline := time.Now().Add(20 * time.Second)
		for exec.Command("kill", "-0", pid).Run() == nil {
			if time.Now().After(deadline) {
				t.Errorf("the gate %s did not end", pid)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// judge compares what each step printed and how it ended with the page. A step that shows an error, a line that
// begins with `sallyport: error:`, has to fail; all others have to succeed.
func judge(t *testing.T, p page, steps []step, output string) {
	t.Helper()
	for i, s := range steps {
		printed, rest, ok := strings.Cut(output, fmt.Sprintf("%s %d ", mark, i))
		if !ok {
			t.Fatalf("%s:%d: never ended:\n%s\nprinted:\n%s", p.name, s.line, s.command, output)
		}
		status, rest, _ := strings.Cut(rest, "\n")
		output = rest
		if fails := strings.Contains("\n"+s.prints, "\nsallyport: error:"); fails != (status != "0") {
			t.Errorf("%s:%d: exit status %s of:\n%s\nprinted:\n%s", p.name, s.line, status, s.command, printed)
		}
		if s.shown && !shows(s.prints, printed) {
			t.Errorf("%s:%d: %s\nthe page shows:\n%s\nthe command printed:\n%s", p.name, s.line, s.command, s.prints, printed)
		}
	}
}

// shows compares line by line; … in a line is any text, a line with … alone any lines.
func shows(page, printed string) bool {
	var pattern strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(page), "\n") {
		if strings.TrimSpace(line) == "…" {
			pattern.WriteString("(?:[^\n]*\n)*?")
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(line, " ")), "…", "[^\n]*") + "[ \r]*\n")
	}
	return regexp.MustCompile("^" + pattern.String() + "$").MatchString(strings.TrimSpace(printed) + "\n")
}

func TestShows(t *testing.T) {
	for _, row := range []struct {
		name, page, printed string
		want                bool
	}{
		{"same", "a\nb\n", "a\nb\n", true},
		{"other", "a\nb\n", "a\nc\n", false},
		{"more", "a\n", "a\nb\n", false},
		{"less", "a\nb\n", "a\n", false},
		{"part", `{"id":"…"}`, `{"id":"pi_1"}` + "\n", true},
		{"part does not cross lines", "a … d", "a b\nc d\n", false},
		{"lines", "a\n…\nd\n", "a\nb\nc\nd\n", true},
		{"lines at the end", "a\n…\n", "a\nb\nc\n", true},
	} {
		if got := shows(row.page, row.printed); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}
