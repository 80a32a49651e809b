package ingress

import "testing"

func TestCallReachesThePipeline(t *testing.T) {
	g := startGate(t)
	replies, _ := g.raw(request("GET /api/payments/v1/things?limit=3 HTTP/1.1", "Host: gw.test", "Authorization: Bearer k"))
	if len(replies) != 1 || replies[0].StatusCode != 200 || replies[0].body != `{"ok":true}` {
		t.Fatalf("got %v", replies)
	}
	c := g.caller.last()
	if c.Site != "shop" || c.Connection != "payments" || c.Path != "/v1/things" || c.RawQuery != "limit=3" || c.Method != "GET" {
		t.Errorf("call %+v", c)
	}
	if replies[0].Header.Get("Sallyport-Request-Id") != c.ID || c.ID == "" {
		t.Errorf("request id %q, call %q", replies[0].Header.Get("Sallyport-Request-Id"), c.ID)
	}
}
