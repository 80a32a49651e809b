package harness

import (
	"os"
	"os/exec"
	"testing"
)

// Need returns the path of a program that the test cannot do without. Where it is
// missing the test fails in CI and is left out elsewhere; scripts/deps installs it.
func Need(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed; run scripts/deps", name)
	}
	t.Skipf("%s is not installed; run scripts/deps", name)
	return ""
}
