package cli

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/outbound"
	"sallyport/internal/site"
)

// dnsTime bounds the look at one name.
const dnsTime = 8 * time.Second

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	outbound.Resolver
	LookupCNAME(ctx context.Context, host string) (string, error)
}

// nameState says where one name of a site leads.
type nameState struct {
	Site      string   `json:"site"`
	Name      string   `json:"name"`
	OK        bool     `json:"ok"`
	State     string   `json:"state"`
	CNAME     string   `json:"cname,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
	// Record is the DNS record to write; Proxy and Links are lines for servers that stand in
	// front, and for hosts of the site's own pages.
	Record string   `json:"record"`
	Proxy  []hosted `json:"proxy"`
	Links  []hosted `json:"links,omitempty"`
}

// hosted are lines for one kind of server or host.
type hosted struct {
	Host  string   `json:"host"`
	File  string   `json:"file"`
	Lines []string `json:"lines"`
}

// lookNames looks where each name of each site leads, with the keys of the gate's own store
// as the sign that it is this gate which answers there.
func (p *Program) lookNames(ctx context.Context, file *config.File) ([]nameState, error) {
	keys, err := ownKeys(ctx, file)
	if err != nil {
		return nil, err
	}
	var out []nameState
	for _, s := range file.Sites {
		for _, name := range s.ServedAt {
			n := nameState{Site: s.Name, Name: name, Record: record(file, name), Proxy: inFront(file, name), Links: shortLinks(s, name)}
			p.lookName(ctx, file, keys, &n)
			out = append(out, n)
		}
	}
	return out, nil
}

// ownKeys are the ids of the gate's published keys.
func ownKeys(ctx context.Context, file *config.File) ([]string, error) {
	if file.Postgres == nil {
		if _, err := os.Stat(file.Store); errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
	}
	store, err := app.OpenStore(ctx, file, app.StoreOptions{})
	if err != nil {
		return nil, err
	}
	defer store.Close() //nolint:errcheck // nothing was written
	stored, err := store.ListSigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, k := range stored {
		out = append(out, k.ID)
	}
	return out, nil
}

func (p *Program) lookName(ctx context.Context, file *config.File, keys []string, n *nameState) {
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	resolver := p.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	if alias, err := resolver.LookupCNAME(ctx, n.Name); err == nil && strings.TrimSuffix(alias, ".") != n.Name {
		n.CNAME = strings.TrimSuffix(alias, ".")
	}
	addresses, err := resolver.LookupNetIP(ctx, "ip", n.Name)
	if err != nil || len(addresses) == 0 {
		n.State = "there is no such name yet: write the record below at the site's DNS host"
		return
	}
	for _, a := range addresses {
		n.Addresses = append(n.Addresses, a.Unmap().String())
	}
	slices.Sort(n.Addresses)
	n.OK, n.State = p.answers(ctx, file, n.Name, resolver, keys)
}

// answers asks the name for the gate's keys and compares them with the store's.
func (p *Program) answers(ctx context.Context, file *config.File, name string, resolver outbound.Resolver, keys []string) (bool, string) {
	var roots *x509.CertPool
	if file.Listen.TLS.Kind == config.TLSFiles { // its own authority may be a private one
		if pem, err := os.ReadFile(file.Listen.TLS.Cert); err == nil {
			if roots, err = x509.SystemCertPool(); err != nil {
				roots = x509.NewCertPool()
			}
			roots.AppendCertsFromPEM(pem)
		}
	}
	dialer := outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyInfrastructure, Resolver: resolver})
	transport := dialer.Transport(roots)
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: dnsTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+name+publicPort(file)+"/.well-known/jwks.json", nil)
	if err != nil {
		return false, "the name cannot be asked"
	}
	answer, err := client.Do(request)
	var unknown x509.UnknownAuthorityError
	var wrong x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return false, "its certificate is of an authority that this machine does not know"
	case errors.As(err, &wrong):
		return false, "the certificate there is for other names: start the gate with this name in served_at, so that it gets one"
	case err != nil:
		return false, "it has addresses, but nothing answers https there: is the gate running, and its port open?"
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	return sameKeys(answer, keys)
}

func sameKeys(answer *http.Response, keys []string) (bool, string) {
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if err != nil || answer.StatusCode != http.StatusOK || json.Unmarshal(body, &set) != nil || len(set.Keys) == 0 {
		return false, fmt.Sprintf("another server answers there (status %d), not this gate", answer.StatusCode)
	}
	if len(keys) == 0 {
		return false, "a gate answers there, but this one has never been started, so that it cannot be told whether it is the same"
	}
	for _, k := range set.Keys {
		if slices.Contains(keys, k.ID) {
			return true, "leads to this gate"
		}
	}
	return false, "another gate answers there: its keys are not those of this store"
}

// publicPort is what stands behind the name in an address; behind a proxy the proxy's counts.
func publicPort(file *config.File) string {
	_, port, err := net.SplitHostPort(file.Listen.Public)
	if err != nil || port == "443" || file.Listen.Behind != nil {
		return ""
	}
	return ":" + port
}

// record is the line for the site's DNS host: an alias of a name of the gate where it has
// one, else its addresses.
func record(file *config.File, name string) string {
	for _, gate := range file.Listen.Names {
		if gate != name {
			return name + ". 3600 IN CNAME " + gate + "."
		}
	}
	host, _, _ := net.SplitHostPort(file.Listen.Public)
	if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() && !ip.IsLoopback() {
		kind := "A"
		if ip.Is6() {
			kind = "AAAA"
		}
		return name + ". 3600 IN " + kind + " " + ip.String()
	}
	return name + ". 3600 IN A ADDRESS    (the gate's public address; or give the gate a name of its own under listen.names, and an alias (CNAME) is enough)"
}

// inFront are lines for a reverse proxy that stands before the gate; it must hand on the
// host name, by which the gate knows the site.
func inFront(file *config.File, name string) []hosted {
	to := "https://127.0.0.1"
	if file.Listen.TLS.Kind == config.TLSOff {
		to = "http://127.0.0.1"
	}
	if _, port, err := net.SplitHostPort(file.Listen.Public); err == nil {
		to += ":" + port
	}
	return []hosted{
		{"nginx", "server block of " + name, []string{"location / {", "    proxy_pass " + to + ";", "    proxy_set_header Host $host;", "    proxy_set_header X-Forwarded-For $remote_addr;", "    proxy_request_buffering off;", "}"}},
		{"Caddy", "Caddyfile", []string{name + " {", "    reverse_proxy " + to, "}"}},
		{"Apache", "VirtualHost of " + name, []string{"ProxyPreserveHost On", "ProxyPass / " + to + "/", "ProxyPassReverse / " + to + "/"}},
	}
}

// shortLinks are redirects from the site's own pages to sign in at the gate's name: pages can
// link to /login/CONNECTION of their own host. A rewrite would not do, because the cookies of
// a sign-in belong to the gate's name.
func shortLinks(s *site.Site, name string) []hosted {
	if len(s.Origins) == 0 {
		return nil
	}
	to := "https://" + name + "/login/"
	vercel, err := json.Marshal(map[string]any{"source": "/login/:connection", "destination": to + ":connection", "permanent": false})
	if err != nil { // of texts: cannot happen
		panic(err)
	}
	return []hosted{
		{"Netlify, Cloudflare Pages", "_redirects", []string{"/login/*  " + to + ":splat  302"}},
		{"Vercel", "vercel.json", []string{`{"redirects": [` + string(vercel) + `]}`}},
		{"nginx", "server block of the pages", []string{"location ~ ^/login/([a-z0-9-]+)$ { return 302 " + to + "$1$is_args$args; }"}},
		{"Apache, WordPress", ".htaccess", []string{"RedirectMatch 302 ^/login/([a-z0-9-]+)$ " + to + "$1"}},
	}
}

// lost counts the names that do not lead to this gate.
func lost(names []nameState) (n int) {
	for _, name := range names {
		if !name.OK {
			n++
		}
	}
	return n
}

func (p *Program) printNames(names []nameState) {
	for _, n := range names {
		at := strings.Join(n.Addresses, ", ")
		if n.CNAME != "" {
			at = "alias of " + n.CNAME + "; " + at
		}
		if at != "" {
			at = " (" + at + ")"
		}
		p.line("name: %s of %s%s: %s", n.Name, n.Site, at, n.State)
		if n.OK {
			continue
		}
		p.line("    DNS:    %s", n.Record)
		p.line("    or, with another server in front of the gate (name it under listen.behind):")
		p.printHosted(n.Proxy)
		if len(n.Links) > 0 {
			p.line("    links of the site's own pages to sign in there:")
			p.printHosted(n.Links)
		}
	}
}

func (p *Program) printHosted(of []hosted) {
	for _, h := range of {
		p.line("        %s, %s:", h.Host, h.File)
		for _, l := range h.Lines {
			p.line("            %s", l)
		}
	}
}
