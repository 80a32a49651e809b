package types

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const guide = "../../docs/guide/types-for-your-page.md"

var example = regexp.MustCompile("(?s)```(ts|js)\n(.*?)```")

// addGuide adds the examples of the guide, which use the types of the documented example.
func (p *project) addGuide(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	all := example.FindAllStringSubmatch(string(raw), -1)
	if len(all) < 3 {
		t.Fatalf("%s has %d examples", guide, len(all))
	}
	for i, m := range all {
		text := strings.ReplaceAll(m[2], "./sallyport.d.ts", "./example.d.ts")
		p.add(t, fmt.Sprintf("guide-%d.%s", i+1, m[1]), text)
	}
}
