package ingress

import (
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// exposed are the reply headers that a page may read.
const exposed = "Sallyport-Request-Id, Sallyport-Receipt, Retry-After, RateLimit, RateLimit-Policy"

// corsHeaders are the request headers that a preflight may be told of: those of every call,
// and the parameters of the connection's operations that travel in headers and that the
// file leaves to the page.
func (r *route) corsHeaders() []string {
	all := []string{"authorization", "content-type", "idempotency-key", "sallyport-proof", "sallyport-voucher", "sallyport-permit", "sallyport-order"}
	if r.conn == nil || r.site == nil {
		return all
	}
	return append(all, r.site.headers[r.conn]...)
}

// allowed reports whether a page on origin may use r. Preview origins count only where
// no live system can be reached.
func (r *route) allowed(origin string) bool {
	switch {
	case r.site == nil, origin == "", origin == "null", r.end == endReceipts:
		return false
	case r.end == endLogin, r.end == endCallback, r.end == endDeletion, r.end == endDeauthorize, r.end == endConnected: // navigations, and providers
		return false
	case r.end == endMe, r.end == endLogout, r.end == endConnections, r.end == endConnect:
		return r.cookies(origin)
	}
	previews := r.site.previews
	if r.end == endCall || r.conn != nil {
		previews = r.conn != nil && previewMode(r.conn)
	}
	return r.site.site.Allows(site.Origin(origin), previews)
}

// allow puts the reply headers for an allowed origin; Vary is always there already. Cookies
// go only where visitors sign in, and only for an exact origin of the site.
func (r *route) allow(h http.Header, origin string) {
	if r.cookies(origin) {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", exposed)
}

func originRefused() *problem.Error {
	return problem.New(problem.OriginRefused, "this origin is not one of the site's").
		WithHint("add the page's exact origin to the site's origins (preview_origins count in mock and sandbox only)")
}

// preflight answers an OPTIONS request of a browser (Fetch standard, CORS-preflight). It
// never reaches the pipeline and needs no token.
func (x *exchange) preflight() *problem.Error {
	method := x.r.Header.Get("Access-Control-Request-Method")
	if x.origin == "" || method == "" {
		return x.methodRefused()
	}
	if !x.route.allowed(x.origin) {
		return originRefused()
	}
	if x.r.Header.Get("Access-Control-Request-Private-Network") != "" {
		return problem.New(problem.OriginRefused, "pages of public networks may not use this gate on a private one")
	}
	x.route.allow(x.w.Header(), x.origin)
	if !slices.Contains(x.methods(), method) {
		return x.methodRefused()
	}
	h := x.w.Header()
	h.Del("Access-Control-Expose-Headers")
	h.Set("Access-Control-Allow-Methods", method)
	if names := askedHeaders(x.r.Header.Values("Access-Control-Request-Headers"), x.route.corsHeaders()); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	h.Set("Access-Control-Max-Age", "600")
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// askedHeaders are the asked-for headers that are allowed. One that is not makes the
// browser refuse, because the answer does not name it.
func askedHeaders(lines, allowed []string) string {
	var out []string
	for name := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		name = strings.ToLower(strings.Trim(name, " \t"))
		if slices.Contains(allowed, name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

// methods are those of the route, for 405 and for preflights.
func (x *exchange) methods() []string {
	switch x.route.end {
	case endCall:
		return x.route.site.methods[x.route.conn]
	case endHook:
		return x.world.hooks.Methods(x.route.site.site.Name, x.route.name)
	case endReceipts, endLogout, endDeauthorize:
		return []string{"POST"}
	case endConnect:
		return []string{"POST", "DELETE"}
	case endLogin, endCallback, endMe, endConnections, endConnected:
		return []string{"GET"}
	case endDeletion:
		return []string{"GET", "POST"}
	case endSession:
		return []string{"GET", "POST", "DELETE"}
	default:
		return []string{"GET", "HEAD"}
	}
}

func (x *exchange) methodRefused() *problem.Error {
	methods := strings.Join(x.methods(), ", ")
	x.w.Header().Set("Allow", methods)
	return problem.New(problem.MethodNotAllowed, "this method is not served here").WithHint("use %s", methods)
}

// checkBrowser decides whether a request that a browser made may go on, before anything
// is executed: the origin must be the site's, and what the browser says about the
// request (Fetch metadata) must not contradict it. A request without Origin and without
// Fetch metadata is not a browser's and passes.
func (x *exchange) checkBrowser() *problem.Error {
	_, hasOrigin := x.r.Header["Origin"]
	fetchSite := x.r.Header.Get("Sec-Fetch-Site")
	if !hasOrigin && fetchSite == "" {
		return nil
	}
	if !hasOrigin && fetchSite == "same-origin" {
		x.origin = x.sameOrigin()
	}
	if !x.route.allowed(x.origin) {
		return originRefused()
	}
	x.route.allow(x.w.Header(), x.origin)
	if fetchSite != "" && !x.fetchFits(fetchSite) {
		return problem.New(problem.OriginRefused, "the browser's Fetch metadata and Origin contradict each other").
			WithHint("call from the page's script with fetch in mode cors")
	}
	return nil
}

// sameOrigin is the origin of a page that calls its own host, as a site does whose proxy
// serves page and gate under one name: browsers leave Origin out of such a GET, and no
// page can forge Sec-Fetch-Site.
func (x *exchange) sameOrigin() string {
	for _, scheme := range []string{"https://", "http://"} {
		if origin := scheme + x.r.Host; x.route.allowed(origin) {
			return origin
		}
	}
	return ""
}

// fetchFits compares Sec-Fetch-Site with Origin and wants a script's request, neither a
// navigation nor an embedded resource.
func (x *exchange) fetchFits(fetchSite string) bool {
	switch x.r.Header.Get("Sec-Fetch-Mode") {
	case "", "cors", "same-origin":
	default:
		return false
	}
	_, host, _ := strings.Cut(x.origin, "://")
	same := strings.EqualFold(host, x.r.Host)
	switch fetchSite {
	case "same-origin":
		return same
	case "same-site", "cross-site":
		return !same
	}
	return false
}
