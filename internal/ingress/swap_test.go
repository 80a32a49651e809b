package ingress

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/egress"
)

// namedCaller answers with its world's name, and reports a call whose world changed.
type namedCaller struct{ name string }

func (c namedCaller) Call(_ context.Context, call *egress.Call) *egress.Answer {
	if _, err := call.ReadBody(10); err != nil {
		return &egress.Answer{Status: 500}
	}
	return &egress.Answer{Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(c.name + " " + call.Connection)}
}

// TestSwapUnderLoad: while worlds change, every request on kept connections gets a whole
// answer of one world: the one whose caller has the name of the world's only connection.
func TestSwapUnderLoad(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	world := func(name string) World {
		w := g.world
		w.Sites = testSites(t)
		w.Sites[0].Connections["payments"].Name = name
		w.Caller = namedCaller{name}
		w.Sites[0].Connections["payments"].ServedAt = []string{"pay.gw.test"}
		return w
	}
	swap(t, g, world("red"), true)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { load(t, g.PublicAddr().String(), stop) })
	}
	for i := range 100 {
		swap(t, g, world([]string{"red", "green", "blue"}[i%3]), true)
		time.Sleep(2 * time.Millisecond)
	}
	close(stop)
	all.Wait()
}

func load(t *testing.T, address string, stop chan struct{}) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for n := 0; ; n++ {
		select {
		case <-stop:
			if n == 0 {
				t.Error("no request was made")
			}
			return
		default:
		}
		io.WriteString(c, request("GET /v1 HTTP/1.1", "Host: pay.gw.test"))
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Error(err)
			return
		}
		body, _ := io.ReadAll(r.Body)
		caller, connection, _ := strings.Cut(string(body), " ")
		if r.StatusCode != 200 || caller != connection {
			t.Errorf("status %d, mixed worlds: %q", r.StatusCode, body)
			return
		}
	}
}
