package importer

import (
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/openapi"
	"sallyport/internal/provider"
)

// auths gives each operation the way in which the credential is applied.
type auths struct {
	packed map[string]provider.Auth
	fields []provider.CredentialField
	of     map[string]string // by operation
}

// skip reports parameters that the gate sends as the credential.
func (a *auths) skip(in, name string) bool {
	for _, auth := range a.packed {
		for _, one := range append([]provider.Auth{auth}, auth.Also...) {
			if one.Kind == in && (one.Name == name || in == "header" && strings.EqualFold(one.Name, name)) {
				return true
			}
		}
	}
	return false
}

func (a *auths) field(name, title string, isSecret bool) string {
	name = strings.ReplaceAll(strings.TrimPrefix(openapi.Kebab(name), "op-"), "-", "_")
	if name == "" || name[0] < 'a' || name[0] > 'z' {
		name = "credential"
	}
	if !slices.ContainsFunc(a.fields, func(f provider.CredentialField) bool { return f.Name == name }) {
		a.fields = append(a.fields, provider.CredentialField{Name: name, Title: title, Secret: isSecret})
	}
	return "{" + name + "}"
}

// authsOf decides for each operation. --auth holds for all of them.
func (m *maker) authsOf(wanted []openapi.Operation) error {
	a := &m.auths
	a.packed, a.of = map[string]provider.Auth{}, map[string]string{}
	if m.o.Auth != "" {
		auth, err := m.told(m.o.Auth)
		if err != nil {
			return err
		}
		a.packed["credential"] = auth
		for _, o := range wanted {
			a.of[o.ID] = "credential"
		}
		return nil
	}
	nowhere := !slices.ContainsFunc(m.d.Operations, func(o openapi.Operation) bool { return len(o.Security) > 0 })
	for _, o := range wanted {
		names, ok := m.best(o, nowhere)
		switch {
		case ok:
			a.of[o.ID] = m.apply(names)
		case o.Open:
			a.packed["open"] = provider.Auth{Kind: "none"}
			a.of[o.ID] = "open"
		default:
			return wrong("choose one: --auth bearer, basic, header:NAME, query:NAME or none", "%s needs a credential in a way that the gate does not know: %s", o.ID, m.inWords(o))
		}
	}
	if _, open := a.packed["open"]; open && nowhere {
		m.say("the description names no credential, so calls go without one; --auth says where it goes")
	}
	return nil
}

func (m *maker) inWords(o openapi.Operation) string {
	var list []string
	for _, alternative := range o.Security {
		list = append(list, strings.Join(alternative, " with "))
	}
	return strings.Join(list, " or ")
}

func (m *maker) scheme(name string) (openapi.Scheme, bool) {
	i := slices.IndexFunc(m.d.Schemes, func(s openapi.Scheme) bool { return s.Name == name })
	if i < 0 {
		return openapi.Scheme{}, false
	}
	return m.d.Schemes[i], true
}

// rank orders the kinds: a credential of our own before a token of the provider.
func rank(s openapi.Scheme) int {
	return slices.Index([]string{"header", "bearer", "basic", "query", "oauth2", "openid"}, s.Kind)
}

// best picks the alternative that asks for the least: one that this version serves, before one
// that needs a token first. Where a description has schemes but never says which operation
// needs them, its only scheme holds for all.
func (m *maker) best(o openapi.Operation, nowhere bool) ([]string, bool) {
	alternatives := o.Security
	if nowhere && len(m.d.Schemes) == 1 {
		alternatives = [][]string{{m.d.Schemes[0].Name}}
	}
	var best []string
	lowest := 100
	for _, names := range alternatives {
		worst := 0
		for _, name := range names {
			s, ok := m.scheme(name)
			if r := rank(s); ok && r >= 0 {
				worst = max(worst, r)
			} else {
				worst = 100
			}
		}
		if worst < lowest {
			best, lowest = names, worst
		}
	}
	return best, best != nil
}

// apply packs the schemes of one alternative as one way to apply credentials.
func (m *maker) apply(names []string) string {
	sorted := slices.Sorted(slices.Values(names))
	id := openapi.Kebab(strings.Join(sorted, "-"))
	if id == "" {
		id = "credential"
	}
	if _, known := m.auths.packed[id]; known {
		return id
	}
	var parts []provider.Auth
	for _, name := range sorted {
		s, _ := m.scheme(name)
		parts = append(parts, m.one(s))
	}
	auth := parts[0]
	auth.Also = append(auth.Also, parts[1:]...)
	m.auths.packed[id] = auth
	return id
}

