package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/site"
)

func connectKeys() *key {
	return &key{name: "connect", kind: kindObject, def: "nobody connects an account", doc: "Signed-in visitors connect their own accounts at the provider, at `connect/CONNECTION` of the site's own host (`served_at`), for operations that need a visitor's token (docs/guide/connect-accounts.md).", keys: []*key{
		{name: "issuer", kind: kindText, def: "the catalog's", want: "the issuer's name, such as https://id.example", example: "https://id.example",
			doc: "The OpenID Connect issuer, exactly as it names itself, where the catalog names none."},
		{name: "scopes", kind: kindList, single: true, def: "the catalog's", doc: "What visitors are asked to allow, beside what the catalog always asks for.", example: "[calendar.read]",
			item: &key{kind: kindText, want: "a scope as the provider names it", example: "calendar.read"}},
	}}
}

// connect reads what a connection says of visitors' own accounts.
func (l *linker) connect(v *value) {
	if v.form != mapping {
		return
	}
	facts := l.pack.Grant
	if facts == nil {
		l.fault(v, "visitors cannot connect accounts of "+l.pack.Name, "remove connect, or use a provider whose pack has a grant (`sallyport providers show ID`)")
		return
	}
	in := &site.Connect{Issuer: facts.Issuer}
	l.connectIssuer(v, in)
	for _, item := range v.at("scopes").many() {
		switch name := item.str(); {
		case name == "" || len(name) > 300 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }):
			l.fault(item, "found "+item.shown(), "write one scope of visible characters without spaces (RFC 6749, section 3.3)")
		case slices.Contains(in.Scopes, name):
			l.fault(item, item.shown()+" stands twice", "remove one")
		default:
			in.Scopes = append(in.Scopes, name)
		}
	}
	l.conn.Connect = in
	l.loginPlace(v)
}

func (l *linker) connectIssuer(v *value, in *site.Connect) {
	at := v.at("issuer")
	switch facts := l.pack.Grant; {
	case at.present() && (facts.Kind != provider.GrantOpenID || facts.Issuer != ""):
		l.fault(at, "the catalog says who "+l.pack.Name+" is", "remove issuer")
	case facts.Kind != provider.GrantOpenID || facts.Issuer != "":
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

// connectNeeds names credentials that connecting needs and that the connection does not give.
func (l *linker) connectNeeds() {
	if l.conn.Connect == nil {
		return
	}
	facts := l.pack.Grant
	if l.conn.Account[facts.ClientID] == "" {
		l.fault(l.v, fmt.Sprintf("connecting accounts needs the credential %s, which is missing", facts.ClientID), "add credentials: {"+facts.ClientID+": …}")
	}
	if l.conn.Credentials[facts.ClientSecret] == (secret.Ref{}) {
		l.fault(l.v, fmt.Sprintf("connecting accounts needs the credential %s, which is missing", facts.ClientSecret),
			fmt.Sprintf("add credentials: {%s: keystore:%s/%s}", facts.ClientSecret, l.site.Name, l.conn.Name))
	}
}

// connectOwners wants somebody to whom a grant can belong: visitors who sign in.
func (b *builder) connectOwners(v *value, s *site.Site) {
	if s.SignsIn() {
		return
	}
	for name, c := range s.Connections {
		if c.Connect != nil {
			b.fault(v.at("connections", name, "connect"), "nobody can sign in at the site, so that an account would belong to nobody", "add login to a connection of the site, such as one of google-signin or oidc")
		}
	}
}
