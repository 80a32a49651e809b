package hashivault

import (
	"context"
	"errors"
	"net/http"
	"time"

	"sallyport/internal/secret"
)

const (
	// probeEvery is how often Vault is asked whether it answers and takes the token: an
	// outage is told of within twice that, and ended at most that after Vault is back.
	probeEvery = 4 * time.Second
	tickEvery  = 500 * time.Millisecond
	// retell is when a trouble that lasts is told of again, and quiet how long at least lies
	// between two reports of one that comes and goes.
	retell = 10 * time.Minute
	quiet  = time.Minute
)

// Trouble is something an operator should know.
type Trouble struct {
	Kind Kind
	Path string // of the secret that it is about; empty: all of Vault
	Text string
	Over bool // it has ended
}

// alarm is a trouble that was told of.
type alarm struct {
	kind   Kind
	active bool
	told   time.Time
}

// Run keeps secrets and the token fresh until ctx ends, and tells of trouble: when it
// begins, every ten minutes while it lasts, and when it is over.
func (s *Source) Run(ctx context.Context, tell func(Trouble)) {
	s.mu.Lock()
	s.runs = true
	s.mu.Unlock()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	var probed time.Time
	for {
		now := s.o.Now()
		s.keepToken(ctx, now)
		if now.Sub(probed) >= probeEvery || now.Before(probed) {
			s.probe(ctx)
			probed = now
		}
		s.keepFresh(s.o.Now())
		s.deliver(tell)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// keepToken renews the token when two thirds of its life are over.
func (s *Source) keepToken(ctx context.Context, now time.Time) {
	s.mu.Lock()
	due := !s.login.token.Empty() && !s.login.renewAt.IsZero() && !now.Before(s.login.renewAt)
	if due { // not again at the next tick, should this fail
		s.login.renewAt = now.Add(probeEvery)
	}
	s.mu.Unlock()
	if !due {
		return
	}
	if err := s.renewToken(ctx); err != nil && ctx.Err() == nil {
		s.trouble(err)
	}
}

// probe asks whether Vault answers and takes the token.
func (s *Source) probe(ctx context.Context) {
	token, err := s.token(ctx)
	if err == nil {
		err = s.ask(ctx, token)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.trouble(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.settle("") {
		return
	}
	for _, e := range s.entries { // Vault is back: what failed is asked for now
		e.nextTry = time.Time{}
	}
}

// ask looks at the token. A 403 may also mean that this token may not look at itself; then
// what Vault says of its own health has to do.
func (s *Source) ask(ctx context.Context, token secret.Value) error {
	s.mu.Lock()
	blind := s.login.noLookup
	s.mu.Unlock()
	if blind {
		_, err := s.send(ctx, token, request{path: "sys/health", query: map[string][]string{"standbyok": {"true"}, "perfstandbyok": {"true"}}, what: "its health"})
		return err
	}
	look := request{path: "auth/token/lookup-self", what: "the gate's token"}
	_, err := s.send(ctx, token, look)
	if !refusal(err, http.StatusForbidden) {
		return err
	}
	if !s.renewed(ctx, token) {
		return s.blindOrRefused(ctx, token)
	}
	if token, err = s.token(ctx); err != nil {
		return err
	}
	if _, err = s.send(ctx, token, look); refusal(err, http.StatusForbidden) {
		return s.blindOrRefused(ctx, token)
	}
	return err
}

// blindOrRefused tells a token that may not look at itself from one that Vault does not
// take: the first still reads a secret.
func (s *Source) blindOrRefused(ctx context.Context, token secret.Value) error {
	s.mu.Lock()
	var some *entry
	for _, e := range s.entries {
		if some == nil || e.used.After(some.used) {
			some = e
		}
	}
	s.mu.Unlock()
	if some != nil {
		if _, err := s.send(ctx, token, request{path: "sys/internal/ui/mounts/" + some.name.Path, what: "the gate's token"}); err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.login.noLookup = true
			return nil
		}
	}
	return s.tokenRefused()
}

func (s *Source) tokenRefused() *Failure {
	hint := "it has expired, was revoked, or lacks the policy \"default\""
	if s.o.Auth.Method == Token {
		hint += "; make another one and put it where secrets.vault.auth.token points: it is used at once, without a restart"
	}
	return &Failure{Kind: LoginFailed, Text: "Vault refuses the gate's token (403): " + hint}
}

// keepFresh asks for what is due, and forgets what nobody uses.
func (s *Source) keepFresh(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetUnused(now.Add(-keptUnused))
	for _, e := range s.entries {
		s.good(e, now)
		if e.flight == nil && !now.Before(e.ahead) && !now.Before(e.nextTry) {
			s.start(e, now)
		}
	}
}

// trouble tells of a failure of Vault as a whole.
func (s *Source) trouble(err error) {
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{Kind: Unusable, Text: err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring("", Trouble{Kind: f.Kind, Text: f.Text}, s.o.Now())
}

// report tells of a secret that could not be read; mu is held.
func (s *Source) report(e *entry, err error, now time.Time) {
	var f *Failure
	switch {
	case !errors.As(err, &f):
		f = &Failure{Kind: Unusable, Text: err.Error()}
	case f.everywhere():
		s.ring("", Trouble{Kind: f.Kind, Text: f.Text}, now)
		return
	}
	key := e.name.key()
	s.ring(key, Trouble{Kind: f.Kind, Path: key, Text: f.Text}, now)
}

// ring tells of a trouble, unless it was told of just now; mu is held.
func (s *Source) ring(key string, t Trouble, now time.Time) {
	if !s.runs {
		return
	}
	id := key + "\x00" + string(t.Kind)
	a := s.alarms[id]
	if a == nil {
		if len(s.alarms) >= 4*maxEntries {
			clear(s.alarms)
		}
		a = &alarm{kind: t.Kind}
		s.alarms[id] = a
	}
	since := now.Sub(a.told)
	if a.told.IsZero() || since < 0 || since >= retell || !a.active && since >= quiet {
		a.told = now
		s.hold(t)
	}
	a.active = true
}

// hold keeps a trouble for Run to tell; mu is held.
func (s *Source) hold(t Trouble) {
	if len(s.untold) < maxEntries {
		s.untold = append(s.untold, t)
	}
}

// deliver tells what is to be told.
func (s *Source) deliver(tell func(Trouble)) {
	s.mu.Lock()
	untold := s.untold
	s.untold = nil
	s.mu.Unlock()
	for _, t := range untold {
		tell(t)
	}
}

// settle tells that what was in trouble works again, and says whether it was; mu is held.
func (s *Source) settle(key string) bool {
	ended := false
	for id, a := range s.alarms {
		if !a.active || len(id) != len(key)+1+len(a.kind) || id[:len(key)] != key {
			continue
		}
		a.active, ended = false, true
		s.hold(Trouble{Kind: a.kind, Path: key, Over: true})
	}
	return ended
}
