package harness

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Demo is a running `sallyport demo`.
type Demo struct {
	Shop   string // http://127.0.0.1:…
	Gate   string // the address below which the site is served, with a slash
	Config string // the gate's file
	Ready  time.Duration
	Err    string // what it printed on standard error

	t    testing.TB
	cmd  *exec.Cmd
	out  *logBuffer
	errs *logBuffer
	done chan struct{}
}

var (
	demoShop = regexp.MustCompile(`Shop\s+(http://\S+?)/\n`)
	demoGate = regexp.MustCompile(`Gate\s+(http://\S+/)client\.js\n`)
	demoFile = regexp.MustCompile(`The file\s+(\S+)\n`)
)

// StartDemo runs `sallyport demo` and waits until the shop answers.
func StartDemo(t testing.TB) *Demo {
	t.Helper()
	d := &Demo{t: t, out: &logBuffer{}, errs: &logBuffer{}, done: make(chan struct{})}
	d.cmd = exec.Command(Binary(t), "demo")
	d.cmd.Stdout, d.cmd.Stderr = d.out, d.errs
	began := time.Now()
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = d.cmd.Wait(); close(d.done) }()
	t.Cleanup(func() { d.Stop() })
	for deadline := began.Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if d.links() {
			r, err := http.Get(d.Shop + "/") //nolint:noctx // a probe of our own process
			if err == nil {
				r.Body.Close()
				if r.StatusCode == http.StatusOK {
					d.Ready = time.Since(began)
					return d
				}
			}
		}
	}
	t.Fatalf("the demo is not ready:\n%s%s", d.out, d.errs)
	return nil
}

func (d *Demo) links() bool {
	out := d.out.String()
	shop, gate, file := demoShop.FindStringSubmatch(out), demoGate.FindStringSubmatch(out), demoFile.FindStringSubmatch(out)
	if shop == nil || gate == nil || file == nil {
		return false
	}
	d.Shop, d.Gate, d.Config = shop[1], gate[1], file[1]
	return true
}

// Output is what it printed.
func (d *Demo) Output() string { return d.out.String() }

// Keys are the credentials that only the gate may know.
func (d *Demo) Keys() []string {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(d.Config), "*.key"))
	if err != nil || len(files) == 0 {
		d.t.Fatalf("the demo has no keys: %v", err)
	}
	var out []string
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			d.t.Fatal(err)
		}
		out = append(out, strings.TrimSpace(string(raw)))
	}
	return out
}

// Stop interrupts it as Ctrl-C does and returns its exit code.
func (d *Demo) Stop() int {
	d.t.Helper()
	if d.cmd == nil {
		return 0
	}
	_ = d.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-d.done:
	case <-time.After(15 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.done
		d.t.Errorf("the demo did not end on SIGINT:\n%s%s", d.out, d.errs)
	}
	code := d.cmd.ProcessState.ExitCode()
	d.cmd, d.Err = nil, d.errs.String()
	return code
}
