package ingress

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"net/netip"

	"sallyport/internal/openid"
	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// The cookies of signing in. Both belong to the gate's name alone (__Host-: no other host of
// the domain can set them) and no script reads them. The first binds an attempt to the
// browser and comes back from the provider's site, so it is Lax; the second is the sign-in,
// counts for POST session, POST logout and the OpenID provider alone, and is not sent along
// from other sites: Strict.
const (
	attemptCookie = "__Host-sallyport-login"
	// LoginCookie is the cookie of a sign-in.
	LoginCookie = "__Host-sallyport"
)

// resultFragment tells the page how a sign-in ended: #sallyport-login=ok, or a problem code.
const resultFragment = "#sallyport-login="

// Logins signs visitors in and out.
type Logins interface {
	// Begin says where the visitor is sent to, and what the browser keeps meanwhile.
	Begin(ctx context.Context, r LoginRequest, returnTo string) (location, attempt string, err error)
	// Finish takes the visitor back. back is where the page is, as soon as that is known, also
	// beside an error; cookie is the sign-in, for lasts.
	Finish(ctx context.Context, r LoginRequest) (back, cookie string, lasts time.Duration, err error)
	// Mint begins the visit of who signed in by a cookie; ok is false where nobody is.
	Mint(ctx context.Context, r VisitRequest, cookie string) (token string, expires time.Time, ok bool, err error)
	// Me is what a page may know of who is signed in, for JSON.
	Me(ctx context.Context, r VisitRequest) (any, error)
	// End signs out: the sign-in of the cookie, and that of the visit's token; either may be
	// missing.
	End(ctx context.Context, r VisitRequest, cookie string) error
	// Remove forgets a person because the provider says so. deauthorised tells that the
	// person took the app's rights back; else data are to be deleted.
	Remove(ctx context.Context, r LoginRequest, signed string, deauthorised bool) (code string, err error)
	// Removed says when what the code confirms was done.
	Removed(ctx context.Context, r LoginRequest, code string) (time.Time, error)
}

// LoginRequest is a visitor's step of signing in, or a provider's word about one.
type LoginRequest struct {
	ID         string // request id
	Site       string
	Connection string
	Base       string // the gate's own address as the browser knows it: https://api.shop.example
	Client     netip.Addr
	Query      string
	Attempt    string // cookie; not opened yet
	Login      string // cookie of who was signed in before
}

// routeLogin finds the addresses of signing in below a site's root. They exist only on the
// site's own host: elsewhere the cookie jar would be shared with other sites.
func (r *siteRoutes) routeLogin(rest string) (end endpoint, connection string) {
	if len(r.site.ServedAt) == 0 || !r.site.SignsIn() {
		return nowhere, ""
	}
	switch rest {
	case "me":
		return endMe, ""
	case "logout":
		return endLogout, ""
	}
	rest, ok := strings.CutPrefix(rest, "login/")
	name, step, _ := strings.Cut(rest, "/")
	if c := r.site.Connections[name]; !ok || c == nil || c.Login == nil {
		return nowhere, ""
	}
	switch step {
	case "":
		return endLogin, name
	case "callback":
		return endCallback, name
	case "deletion":
		return endDeletion, name
	case "deauthorize":
		return endDeauthorize, name
	}
	return nowhere, ""
}

// signIn reports whether the route answers visitors who sign in, with cookies: on an exact
// origin only, never a preview's.
func (r *route) cookies(origin string) bool {
	return r.site != nil && (r.end == endSession || r.end == endLogout || r.end == endMe || r.end == endConnections || r.end == endConnect) &&
		len(r.site.site.ServedAt) > 0 && r.site.site.SignsIn() && slices.Contains(r.site.site.Origins, site.Origin(origin))
}

// login answers the addresses that visitors and providers come to.
func (x *exchange) login() *problem.Error {
	if x.world.logins == nil {
		return notFound()
	}
	get := x.route.end == endLogin || x.route.end == endCallback
	post := x.route.end == endDeauthorize || x.route.end == endDeletion && x.r.Method == http.MethodPost
	if get && x.r.Method != http.MethodGet || post && x.r.Method != http.MethodPost || !get && !post && x.r.Method != http.MethodGet {
		return x.methodRefused()
	}
	var p *problem.Error
	if x.client, p = x.s.config.Behind.client(x.info.peer, x.r.Header); p != nil {
		return p
	}
	of := LoginRequest{ID: x.id, Site: x.route.site.site.Name, Connection: x.route.name, Base: x.base(), Client: x.client, Query: x.query,
		Attempt: x.cookie(attemptCookie), Login: x.cookie(LoginCookie)}
	switch {
	case get:
		p = x.navigation()
		if p == nil && x.route.end == endLogin {
			p = x.beginLogin(of)
		} else if p == nil {
			p = x.finishLogin(of)
		}
		if p != nil && strings.Contains(x.r.Header.Get("Accept"), "text/html") {
			return x.page(p)
		}
		return p
	case post:
		return x.removal(of)
	}
	return x.removed(of)
}

