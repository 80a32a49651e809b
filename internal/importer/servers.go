package importer

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/openapi"
	"sallyport/internal/provider"
)

// servers gives each operation the name of its server and the path before its own.
type servers struct {
	names  map[int]string // by the index in the document
	bases  map[int]string
	packed map[string]provider.Server
}

func (s *servers) name(o openapi.Operation) string   { return s.names[o.Server] }
func (s *servers) prefix(o openapi.Operation) string { return s.bases[o.Server] }

// places decides where each operation lives. The servers that most operations use are "api".
func (m *maker) places(wanted []openapi.Operation) error {
	m.servers = servers{names: map[int]string{}, bases: map[int]string{}, packed: map[string]provider.Server{}}
	uses := map[int]int{}
	for _, o := range wanted {
		uses[o.Server]++
	}
	order := sortedKeys(uses)
	slices.SortStableFunc(order, func(a, b int) int { return uses[b] - uses[a] })
	for i, index := range order {
		server, base, err := m.place(index, i == 0)
		if err != nil {
			return err
		}
		name := "api"
		if i > 0 {
			name = m.servers.free(hostName(server))
		}
		m.servers.names[index], m.servers.bases[index] = m.servers.known(server, name), base
	}
	return m.authsOf(wanted)
}

// known gives the name of a server that is packed already under the same addresses, or packs it.
func (s *servers) known(server provider.Server, name string) string {
	for _, other := range sortedKeys(s.packed) {
		same := len(s.packed[other].URL) == len(server.URL)
		for mode, address := range server.URL {
			same = same && s.packed[other].URL[mode] == address
		}
		if same {
			return other
		}
	}
	s.packed[name] = server
	return name
}

func (s *servers) free(name string) string {
	for n, try := 2, name; ; n++ {
		if _, taken := s.packed[try]; !taken {
			return try
		}
		try = name + "-" + string(rune('0'+n%10))
	}
}

// hostName makes a server's name of its host: roads.googleapis.com is roads.
func hostName(s provider.Server) string {
	for _, mode := range []provider.Mode{provider.Live, provider.Sandbox} {
		if u, err := url.Parse(s.URL[mode]); err == nil && u.Host != "" {
			labels := strings.Split(u.Hostname(), ".")
			labels = slices.DeleteFunc(labels[:len(labels)-1], func(l string) bool { return l == "www" || l == "api" })
			if name := openapi.Kebab(strings.Join(labels[:min(1, len(labels))], "")); name != "" {
				return name
			}
		}
	}
	return "other"
}

// testWords tell that an address is the provider's test system.
var testWords = regexp.MustCompile(`(?i)(^|[^a-z])(sandbox|sbx|test|testing|staging|stage|uat|demo|playground)([^a-z]|$)`)

// place reads one set of addresses: the first that is no test system is live, the first that
// looks like one is sandbox. What --server and --sandbox say goes before, for the main server.
func (m *maker) place(index int, first bool) (provider.Server, string, error) {
	found := map[provider.Mode]string{}
	if index >= 0 {
		for _, a := range m.d.Servers[index].URLs {
			mode := provider.Live
			if testWords.MatchString(a.URL) || testWords.MatchString(a.Note) {
				mode = provider.Sandbox
			}
			if _, taken := found[mode]; !taken {
				found[mode] = a.URL
			}
		}
	}
	if first || index < 0 {
		if m.o.Server != "" || m.o.Sandbox != "" {
			found = map[provider.Mode]string{}
		}
		for mode, address := range map[provider.Mode]string{provider.Live: m.o.Server, provider.Sandbox: m.o.Sandbox} {
			if address != "" {
				found[mode] = strings.TrimRight(address, "/")
			}
		}
	}
	return m.split(found)
}

// split takes the path off the addresses: it stands before the paths of the contract.
func (m *maker) split(found map[provider.Mode]string) (provider.Server, string, error) {
	s := provider.Server{URL: map[provider.Mode]string{}}
	base, known := "", false
	for _, mode := range []provider.Mode{provider.Live, provider.Sandbox} {
		address, ok := found[mode]
		if !ok {
			continue
		}
		u, err := url.Parse(address)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Port() != "" || strings.ContainsAny(address, "{}"):
			return s, "", wrong("name it: --server https://api.example.com/v1, or --sandbox for a test system",
				"the server %q is not an https address with a host and no port", address)
		case known && strings.TrimRight(u.Path, "/") != base:
			m.say("the " + string(mode) + " server " + address + " has another path than the live one, so it is left out")
			continue
		}
		base, known = strings.TrimRight(u.Path, "/"), true
		s.URL[mode] = "https://" + strings.ToLower(u.Host)
	}
	if !known {
		return s, "", wrong("name it: --server https://api.example.com", "the description names no server")
	}
	return s, base, nil
}
