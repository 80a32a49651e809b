package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// reserved are the names that the gate itself uses as the first segment of a URL.
func reserved() []string {
	return []string{"api", "session", "login", "logout", "me", "connect", "hooks", "events", "consent", "privacy", "csp-report", "openid", "healthz", "readyz", "metrics", "well-known"}
}

func (b *builder) sites(v *value) {
	if v.form != mapping {
		return
	}
	if len(v.entries) == 0 {
		b.fault(v, "there is no site", "add one: sites: {shop: {origins: […], connections: {…}}}")
	}
	for _, e := range v.entries {
		if slices.Contains(reserved(), e.key) {
			b.fault(&value{line: e.line, column: e.column, path: child(v.path, e.key)}, fmt.Sprintf("%q is a name that the gate uses itself", e.key), "give the site another name, such as "+e.key+"-site")
		}
		if e.value.form == mapping {
			b.file.Sites = append(b.file.Sites, b.site(e.key, e.value))
		}
	}
	slices.SortFunc(b.file.Sites, func(x, y *site.Site) int { return cmp.Compare(x.Name, y.Name) })
}

func (b *builder) site(name string, v *value) *site.Site {
	s := &site.Site{Name: name, SessionTTL: session.MaxTTL, Connections: map[string]*site.Connection{}}
	for _, host := range v.at("served_at").many() {
		if h, ok := b.host(host); ok {
			b.take(host, h, "host")
			s.ServedAt = append(s.ServedAt, h)
		}
	}
	b.origins(v, s)
	if ttl := v.at("session", "ttl"); ttl.present() {
		s.SessionTTL = b.duration(ttl, time.Minute, session.MaxTTL)
	}
	s.Limits = b.limits(v.at("limit"), ratelimit.PerSession, ratelimit.PerPrefix, ratelimit.PerSite)
	s.Guards = b.guards(v.at("guards"))
	b.vouching(v.at("vouching"), s)
	s.Budgets, s.Prices = b.budgets(v.at("budget")), b.prices(v.at("prices"))
	conns := v.at("connections")
	if conns.form == mapping && len(conns.entries) == 0 {
		b.fault(conns, "the site has no connection", "add one: payments: {provider: …, mode: mock}")
	}
	for _, e := range conns.entries {
		if e.value.form == mapping {
			s.Connections[e.key] = b.connection(s, e.key, e.value, v)
		}
	}
	b.openid(v.at("openid"), s)
	b.connectOwners(v, s)
	b.siteWhole(v, s)
	return s
}

// siteWhole checks what only shows when all of a site is known.
func (b *builder) siteWhole(v *value, s *site.Site) {
	b.botCheck(v.at("vouching"), s)
	fromBrowser, preview := false, false
	for _, c := range s.Connections {
		fromBrowser = fromBrowser || len(c.Browser) > 0
		preview = preview || c.Mode == provider.Sandbox || c.Mode == provider.Mock
	}
	if fromBrowser && len(s.Origins) == 0 && len(s.PreviewOrigins) == 0 && !v.at("origins").present() {
		b.fault(v, "a browser may call operations, but the site has no origins", "add origins: [https://shop.example]")
	}
	if p := v.at("preview_origins"); p.present() && !preview && len(s.Connections) > 0 {
		b.fault(p, "preview origins count in modes mock and sandbox only, and every connection is live", "remove preview_origins, or give previews a site of their own in mode sandbox")
	}
}

func (b *builder) origins(v *value, s *site.Site) {
	for _, item := range v.at("origins").many() {
		if item.str() == "" {
			continue
		}
		origin, err := site.ParseOrigin(item.text)
		switch {
		case err != nil:
			found, hint := split(err)
			b.fault(item, found, cmp.Or(hint, "write an origin such as https://shop.example"))
		case slices.Contains(s.Origins, origin):
			b.fault(item, item.shown()+" stands twice", "remove one")
		default:
			s.Origins = append(s.Origins, origin)
		}
	}
	for _, item := range v.at("preview_origins").many() {
		if item.str() == "" {
			continue
		}
		preview, err := site.ParsePreview(item.text)
		if err != nil {
			found, hint := split(err)
			b.fault(item, found, cmp.Or(hint, "write a pattern such as https://deploy-preview-*--shop.example"))
			continue
		}
		s.PreviewOrigins = append(s.PreviewOrigins, preview)
	}
}

// split parts an error of ours, "what was found; what to write", into fault and hint.
func split(err error) (found, hint string) {
	found, hint, _ = strings.Cut(err.Error(), "; ")
	return found, hint
}

// host reads a host name as certificates and browsers write it.
func (b *builder) host(v *value) (string, bool) {
	s := v.str()
	if s == "" {
		return "", false
	}
	switch {
	case strings.Contains(s, "://") || strings.ContainsAny(s, "/?#@ "):
		b.fault(v, v.shown()+" is more than a host name", "write only the host: api.shop.example")
	case strings.ContainsRune(s, '*'):
		b.fault(v, v.shown()+" has a wildcard", "name each host")
	case strings.ContainsRune(s, ':'):
		b.fault(v, v.shown()+" has a port", "write only the host; the port is that of listen.public")
	case s != strings.ToLower(s):
		b.fault(v, v.shown()+" has upper case", "write "+strings.ToLower(s))
	case !hostName(s):
		b.fault(v, v.shown()+" is not a host name", "write a name such as api.shop.example (punycode for other scripts)")
	default:
		return s, true
	}
	return "", false
}

// hostName accepts DNS names with a letter in the last label, so that no form of an IP
// address passes as one.
func hostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if len(l) == 0 || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
	}
	last := labels[len(labels)-1]
	if _, err := netip.ParseAddr(s); err == nil || strings.HasPrefix(last, "0x") {
		return false
	}
	return strings.Trim(last, "0123456789") != ""
}

func (b *builder) duration(v *value, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(v.str())
	if v.str() == "" || !matches(durationPattern, v.text) {
		return least // walk has named it
	}
	if err != nil || d < least || d > most {
		b.fault(v, "found "+v.shown(), fmt.Sprintf("write a time from %s to %s", span(least), span(most)))
		return least
	}
	return d
}

// span writes a duration as people do: 15m, not 15m0s.
func span(d time.Duration) string {
	if d >= time.Hour && d%time.Hour == 0 {
		return strings.TrimSuffix(d.String(), "0m0s")
	}
	if d >= time.Minute && d%time.Minute == 0 {
		return strings.TrimSuffix(d.String(), "0s")
	}
	return d.String()
}

// limits reads limits; pers are the keys that make sense where they stand.
func (b *builder) limits(v *value, pers ...ratelimit.Per) []ratelimit.Rule {
	var out []ratelimit.Rule
	for _, item := range v.many() {
		if item.str() == "" {
			continue
		}
		rule, err := ratelimit.ParseRule(item.text)
		switch {
		case err != nil:
			found, _ := split(err)
			b.fault(item, found, "write for instance: 10 per minute per "+string(pers[0])+" (or per "+joinPers(pers[1:])+"; prefix is the caller's network)")
		case !slices.Contains(pers, rule.Per):
			b.fault(item, fmt.Sprintf("a limit per %s cannot stand here", rule.Per), "count by one of "+joinPers(pers))
		default:
			out = append(out, rule)
		}
	}
	return out
}

func joinPers(pers []ratelimit.Per) string {
	words := make([]string, len(pers))
	for i, p := range pers {
		words[i] = string(p)
	}
	return strings.Join(words, ", ")
}
