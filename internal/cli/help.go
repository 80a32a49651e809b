package cli

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// helpWidth is the width of a terminal that nobody has made wider.
const helpWidth = 80

// foldHelp makes help fit: the texts in this package are in lines of a source file.
func foldHelp(root *cobra.Command) {
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", helpWidth)))
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n%s", folded(cmp.Or(cmd.Long, cmd.Short), helpWidth), cmd.UsageString())
	})
}

// folded is text in lines of at most width letters; only empty lines stay as they are.
func folded(text string, width int) string {
	paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
	for i, p := range paragraphs {
		var b strings.Builder
		at := 0
		for _, word := range strings.Fields(p) {
			n := utf8.RuneCountInString(word)
			switch {
			case at > 0 && at+1+n > width:
				b.WriteString("\n")
				at = 0
			case at > 0:
				b.WriteString(" ")
				at++
			}
			b.WriteString(word)
			at += n
		}
		paragraphs[i] = b.String()
	}
	return strings.Join(paragraphs, "\n\n")
}
