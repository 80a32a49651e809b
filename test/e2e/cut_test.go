package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const formType = "Content-Type: application/x-www-form-urlencoded"

// TestCutMessages is security reference §5.1 and §5.2 on the real binary, what does not
// arrive whole: with the gate's own times, not shortened for a test, a stalled head and a
// stalled body end within 10 seconds, and nothing of them reaches the provider.
func TestCutMessages(t *testing.T) {
	t.Parallel()
	x := hostileTarget(t)
	const post = "POST /shop/api/payments/v1/customers HTTP/1.1"
	for _, row := range []struct {
		name, raw string
		closes    bool // the sender ends its side
		status    int
	}{
		{"slowloris", "GET / HTTP/1.1\r\nHost: " + x.host, false, 408},
		{"length, then silence", x.message(post, formType, "Content-Length: 8") + "name=", false, 408},
		{"length, then the end", x.message(post, formType, "Content-Length: 8") + "name=", true, 400},
		{"chunk, then silence", x.message(post, formType, "Transfer-Encoding: chunked") + "8\r\nname=A", false, 408},
		{"whole chunk, then the end", x.message(post, formType, "Transfer-Encoding: chunked") + "8\r\nname=Ada\r\n", true, 400},
		{"expects 100, then silence", x.message(post, formType, "Content-Length: 8", "Expect: 100-continue"), false, 408},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", x.host)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			began := time.Now()
			if _, err := io.WriteString(conn, row.raw); err != nil {
				t.Fatal(err)
			}
			if tcp, ok := conn.(*net.TCPConn); row.closes && ok {
				_ = tcp.CloseWrite()
			}
			_ = conn.SetReadDeadline(began.Add(15 * time.Second))
			r := bufio.NewReader(conn)
			reply, err := http.ReadResponse(r, nil)
			for err == nil && reply.StatusCode == 100 {
				reply, err = http.ReadResponse(r, nil)
			}
			if err != nil || reply.StatusCode != row.status {
				t.Fatalf("%v %v, want %d", reply, err, row.status)
			}
			_, _ = io.Copy(io.Discard, reply.Body)
			if _, err := r.ReadByte(); err != io.EOF { //nolint:errorlint // the end itself
				t.Errorf("the connection did not end: %v", err)
			}
			if took := time.Since(began); took > 12*time.Second {
				t.Errorf("ended after %v", took)
			}
		})
	}
	t.Cleanup(func() { // after the rows, which run at once
		if n := len(x.up.Requests()); n != 0 {
			t.Errorf("%d cut messages reached the provider", n)
		}
	})
}

// TestPipelinedCallsAreAudited: two calls in one packet are two calls, answered in order,
// and the log has an intent and an outcome for each.
func TestPipelinedCallsAreAudited(t *testing.T) {
	t.Parallel()
	x := hostileTarget(t)
	refund := func(amount string, more ...string) string {
		body := "payment_intent=pi_1&amount=" + amount
		return x.message("POST /shop/api/payments/v1/refunds HTTP/1.1", append([]string{formType, "Content-Length: 30"}, more...)...) + body
	}
	replies, closed := x.send(refund("100") + refund("200", "Connection: close"))
	if len(replies) != 2 || replies[0].StatusCode != 200 || replies[1].StatusCode != 200 || !closed {
		t.Fatalf("%d replies, closed %v", len(replies), closed)
	}
	seen := x.up.Requests()
	if len(seen) != 2 || !strings.Contains(seen[0].Body, "amount=100") || !strings.Contains(seen[1].Body, "amount=200") {
		t.Errorf("the provider saw %+v", seen)
	}
	intents, outcomes := map[string]int{}, map[int]string{}
	for line := range strings.Lines(x.g.MustRun("", "audit", "show", "--json", "--operation", "create-refund")) {
		var entry struct {
			Kind, Operation, Request, Outcome string
			Seq, Intent                       int
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch {
		case entry.Kind == "intent" && entry.Operation == "create-refund":
			intents[entry.Request] = entry.Seq
		case entry.Kind == "outcome":
			outcomes[entry.Intent] = entry.Outcome
		}
	}
	for _, r := range replies {
		seq, ok := intents[r.Header.Get("Sallyport-Request-Id")]
		if len(intents) != 2 || !ok || outcomes[seq] != "performed" {
			t.Errorf("want an intent and an outcome for each: %v %v", intents, outcomes)
		}
	}
}
