package ingress

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/egress"
)

// TestTargetHostMethodHeaders is security reference §5.2 with API5's methods and §5.6's
// cache deception: every row refused before the pipeline.
func TestTargetHostMethodHeaders(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	target := func(path string) string { return request("GET "+path+" HTTP/1.1", hostH) }
	api := func(path string) string { return target("/api/payments" + path) }
	with := func(lines ...string) string { return request(append([]string{get, hostH}, lines...)...) }
	method := func(m string) string { return request(m+" /api/payments/v1/things HTTP/1.1", hostH) }
	many := make([]string, 1500)
	for i := range many {
		many[i] = fmt.Sprintf("X-%d: a", i)
	}
	bad, no := []int{400}, []int{405}
	rows := []hostile{
		{name: "no Host", sent: request(get, "X-A: b"), status: bad, code: "bad_host"},
		{name: "no Host in HTTP/1.0", sent: request("GET /api/payments/x HTTP/1.0", "X-A: b"), status: bad},
		{name: "two Hosts", sent: request(get, hostH, "Host: evil.test"), status: bad, code: "bad_host"},
		{name: "two equal Hosts", sent: request(get, hostH, hostH), status: bad},
		{name: "empty Host", sent: request(get, "Host:"), status: bad},
		{name: "Host with path", sent: request(get, "Host: gw.test/evil"), status: bad, code: "bad_host"},
		{name: "Host with user", sent: request(get, "Host: a@gw.test"), status: bad},
		{name: "Host with port abc", sent: request(get, "Host: gw.test:abc"), status: bad, code: "bad_host"},
		{name: "Host with port 0", sent: request(get, "Host: gw.test:0"), status: bad},
		{name: "Host with port 65536", sent: request(get, "Host: gw.test:65536"), status: bad},
		{name: "Host with empty port", sent: request(get, "Host: gw.test:"), status: bad},
		{name: "Host with two ports", sent: request(get, "Host: gw.test:80:22"), status: bad},
		{name: "Host list", sent: request(get, "Host: gw.test, evil.test"), status: bad},
		{name: "Host encoded", sent: request(get, "Host: gw%2etest"), status: bad},
		{name: "Host bad IPv6", sent: request(get, "Host: [::1"), status: bad},
		{name: "unknown host", sent: request(get, "Host: evil.test"), status: []int{421}, code: "unknown_host", open: true},
		{name: "unknown host with our name in front", sent: request(get, "Host: gw.test.evil.test"), status: []int{421}, open: true},
		{name: "trailing dot host", sent: request(get, "Host: gw.test."), status: []int{421}, open: true},
		{name: "metadata host", sent: request(get, "Host: 169.254.169.254"), status: []int{421}, open: true},
		{name: "absolute-form other host", sent: request("GET http://169.254.169.254/latest HTTP/1.1", hostH), status: bad, code: "bad_target"},
		{name: "absolute-form own host", sent: request("GET http://gw.test/api/payments/x HTTP/1.1", hostH), status: bad},
		{name: "authority-form", sent: request("GET gw.test:80 HTTP/1.1", hostH), status: bad},
		{name: "asterisk-form", sent: request("OPTIONS * HTTP/1.1", hostH), status: bad},
		{name: "CONNECT", sent: request("CONNECT 127.0.0.1:22 HTTP/1.1", "Host: 127.0.0.1:22"), status: no, code: "method_not_allowed"},
		{name: "TRACE", sent: method("TRACE"), status: no},
		{name: "lower-case get", sent: method("get"), status: no},
		{name: "mixed-case Get", sent: method("Get"), status: no},
		{name: "unknown method", sent: method("PROPFIND"), status: no},
		{name: "HEAD of a call", sent: method("HEAD"), status: no, open: true},
		{name: "OPTIONS without CORS", sent: method("OPTIONS"), status: no, open: true},
		{name: "DELETE on a file", sent: request("DELETE /client.js HTTP/1.1", hostH), status: no, open: true},
		{name: "GET of session", sent: target("/session"), status: []int{405, 403}, open: true},
		{name: "//evil.com/x", sent: target("//evil.com/x"), status: bad, code: "bad_target"},
		{name: "// inside", sent: api("/a//b"), status: bad},
		{name: "/api/../admin", sent: target("/api/../admin"), status: bad, code: "bad_target"},
		{name: "/api/./x", sent: target("/api/./x"), status: bad},
		{name: "/api/payments/..", sent: api("/.."), status: bad},
		{name: "%2e%2e", sent: api("/%2e%2e/admin"), status: bad},
		{name: ".%2E", sent: api("/.%2E/admin"), status: bad},
		{name: "%2e", sent: api("/%2e/admin"), status: bad},
		{name: "%2f..%2f", sent: api("/a%2f..%2fadmin"), status: bad},
		{name: "%2F alone", sent: api("/a%2Fb"), status: bad},
		{name: "%252e%252e", sent: api("/%252e%252e/admin"), status: bad},
		{name: "%25%32%65", sent: api("/%25%32%65/admin"), status: bad},
		{name: "..;/", sent: api("/..;/admin"), status: bad},
		{name: "; in path", sent: api("/me;a.css"), status: bad},
		{name: "%3b in path", sent: api("/me%3ba.css"), status: bad},
		{name: "backslash", sent: api(`/\..\admin`), status: bad},
		{name: "..%5c", sent: api("/..%5cadmin"), status: bad},
		{name: "%00", sent: api("/a%00.css"), status: bad},
		{name: "%0d%0a", sent: api("/a%0d%0aX:1"), status: bad},
		{name: "%0a", sent: api("/me%0a.css"), status: bad},
		{name: "%7f", sent: api("/a%7f"), status: bad},
		{name: "overlong", sent: api("/%c0%ae%c0%ae/admin"), status: bad},
		{name: "encoded surrogate", sent: api("/%ed%a0%80"), status: bad},
		{name: "encoded 0xff", sent: api("/%ff"), status: bad},
		{name: "raw 0xff", sent: api("/\xff"), status: bad},
		{name: "raw UTF-8", sent: api("/\xc3\xa9"), status: bad},
		{name: "%zz", sent: api("/%zz"), status: bad, code: "bad_target"},
		{name: "% at the end", sent: api("/a%2"), status: bad},
		{name: "%u0041", sent: api("/%u0041"), status: bad},
		{name: "space in target", sent: api("/a b"), status: bad},
		{name: "tab in target", sent: api("/a\tb"), status: bad},
		{name: "control in target", sent: api("/a\x01b"), status: bad},
		{name: "NUL in target", sent: api("/a\x00b"), status: bad},
		{name: "fragment", sent: target("/api#/admin"), status: bad},
		{name: "fragment in query", sent: api("/a?b=c#d"), status: bad, code: "bad_query"},
		{name: "semicolon in query", sent: api("/a?a=1;b=2&a=3"), status: bad, code: "bad_query"},
		{name: "%zz in query", sent: api("/a?a=%zz"), status: bad, code: "bad_query"},
		{name: "raw 0xff in query", sent: api("/a?a=\xff"), status: bad},
		{name: "Connection naming fields", sent: with("Connection: close, X-Tenant, Authorization, X-Forwarded-For"), status: bad, code: "bad_header"},
		{name: "Connection naming Host", sent: with("Connection: host"), status: bad},
		{name: "two Authorizations", sent: with("Authorization: Bearer a", "Authorization: Bearer b"), status: bad, code: "bad_header"},
		{name: "two Content-Types", sent: request(post, hostH, "Content-Type: application/json", "Content-Type: text/plain", "Content-Length: 2") + "{}", status: bad},
		{name: "two Idempotency-Keys", sent: with("Idempotency-Key: a", "idempotency-key: b"), status: bad},
		{name: "two Origins", sent: with("Origin: https://example.com", "Origin: https://example.com"), status: bad},
		{name: "X-Original-URL", sent: with("X-Original-URL: /admin"), status: bad, code: "bad_header"},
		{name: "X-Rewrite-URL", sent: with("X-Rewrite-URL: /admin"), status: bad},
		{name: "X-HTTP-Method-Override", sent: with("X-HTTP-Method-Override: DELETE"), status: bad},
		{name: "X_Tenant_Id", sent: with("X_Tenant_Id: 7"), status: bad, code: "bad_header"},
		{name: "Content_Length", sent: with("Content_Length: 7"), status: bad},
		{name: "TE gzip", sent: with("TE: gzip"), status: bad},
		{name: "header 20 kB", sent: with("X-A: " + strings.Repeat("a", 20<<10)), status: []int{431}, code: "headers_too_large"},
		{name: "1,500 headers", sent: with(many...), status: []int{431}},
		{name: "101 headers", sent: with(many[:100]...), status: []int{431}},
		{name: "URI 18 kB", sent: api("/" + strings.Repeat("a", 18<<10)), status: []int{414}, code: "uri_too_long"},
		{name: "URI 8 kB and one", sent: target("/" + strings.Repeat("a", 8<<10)), status: []int{414}},
		{name: "two sid cookies", sent: with("Cookie: sid=a; x=1; sid=b"), status: bad},
		{name: "two Cookie lines", sent: with("Cookie: sid=a", "Cookie: sid=b"), status: bad},
		{name: "two __Host-sid cookies", sent: with("Cookie: __Host-sid=b; __Host-sid=a"), status: bad},
		{name: "deception: css under me", sent: target("/v1/me/nonexistent.css"), status: []int{404}, open: true},
		{name: "deception: ;a.css", sent: target("/v1/me;a.css"), status: bad},
		{name: "deception: %0a.css", sent: target("/v1/me%0a.css"), status: bad},
		{name: "deception: %2f..%2fa.js", sent: target("/v1/me%2f..%2fa.js"), status: bad},
		{name: "metrics on the data port", sent: target("/metrics"), status: []int{404}, code: "not_found", open: true},
		{name: "pprof on the data port", sent: target("/debug/pprof/"), status: []int{404}, open: true},
		{name: "admin on the data port", sent: target("/admin"), status: []int{404}, open: true},
		{name: "unknown connection", sent: target("/api/nothing/v1"), status: []int{404}, code: "unknown_connection", open: true},
		{name: "another site below this host", sent: target("/club/api/sms/x"), status: []int{404}, open: true},
		{name: "Api in upper case", sent: target("/API/payments/x"), status: []int{404}, open: true},
		{name: "client.js below", sent: target("/client.js/x"), status: []int{404}, open: true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { row.run(t, g) })
	}
}