// navigation wants a visitor who goes to the address with the whole window: no frame, image
// or script may begin or end a sign-in.
func (x *exchange) navigation() *problem.Error {
	mode, dest := x.r.Header.Get("Sec-Fetch-Mode"), x.r.Header.Get("Sec-Fetch-Dest")
	if mode != "" && mode != "navigate" || dest != "" && dest != "document" {
		return problem.New(problem.OriginRefused, "signing in is for the whole window, not for a frame or a script").
			WithHint("send the visitor to the address with location.assign, or with a link; client.js: login")
	}
	return nil
}

// base is the gate's own address as the browser called it. The host is one of the site's.
func (x *exchange) base() string {
	scheme := "https://"
	if !x.info.secure && len(x.s.config.Behind.From) == 0 {
		scheme = "http://" // loopback: elsewhere the file is refused
	}
	return scheme + strings.TrimSuffix(strings.ToLower(x.r.Host), map[string]string{"https://": ":443", "http://": ":80"}[scheme])
}

func (x *exchange) cookie(name string) string {
	c, err := x.r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

func (x *exchange) setCookie(name, value string, mode http.SameSite, life time.Duration) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: mode, MaxAge: int(life / time.Second)}
	if value == "" {
		c.MaxAge = -1
	}
	x.w.Header().Add("Set-Cookie", c.String())
}

// attemptLife is how long the browser keeps an attempt; the attempt itself says the same.
const attemptLife = 10 * time.Minute

func (x *exchange) beginLogin(of LoginRequest) *problem.Error {
	q, err := url.ParseQuery(x.query)
	if err != nil || len(q["return_to"]) > 1 || len(q) > len(q["return_to"]) {
		return problem.New(problem.BadQuery, "login takes the one parameter return_to").WithHint("write login/CONNECTION?return_to=https://shop.example/account, percent-encoded")
	}
	location, attempt, err := x.world.logins.Begin(x.r.Context(), of, q.Get("return_to"))
	if err != nil {
		return problem.From(err)
	}
	x.setCookie(attemptCookie, attempt, http.SameSiteLaxMode, attemptLife)
	return x.redirect(location)
}

