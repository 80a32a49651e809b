package webhook

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// usualPoll is how often due deliveries are looked for that nobody woke the dispatcher for:
	// retries, and what other nodes took in.
	usualPoll = time.Second
	// lookAgain is how often it is asked which destinations are disabled.
	lookAgain = 10 * time.Second
	// disableAfter is how long a destination fails before nothing is sent to it any more.
	disableAfter = 5 * 24 * time.Hour
	// drain is how long attempts under way may go on when the gate stops.
	drain = 10 * time.Second
)

// Alert tells operators of a destination.
type Alert struct {
	// Reason is failing-50, -70, -90, -100 (percent of the last attempts), buried, gone or
	// disabled.
	Reason      string
	Site        string
	Connection  string
	Destination string
}

// Dispatcher delivers what is queued. Set, Wake and Run are safe for concurrent use; Run runs
// once. Several nodes may dispatch from one store.
type Dispatcher struct {
	queue  Queue
	sealer Sealer
	alert  func(context.Context, Alert)
	log    *slog.Logger
	now    func() time.Time
	holder string
	poll   time.Duration

	mu      sync.Mutex
	lanes   map[string]*lane
	running context.Context // nil before Run and after its end
	busy    sync.WaitGroup
}

// lane is a destination with what is known of it on this node. Its fields are guarded by the
// Dispatcher's mu.
type lane struct {
	to       *Destination
	attempts int  // under way
	pumping  bool // somebody claims for it
	again    bool // and is to look again
	disabled bool
	next     time.Time // when the next attempt may begin
	health   *tally
	reported time.Time // when the store was last told that it works
	failing  bool
}

// Options are what a Dispatcher needs.
type Options struct {
	Queue  Queue
	Sealer Sealer
	Alert  func(context.Context, Alert)
	Log    *slog.Logger
	Now    func() time.Time
	// Poll is how often due deliveries are looked for; 0: every second.
	Poll time.Duration
}

// NewDispatcher makes a Dispatcher without destinations.
func NewDispatcher(o Options) *Dispatcher {
	return &Dispatcher{poll: cmp.Or(o.Poll, usualPoll), queue: o.Queue, sealer: o.Sealer, alert: o.Alert, log: o.Log, now: o.Now, holder: newID(), lanes: map[string]*lane{}}
}

// Set makes destinations those of a configuration. Attempts under way end as they began.
func (d *Dispatcher) Set(destinations []*Destination) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := make(map[string]*lane, len(destinations))
	for _, to := range destinations {
		l := d.lanes[to.Name]
		if l == nil {
			l = &lane{health: &tally{}}
		}
		l.to = to
		now[to.Name] = l
	}
	d.lanes = now
}

// Wake looks for due deliveries of destinations at once. It does not block.
func (d *Dispatcher) Wake(names ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range names {
		d.pump(d.lanes[name])
	}
}

