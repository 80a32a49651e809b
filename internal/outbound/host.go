package outbound

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
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

// RetryRule is what the provider documents about repeats. Retry-After is honoured
// wherever it comes.
type RetryRule struct {
	// Statuses that may be repeated for Safe and Keyed calls. 429 is always
	// understood as throttling and need not be listed.
	Statuses []int
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
	dialer    *Dialer
	address   string // host:port
	authority string // of the Host field
	path      string // before every call's path; no / at its end
	private   bool
	tls       *tls.Config
	timeouts  Timeouts
	limits    Limits
	retry     RetryRule
	capacity  Capacity

	pool     pool
	breaker  *breaker
	bulkhead *bulkhead
	budget   *budget
}

// NewHost checks the configuration; its error names every fault. It connects to nothing.
func NewHost(c HostConfig) (*Host, error) {
	h := &Host{dialer: c.Dialer, private: c.Private}
	var faults []error
	name, err := h.parseURL(c.URL)
	faults = append(faults, err)
	switch {
	case c.Dialer == nil:
		faults = append(faults, errors.New("a Dialer is needed"))
	case c.Dialer.policy != PolicyProvider:
		faults = append(faults, errors.New("the Dialer must have PolicyProvider"))
	}
	faults = append(faults, c.negative())
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("host %q: %w", c.URL, err)
	}
	h.timeouts, h.limits, h.retry, h.capacity = c.Timeouts.filled(), c.Limits.filled(), c.Retry.filled(), c.Capacity.filled()
	h.tls = secureTLS(name, c.Roots)
	h.breaker = newBreaker(c.Breaker.filled())
	h.bulkhead = newBulkhead(h.capacity)
	h.budget = &budget{}
	return h, nil
}

// parseURL takes a URL apart and gives the name that the certificate must be valid for.
func (h *Host) parseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("not a URL; write https://host[:port][/path]")
	}
	name, port := u.Hostname(), u.Port()
	switch {
	case u.Scheme != "https":
		return "", fmt.Errorf("found scheme %q; only https is spoken to a provider", u.Scheme)
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "", u.Opaque != "":
		return "", errors.New("found a user, query or fragment; write https://host[:port][/path]")
	case !isHostName(name):
		return "", fmt.Errorf("found host %q; write a lower-case ASCII name or an IP address", name)
	case strings.HasSuffix(u.Host, ":"):
		return "", errors.New("found a colon without a port")
	}
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
		return "", fmt.Errorf("found port %q; write a number from 1 to 65535", port)
	}
	h.path = strings.TrimSuffix(u.EscapedPath(), "/")
	for segment := range strings.SplitSeq(strings.TrimPrefix(h.path, "/"), "/") {
		if plain, err := url.PathUnescape(segment); err != nil || plain == "." || plain == ".." || segment == "" && h.path != "" {
			return "", fmt.Errorf("found path %q; it must have no empty or dot segments", h.path)
		}
	}
	h.authority = u.Host
	if port == "" {
		port = "443"
	}
	h.address = net.JoinHostPort(name, port)
	return name, nil
}

// isHostName reports whether s is an IP address or a lower-case DNS name that no
// resolver reads as a number.
func isHostName(s string) bool {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Zone() == ""
	}
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(s) <= 253 && (last[0] < '0' || last[0] > '9')
}

func (c HostConfig) negative() error {
	for _, d := range []time.Duration{c.Timeouts.Dial, c.Timeouts.TLS, c.Timeouts.Header, c.Timeouts.Idle, c.Timeouts.Total,
		c.Retry.Base, c.Retry.Cap, c.Capacity.Wait, c.Breaker.Window, c.Breaker.Probe} {
		if d < 0 {
			return fmt.Errorf("found the duration %s; durations are positive, and 0 means the default", d)
		}
	}
	for _, n := range []int64{c.Limits.Body, int64(c.Limits.HeaderBytes), int64(c.Limits.HeaderCount), int64(c.Retry.MaxAttempts),
		int64(c.Capacity.Concurrent), int64(c.Capacity.Queue), int64(c.Breaker.Least)} {
		if n < 0 {
			return fmt.Errorf("found the number %d; numbers are positive, and 0 means the default", n)
		}
	}
	if c.Breaker.Rate < 0 || c.Breaker.Rate > 1 {
		return fmt.Errorf("found the breaker rate %g; write a share from 0 to 1", c.Breaker.Rate)
	}
	return nil
}

func (t Timeouts) filled() Timeouts {
	return Timeouts{Dial: cmp.Or(t.Dial, 3*time.Second), TLS: cmp.Or(t.TLS, 3*time.Second), Header: cmp.Or(t.Header, 10*time.Second),
		Idle: cmp.Or(t.Idle, 10*time.Second), Total: cmp.Or(t.Total, 30*time.Second)}
}

func (l Limits) filled() Limits {
	return Limits{Body: cmp.Or(l.Body, 4<<20), HeaderBytes: cmp.Or(l.HeaderBytes, 64<<10), HeaderCount: cmp.Or(l.HeaderCount, 100)}
}

func (r RetryRule) filled() RetryRule {
	r.MaxAttempts = cmp.Or(r.MaxAttempts, 3)
	r.Base, r.Cap = cmp.Or(r.Base, 200*time.Millisecond), cmp.Or(r.Cap, 5*time.Second)
	return r
}

func (c Capacity) filled() Capacity {
	return Capacity{Concurrent: cmp.Or(c.Concurrent, 64), Queue: cmp.Or(c.Queue, 64), Wait: cmp.Or(c.Wait, 250*time.Millisecond)}
}

func (b Breaker) filled() Breaker {
	return Breaker{Rate: cmp.Or(b.Rate, 0.5), Least: cmp.Or(b.Least, 20), Window: cmp.Or(b.Window, 10*time.Second), Probe: cmp.Or(b.Probe, time.Second)}
}

// HeldBack tells for how long the breaker will let nothing through: 0 while the
// host is well or may be probed. It is for status pages and metrics.
func (h *Host) HeldBack() time.Duration { return h.breaker.closedFor() }

// Close drops the idle connections and keeps no new ones; calls in progress end by themselves.
func (h *Host) Close() { h.pool.close() }
