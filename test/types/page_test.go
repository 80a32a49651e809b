package types

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/test/harness"
)

// addPage adds a page of the running demo, with the types that the real command writes for it. The function that it
// gives runs the compiled page in Node.js, which takes modules from the gate and sends the shop's origin.
func (p *project) addPage(t *testing.T) (run func(t *testing.T)) {
	t.Helper()
	node, _ := compiler(t)
	demo := harness.StartDemo(t)
	out, err := exec.Command(harness.Binary(t), "types", "harbour", "-c", demo.Config, "-o", filepath.Join(p.dir, "demo.d.ts")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "demo.d.ts: 8 operations of 4 connections") {
		t.Fatalf("sallyport types: %v: %s", err, out)
	}
	for _, name := range []string{"page.ts", "hooks.mjs", "loader.mjs"} {
		raw, err := os.ReadFile(filepath.Join("testdata/demo", name))
		if err != nil {
			t.Fatal(err)
		}
		p.add(t, name, strings.ReplaceAll(string(raw), "http://127.0.0.1:8443/harbour/", demo.Gate))
	}
	return func(t *testing.T) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, node, "--import", "./hooks.mjs", "out/page.js")
		cmd.Dir, cmd.Env = p.dir, append(os.Environ(), "SHOP="+demo.Shop)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "paid, refused, found, polled" {
			t.Errorf("the page: %v\n%s", err, out)
		}
	}
}
