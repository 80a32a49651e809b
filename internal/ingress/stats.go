package ingress

import (
	"sync"
	"sync/atomic"

	"sallyport/internal/problem"
)

// counters are what happened since the start.
type counters struct {
	turnedAway, handshakes, floods, overdue, panics atomic.Int64

	mu    sync.Mutex
	codes map[problem.Code]int64 // bounded by the number of codes
}

// Stats are counts since the start, for metrics.
type Stats struct {
	Connections int   // open now, Tunnels included
	Tunnels     int   // open now on the SDK port
	InFlight    int64 // requests being handled now
	TurnedAway  int64 // connections over a bound
	Handshakes  int64 // TLS handshakes that failed
	Floods      int64 // HTTP/2 connections ended by the frame limiter
	Overdue     int64 // requests cut at the end of the drain time
	Panics      int64
	Refused     map[problem.Code]int64 // replies with a problem, by code
}

func (c *counters) count(code problem.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.codes == nil {
		c.codes = map[problem.Code]int64{}
	}
	c.codes[code]++
}

func (c *counters) flood() { c.floods.Add(1) }

// Stats takes the counts.
func (s *Server) Stats() Stats {
	c := &s.counts
	out := Stats{
		InFlight: s.inFlight.Load(), TurnedAway: c.turnedAway.Load(), Handshakes: c.handshakes.Load(),
		Floods: c.floods.Load(), Overdue: c.overdue.Load(), Panics: c.panics.Load(), Refused: map[problem.Code]int64{},
	}
	out.Tunnels = s.tunnels.count()
	out.Connections = s.door.count() + out.Tunnels
	c.mu.Lock()
	defer c.mu.Unlock()
	for code, n := range c.codes {
		out.Refused[code] = n
	}
	return out
}
