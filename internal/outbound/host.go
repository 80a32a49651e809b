package outbound

import (
	"crypto/x509"
	"time"
)

// Timeouts bound the phases of one attempt, and Total the whole of Do with its
// waits and repeats. A zero field takes the default given beside it.
type Timeouts struct {
	Dial   time.Duration // 3 s: name look-up and TCP
	TLS    time.Duration // 3 s: handshake
	Header time.Duration // 10 s: from the last byte of the request to the end of the response's head
	Idle   time.Duration // 10 s: between two reads of the body, or two writes
	Total  time.Duration // 30 s
}

// Limits bound what comes back. A zero field takes the default given beside it.
type Limits struct {
	Body        int64 // 4 MiB after decoding
	HeaderBytes int   // 64 KiB, interim responses included
	HeaderCount int   // 100 fields
}

// RetryRule is what the provider documents about repeats.
type RetryRule struct {
	// Statuses that may be repeated for Safe and Keyed calls. 429 is always
	// understood as throttling and need not be listed.
	Statuses []int
	// RetryAfter: the provider sends Retry-After, and it is honoured.
	RetryAfter bool
	// ThrottledIsUnprocessed: what was throttled was documented not to be
	// processed, so that even a Never call may be repeated.
	ThrottledIsUnprocessed bool
	// Header, if set, is a response field whose "true" or "false" decides:
	// Stripe-Should-Retry.
	Header string
	// MaxAttempts counts the first; 0 means 3, 1 means no repeat.
	MaxAttempts int
	// Base is the first backoff's bound, doubled each time up to Cap. Full jitter:
	// each wait is drawn evenly from zero to the bound. Defaults 200 ms and 5 s.
	Base, Cap time.Duration
}

// Capacity bounds concurrent attempts on one host. A zero field takes the default.
type Capacity struct {
	Concurrent int           // 64 attempts at once
	Queue      int           // 64 more may wait
	Wait       time.Duration // 250 ms, each at most
}

// Breaker says when calls to a failing host are held back. Failures are attempts
// that ended without a well-formed answer below 500. A zero field takes the default.
type Breaker struct {
	Rate   float64       // 0.5: share of failures in Window that opens it
	Least  int           // 20: attempts in Window before Rate counts
	Window time.Duration // 10 s
	Probe  time.Duration // 1 s: one attempt is let through per Probe while open
}

// HostConfig is one host of a provider.
type HostConfig struct {
	// URL is https://host[:port][/path]; nothing else is accepted.
	URL    string
	Dialer *Dialer // of PolicyProvider
	// Roots verify the host's certificate; nil: the system's.
	Roots *x509.CertPool
	// Private lets this host, and only it, lie on a loopback or private address:
	// a named upstream for tests, staging or a mirror.
	Private  bool
	Timeouts Timeouts
	Limits   Limits
	Retry    RetryRule
	Capacity Capacity
	Breaker  Breaker
}

// Host is one host of a provider: connections, breaker, bulkhead and retry budget.
// It is safe for concurrent use and is shared by all connections that use the host
// with the same settings.
type Host struct {
	config HostConfig
}
