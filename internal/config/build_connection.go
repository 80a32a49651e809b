package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/secret"
	"sallyport/internal/secret/env"
	"sallyport/internal/secret/keystore"
	"sallyport/internal/site"
)

// linker is the builder with one connection in hand.
type linker struct {
	*builder
	v    *value
	site *site.Site
	conn *site.Connection
	pack *provider.Pack
	ids  []ownedID // that browsers may name
}

func (b *builder) connection(s *site.Site, name string, v, siteValue *value) *site.Connection {
	conn := &site.Connection{
		Site: s.Name, Name: name, Provider: v.at("provider").str(), Mode: provider.Mode(v.at("mode").str()),
		Credentials: map[string]secret.Ref{}, Account: map[string]string{}, Public: map[string]string{}, Browser: map[string]*site.BrowserRule{},
		Limits: b.limits(v.at("limit"), ratelimit.PerSession, ratelimit.PerPrefix, ratelimit.PerConnection, ratelimit.PerOperation),
	}
	l := &linker{builder: b, v: v, site: s, conn: conn, pack: b.pack(v.at("provider"))}
	l.own(v.at("served_at"))
	l.upstream(v.at("upstream"))
	l.mock(v.at("mock"))
	l.observe(siteValue.at("observe"), v.at("observe"))
	if l.pack == nil {
		l.strangers(v.at("credentials"))
		return conn
	}
	if l.pack.Contract() == nil {
		l.fault(v.at("provider"), "this build has no contract for "+l.pack.ID, "use a build whose `sallyport providers show "+l.pack.ID+"` lists operations")
		return conn
	}
	l.version(v.at("version"))
	l.public(v.at("public"))
	l.credentials(v.at("credentials"))
	l.auth(v.at("auth"))
	l.costs(v.at("costs"))
	conn.Budgets = b.budgets(v.at("budget"))
	l.browser(v.at("browser"))
	l.backend(v.at("backend"))
	l.login(v.at("login"))
	l.connect(v.at("connect"))
	l.webhooks(v.at("webhooks"))
	l.needs()
	l.budgeted(siteValue)
	return conn
}

// strangers names literal secrets among credentials that no known provider describes.
func (l *linker) strangers(v *value) {
	for _, e := range v.entries {
		if _, err := secret.ParseRef(e.value.text); e.value.form == text && (err != nil || slices.Contains(l.secrets, e.value.text)) {
			l.fault(e.value, "what stands here is not a reference to a secret (the value is not shown)", secretHint)
		}
	}
}

// own reads the connection's own hosts and ports.
func (l *linker) own(v *value) {
	for _, item := range v.many() {
		s := item.str()
		if s == "" {
			continue
		}
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			if h, ok := l.host(item); ok {
				l.take(item, h, "host")
				l.conn.ServedAt = append(l.conn.ServedAt, h)
			}
			continue
		}
		ip, ipErr := netip.ParseAddr(host)
		n, portErr := strconv.ParseUint(port, 10, 16)
		if ipErr != nil || portErr != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			l.fault(item, "found "+item.shown(), `write a host name alone, or an address with a port such as "127.0.0.1:9001"`)
			continue
		}
		if l.file.Listen.TLS.Kind == TLSOff && !ip.IsLoopback() && l.file.Listen.Behind == nil {
			l.fault(item, "tls is off, but "+item.shown()+" can be reached from other machines", `use a loopback address such as "127.0.0.1:9001"`)
		}
		l.take(item, placeOf(ip, port), "address")
		l.conn.ServedAt = append(l.conn.ServedAt, netip.AddrPortFrom(ip, uint16(n)).String())
	}
}

