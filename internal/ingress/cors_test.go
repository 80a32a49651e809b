package ingress

import (
	"slices"
	"strings"
	"testing"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
)

func one(t *testing.T, g *gate, lines ...string) *reply {
	t.Helper()
	replies, _ := g.raw(request(append(lines, "Connection: close")...))
	if len(replies) != 1 {
		t.Fatalf("%d replies", len(replies))
	}
	return replies[0]
}

func varies(r *reply) bool {
	return slices.ContainsFunc(r.Header.Values("Vary"), func(v string) bool { return strings.HasPrefix(v, "Origin") })
}

// TestForeignOrigins is security reference §5.6: none of these gets a CORS header, on
// any route, with or without a site key, and none performs anything.
func TestForeignOrigins(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	for _, row := range []struct {
		name, origin string
		status       int
	}{
		{"null", "null", 403},
		{"suffix trick", "https://evil-example.com", 403},
		{"prefix trick", "https://example.com.evil.com", 403},
		{"dot as wildcard", "https://exampleXcom", 403},
		{"scheme", "http://example.com", 403},
		{"port", "https://example.com:444", 403},
		{"default port written", "https://example.com:443", 403},
		{"upper case", "https://EXAMPLE.com", 403},
		{"trailing dot", "https://example.com.", 403},
		{"user info", "https://user@example.com", 403},
		{"encoded backtick", "https://example.com%60.evil.com", 403},
		{"subdomain", "https://sub.example.com", 403},
		{"path", "https://example.com/", 403},
		{"list", "https://example.com https://evil.com", 403},
		{"comma list", "https://example.com, https://evil.com", 403},
		{"star", "*", 403},
		{"file", "file://", 403},
		{"empty", "", 403},
		{"another site's", "https://club.example", 403},
		{"preview on live", "https://preview-7--shop.example", 403},
		{"NUL", "https://example.com\x00.evil.com", 400},
		{"10 kB", "https://" + strings.Repeat("a", 10<<10) + ".com", 400},
		{"513 bytes", "https://" + strings.Repeat("a", 505), 400},
		{"non-ASCII", "https://ex\xc3\xa4mple.com", 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			origin := "Origin: " + row.origin
			for route, lines := range map[string][]string{
				"call":          {get, hostH, origin, "Authorization: Bearer site-key"},
				"call without":  {get, hostH, origin},
				"session":       {"POST /session HTTP/1.1", hostH, origin},
				"preflight":     {"OPTIONS /api/payments/v1 HTTP/1.1", hostH, origin, "Access-Control-Request-Method: POST"},
				"session's own": {"OPTIONS /session HTTP/1.1", hostH, origin, "Access-Control-Request-Method: POST"},
			} {
				if row.name == "preview on live" && strings.Contains(route, "session") {
					continue // the site has a sandbox connection: previews may have sessions for it
				}
				r := one(t, g, lines...)
				want := row.status
				if row.origin == "" && strings.HasPrefix(lines[0], "OPTIONS") {
					want = 405 // without an origin it is no preflight
				}
				if r.StatusCode != want {
					t.Errorf("%s: status %d, want %d: %s", route, r.StatusCode, want, r.body)
				}
				noCORS(t, route, r)
			}
		})
	}
	if n := g.caller.count() + len(g.sessions.minted); n != 0 {
		t.Errorf("%d performed", n)
	}
}

func noCORS(t *testing.T, what string, r *reply) {
	t.Helper()
	for name := range r.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s: %s: %q", what, name, r.Header.Get(name))
		}
	}
	if !varies(r) {
		t.Errorf("%s: no Vary: Origin", what)
	}
}

