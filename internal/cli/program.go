// Package cli is the command line: one file per command, each a thin layer over what does the work.
//
// It guarantees the same manners everywhere: every command has --help with an example and, where it
// prints facts, --json; facts go to standard output and everything else to standard error; the
// exit code is 0 for done, 1 for a problem found, 2 for wrong use; errors read
// `sallyport: error: …` and, where there is a way out, `sallyport: hint: …`. A secret is never an
// argument (arguments are visible to every process) and never printed, except a new key, once.
//
// It does not decide anything about calls, and holds no state between runs.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/provider"
)

// RunOptions is what `run` was asked for.
type RunOptions struct {
	Config string // path of the file
	Log    io.Writer
	Level  string // debug, info, warn, error
	// Started, where it is set, is to be called once the gate listens, before it serves.
	Started func(file *config.File, public net.Addr)
}

// DemoOptions is what `demo` was asked for.
type DemoOptions struct {
	Out  io.Writer
	Log  io.Writer
	Port int // of the sample shop; 0: any free one
}

// Program is the command line and what it stands on. In, Out, Err and Catalog are required. The
// commands run and demo exist where Run and Demo do.
type Program struct {
	Version string
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
	// Terminal says that Err is a terminal, where somebody reads.
	Terminal bool
	Now      func() time.Time // nil: time.Now
	Catalog  *provider.Catalog
	// Prompt asks a question on the terminal and reads an answer that is not shown; ok is
	// false where standard input is no terminal.
	Prompt func(question string) (answer []byte, ok bool, err error)
	// Run and Demo do the work of the commands of their name until ctx ends.
	Run  func(ctx context.Context, o RunOptions) error
	Demo func(ctx context.Context, o DemoOptions) error

	// Resolver looks names up for check --dns; nil: the system's.
	Resolver Resolver

	config string // -c
	json   bool   // --json
}

// The exit codes.
const (
	exitDone    = 0
	exitProblem = 1
	exitUsage   = 2
)

// Main runs one command line (without the program's name) and gives the exit code.
func (p *Program) Main(ctx context.Context, args []string) int {
	if p.Now == nil {
		p.Now = time.Now
	}
	root := p.Command()
	root.SetArgs(args)
	return p.exit(root.ExecuteContext(ctx))
}

// Command builds the whole tree of commands; documentation is made from it too.
func (p *Program) Command() *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport",
		Short: "The gate between client websites and the third-party APIs they use",
		Long: "Sallyport stands between client websites and the third-party APIs they use. It keeps the keys, checks what goes out,\n" +
			"checks what comes back, and writes down why. Everything about a site follows from one reviewed file, sallyport.yaml.",
		Example:           "  sallyport demo\n  sallyport check && sallyport run",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args:              noSuchCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(err.Error(), "`"+cmd.CommandPath()+" --help` shows the flags")
	})
	foldHelp(root)
	root.PersistentFlags().StringVarP(&p.config, "config", "c", config.DefaultName, "the configuration `FILE`")
	if p.Demo != nil {
		root.AddCommand(p.demo())
	}
	if p.Run != nil {
		root.AddCommand(p.run())
	}
	root.AddCommand(p.check(), p.schema(), p.secrets(), p.keys(), p.ca(), p.freeze(), p.thaw(), p.hooks(), p.status(), p.providers(), p.types(), p.auditLog(), p.version())
	return root
}

func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "`" + cmd.CommandPath() + " --help` lists the commands"
	if meant := called(cmd, args[0]); meant != "" {
		hint = "did you mean `" + cmd.CommandPath() + " " + meant + "`?"
	} else if near, ok := config.Nearest(args[0], commandNames(cmd)); ok {
		hint = "did you mean `" + cmd.CommandPath() + " " + near + "`?"
	}
	return usage("there is no command "+quote(args[0])+" here", hint)
}

// called finds the command that another program would call name: the nearest spelling of
// unfreeze is freeze, which is the opposite of what is meant.
func called(cmd *cobra.Command, name string) string {
	for _, sub := range cmd.Commands() {
		if slices.Contains(sub.SuggestFor, name) {
			return sub.Name()
		}
	}
	return ""
}

func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	return names
}

// group makes a command that only holds others.
func group(use, short, example string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example, Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage("`"+cmd.CommandPath()+"` needs a command", "one of: "+strings.Join(commandNames(cmd), ", "))
		},
	}
	cmd.AddCommand(subs...)
	return cmd
}

// oneOrTwo demands one argument and allows a second.
func oneOrTwo(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 || len(args) == 2 {
			return nil
		}
		return usage("`"+cmd.CommandPath()+"` takes "+what, "for instance: "+firstExample(cmd))
	}
}

// exactly wants n arguments, named in words when they are missing.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return usage("`"+cmd.CommandPath()+"` needs "+what, "for instance: "+firstExample(cmd))
		case len(args) > n:
			return usage("`"+cmd.CommandPath()+"` takes "+what+" and nothing more", "for instance: "+firstExample(cmd))
		}
		return nil
	}
}

func none(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && (strings.HasSuffix(args[0], ".yaml") || strings.HasSuffix(args[0], ".yml")) {
		return usage("`"+cmd.CommandPath()+"` takes no arguments", "name the file with -c: "+cmd.CommandPath()+" -c "+args[0])
	}
	if len(args) > 0 {
		return usage("`"+cmd.CommandPath()+"` takes no arguments", "for instance: "+firstExample(cmd))
	}
	return nil
}

func firstExample(cmd *cobra.Command) string {
	line, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
	return line
}

// withJSON adds --json to a command that prints facts.
func (p *Program) withJSON(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&p.json, "json", false, "print JSON")
	return cmd
}

// load reads the file and prints every fault if it is not valid.
func (p *Program) load() (*config.File, error) {
	file, faults := config.Load(p.config, p.Catalog)
	if len(faults) > 0 {
		return nil, faults
	}
	return file, nil
}

// places is the file, or, where it has faults, at least where its store and audit log lie: what stops calls and tells
// what happened must work while the file is being mended. whole says whether the file is good.
func (p *Program) places() (file *config.File, whole bool, err error) {
	file, faults := config.Load(p.config, p.Catalog)
	if len(faults) == 0 {
		return file, true, nil
	}
	file, uncertain := config.Places(p.config)
	if len(uncertain) > 0 || file == nil {
		return nil, false, faults
	}
	if _, err := os.Stat(file.Store); err != nil && file.Postgres == nil {
		return nil, false, faults // no gate has run with these places
	}
	fmt.Fprintf(p.Err, "note: %s in %s, so only the places of store and data were read from it\n", counted(len(faults), "fault"), p.config)
	return file, false, nil
}

var errSilent = errors.New("already said")
