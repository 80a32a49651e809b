package ingress

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"sallyport/internal/problem"
)

// connectCookie binds an attempt to connect to the browser that began it. Like that of a
// sign-in it comes back from the provider's site, so it is Lax.
const connectCookie = "__Host-sallyport-connect"

// connectFragment tells the page how connecting ended: #sallyport-connect=ok, or a problem code.
const connectFragment = "#sallyport-connect="

// Connects lets signed-in visitors connect their own accounts.
type Connects interface {
	// Begin says where the visitor of a visit is sent to, and what the browser keeps meanwhile.
	Begin(ctx context.Context, r ConnectRequest, returnTo string) (location, attempt string, err error)
	// Finish takes the visitor back. back is where the page is, as soon as that is known, also
	// beside an error.
	Finish(ctx context.Context, r ConnectRequest, attempt, query string) (back string, err error)
	// List says what the visitor has connected, for JSON.
	List(ctx context.Context, r ConnectRequest) (any, error)
	// Disconnect forgets an account, and says for JSON what became of it at the provider.
	Disconnect(ctx context.Context, r ConnectRequest) (any, error)
}

// ConnectRequest is a visitor's step of connecting an account. Visit has no token where the
// provider sent the visitor back.
type ConnectRequest struct {
	Visit      VisitRequest
	Connection string
	Base       string // the gate's own address as the browser knows it
}

// routeConnect finds the addresses of connecting below a site's root: on the site's own host
// only, as those of signing in.
func (r *siteRoutes) routeConnect(rest string) (end endpoint, connection string) {
	if len(r.site.ServedAt) == 0 || !r.site.Connects() {
		return nowhere, ""
	}
	if rest == "connect" {
		return endConnections, ""
	}
	rest, ok := strings.CutPrefix(rest, "connect/")
	name, step, deeper := strings.Cut(rest, "/")
	if c := r.site.Connections[name]; !ok || c == nil || c.Connect == nil {
		return nowhere, ""
	}
	switch {
	case !deeper:
		return endConnect, name
	case step == "callback":
		return endConnected, name
	}
	return nowhere, ""
}

// connects answers a page of the site: with the visit's token, from an exact origin.
func (x *exchange) connects() *problem.Error {
	if x.world.connects == nil {
		return notFound()
	}
	of, p := x.pageRequest()
	if p != nil {
		return p
	}
	if of.Token == "" {
		return problem.New(problem.Unauthenticated, "no session token was sent").WithHint("send Authorization: Bearer TOKEN")
	}
	r := ConnectRequest{Visit: of, Connection: x.route.name, Base: x.base()}
	switch method := x.r.Method; {
	case x.route.end == endConnections && method == http.MethodGet:
		return x.answer(x.world.connects.List(x.r.Context(), r))
	case x.route.end == endConnect && method == http.MethodPost:
		return x.beginConnect(r)
	case x.route.end == endConnect && method == http.MethodDelete:
		return x.answer(x.world.connects.Disconnect(x.r.Context(), r))
	}
	return x.methodRefused()
}

func (x *exchange) answer(document any, err error) *problem.Error {
	if err != nil {
		return problem.From(err)
	}
	x.json(http.StatusOK, document)
	return nil
}

// beginConnect sends the visitor to the provider. Only a page of the site can begin: the
// visit's token says who connects, and the cookie binds the attempt to this browser.
func (x *exchange) beginConnect(r ConnectRequest) *problem.Error {
	body, err := x.readBody(4 << 10)
	if err != nil {
		return problem.From(err)
	}
	var want struct {
		ReturnTo string `json:"return_to"`
	}
	if len(body) > 0 {
		if kind, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
			return problem.New(problem.MediaType, "the request is a JSON object with return_to, or has no body")
		}
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.DisallowUnknownFields()
		if err := d.Decode(&want); err != nil || d.More() {
			return problem.New(problem.BadBody, "the request is a JSON object with the one member return_to")
		}
	}
	location, attempt, err := x.world.connects.Begin(x.r.Context(), r, want.ReturnTo)
	if err != nil {
		return problem.From(err)
	}
	x.setCookie(connectCookie, attempt, http.SameSiteLaxMode, attemptLife)
	x.json(http.StatusOK, map[string]string{"location": location})
	return nil
}

// connected takes a visitor back. What went wrong is told to the page that began, where the
// attempt says which it was; the attempt's cookie has done its work either way.
func (x *exchange) connected() *problem.Error {
	if x.world.connects == nil {
		return notFound()
	}
	if x.r.Method != http.MethodGet {
		return x.methodRefused()
	}
	var p *problem.Error
	if x.client, p = x.s.config.Behind.client(x.info.peer, x.r.Header); p != nil {
		return p
	}
	if p = x.navigation(); p != nil {
		return p
	}
	r := ConnectRequest{Connection: x.route.name, Base: x.base(), Visit: VisitRequest{ID: x.id, Site: x.route.site.site.Name, Client: x.client}}
	back, err := x.world.connects.Finish(x.r.Context(), r, x.cookie(connectCookie), x.query)
	if back != "" {
		x.setCookie(connectCookie, "", http.SameSiteLaxMode, time.Duration(0))
	}
	switch {
	case err == nil:
		return x.redirect(back + connectFragment + "ok")
	case back != "":
		p = problem.From(err)
		x.refused = p
		x.s.counts.count(p.Code)
		return x.redirect(back + connectFragment + string(p.Code))
	case strings.Contains(x.r.Header.Get("Accept"), "text/html"):
		return x.page(problem.From(err))
	}
	return problem.From(err)
}
