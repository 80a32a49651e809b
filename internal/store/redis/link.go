package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrAway is wrapped by what is asked while Redis is away.
var ErrAway = errors.New("redis is away")

const (
	// patience is how many questions in a row may fail before Redis counts as away: one
	// slow answer is no outage.
	patience = 2
	// probeEvery is how often a Redis that is away is tried.
	probeEvery = 250 * time.Millisecond
	// quiet is the least time between two alerts: a Redis that comes and goes is one trouble.
	quiet = time.Minute
)

// link is what is known of the connection as a whole.
type link struct {
	log    *slog.Logger
	away   atomic.Bool
	failed atomic.Int32 // questions in a row without an answer

	mu      sync.Mutex
	since   time.Time
	reason  error
	alerted time.Time
	silent  int // outages since the last alert that were not told
}

// heard notes that Redis would do what is asked of it again.
func (l *link) heard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed.Store(0)
	if !l.away.Swap(false) {
		return
	}
	l.log.Warn("redis answers again: limits are shared between the nodes", "name", "shared_state", "duration_ms", time.Since(l.since).Milliseconds())
}

// missed notes that no answer came.
func (l *link) missed(err error) {
	if l.failed.Add(1) >= patience || refused(err) {
		l.lost(err)
	}
}

// lost notes that Redis is away, and tells the operator.
func (l *link) lost(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reason = told(err)
	if l.away.Swap(true) {
		return
	}
	l.since = time.Now()
	if !l.alerted.IsZero() && time.Since(l.alerted) < quiet {
		l.silent++
		return
	}
	l.log.Error("alert", "name", "shared_state", "reason", "redis is away: each node counts its share of the limits itself, and what may be used once is refused",
		"count", l.silent+1, "error", l.reason)
	l.alerted, l.silent = time.Now(), 0
}

// Away says since when Redis has been away and why; a nil error means that it answers.
func (s *Server) Away() (since time.Time, reason error) {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	if !s.link.away.Load() {
		return time.Time{}, nil
	}
	return s.link.since, fmt.Errorf("%w: %w", ErrAway, s.link.reason)
}

// ask runs one question within the time of one. A refusal or a failure is a miss.
func (s *Server) ask(ctx context.Context, question func(ctx context.Context) error) error {
	if s.link.away.Load() {
		return ErrAway
	}
	limited, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	err := question(limited)
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		if s.link.failed.Load() != 0 && !s.link.away.Load() {
			s.link.failed.Store(0)
		}
		return err
	case ctx.Err() != nil: // the caller left; that says nothing of Redis
		return fmt.Errorf("ask redis: %w", ctx.Err())
	}
	s.link.missed(err)
	return fmt.Errorf("ask redis: %w", told(err))
}

// Run tries a Redis that is away until it answers again, until ctx ends; it returns nil.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !s.link.away.Load() {
			continue
		}
		if err := s.probe(ctx); err == nil {
			s.link.heard()
		} else if ctx.Err() == nil {
			s.link.lost(err)
		}
	}
}

// refused says whether Redis answered, and will not do what is asked.
func refused(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}

// lasting says whether waiting will not help: somebody has to change something.
func lasting(err error) bool {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	if errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &cert) || errors.As(err, &record) {
		return true
	}
	text := err.Error()
	for _, sign := range []string{"NOAUTH", "WRONGPASS", "NOPERM", "READONLY", "ERR invalid DB", "ERR DB index", "ERR unknown command", "invalid password", "can't parse", "MOVED"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// told says in the operator's words what Redis means.
func told(err error) error {
	text := err.Error()
	for sign, words := range map[string]string{
		"NOAUTH":           "it asks for a password, and none is given; write shared_state: {url: …, password: env:NAME}",
		"WRONGPASS":        "it refuses the user or the password",
		"invalid password": "it refuses the password",
		"NOPERM":           "its user may not do what is asked: scripts, and keys that begin with sallyport:",
		"READONLY":         "it is a replica that takes no writes; name the primary",
		"OOM command":      "its memory is full",
		"MISCONF":          "it takes no writes because it cannot write to its disk",
		"LOADING":          "it is still loading its data",
		"MOVED":            "it is a Redis Cluster, which is not supported; name a single server",
		"can't parse":      "what answers there is not Redis",
		"DB index":         "it has no database of that number",
	} {
		if strings.Contains(text, sign) {
			return fmt.Errorf("%s (%w)", words, err)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("it did not answer in time (%w)", err)
	}
	return err
}
