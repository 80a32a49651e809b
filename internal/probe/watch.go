package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Result is the last that a schedule found of a connection's credential.
type Result struct {
	Site, Connection string
	Finding          Finding
	Note             string
	// At is when the provider was last asked, Since when this was first found.
	At, Since time.Time
}

// Claim asks for the right to probe a connection.
type Claim struct {
	Site, Connection string
	// Now is the time of who asks. Granted is only what was last asked at or before Before.
	Now, Before time.Time
	// For is how long nobody else gets it, unless a result is saved.
	For time.Duration
}

// Store keeps results and lets one of several nodes probe. Its methods are safe for concurrent
// use, from several processes too.
type Store interface {
	// ClaimProbe reports whether the claim is granted.
	ClaimProbe(ctx context.Context, c Claim) (bool, error)
	// SaveProbe stores a result and ends its claim.
	SaveProbe(ctx context.Context, r Result) error
	// ListProbes lists the results by site and connection; claims without a result are none.
	ListProbes(ctx context.Context) ([]Result, error)
}

// Target is one connection whose credential can be asked about without costs.
type Target struct{ Site, Connection string }

const (
	// claimFor is longer than one question with its waits takes.
	claimFor = 2 * time.Minute
	askFor   = time.Minute
	// sooner is when a credential that did not work is asked about again.
	sooner = time.Hour
)

// Watch asks about credentials on a schedule. All fields are required; none changes after Run.
type Watch struct {
	Store Store
	// Targets lists what is asked about at present; Every is the schedule, 0: nobody is asked.
	Targets func() []Target
	Every   func() time.Duration
	// Ask asks one provider.
	Ask func(ctx context.Context, t Target) (Finding, string)
	// Alert hears when a credential ceases to work, and when it works again.
	Alert func(ctx context.Context, r Result)
	Now   func() time.Time
	Log   *slog.Logger
}

// Run looks every few minutes what is due, until ctx ends. Nodes look at random moments, so
// that they do not all claim at once.
func (w *Watch) Run(ctx context.Context) error {
	for {
		wait := time.NewTimer(2*time.Minute + rand.N(2*time.Minute))
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
		if err := w.Round(ctx); err != nil && ctx.Err() == nil {
			w.Log.ErrorContext(ctx, "the schedule of probes could not go on", "error", err)
		}
	}
}

// Round asks about everything that is due and that no other node is asking about.
func (w *Watch) Round(ctx context.Context) error {
	every := w.Every()
	if every <= 0 {
		return nil
	}
	list, err := w.Store.ListProbes(ctx)
	if err != nil {
		return err
	}
	known := map[Target]Result{}
	for _, r := range list {
		known[Target{r.Site, r.Connection}] = r
	}
	var faults []error
	for _, t := range w.Targets() {
		if ctx.Err() != nil {
			break
		}
		if err := w.one(ctx, t, known[t], every); err != nil {
			faults = append(faults, fmt.Errorf("probe %s/%s: %w", t.Site, t.Connection, err))
		}
	}
	return errors.Join(faults...)
}

func (w *Watch) one(ctx context.Context, t Target, last Result, every time.Duration) error {
	if last.Finding != "" && last.Finding != Works {
		every = min(every, sooner)
	}
	// A tenth earlier or later, so that all connections of an account are not asked about at once.
	now := w.Now()
	before := now.Add(-every + every/10 - rand.N(every/5))
	if last.At.After(before) && !last.At.After(now.Add(claimFor)) {
		return nil
	}
	granted, err := w.Store.ClaimProbe(ctx, Claim{Site: t.Site, Connection: t.Connection, Now: now, Before: before, For: claimFor})
	if err != nil || !granted {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	r := Result{Site: t.Site, Connection: t.Connection, Since: last.Since}
	r.Finding, r.Note = w.Ask(asking, t)
	if ctx.Err() != nil {
		return nil // the gate stops: what was found is of that, and the claim ends by itself
	}
	r.At = w.Now()
	changed := r.Finding != last.Finding
	if changed {
		r.Since = r.At
	}
	if err := w.Store.SaveProbe(ctx, r); err != nil {
		return err
	}
	if changed && (last.Finding != "" || r.Finding != Works) {
		w.Alert(ctx, r)
	}
	return nil
}
