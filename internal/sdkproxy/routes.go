package sdkproxy

import (
	"cmp"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/egress"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// Routes lists the connections behind each provider host, by exact name. A connection counts
// where backends may call something of it; its hosts are those of its provider in its mode,
// and for mode mock those of the test system, or else of the live one: what an SDK asks for.
// Only names on port 443 count. A provider that find does not know counts for nothing.
func Routes(sites []*site.Site, find func(id string) (*provider.Pack, error)) map[string][]egress.Target {
	out := map[string][]egress.Target{}
	for _, s := range sites {
		for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
			c := s.Connections[name]
			pack, err := find(c.Provider)
			if err != nil || !c.BackendAll && len(c.Backend) == 0 {
				continue
			}
			for _, server := range slices.Sorted(maps.Keys(pack.Servers)) {
				host, base, ok := hostOf(serverURL(pack.Servers[server], c.Mode))
				t := egress.Target{Site: s.Name, Connection: name, Base: base}
				if ok && !slices.Contains(out[host], t) {
					out[host] = append(out[host], t)
				}
			}
		}
	}
	return out
}

// Names are the host names of routes, sorted.
func Names(routes map[string][]egress.Target) []string {
	return slices.Sorted(maps.Keys(routes))
}

func serverURL(s provider.Server, mode provider.Mode) string {
	if mode == provider.Mock {
		return cmp.Or(s.URL[provider.Sandbox], s.URL[provider.Live])
	}
	return s.URL[mode]
}

// hostOf takes a server's URL apart: its name, and its path without the last slash.
func hostOf(raw string) (host, base string, ok bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Port() != "" && u.Port() != "443" || !hostName(u.Hostname()) {
		return "", "", false
	}
	return u.Hostname(), strings.TrimSuffix(u.EscapedPath(), "/"), true
}

// hostName reports whether s is a lower-case name of at least two labels, and no address: what
// a certificate's dNSName can hold.
func hostName(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil || len(s) > 253 || !strings.Contains(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}