// Run delivers until ctx ends, and waits a bounded time for attempts under way. What is cut off
// is attempted again, with the same id.
func (d *Dispatcher) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	d.mu.Lock()
	d.running = work
	d.mu.Unlock()
	tick := time.NewTicker(d.poll)
	defer tick.Stop()
	var looked time.Time
	for ctx.Err() == nil {
		if now := d.now(); now.Sub(looked).Abs() >= lookAgain {
			looked = now
			d.look(ctx)
		}
		d.sweep(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	d.mu.Lock()
	d.running = nil
	d.mu.Unlock()
	cut := time.AfterFunc(drain, stop)
	defer cut.Stop()
	d.busy.Wait()
	return nil
}

// look finds out which destinations are disabled.
func (d *Dispatcher) look(ctx context.Context) {
	all, err := d.queue.Healths(ctx)
	if err != nil {
		if ctx.Err() == nil {
			d.log.Error("it is not known which destinations are disabled", "error", err)
		}
		return
	}
	disabled := map[string]bool{}
	for _, h := range all {
		disabled[h.Destination] = !h.Disabled.IsZero()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, l := range d.lanes {
		l.disabled = disabled[name]
	}
}

// sweep wakes the destinations for which something is due.
func (d *Dispatcher) sweep(ctx context.Context) {
	d.mu.Lock()
	names := make([]string, 0, len(d.lanes))
	for name, l := range d.lanes {
		if !l.disabled && l.attempts < l.most() {
			names = append(names, name)
		}
	}
	d.mu.Unlock()
	if len(names) == 0 {
		return
	}
	due, err := d.queue.DueDestinations(ctx, names, d.now())
	if err != nil {
		if ctx.Err() == nil {
			d.log.Error("deliveries cannot be looked for", "error", err)
		}
		return
	}
	d.Wake(due...)
}

func (l *lane) most() int {
	switch {
	case l.to.Every > 0:
		return 1 // one after the other, at its rate
	case l.to.AtOnce > 0:
		return l.to.AtOnce
	}
	return 8
}

// pump has somebody claim for a lane, if nobody does. mu is held.
func (d *Dispatcher) pump(l *lane) {
	if l == nil || d.running == nil || l.disabled {
		return
	}
	if l.pumping {
		l.again = true
		return
	}
	l.pumping = true
	d.busy.Go(func() { d.claim(d.running, l) })
}

// claim takes deliveries of a lane as long as there are any and there is room.
func (d *Dispatcher) claim(ctx context.Context, l *lane) {
	for {
		d.mu.Lock()
		room, wait, to := l.most()-l.attempts, l.next.Sub(d.now()), l.to
		if d.running == nil || l.disabled || room <= 0 || ctx.Err() != nil {
			l.pumping = false
			d.mu.Unlock()
			return
		}
		l.again = false
		d.mu.Unlock()
		if wait > 0 {
			pause(ctx, min(wait, d.poll))
			continue
		}
		jobs, err := d.queue.ClaimDeliveries(ctx, Claim{Destination: to.Name, Holder: d.holder, For: claimTime, Limit: room}, d.now())
		if err != nil && ctx.Err() == nil {
			d.log.Error("deliveries cannot be claimed", "name", to.Name, "error", err)
		}
		if !d.begin(ctx, l, to, jobs) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// begin starts the attempts of claimed deliveries, and reports whether to claim more.
func (d *Dispatcher) begin(ctx context.Context, l *lane, to *Destination, jobs []Job) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, j := range jobs {
		l.attempts++
		l.next = d.now().Add(to.Every)
		d.busy.Go(func() {
			d.deliver(ctx, l, to, j)
			d.mu.Lock()
			defer d.mu.Unlock()
			l.attempts--
			d.pump(l)
		})
	}
	if len(jobs) == 0 && !l.again {
		l.pumping = false
		return false
	}
	return true
}

// deliver makes an attempt and records it.
func (d *Dispatcher) deliver(ctx context.Context, l *lane, to *Destination, j Job) {
	out := d.attempt(ctx, to, j)
	if ctx.Err() != nil && !out.ok {
		return // the gate stops: the claim lapses
	}
	now := d.now()
	r := Result{Status: out.status, Reason: out.reason}
	n := j.Attempts + 1
	switch {
	case out.ok:
		r.State = Done
	case out.gone || n >= attempts:
		r.State = Buried
	default:
		r.State, r.Due = Waiting, after(n, out.asked, now)
	}
	kept, err := d.queue.FinishDelivery(context.WithoutCancel(ctx), j.ID, d.holder, r, now)
	if err != nil {
		d.log.Error("an attempt was not recorded; it will be made again", "name", to.Name, "delivery", j.ID, "error", err)
		return
	}
	if kept {
		d.tell(ctx, l, to, j, out, r)
	}
}

func (d *Dispatcher) attempt(ctx context.Context, to *Destination, j Job) outcome {
	packed, err := d.sealer.Open(ctx, j.Of.Site, purpose(j.Of.ID), j.Of.Sealed)
	if err != nil {
		d.log.Error("a stored event does not open", "name", to.Name, "event", j.Of.ID, "error", err)
		return outcome{reason: "sealed"}
	}
	r, err := unpack(packed)
	if err != nil {
		d.log.Error("a stored event cannot be read", "name", to.Name, "event", j.Of.ID, "error", err)
		return outcome{reason: "sealed"}
	}
	return to.send(ctx, r, j, d.now())
}
