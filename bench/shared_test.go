package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/ratelimit"
	"sallyport/internal/secret"
	"sallyport/internal/store/redis"
	"sallyport/test/servers"
)

// BenchmarkLimits is what the limits of one call cost (four rules, taken at once): counted in
// memory, and in a Redis on loopback, in turns. With Redis it is time that a call waits for,
// most of it for the network and for Redis: reported as medians of one caller and of 64.
func BenchmarkLimits(b *testing.B) {
	server := servers.StartRedis(b)
	shared, err := redis.Open(b.Context(), redis.Options{Address: server.Addr, Dial: (&net.Dialer{}).DialContext, Key: []byte(strings.Repeat("k", redis.KeySize)), Timeout: time.Second,
		Password: func(context.Context) (secret.Value, error) { return secret.NewValue([]byte(server.Password)), nil }})
	if err != nil {
		b.Fatal(err)
	}
	defer shared.Close()
	local := ratelimit.New(1 << 16)
	limiters := map[string]egress.Limiter{"memory": local, "redis": shared.Limiter(ratelimit.New(1<<10), func() int { return 1 })}
	for _, callers := range []int{1, 64} {
		took := map[string][]time.Duration{}
		for range 20 {
			for name, l := range limiters {
				took[name] = append(took[name], limitsOf(b, l, callers, 100)...)
			}
		}
		for name, all := range took {
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1e3, fmt.Sprintf("µs-%s-%d", name, callers))
			b.ReportMetric(float64(all[len(all)*99/100].Nanoseconds())/1e3, fmt.Sprintf("p99µs-%s-%d", name, callers))
		}
	}
	if _, err := shared.Away(); err != nil {
		b.Fatalf("Redis was away meanwhile: %v", err)
	}
}

// limitsOf takes the limits of each calls by each of so many callers, and how long each took.
func limitsOf(b *testing.B, l egress.Limiter, callers, each int) (took []time.Duration) {
	var mu sync.Mutex
	var work sync.WaitGroup
	for n := range callers {
		work.Go(func() {
			s := ratelimit.Subject{Site: "shop", Connection: "payments", Operation: "create-payment-intent", Session: fmt.Sprint(n), Client: netip.AddrFrom4([4]byte{10, 0, byte(n), 1})}
			own := make([]time.Duration, 0, each)
			for range each {
				began := time.Now()
				checks := make([]ratelimit.Check, 0, 4)
				for _, per := range []ratelimit.Per{ratelimit.PerSession, ratelimit.PerPrefix, ratelimit.PerOperation, ratelimit.PerSite} {
					checks = append(checks, l.Check(ratelimit.AtOperation, ratelimit.Rule{Calls: 1_000_000, Window: time.Second, Per: per}, &s))
				}
				if d, err := l.AllowAll(b.Context(), began, checks); err != nil || !d.Allowed {
					b.Errorf("%+v, %v", d, err)
				}
				own = append(own, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own...)
		})
	}
	work.Wait()
	return took
}
