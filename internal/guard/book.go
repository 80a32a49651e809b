package guard

import (
	"context"
	"crypto/rand"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"sallyport/internal/ratelimit"
)

// Counts are the hard limits' counts; *ratelimit.Limiter is one, and what nodes share is another.
type Counts interface {
	Check(level ratelimit.Level, r ratelimit.Rule, s *ratelimit.Subject) ratelimit.Check
	AllowAll(ctx context.Context, now time.Time, checks []ratelimit.Check) (ratelimit.Decision, error)
	Peek(ctx context.Context, now time.Time, c ratelimit.Check) (ratelimit.Decision, error)
}

// returner is a Counts that takes a call back.
type returner interface {
	Return(now time.Time, checks []ratelimit.Check)
}

// Entries is how many hard counts a Book of New(nil) remembers at once: about 3 MiB of
// address space, of which only what was asked for is ever backed by memory.
const Entries = 1 << 17

// Book is what the guards remember. It outlives reloads: rules are given with each
// question. The zero Book is not usable; see New.
type Book struct {
	counts   Counts
	seed     maphash.Seed
	networks *table[tally]  // outcomes of cards by network
	recent   *table[eight]  // numbers that got a message within the hour
	sent     *table[string] // codes that wait, by number and by id → country
	searches *table[search]
	random   func([]byte)

	mu        sync.Mutex
	sites     map[string]*siteState
	countries map[[2]string]*answered // site, country
}

// New makes a Book. counts keeps the hard limits; nil means counts of its own, so that who
// floods other limits moves nothing here.
func New(counts Counts) *Book {
	if counts == nil {
		counts = ratelimit.New(Entries)
	}
	return &Book{counts: counts, seed: maphash.MakeSeed(), networks: newTable[tally](1 << 12), recent: newTable[eight](1 << 13),
		sent: newTable[string](1 << 14), searches: newTable[search](1 << 13),
		random: func(b []byte) { _, _ = rand.Read(b) }, // never fails, says its documentation
		sites:  map[string]*siteState{}, countries: map[[2]string]*answered{}}
}

// Taken is what a call took from the counts, to be given back where it was not made.
type Taken struct {
	checks  []ratelimit.Check
	site    string
	waiting []Destination // that codes were to be sent to
}

// GiveBack undoes what a call took that was never sent: somebody whose provider was down
// is not refused for it later.
func (b *Book) GiveBack(now time.Time, t Taken) {
	if r, ok := b.counts.(returner); ok && len(t.checks) > 0 {
		r.Return(now, t.checks)
	}
	b.Unsent(now, t)
}

// Unsent says that no message was sent for t: no code is waited for.
func (b *Book) Unsent(now time.Time, t Taken) {
	if len(t.waiting) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range t.waiting {
		if a := b.countries[[2]string{t.site, d.Number.Country}]; a != nil {
			a.turn(now)
			a.take()
		}
	}
}

// check is a rule asked for something of a guard: an address, a number, a block. What stands
// in of is only ever hashed, under the key of the counts.
func (b *Book) check(what string, r ratelimit.Rule, s *Subject, of string) ratelimit.Check {
	return b.checkOf(b.subject(s), what, r, of)
}

// subject is who is counted; checkOf writes the rest of it. A call makes one for all its checks.
func (b *Book) subject(s *Subject) *ratelimit.Subject {
	return &ratelimit.Subject{Site: s.Site, Connection: "guard", Client: s.Client}
}

func (b *Book) checkOf(who *ratelimit.Subject, what string, r ratelimit.Rule, of string) ratelimit.Check {
	who.Operation, who.Session = what, of
	if r.Per == "" {
		r.Per = ratelimit.PerSession
	}
	return b.counts.Check(ratelimit.AtOperation, r, who)
}

// checks are rules by session and by network.
func (b *Book) checks(what string, rules []ratelimit.Rule, s *Subject, who *ratelimit.Subject) []ratelimit.Check {
	to := make([]ratelimit.Check, 0, len(rules))
	for _, r := range rules {
		to = append(to, b.checkOf(who, what, r, s.Visit))
	}
	return to
}

// takeAll takes all checks or none, and says which one refused. word names the reason of a
// check by its place.
func (b *Book) takeAll(ctx context.Context, now time.Time, checks []ratelimit.Check, word func(i int) Reason) (Verdict, error) {
	d, err := b.counts.AllowAll(ctx, now, checks)
	if err != nil || d.Allowed {
		return Verdict{Allowed: err == nil}, err
	}
	return b.whichRefused(ctx, now, checks, d, word), nil
}

// takeEach is takeAll with a reason for each check.
func (b *Book) takeEach(ctx context.Context, now time.Time, checks []ratelimit.Check, words []Reason) (Verdict, error) {
	d, err := b.counts.AllowAll(ctx, now, checks)
	if err != nil || d.Allowed {
		return Verdict{Allowed: err == nil}, err
	}
	return b.whichRefused(ctx, now, checks, d, func(i int) Reason { return words[i] }), nil
}

// whichRefused finds the check that refused.
func (b *Book) whichRefused(ctx context.Context, now time.Time, checks []ratelimit.Check, d ratelimit.Decision, word func(i int) Reason) Verdict {
	for i, c := range checks {
		if one, err := b.counts.Peek(ctx, now, c); err == nil && !one.Allowed {
			return refuse(word(i), one.RetryAfter)
		}
	}
	return refuse(word(0), d.RetryAfter) // two of the same number in one call
}

// hash is the key of a table: of the guard's name, the site and what is counted.
func (b *Book) hash(parts ...string) uint64 {
	var buf [192]byte
	text := buf[:0]
	for _, p := range parts {
		text = append(append(text, p...), 0)
	}
	return maphash.Bytes(b.seed, text)
}

func (b *Book) networkKey(site string, client netip.Addr) uint64 {
	raw := ratelimit.Prefix(client).Addr().As16()
	return b.hash("network", site, string(raw[:]))
}

// siteState is what is known of a site as a whole.
type siteState struct {
	cards tally
	// high is until when the site counts as attacked, whatever the counts say since.
	cardsHigh, messagesHigh time.Time
}

// attackLasts is how long a site counts as attacked after the last sign.
const attackLasts = 30 * time.Minute

// site gives the state of a site; b.mu is held.
func (b *Book) site(name string) *siteState {
	s := b.sites[name]
	if s == nil {
		s = &siteState{}
		b.sites[name] = s
	}
	return s
}

// Level is how bad the signs are on a site at the moment.
func (b *Book) Level(now time.Time, site string, r *Rules) Level {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sites[site]
	if s == nil {
		return Calm
	}
	if now.Before(s.messagesHigh) && r.Messages.Mode != Off {
		return High
	}
	return s.level(now, &r.Cards)
}

// level is that of the cards.
func (s *siteState) level(now time.Time, r *Cards) Level {
	if r.Mode == Off || r.Alarm.Calls < 1 {
		return Calm
	}
	if now.Before(s.cardsHigh) {
		return High
	}
	good, bad := s.cards.sum(now, r.Alarm.Window)
	switch {
	case float64(bad) < r.Share*float64(good+bad):
		return Calm
	case bad >= r.Alarm.Calls:
		s.cardsHigh = now.Add(attackLasts)
		return High
	case bad*2 >= r.Alarm.Calls:
		return Raised
	}
	return Calm
}
