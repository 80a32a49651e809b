package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/site"
	"sallyport/internal/webhook"
	"sallyport/internal/webhook/scheme"
)

const (
	usualKeep = 30 * 24 * time.Hour
	leastKeep = 7 * 24 * time.Hour
	mostKeep  = 400 * 24 * time.Hour
	maxAtOnce = 64
)

func webhookKeys() *key {
	ref := func(name, doc, example string) *key {
		return &key{name: name, kind: kindText, doc: doc, want: "a reference such as env:NAME, file:/path or keystore:site/name", example: example}
	}
	signing := func() []*key {
		return []*key{
			{name: "sign_as", kind: kindText, def: "standard", enum: []string{"standard", "provider"}, want: "standard or provider", example: "provider",
				doc: "How deliveries are signed: by Standard Webhooks, or, unchanged, in the provider's own scheme, so that the provider's SDK verifies them."},
			ref("sign_with", "The secret that the site verifies deliveries with: `whsec_` and base64 for Standard Webhooks, else of the provider's shape. Never the provider's own.", "keystore:shop/hook-signing"),
			pathTypes("types", "The events it gets, by type; `*` stands for anything."),
			{name: "order", kind: kindText, def: "none", enum: []string{"object", "none"}, want: "object or none", example: "object", doc: "`object`: an object's next event waits until the one before it is delivered or buried."},
			{name: "at_once", kind: kindWhole, def: "8", example: "4", doc: "How many deliveries are made at the same time, 1 to 64."},
			{name: "every", kind: kindText, def: "0s", pattern: durationPattern, want: "a time such as 200ms", example: "200ms", doc: "The least time between two deliveries; they are then made one at a time."},
			{name: "private", kind: kindSwitch, def: "false", example: "true", doc: "The address may be a non-public one, also over plain http. Logged at every start."},
		}
	}
	return &key{name: "webhooks", kind: kindObject, def: "events are not taken in", doc: "The provider's events, at `hooks/CONNECTION`: verified on the bytes that came, kept before they are acknowledged, and delivered (docs/guide/webhooks.md).", keys: append([]*key{
		func() *key {
			k := ref("secret", "What the provider signs with: its webhook secret; PayPal's webhook id; a token of at least 20 characters for the address where the provider signs nothing.", "keystore:shop/stripe-webhook")
			k.required = true
			return k
		}(),
		ref("verify_token", "What the provider says when it asks whether the address is yours (Meta).", "keystore:shop/meta-verify"),
		{name: "scheme", kind: kindText, def: "the catalog's", want: "a kind of signature or a well-known provider", example: "github",
			doc: "How the provider signs, where the catalog does not say: " + strings.Join(scheme.Presets(), ", ") + ", or one of the kinds " + strings.Join(scheme.Kinds(), ", ") + " with params."},
		{name: "params", kind: kindTable, names: fieldPattern, namesAre: "NAME", doc: "Parameters of the scheme, over those of the catalog (docs/reference/webhook-schemes.md).",
			item: &key{kind: kindText, want: "text, in quotes if it looks like a number", example: "300s"}, example: "{tolerance: 300s}"},
		{name: "keep", kind: kindText, def: "720h", pattern: durationPattern, want: "a time from 168h to 9600h", example: "720h", doc: "How long events are kept, sealed, for replays and to find duplicates."},
		{name: "deliver", kind: kindText, want: "the https address of the site's handler, or none", example: "https://shop.example/hooks/stripe", def: "none", doc: "Where events go, or `none`."},
		{name: "destinations", kind: kindTable, names: namePattern, namesAre: "NAME", doc: "Several destinations, each with settings of its own, instead of `deliver`.",
			item: &key{kind: kindObject, keys: append([]*key{
				{name: "url", kind: kindText, required: true, want: "an https address", example: "https://crm.example/hooks", doc: "Where events go."},
			}, signing()...)}},
	}, signing()...)}
}

func pathTypes(name, doc string) *key {
	return &key{name: name, kind: kindList, single: true, def: "all", doc: doc, example: "[payment_intent.*]", item: &key{kind: kindText, want: "an event type such as payment_intent.*", example: "payment_intent.*"}}
}

// webhooks reads how a connection takes events in.
func (l *linker) webhooks(v *value) {
	if v.form != mapping {
		return
	}
	in := &site.Webhooks{Keep: usualKeep, Types: l.eventTypes(v.at("types"))}
	if keep := v.at("keep"); keep.present() {
		in.Keep = l.duration(keep, leastKeep, mostKeep)
	}
	l.hookScheme(v, in)
	in.Secret = l.hookRef(v.at("secret"), "secret")
	if in.Token = l.hookRef(v.at("verify_token"), "verify_token"); in.Params["handshake"] == "hub.challenge" && in.Token == (secret.Ref{}) {
		l.fault(v, l.pack.Name+" asks whether the address is yours, and there is no verify_token to know it by", "add verify_token: keystore:"+l.site.Name+"/"+l.conn.Name+"-verify, and give the same text to the provider")
	}
	l.hookDestinations(v, in)
	l.conn.Webhooks = in
}

