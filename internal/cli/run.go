package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/secret/seal"
	"sallyport/internal/store/postgres"
)

func (p *Program) run() *cobra.Command {
	o := RunOptions{}
	cmd := &cobra.Command{
		Use:        "run",
		Short:      "Run the gate",
		SuggestFor: []string{"start", "serve", "up"},
		Long: "Runs the gate until it is told to stop (SIGINT or SIGTERM): calls in progress are finished first. On SIGHUP, and when the\n" +
			"file changes, the file is read again; a bad file changes nothing and every fault is logged. Logs are JSON on standard error;\n" +
			"on a terminal a few lines before them say what listens where, and which sites it serves.",
		Example: "  sallyport run\n  sallyport run -c /etc/sallyport/sallyport.yaml --log-level warn",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if levels := []string{"debug", "info", "warn", "error"}; !slices.Contains(levels, o.Level) {
				return usage("there is no log level "+quote(o.Level), "one of debug, info, warn, error")
			}
			o.Config, o.Log = p.config, p.Err
			if p.Terminal {
				o.Started = func(file *config.File, public net.Addr) { fmt.Fprint(p.Err, greeting(file, public)) }
			}
			return explained(p.Run(cmd.Context(), o))
		},
	}
	cmd.Flags().StringVar(&o.Level, "log-level", "info", "least `LEVEL` to log: debug, info, warn or error")
	return cmd
}

// explained adds the way out to what the system refused.
func explained(err error) error {
	hint := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another program listens there (`ss -ltnp` shows which); stop it, or write another address under listen"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "this machine does not have that address; write one that `ip addr` shows, or only the port (\":443\")"
	case errors.Is(err, syscall.EACCES) && strings.Contains(err.Error(), "listen on"):
		hint = "ports below 1024 need a right: AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or setcap cap_net_bind_service=+ep on the binary"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		hint = "the user who runs the gate must own this file or folder and be able to write the data folder"
	case errors.Is(err, seal.ErrOpen), errors.Is(err, seal.ErrRootSize):
		hint = "the store was sealed with another root key: put back the root.key or the keystore that belongs to it, from the same backup as the store. " +
			"All nodes of one database need the same: copy root.key, or the keystore, of a node that runs. " +
			"Without it, move the store and a damaged root.key away and start anew: site keys are then made again, and sessions end"
	case errors.Is(err, postgres.ErrServed):
		hint = "docs/guide/more-than-one-node.md says what several nodes need"
	case err != nil && strings.Contains(err.Error(), "open store postgres://"):
		hint = databaseHint
	case errors.Is(err, syscall.ENOSPC):
		hint = "the disk is full; make room, then start again"
	default:
		return err
	}
	return because(err, "start", hint)
}