func (l *linker) upstream(v *value) {
	if v.form != mapping {
		return
	}
	at := v.at("url")
	up := &site.Upstream{Private: v.at("private").yes()}
	l.conn.Upstream = up
	u, err := url.Parse(at.str())
	switch {
	case at.str() == "":
	case err != nil || u.Host == "":
		l.fault(at, "this is not an address", "write scheme, host and port: https://127.0.0.1:12112")
	case u.User != nil:
		l.fault(at, "the address holds a user name or password", "write only scheme, host and port, and give credentials under credentials")
	case u.Scheme == "http":
		l.fault(at, at.shown()+" is plain http", "write https://; for a test server with its own certificate add ca: ./ca.pem")
	case u.Scheme != "https":
		l.fault(at, at.shown()+" is not https", "write https://host:port")
	case strings.TrimSuffix(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(at.text, "?#"):
		l.fault(at, at.shown()+" has more than scheme, host and port", "write https://"+u.Host)
	default:
		up.URL = "https://" + u.Host
		l.upstreamPlace(at, u, up)
	}
	if ca := v.at("ca"); ca.str() != "" {
		up.CA = l.pemRoots(ca, l.resolve(ca.text))
	}
	if l.conn.Mode == provider.Mock {
		l.fault(v, "a connection in mode mock has no upstream: Sallyport answers it", "remove upstream, or use mode sandbox")
	}
}

// upstreamPlace checks where the upstream is: a non-public address needs `private`, which live refuses.
func (l *linker) upstreamPlace(at *value, u *url.URL, up *site.Upstream) {
	ip, err := netip.ParseAddr(u.Hostname())
	inside := u.Hostname() == "localhost" || err == nil && !public(ip)
	switch {
	case up.Private && l.conn.Mode == provider.Live:
		l.fault(l.v.at("upstream", "private"), "a private upstream is refused in mode live", "use mode sandbox for a test server, or a public address")
	case inside && !up.Private && l.conn.Mode == provider.Live:
		l.fault(at, at.shown()+" is not a public address", "a live connection reaches the provider itself; use mode sandbox with private: true for a test server")
	case inside && !up.Private:
		l.fault(at, at.shown()+" is not a public address", "add private: true beside url if that is meant")
	case up.Private:
		l.loosen(l.v.at("upstream", "private"), "the upstream may be at a non-public address")
	}
	l.loosen(at, "calls go to "+up.URL+" instead of the provider")
}

// public is a first look at an address in the file; the dialled address decides at run time.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast()
}

func (b *builder) loosen(v *value, what string) {
	b.file.Loosened = append(b.file.Loosened, Loosening{Where: v.path, Line: v.line, What: what})
}

func (l *linker) observe(lists ...*value) {
	for _, v := range lists {
		for _, item := range v.many() {
			if !slices.Contains(egress.Checks(), item.str()) || slices.Contains(l.conn.Observe, item.text) {
				continue
			}
			l.conn.Observe = append(l.conn.Observe, item.text)
			l.loosen(item, fmt.Sprintf("%s only reports for %s/%s", item.text, l.site.Name, l.conn.Name))
		}
	}
}

func (l *linker) mock(v *value) {
	if v.form != mapping {
		return
	}
	if l.conn.Mode != provider.Mock {
		l.fault(v, fmt.Sprintf("these switches are for mode mock, and this connection is in mode %q", l.conn.Mode), "remove mock, or use mode: mock")
	}
	seed := v.at("seed")
	if seed.integer() < 0 {
		l.fault(seed, "found "+seed.shown(), "write a whole number from 0")
	}
	m := site.MockFaults{
		Seed: uint64(max(seed.integer(), 0)), RateLimited: v.at("rate_limited").number(), ServerError: v.at("server_error").number(),
		BadBody: v.at("bad_body").number(), WrongSchema: v.at("wrong_schema").number(),
	}
	if latency := v.at("latency"); latency.present() {
		m.Latency = l.duration(latency, 0, time.Minute)
	}
	if sum := m.RateLimited + m.ServerError + m.BadBody + m.WrongSchema; sum > 1 {
		l.fault(v, fmt.Sprintf("the shares add up to %g", sum), "write shares that add up to 1 at most")
	}
	l.conn.Mock = m
}