// hookScheme finds out how the provider signs.
func (l *linker) hookScheme(v *value, in *site.Webhooks) {
	at, facts := v.at("scheme"), l.pack.Webhook
	c := scheme.Config{Params: map[string]string{}}
	switch name := at.str(); {
	case name != "":
		preset, ok := scheme.Preset(name)
		if !ok && !slices.Contains(scheme.Kinds(), name) {
			l.fault(at, "found "+at.shown(), "write one of "+strings.Join(slices.Compact(slices.Sorted(slices.Values(append(scheme.Presets(), scheme.Kinds()...)))), ", "))
			return
		}
		if c.Kind = preset.Kind; !ok {
			c.Kind = name
		}
		maps.Copy(c.Params, preset.Params)
	case facts == nil || facts.Scheme == "none":
		l.fault(v, "the catalog does not say how "+l.pack.Name+" signs events", "add scheme: one of "+strings.Join(scheme.Presets(), ", ")+", if it signs so")
		return
	default:
		c.Kind = facts.Scheme
		maps.Copy(c.Params, facts.Params)
	}
	for _, e := range v.at("params").entries {
		c.Params[e.key] = e.value.str()
	}
	if _, err := scheme.New(c); err != nil {
		l.fault(v, err.Error(), "see docs/reference/webhook-schemes.md")
	}
	if c.Kind == "secret_path" || c.Kind == "basic" {
		l.warn(v, "events of this connection are not signed: who knows the address or the password can send any; do not take them for proof", "ask the provider about what an event says before you act on it")
	}
	in.Scheme, in.Params = c.Kind, c.Params
}

func (l *linker) hookRef(v *value, what string) secret.Ref {
	if v.str() == "" {
		return secret.Ref{}
	}
	ref, _ := l.ref(v, what, l.site.Name+"/"+l.conn.Name+"-webhook")
	return ref
}

func (l *linker) eventTypes(v *value) (out []string) {
	for _, item := range v.many() {
		if !webhook.CheckType(item.str()) {
			l.fault(item, "found "+item.shown(), "write an event type as the provider names it; * stands for anything: payment_intent.*")
			continue
		}
		out = append(out, item.text)
	}
	return out
}

// hookDestinations reads where events go: deliver and what stands beside it, or destinations.
func (l *linker) hookDestinations(v *value, in *site.Webhooks) {
	many, deliver := v.at("destinations"), v.at("deliver")
	if many.form == mapping {
		for _, name := range []string{"deliver", "sign_as", "sign_with", "order", "at_once", "every", "private"} {
			if at := v.at(name); at.present() {
				l.fault(at, name+" stands beside destinations", "write it below a destination, or remove destinations")
			}
		}
		for _, e := range many.entries {
			if d, ok := l.hookDestination(e.value, e.value.at("url"), in); ok {
				d.Name, d.Types = e.key, l.eventTypes(e.value.at("types"))
				in.Destinations = append(in.Destinations, d)
			}
		}
		return
	}
	switch {
	case !deliver.present() || deliver.str() == "none":
		return
	case strings.HasPrefix(deliver.str(), "email:"):
		l.fault(deliver, "events are not sent by e-mail by this version", "write deliver: none and look with `sallyport hooks list`, or an https address")
		return
	}
	if d, ok := l.hookDestination(v, deliver, in); ok {
		d.Name = "site"
		in.Destinations = append(in.Destinations, d)
	}
}

func (l *linker) hookDestination(v, at *value, in *site.Webhooks) (d site.Destination, ok bool) {
	d = site.Destination{Provider: v.at("sign_as").str() == "provider", SignWith: l.hookRef(v.at("sign_with"), "sign_with"), Ordered: v.at("order").str() == "object", Private: v.at("private").yes()}
	if d.SignWith == (secret.Ref{}) {
		l.fault(v, "there is no secret for the site to verify deliveries with", fmt.Sprintf("add sign_with: keystore:%s/%s-deliveries", l.site.Name, l.conn.Name))
	} else if d.SignWith == in.Secret {
		l.fault(v.at("sign_with"), "the site would get the provider's own secret, and with it could forge events", "make another secret for the site: sallyport secrets set")
	}
	if d.Provider && in.Scheme == "paypal_cert" {
		l.fault(v.at("sign_as"), "only PayPal can sign in PayPal's scheme: its private key is its own", "write sign_as: standard")
	}
	if n := v.at("at_once"); n.present() {
		if d.AtOnce = int(n.integer()); d.AtOnce < 1 || d.AtOnce > maxAtOnce {
			l.fault(n, "found "+n.shown(), fmt.Sprintf("write a number from 1 to %d", maxAtOnce))
		}
	}
	if every := v.at("every"); every.present() && every.str() != "0s" {
		d.Every = l.duration(every, time.Millisecond, time.Minute)
	}
	d.URL, ok = l.hookURL(v, at, &d)
	return d, ok
}

// hookURL checks an address that the gate will send personal data to.
func (l *linker) hookURL(v, at *value, d *site.Destination) (string, bool) {
	u, err := url.Parse(at.str())
	switch {
	case at.str() == "":
		return "", false
	case err != nil || u.Host == "" || u.Opaque != "":
		l.fault(at, "this is not an address", "write https://shop.example/hooks/"+l.conn.Name)
	case u.User != nil:
		l.fault(at, "the address holds a user name or password", "remove it: deliveries are signed, which proves more")
	case u.Fragment != "" || strings.Contains(at.text, "#"):
		l.fault(at, "the address has a fragment, which is never sent", "remove it")
	case u.Scheme != "https" && !(u.Scheme == "http" && d.Private):
		l.fault(at, at.shown()+" is not https", "write https://…; for a handler on this machine add private: true")
	case inside(u) && !d.Private:
		l.fault(at, at.shown()+" is not a public address", "add private: true if that is meant")
	default:
		if d.Private {
			l.loosen(v.at("private"), "events of "+l.site.Name+"/"+l.conn.Name+" may go to a non-public address")
		}
		return at.text, true
	}
	return "", false
}

func inside(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && !public(ip)
}