// TestAllowedOrigin: a page of the site gets its exact origin back, never credentials,
// on success and on every kind of error.
func TestAllowedOrigin(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	origin := "Origin: https://example.com"
	bearer := "Authorization: Bearer t"
	for _, row := range []struct {
		name   string
		lines  []string
		answer *egress.Answer
		status int
	}{
		{"success", []string{get, hostH, origin, bearer}, nil, 200},
		{"no token", []string{get, hostH, origin}, nil, 401},
		{"a site key's scheme", []string{get, hostH, origin, "Authorization: Basic eDo="}, nil, 401},
		{"pipeline refuses", []string{get, hostH, origin, bearer}, &egress.Answer{Problem: problem.New(problem.RateLimited, "x")}, 429},
		{"pipeline breaks", []string{get, hostH, origin, bearer}, &egress.Answer{}, 500},
		{"unknown connection", []string{"GET /api/none/x HTTP/1.1", hostH, origin}, nil, 404},
		{"unknown path", []string{"GET /none HTTP/1.1", hostH, origin}, nil, 404},
		{"method", []string{"PUT /session HTTP/1.1", hostH, origin}, nil, 405},
		{"strict front", []string{"GET /api/payments/a?b;c HTTP/1.1", hostH, origin, bearer}, nil, 400},
		{"too long", []string{"GET /api/payments/" + strings.Repeat("a", 9000) + " HTTP/1.1", hostH, origin, bearer}, nil, 414},
		{"session", []string{"POST /session HTTP/1.1", hostH, origin}, nil, 200},
		{"script", []string{"GET /client.js HTTP/1.1", hostH, origin}, nil, 200},
		{"preview on sandbox", []string{"GET /api/maps/x HTTP/1.1", hostH, "Origin: https://preview-7--shop.example", bearer}, nil, 200},
		{"preview session", []string{"POST /session HTTP/1.1", hostH, "Origin: https://preview-7--shop.example"}, nil, 200},
		{"site by path", []string{"GET /club/api/sms/x HTTP/1.1", "Host: 127.0.0.1", "Origin: https://club.example", bearer}, nil, 200},
	} {
		t.Run(row.name, func(t *testing.T) {
			g.caller.mu.Lock()
			g.caller.answer = nil
			if row.answer != nil {
				g.caller.answer = func(*egress.Call) *egress.Answer { return row.answer }
			}
			g.caller.mu.Unlock()
			r := one(t, g, row.lines...)
			if r.StatusCode != row.status {
				t.Fatalf("status %d, want %d: %s", r.StatusCode, row.status, r.body)
			}
			want := strings.TrimPrefix(row.lines[2], "Origin: ")
			if row.name == "too long" {
				want = "" // refused before its headers were read
			}
			if got := r.Header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("Access-Control-Allow-Origin %q, want %q", got, want)
			}
			if r.Header.Get("Access-Control-Allow-Credentials") != "" || !varies(r) {
				t.Errorf("headers %v", r.Header)
			}
		})
	}
}

