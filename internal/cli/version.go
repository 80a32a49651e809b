package cli

import (
	"runtime"

	"github.com/spf13/cobra"
)

func (p *Program) version() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Prints the version of this binary, the Go version it was built with, and its platform.",
		Example: "  sallyport version\n  sallyport version --json",
		Args:    none,
		RunE: func(*cobra.Command, []string) error {
			facts := struct {
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{p.Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return p.facts(facts, func() { p.line("sallyport %s (%s, %s)", facts.Version, facts.Go, facts.Platform) })
		},
	})
}
