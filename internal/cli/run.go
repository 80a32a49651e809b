package cli

import (
	"slices"

	"github.com/spf13/cobra"
)

func (p *Program) run() *cobra.Command {
	o := RunOptions{}
	cmd := &cobra.Command{
		Use:        "run",
		Short:      "Run the gate",
		SuggestFor: []string{"start", "serve", "up"},
		Long: "Runs the gate until it is told to stop (SIGINT or SIGTERM): calls in progress are finished first. On SIGHUP, and when the\n" +
			"file changes, the file is read again; a bad file changes nothing and every fault is logged. Logs are JSON on standard error.",
		Example: "  sallyport run\n  sallyport run -c /etc/sallyport/sallyport.yaml --log-level warn",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if levels := []string{"debug", "info", "warn", "error"}; !slices.Contains(levels, o.Level) {
				return usage("there is no log level "+quote(o.Level), "one of debug, info, warn, error")
			}
			o.Config, o.Log = p.config, p.Err
			return p.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Level, "log-level", "info", "least `LEVEL` to log: debug, info, warn or error")
	return cmd
}
