package cli

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/provider"
)

func (p *Program) providers() *cobra.Command {
	return group("providers", "Look into the catalog of third-party APIs", "  sallyport providers list\n  sallyport providers show google-maps",
		p.providersList(), p.providersShow(), p.providersCompare(), p.providersImport())
}

func (p *Program) providersList() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:     "list",
		Short:   "List the providers of the catalog",
		Long:    "Lists every provider that this binary knows: its id for the file, what it is for, its modes, and the number of its operations.",
		Example: "  sallyport providers list\n  sallyport providers list --json",
		Args:    none,
		RunE: func(*cobra.Command, []string) error {
			catalog, err := p.catalog()
			if err != nil {
				return err
			}
			packs, err := catalog.Load()
			if err != nil {
				return brokenCatalog(err)
			}
			list := provider.List(packs)
			return p.written(list, func() error { return provider.WriteList(p.Out, list) })
		},
	})
}

func (p *Program) providersShow() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:   "show ID [OPERATION]",
		Short: "Show one provider: credentials, operations, limits, claims",
		Long: "Shows everything that the catalog knows about one provider: which part of it passes the gate, the credentials of a connection,\n" +
			"every operation name with its method and path, limits, repeats, webhooks, and compliance claims with source and date.\n" +
			"With an OPERATION it shows that operation's parameters and the fields of its answer, as browser rules name them.",
		Example: "  sallyport providers show google-maps\n  sallyport providers show stripe create-payment-intent\n  sallyport providers show paypal --json",
		Args:    oneOrTwo("the ID of one provider, then the name of one operation if you want to see that"),
		RunE: func(_ *cobra.Command, args []string) error {
			pack, err := p.findPack(args[0])
			if err != nil {
				return err
			}
			if len(args) == 2 {
				return p.showOperation(pack, args[1])
			}
			d := provider.Describe(pack)
			return p.written(d, func() error { return provider.WriteDescription(p.Out, d) })
		},
	})
}

func (p *Program) providersCompare() *cobra.Command {
	var f provider.Filter
	cmd := &cobra.Command{
		Use:   "compare [ID…]",
		Short: "Put providers side by side",
		Long: "Puts providers side by side by what they publish: function, data regions, compliance claims, data format, limits, repeats, webhooks.\n" +
			"Where a provider publishes nothing the cell says so; it does not mean no. Without ids all providers are compared.",
		Example: "  sallyport providers compare --function payments\n  sallyport providers compare --compliance \"PCI DSS\" --json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			for _, id := range args {
				if _, err := p.findPack(id); err != nil {
					return err
				}
			}
			catalog, err := p.catalog()
			if err != nil {
				return err
			}
			packs, err := catalog.Load(args...)
			if err != nil {
				return brokenCatalog(err)
			}
			table := provider.Compare(packs, f)
			return p.written(table, func() error { return provider.WriteTable(p.Out, table) })
		},
	}
	cmd.Flags().StringVar(&f.Function, "function", "", "only those for `FUNCTION`: "+strings.Join(provider.FunctionNames(), ", "))
	cmd.Flags().StringVar(&f.Region, "region", "", "only those that publish `REGION` as a place where data is processed")
	cmd.Flags().StringVar(&f.Compliance, "compliance", "", "only those that publish `CLAIM`: "+strings.Join(provider.Subjects(), ", "))
	cmd.Flags().StringVar(&f.Format, "format", "", "only those whose data `FORMAT` has the word: json, form")
	cmd.Flags().Float64Var(&f.MinRate, "min-rate", 0, "only those that publish at least `N` calls per second in mode live")
	return p.withJSON(cmd)
}

// findPack finds a provider; for an unknown one the hint has the nearest id.
func (p *Program) findPack(id string) (*provider.Pack, error) {
	catalog, err := p.catalog()
	if err != nil {
		return nil, err
	}
	pack, err := catalog.Find(id)
	var unknown *provider.UnknownError
	switch {
	case errors.As(err, &unknown):
		hint := "one of " + strings.Join(unknown.Known, ", ")
		if unknown.Near != "" {
			hint = "did you mean " + unknown.Near + "?"
		}
		return nil, found("the catalog has no provider "+quote(id), hint)
	case err != nil:
		return nil, brokenCatalog(err)
	}
	return pack, nil
}

// catalog is what this build knows, with the imported providers that belong to the file.
func (p *Program) catalog() (*provider.Catalog, error) {
	folder, faults := config.ProvidersFolder(p.config)
	if folder == "" {
		return nil, faults
	}
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return p.Catalog, nil
	}
	catalog, err := p.Catalog.With(os.DirFS(folder), provider.Loading{Only: map[string][]string{}})
	if err != nil {
		return nil, because(err, "read "+folder, "every folder in it is one imported provider")
	}
	return catalog, nil
}

func brokenCatalog(err error) error {
	return because(err, "read the catalog", "mend the files of an imported provider, or import it again with --force; for a provider of the catalog itself this is a defect of this build")
}
