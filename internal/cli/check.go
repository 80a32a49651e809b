package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/config"
)

// checked is what check prints with --json.
type checked struct {
	File      string             `json:"file"`
	OK        bool               `json:"ok"`
	Faults    config.Faults      `json:"faults"`
	Warnings  config.Faults      `json:"warnings"`
	Exposures []config.Exposure  `json:"exposures"`
	Loosened  []config.Loosening `json:"loosened"`
	Secrets   []secretState      `json:"secrets,omitempty"`
	Probes    []app.Probed       `json:"probes,omitempty"`
	Names     []nameState        `json:"names,omitempty"`
}

func (p *Program) check() *cobra.Command {
	withSecrets, withNames, probes := false, false, probing{}
	cmd := &cobra.Command{
		Use:        "check",
		Short:      "Check the file: faults, warnings, and what strangers can do",
		SuggestFor: []string{"validate", "lint", "test"},
		Long: "Reads the file and names every fault at once: where it stands, what was found, and what to write instead. For a valid file it\n" +
			"shows what a stranger can do with each browser operation (Origin can be forged outside a browser, so what a browser\n" +
			"may do, anybody may do): its effects and price, what the stranger chooses, and what stands before it (permit, voucher,\n" +
			"challenge, ids that the visit received, limits, guards, budgets). A warning names each operation that moves money, sends\n" +
			"messages or has a price, and has neither a permit nor a voucher nor a budget. It also shows every check that only reports.\n" +
			"Exit code 1 means that the file has a fault.",
		Example: "  sallyport check\n  sallyport check --secrets\n  sallyport check --probe\n  sallyport check --dns\n  sallyport check -c staging.yaml --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, faults := config.Load(p.config, p.Catalog)
			r := checked{File: p.config, OK: len(faults) == 0, Faults: faults}
			if file != nil {
				r.Warnings, r.Exposures, r.Loosened = file.Warnings, file.Exposures, append(file.Loosened, withoutKeystore(file)...)
				if withSecrets {
					r.Secrets = p.readSecrets(cmd.Context(), file)
				}
			}
			if probes.wanted && len(faults) == 0 {
				list, err := p.probe(cmd.Context(), file, probes.paid, nil)
				if err != nil {
					return err
				}
				r.Probes, r.OK = list, r.OK && unproven(list) == 0
			}
			if file != nil && withNames {
				var err error
				if r.Names, err = p.lookNames(cmd.Context(), file); err != nil {
					return err
				}
			}
			for _, s := range r.Secrets {
				r.OK = r.OK && s.OK
			}
			r.OK = r.OK && lost(r.Names) == 0
			return p.printChecked(r)
		},
	}
	cmd.Flags().BoolVar(&withSecrets, "secrets", false, "also read every secret that the file names, and compare its form with mode and provider")
	cmd.Flags().BoolVar(&probes.wanted, "probe", false, "also ask each provider whether the credential works, with a call that has no effects")
	cmd.Flags().BoolVar(&probes.paid, "paid", false, "with --probe: also make probes that cost (the table says what)")
	cmd.Flags().BoolVar(&withNames, "dns", false, "also look whether every name under served_at leads to this gate, and print the DNS record or the lines that make it so")
	return p.withJSON(cmd)
}

// withoutKeystore tells that the gate's own key lies beside what it seals.
func withoutKeystore(file *config.File) []config.Loosening {
	if _, err := os.Stat(file.Keystore); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return []config.Loosening{{Where: "secrets.keystore", What: "there is no keystore, so the key that seals the store lies in the data folder; `sallyport secrets init` makes one"}}
}

func (p *Program) printChecked(r checked) error {
	if p.json {
		if err := p.facts(notNull(r), nil); err != nil {
			return err
		}
		if !r.OK {
			return errSilent
		}
		return nil
	}
	if len(r.Faults) > 0 {
		return r.Faults
	}
	p.printSections(r)
	bad := 0
	for _, s := range r.Secrets {
		if !s.OK {
			bad++
		}
	}
	if bad > 0 {
		return found(counted(bad, "secret")+" cannot be used", "store it with `sallyport secrets set NAME`, or set the variable that env: names")
	}
	if n := unproven(r.Probes); n > 0 {
		return found(counted(n, "credential")+" could not be shown to work", "the table says why; `sallyport secrets rotate NAME` replaces one")
	}
	if n := lost(r.Names); n > 0 {
		return found("not leading to this gate: "+counted(n, "name"), "write the DNS record that stands above, and start the gate")
	}
	p.line("%s is good: %s, %s", r.File, counted(len(r.Warnings), "warning"), counted(len(r.Exposures), "operation")+" open to browsers")
	return nil
}

func (p *Program) printSections(r checked) {
	for _, w := range r.Warnings {
		p.line("warning: %s", w)
	}
	for _, e := range r.Exposures {
		if len(e.Sealed) > 0 {
			p.line("open with a permit: %s", exposed(e))
			continue
		}
		p.line("open to anybody: %s", exposed(e))
	}
	for _, l := range r.Loosened {
		at := ""
		if l.Line > 0 {
			at = fmt.Sprintf("line %d: ", l.Line)
		}
		p.line("loosened: %s%s (%s)", at, l.What, l.Where)
	}
	if r.Probes != nil {
		p.printProbes(r.Probes)
	}
	for _, s := range r.Secrets {
		p.line("secret: %s %s: %s", s.Where, s.Ref, s.State)
	}
	p.printNames(r.Names)
}

// exposed says in a line what a stranger can do with an operation.
func exposed(e config.Exposure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s %s (%s, %s; effects: %s)", e.Site, e.Connection, e.Operation, e.Provider, e.Mode, listOr(e.Effects, "none"))
	fmt.Fprintf(&b, "\n    chooses: %s", listOr(e.Chooses, "nothing"))
	if len(e.Sealed) > 0 {
		fmt.Fprintf(&b, "\n    sealed: %s", listOr(e.Sealed, "nothing"))
	}
	fmt.Fprintf(&b, "\n    before it: %s", orElse(strings.Join(e.Before, "; "), "nothing"))
	fmt.Fprintf(&b, "\n    gets: %s", listOr(e.Returns, "nothing"))
	if len(e.Receipt) > 0 {
		fmt.Fprintf(&b, "\n    receipt: %s", listOr(e.Receipt, "nothing"))
	}
	fmt.Fprintf(&b, "\n    limits: %s", listOr(e.Limits, "none"))
	if len(e.Guards) > 0 {
		fmt.Fprintf(&b, "; guards: %s", strings.Join(e.Guards, ", "))
	}
	if len(e.Observed) > 0 {
		fmt.Fprintf(&b, "; only reported: %s", strings.Join(e.Observed, ", "))
	}
	if e.Price != "" || len(e.Budgets) > 0 {
		fmt.Fprintf(&b, "\n    costs: %s a call; budgets: %s; strangers, in a day: %s", orElse(e.Price, "not known"), listOr(e.Budgets, "none"), mostOr(e.WorstDay))
	}
	return b.String()
}

func mostOr(worst string) string {
	if worst == "" {
		return "not bounded"
	}
	return "at most " + worst
}

// notNull makes empty lists [] in JSON, so that scripts need no second case.
func notNull(r checked) checked {
	if r.Faults == nil {
		r.Faults = config.Faults{}
	}
	if r.Warnings == nil {
		r.Warnings = config.Faults{}
	}
	if r.Exposures == nil {
		r.Exposures = []config.Exposure{}
	}
	if r.Loosened == nil {
		r.Loosened = []config.Loosening{}
	}
	return r
}