// one translates one scheme.
func (m *maker) one(s openapi.Scheme) provider.Auth {
	a := &m.auths
	switch s.Kind {
	case "bearer":
		return provider.Auth{Kind: "header", Name: "Authorization", Value: "Bearer " + a.field("token", "Token, sent as Bearer", true)}
	case "basic":
		return provider.Auth{Kind: "basic", User: a.field("username", "User name of basic authentication", true), Password: a.field("password", "Password of basic authentication; may be empty", true)}
	case "header":
		return provider.Auth{Kind: "header", Name: s.Param, Value: a.field(s.Param, "Value of the header "+s.Param, true)}
	case "query":
		return provider.Auth{Kind: "query", Name: s.Param, Value: a.field(s.Param, "Value of the query parameter "+s.Param, true)}
	}
	if u, err := url.Parse(s.TokenURL); err == nil && u.Scheme == "https" && u.Host != "" && s.Kind == "oauth2" {
		return m.clientCredentials(u)
	}
	m.say(s.Name + " wants a token of a user, which this version serves in mode mock only; --auth bearer sends one that you renew yourself")
	return provider.Auth{Kind: "user_token", Name: "Authorization"}
}

// clientCredentials is OAuth for the client itself.
func (m *maker) clientCredentials(u *url.URL) provider.Auth {
	server, path := m.tokenEndpoint(u)
	return provider.Auth{Kind: "oauth_client_credentials", User: m.auths.field("client_id", "Client id", false), Password: m.auths.field("client_secret", "Client secret", true), TokenServer: server, TokenPath: path}
}

// tokenEndpoint is where tokens come from; it becomes a server if it is none yet.
func (m *maker) tokenEndpoint(u *url.URL) (name, path string) {
	server := provider.Server{URL: map[provider.Mode]string{provider.Live: "https://" + strings.ToLower(u.Host)}}
	for _, other := range sortedKeys(m.servers.packed) {
		for _, address := range m.servers.packed[other].URL {
			if address == server.URL[provider.Live] {
				name = other
			}
		}
	}
	if name == "" {
		name = m.servers.free("token")
		m.servers.packed[name] = server
	}
	if path = u.EscapedPath(); path == "" {
		path = "/"
	}
	return name, path
}

// jwtBearer is a service account's signature for a token: "ADDRESS SCOPE SCOPE".
func (m *maker) jwtBearer(wish string) (provider.Auth, error) {
	address, scope, _ := strings.Cut(wish, " ")
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Port() != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return provider.Auth{}, wrong(`write --auth "jwt-bearer:https://HOST/PATH SCOPE"`, "--auth jwt-bearer: %q is not the https address of a token endpoint", address)
	}
	server, path := m.tokenEndpoint(u)
	return provider.Auth{Kind: "oauth_jwt_bearer", Password: m.auths.field("service_account", "JSON key file of a service account", true),
		TokenServer: server, TokenPath: path, TokenScope: strings.Join(strings.Fields(scope), " ")}, nil
}

// say adds a note to the report, once.
func (m *maker) say(note string) {
	if !slices.Contains(m.report.Notes, note) {
		m.report.Notes = append(m.report.Notes, note)
	}
}

// told reads --auth.
func (m *maker) told(wish string) (provider.Auth, error) {
	kind, name, _ := strings.Cut(wish, ":")
	plain := name == ""
	switch {
	case kind == "bearer" && plain || kind == "basic" && plain:
		return m.one(openapi.Scheme{Kind: kind}), nil
	case (kind == "header" || kind == "query") && !plain:
		return m.one(openapi.Scheme{Kind: kind, Param: name}), nil
	case kind == "body" && !plain:
		return provider.Auth{Kind: "body", Name: name, Value: m.auths.field(name, "Value of the field "+name, true)}, nil
	case kind == "jwt-bearer" && !plain:
		return m.jwtBearer(name)
	case kind == "none" && plain:
		return provider.Auth{Kind: "none"}, nil
	case kind == "client-credentials" && plain:
		for _, s := range m.d.Schemes {
			if s.TokenURL != "" {
				return m.one(s), nil
			}
		}
		return provider.Auth{}, wrong("write --auth bearer and renew the token yourself", "--auth client-credentials: the description names no address where a client gets its token")
	}
	return provider.Auth{}, wrong("write bearer, basic, header:NAME, query:NAME, body:NAME, client-credentials, jwt-bearer:ADDRESS or none", "--auth %q is no way to send a credential", wish)
}
