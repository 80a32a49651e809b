package cli

import (
	"cmp"
	"fmt"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/egress"
)

func (p *Program) freeze() *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use:   "freeze [SITE[/CONNECTION]]",
		Short: "Stop all calls of a site or connection, or list what is frozen",
		Long: "Stops all calls of a site, or of one of its connections, within a second; callers get 503 with the code `frozen`. Calls in\n" +
			"progress end normally. With PostgreSQL it returns when every node has stopped them. `sallyport thaw` lets calls pass again. Without a\n" +
			"name it lists what is frozen.",
		Example: "  sallyport freeze shop/payments --reason \"key leaked\"\n  sallyport freeze shop\n  sallyport freeze --json",
		Args:    atMostOne("SITE or SITE/CONNECTION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return p.listFreezes(cmd)
			}
			f, siteName, connection, err := p.frozenTarget(args[0])
			if err != nil {
				return err
			}
			err = p.withStore(cmd.Context(), f, func(s app.Store) error {
				return s.Freeze(cmd.Context(), egress.Freeze{Site: siteName, Connection: connection, Reason: reason, By: whoAmI(), At: p.Now()})
			})
			if err == nil {
				fmt.Fprintf(p.Err, "%s is frozen; let calls pass again with: sallyport thaw %s\n", args[0], args[0])
			}
			return err
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, in a few `WORDS`, for whoever looks later")
	return p.withJSON(cmd)
}

func (p *Program) thaw() *cobra.Command {
	return &cobra.Command{
		Use:        "thaw SITE[/CONNECTION]",
		Short:      "Let calls of a frozen site or connection pass again",
		SuggestFor: []string{"unfreeze", "unlock", "resume"},
		Long:       "Ends a freeze. A connection stays frozen while its whole site is.",
		Example:    "  sallyport thaw shop/payments\n  sallyport thaw shop",
		Args:       exactly(1, "SITE or SITE/CONNECTION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, siteName, connection, err := p.frozenTarget(args[0])
			if err != nil {
				return err
			}
			thawed := false
			err = p.withStore(cmd.Context(), f, func(s app.Store) (err error) {
				thawed, err = s.Thaw(cmd.Context(), siteName, connection)
				return err
			})
			if err == nil && !thawed {
				return found(args[0]+" is not frozen", "`sallyport freeze` lists what is")
			}
			if err == nil {
				fmt.Fprintf(p.Err, "%s is thawed\n", args[0])
			}
			return err
		},
	}
}

// frozenTarget reads SITE or SITE/CONNECTION and finds it in the file, if that is whole.
func (p *Program) frozenTarget(name string) (*config.File, string, string, error) {
	siteName, connection, slash := strings.Cut(name, "/")
	if siteName == "" || slash && connection == "" {
		return nil, "", "", usage("this is neither SITE nor SITE/CONNECTION", "for instance shop or shop/payments")
	}
	file, whole, err := p.places()
	if err != nil || !whole {
		return file, siteName, connection, err
	}
	_, _, err = findTarget(file, siteName, connection)
	return file, siteName, connection, err
}

// frozen is one line of the list.
type frozen struct {
	Target string    `json:"target"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

func (p *Program) listFreezes(cmd *cobra.Command) error {
	file, _, err := p.places()
	if err != nil {
		return err
	}
	var freezes []egress.Freeze
	err = p.withStore(cmd.Context(), file, func(s app.Store) (err error) {
		freezes, err = s.ListFreezes(cmd.Context())
		return err
	})
	if err != nil {
		return err
	}
	list, rows := []frozen{}, [][]string{{"FROZEN", "SINCE", "BY", "REASON"}}
	for _, f := range freezes {
		list = append(list, frozen{Target: target(f.Site, f.Connection), Reason: f.Reason, By: f.By, At: f.At})
		rows = append(rows, []string{target(f.Site, f.Connection), day(f.At), f.By, orElse(f.Reason, "-")})
	}
	return p.facts(list, func() {
		if len(list) == 0 {
			p.line("nothing is frozen")
			return
		}
		p.table(rows)
	})
}

func whoAmI() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return cmp.Or(u.Username, u.Uid)
}

// atMostOne takes one argument or none.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usage("`"+cmd.CommandPath()+"` takes "+what+" and nothing more", "for instance: "+firstExample(cmd))
		}
		return nil
	}
}

// nearOr hints at the nearest name, or lists the names.
func nearOr(name string, names []string) string {
	if near, ok := config.Nearest(name, names); ok {
		return "did you mean " + near + "?"
	}
	slices.Sort(names)
	return "one of " + strings.Join(names, ", ")
}