func (l *linker) version(v *value) {
	l.conn.Version = l.pack.Version.Default
	if v.str() == "" {
		return
	}
	want := l.pack.Version.Default
	switch {
	case want == "":
		l.fault(v, l.pack.Name+" has no API version to pin", "remove version")
	case l.pack.Version.Pattern != "" && !matches(l.pack.Version.Pattern, v.text):
		l.fault(v, v.shown()+" is not a version of "+l.pack.Name, "write "+want+", which the contract was checked against")
	case v.text != want:
		l.warn(v, fmt.Sprintf("version %s is pinned, but the contract was checked against %s", v.text, want), "read the provider's changes between them, or remove version")
		l.conn.Version = v.text
	}
}

func (l *linker) public(v *value) {
	var known []string
	for _, f := range l.pack.Public {
		known = append(known, f.Name)
	}
	for _, e := range v.entries {
		i := slices.Index(known, e.key)
		switch {
		case i < 0:
			l.fault(e.value, fmt.Sprintf("%s has no public field %q", l.pack.Name, e.key), l.fieldHint(e.key, known))
		case e.value.form != text:
		case l.pack.Public[i].Pattern != "" && !matches(l.pack.Public[i].Pattern, e.value.text):
			l.hide(e.value.text)
			l.fault(e.value, "the value does not have the form of a "+strings.ToLower(l.pack.Public[i].Title), "look it up in the provider's dashboard; a secret never stands under public")
		default:
			l.conn.Public[e.key] = e.value.text
		}
	}
}

func (l *linker) fieldHint(name string, known []string) string {
	if len(known) == 0 {
		return "remove it"
	}
	return didYouMean(name, known, "write")
}

// credentials reads refs for secret fields and literals for the others.
func (l *linker) credentials(v *value) {
	fields := map[string]provider.CredentialField{}
	for _, f := range l.pack.Credentials {
		fields[f.Name] = f
	}
	for _, e := range v.entries {
		field, ok := fields[e.key]
		switch {
		case !ok:
			known := slices.Sorted(maps.Keys(fields))
			l.fault(e.value, fmt.Sprintf("%s has no credential %q", l.pack.Name, e.key), l.fieldHint(e.key, known))
		case e.value.form != text || e.value.text == "":
		case field.Secret:
			l.secretRef(e.value, field)
		default:
			l.account(e.value, field)
		}
	}
}

func (l *linker) secretRef(v *value, f provider.CredentialField) {
	if ref, ok := l.ref(v, f.Name, l.site.Name+"/"+l.conn.Name); ok {
		l.conn.Credentials[f.Name] = ref
	}
}

// ref reads a reference to a secret that is called what in faults.
func (l *linker) ref(v *value, what, sample string) (secret.Ref, bool) {
	ref, err := secret.ParseRef(v.text)
	switch {
	case err != nil:
		l.fault(v, what+" is a secret, and what stands here is not a reference to one (the value is not shown)", secretHint)
	case slices.Contains(l.secrets, v.text):
		l.fault(v, "the secret itself stands behind the reference's scheme (the value is not shown)", secretHint)
	case ref.Scheme == "vault" && !l.vaultName(v, ref):
	case ref.Scheme == "env" && env.CheckName(ref.Name) != nil:
		l.fault(v, v.shown()+" does not name an environment variable", "write env:NAME with letters, digits and underscores")
	case ref.Scheme == "keystore" && keystore.CheckName(ref.Name) != nil:
		l.fault(v, v.shown()+" is not a name in the keystore", "write keystore:"+sample)
	case ref.Scheme == "file":
		ref.Name = l.resolve(ref.Name)
		return ref, l.private(v, ref.Name)
	default:
		return ref, true
	}
	return secret.Ref{}, false
}

// account reads an identifier that is no secret; it stands in the file itself, so that who
// reviews the file sees whose account is used.
func (l *linker) account(v *value, f provider.CredentialField) {
	if _, err := secret.ParseRef(v.text); err == nil && !matches(f.Pattern, v.text) {
		l.fault(v, f.Name+" is not a secret, and a reference stands here", "write the value itself: "+f.Title)
		return
	}
	if err := CheckCredential(f, l.conn.Mode, []byte(v.text)); err != nil {
		l.fault(v, err.Error(), "look it up in the provider's dashboard, in the same mode as the connection")
		return
	}
	l.conn.Account[f.Name] = v.text
}