// TestHonestTargets: what providers and SDKs really send passes, unchanged.
func TestHonestTargets(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	for _, row := range []struct{ name, target, path, query string }{
		{"brackets in query", "/api/payments/v1/x?expand[]=a&expand[0]=b", "/v1/x", "expand[]=a&expand[0]=b"},
		{"pipe in query", "/api/payments/maps/api/geocode/json?components=country:DE|locality:Berlin", "/maps/api/geocode/json", "components=country:DE|locality:Berlin"},
		{"colon in path", "/api/payments/v1/places:searchText", "/v1/places:searchText", ""},
		{"encoded UTF-8", "/api/payments/v1/caf%C3%A9", "/v1/caf%C3%A9", ""},
		{"encoded space and percent", "/api/payments/v1/a%20b%25", "/v1/a%20b%25", ""},
		{"encoded semicolon in query", "/api/payments/v1?a=1%3B2", "/v1", "a=1%3B2"},
		{"dots inside", "/api/payments/2010-04-01/Accounts/AC0.json", "/2010-04-01/Accounts/AC0.json", ""},
		{"three dots", "/api/payments/.../x", "/.../x", ""},
		{"connection alone", "/api/payments", "/", ""},
		{"query with question mark", "/api/payments/x?a=b?c", "/x", "a=b?c"},
		{"8 kB target", "/api/payments/" + strings.Repeat("a", 8<<10-14), "/" + strings.Repeat("a", 8<<10-14), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			replies, _ := g.raw(request("GET "+row.target+" HTTP/1.1", hostH, "Connection: close"))
			if len(replies) != 1 || replies[0].StatusCode != 200 {
				t.Fatalf("%+v", replies)
			}
			if c := g.caller.last(); c.Path != row.path || c.RawQuery != row.query {
				t.Errorf("path %q query %q", c.Path, c.RawQuery)
			}
		})
	}
}

