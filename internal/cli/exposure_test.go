package cli

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExposureIsShown: check says of every browser operation what it does and costs, what the
// stranger chooses and what stands before it, and warns of what has nothing but limits. -update
// rewrites both pages.
func TestExposureIsShown(t *testing.T) {
	for name, args := range map[string][]string{
		"testdata/exposure.txt":  {"check", "-c", "testdata/exposure.yaml"},
		"testdata/exposure.json": {"check", "-c", "testdata/exposure.yaml", "--json"},
	} {
		p, out, errs := program(t)
		if code := p.Main(t.Context(), args); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, errs)
		}
		if *update {
			if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
