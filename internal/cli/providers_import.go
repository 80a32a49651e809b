package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/importer"
	"sallyport/internal/openapi"
)

// importOptions are the flags of providers import.
type importOptions struct {
	importer.Options
	out   string
	list  bool
	force bool
}

func (p *Program) providersImport() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:        "import FILE|-",
		Short:      "Make a provider of an OpenAPI, Swagger or Google Discovery file",
		SuggestFor: []string{"add", "new", "openapi", "swagger"},
		Long: "Reads the description of an API (OpenAPI 3.0 to 3.2, Swagger 2.0, Google Discovery; JSON or YAML) and writes a provider of the chosen\n" +
			"operations into the folder providers/ beside the configuration file, for connections to use like those of the catalog. Nothing\n" +
			"is fetched: other files that it refers to are taken from its own folder.\n" +
			"It chooses what is safe: reads may be repeated and nothing else, ids are not a browser's to choose, and a field whose name or format\n" +
			"tells counts as personal, secret or card data. The report names each of these choices, for you to correct in the files.\n" +
			"An operation that the gate cannot carry is left out and named, or stops the import where you named it yourself.",
		Example: "  sallyport providers import shop.yaml --list\n" +
			"  sallyport providers import shop.yaml --id shop-orders --operations \"create-order,GET /orders*\"\n" +
			"  sallyport providers import shop.yaml --operations all --auth header:X-Api-Key --sandbox https://sandbox.shop.example\n" +
			"  sallyport providers import - --operations all --sensitive customer.tax_number=personal < shop.json",
		Args: exactly(1, "the FILE, or - for standard input"),
		RunE: func(_ *cobra.Command, args []string) error { return p.importProvider(args[0], o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.list, "list", false, "only list the operations of the file")
	f.StringVar(&o.ID, "id", "", "the provider's `ID` in sallyport.yaml (default: made of its title)")
	f.StringVar(&o.Name, "name", "", "its `NAME` for people (default: its title)")
	f.StringSliceVar(&o.Operations, "operations", nil, "`LIST` of names and patterns such as \"GET /v1/*\", or all")
	f.StringVar(&o.Auth, "auth", "", "where the credential goes, `PLACE`: bearer, basic, header:NAME, query:NAME, body:NAME, client-credentials, jwt-bearer:ADDRESS or none (default: as the file says)")
	f.StringVar(&o.Server, "server", "", "`URL` of the API in mode live (default: as the file says)")
	f.StringVar(&o.Sandbox, "sandbox", "", "`URL` of its test system, for mode sandbox")
	f.StringSliceVar(&o.Sensitive, "sensitive", nil, "`FIELD=KIND`, with personal, secret, card or plain; FIELD as the report names it, or its last part alone")
	f.StringSliceVar(&o.Retry, "retry", nil, "`OPERATION=RULE`, with safe or never (default: safe for GET)")
	f.StringSliceVar(&o.Loose, "without-pattern", nil, "`POINTER` of a pattern that the gate cannot hold and that you give up")
	f.StringVar(&o.out, "out", "", "`DIR` for the provider's folder (default: providers of the configuration file)")
	f.BoolVar(&o.force, "force", false, "replace a provider of that id")
	return p.withJSON(cmd)
}

func (p *Program) importProvider(file string, o importOptions) error {
	bar := p.progress()
	defer bar.end()
	o.Progress, o.On = bar.show, p.Now()
	bar.show("reading", 0, 0)
	document, err := p.readDescription(file, &o)
	if err != nil {
		return err
	}
	if o.list {
		bar.end()
		return p.listDescribed(document)
	}
	folder, err := p.importFolder(o)
	if err != nil {
		return err
	}
	made, err := importer.Import(document, o.Options)
	bar.end()
	if err != nil {
		return p.importFailure(err)
	}
	if slices.Contains(p.Catalog.List(), made.ID) {
		return found("the catalog has a provider "+quote(made.ID)+" already", "choose another id: --id my-"+made.ID)
	}
	place := filepath.Join(folder, made.ID)
	if err := putProvider(folder, made, o.force); err != nil {
		return err
	}
	return p.reportImport(place, made.Report)
}

// readDescription reads the file, or standard input.
func (p *Program) readDescription(file string, o *importOptions) (*openapi.Document, error) {
	var in io.Reader = p.In
	read := openapi.Options{}
	o.File = "standard-input"
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, found("open "+file+": "+reason(err), "name the file of the description, or - for standard input")
		}
		defer f.Close()
		in, o.File = f, filepath.Base(file)
		folder, err := os.OpenRoot(filepath.Dir(file))
		if err != nil {
			return nil, because(err, "open the folder of "+file, "")
		}
		defer folder.Close()
		read.Open = func(name string) ([]byte, error) { return readIn(folder, name) }
	}
	data, err := io.ReadAll(io.LimitReader(in, openapi.MaxSize+1))
	if err != nil {
		return nil, because(err, "read "+file, "")
	}
	o.Data = data
	document, err := openapi.Read(o.File, data, read)
	if err != nil {
		return nil, found(err.Error(), "give the description of an API: OpenAPI 3.0, 3.1 or 3.2, Swagger 2.0, or Google Discovery, in JSON or YAML")
	}
	return document, nil
}

// readIn reads a file in the description's folder; a link that leads out of it is refused.
func readIn(folder *os.Root, name string) ([]byte, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, openapi.MaxSize+1))
}

// reason is the system's word without the path, which is named already.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

