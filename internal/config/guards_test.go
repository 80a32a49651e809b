package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/guard"
)

// TestGuardDefaults: the defaults that the reference shows are those that hold where the file
// says nothing.
func TestGuardDefaults(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\nlisten: {public: \"127.0.0.1:8443\", tls: off}\nsites:\n  shop:\n    served_at: [api.shop.example]\n    guards:\n")
	for _, one := range guardKeys().keys {
		fmt.Fprintf(&b, "      %s:\n", one.name)
		for _, k := range one.keys {
			if k.name != "countries" {
				fmt.Fprintf(&b, "        %s: %s\n", k.name, strings.Trim(k.def, "`"))
			}
		}
	}
	b.WriteString("    connections: {maps: {provider: google-maps, mode: mock, backend: all}}\n")
	file, faults := parse(t, b.String())
	if len(faults) > 0 {
		t.Fatalf("%v\n%s", faults, b.String())
	}
	if diff := cmp.Diff(guard.Defaults(), file.Sites[0].Guards); diff != "" {
		t.Errorf("the reference's defaults differ (-default +shown):\n%s", diff)
	}
}
