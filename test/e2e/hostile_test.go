package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/test/harness"
)

// target is a gate with a caller's good credentials: a hostile row is an honest call but
// for its one trick, so that only the trick can be what is refused.
type target struct {
	t          *testing.T
	g          *harness.Gate
	up         *harness.Upstream
	host       string
	key, visit string
}

func hostileTarget(t *testing.T) *target {
	t.Helper()
	up := harness.StripeMock(t)
	g := start(t, shopConfig(up.URL), up)
	return &target{t: t, g: g, up: up, host: strings.TrimPrefix(g.URL, "http://"), key: g.Key("shop"), visit: g.Session("shop", origin)}
}

// message is a request of the site's backend with the lines given.
func (x *target) message(first string, lines ...string) string {
	return first + "\r\n" + strings.Join(append([]string{"Host: " + x.host, "Authorization: Bearer " + x.key}, lines...), "\r\n") + "\r\n\r\n"
}

// bare has no line but those given.
func (x *target) bare(first string, lines ...string) string {
	return strings.Join(append([]string{first}, lines...), "\r\n") + "\r\n\r\n"
}

// send writes raw bytes and reads what comes back until the end; a connection that is still
// open after the answers is told by closed.
func (x *target) send(raw string) (replies []*http.Response, closed bool) {
	x.t.Helper()
	conn, err := net.Dial("tcp", x.host)
	if err != nil {
		x.t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, raw) }()
	r := bufio.NewReader(conn)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(4 * time.Second))
		if _, err := r.Peek(1); err != nil {
			n, ok := err.(net.Error)
			return replies, !ok || !n.Timeout()
		}
		reply, err := http.ReadResponse(r, nil)
		if err != nil {
			return replies, true
		}
		body, _ := io.ReadAll(reply.Body)
		reply.Body.Close()
		x.g.Saw(string(body))
		reply.Body = io.NopCloser(strings.NewReader(string(body)))
		replies = append(replies, reply)
	}
}

type attack struct {
	name, raw string
	status    []int
	open      bool // the message was understood: the connection may stay
}

