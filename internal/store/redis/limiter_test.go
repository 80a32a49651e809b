package redis

import (
	"testing"

	"sallyport/internal/ratelimit/ratelimittest"
	"sallyport/test/servers"
)

func TestLimiter(t *testing.T) {
	server := servers.SharedRedis(t)
	ratelimittest.Run(t, func(t *testing.T) (a, b ratelimittest.Limiter) {
		key := newKey(t)
		return opening{server: server, key: key}.open(t).limiter(1), opening{server: server, key: key}.open(t).limiter(1)
	})
}
