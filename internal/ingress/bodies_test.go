package ingress

import (
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Large bodies that arrive slowly have a bounded part of the memory; small ones and those
// that come when it is free again pass.
func TestLargeBodiesShareTheirRoom(t *testing.T) {
	t.Parallel()
	g := startGate(t, func(c *Config, _ *World) {
		c.Limits.Bodies, c.Limits.BodyIdle = 200<<10, 3*time.Second
	})
	post := func(body string) int {
		t.Helper()
		replies, _ := g.raw(request("POST /api/payments/x HTTP/1.1", hostH, "Content-Type: application/json", "Content-Length: "+strconv.Itoa(len(body)), "Connection: close") + body)
		if len(replies) != 1 {
			t.Fatalf("%d replies", len(replies))
		}
		return replies[0].StatusCode
	}
	large := strings.Repeat("x", 100<<10)
	if got := post(large); got != 200 {
		t.Fatalf("a large body with all the room: %d", got)
	}
	slow, err := net.Dial("tcp", g.PublicAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	head := request("POST /api/payments/x HTTP/1.1", hostH, "Content-Type: application/json", "Content-Length: "+strconv.Itoa(len(large)))
	if _, err := io.WriteString(slow, head+large[:90<<10]); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Second); g.bodies.Load() < 90<<10 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := post(large); got != 503 {
		t.Errorf("a large body beside a slow one: %d, want 503", got)
	}
	if got := post("{}" + strings.Repeat(" ", 4<<10)); got != 200 {
		t.Errorf("a small body beside a slow one: %d", got)
	}
	slow.Close()
	for end := time.Now().Add(2 * time.Second); g.bodies.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := post(large); got != 200 || g.bodies.Load() != 0 {
		t.Errorf("a large body when there is room again: %d; %d bytes are held", got, g.bodies.Load())
	}
}
