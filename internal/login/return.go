package login

import (
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// maxReturn bounds the address to return to: it travels in a cookie.
const maxReturn = 1500

// providerReturn is where the gate's own OpenID provider goes on; its request's id follows.
const providerReturn = "/openid/continue?request="

// backTo is ReturnAddress, and also takes the way back to the OpenID provider of the same
// gate name: that one path, with an id and nothing else.
func backTo(a At, raw string) (string, error) {
	if id, ok := strings.CutPrefix(raw, providerReturn); ok && a.Site.OpenID != nil && len(id) == 12 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == "" {
		return a.Base + raw, nil
	}
	return ReturnAddress(a.Site, raw)
}

// ReturnAddress holds an address to return to against the site's origins; empty is the root
// of the first. What is given back is written anew from the parts that were checked.
func ReturnAddress(s *site.Site, raw string) (string, error) {
	if raw == "" && len(s.Origins) > 0 {
		return string(s.Origins[0]) + "/", nil
	}
	refused := func(why string) error {
		return problem.New(problem.ReturnRefused, "the address to return to %s", why).
			WithHint("give return_to as a whole address on one of the site's origins, such as %s/account", first(s))
	}
	if len(raw) > maxReturn {
		return "", refused("is too long")
	}
	for _, c := range []byte(raw) {
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return "", refused("holds a space, a backslash, a fragment or a character outside ASCII")
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Opaque != "" || u.User != nil {
		return "", refused("is no whole address, or has a user in it")
	}
	origin := site.Origin(u.Scheme + "://" + u.Host)
	if !slices.Contains(s.Origins, origin) || !strings.HasPrefix(raw, string(origin)) {
		return "", refused("is not on one of the site's origins")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if path[0] != '/' || strings.HasPrefix(path, "//") {
		return "", refused("has a path that does not begin with one slash")
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return string(origin) + path, nil
}

func first(s *site.Site) string {
	if len(s.Origins) == 0 {
		return "https://shop.example"
	}
	return string(s.Origins[0])
}
