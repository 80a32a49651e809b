package cli

import (
	"github.com/spf13/cobra"

	"sallyport/internal/config"
)

func (p *Program) schema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of sallyport.yaml for editors",
		Long: "Prints a JSON Schema (draft 2020-12) of the file. Editors with the YAML language server complete and check keys\n" +
			"with it: put `# yaml-language-server: $schema=./sallyport.schema.json` on the file's first line.",
		Example: "  sallyport schema > sallyport.schema.json",
		Args:    none,
		RunE: func(*cobra.Command, []string) error {
			schema, err := config.Schema()
			if err != nil {
				return because(err, "make the schema", "")
			}
			_, err = p.Out.Write(schema)
			return err
		},
	}
}
