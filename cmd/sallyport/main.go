// Command sallyport stands between client websites and the third-party APIs they use.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"sallyport/internal/cli"
	"sallyport/internal/provider"
)

func main() { os.Exit(run()) }

// run is main with an exit code; tests call it in their own process.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	program := &cli.Program{
		Version: version(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Catalog: provider.Builtin(), Prompt: cli.TerminalPrompt(os.Stdin, os.Stderr),
	}
	return program.Main(ctx, os.Args[1:])
}

// version is what the module system stamped into the binary.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
