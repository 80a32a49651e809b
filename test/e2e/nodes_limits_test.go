package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"sallyport/test/harness"
	"sallyport/test/servers"
)

// TestTwoNodesKeepAProvidersLimit: callers push each of two nodes with three times what the
// catalog gives for one credential (25 a second); the provider counts itself, never has to
// say 429, and at least 90 % of what it allows is used. A machine that is busy with something
// else holds requests up: such a run says nothing, and is made again.
func TestTwoNodesKeepAProvidersLimit(t *testing.T) {
	const tries, seconds, limit = 5, 3, 25
	count := &counter{limit: limit, window: time.Second, begin: time.Now().Add(-time.Hour), answer: http.HandlerFunc(nodeAnswer)}
	c := newCluster(t, servers.SharedPostgres(t), count.ServeHTTP)
	nodes := []*harness.Gate{c.start(), c.start()}
	key := nodes[0].Key("shop")
	time.Sleep(4 * time.Second) // a node that came takes its share bit by bit
	for try := 1; ; try++ {
		stalled := stalls(t, nodes[0])
		held := pushNodes(t, nodes, key, seconds*time.Second, limit*3)
		stall := stalled()
		used, refused := count.reset()
		t.Logf("%d of %d calls used, %d refused by the provider, %d held back by the nodes; the machine stalled for %s", used, limit*seconds, refused, held, stall)
		switch {
		case refused == 0 && used*10 >= limit*seconds*9:
			if held == 0 {
				t.Error("nobody was held back: the callers did not push enough to mean anything")
			}
			return
		case stall < time.Second/50 || try == tries:
			t.Fatalf("%d of %d used, %d refused by the provider, in try %d", used, limit*seconds, refused, try)
		}
		time.Sleep(2 * time.Second)
	}
}

// pushNodes asks each node for rate calls a second, and counts those that were held back.
func pushNodes(t *testing.T, nodes []*harness.Gate, key string, long time.Duration, rate int) (held int) {
	var mu sync.Mutex
	var work sync.WaitGroup
	for began := time.Now(); time.Since(began) < long; time.Sleep(time.Second / time.Duration(rate)) {
		for _, g := range nodes {
			work.Go(func() {
				switch r := g.Do("POST", nodeIntents, "amount=1900&currency=eur", bearerHeader(key)); r.Status {
				case http.StatusOK:
				case http.StatusTooManyRequests, http.StatusServiceUnavailable:
					mu.Lock()
					held++
					mu.Unlock()
				default:
					t.Errorf("%d %s", r.Status, r.Body)
				}
			})
		}
	}
	work.Wait()
	return held
}

// reset gives what was counted within the pushed seconds, and begins anew.
func (c *counter) reset() (used, refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.arrivals {
		if at.Sub(c.arrivals[0]) < 3*time.Second {
			used++
		}
	}
	refused = c.refused
	c.arrivals, c.refused = nil, 0
	return used, refused
}
