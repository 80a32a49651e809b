// Package browser tests the demo, and with it client.js and the gate's manners towards
// browsers, in Debian's Chromium. The steps are in demo.mjs, which reports one line of
// JSON for each.
package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/test/harness"
)

// step is one line of demo.mjs.
type step struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

// TestDemoInChromium runs all steps of demo.mjs.
func TestDemoInChromium(t *testing.T) {
	node, chromium := harness.Need(t, "node"), harness.Need(t, "chromium")
	modules, err := filepath.Abs("../node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "playwright-core")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the browser tools are not installed; run scripts/deps: %v", err)
		}
		t.Skipf("the browser tools are not installed; run scripts/deps: %v", err)
	}
	if err := os.MkdirAll("out", 0o755); err != nil {
		t.Fatal(err)
	}
	d := harness.StartDemo(t)
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!doctype html><title>another site</title><p>another site</p>"))
	}))
	defer foreign.Close()
	seen := runSteps(t, node, map[string]string{"NODE_MODULES": modules, "CHROMIUM": chromium, "SHOP": d.Shop, "GATE": d.Gate,
		"FOREIGN": foreign.URL, "KEYS": strings.Join(d.Keys(), ","), "GUIDE": "../../docs/guide/browser.md", "OUT": "out"})
	if seen < 12 {
		t.Errorf("only %d steps ran", seen)
	}
}

// runSteps makes a subtest of each step and returns their number.
func runSteps(t *testing.T, node string, env map[string]string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "demo.mjs")
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	count := 0
	for lines := bufio.NewScanner(&stdout); lines.Scan(); {
		var s step
		if json.Unmarshal(lines.Bytes(), &s) != nil {
			t.Log(lines.Text())
			continue
		}
		count++
		t.Run(s.Name, func(t *testing.T) {
			if s.Error != "" {
				t.Error(s.Error)
			}
		})
	}
	if err != nil {
		t.Errorf("demo.mjs: %v\n%s", err, stderr.String())
	}
	return count
}
