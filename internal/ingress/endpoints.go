package ingress

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// call hands the request to the pipeline and writes its answer.
func (x *exchange) call() *problem.Error {
	if x.r.Method == http.MethodHead {
		return x.methodRefused()
	}
	if x.origin != "" && x.bearer() == "" {
		return problem.New(problem.Unauthenticated, "a call from a page needs the token of its session").
			WithHint("POST session first and send Authorization: Bearer TOKEN; client.js does both")
	}
	siteName := ""
	if x.route.site != nil {
		siteName = x.route.site.site.Name
	}
	a := x.world.caller.Call(x.r.Context(), &egress.Call{
		ID: x.id, Site: siteName, Connection: x.route.name, Among: x.among,
		Method: x.r.Method, Path: x.route.path, RawQuery: x.query, Header: cleaned(x.r.Header, x.s.config.Behind.Header),
		Origin: site.Origin(x.origin), Client: x.client, ReadBody: x.readBody,
	})
	if a == nil || a.Problem == nil && (a.Status < 200 || a.Status > 599) {
		return &problem.Error{Code: problem.Internal, Detail: "something went wrong inside the gate"}
	}
	x.recorded = true
	h := x.w.Header()
	for name, values := range a.Header {
		if ours(name) {
			continue
		}
		h[textproto.CanonicalMIMEHeaderKey(name)] = values
	}
	if a.Problem != nil {
		return a.Problem
	}
	if a.Status != http.StatusNoContent && a.Status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	x.w.WriteHeader(a.Status)
	x.w.Write(a.Body) //nolint:errcheck // the peer is gone: nobody to tell
	return nil
}

// ours are reply headers that only this package sets, whatever an answer says.
func ours(name string) bool {
	lower := strings.ToLower(name)
	switch lower {
	case "sallyport-request-id", "vary", "cache-control", "x-content-type-options", "referrer-policy", "content-security-policy",
		"cross-origin-resource-policy", "strict-transport-security", "content-length", "connection", "transfer-encoding",
		"trailer", "upgrade", "keep-alive", "server", "set-cookie", "date", "via", "x-powered-by", "location", "refresh", "clear-site-data":
		return true
	}
	return strings.HasPrefix(lower, "access-control-")
}

// cleaned is what the pipeline gets to see: without hop-by-hop fields, without what only
// a proxy may say, and without cookies, which mean nothing here.
func cleaned(in http.Header, clientField string) http.Header {
	out := maps.Clone(in)
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Expect", "Content-Length", "Host", "Cookie",
		"Range", "If-Range", "Proxy-Authorization", "Forwarded", "Via", "X-Real-Ip", "True-Client-Ip", "Accept-Encoding",
	} {
		delete(out, name)
	}
	delete(out, http.CanonicalHeaderKey(clientField))
	for name := range out {
		if strings.HasPrefix(name, "X-Forwarded") {
			delete(out, name)
		}
	}
	return out
}

func (x *exchange) bearer() string {
	scheme, token, _ := strings.Cut(x.r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.Trim(token, " ")
}

// script serves the site's client.js. A page of another origin imports it with CORS; it
// holds nothing that is not public, so a plain script element may load it too.
func (x *exchange) script() *problem.Error {
	if p := x.readOnly(); p != nil {
		return p
	}
	if _, has := x.r.Header["Origin"]; has {
		if !x.route.allowed(x.origin) {
			return originRefused()
		}
		x.route.allow(x.w.Header(), x.origin)
	}
	h := x.w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("ETag", x.route.site.etag)
	if matches(x.r.Header.Values("If-None-Match"), x.route.site.etag) {
		x.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	x.bytes(http.StatusOK, x.route.site.script)
	return nil
}

func matches(lines []string, etag string) bool {
	for tag := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		tag = strings.TrimPrefix(strings.Trim(tag, " \t"), "W/")
		if tag == etag || tag == "*" {
			return true
		}
	}
	return false
}

func (x *exchange) keys() *problem.Error {
	if p := x.readOnly(); p != nil {
		return p
	}
	x.w.Header().Set("Content-Type", "application/jwk-set+json")
	x.w.Header().Set("Cache-Control", "public, max-age=300")
	x.bytes(http.StatusOK, x.world.sessions.KeySet())
	return nil
}

func (x *exchange) health() *problem.Error {
	if p := x.readOnly(); p != nil {
		return p
	}
	x.json(http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// ready is red while the server drains or the assembly says so. The reason is for the
// log: strangers can ask.
func (x *exchange) ready() *problem.Error {
	if p := x.readOnly(); p != nil {
		return p
	}
	if x.s.draining.Load() {
		return problem.New(problem.ShuttingDown, "the gate is shutting down")
	}
	if x.s.config.Ready != nil {
		if err := x.s.config.Ready(x.r.Context()); err != nil {
			code := problem.From(err).Code // what is not ready may be told; why is for the log
			if code == problem.Internal {
				code = problem.StoreUnavailable
			}
			return problem.Wrap(err, code, "the gate is not ready")
		}
	}
	answer := map[string]any{"status": "ready"}
	if x.s.config.Degraded != nil {
		if without := x.s.config.Degraded(); len(without) > 0 {
			answer["degraded"] = without
		}
	}
	x.json(http.StatusOK, answer)
	return nil
}

func (x *exchange) readOnly() *problem.Error {
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		return x.methodRefused()
	}
	return nil
}

func (x *exchange) json(status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // only strings and numbers: cannot happen
		panic(err)
	}
	x.w.Header().Set("Content-Type", "application/json")
	x.bytes(status, b)
}

func (x *exchange) bytes(status int, b []byte) {
	x.w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		x.w.Write(b) //nolint:errcheck // the peer is gone: nobody to tell
	}
}

// plain answers on the http port: ACME's challenges, redirects of pages, and nothing
// else. A call is refused and not redirected: its token has already crossed the wire
// in clear, and a redirect would hide that (ASVS 5.0, 4.1.2).
func (x *exchange) plain() *problem.Error {
	if body, ok := x.s.certs.HTTPChallenge(x.r.Method, x.r.Host, x.path); ok {
		x.w.Header().Set("Content-Type", "application/octet-stream")
		x.bytes(http.StatusOK, body)
		return nil
	}
	name, _, p := splitHost(x.r.Host)
	if p != nil {
		return p
	}
	if !x.world.serves(name) {
		return unknownHost()
	}
	page := x.r.Method == http.MethodGet && x.origin == "" && x.r.Header.Get("Authorization") == "" &&
		strings.Contains(x.r.Header.Get("Accept"), "text/html") && x.world.isPage(name, x.path)
	if !page {
		return problem.New(problem.HTTPSRequired, "calls are answered over https only").
			WithHint("write https:// in the client; a token or key that was sent over http should be revoked")
	}
	x.w.Header().Set("Location", "https://"+name+x.r.RequestURI)
	x.w.Header().Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusMovedPermanently)
	return nil
}