// TestPreflight: answered here, 204, with what was asked for and no more.
func TestPreflight(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	for _, row := range []struct {
		name    string
		path    string
		more    []string
		status  int
		methods string
		headers string
	}{
		{"call", "/api/payments/v1", []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,authorization"}, 204, "POST", "content-type, authorization"},
		{"unknown header is not named", "/api/payments/v1", []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,x-evil"}, 204, "POST", "authorization"},
		{"no header", "/api/payments/v1", []string{"Access-Control-Request-Method: GET"}, 204, "GET", ""},
		{"session", "/session", []string{"Access-Control-Request-Method: DELETE", "Access-Control-Request-Headers: authorization"}, 204, "DELETE", "authorization"},
		{"method that is not there", "/session", []string{"Access-Control-Request-Method: PUT"}, 405, "", ""},
		{"TRACE", "/api/payments/v1", []string{"Access-Control-Request-Method: TRACE"}, 405, "", ""},
		{"lower case", "/api/payments/v1", []string{"Access-Control-Request-Method: post"}, 405, "", ""},
		{"star", "/api/payments/v1", []string{"Access-Control-Request-Method: *"}, 405, "", ""},
		{"private network", "/api/payments/v1", []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Private-Network: true"}, 403, "", ""},
		{"unknown connection", "/api/none/v1", []string{"Access-Control-Request-Method: POST"}, 404, "", ""},
		{"with a body", "/api/payments/v1", []string{"Access-Control-Request-Method: POST", "Content-Length: 1"}, 400, "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := one(t, g, append([]string{"OPTIONS " + row.path + " HTTP/1.1", hostH, "Origin: https://example.com"}, row.more...)...)
			h := r.Header
			if r.StatusCode != row.status || h.Get("Access-Control-Allow-Methods") != row.methods || h.Get("Access-Control-Allow-Headers") != row.headers {
				t.Errorf("status %d headers %v", r.StatusCode, h)
			}
			if h.Get("Access-Control-Allow-Private-Network") != "" || h.Get("Access-Control-Allow-Credentials") != "" || !varies(r) {
				t.Errorf("headers %v", h)
			}
			if row.status == 204 && (h.Get("Access-Control-Max-Age") != "600" || r.body != "" || h.Get("Access-Control-Allow-Origin") != "https://example.com") {
				t.Errorf("headers %v body %q", h, r.body)
			}
			if row.status == 403 && h.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("refused with %v", h)
			}
		})
	}
	if len(g.caller.seen)+len(g.sessions.minted) != 0 {
		t.Error("a preflight reached something")
	}
}

// TestSameOriginPage: a page that the same name serves has no Origin on GET.
func TestSameOriginPage(t *testing.T) {
	t.Parallel()
	sites := testSites(t)
	sites[0].Origins = append(sites[0].Origins, "https://gw.test")
	g := startGate(t, func(_ *Config, w *World) { w.Sites = sites })
	same := []string{get, hostH, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"}
	if r := one(t, g, append(same, "Authorization: Bearer t")...); r.StatusCode != 200 || g.caller.last().Origin != "https://gw.test" {
		t.Errorf("%d %+v", r.StatusCode, g.caller.last())
	}
	if r := one(t, g, same...); r.StatusCode != 401 {
		t.Errorf("without token: %d", r.StatusCode)
	}
	if r := one(t, g, get, hostH, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Authorization: Bearer t"); r.StatusCode != 403 {
		t.Errorf("navigation: %d", r.StatusCode)
	}
	if r := one(t, g, get, hostH, "Sec-Fetch-Site: same-site", "Authorization: Bearer t"); r.StatusCode != 403 {
		t.Errorf("same-site without Origin: %d", r.StatusCode)
	}
	if n := g.caller.count(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// TestCrossSiteForgery: what a browser says about a request must fit together.
func TestCrossSiteForgery(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	good, bearer := "Origin: https://example.com", "Authorization: Bearer t"
	for _, row := range []struct {
		name   string
		more   []string
		status int
	}{
		{"cross-site script", []string{good, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, 200},
		{"same-site script", []string{good, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"}, 200},
		{"old browser", []string{good}, 200},
		{"form post", []string{good, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 403},
		{"image or beacon", []string{good, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{"same-origin from another origin", []string{good, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"}, 403},
		{"user typed it", []string{good, "Sec-Fetch-Site: none"}, 403},
		{"unknown word", []string{good, "Sec-Fetch-Site: friendly"}, 403},
		{"browser without origin", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{"same-origin without origin", []string{"Sec-Fetch-Site: same-origin"}, 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(g.sessions.minted) + g.caller.count()
			r := one(t, g, append([]string{"POST /session HTTP/1.1", hostH}, row.more...)...)
			c := one(t, g, append([]string{post, hostH, bearer}, row.more...)...)
			if r.StatusCode != row.status || c.StatusCode != row.status {
				t.Errorf("session %d, call %d, want %d", r.StatusCode, c.StatusCode, row.status)
			}
			if row.status != 200 && len(g.sessions.minted)+g.caller.count() != before {
				t.Error("performed")
			}
		})
	}
	if r := one(t, g, "POST /session HTTP/1.1", hostH); r.StatusCode != 403 {
		t.Errorf("session without origin: %d", r.StatusCode)
	}
}
