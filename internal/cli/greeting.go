package cli

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"sallyport/internal/config"
	"sallyport/internal/site"
)

// shownSites bounds the sites of a greeting.
const shownSites = 20

// greeting says what listens where, for whoever started the gate at a terminal.
func greeting(file *config.File, public net.Addr) string {
	var b strings.Builder
	base := root(file.Listen, public)
	fmt.Fprintf(&b, "\n  The gate is ready.\n\n    Listens   %s\n", base)
	if file.Listen.HTTP != "" {
		fmt.Fprintf(&b, "    Redirects %s, which also answers for certificates\n", file.Listen.HTTP)
	}
	fmt.Fprintf(&b, "    File      %s, read again when it changes\n    Data      %s\n", file.Path, file.Data)
	for i, s := range file.Sites {
		if i == shownSites {
			fmt.Fprintf(&b, "    … and %s more\n", counted(len(file.Sites)-i, "site"))
			break
		}
		fmt.Fprintf(&b, "\n    %s", s.Name)
		for _, at := range addresses(s, base) {
			fmt.Fprintf(&b, "\n      %s", at)
		}
		fmt.Fprintf(&b, "\n      %s\n", strings.Join(connections(s), ", "))
	}
	b.WriteString("\n")
	for _, hint := range hints(file) {
		fmt.Fprintf(&b, "    %s\n", hint)
	}
	b.WriteString("    What happens follows as lines of JSON. Ctrl-C finishes the calls in progress, and stops.\n\n")
	return b.String()
}

// root is where the gate itself is reached from this machine, as far as it can know that.
func root(l config.Listen, public net.Addr) string {
	scheme := "https"
	if l.TLS.Kind == config.TLSOff {
		scheme = "http"
	}
	return scheme + "://" + public.String() + "/"
}

// addresses are where a site is served.
func addresses(s *site.Site, base string) []string {
	if len(s.ServedAt) == 0 {
		return []string{base + s.Name + "/"}
	}
	var all []string
	for _, name := range s.ServedAt {
		all = append(all, "https://"+name+"/")
	}
	return all
}

func connections(s *site.Site) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
		c := s.Connections[name]
		all = append(all, fmt.Sprintf("%s (%s, %s)", name, c.Provider, c.Mode))
	}
	return all
}

// hints are what deserves a look.
func hints(file *config.File) []string {
	var found []string
	if n := len(file.Warnings); n > 0 {
		found = append(found, counted(n, "warning"))
	}
	if n := len(file.Loosened) + len(withoutKeystore(file)); n > 0 {
		found = append(found, counted(n, "loosening"))
	}
	if len(found) == 0 {
		return nil
	}
	return []string{"`sallyport check` tells of " + strings.Join(found, " and ") + "."}
}