func (p *Program) listDescribed(document *openapi.Document) error {
	lines := importer.List(document)
	return p.facts(lines, func() {
		rows := [][]string{{"OPERATION", "METHOD", "PATH", "SUMMARY"}}
		for _, l := range lines {
			rows = append(rows, []string{l.ID, l.Method, l.Path, l.Summary})
		}
		p.table(rows)
	})
}

// importFolder is where providers lie.
func (p *Program) importFolder(o importOptions) (string, error) {
	if o.out != "" {
		return o.out, nil
	}
	folder, faults := config.ProvidersFolder(p.config)
	if folder == "" {
		return "", faults
	}
	return folder, nil
}

// importFailure prints why operations cannot be had before the error itself.
func (p *Program) importFailure(err error) error {
	var wrong *importer.Error
	if !errors.As(err, &wrong) {
		return err
	}
	for i, f := range wrong.LeftOut {
		if i == 20 {
			fmt.Fprintf(p.Err, "… and %d more\n", len(wrong.LeftOut)-i)
			break
		}
		fmt.Fprintln(p.Err, f.String())
	}
	return found(wrong.Text, wrong.Hint)
}

// putProvider writes the folder beside its place and then swaps it in, so that a gate that
// reads at this moment finds the old one or the new one, whole.
func putProvider(folder string, made *importer.Made, force bool) error {
	place := filepath.Join(folder, made.ID)
	if _, err := os.Lstat(place); err == nil && !force {
		return found(place+" is there already", "--force replaces it; what was corrected in it by hand is lost then")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return because(err, "make "+folder, "")
	}
	next, err := os.MkdirTemp(folder, ".import-")
	if err != nil {
		return because(err, "write into "+folder, "")
	}
	defer os.RemoveAll(next)
	whole := filepath.Join(next, "new")
	if err := os.Mkdir(whole, 0o755); err != nil {
		return because(err, "write into "+folder, "")
	}
	for name, text := range map[string][]byte{"pack.json": made.Pack, "contract.json": made.Contract} {
		if err := writeSynced(filepath.Join(whole, name), text); err != nil {
			return because(err, "write "+name, "")
		}
	}
	if err := os.Rename(place, filepath.Join(next, "old")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return because(err, "replace "+place, "")
	}
	if err := os.Rename(whole, place); err != nil {
		return because(errors.Join(err, os.Rename(filepath.Join(next, "old"), place)), "put "+place+" in its place", "")
	}
	return nil
}

func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// imported is what providers import prints with --json.
type imported struct {
	Folder string `json:"folder"`
	importer.Report
}

// shownMarks and shownFindings bound what is printed for people; --json has all.
const shownLines = 25

func (p *Program) reportImport(place string, r importer.Report) error {
	if r.LeftOut == nil {
		r.LeftOut = []openapi.Finding{}
	}
	if r.Findings == nil {
		r.Findings = []openapi.Finding{}
	}
	if r.Marks == nil {
		r.Marks = []openapi.Marked{}
	}
	if r.Notes == nil {
		r.Notes = []string{}
	}
	return p.facts(imported{place, r}, func() { p.printImport(place, r) })
}

func (p *Program) printImport(place string, r importer.Report) {
	p.line("%s (%s): %s of %s %s", r.Name, r.ID, counted(len(r.Operations), "operation"), r.Family, r.Version)
	for _, name := range sortedNames(r.Servers) {
		for _, mode := range sortedNames(r.Servers[name].URL) {
			p.line("server %s, %s: %s", name, mode, r.Servers[name].URL[mode])
		}
	}
	for _, name := range sortedNames(r.Auth) {
		a := r.Auth[name]
		p.line("credential %s: %s", name, strings.TrimSpace(a.Kind+" "+a.Name))
	}
	p.line("")
	rows := [][]string{{"OPERATION", "METHOD", "PATH", "REPEATS", "EFFECTS"}}
	for _, l := range r.Operations[:min(len(r.Operations), shownLines)] {
		rows = append(rows, []string{l.ID, l.Method, l.Path, l.Retry, listOr(l.Effects, "none")})
	}
	p.table(rows)
	p.rest(len(r.Operations))
	p.importSection("decided by names, to be checked:", len(r.Marks), func(i int) string {
		m := r.Marks[i]
		what := m.Data
		if m.ID {
			what = strings.TrimPrefix(what+", id", ", ")
		}
		if m.URL {
			what = strings.TrimPrefix(what+", address", ", ")
		}
		return m.Where + ": " + what + " (" + m.Why + ")"
	})
	p.importSection("left out:", len(r.LeftOut), func(i int) string { return r.LeftOut[i].String() })
	p.importSection("found in the file:", len(r.Findings), func(i int) string { return r.Findings[i].String() })
	p.importSection("to know:", len(r.Notes), func(i int) string { return r.Notes[i] })
	p.line("\nwritten to %s; `sallyport providers show %s` shows it as connections see it", place, r.ID)
}

func (p *Program) importSection(head string, n int, line func(int) string) {
	if n == 0 {
		return
	}
	p.line("\n%s", head)
	for i := range min(n, shownLines) {
		p.line("  %s", line(i))
	}
	p.rest(n)
}

func (p *Program) rest(n int) {
	if n > shownLines {
		p.line("  … and %d more; --json has all", n-shownLines)
	}
}

func sortedNames[K ~string, V any](m map[K]V) []K {
	names := make([]K, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
