package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/site"
	"sallyport/internal/typescript"
)

// typesOptions is what `types` was asked for.
type typesOptions struct {
	out        string
	connection string
	modules    []string
	check      bool
}

func (p *Program) types() *cobra.Command {
	o := typesOptions{}
	cmd := &cobra.Command{
		Use:        "types SITE",
		Short:      "Write the TypeScript types of a site's client.js",
		SuggestFor: []string{"typescript", "dts", "codegen", "generate"},
		Long: "Writes TypeScript declarations for the client.js of a site: exactly the connections, operations and parameters that the file\n" +
			"leaves to a browser, and the fields that come back. What the gate would refuse by its name or kind does not compile. They\n" +
			"work for TypeScript from 5.0 on, and for JavaScript with // @ts-check. The same file gives the same bytes, so keep them with\n" +
			"the site's pages, and let its tests call this with --check. A site whose file lets a browser do nothing gets declarations\n" +
			"with nothing to call.",
		Example: "  sallyport types shop -o src/sallyport.d.ts\n  sallyport types shop --connection payments\n" +
			"  sallyport types shop -o src/sallyport.d.ts --module http://localhost:5173/gate/client.js\n  sallyport types shop -o src/sallyport.d.ts --check",
		Args: exactly(1, "the name of a SITE"),
		RunE: func(_ *cobra.Command, args []string) error { return p.writeTypes(args[0], o) },
	}
	cmd.Flags().StringVarP(&o.out, "out", "o", "", "write to `FILE`; without it to standard output")
	cmd.Flags().StringVar(&o.connection, "connection", "", "only this `CONNECTION`")
	cmd.Flags().StringArrayVar(&o.modules, "module", nil, "another `NAME` under which pages import client.js: an address, or a name of an import map; one * in it is any text. May be given several times")
	cmd.Flags().BoolVar(&o.check, "check", false, "write nothing; exit code 1 if the file that -o names is not what would be written")
	return cmd
}

func (p *Program) writeTypes(name string, o typesOptions) error {
	if o.check && o.out == "" {
		return usage("--check needs -o", "name the file to be checked: sallyport types "+name+" -o src/sallyport.d.ts --check")
	}
	for _, m := range o.modules {
		if err := moduleName(m); err != nil {
			return err
		}
	}
	file, err := p.load()
	if err != nil {
		return err
	}
	s, err := p.typedSite(file, name, o.connection)
	if err != nil {
		return err
	}
	made, err := typescript.Declare(s, file.Catalog, typescript.Options{Connection: o.connection,
		Modules: append(modules(file.Listen, s), o.modules...), Command: typesCommand(name, o), Version: p.Version})
	if err != nil {
		return brokenCatalog(err)
	}
	return p.putTypes(made, name, o)
}

// typedSite finds the site, and the connection if one was named.
func (p *Program) typedSite(file *config.File, name, connection string) (*site.Site, error) {
	var names []string
	for _, s := range file.Sites {
		names = append(names, s.Name)
	}
	s, ok := file.Site(name)
	if !ok {
		return nil, found(p.config+" has no site "+quote(name), nearOr(name, names))
	}
	c := s.Connections[connection]
	if connection == "" || c != nil && len(c.Browser)+len(c.Public) > 0 {
		return s, nil
	}
	names = nil
	for _, other := range s.Connections {
		if len(other.Browser)+len(other.Public) > 0 {
			names = append(names, other.Name)
		}
	}
	if c != nil {
		return nil, found("the connection "+connection+" of "+name+" lets a browser do nothing", "name operations under browser: there, or write types of: "+listOr(slices.Sorted(slices.Values(names)), "none"))
	}
	return nil, found(name+" has no connection "+quote(connection), nearOr(connection, names))
}

// typesCommand is the command for the head of the file. Where the file lies does not stand in it.
func typesCommand(name string, o typesOptions) string {
	text := "sallyport types " + name
	if o.connection != "" {
		text += " --connection " + o.connection
	}
	for _, m := range o.modules {
		text += " --module " + m
	}
	return text
}

// modules are the addresses of a site's client.js. A site below /SITE/ has it on every name of the gate; a gate that
// listens on another port than 443 may be called on that port, or through what stands before it.
func modules(l config.Listen, s *site.Site) []string {
	if len(s.ServedAt) == 0 {
		return []string{"*/" + s.Name + "/client.js"}
	}
	_, port, err := net.SplitHostPort(l.Public)
	var all []string
	for _, name := range s.ServedAt {
		all = append(all, "https://"+name+"/client.js")
		if err == nil && port != "443" {
			all = append(all, "*://"+name+":"+port+"/client.js")
		}
	}
	return all
}

// moduleName refuses what TypeScript would not take as the name of a module.
func moduleName(name string) error {
	switch {
	case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("\"'`\\", r) }):
		return usage("--module "+quote(name)+" is not a module's name", "write an address such as http://localhost:5173/gate/client.js, or a name of an import map")
	case strings.Count(name, "*") > 1:
		return usage("--module "+quote(name)+" has more than one *", "TypeScript takes one * in a module's name; give --module several times")
	case strings.HasPrefix(name, "./"), strings.HasPrefix(name, "../"), strings.HasPrefix(name, "/"):
		return usage("--module "+quote(name)+" is a place beside the page", "write */"+filepath.Base(name)+", which matches it from every page")
	}
	return nil
}

func (p *Program) putTypes(made typescript.Declarations, name string, o typesOptions) error {
	if made.Operations == 0 {
		fmt.Fprintf(p.Err, "note: the file lets a browser of %s call nothing; name operations under browser: in %s\n", name, p.config)
	}
	if o.out == "" {
		_, err := p.Out.Write(made.Text)
		return err
	}
	old, err := os.ReadFile(o.out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return because(err, "read what is there", "-o takes the path of a file")
	}
	if o.check {
		return checkTypes(old, made.Text, name, o)
	}
	if !bytes.Equal(old, made.Text) { // an unchanged file keeps its time: build tools look at it
		if err := os.WriteFile(o.out, made.Text, 0o644); err != nil {
			return because(err, "write the types", "-o takes the path of a file in a folder that exists")
		}
	}
	fmt.Fprintf(p.Err, "%s: %s of %s\n", o.out, counted(made.Operations, "operation"), counted(made.Connections, "connection"))
	return nil
}

// checkTypes compares all but the head: another version of sallyport that writes the same types is as good.
func checkTypes(old, made []byte, name string, o typesOptions) error {
	body := func(text []byte) []byte {
		_, rest, _ := bytes.Cut(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
		return rest
	}
	switch {
	case len(old) == 0:
		return found(o.out+" does not exist or is empty", "`"+typesCommand(name, o)+" -o "+o.out+"` writes it")
	case !bytes.Equal(body(old), body(made)):
		return found(o.out+" is not what the file says now", "`"+typesCommand(name, o)+" -o "+o.out+"` writes it again")
	}
	return nil
}
