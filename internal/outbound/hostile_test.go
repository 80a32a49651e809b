package outbound

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/problem"
)

func zipped(b []byte) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.String()
}

func gzipReply(encoding, body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", encoding, len(body), body)
}

// The table of hostile upstreams: every row is a refusal with the outcome told.
func TestHostileUpstream(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	bomb := zipped(make([]byte, 10<<20))
	tests := []struct {
		name     string
		response string
		code     problem.Code
		outcome  problem.Outcome
	}{
		{"two content lengths", ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", problem.UpstreamMalformed, problem.Performed},
		{"equal content lengths", ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", problem.UpstreamMalformed, problem.Performed},
		{"list of content lengths", ok + "Content-Length: 2, 2\r\n\r\nab", problem.UpstreamMalformed, problem.Performed},
		{"signed content length", ok + "Content-Length: +2\r\n\r\nab", problem.UpstreamMalformed, problem.Performed},
		{"huge content length", ok + "Content-Length: 99999999999999999999\r\n\r\nab", problem.UpstreamMalformed, problem.Performed},
		{"transfer-encoding and content-length", ok + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nab\r\n0\r\n\r\n", problem.UpstreamMalformed, problem.Performed},
		{"xchunked", ok + "Transfer-Encoding: xchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", problem.UpstreamMalformed, problem.Performed},
		{"gzip, chunked", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", problem.UpstreamMalformed, problem.Performed},
		{"two transfer encodings", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", problem.UpstreamMalformed, problem.Performed},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", problem.UpstreamMalformed, problem.Performed},
		{"chunk size not a number", ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n", problem.UpstreamMalformed, problem.Performed},
		{"chunk size with 0x", ok + "Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n", problem.UpstreamMalformed, problem.Performed},
		{"chunk size negative", ok + "Transfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n", problem.UpstreamMalformed, problem.Performed},
		{"chunk size empty", ok + "Transfer-Encoding: chunked\r\n\r\n\r\nab\r\n0\r\n\r\n", problem.UpstreamMalformed, problem.Performed},
		{"chunk size too long", ok + "Transfer-Encoding: chunked\r\n\r\n000000002\r\nab\r\n0\r\n\r\n", problem.UpstreamMalformed, problem.Performed},
		{"chunk longer than it says", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", problem.UpstreamMalformed, problem.Performed},
		{"chunk lines with bare LF", ok + "Transfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n", problem.UpstreamMalformed, problem.Performed},
		{"bare CR in a header", ok + "X-A: a\rSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", problem.UpstreamMalformed, problem.Unknown},
		{"header name with space", ok + "X A: b\r\nContent-Length: 0\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"space before colon", ok + "Content-Length : 0\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"folded header", ok + "X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"header without colon", ok + "nonsense\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"NUL in a header", ok + "X-A: a\x00b\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"redirect to metadata", "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", problem.UpstreamRedirect, problem.Unknown},
		{"304", "HTTP/1.1 304 Not Modified\r\n\r\n", problem.UpstreamRedirect, problem.Unknown},
		{"2 MiB of header", ok + "X-A: " + strings.Repeat("a", 2<<20) + "\r\n\r\n", problem.UpstreamTooLarge, problem.Unknown},
		{"65 KiB of header", ok + "X-A: " + strings.Repeat("a", 65<<10) + "\r\nContent-Length: 0\r\n\r\n", problem.UpstreamTooLarge, problem.Unknown},
		{"101 header fields", ok + strings.Repeat("X-A: a\r\n", 101) + "\r\n", problem.UpstreamTooLarge, problem.Unknown},
		{"body shorter than its length", ok + "Content-Length: 10\r\n\r\nabc", problem.UpstreamMalformed, problem.Performed},
		{"chunked body cut off", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nab", problem.UpstreamMalformed, problem.Performed},
		{"chunked body without end", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", problem.UpstreamMalformed, problem.Performed},
		{"head cut off", ok + "X-A: a\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"2,000 interim responses", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 2000) + ok + "Content-Length: 0\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"six interim responses", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 6) + ok + "Content-Length: 0\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"junk", "\x16\x03\x01 junk\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"HTTP/0.9", "<html>hello</html>\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"HTTP/2.0 status line", "HTTP/2.0 200 OK\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"status 999", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"status 600", "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"status 099", "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"unsolicited 101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", problem.UpstreamMalformed, problem.Unknown},
		{"nothing at all", "", problem.UpstreamUnreachable, problem.Unknown},
		{"204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nab", problem.UpstreamMalformed, problem.Performed},
		{"body over the cap, announced", ok + "Content-Length: 4194305\r\n\r\n", problem.UpstreamTooLarge, problem.Performed},
		{"body over the cap, chunked", ok + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("100000\r\n"+strings.Repeat("a", 1<<20)+"\r\n", 5) + "0\r\n\r\n", problem.UpstreamTooLarge, problem.Performed},
		{"body over the cap, to the end", ok + "\r\n" + strings.Repeat("a", 5<<20), problem.UpstreamTooLarge, problem.Performed},
		{"gzip bomb", gzipReply("gzip", bomb), problem.UpstreamTooLarge, problem.Performed},
		{"gzip, gzip, br", gzipReply("gzip, gzip, br", zipped([]byte(zipped([]byte("a"))))), problem.UpstreamMalformed, problem.Performed},
		{"nested gzip in two fields", ok + "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", problem.UpstreamMalformed, problem.Performed},
		{"nested gzip", gzipReply("gzip, gzip", zipped([]byte(zipped([]byte("a"))))), problem.UpstreamMalformed, problem.Performed},
		{"br", gzipReply("br", "abc"), problem.UpstreamMalformed, problem.Performed},
		{"gzip that is none", gzipReply("gzip", "abcdefghijklmnopq"), problem.UpstreamMalformed, problem.Performed},
		{"gzip cut off", gzipReply("gzip", bomb[:len(bomb)/2][:100]), problem.UpstreamMalformed, problem.Performed},
		{"gzip with something after it", gzipReply("gzip", zipped([]byte("a"))+"junk"), problem.UpstreamMalformed, problem.Performed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := rawUpstream(t, func(u *upstream, c net.Conn) {
				if u.read(bufio.NewReader(c)) {
					_, _ = io.WriteString(c, test.response)
				}
			})
			_, err := to(t, u, nil).Do(t.Context(), get("/v1/x"))
			p := wantProblem(t, err, test.code, test.outcome)
			if strings.Contains(p.Detail+p.Hint, "169.254") {
				t.Errorf("the refusal names the redirect's target: %s", p.Detail)
			}
		})
	}
}

// The counterparts: what looks similar and is right.
func TestHonestUpstream(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	big := strings.Repeat(`{"id":"pi_1","object":"payment_intent"},`, 20000)
	tests := []struct{ name, response, body string }{
		{"length", ok + "Content-Length: 2\r\n\r\nab", "ab"},
		{"chunked", ok + "Transfer-Encoding: chunked\r\n\r\n2;ext=1\r\nab\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", "ab0123456789"},
		{"to the end", ok + "\r\nabc", "abc"},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nabc", "abc"},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", "a"},
		{"five interim responses", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 5) + ok + "Content-Length: 1\r\n\r\na", "a"},
		{"100 header fields", ok + "Content-Length: 1\r\n" + strings.Repeat("X-A: a\r\n", 99) + "\r\na", "a"},
		{"60 KiB of header", ok + "Content-Length: 1\r\nX-A: " + strings.Repeat("a", 60<<10) + "\r\n\r\na", "a"},
		{"gzip", gzipReply("gzip", zipped([]byte("hello"))), "hello"},
		{"gzip of a long list", gzipReply("gzip", zipped([]byte(big))), big},
		{"identity", gzipReply("identity", "hello"), "hello"},
		{"500 with a body", "HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\na", "a"},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := rawUpstream(t, func(u *upstream, c net.Conn) {
				if u.read(bufio.NewReader(c)) {
					_, _ = io.WriteString(c, test.response)
				}
			})
			res, err := to(t, u, nil).Do(t.Context(), get("/v1/x"))
			if err != nil {
				t.Fatal(err)
			}
			if string(res.Body) != test.body || res.Attempts != 1 || !res.Sent {
				t.Errorf("got %d bytes %.40q in %d attempts", len(res.Body), res.Body, res.Attempts)
			}
		})
	}
}

// A cut without close_notify is not the end of a body that ends with the connection.
func TestTruncationBelowTLS(t *testing.T) {
	u := rawUpstream(t, func(u *upstream, c net.Conn) {
		if u.read(bufio.NewReader(c)) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhalf of it")
			if nc, ok := c.(interface{ NetConn() net.Conn }); ok {
				nc.NetConn().Close()
			}
		}
	})
	_, err := to(t, u, nil).Do(t.Context(), get("/"))
	wantProblem(t, err, problem.UpstreamMalformed, problem.Performed)
}

// Bytes after an answer never become the answer to the next call.
func TestResponseQueuePoisoning(t *testing.T) {
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
	const clean = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean"
	ways := map[string]func(c net.Conn){
		"in the same write": func(c net.Conn) { _, _ = io.WriteString(c, clean+poison) },
		"in the next record": func(c net.Conn) {
			_, _ = io.WriteString(c, clean)
			_, _ = io.WriteString(c, poison)
		},
		"a moment later": func(c net.Conn) {
			_, _ = io.WriteString(c, clean)
			time.Sleep(5 * time.Millisecond)
			_, _ = io.WriteString(c, poison)
		},
		"one byte": func(c net.Conn) { _, _ = io.WriteString(c, clean+"H") },
		"past the reader's buffer": func(c net.Conn) {
			pad := strings.Repeat("a", 4096-len("HTTP/1.1 200 OK\r\nX: \r\nContent-Length: 5\r\n\r\nclean"))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+pad+"\r\nContent-Length: 5\r\n\r\nclean"+poison)
		},
	}
	for name, answer := range ways {
		t.Run(name, func(t *testing.T) {
			poisoned := make(chan struct{}, 10)
			u := rawUpstream(t, func(u *upstream, c net.Conn) {
				br := bufio.NewReader(c)
				for u.read(br) {
					answer(c)
					poisoned <- struct{}{}
				}
			})
			h := to(t, u, nil)
			for range 5 {
				res, err := h.Do(t.Context(), get("/"))
				if err != nil {
					t.Fatal(err)
				}
				if string(res.Body) != "clean" {
					t.Fatalf("a call was answered with %q", res.Body)
				}
				<-poisoned
				time.Sleep(time.Millisecond)
			}
			if u.conns != 5 {
				t.Errorf("%d connections for 5 calls; a poisoned one was used again", u.conns)
			}
		})
	}
}

func TestConnectionIsReusedAndReplaced(t *testing.T) {
	var n atomic.Int64
	closed := make(chan struct{}, 1)
	u := rawUpstream(t, func(u *upstream, c net.Conn) {
		br := bufio.NewReader(c)
		for u.read(br) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			if n.Add(1) == 5 {
				c.Close()
				closed <- struct{}{}
				return
			}
		}
	})
	h := to(t, u, nil)
	call := &Call{Method: http.MethodPost, Path: "/send"}
	for i := range 10 {
		if _, err := h.Do(t.Context(), call); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
		if i == 4 {
			<-closed
		}
	}
	if u.conns != 2 {
		t.Errorf("%d connections, want 2: one until the provider closed it, one after", u.conns)
	}
}

