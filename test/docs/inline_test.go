package docs

import (
	"regexp"
	"strings"
	"testing"
)

var inline = regexp.MustCompile("`((?:\\./)?sallyport [a-z][^`]*)`")

// TestInline checks every `sallyport …` in running text: the command and its flags exist.
func TestInline(t *testing.T) {
	checked := map[string]bool{}
	for _, p := range all(t) {
		for _, m := range inline.FindAllStringSubmatch(p.text, -1) {
			text := strings.Join(strings.Fields(strings.NewReplacer("…", "", "|", " ", "[", "", "]", "").Replace(m[1])), " ")
			if checked[text] {
				continue
			}
			checked[text] = true
			if err := checkShell(t, text+"\n"); err != nil {
				t.Errorf("%s: `%s`: %v", p.name, m[1], err)
			}
		}
	}
	if len(checked) < 20 {
		t.Errorf("only %d commands were found", len(checked))
	}
}
