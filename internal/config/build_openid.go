package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/secret"
	"sallyport/internal/site"
)

// maxRedirects bounds the addresses of one client.
const maxRedirects = 20

func openidKeys() *key {
	address := func(name, example, doc string) *key {
		return &key{name: name, kind: kindList, single: true, doc: doc, example: "[" + example + "]",
			item: &key{kind: kindText, example: example, want: "a whole address such as " + example}}
	}
	redirects := address("redirects", "https://shop.example/auth/callback", "Addresses that codes are sent to, on the site's origins, letter for letter as the client sends `redirect_uri`.")
	redirects.required = true
	return &key{name: "openid", kind: kindObject, def: "the gate is no OpenID provider", doc: "The gate as an OpenID provider for the site's own servers: Auth.js, Laravel or WordPress sign visitors in by discovery at the site's gate name (`served_at`). See [sign-in-for-servers.md](../guide/sign-in-for-servers.md).", keys: []*key{
		{name: "logins", kind: kindList, single: true, def: "all connections with `login`", doc: "Connections with `login` that visitors sign in with. The first is taken where a client does not ask for another with the parameter `connection`.", example: "[google]",
			item: &key{kind: kindText, example: "google", pattern: namePattern, want: "the name of a connection with login"}},
		{name: "clients", kind: kindTable, required: true, names: namePattern, namesAre: "CLIENT", doc: "The site's servers by client id.", item: &key{kind: kindObject, keys: []*key{
			{name: "secret", kind: kindText, def: "none: the client needs PKCE", want: "a reference such as keystore:shop/website", example: "keystore:shop/openid-website",
				doc: "Where the client's secret is; at least 32 characters. Give the server the same."},
			redirects,
			address("after_logout", "https://shop.example/", "Addresses that visitors may be sent to after signing out, on the site's origins."),
		}}},
	}}
}

// openid reads a site's clients.
func (b *builder) openid(v *value, s *site.Site) {
	if v.form != mapping {
		return
	}
	out := &site.OpenID{Clients: map[string]*site.OpenIDClient{}}
	if len(s.ServedAt) == 0 {
		b.fault(v, "the site has no gate name of its own, which would be the issuer", "add served_at to the site, such as served_at: [api.shop.example]")
	}
	b.logins(v, s, out)
	clients := v.at("clients")
	if clients.form == mapping && len(clients.entries) == 0 {
		b.fault(clients, "there is no client", "add one: website: {secret: keystore:"+s.Name+"/openid-website, redirects: [https://shop.example/auth/callback]}")
	}
	for _, e := range clients.entries {
		if e.value.form == mapping {
			out.Clients[e.key] = b.openidClient(e.value, s)
		}
	}
	s.OpenID = out
}

// logins finds the connections to sign in with, and what they tell.
func (b *builder) logins(of *value, s *site.Site, out *site.OpenID) {
	v := of.at("logins")
	var can []string
	for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
		if s.Connections[name].Login != nil {
			can = append(can, name)
		}
	}
	for _, item := range v.many() {
		switch name := item.str(); {
		case name == "":
		case !slices.Contains(can, name):
			b.fault(item, fmt.Sprintf("%q is no connection of this site that visitors sign in with", name), "name one of "+listOr(can, "the connections with login")+", or add login to that connection")
		case slices.Contains(out.Logins, name):
			b.fault(item, item.shown()+" stands twice", "remove one")
		default:
			out.Logins = append(out.Logins, name)
		}
	}
	switch {
	case v.present():
	case len(can) == 0:
		b.fault(of, "no connection of the site signs visitors in", "add a connection such as google: {provider: google-signin, login: {claims: [email]}, …}")
	default:
		out.Logins = can
	}
	for _, name := range out.Logins {
		for _, claim := range s.Connections[name].Login.Claims {
			if !slices.Contains(out.Claims, claim) {
				out.Claims = append(out.Claims, claim)
			}
		}
	}
	slices.Sort(out.Claims)
}

func listOr(names []string, otherwise string) string {
	if len(names) == 0 {
		return otherwise
	}
	return strings.Join(names, ", ")
}

func (b *builder) openidClient(v *value, s *site.Site) *site.OpenIDClient {
	c := &site.OpenIDClient{Redirects: b.clientAddresses(v.at("redirects"), s), AfterLogout: b.clientAddresses(v.at("after_logout"), s)}
	at := v.at("secret")
	if !at.present() || at.str() == "" {
		return c
	}
	ref, err := secret.ParseRef(at.text)
	if err != nil {
		b.hide(at.text)
		b.fault(at, "a client's secret is named, never written into the file", "write keystore:"+s.Name+"/openid-website, env:NAME or file:/path")
		return c
	}
	c.Secret = ref
	return c
}

// clientAddresses reads addresses on the site's origins; http is for the loopback of a
// developer's machine.
func (b *builder) clientAddresses(v *value, s *site.Site) []string {
	var out []string
	for _, item := range v.many() {
		raw := item.str()
		if raw == "" {
			continue
		}
		u, err := url.Parse(raw)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http" || len(raw) > 1000 ||
			strings.ContainsAny(raw, " \\*#") || u.Path == "" || strings.Contains(u.Path, "/../") || strings.HasSuffix(u.Path, "/.."):
			b.fault(item, "found "+item.shown(), "write a whole address without fragment or wildcard, such as https://shop.example/auth/callback")
		case u.Scheme == "http" && !loopbackName(u.Hostname()):
			b.fault(item, item.shown()+" is plain http, where anybody on the way could read codes", "write https")
		case !slices.Contains(s.Origins, site.Origin(u.Scheme+"://"+u.Host)):
			b.fault(item, item.shown()+" is not on one of the site's origins", "add the origin to the site's origins, or write an address on one of them")
		case slices.Contains(out, raw):
			b.fault(item, item.shown()+" stands twice", "remove one")
		default:
			out = append(out, raw)
		}
	}
	if len(out) > maxRedirects {
		b.fault(v, fmt.Sprintf("there are %d addresses", len(out)), fmt.Sprintf("name %d at most", maxRedirects))
	}
	return out
}

func loopbackName(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
