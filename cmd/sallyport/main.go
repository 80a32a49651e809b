// Command sallyport stands between client websites and the third-party APIs they use.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"sallyport/internal/app"
	"sallyport/internal/cli"
	"sallyport/internal/demo"
	"sallyport/internal/observe"
	"sallyport/internal/provider"
)

func main() { os.Exit(run()) }

// run is main with an exit code; tests call it in their own process.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	program := &cli.Program{
		Version: version(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Terminal: cli.IsTerminal(os.Stderr),
		Catalog: provider.Builtin(), Prompt: cli.TerminalPrompt(os.Stdin, os.Stderr),
		Run: serve, Demo: tour,
	}
	return program.Main(ctx, os.Args[1:])
}

// serve is the command run.
func serve(ctx context.Context, o cli.RunOptions) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		return fmt.Errorf("log level: %w", err)
	}
	log := observe.New(o.Log, observe.Options{Level: level})
	observe.CaptureLibraries(log)
	if err := harden(); err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	gate, err := app.Open(ctx, app.Options{Path: o.Config, Log: log})
	if err != nil {
		return err
	}
	if o.Started != nil {
		o.Started(gate.File(), gate.Addr())
	}
	return gate.Serve(ctx, hup)
}

// tour is the command demo.
func tour(ctx context.Context, o cli.DemoOptions) error {
	observe.CaptureLibraries(observe.New(o.Log, observe.Options{Level: slog.LevelError}))
	return demo.Run(ctx, demo.Options{Out: o.Out, Log: o.Log, Port: o.Port})
}

// version is what the module system stamped into the binary.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
