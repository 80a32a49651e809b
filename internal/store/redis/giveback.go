package redis

import (
	"context"
	_ "embed"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"sallyport/internal/ratelimit"
)

//go:embed giveback.lua
var giveback string

// Return gives back what AllowAll took for checks, where the call was not made after all.
// While Redis is away it gives back what this node counted alone; what cannot be given back
// ends with its window. It never fails: it is a kindness, not a promise.
func (l *Limiter) Return(now time.Time, checks []ratelimit.Check) {
	var keys []string
	var args []any
	for _, c := range checks {
		if c.Rule.Calls < 1 || c.Rule.Window < 1 {
			continue
		}
		hash := c.Key.Bytes()
		keys, args = append(keys, l.server.name("l", hash[:])), append(args, strconv.FormatInt(c.Rule.Interval(), 10))
	}
	if len(keys) == 0 {
		return
	}
	err := l.server.ask(context.Background(), func(ctx context.Context) error {
		return redis.NewScript(giveback).Run(ctx, l.server.client, keys, args...).Err()
	})
	if err == nil {
		return
	}
	nodes := max(1, l.nodes())
	shares := append([]ratelimit.Check(nil), checks...)
	for i := range shares {
		shares[i].Rule = shares[i].Rule.Share(nodes)
	}
	l.local.Return(now, shares)
}
