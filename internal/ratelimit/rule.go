// Package ratelimit decides how many calls may pass: GCRA per key, in bounded memory.
//
// It guarantees that in any span of time d a key passes at most Calls + d/(Window/Calls)
// calls (the burst, then the steady rate), whatever other keys do: the table has a fixed
// size, and an entry that is pushed out leaves its debt behind, so that pushing entries
// out never buys a call (table.go). Several rules are taken together or not at all.
//
// It keeps no address and no session id: keys are hashes under a seed that dies with the
// process. It does not know where rules stand (site, config) and writes no response.
package ratelimit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Per is what a limit counts by.
type Per string

// The keys of a limit. Session is a browser session; Prefix is the client's network
// (IPv4 /24, IPv6 /56), because a visit costs nothing to start again.
const (
	PerSession    Per = "session"
	PerPrefix     Per = "prefix"
	PerSite       Per = "site"
	PerOperation  Per = "operation"
	PerConnection Per = "connection"
)

// Rule is "Calls per Window per Per": 10 per minute per session. Calls is also the
// burst. The zero Rule lets nothing pass.
type Rule struct {
	Calls  int
	Window time.Duration
	Per    Per
}

// The bounds of a rule that ParseRule accepts.
const (
	maxCalls  = 1_000_000
	maxWindow = 31 * 24 * time.Hour
)

const ruleExample = "write for instance: 10 per minute per session"

type unit struct {
	name string
	size time.Duration
}

// units are the spans that a rule is written in, longest first.
func units() [4]unit {
	return [4]unit{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}}
}

// ParseRule reads "CALLS per [N] UNIT per KEY", for instance "10 per minute per session"
// or "300 per 5 minutes per site". Its error says what was found and what to write.
func ParseRule(s string) (Rule, error) {
	parts := strings.Split(strings.Join(strings.Fields(s), " "), " per ")
	if len(parts) != 3 {
		return Rule{}, fmt.Errorf("%q is not a limit: it needs a number, a span and what to count by; %s", s, ruleExample)
	}
	calls, err := strconv.Atoi(parts[0])
	if err != nil || calls < 1 || calls > maxCalls || parts[0] != strconv.Itoa(calls) {
		return Rule{}, fmt.Errorf("%q begins with %q; a limit begins with a whole number from 1 to %d; %s", s, parts[0], maxCalls, ruleExample)
	}
	window, err := parseWindow(parts[1])
	if err != nil {
		return Rule{}, fmt.Errorf("%q: %w; %s", s, err, ruleExample)
	}
	per := Per(parts[2])
	switch per {
	case PerSession, PerPrefix, PerSite, PerOperation, PerConnection:
	default:
		return Rule{}, fmt.Errorf("%q counts by %q; write session, prefix, site, operation or connection", s, parts[2])
	}
	return Rule{Calls: calls, Window: window, Per: per}, nil
}

func parseWindow(s string) (time.Duration, error) {
	count, name, n := "1", s, 1
	if before, after, ok := strings.Cut(s, " "); ok {
		count, name = before, after
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > int(maxWindow/time.Second) {
		return 0, fmt.Errorf("the span %q has no whole number of units from 1", s)
	}
	for _, u := range units() {
		if name != u.name && name != u.name+"s" {
			continue
		}
		if w := time.Duration(n) * u.size; w <= maxWindow {
			return w, nil
		}
		return 0, fmt.Errorf("the span %q is longer than 31 days", s)
	}
	return 0, fmt.Errorf("the span %q is not one of second, minute, hour, day", s)
}

// String is the rule as ParseRule reads it.
func (r Rule) String() string {
	for _, u := range units() {
		if r.Window < u.size || r.Window%u.size != 0 {
			continue
		}
		if n := r.Window / u.size; n > 1 {
			return fmt.Sprintf("%d per %d %ss per %s", r.Calls, n, u.name, r.Per)
		}
		return fmt.Sprintf("%d per %s per %s", r.Calls, u.name, r.Per)
	}
	return fmt.Sprintf("%d per %s per %s", r.Calls, r.Window, r.Per)
}

// interval is the time that one call costs, rounded up so that rounding never grants more.
func (r Rule) interval() int64 {
	return (int64(r.Window) + int64(r.Calls) - 1) / int64(r.Calls)
}

// Interval is what one call costs, in nanoseconds, for what counts elsewhere; the rule must
// let something pass.
func (r Rule) Interval() int64 { return r.interval() }

// Share is what one of several nodes may let pass of the rule where each counts for itself:
// at most the rule's rate over all nodes together. Its burst is at least one call, so that
// nodes that outnumber the rule's calls pass one call each at first.
func (r Rule) Share(nodes int) Rule {
	if nodes <= 1 || r.passesNothing() {
		return r
	}
	calls := max(1, r.Calls/nodes)
	window := min(r.interval(), int64(math.MaxInt64)/int64(nodes)) * int64(nodes)
	r.Window, r.Calls = time.Duration(min(window, int64(math.MaxInt64)/int64(calls))*int64(calls)), calls
	return r
}

func (r Rule) passesNothing() bool { return r.Calls < 1 || r.Window < 1 }
