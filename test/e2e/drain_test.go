package e2e

import (
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sallyport/test/harness"
)

// A call in progress when the gate is told to end is finished, repeats included: what the
// checks of a call ask for is there until the last one has ended.
func TestCallsInProgressEndWell(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	begun := make(chan struct{})
	slow := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			close(begun)
			time.Sleep(6 * time.Second) // longer than an answer of what is frozen counts
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answerWell(w, r)
	}))
	g, key := twoProviders(t, slow.URL, string(slow.CA))
	answered := make(chan harness.Reply, 1)
	go func() { answered <- payOver(g, key, "bad") }()
	<-begun
	g.Signal(syscall.SIGTERM)
	if r := <-answered; r.Status != http.StatusOK || calls.Load() != 2 {
		t.Errorf("the call ended with status %d after %d attempts: %s", r.Status, calls.Load(), r.Body)
	}
}
