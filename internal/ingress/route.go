package ingress

import (
	"net/netip"
	"strings"

	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// endpoint is what a route leads to. The zero value is nothing.
type endpoint int

const (
	nowhere endpoint = iota
	endCall
	endSession
	endReceipts
	endScript
	endKeys
	endOpenID
	endHealth
	endReady
	endLogin
	endCallback
	endDeletion
	endDeauthorize
	endMe
	endLogout
	endConnections
	endConnect
	endConnected
	endHook
)

// String names the endpoint in logs.
func (e endpoint) String() string {
	switch e {
	case endCall:
		return "call"
	case endSession:
		return "session"
	case endReceipts:
		return "receipts"
	case endScript:
		return "client.js"
	case endKeys:
		return "keys"
	case endOpenID:
		return "openid"
	case endHealth:
		return "health"
	case endReady:
		return "ready"
	case endLogin, endCallback, endDeletion, endDeauthorize:
		return "login"
	case endConnections, endConnect, endConnected:
		return "connect"
	case endHook:
		return "hook"
	case endMe:
		return "me"
	case endLogout:
		return "logout"
	}
	return "none"
}

// route is where a request goes.
type route struct {
	end  endpoint
	site *siteRoutes      // nil for what all sites share
	conn *site.Connection // of endCall
	name string           // of the connection, as asked for
	path string           // escaped, relative to the connection
}

// find routes a request by the listener it came in on, its host and its escaped path.
// With a problem it still gives the site when that is known, so that CORS can be right.
func (s *Snapshot) find(info *connInfo, host, path string) (route, *problem.Error) {
	name, _, p := splitHost(host)
	if p != nil {
		return route{}, p
	}
	if info.listener.role == roleOwn {
		return s.findOwn(info, name, path)
	}
	if t := s.ownHosts[name]; t != nil {
		return callRoute(t, path), nil
	}
	r, known := s.hosts[name]
	if !known && !s.gate[name] && !isLocal(name, info.local) {
		return route{}, unknownHost()
	}
	if end := shared(path); end != nowhere {
		return route{end: end, site: r}, nil
	}
	if known {
		return r.find(strings.TrimPrefix(path, "/"))
	}
	first, rest, below := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if r = s.paths[first]; r == nil || !below {
		return route{}, notFound()
	}
	return r.find(rest)
}

// findOwn routes on a port of a connection's own. A port without a name answers to its
// address and to the names of its site.
func (s *Snapshot) findOwn(info *connInfo, name, path string) (route, *problem.Error) {
	p := s.ownPorts[info.listener.address]
	if p == nil { // dropped by a Swap, on a connection from before
		return route{}, unknownHost()
	}
	if t := p.byName[name]; t != nil {
		return callRoute(t, path), nil
	}
	if p.bare != nil && (isLocal(name, info.local) || s.hosts[name] == p.bare.site) {
		return callRoute(p.bare, path), nil
	}
	return route{}, unknownHost()
}

func callRoute(t *target, path string) route {
	return route{end: endCall, site: t.site, conn: t.conn, name: t.conn.Name, path: path}
}

// find routes below a site's root; rest has no leading slash.
func (r *siteRoutes) find(rest string) (route, *problem.Error) {
	out := route{site: r}
	switch rest {
	case "session":
		out.end = endSession
		return out, nil
	case "receipts":
		out.end = endReceipts
		return out, nil
	case "client.js":
		out.end = endScript
		return out, nil
	}
	if name, ok := r.routeHook(rest); ok {
		out.end, out.name = endHook, name
		return out, nil
	}
	if end, name := r.routeLogin(rest); end != nowhere {
		out.end, out.name = end, name
		return out, nil
	}
	if isOpenID(rest) {
		out.end = endOpenID
		return out, nil
	}
	if end, name := r.routeConnect(rest); end != nowhere {
		out.end, out.name = end, name
		return out, nil
	}
	rest, ok := strings.CutPrefix(rest, "api/")
	if !ok {
		return out, notFound()
	}
	name, path, _ := strings.Cut(rest, "/")
	out.name = name
	if out.conn = r.site.Connections[name]; out.conn == nil {
		return out, problem.New(problem.UnknownConnection, "this site has no such connection").
			WithHint("the path is api/CONNECTION/PATH, with a connection of sallyport.yaml")
	}
	out.end, out.path = endCall, "/"+path
	return out, nil
}

func shared(path string) endpoint {
	switch path {
	case "/healthz":
		return endHealth
	case "/readyz":
		return endReady
	case "/.well-known/jwks.json":
		return endKeys
	}
	return nowhere
}

func notFound() *problem.Error {
	return problem.New(problem.NotFound, "nothing is served at this path").
		WithHint("a site serves client.js, session, receipts and api/CONNECTION/PATH: below /SITE/, or at the root of a host under served_at")
}

func unknownHost() *problem.Error {
	return problem.New(problem.UnknownHost, "no site of this gate has that host").
		WithHint("use a name under served_at in sallyport.yaml")
}

// isLocal reports whether name is the address that the connection came in on, or
// localhost on loopback.
func isLocal(name string, local netip.Addr) bool {
	if name == "localhost" {
		return local.IsLoopback()
	}
	a, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && a.Unmap() == local
}

func previewMode(c *site.Connection) bool {
	return c.Mode == provider.Mock || c.Mode == provider.Sandbox
}

// browserMethods are the methods that a preflight for c may allow.
func browserMethods(w World, c *site.Connection) []string {
	if w.Methods != nil {
		return w.Methods(c)
	}
	return []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
}

// browserHeaders are the request headers, beside those of every call, that a preflight for
// c may allow, in lower case.
func browserHeaders(w World, c *site.Connection) []string {
	if w.Headers == nil {
		return nil
	}
	var out []string
	for _, name := range w.Headers(c) {
		out = append(out, strings.ToLower(name))
	}
	return out
}

// serves reports whether name is one of ours, for the http port.
func (s *Snapshot) serves(name string) bool {
	return s.hosts[name] != nil || s.gate[name]
}

// isPage reports whether path is for people: not a call, not a session, not a file for
// programs.
func (s *Snapshot) isPage(name, path string) bool {
	rest := strings.TrimPrefix(path, "/")
	if s.hosts[name] == nil {
		_, rest, _ = strings.Cut(rest, "/")
	}
	first, _, _ := strings.Cut(rest, "/")
	switch first {
	case "api", "session", "receipts", "login", "logout", "me", "connect", "hooks", "events", "client.js", "consent.js", "csp-report":
		return false
	}
	return shared(path) == nowhere && !strings.HasPrefix(path, "/.well-known/")
}
