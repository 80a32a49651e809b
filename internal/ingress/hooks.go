package ingress

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/problem"
)

// maxEvent bounds an event's body, in bytes. The largest that the providers of the catalog
// document is far below it.
const maxEvent = 1 << 20

// Hooks takes providers' events in.
type Hooks interface {
	// Methods are those that a connection's events come by; none: it takes no events.
	Methods(site, connection string) []string
	// Receive answers when the event is durable.
	Receive(ctx context.Context, r HookRequest) (HookReply, error)
}

// HookRequest is what a provider sent, as it came.
type HookRequest struct {
	Site       string
	Connection string
	Method     string
	URL        string // the public address, with the raw query
	Header     http.Header
	Body       []byte
}

// HookReply is the answer to it.
type HookReply struct {
	Status      int
	ContentType string
	Body        []byte
}

// routeHook finds hooks/CONNECTION, with one part more for providers that are known by a secret
// part of the address.
func (r *siteRoutes) routeHook(rest string) (connection string, ok bool) {
	rest, ok = strings.CutPrefix(rest, "hooks/")
	name, token, deeper := strings.Cut(rest, "/")
	c := r.site.Connections[name]
	if !ok || c == nil || c.Webhooks == nil || strings.Contains(token, "/") || deeper != (c.Webhooks.Scheme == "secret_path") {
		return "", false
	}
	return name, true
}

// hook takes an event: its bytes are read and handed on as they came, before anything of them
// is looked at. No page has business here.
func (x *exchange) hook() *problem.Error {
	hooks, site := x.world.hooks, x.route.site.site.Name
	if hooks == nil {
		return notFound()
	}
	methods := hooks.Methods(site, x.route.name)
	if !slices.Contains(methods, x.r.Method) {
		return x.methodRefused()
	}
	if x.r.Header.Get("Origin") != "" || x.r.Header.Get("Sec-Fetch-Site") != "" {
		return problem.New(problem.OriginRefused, "events come from providers, not from pages")
	}
	if e := x.r.Header.Get("Content-Encoding"); e != "" {
		return problem.New(problem.MediaType, "the body is compressed or encoded, which no provider does")
	}
	var p *problem.Error
	if x.client, p = x.s.config.Behind.client(x.info.peer, x.r.Header); p != nil {
		return p
	}
	body, err := x.readBody(maxEvent)
	if err != nil {
		return problem.From(err)
	}
	reply, err := hooks.Receive(x.r.Context(), HookRequest{Site: site, Connection: x.route.name, Method: x.r.Method, URL: x.base() + x.r.RequestURI, Header: x.r.Header, Body: body})
	if err != nil {
		return problem.From(err)
	}
	if reply.ContentType != "" {
		x.w.Header().Set("Content-Type", reply.ContentType)
	}
	x.bytes(reply.Status, reply.Body)
	return nil
}
