package redis

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"sallyport/internal/ratelimit"
)

//go:embed gcra.lua
var gcra string

// Limiter counts in Redis, for all nodes together. While Redis is away it counts in this
// process, each rule divided by the number of live nodes (ratelimit.Rule.Share), so that
// all nodes together let no more pass than the rule says; what was counted in Redis just
// before is not known then, so that a rule can be used up once more per outage. It
// implements the limiters of egress and session.
type Limiter struct {
	server *Server
	local  *ratelimit.Limiter
	nodes  func() int
	script *redis.Script
}

// Limiter makes the limiter of a Server. local counts while Redis is away; nodes says how
// many nodes are live then.
func (s *Server) Limiter(local *ratelimit.Limiter, nodes func() int) *Limiter {
	return &Limiter{server: s, local: local, nodes: nodes, script: redis.NewScript(gcra)}
}

// Check makes the check of one rule that stands at level, for s. Its key is a keyed hash
// that all nodes share.
func (l *Limiter) Check(level ratelimit.Level, r ratelimit.Rule, s *ratelimit.Subject) ratelimit.Check {
	var buf [256]byte
	m := hmac.New(sha256.New, l.server.o.Key)
	m.Write(ratelimit.AppendName(append(buf[:0], "limit\x00"...), level, r, s))
	var sum [sha256.Size]byte
	return ratelimit.Check{Key: ratelimit.KeyOf([16]byte(m.Sum(sum[:0]))), Rule: r, Level: level}
}

// AllowAll takes a call from all checks or from none. The time is that of Redis; now counts
// only while Redis is away. Its only error is that ctx ended.
func (l *Limiter) AllowAll(ctx context.Context, now time.Time, checks []ratelimit.Check) (ratelimit.Decision, error) {
	if len(checks) == 0 {
		return ratelimit.Decision{Allowed: true}, nil
	}
	d, err := l.decide(ctx, checks, true)
	if err == nil || ctx.Err() != nil {
		return d, err
	}
	return l.alone(checks, func(shares []ratelimit.Check) (ratelimit.Decision, error) {
		return l.local.AllowAll(ctx, now, shares)
	})
}

// Peek decides about one check and takes nothing.
func (l *Limiter) Peek(ctx context.Context, now time.Time, c ratelimit.Check) (ratelimit.Decision, error) {
	checks := []ratelimit.Check{c}
	d, err := l.decide(ctx, checks, false)
	if err == nil || ctx.Err() != nil {
		return d, err
	}
	return l.alone(checks, func(shares []ratelimit.Check) (ratelimit.Decision, error) {
		return l.local.Peek(ctx, now, shares[0])
	})
}

// decide asks Redis.
func (l *Limiter) decide(ctx context.Context, checks []ratelimit.Check, take bool) (ratelimit.Decision, error) {
	keys := make([]string, len(checks))
	args := make([]any, 1, 1+2*len(checks))
	args[0] = "0"
	if take {
		args[0] = "1"
	}
	for i, c := range checks {
		if c.Rule.Calls < 1 || c.Rule.Window < 1 { // lets nothing pass, whoever counts
			return l.local.AllowAll(ctx, time.Time{}, checks[i:i+1])
		}
		hash := c.Key.Bytes()
		keys[i] = l.server.name("l", hash[:])
		args = append(args, strconv.FormatInt(c.Rule.Interval(), 10), strconv.Itoa(c.Rule.Calls))
	}
	var answer []int64
	err := l.server.ask(ctx, func(ctx context.Context) (err error) {
		answer, err = l.script.Run(ctx, l.server.client, keys, args...).Int64Slice()
		return err
	})
	if err != nil {
		return ratelimit.Decision{}, err
	}
	return read(answer, checks)
}

func read(answer []int64, checks []ratelimit.Check) (ratelimit.Decision, error) {
	if len(answer) != 5 || answer[1] < 0 || answer[1] >= int64(len(checks)) {
		return ratelimit.Decision{}, errors.New("ask redis: the script's answer cannot be read")
	}
	c := checks[answer[1]]
	return ratelimit.Decision{Allowed: answer[0] == 1, Rule: c.Rule, Level: c.Level, Limit: c.Rule.Calls,
		Remaining: int(answer[2]), RetryAfter: time.Duration(answer[3]), ResetAfter: time.Duration(answer[4])}, nil
}

// alone decides in this process about this node's share, and tells it in the words of the
// whole rule.
func (l *Limiter) alone(checks []ratelimit.Check, decide func([]ratelimit.Check) (ratelimit.Decision, error)) (ratelimit.Decision, error) {
	nodes := max(1, l.nodes())
	var room [8]ratelimit.Check
	shares := append(room[:0], checks...)
	for i := range shares {
		shares[i].Rule = shares[i].Rule.Share(nodes)
	}
	d, err := decide(shares)
	if err != nil {
		return d, fmt.Errorf("count alone: %w", err)
	}
	for i, s := range shares {
		if s.Rule == d.Rule && s.Level == d.Level {
			d.Rule = checks[i].Rule
			break
		}
	}
	return d, nil
}