func TestResponseHeadersAreAllowListed(t *testing.T) {
	odd := replying(t, lines("HTTP/1.1 200 OK", "Request-Id: req_\xff", "Retry-Note: caf\u00e9", "Content-Length: 2", "", "{}"))
	oddCall := get("/")
	oddCall.Keep = []string{"Request-Id", "Retry-Note"}
	if res, err := to(t, odd, nil).Do(t.Context(), oddCall); err != nil || len(res.Header) != 0 {
		t.Errorf("values that are not ASCII: %v %v", res, err)
	}
	u := replying(t, lines("HTTP/1.1 200 OK", "Content-Type: application/json", "Set-Cookie: a=b", "Access-Control-Allow-Origin: *",
		"Server: evil/1", "Location: https://evil.test/", "Connection: keep-alive", "Keep-Alive: 1", "Request-Id: req_1",
		"X-Other: 1", "Content-Length: 2", "", "{}"))
	call := get("/")
	call.Keep = []string{"request-id", "set-cookie", "server", "location", "access-control-allow-origin", "keep-alive", "connection", "content-length"}
	res, err := to(t, u, nil).Do(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Header) != 2 || res.Header.Get("Request-Id") != "req_1" || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("kept %v, want Content-Type and Request-Id only", res.Header)
	}
}

