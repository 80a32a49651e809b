package cli

import (
	"github.com/spf13/cobra"
)

func (p *Program) demo() *cobra.Command {
	o := DemoOptions{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Start a tour: gate, mock providers and a sample shop on loopback",
		Long: "Starts a gate, mock providers and a sample shop on this machine's loopback address, and prints the links. It needs no\n" +
			"network, no account and no configuration, and leaves nothing behind when it is stopped with Ctrl-C.",
		Example: "  sallyport demo\n  sallyport demo --port 8080",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Port < 0 || o.Port > 65535 {
				return usage("there is no such port", "--port takes 1 to 65535, or 0 for any free one")
			}
			o.Out, o.Log = p.Out, p.Err
			return p.Demo(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVar(&o.Port, "port", 0, "`PORT` of the sample shop; 0 takes a free one")
	return cmd
}
