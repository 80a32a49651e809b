package egress

import (
	"context"
	"sync"
	"time"

	"sallyport/internal/audit"
)

// Alert is something that an operator should look at: a guard that sees an attack, a
// budget that runs out. All texts are names of our own, of a-z, 0-9, "-", "_" and "/":
// they stand in the log and in the audit log.
type Alert struct {
	// Source says who alerts: "cards", "messages", "budget".
	Source string
	// Reason says why in a word: "declines", "country", "soft".
	Reason     string
	Site       string
	Connection string
	Operation  string
	// Observed: the call was let through, because the guard only observes.
	Observed bool
}

// Alerts tells operators; *Bell is one. It may be called for every refused call: who
// implements it keeps repeats apart. It does not fail a call.
type Alerts interface {
	Alert(ctx context.Context, a Alert)
}

// Quiet is how long a Bell stays silent about a source, a reason and a site that it has told of.
const Quiet = 10 * time.Minute

// maxRings bounds what a Bell remembers. Sources and reasons are few and sites are those
// of the file, so that only a very large file comes near it.
const maxRings = 4096

// Bell tells of an alert once in Quiet for each source, reason and site: one line of the
// log and one audit event. What was held back is counted in the next line. It is safe for
// concurrent use and outlives reloads.
type Bell struct {
	audit Audit
	line  func(ctx context.Context, a Alert, before int)
	now   func() time.Time

	mu    sync.Mutex
	rings map[ringKey]*ring
}

type ringKey struct {
	source, reason, site string
	observed             bool
}

type ring struct {
	at   time.Time
	held int
}

// NewBell makes a Bell. line writes the line of the log; before is how many alerts of the
// same kind were held back since the last line.
func NewBell(log Audit, line func(ctx context.Context, a Alert, before int), now func() time.Time) *Bell {
	return &Bell{audit: log, line: line, now: now, rings: map[ringKey]*ring{}}
}

// Alert implements Alerts.
func (b *Bell) Alert(ctx context.Context, a Alert) {
	before, tell := b.take(ringKey{a.Source, a.Reason, a.Site, a.Observed})
	if !tell {
		return
	}
	b.tell(context.WithoutCancel(ctx), a, before)
}

// Tell tells of an alert that is known to be the only one of its kind: nothing is held back.
func (b *Bell) Tell(ctx context.Context, a Alert) {
	b.tell(context.WithoutCancel(ctx), a, 0)
}

func (b *Bell) tell(ctx context.Context, a Alert, before int) {
	b.line(ctx, a, before)
	// An audit log that takes nothing tells so itself, and refuses calls with effects.
	_ = b.audit.Record(ctx, audit.Event{Kind: audit.KindAlert, Site: a.Site, Connection: a.Connection,
		Operation: a.Operation, Name: a.Source + "/" + a.Reason})
}

// take says whether to tell now, and how many alerts were held back before.
func (b *Bell) take(k ringKey) (before int, tell bool) {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rings[k]
	if r == nil {
		if len(b.rings) >= maxRings {
			b.forget(now)
		}
		b.rings[k] = &ring{at: now}
		return 0, true
	}
	if age := now.Sub(r.at); age >= 0 && age < Quiet {
		r.held++
		return 0, false
	}
	before = r.held
	r.at, r.held = now, 0
	return before, true
}

// forget drops what was told long ago, and all of it where nothing was.
func (b *Bell) forget(now time.Time) {
	for k, r := range b.rings {
		if now.Sub(r.at) >= Quiet {
			delete(b.rings, k)
		}
	}
	if len(b.rings) >= maxRings {
		clear(b.rings)
	}
}

// alert tells of something, where anybody listens.
func (g *Gate) alert(ctx context.Context, a Alert) {
	if g.deps.Alerts != nil {
		g.deps.Alerts.Alert(ctx, a)
	}
}
