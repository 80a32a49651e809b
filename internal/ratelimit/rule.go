// Package ratelimit decides how many calls may pass: GCRA per key, in bounded memory.
package ratelimit

import "time"

// Per is what a limit counts by.
type Per string

// The keys of a limit. Visit is a browser session; Prefix is the client's network
// (IPv4 /24, IPv6 /56), because a visit costs nothing to start again.
const (
	PerSession    Per = "session"
	PerPrefix     Per = "prefix"
	PerSite       Per = "site"
	PerOperation  Per = "operation"
	PerConnection Per = "connection"
)

// Rule is "Calls per Window per Per": 10 per minute per session. The zero Rule
// lets nothing pass.
type Rule struct {
	Calls  int
	Window time.Duration
	Per    Per
}