// TestHostileMessages is security reference §5.1 and §5.2 on the real binary: every row is
// refused, the connection ends where framing was in doubt, and nothing reaches the
// provider — neither the row nor the authenticated request hidden behind it.
func TestHostileMessages(t *testing.T) {
	t.Parallel()
	x := hostileTarget(t)
	const get, post = "GET /shop/api/payments/v1/products HTTP/1.1", "POST /shop/api/payments/v1/customers HTTP/1.1"
	form := "Content-Type: application/x-www-form-urlencoded"
	hidden := x.message(get)

	// The control: the same request without a trick is performed, and so is one behind it.
	if replies, _ := x.send(x.message(get) + x.message(post, form, "Content-Length: 8", "Connection: close") + "name=Ada"); len(replies) != 2 || replies[0].StatusCode != 200 || replies[1].StatusCode != 200 || len(x.up.Requests()) != 2 {
		t.Fatalf("the honest requests: %d replies, %d performed", len(replies), len(x.up.Requests()))
	}
	p := func(lines ...string) string { return x.message(post, append([]string{form}, lines...)...) }
	path := func(s string) string { return x.message("GET /shop/api/payments" + s + " HTTP/1.1") }
	with := func(lines ...string) string { return x.message(get, lines...) }
	many := make([]string, 150)
	for i := range many {
		many[i] = fmt.Sprintf("X-%d: a", i)
	}
	bad, no := []int{400}, []int{405}
	for _, row := range []attack{
		{"CL.TE", p("Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\nX", bad, false},
		{"CL.TE with a whole request", p("Content-Length: 300", "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden, bad, false},
		{"TE.CL", p("Content-Length: 4", "Transfer-Encoding: chunked") + "8\r\nname=Ada\r\n0\r\n\r\n", bad, false},
		{"TE space before colon", p("Transfer-Encoding : chunked") + "0\r\n\r\n", bad, false},
		{"TE xchunked", p("Transfer-Encoding: xchunked") + "0\r\n\r\n", bad, false},
		{"TE list", p("Transfer-Encoding: chunked, identity") + "0\r\n\r\n", bad, false},
		{"TE twice", p("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + "0\r\n\r\n", bad, false},
		{"TE vertical tab", p("Transfer-Encoding:\x0bchunked") + "0\r\n\r\n", bad, false},
		{"TE folded", p("Transfer-Encoding:", " chunked") + "0\r\n\r\n", bad, false},
		{"TE on HTTP/1.0", x.message("POST /shop/api/payments/v1/customers HTTP/1.0", "Transfer-Encoding: chunked") + "0\r\n\r\n", bad, false},
		{"POST of HTTP/1.0 without a length", x.message("POST /shop/api/payments/v1/customers HTTP/1.0", "Connection: keep-alive"), bad, false},
		{"CL 8 and 9", p("Content-Length: 8", "Content-Length: 9") + "name=Ada", bad, false},
		{"CL 8 and 8", p("Content-Length: 8", "Content-Length: 8") + "name=Ada", bad, false},
		{"CL list", p("Content-Length: 8, 8") + "name=Ada", bad, false},
		{"CL +8", p("Content-Length: +8") + "name=Ada", bad, false},
		{"CL 0x8", p("Content-Length: 0x8") + "name=Ada", bad, false},
		{"CL huge", p("Content-Length: 99999999999999999999"), bad, false},
		{"CL -1", p("Content-Length: -1"), bad, false},
		{"CL over the bound", p("Content-Length: 1048577"), []int{413}, false},
		{"GET with a body", with("Content-Length: 4") + "abcd", bad, false},
		{"chunk size overflow", p("Transfer-Encoding: chunked") + "10000000000000000\r\nname=Ada\r\n0\r\n\r\n", bad, false},
		{"chunk size 0x8", p("Transfer-Encoding: chunked") + "0x8\r\nname=Ada\r\n0\r\n\r\n", bad, false},
		{"chunk extension with LF", p("Transfer-Encoding: chunked") + "8;\nname=Ada\r\n0\r\n\r\n", bad, false},
		{"chunk without CR LF", p("Transfer-Encoding: chunked") + "8\r\nname=Adax\r\n0\r\n\r\n", bad, false},
		{"trailer", p("Transfer-Encoding: chunked", "Trailer: Authorization") + "8\r\nname=Ada\r\n0\r\nAuthorization: evil\r\n\r\n", bad, false},
		{"bare LF", strings.ReplaceAll(with(), "\r\n", "\n"), bad, false},
		{"bare CR in a value", with("X-A: a\rX-B: b"), bad, false},
		{"NUL in a value", with("X-A: a\x00b"), bad, false},
		{"obs-fold", with("X-A: a", " b"), bad, false},
		{"name with a space", with("X A: b"), bad, false},
		{"name empty", with(": b"), bad, false},
		{"no colon", with("X-A"), bad, false},
		{"leading CR LF", "\r\n" + with(), bad, false},
		{"Expect 200-ok", p("Content-Length: 8", "Expect: 200-ok") + "name=Ada", []int{417}, false},
		{"Upgrade h2c", with("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), bad, false},
		{"websocket 777", with("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 777"), bad, false},
		{"HTTP/1.2", x.message("GET /shop/api/payments/v1/products HTTP/1.2"), []int{505}, false},
		{"HTTP/0.9", "GET /shop/api/payments/v1/products\r\n\r\n", bad, false},
		{"gzip body", p("Content-Encoding: gzip", "Content-Length: 8") + "name=Ada", []int{415}, false},

		{"no Host", x.bare(get, "Authorization: Bearer "+x.key), bad, false},
		{"two Hosts", with("Host: evil.test"), bad, false},
		{"Host with a path", x.bare(get, "Host: "+x.host+"/evil", "Authorization: Bearer "+x.key), bad, false},
		{"Host with a user", x.bare(get, "Host: a@"+x.host, "Authorization: Bearer "+x.key), bad, false},
		{"Host port abc", x.bare(get, "Host: 127.0.0.1:abc", "Authorization: Bearer "+x.key), bad, false},
		{"unknown Host", x.bare(get, "Host: evil.test", "Authorization: Bearer "+x.key), []int{421}, true},
		{"metadata Host", x.bare(get, "Host: 169.254.169.254", "Authorization: Bearer "+x.key), []int{421}, true},
		{"absolute-form elsewhere", x.message("GET http://169.254.169.254/latest HTTP/1.1"), bad, false},
		{"absolute-form here", x.message("GET http://" + x.host + "/shop/api/payments/v1/products HTTP/1.1"), bad, false},
		{"authority-form", x.message("GET " + x.host + " HTTP/1.1"), bad, false},
		{"CONNECT", x.message("CONNECT 127.0.0.1:22 HTTP/1.1"), no, false},
		{"TRACE", x.message("TRACE /shop/api/payments/v1/products HTTP/1.1"), no, false},
		{"get", x.message("get /shop/api/payments/v1/products HTTP/1.1"), no, false},
		{"//evil", x.message("GET //evil.com/x HTTP/1.1"), bad, false},
		{"/..", path("/../payments/v1/products"), bad, false},
		{"%2e%2e", path("/%2e%2e/payments/v1/products"), bad, false},
		{"%2f", path("/v1%2fproducts"), bad, false},
		{"%252e", path("/%252e%252e/v1/products"), bad, false},
		{"..;", path("/..;/v1/products"), bad, false},
		{"backslash", path(`\v1\products`), bad, false},
		{"%5c", path("/v1%5cproducts"), bad, false},
		{"%00", path("/v1/products%00"), bad, false},
		{"%0d%0a", path("/v1/products%0d%0aX:1"), bad, false},
		{"overlong", path("/%c0%ae%c0%ae/v1/products"), bad, false},
		{"raw 0xff", path("/v1/products\xff"), bad, false},
		{"%zz", path("/v1/%zz"), bad, false},
		{"a space", path("/v1/products x"), bad, false},
		{"fragment", path("/v1/products#/admin"), bad, false},
		{"; in the query", path("/v1/products?limit=1;limit=2"), bad, false},
		{"%zz in the query", path("/v1/products?limit=%zz"), bad, false},
		{"a parameter twice", path("/v1/products?limit=1&limit=2"), []int{400, 422}, true},
		{"Connection names fields", with("Connection: close, Authorization, X-Tenant"), bad, false},
		{"two Authorizations", with("Authorization: Bearer x"), bad, false},
		{"two Origins", with("Origin: "+origin, "Origin: "+origin), bad, false},
		{"two Idempotency-Keys", with("Idempotency-Key: a", "Idempotency-Key: b"), bad, false},
		{"X-Original-URL", with("X-Original-URL: /admin"), bad, false},
		{"method override", with("X-HTTP-Method-Override: DELETE"), bad, false},
		{"underscore", with("X_Tenant_Id: 7"), bad, false},
		{"header of 20 kB", with("X-A: " + strings.Repeat("a", 20<<10)), []int{431}, false},
		{"150 headers", with(many...), []int{431}, false},
		{"URI of 18 kB", path("/" + strings.Repeat("a", 18<<10)), []int{414}, false},
		{"two sid cookies", with("Cookie: sid=a; sid=b"), bad, false},
		{"pprof", x.message("GET /debug/pprof/ HTTP/1.1"), []int{404}, true},
		{"metrics", x.message("GET /metrics HTTP/1.1"), []int{404}, true},
		{"cache deception", path("/v1/products/x.css"), []int{404}, true},
	} {
		t.Run(row.name, func(t *testing.T) { x.refuses(t, row, hidden) })
	}
}

// refuses sends a row with a good request behind it.
func (x *target) refuses(t *testing.T, row attack, hidden string) {
	t.Helper()
	before := len(x.up.Requests())
	raw := row.raw + hidden
	if row.open {
		raw = strings.TrimSuffix(row.raw, "\r\n") + "Connection: close\r\n\r\n"
	}
	replies, closed := x.send(raw)
	if len(replies) != 1 || !closed {
		t.Fatalf("%d replies, closed %v", len(replies), closed)
	}
	r := replies[0]
	if !slices.Contains(row.status, r.StatusCode) {
		body, _ := io.ReadAll(r.Body)
		t.Errorf("status %d, want %v: %s", r.StatusCode, row.status, body)
	}
	for _, name := range []string{"Access-Control-Allow-Origin", "Server", "Set-Cookie", "Location"} {
		if v := r.Header.Get(name); v != "" {
			t.Errorf("%s: %s", name, v)
		}
	}
	if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Vary") == "" {
		t.Errorf("%v", r.Header)
	}
	if n := len(x.up.Requests()) - before; n != 0 {
		t.Errorf("%d requests reached the provider", n)
	}
}

// TestForeignPages is security reference §5.6: a page of another origin gets nothing, with
// a good token in its hands, on calls and preflights alike.
func TestForeignPages(t *testing.T) {
	t.Parallel()
	x := hostileTarget(t)
	for _, from := range []string{"null", "https://evil-shop.example", "https://shop.example.evil.com", "https://shopXexample", "http://shop.example",
		"https://shop.example:444", "https://SHOP.example", "https://shop.example.", "https://user@shop.example", "https://shop.example%60.evil.com",
		"https://sub.shop.example", "https://shop.example/", "https://shop.example https://evil.com", "*", "https://deploy-preview-7--shop.example.evil.com",
		"https://deploy-preview-7.evil.com--shop.example", "https://shop.example\x00.evil.com", "https://" + strings.Repeat("a", 10<<10)} {
		for what, lines := range map[string][]string{
			"call":      {"POST /shop/api/payments/v1/payment_intents HTTP/1.1", "Content-Type: application/json", "Content-Length: 15"},
			"preflight": {"OPTIONS /shop/api/payments/v1/payment_intents HTTP/1.1", "Access-Control-Request-Method: POST"},
			"session":   {"POST /shop/session HTTP/1.1", "Content-Length: 0"},
		} {
			body := ""
			if what == "call" {
				body = `{"amount":1900}`
			}
			raw := x.bare(lines[0], append([]string{"Host: " + x.host, "Authorization: Bearer " + x.visit, "Origin: " + from, "Connection: close"}, lines[1:]...)...)
			replies, _ := x.send(raw + body)
			if len(replies) != 1 || replies[0].StatusCode != 403 && replies[0].StatusCode != 400 {
				t.Errorf("%s from %.40q: %d replies %v", what, from, len(replies), replies)
				continue
			}
			for name := range replies[0].Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s from %.40q: %s", what, from, name)
				}
			}
		}
	}
	if n := len(x.up.Requests()); n != 0 {
		t.Errorf("%d requests reached the provider", n)
	}
	raw := x.bare("OPTIONS /shop/api/payments/v1/payment_intents HTTP/1.1", "Host: "+x.host, "Origin: "+origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type", "Connection: close")
	replies, _ := x.send(raw)
	if len(replies) != 1 || replies[0].StatusCode != 204 || replies[0].Header.Get("Access-Control-Allow-Origin") != origin || replies[0].Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("the site's own preflight: %v", replies)
	}
}

// TestHostileProviderThroughTheGate is security reference §5.3 end to end: what a provider
// should not send does not reach the caller.
func TestHostileProviderThroughTheGate(t *testing.T) {
	t.Parallel()
	answers := map[string]struct {
		status int
		code   string
		raw    string
	}{
		"redirect":     {502, "upstream_redirect", "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"},
		"TE and CL":    {502, "upstream_malformed", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n"},
		"two lengths":  {502, "upstream_malformed", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} "},
		"bare CR":      {502, "upstream_malformed", "HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n"},
		"status 999":   {502, "upstream_malformed", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"},
		"short body":   {502, "upstream_malformed", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{}"},
		"2 MiB header": {502, "upstream_too_large", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 2<<20) + "\r\n\r\n"},
		"junk":         {502, "upstream_malformed", "hello\r\n\r\n"},
		"html":         {502, "upstream_malformed", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"},
		"deep JSON":    {502, "upstream_malformed", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("[", 20000)},
		"twin keys":    {502, "upstream_malformed", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 42\r\n\r\n" + `{"id":"a","id":"b","object":"customer"}   `},
		"echo":         {502, "upstream_echo", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{\"id\":%q}", len(liveKey)+9, liveKey)},
		"headers":      {200, "", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: evil=1\r\nAccess-Control-Allow-Origin: *\r\nServer: x\r\nX-Evil: 1\r\nContent-Length: " + fmt.Sprint(len(intentAnswer)) + "\r\n\r\n" + intentAnswer},
	}
	var raw atomic.Value
	up := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = rw.WriteString(raw.Load().(string))
		_ = rw.Flush()
		conn.Close()
	}))
	g, key := twoProviders(t, up.URL, string(up.CA))
	for name, row := range answers {
		t.Run(name, func(t *testing.T) {
			raw.Store(row.raw)
			r := payOver(g, key, "bad")
			if r.Status != row.status || row.code != "" && field(t, r.Body, "code") != row.code {
				t.Errorf("%d %s", r.Status, r.Body)
			}
			if row.code != "" {
				if out := field(t, r.Body, "outcome"); out != "unknown" && out != "performed" {
					t.Errorf("outcome %v", out)
				}
			}
			for _, h := range []string{"Location", "Set-Cookie", "Access-Control-Allow-Origin", "X-Evil", "X-A"} {
				if r.Header.Get(h) != "" {
					t.Errorf("%s reached the caller", h)
				}
			}
			if strings.Contains(r.Body, "169.254") || strings.Contains(r.Body, liveKey) {
				t.Error("the redirect's target or the key is told")
			}
			if row.code == "upstream_echo" { // somebody has to look at this one
				g.WaitLog(`"level":"ERROR","msg":"call","request":"` + r.Header.Get("Sallyport-Request-Id"))
			}
		})
	}
}