// TestEchoedCredentialIsRefused sends the credential back in every way that a reader of
// bytes could miss: the answer is withheld, or the place is one that is never passed on.
func TestEchoedCredentialIsRefused(t *testing.T) {
	const key = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
	sized := func(head, body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	}
	told := `{"you_sent":"Bearer ` + key + `"}`
	for _, test := range []struct {
		name, response string
		dropped        bool // the place is never passed on, so the answer may be
	}{
		{"body", sized("", told), false},
		{"kept header", sized("Request-Id: "+key+"\r\n", "{}"), false},
		{"upper case", sized("", strings.ToUpper(told)), false},
		{"base64", sized("", base64.StdEncoding.EncodeToString([]byte(told))), false},
		{"URL encoding", sized("", strings.ReplaceAll(told, "_", "%5F")), false},
		{"hex", sized("", hex.EncodeToString([]byte(told))), false},
		{"gzip", gzipReply("gzip", zipped([]byte(told))), false},
		{"error text", "HTTP/1.1 401 Unauthorized\r\n" + strings.TrimPrefix(sized("", told), "HTTP/1.1 200 OK\r\n"), false},
		{"over two chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", 30, told[:30], len(told)-30, told[30:]), false},
		{"over many chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n" + strings.Join(strings.Split(told, ""), "\r\n1\r\n") + "\r\n0\r\n\r\n", false},
		{"header name", sized("X-"+strings.ReplaceAll(key, "_", "-")+": 1\r\n"+key+": 2\r\n", "{}"), true},
		{"header that is not kept", sized("X-Echo: "+key+"\r\n", "{}"), true},
		{"reason phrase", strings.Replace(sized("", "{}"), "OK", key, 1), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			call := get("/")
			call.Credential, call.Keep = bearer(t, key), []string{"Request-Id"}
			res, err := to(t, replying(t, test.response), nil).Do(t.Context(), call)
			if test.dropped {
				if err != nil || strings.Contains(strings.ToLower(fmt.Sprint(res.Header)+string(res.Body)), strings.ToLower(key[8:])) {
					t.Errorf("%v %+v", err, res)
				}
				return
			}
			outcome := problem.Performed
			if test.name == "error text" {
				outcome = problem.NotPerformed
			}
			p := wantProblem(t, err, problem.UpstreamEcho, outcome)
			if strings.Contains(err.Error()+string(p.Document("r")), key) {
				t.Error("the error holds the key")
			}
		})
	}
}

