package ingress

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/site"
)

// Sessions makes and ends visits. Its rate limits are its own: Mint answers them with a
// *problem.Error of code rate_limited.
type Sessions interface {
	// Mint makes a bearer token for a visit from origin, already known to be one of the
	// site's origins.
	Mint(ctx context.Context, siteName string, origin site.Origin, client netip.Addr) (token string, expires time.Time, err error)
	// Renew gives a new token for the visit of r.Token.
	Renew(ctx context.Context, r VisitRequest) (token string, expires time.Time, err error)
	// Describe says what is known of the visit of r.Token.
	Describe(ctx context.Context, r VisitRequest) (Visit, error)
	// Raise gives a new token for the visit of r.Token, which the evidence vouches for.
	Raise(ctx context.Context, r VisitRequest, e Evidence) (token string, expires time.Time, err error)
	// Revoke ends the visit of token. A token that does not verify is an error.
	Revoke(ctx context.Context, siteName string, origin site.Origin, token string) error
	// KeySet is the JWK set that verifies the tokens.
	KeySet() []byte
}

// VisitRequest is a page's request about its visit.
type VisitRequest struct {
	ID     string // request id
	Site   string
	Origin site.Origin
	Client netip.Addr
	Token  string // bearer; not verified yet
}

// Evidence is what a page brings so that its visit is vouched for; one of both.
type Evidence struct {
	Voucher string // of the site's backend
	Proof   string // "work PAYLOAD" or "CONNECTION TOKEN"
}

// Visit is what a page may know of its visit.
type Visit struct {
	ID      string
	Vouched string // nobody, work, challenge, login, backend
	Expires time.Time
	// Challenge is the task that would raise the visit; nil where it needs none.
	Challenge any
}

// World is what a Snapshot is made from. The sites must not be changed afterwards.
type World struct {
	Sites []*site.Site
	// GateHosts are names under which sites without served_at live, below /SITE/. The
	// literal address of the listener, and localhost on loopback, always count.
	GateHosts []string
	Caller    egress.Caller
	Sessions  Sessions
	// Receipts takes receipts back; nil: no site has POST receipts.
	Receipts Receipts
	// Logins signs visitors in; nil: no site has login.
	Logins Logins
	// Connects lets visitors connect their accounts; nil: no site has connect.
	Connects Connects
	// Hooks takes providers' events in; nil: no site has hooks.
	Hooks Hooks
	// OpenID gives the OpenID provider of a site, or nil; nil: no site has one.
	OpenID func(siteName string) OpenID
	// Script gives a site's client.js; it is asked once per site.
	Script func(siteName string) []byte
	// Methods gives the methods of a connection's operations that browsers may call,
	// for preflight answers; nil stands for GET, POST, PUT, PATCH and DELETE.
	Methods func(c *site.Connection) []string
	// Headers gives the header parameters that a browser may choose in a connection's
	// operations, for preflight answers; nil stands for none.
	Headers func(c *site.Connection) []string
	// SDK are the connections behind each host that the SDK port answers for, by exact name.
	SDK map[string][]egress.Target
}

// Snapshot is everything that a request needs to know about sites. It is immutable and
// safe for concurrent use; make a new one and Swap it.
type Snapshot struct {
	caller   egress.Caller
	sessions Sessions
	receipts Receipts
	logins   Logins
	hooks    Hooks
	connects Connects
	hosts    map[string]*siteRoutes
	paths    map[string]*siteRoutes
	gate     map[string]bool
	ownHosts map[string]*target
	ownPorts map[string]*ownPort // by listen address
	tunnels  map[string][]egress.Target
}

// siteRoutes is one site as the listener sees it.
type siteRoutes struct {
	site     *site.Site
	script   []byte
	etag     string
	methods  map[*site.Connection][]string
	headers  map[*site.Connection][]string
	openID   OpenID // nil: none
	previews bool   // a connection exists that preview origins may use
}

// target is a connection with its site.
type target struct {
	site *siteRoutes
	conn *site.Connection
}

// ownPort is a listener of connections: by host name, or for the address itself.
type ownPort struct {
	byName map[string]*target
	bare   *target
}