// TestHeadersThatThePipelineNeverSees: hop-by-hop fields, what only a proxy may say,
// ranges and cookies are taken out (§5.2 spoofing, §5.6 unkeyed headers and Range).
func TestHeadersThatThePipelineNeverSees(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	gone := []string{
		"X-Forwarded-For: 10.0.0.1", "X-Forwarded-Host: evil.test", "X-Forwarded-Scheme: http", "X-Forwarded-Proto: http",
		"Forwarded: for=10.0.0.1", "Via: 1.1 x", "X-Real-IP: 10.0.0.1", "Range: bytes=0-1", "If-Range: x",
		"Cookie: a=b", "TE: trailers", "Keep-Alive: 5", "Proxy-Connection: close", "Proxy-Authorization: Basic x", "Connection: close",
	}
	kept := []string{"Authorization: Bearer k", "Idempotency-Key: 1", "Stripe-Version: 2026-09-30.endive", "Content-Type: application/json"}
	replies, _ := g.raw(request(append(append([]string{get, hostH}, gone...), kept...)...))
	if len(replies) != 1 || replies[0].StatusCode != 200 {
		t.Fatalf("%+v", replies)
	}
	c := g.caller.last()
	for _, line := range gone {
		name, _, _ := strings.Cut(line, ":")
		if v := c.Header.Get(name); v != "" {
			t.Errorf("%s passed: %q", name, v)
		}
	}
	for _, line := range kept {
		name, value, _ := strings.Cut(line, ": ")
		if v := c.Header.Get(name); v != value {
			t.Errorf("%s: %q, want %q", name, v, value)
		}
	}
	if got := c.Client.String(); got != "127.0.0.1" {
		t.Errorf("client %s: a header was believed", got)
	}
}

// TestAnswersCannotSpeakForTheEdge: what an answer says about CORS, cookies, caching and
// framing is dropped, whoever wrote it.
func TestAnswersCannotSpeakForTheEdge(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.caller.answer = func(*egress.Call) *egress.Answer {
		return &egress.Answer{Status: 201, Body: []byte("{}"), Header: http.Header{
			"Content-Type": {"application/json"}, "Access-Control-Allow-Origin": {"*"}, "Access-Control-Allow-Credentials": {"true"},
			"set-cookie": {"evil=1"}, "Server": {"x"}, "Cache-Control": {"public"}, "Content-Length": {"99"}, "RateLimit": {"10"},
			"Sallyport-Request-Id": {"forged"},
		}}
	}
	replies, _ := g.raw(request(get, hostH, "Connection: close"))
	if len(replies) != 1 || replies[0].StatusCode != 201 || replies[0].body != "{}" {
		t.Fatalf("%+v", replies)
	}
	h := replies[0].Header
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "", "Access-Control-Allow-Credentials": "", "Set-Cookie": "", "Server": "",
		"Cache-Control": "no-store", "Content-Type": "application/json", "RateLimit": "10", "Sallyport-Request-Id": g.caller.last().ID,
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
