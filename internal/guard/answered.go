package guard

import (
	"time"
)

// answered counts, for one country of one site, codes that were sent and codes that were
// entered. A code is waited for ten to twenty minutes; then it counts as not entered.
type answered struct {
	turned  int64  // number of the present ten minutes
	waiting [2]int // sent in the present ten minutes, and in those before
	// sent and entered are of the codes that are no longer waited for. Both are halved every
	// hour, so that what was long ago weighs little.
	sent, entered float64
}

const (
	patience = 10 * time.Minute
	halflife = 6 // in turns of patience
)

func (a *answered) turn(now time.Time) {
	at := now.UnixNano() / int64(patience)
	for n := min(at-a.turned, 200); n > 0; n-- {
		a.sent += float64(a.waiting[1])
		a.waiting[1], a.waiting[0] = a.waiting[0], 0
		if (at-n+1)%halflife == 0 {
			a.sent, a.entered = a.sent/2, a.entered/2
		}
	}
	a.turned = max(a.turned, at)
}

// take takes one from those that wait, the oldest first.
func (a *answered) take() bool {
	for _, i := range []int{1, 0} {
		if a.waiting[i] > 0 {
			a.waiting[i]--
			return true
		}
	}
	return false
}

// patient is how many codes may wait: more where many were entered lately.
func (a *answered) patient(r *Messages) int { return max(r.Unanswered, int(a.entered/4)) }

// answers refuses a country in which nobody enters the codes. A visit that the site's
// backend or a login stands for is let through: an attack does not lock out customers.
func (b *Book) answers(now time.Time, r *Messages, s *Subject, d Destination, coded bool) Verdict {
	if !coded || s.Vouched || r.Unanswered < 1 || d.Number.Country == "" {
		return pass()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.countries[[2]string{s.Site, d.Number.Country}]
	if a == nil {
		return pass()
	}
	a.turn(now)
	next := time.Unix(0, (a.turned+1)*int64(patience)).Sub(now)
	switch {
	case a.waiting[0]+a.waiting[1] >= a.patient(r):
		b.site(s.Site).messagesHigh = now.Add(attackLasts)
		return refuse(Waiting, next)
	case a.sent >= float64(r.Unanswered) && a.entered < r.Conversion*a.sent:
		b.site(s.Site).messagesHigh = now.Add(attackLasts)
		return refuse(FewConversions, time.Hour)
	}
	return pass()
}

// wait counts codes as sent.
func (b *Book) wait(now time.Time, site string, to []Destination) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range to {
		if d.Number.Country == "" {
			continue
		}
		key := [2]string{site, d.Number.Country}
		a := b.countries[key]
		if a == nil {
			a = &answered{turned: now.UnixNano() / int64(patience)}
			b.countries[key] = a
		}
		a.turn(now)
		a.waiting[0]++
	}
}

// codeLives is how long a code can be entered.
const codeLives = time.Hour

// Sent remembers a code that was sent, under the number it went to and, if not empty, the
// provider's id of it.
func (b *Book) Sent(now time.Time, s *Subject, to []Destination, id string) {
	b.sent.mu.Lock()
	defer b.sent.mu.Unlock()
	for _, d := range to {
		if d.Number.Country == "" {
			continue
		}
		b.sent.put(b.hash("sent", s.Site, s.Connection, d.key()), now, d.Number.Country)
		if id != "" {
			b.sent.put(b.hash("id", s.Site, s.Connection, id), now, d.Number.Country)
		}
	}
}

// Entered learns that the code sent to a number, or under an id, was entered rightly. It
// counts once for each code.
func (b *Book) Entered(now time.Time, s *Subject, d Destination, id string) {
	for _, key := range []uint64{b.hash("sent", s.Site, s.Connection, d.key()), b.hash("id", s.Site, s.Connection, id)} {
		b.sent.mu.Lock()
		country, ok := b.sent.find(key, now, codeLives)
		b.sent.drop(key)
		b.sent.mu.Unlock()
		if !ok {
			continue
		}
		b.mu.Lock()
		if a := b.countries[[2]string{s.Site, country}]; a != nil {
			a.turn(now)
			if a.take() { // it came in time
				a.sent++
			}
			a.entered++
		}
		b.mu.Unlock()
		return
	}
}
