package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Reference is docs/reference/commands.md, made from the commands themselves.
func (p *Program) Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	describe(&b, p.Command())
	return b.String()
}

const referenceHead = `# Commands

This page is made from the commands (` + "`go test ./internal/cli -update`" + ` rewrites it); ` + "`--help`" + ` says the same.

All commands take ` + "`-c/--config FILE`" + ` (default ` + "`./sallyport.yaml`" + `). Facts go to standard output, everything else to standard
error. Exit codes: 0 done, 1 a problem was found, 2 the command was used wrongly. Errors read
` + "`sallyport: error: …`" + ` and, where there is a way out, ` + "`sallyport: hint: …`" + `. A secret is never an argument.

`

func describe(b *strings.Builder, cmd *cobra.Command) {
	if cmd.HasParent() && !cmd.HasSubCommands() {
		fmt.Fprintf(b, "## `%s`\n\n%s.\n\n", strings.TrimSpace(cmd.UseLine()), strings.TrimSuffix(cmd.Short, "."))
		if cmd.Long != "" {
			b.WriteString(strings.TrimSpace(cmd.Long) + "\n\n")
		}
		flags(b, cmd)
		fmt.Fprintf(b, "```sh\n%s\n```\n\n", dedent(cmd.Example))
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			describe(b, sub)
		}
	}
}

func flags(b *strings.Builder, cmd *cobra.Command) {
	rows := ""
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		name, words := pflag.UnquoteUsage(f)
		rows += fmt.Sprintf("| `%s` | %s |\n", strings.TrimSpace("--"+f.Name+" "+name), strings.ReplaceAll(words, "|", `\|`))
	})
	if rows != "" {
		b.WriteString("| flag | |\n|---|---|\n" + rows + "\n")
	}
}

func dedent(example string) string {
	lines := strings.Split(strings.Trim(example, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}
