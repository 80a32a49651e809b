package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/site"
)

// The bounds of how long a sign-in lasts.
const (
	usualLogin = 12 * time.Hour
	maxLogin   = 30 * 24 * time.Hour
)

func loginKeys() *key {
	return &key{name: "login", kind: kindObject, def: "nobody signs in with it", doc: "Visitors sign in with this connection, at `login/CONNECTION` of the site's own host (`served_at`), and the site gets a pseudonym and the claims named here.", keys: []*key{
		{name: "issuer", kind: kindText, def: "the catalog's", want: "the issuer's name, such as https://id.example", example: "https://id.example",
			doc: "The OpenID Connect issuer, exactly as it names itself, where the provider is `oidc`. Its metadata are read from there."},
		{name: "claims", kind: kindList, single: true, def: "none", doc: "What the site is told of who signed in, beside a pseudonym. `email` is passed on only where the provider says that it is verified; `email_unverified` always, and proves nothing.", example: "[email, name]",
			item: &key{kind: kindText, enum: provider.ClaimNames(), want: "one of " + strings.Join(provider.ClaimNames(), ", "), example: "email"}},
		{name: "hosted_domain", kind: kindText, def: "everybody", want: "a domain such as shop.example", example: "shop.example",
			doc: "Only accounts of that organisation, where the provider knows such (Google Workspace)."},
		{name: "lasts", kind: kindText, def: "12h", pattern: durationPattern, want: "a time such as 12h", example: "12h", doc: "How long a sign-in lasts: 5m to 720h."},
	}}
}

// login reads what a connection says of signing in.
func (l *linker) login(v *value) {
	if v.form != mapping {
		return
	}
	facts := l.pack.Login
	if facts == nil {
		l.fault(v, "visitors cannot sign in with "+l.pack.Name, "remove login, or use a provider of the function login (`sallyport providers list`)")
		return
	}
	in := &site.Login{Issuer: facts.Issuer, Lasts: usualLogin}
	if lasts := v.at("lasts"); lasts.present() {
		in.Lasts = l.duration(lasts, 5*time.Minute, maxLogin)
	}
	l.issuer(v, in)
	for _, item := range v.at("claims").many() {
		switch name := item.str(); {
		case !slices.Contains(provider.ClaimNames(), name): // walk has named it
		case !known(facts.Claims, name):
			l.fault(item, fmt.Sprintf("%s does not give the claim %q", l.pack.Name, name), "name one of "+strings.Join(slices.Sorted(maps.Keys(facts.Claims)), ", "))
		case slices.Contains(in.Claims, name):
			l.fault(item, item.shown()+" stands twice", "remove one")
		default:
			in.Claims = append(in.Claims, name)
		}
	}
	if domain := v.at("hosted_domain"); domain.present() {
		if facts.Domain == "" {
			l.fault(domain, l.pack.Name+" does not say to which organisation an account belongs", "remove hosted_domain")
		} else if name, ok := l.host(domain); ok {
			in.Domain = name
		}
	}
	l.conn.Login = in
	l.loginPlace(v)
}

func known[V any](m map[string]V, name string) bool { _, ok := m[name]; return ok }

// issuer reads the name of the issuer where the catalog has none.
func (l *linker) issuer(v *value, in *site.Login) {
	at := v.at("issuer")
	switch {
	case l.pack.Login.Issuer != "" && at.present():
		l.fault(at, "the catalog says who "+l.pack.Name+" is", "remove issuer, or use the provider oidc")
	case l.pack.Login.Issuer != "":
	case !at.present():
		l.fault(v, "the issuer is missing", "write issuer: https://id.example, exactly as the issuer names itself")
	default:
		u, err := url.Parse(at.str())
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(at.text, "?#\\ ") {
			l.fault(at, "found "+at.shown(), "write the issuer's https address without query and fragment: https://id.example")
			return
		}
		in.Issuer = at.text
	}
}

// loginPlace wants the site's own gate name, on the same site (in the browsers' sense) as its
// pages: elsewhere the cookies of a sign-in would be a third party's, or shared with others.
func (l *linker) loginPlace(v *value) {
	if l.conn.Mode == provider.Mock && l.conn.Upstream == nil {
		l.fault(v, "in mode mock there is no identity provider to sign in with", "use mode sandbox, with upstream where the provider is one of your own")
	}
	if len(l.site.ServedAt) == 0 {
		l.fault(v, "the site has no gate name of its own, and below /"+l.site.Name+"/ cookies would be shared with other sites", "add served_at to the site, such as served_at: [api.shop.example]")
		return
	}
	if len(l.site.Origins) == 0 {
		l.fault(v, "the site has no origins to return to", "add origins: [https://shop.example] to the site")
	}
	for _, origin := range l.site.Origins {
		u, err := url.Parse(string(origin))
		if err != nil {
			continue
		}
		for _, host := range l.site.ServedAt {
			if u.Scheme != "https" && !local(u.Hostname()) {
				l.fault(v, string(origin)+" is plain http, and browsers keep a sign-in's cookies for https only", "write the site's https origin")
				break
			}
			if !sameSite(u.Hostname(), host) {
				l.fault(v, fmt.Sprintf("the gate's name %s and the origin %s are not under one domain, so that browsers treat a sign-in's cookies as a third party's", host, origin), "serve the gate under the site's own domain, such as api."+u.Hostname())
			}
		}
	}
}

func local(host string) bool { return host == "localhost" || host == "127.0.0.1" }

// sameSite is the browsers' notion of one site: one registrable domain.
func sameSite(a, b string) bool {
	if a == b {
		return true
	}
	x, err := publicsuffix.EffectiveTLDPlusOne(a)
	y, also := publicsuffix.EffectiveTLDPlusOne(b)
	return err == nil && also == nil && x == y
}

// loginNeeds names credentials that a sign-in needs and that the connection does not give.
func (l *linker) loginNeeds() {
	if l.conn.Login == nil {
		return
	}
	if l.conn.Account[l.pack.Login.ClientID] == "" {
		l.fault(l.v, fmt.Sprintf("a sign-in needs the credential %s, which is missing", l.pack.Login.ClientID), "add credentials: {"+l.pack.Login.ClientID+": …}")
	}
	if l.conn.Credentials[l.pack.Login.ClientSecret] == (secret.Ref{}) {
		l.fault(l.v, fmt.Sprintf("a sign-in needs the credential %s, which is missing", l.pack.Login.ClientSecret),
			fmt.Sprintf("add credentials: {%s: keystore:%s/%s}", l.pack.Login.ClientSecret, l.site.Name, l.conn.Name))
	}
}
