package ingress

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/problem"
)

// TestRefusalsAreTold: what never becomes a call is told where it is worth an entry in the
// audit log, with the id that the reply carries; what a pipeline refuses tells itself.
func TestRefusalsAreTold(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []Refusal
	g := startGate(t, func(c *Config, _ *World) {
		c.Refused = func(_ context.Context, r Refusal) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, r)
		}
	})
	for _, row := range []struct {
		name, head string
		code       problem.Code
		site       string
	}{
		{"a target before net/http", "GET /api/payments/..%2f HTTP/1.1\r\nHost: gw.test\r\n\r\n", problem.BadTarget, ""},
		{"a claim without a key", "POST /receipts HTTP/1.1\r\nHost: gw.test\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", problem.Unauthenticated, "shop"},
		{"a claim by a page", "POST /receipts HTTP/1.1\r\nHost: gw.test\r\nOrigin: https://shop.example\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", problem.OriginRefused, "shop"},
		{"a name that is nobody's", "GET /nothing HTTP/1.1\r\nHost: evil.test\r\n\r\n", "", ""},
	} {
		mu.Lock()
		told = nil
		mu.Unlock()
		reply, id := rawReply(t, g.PublicAddr().String(), row.head)
		mu.Lock()
		got := told
		mu.Unlock()
		switch {
		case row.code == "" && len(got) != 0:
			t.Errorf("%s: told %+v", row.name, got)
		case row.code == "":
		case len(got) != 1 || got[0].Code != row.code || got[0].Request != id || !got[0].Client.IsLoopback():
			t.Errorf("%s: %s, id %s, told %+v", row.name, reply, id, got)
		case row.site != "" && got[0].Site == "":
			t.Errorf("%s: told without its site: %+v", row.name, got[0])
		}
	}
}

// rawReply sends bytes and gives the status line and the request id of the reply.
func rawReply(t *testing.T, addr, text string) (status, id string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, strings.Replace(text, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)); err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	status, rest, _ := strings.Cut(string(whole), "\r\n")
	for line := range strings.SplitSeq(rest, "\r\n") {
		if name, value, _ := strings.Cut(line, ":"); http.CanonicalHeaderKey(name) == "Sallyport-Request-Id" {
			id = strings.TrimSpace(value)
		}
	}
	return status, id
}
