package challenge

import (
	"context"
	"net/netip"
	"time"

	"sallyport/internal/ratelimit"
)

// MaxLevel is the highest difficulty.
const MaxLevel = 3

// Difficulty is the largest number of a challenge of a level from 0 to MaxLevel; what lies
// outside counts as the nearest. On average half of it is tried. docs/formats/challenge.md
// has what that costs a visitor, as measured.
func Difficulty(level int) int64 {
	return [...]int64{50_000, 200_000, 800_000, 3_000_000}[min(max(level, 0), MaxLevel)]
}

// Meter counts challenges that are handed out, by the client's network on a site, and
// raises the difficulty for those who ask for many. An ordinary visit needs one challenge
// in a quarter of an hour, so the first step leaves room for a school or a mobile network
// behind one address. It is safe for concurrent use.
type Meter struct {
	Limiter Limiter
}

// Limiter is what a Meter counts with; *ratelimit.Limiter is one.
type Limiter interface {
	Check(level ratelimit.Level, r ratelimit.Rule, s *ratelimit.Subject) ratelimit.Check
	AllowAll(ctx context.Context, now time.Time, checks []ratelimit.Check) (ratelimit.Decision, error)
}

// steps are the counts of ten minutes above which a level begins.
func steps() []int { return []int{40, 160, 640} }

// Count counts one challenge and says which level the client's network has earned. A
// limiter that cannot be asked is a bad sign.
func (m *Meter) Count(ctx context.Context, now time.Time, siteName string, client netip.Addr) (level int) {
	names := [...]string{"challenge.1", "challenge.2", "challenge.3"}
	for i, calls := range steps() {
		subject := ratelimit.Subject{Site: siteName, Operation: names[i], Client: client}
		rule := ratelimit.Rule{Calls: calls, Window: 10 * time.Minute, Per: ratelimit.PerPrefix}
		check := []ratelimit.Check{m.Limiter.Check(ratelimit.AtOperation, rule, &subject)}
		if d, err := m.Limiter.AllowAll(ctx, now, check); err != nil || !d.Allowed {
			level = i + 1
		}
	}
	return level
}