// NewSnapshot checks w for names that would clash and builds the routes. All faults are
// reported, joined.
func NewSnapshot(w World) (*Snapshot, error) {
	if w.Caller == nil || w.Sessions == nil || w.Script == nil {
		return nil, errors.New("build routes: Caller, Sessions and Script are needed")
	}
	s := &Snapshot{
		caller: w.Caller, sessions: w.Sessions, receipts: w.Receipts, logins: w.Logins, hooks: w.Hooks, connects: w.Connects,
		hosts: map[string]*siteRoutes{}, paths: map[string]*siteRoutes{}, gate: map[string]bool{},
		ownHosts: map[string]*target{}, ownPorts: map[string]*ownPort{}, tunnels: w.SDK,
	}
	for _, h := range w.GateHosts {
		s.gate[strings.ToLower(h)] = true
	}
	var faults []error
	for _, one := range w.Sites {
		faults = append(faults, s.addSite(w, one)...)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return s, nil
}

func (s *Snapshot) addSite(w World, one *site.Site) (faults []error) {
	r := &siteRoutes{site: one, methods: map[*site.Connection][]string{}, headers: map[*site.Connection][]string{}}
	r.script = w.Script(one.Name)
	r.etag = entityTag(r.script)
	if w.OpenID != nil {
		r.openID = w.OpenID(one.Name)
	}
	if len(one.ServedAt) == 0 {
		if !pathName(one.Name) || s.paths[one.Name] != nil {
			faults = append(faults, fmt.Errorf("site %q cannot live below /%s/: the name is taken or not a path segment of a-z, 0-9 and -", one.Name, one.Name))
		}
		s.paths[one.Name] = r
	}
	for _, h := range one.ServedAt {
		h = strings.ToLower(h)
		if s.taken(h) {
			faults = append(faults, fmt.Errorf("site %q: host %q is taken by another site or connection", one.Name, h))
		}
		s.hosts[h] = r
	}
	for name, c := range one.Connections {
		r.methods[c], r.headers[c] = browserMethods(w, c), browserHeaders(w, c)
		r.previews = r.previews || previewMode(c)
		for _, at := range c.ServedAt {
			if err := s.addOwn(at, &target{site: r, conn: c}); err != nil {
				faults = append(faults, fmt.Errorf("site %q, connection %q: %w", one.Name, name, err))
			}
		}
	}
	return faults
}

// addOwn registers a connection's own host ("stripe.shop.example"), or its own port
// ("127.0.0.1:12111", ":12111", "stripe.shop.example:8443").
func (s *Snapshot) addOwn(at string, t *target) error {
	host, port, hasPort := strings.Cut(strings.ToLower(at), ":")
	if i := strings.LastIndexByte(at, ':'); strings.HasPrefix(at, "[") && i > 0 && at[i-1] == ']' {
		host, port, hasPort = at[:i], at[i+1:], true
	}
	if !hasPort {
		if s.taken(host) {
			return fmt.Errorf("host %q is taken by another site or connection", host)
		}
		s.ownHosts[host] = t
		return nil
	}
	if _, ok := parsePort(port); !ok {
		return fmt.Errorf("served_at %q has no port from 1 to 65535", at)
	}
	address, name := ":"+port, host
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		address, name = host+":"+port, ""
	}
	p := s.ownPorts[address]
	if p == nil {
		p = &ownPort{byName: map[string]*target{}}
		s.ownPorts[address] = p
	}
	if name == "" && p.bare != nil || p.byName[name] != nil {
		return fmt.Errorf("served_at %q is taken by another connection", at)
	}
	if name == "" {
		p.bare = t
	} else {
		p.byName[name] = t
	}
	return nil
}

func (s *Snapshot) taken(host string) bool {
	return s.hosts[host] != nil || s.ownHosts[host] != nil || s.gate[host]
}

// Hosts lists every name that needs a certificate, sorted: those of sites, of
// connections with a host of their own, and of the gate.
func (s *Snapshot) Hosts() []string {
	var out []string
	for h := range s.hosts {
		out = append(out, h)
	}
	for h := range s.ownHosts {
		out = append(out, h)
	}
	for h := range s.gate {
		out = append(out, h)
	}
	for _, p := range s.ownPorts {
		for h := range p.byName {
			out = append(out, h)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Addresses lists the listen addresses of connections with a port of their own, sorted.
func (s *Snapshot) Addresses() []string {
	out := make([]string, 0, len(s.ownPorts))
	for a := range s.ownPorts {
		out = append(out, a)
	}
	slices.Sort(out)
	return out
}

func pathName(s string) bool {
	if s == "" || s == "healthz" || s == "readyz" {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
