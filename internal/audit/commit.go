package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sallyport/internal/problem"
)

// retrySpace is how often a full disk is tried again.
const retrySpace = 250 * time.Millisecond

// refusal says why an intent cannot be taken now. l.mu is held.
func (l *Log) refusal() error {
	switch {
	case l.err != nil:
		return unavailable(l.err)
	case l.closing:
		return unavailable(errors.New("the audit log is closed"))
	case l.full:
		return unavailable(errors.New("the audit log's disk is full"))
	case uint64(l.durable-min(l.inTree, l.durable)) > l.opt.MaxBacklog:
		return unavailable(fmt.Errorf("%d entries wait for the Merkle log", l.durable-l.inTree))
	case len(l.open) >= maxOpen:
		return unavailable(fmt.Errorf("%d intents have no outcome yet", len(l.open)))
	}
	return nil
}

// enqueue gives e its number and its place in the next group.
func (l *Log) enqueue(e *Entry) (*group, ID, error) {
	e.Time = l.opt.Now().UTC().Round(0)
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Kind == KindIntent {
		if err := l.refusal(); err != nil {
			return nil, 0, err
		}
	}
	g, err := l.enqueueLocked(e)
	if err != nil {
		return nil, 0, err
	}
	if e.Kind == KindIntent {
		l.open[e.Seq] = opened{site: e.Site, at: e.Time}
	}
	return g, e.Seq, nil
}

func (l *Log) enqueueLocked(e *Entry) (*group, error) {
	switch {
	case l.err != nil:
		return nil, unavailable(l.err)
	case l.closing:
		return nil, unavailable(errors.New("the audit log is closed"))
	case l.waiting >= maxWaiting && e.Kind != KindOutcome || l.waiting >= maxWaiting+maxOpen:
		return nil, unavailable(fmt.Errorf("%d entries wait for the disk", l.waiting))
	}
	e.Seq = l.next
	l.next++
	l.waiting++
	var g *group
	if n := len(l.queue); n > 0 && len(l.queue[n-1].entries) < maxGroup {
		g = l.queue[n-1]
	} else {
		g = &group{first: e.Seq, done: make(chan struct{})}
		l.queue = append(l.queue, g)
	}
	g.entries = append(g.entries, e)
	poke(l.wake)
	return g, nil
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// await blocks until g is on disk, for at most opt.Wait.
func (l *Log) await(ctx context.Context, g *group) error {
	select {
	case <-g.done: // no timer for what is done already
		return g.err
	default:
	}
	timer := time.NewTimer(l.opt.Wait)
	defer timer.Stop()
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return unavailable(fmt.Errorf("wait for the audit log's disk: %w", ctx.Err()))
	case <-timer.C:
		return unavailable(fmt.Errorf("the audit log's disk did not answer within %s", l.opt.Wait))
	}
}

// abandon closes an intent whose caller was told to send nothing.
func (l *Log) abandon(id ID) {
	_ = l.conclude(id, &Entry{Outcome: "not_sent", Reason: "abandoned"})
}

func (l *Log) conclude(id ID, e *Entry) error {
	if err := e.checkTokens(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.concludeLocked(id, e)
}

func (l *Log) concludeLocked(id ID, e *Entry) error {
	of, ok := l.open[id]
	if !ok {
		return fmt.Errorf("audit outcome: entry %d is not an intent that waits for one", id)
	}
	e.Kind, e.Site, e.Intent, e.Time = KindOutcome, of.site, &id, l.opt.Now().UTC().Round(0)
	if _, err := l.enqueueLocked(e); err != nil {
		return err
	}
	delete(l.open, id)
	return nil
}

// closeStale closes intents that nobody concluded within maxAge: no call lives so long.
func (l *Log) closeStale() {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.opt.Now().Add(-maxAge)
	for id, o := range l.open {
		if o.at.Before(limit) {
			_ = l.concludeLocked(id, &Entry{Outcome: string(problem.Unknown), Reason: "expired"})
		}
	}
}

// commitLoop writes one group after another. It is the only writer of the log.
func (l *Log) commitLoop() {
	defer close(l.stopTree)
	for {
		if g := l.take(); g != nil {
			l.commit(g)
			continue
		}
		select {
		case <-l.wake:
		case <-l.spaceTimer():
			l.regainSpace()
		case <-l.stop:
			for g := l.take(); g != nil; g = l.take() {
				l.commit(g)
			}
			return
		}
	}
}

// spaceTimer fires when a full disk should be tried again; never on a healthy one.
func (l *Log) spaceTimer() <-chan time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.full {
		return nil
	}
	return time.After(retrySpace)
}

func (l *Log) take() *group {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return nil
	}
	g := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	return g
}

// commit makes g durable and tells who waits for it.
func (l *Log) commit(g *group) {
	err := l.poisoned()
	if err == nil {
		err = l.write(g)
	}
	l.mu.Lock()
	l.waiting -= len(g.entries)
	if err == nil {
		l.durable = g.first + ID(len(g.entries))
		poke(l.moved)
	} else if l.err == nil {
		l.err = err
		l.opt.Logger.Error("audit log poisoned: no intent is accepted until a restart", "error", err)
	}
	l.mu.Unlock()
	if err != nil {
		g.err = unavailable(err)
	}
	close(g.done)
}

func (l *Log) poisoned() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// write appends g and syncs it. A full disk is waited for, with the same bytes at
// the same place: nothing was synced, so nothing can be lost. A failed fsync is final.
func (l *Log) write(g *group) error {
	payloads := make([][]byte, len(g.entries))
	for i, e := range g.entries {
		p, err := e.encode()
		if err != nil {
			return err
		}
		payloads[i] = p
	}
	for {
		err := l.wal.append(g.first, payloads)
		if err == nil {
			return nil
		}
		if !noSpace(err) {
			return fmt.Errorf("write audit entries from %d: %w", g.first, err)
		}
		if !l.surviveFull() {
			return fmt.Errorf("write audit entries from %d: %w", g.first, err)
		}
	}
}

// surviveFull gives the reserve up, or waits. It reports false when the log closes.
func (l *Log) surviveFull() bool {
	l.mu.Lock()
	first := !l.full
	l.full = true
	l.mu.Unlock()
	if first {
		l.opt.Logger.Error("the audit log's disk is full: intents are refused until there is space")
	}
	if l.wal.releaseReserve() {
		return true
	}
	select {
	case <-l.stop:
		return false
	case <-time.After(retrySpace):
		return true
	}
}

// regainSpace accepts intents again once the reserve could be made again.
func (l *Log) regainSpace() {
	if err := l.wal.makeReserve(); err != nil {
		if !noSpace(err) {
			l.opt.Logger.Error("make the audit log's reserve", "error", err)
		}
		return
	}
	l.mu.Lock()
	l.full = false
	l.mu.Unlock()
	l.opt.Logger.Info("the audit log's disk has space again")
}
