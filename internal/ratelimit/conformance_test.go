package ratelimit_test

import (
	"testing"

	"sallyport/internal/ratelimit"
	"sallyport/internal/ratelimit/ratelimittest"
)

func TestMemory(t *testing.T) {
	ratelimittest.Run(t, func(*testing.T) (a, b ratelimittest.Limiter) {
		l := ratelimit.New(0)
		return l, l
	})
}
