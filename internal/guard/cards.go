package guard

import (
	"context"
	"time"

	"sallyport/internal/ratelimit"
)

// strictDeclines is what a session and a network have to spend under attack.
const strictDeclines = 2

// Attempt decides about an attempt to pay. What it took is to be given back if nothing was
// sent. A backend's attempts are its own affair. The error is of the counts.
func (b *Book) Attempt(ctx context.Context, now time.Time, r *Cards, s *Subject) (Verdict, Taken, error) {
	if s.Backend || r.Mode == Off {
		return pass(), Taken{}, nil
	}
	who := b.subject(s)
	v, err := b.declined(ctx, now, r, s, who)
	if err != nil || !v.Allowed {
		return v, Taken{}, err
	}
	checks := b.checks("cards/attempts", r.Attempts, s, who)
	v, err = b.takeAll(ctx, now, checks, func(i int) Reason {
		if r.Attempts[i].Per == ratelimit.PerPrefix {
			return AttemptsNetwork
		}
		return Attempts
	})
	if err != nil || !v.Allowed {
		return v, Taken{}, err
	}
	return v, Taken{checks: checks}, nil
}

// declined refuses who has had too many declines already.
func (b *Book) declined(ctx context.Context, now time.Time, r *Cards, s *Subject, who *ratelimit.Subject) (Verdict, error) {
	b.mu.Lock()
	high := b.site(s.Site).level(now, r) == High
	b.mu.Unlock()
	for _, rule := range r.Declines {
		v, err := b.spent(ctx, now, r, s, b.checkOf(who, "cards/declines", rule, s.Visit))
		if err != nil || !v.Allowed {
			b.stillAttacked(now, s.Site, high)
			return v, err
		}
		if !high {
			continue
		}
		if v, err = b.spent(ctx, now, r, s, b.checkOf(who, "cards/strict", strict(rule), s.Visit)); err != nil || !v.Allowed {
			b.stillAttacked(now, s.Site, true)
			v.Reason = UnderAttack
			return v, err
		}
	}
	return pass(), nil
}

// spent asks whether a session or a network has no declines left. A network with many
// customers has many declines: it is refused only where most of what is known of it is bad.
func (b *Book) spent(ctx context.Context, now time.Time, r *Cards, s *Subject, c ratelimit.Check) (Verdict, error) {
	rule := c.Rule
	d, err := b.counts.Peek(ctx, now, c)
	if err != nil || d.Allowed {
		return Verdict{Allowed: err == nil}, err
	}
	if rule.Per != ratelimit.PerPrefix {
		return refuse(Declines, d.RetryAfter), nil
	}
	b.networks.mu.Lock()
	t, _ := b.networks.find(b.networkKey(s.Site, s.Client), now, 2*rule.Window)
	b.networks.mu.Unlock()
	good, bad := t.sum(now, rule.Window)
	if float64(bad) < r.Share*float64(good+bad) {
		return pass(), nil
	}
	return refuse(DeclinesNetwork, d.RetryAfter), nil
}

func strict(r ratelimit.Rule) ratelimit.Rule {
	r.Calls = min(r.Calls, strictDeclines)
	return r
}

// stillAttacked keeps the level up while those who were found out go on.
func (b *Book) stillAttacked(now time.Time, site string, high bool) {
	if !high {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.site(site).cardsHigh = now.Add(attackLasts)
}

// Outcome learns how an attempt ended. once, if not empty, names the attempt at the
// provider: an outcome that is asked for again counts once a day. It says whether the
// site is under attack now and was not before. The error is of the counts.
func (b *Book) Outcome(ctx context.Context, now time.Time, r *Cards, s *Subject, declined bool, once string) (alarm bool, err error) {
	if s.Backend || r.Mode == Off {
		return false, nil
	}
	if once != "" {
		d, err := b.counts.AllowAll(ctx, now, []ratelimit.Check{b.check("cards/once", ratelimit.Rule{Calls: 1, Window: 24 * time.Hour}, s, once)})
		if err != nil || !d.Allowed {
			return false, err
		}
	}
	network := time.Hour
	for _, rule := range r.Declines {
		if rule.Per == ratelimit.PerPrefix {
			network = rule.Window
		}
		if !declined {
			continue
		}
		for _, c := range []ratelimit.Check{b.check("cards/declines", rule, s, s.Visit), b.check("cards/strict", strict(rule), s, s.Visit)} {
			if _, err := b.counts.AllowAll(ctx, now, []ratelimit.Check{c}); err != nil { // one by one: a full count must not save the others
				return false, err
			}
		}
	}
	b.networks.mu.Lock()
	key := b.networkKey(s.Site, s.Client)
	t, _ := b.networks.find(key, now, 2*network)
	t.add(now, network, declined)
	b.networks.put(key, now, t)
	b.networks.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	state := b.site(s.Site)
	before := state.level(now, r)
	state.cards.add(now, max(r.Alarm.Window, time.Second), declined)
	return before != High && state.level(now, r) == High, nil
}
