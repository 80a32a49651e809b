package ingress

import (
	"bytes"
	"html"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"sallyport/internal/openid"
	"sallyport/internal/problem"
)

// OpenID answers for the OpenID provider of one site; *openid.Provider is one.
type OpenID interface {
	Serve(w http.ResponseWriter, r *http.Request, client netip.Addr)
}

// maxOpenID bounds the body of a request to the OpenID provider, in bytes.
const maxOpenID = 16 << 10

// isOpenID reports whether path, without its leading slash, is the OpenID provider's.
func isOpenID(path string) bool {
	return "/"+path == openid.Discovery || strings.HasPrefix("/"+path, openid.Prefix)
}

// openID hands the request over with its body read and bounded. Cookies go along, which the
// pipeline never sees: who is signed in is known by one.
func (x *exchange) openID() *problem.Error {
	provider := x.route.site.openID
	if provider == nil {
		return notFound()
	}
	if len(x.query) > maxOpenID {
		return problem.New(problem.BadTarget, "the query is longer than %d bytes", maxOpenID)
	}
	if x.path == openid.Continue && x.r.Method == http.MethodGet && x.comesBack() {
		return nil
	}
	var p *problem.Error
	if x.client, p = x.s.config.Behind.client(x.info.peer, x.r.Header); p != nil {
		return p
	}
	body, err := x.readBody(maxOpenID)
	if err != nil {
		return problem.From(err)
	}
	r := x.r.Clone(x.r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if r.URL.Path == openid.Discovery || strings.HasSuffix(r.URL.Path, "/keys") {
		x.w.Header().Set("Cache-Control", "public, max-age=300")
	}
	provider.Serve(x.w, r, x.client)
	return nil
}

// comesBack sends a visitor who comes back from an identity provider round once more. The
// browser counts that way as begun at another site, for as long as it only follows redirects,
// so it does not send the cookie of the sign-in, which is Strict. A page of the gate's own
// begins the last step anew; that one is the site's own, whatever came before. The request of
// the client is bound to the browser by a cookie of its own, so that nobody else can begin it.
func (x *exchange) comesBack() bool {
	q, err := url.ParseQuery(x.query)
	if err != nil || x.cookie(LoginCookie) != "" || q.Has("again") {
		return false
	}
	to := openid.Continue + "?" + url.Values{"request": {q.Get("request")}, "again": {"1"}}.Encode()
	to = html.EscapeString(to)
	body := `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
		`<meta http-equiv="refresh" content="0;url=` + to + `"><title>Signing in</title><main><p><a href="` + to + `">Go on to the site</a></p></main>`
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	x.bytes(http.StatusOK, []byte(body))
	return true
}