// TestShortBodiesOpenTheBreaker: an answer that is cut off speaks against the host's
// health like a refused connection.
func TestShortBodiesOpenTheBreaker(t *testing.T) {
	u := rawUpstream(t, func(u *upstream, c net.Conn) {
		if u.read(bufio.NewReader(c)) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
		}
	})
	h := to(t, u, func(c *HostConfig) { c.Breaker = Breaker{Least: 5, Probe: time.Minute} })
	for range 5 {
		_, err := h.Do(t.Context(), get("/"))
		wantProblem(t, err, problem.UpstreamMalformed, problem.Performed)
	}
	_, err := h.Do(t.Context(), get("/"))
	wantProblem(t, err, problem.UpstreamUnavailable, problem.NotSent)
	if n := len(u.seen()); n != 5 {
		t.Errorf("the provider saw %d requests, want 5", n)
	}
}

// TestDefaultBounds: without any setting the figures of the attack list hold.
func TestDefaultBounds(t *testing.T) {
	times, limits := Timeouts{}.filled(), Limits{}.filled()
	if times.Header != 10*time.Second || times.Dial > 5*time.Second || times.TLS > 5*time.Second || times.Idle > 10*time.Second || times.Total > 30*time.Second {
		t.Errorf("%+v", times)
	}
	if limits.HeaderBytes != 64<<10 || limits.HeaderCount != 100 || limits.Body > 4<<20 || ratio != 10 || ratioFloor > 1<<20 {
		t.Errorf("%+v, a compressed body may grow %d-fold", limits, ratio)
	}
}
