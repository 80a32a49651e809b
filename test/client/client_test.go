// Package client tests web/client/client.js under Node.js, against a gate played over HTTP.
package client

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sallyport/test/harness"
)

func TestClientJS(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, harness.Need(t, "node"), "--test", "--test-reporter=tap", "client.test.mjs").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "\n# fail 0\n") || strings.Contains(string(out), "\n# pass 0\n") {
		t.Fatalf("no test ran:\n%s", out)
	}
}
