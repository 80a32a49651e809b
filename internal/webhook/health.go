package webhook

import (
	"context"
	"log/slog"
	"strconv"
	"time"
)

// remembered is how many of the last attempts the share of failures is of.
const remembered = 20

// levels are the shares of failures, in percent, at which operators are told.
var levels = []int{50, 70, 90, 100}

// tally is the last attempts at a destination, on this node.
type tally struct {
	failed [remembered]bool
	n      int // attempts so far
	level  int // the highest of levels that operators know of
}

// add counts an attempt, and says which level it reached for the first time since the share was
// below the lowest; 0: none.
func (t *tally) add(ok bool) int {
	t.failed[t.n%remembered] = !ok
	t.n++
	seen := min(t.n, remembered)
	if seen < remembered/4 {
		return 0 // too few to speak of a share
	}
	failures := 0
	for _, f := range t.failed[:seen] {
		if f {
			failures++
		}
	}
	share := failures * 100 / seen
	reached := 0
	for _, l := range levels {
		if share >= l {
			reached = l
		}
	}
	if reached < levels[0] {
		t.level = 0
		return 0
	}
	if reached <= t.level {
		return 0
	}
	t.level = reached
	return reached
}

// worksEvery is how often the store is told of a destination that works all the time.
const worksEvery = time.Minute

// tell records how a destination fares, and tells operators what they must know.
func (d *Dispatcher) tell(ctx context.Context, l *lane, to *Destination, j Job, out outcome, r Result) {
	ctx = context.WithoutCancel(ctx)
	d.line(ctx, to, j, out, r)
	alert := func(reason string) {
		d.alert(ctx, Alert{Reason: reason, Site: to.Site, Connection: to.Connection, Destination: to.Name})
	}
	now := d.now()
	d.mu.Lock()
	level := l.health.add(out.ok)
	report := !out.ok || l.failing || now.Sub(l.reported).Abs() >= worksEvery
	if report {
		l.failing, l.reported = !out.ok, now
	}
	d.mu.Unlock()
	if level > 0 {
		alert("failing-" + strconv.Itoa(level))
	}
	if r.State == Buried {
		alert("buried")
	}
	if out.gone {
		d.disable(ctx, l, to, "gone")
		alert("gone")
		return
	}
	if !report {
		return
	}
	h, err := d.queue.ReportHealth(ctx, to.Name, out.ok, now)
	if err != nil {
		d.log.Error("how a destination fares was not recorded", "name", to.Name, "error", err)
		return
	}
	if !out.ok && !h.FailingSince.IsZero() && now.Sub(h.FailingSince) >= disableAfter && h.Disabled.IsZero() {
		d.disable(ctx, l, to, "failing")
		alert("disabled")
	}
}

func (d *Dispatcher) line(ctx context.Context, to *Destination, j Job, out outcome, r Result) {
	level := slog.LevelInfo
	if !out.ok {
		level = slog.LevelWarn
	}
	d.log.Log(ctx, level, "delivery", "site", to.Site, "connection", to.Connection, "name", to.Name, "delivery", j.ID, "event", j.Of.ID,
		"attempt", j.Attempts+1, "status", out.status, "reason", out.reason, "state", r.State.String())
}

// disable stops a destination, until an operator enables it.
func (d *Dispatcher) disable(ctx context.Context, l *lane, to *Destination, reason string) {
	d.mu.Lock()
	l.disabled = true
	d.mu.Unlock()
	if err := d.queue.SetDisabled(ctx, to.Name, reason, d.now()); err != nil {
		d.log.Error("a destination could not be disabled", "name", to.Name, "error", err)
	}
}
