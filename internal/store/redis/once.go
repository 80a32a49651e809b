package redis

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"time"

	"sallyport/internal/problem"
)

// Once remembers what may be used once, for all nodes together. While Redis is away it
// refuses: what it cannot ask about counts as used. It implements challenge.Used.
type Once struct {
	server *Server
	now    func() time.Time
}

// Once makes the memory of a Server; now is the clock in which the ends are given.
func (s *Server) Once(now func() time.Time) *Once { return &Once{server: s, now: now} }

// keptLonger is how long an id is kept beyond its end: clocks of nodes may differ, and one
// that steps back must revive nothing.
const keptLonger = 5 * time.Minute

// Use marks id as used and says whether this was the first time. Of any number of calls
// with one id, on all nodes together, exactly one is told so.
func (o *Once) Use(ctx context.Context, id [32]byte, until time.Time) (first bool, err error) {
	m := hmac.New(sha256.New, o.server.o.Key)
	m.Write([]byte("once\x00"))
	m.Write(id[:])
	key := o.server.name("u", m.Sum(nil)[:16])
	life := max(until.Sub(o.now()), 0) + keptLonger
	err = o.server.ask(ctx, func(ctx context.Context) (err error) {
		first, err = o.server.client.SetNX(ctx, key, "1", life).Result()
		return err
	})
	if err != nil {
		p := problem.Wrap(fmt.Errorf("mark as used: %w", err), problem.StoreUnavailable, "it is not known whether this was used before")
		p.RetryAfter = time.Second
		return false, p
	}
	return first, nil
}