func (x *exchange) redirect(location string) *problem.Error {
	x.w.Header().Set("Location", location)
	x.w.Header().Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// finishLogin takes a visitor back. What went wrong is told to the page that began, where
// the attempt says which it was; the attempt's cookie has done its work either way.
func (x *exchange) finishLogin(of LoginRequest) *problem.Error {
	back, cookie, lasts, err := x.world.logins.Finish(x.r.Context(), of)
	if back != "" {
		x.setCookie(attemptCookie, "", http.SameSiteLaxMode, 0)
	}
	told := func(what string) string {
		if strings.HasPrefix(back, of.Base+openid.Continue) { // which finds out for itself
			return back
		}
		return back + resultFragment + what
	}
	if err == nil {
		x.setCookie(LoginCookie, cookie, http.SameSiteStrictMode, lasts)
		return x.redirect(told("ok"))
	}
	p := problem.From(err)
	if back == "" {
		return p
	}
	x.refused = p
	x.s.counts.count(p.Code)
	return x.redirect(told(string(p.Code)))
}

// page tells a visitor what went wrong, where there is no page of the site to tell it.
func (x *exchange) page(p *problem.Error) *problem.Error {
	x.refused = p
	x.s.counts.count(p.Code)
	back := ""
	if origins := x.route.site.site.Origins; len(origins) > 0 {
		back = `<p><a href="` + html.EscapeString(string(origins[0])) + `/">Back to the site</a></p>`
	}
	body := `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign-in did not work</title>` +
		`<main><h1>Sign-in did not work</h1><p>` + html.EscapeString(p.Detail) + `.</p>` + back +
		`<p><small>` + html.EscapeString(string(p.Code)) + `, request ` + html.EscapeString(x.id) + `</small></p></main>`
	h := x.w.Header()
	if n := p.RetryAfterSeconds(); n > 0 {
		h.Set("Retry-After", strconv.Itoa(n))
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	x.bytes(p.Status(), []byte(body))
	return nil
}

// me says who is signed in.
func (x *exchange) me() *problem.Error {
	if x.r.Method != http.MethodGet {
		return x.methodRefused()
	}
	of, p := x.pageRequest()
	if p != nil {
		return p
	}
	if of.Token == "" {
		return problem.New(problem.Unauthenticated, "no session token was sent").WithHint("send Authorization: Bearer TOKEN")
	}
	document, err := x.world.logins.Me(x.r.Context(), of)
	if err != nil {
		return problem.From(err)
	}
	x.json(http.StatusOK, document)
	return nil
}

// pageRequest is a request of a page of the site itself, on an exact origin.
func (x *exchange) pageRequest() (VisitRequest, *problem.Error) {
	if x.world.logins == nil {
		return VisitRequest{}, notFound()
	}
	if x.origin == "" || !x.route.cookies(x.origin) {
		return VisitRequest{}, originRefused().WithHint("who is signed in is told to pages on the site's own origins; send their Origin")
	}
	return VisitRequest{ID: x.id, Site: x.route.site.site.Name, Origin: site.Origin(x.origin), Client: x.client, Token: x.bearer()}, nil
}

// logout ends a sign-in on all nodes. A page of another origin cannot: Origin is required,
// and the cookie is not sent for it.
func (x *exchange) logout() *problem.Error {
	if x.r.Method != http.MethodPost {
		return x.methodRefused()
	}
	of, p := x.pageRequest()
	if p != nil {
		return p
	}
	if body, err := x.readBody(1 << 10); err != nil {
		return problem.From(err)
	} else if p := x.sessionBody(body); p != nil {
		return p
	}
	if err := x.world.logins.End(x.r.Context(), of, x.cookie(LoginCookie)); err != nil {
		return problem.From(err)
	}
	x.setCookie(LoginCookie, "", http.SameSiteStrictMode, 0)
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// signedIn begins the visit of whom the cookie names; done is false where nobody is signed
// in, and then the cookie goes.
func (x *exchange) signedIn(of VisitRequest) (done bool, p *problem.Error) {
	cookie := x.cookie(LoginCookie)
	if cookie == "" || x.world.logins == nil || !x.route.cookies(x.origin) {
		return false, nil
	}
	token, expires, ok, err := x.world.logins.Mint(x.r.Context(), of, cookie)
	if err != nil {
		return true, problem.From(err)
	}
	if !ok {
		x.setCookie(LoginCookie, "", http.SameSiteStrictMode, 0)
		return false, nil
	}
	return true, x.token(token, expires, nil)
}

// removal takes a provider's signed request to forget a person.
func (x *exchange) removal(of LoginRequest) *problem.Error {
	if kind, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return problem.New(problem.MediaType, "the request is a form with the field signed_request")
	}
	body, err := x.readBody(16 << 10)
	if err != nil {
		return problem.From(err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["signed_request"]) != 1 {
		return problem.New(problem.BadBody, "the request is a form with the field signed_request, once")
	}
	code, err := x.world.logins.Remove(x.r.Context(), of, form.Get("signed_request"), x.route.end == endDeauthorize)
	if err != nil {
		return problem.From(err)
	}
	x.json(http.StatusOK, map[string]string{"url": of.Base + "/login/" + of.Connection + "/deletion?code=" + code, "confirmation_code": code})
	return nil
}

// removed is the page at which a person sees that data were deleted.
func (x *exchange) removed(of LoginRequest) *problem.Error {
	q, err := url.ParseQuery(x.query)
	if err != nil || len(q["code"]) != 1 || len(q) != 1 {
		return problem.New(problem.BadQuery, "the page takes the one parameter code")
	}
	when, err := x.world.logins.Removed(x.r.Context(), of, q.Get("code"))
	if err != nil {
		if p := problem.From(err); strings.Contains(x.r.Header.Get("Accept"), "text/html") {
			return x.page(p)
		}
		return problem.From(err)
	}
	body := `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Your data were deleted</title>` +
		`<main><h1>Your data were deleted</h1><p>What was kept of your sign-in at this site was deleted on ` + when.UTC().Format("2 January 2006 at 15:04 UTC") + `.</p></main>`
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	x.bytes(http.StatusOK, []byte(body))
	return nil
}
