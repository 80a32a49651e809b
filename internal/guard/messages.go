package guard

import (
	"context"
	"slices"
	"strconv"
	"time"

	"sallyport/internal/phone"
	"sallyport/internal/ratelimit"
)

// Destination is where a message goes. Number is set for telephone numbers, Address for
// e-mail addresses; neither for what could not be read.
type Destination struct {
	Number  phone.Number
	Address string
}

func (d Destination) key() string {
	if d.Number.Digits != "" {
		return d.Number.Digits
	}
	return "@" + d.Address
}

// Reaches decides whether a browser may send to d at all: no count is asked or changed.
func (r *Messages) Reaches(d Destination) Verdict {
	switch {
	case d.Number.Digits == "" && d.Address == "":
		return refuse(NoNumber, 0)
	case d.Number.Digits == "" && !r.Email:
		return refuse(WrongKind, 0)
	case d.Number.Digits == "":
		return pass()
	case !slices.Contains(r.Countries, d.Number.Country):
		return refuse(WrongCountry, 0)
	case !slices.Contains(r.Kinds, d.Number.Kind):
		return refuse(WrongKind, 0)
	}
	return pass()
}

// blockDigits is how much of a number is cut to find its block: 1,000 neighbours.
const blockDigits = 3

// Send decides about messages to all of to, by counts. coded: each carries a code that the
// visitor will enter through the gate, so that it shows whether codes are entered. A
// backend is held to what one number may get and to nothing else. The error is of the counts.
func (b *Book) Send(ctx context.Context, now time.Time, r *Messages, s *Subject, to []Destination, coded bool) (Verdict, Taken, error) {
	if r.Mode == Off {
		return pass(), Taken{}, nil
	}
	if s.Backend {
		var checks []ratelimit.Check
		for _, d := range to {
			checks = append(checks, b.check("messages/backend", r.BackendPerNumber, s, d.key()))
		}
		v, err := b.takeAll(ctx, now, checks, func(int) Reason { return NumberFull })
		return v, Taken{checks: checks}, err
	}
	for _, d := range to {
		if v := b.answers(now, r, s, d, coded); !v.Allowed {
			return v, Taken{}, nil
		}
		if v := b.inOrder(now, r, s, d); !v.Allowed {
			return v, Taken{}, nil
		}
	}
	checks, words := b.sendChecks(now, r, s, to, coded)
	v, err := b.takeAll(ctx, now, checks, func(i int) Reason { return words[i] })
	if err != nil || !v.Allowed {
		return v, Taken{}, err
	}
	b.counted(now, s.Site, to)
	taken := Taken{checks: checks, site: s.Site}
	if coded {
		taken.waiting = b.wait(now, s.Site, to)
	}
	return v, taken, nil
}

func (b *Book) sendChecks(now time.Time, r *Messages, s *Subject, to []Destination, coded bool) (checks []ratelimit.Check, words []Reason) {
	add := func(w Reason, c ratelimit.Check) { checks, words = append(checks, c), append(words, w) }
	for _, d := range to {
		for _, rule := range r.Sends {
			word := Sends
			if rule.Per == ratelimit.PerPrefix {
				word = SendsNetwork
			}
			add(word, b.check("messages/sends", rule, s, s.Visit))
		}
		add(NumberFull, b.check("messages/number", r.PerNumber, s, d.key()))
		if d.Number.Digits == "" {
			continue
		}
		if b.isNew(now, s.Site, d.Number.Digits) {
			add(RangeFull, b.check("messages/range", r.PerRange, s, d.Number.Block(blockDigits)))
		}
		if !coded {
			add(CountryFull, b.check("messages/country", r.PerCountry, s, d.Number.Country))
		}
	}
	return checks, words
}

// neighbour is a number that a message was asked for, with the length of the run that it
// stands in. counted: its block has counted it.
type neighbour struct {
	run     int
	counted bool
}

// remembered is how long a number counts as a neighbour.
const remembered = time.Hour

// reach is how far apart numbers of a run may be.
const reach = 3

// inOrder refuses numbers that follow each other: people who sign up do not stand in a row.
// Two or three may: partners and families buy their cards together.
func (b *Book) inOrder(now time.Time, r *Messages, s *Subject, d Destination) Verdict {
	n, err := strconv.ParseUint(d.Number.Digits, 10, 64)
	if err != nil || r.Run < 2 {
		return pass()
	}
	b.recent.mu.Lock()
	defer b.recent.mu.Unlock()
	key := b.hash("recent", s.Site, d.Number.Digits)
	own, known := b.recent.find(key, now, remembered)
	if !known {
		own.run = 1
		for _, side := range []uint64{^uint64(0), 1} { // minus one, plus one
			for step := uint64(1); step <= reach; step++ {
				if at, ok := b.recent.find(b.hash("recent", s.Site, strconv.FormatUint(n+side*step, 10)), now, remembered); ok {
					own.run += at.run
					break
				}
			}
		}
	}
	b.recent.put(key, now, own)
	if own.run >= r.Run {
		return refuse(NumbersInOrder, remembered)
	}
	return pass()
}

// isNew reports whether the number's block has yet to count it: another message to the same
// number does not make its block fuller.
func (b *Book) isNew(now time.Time, site, digits string) bool {
	b.recent.mu.Lock()
	defer b.recent.mu.Unlock()
	n, ok := b.recent.find(b.hash("recent", site, digits), now, remembered)
	return !ok || !n.counted
}

// counted remembers that the blocks of these numbers have counted them.
func (b *Book) counted(now time.Time, site string, to []Destination) {
	b.recent.mu.Lock()
	defer b.recent.mu.Unlock()
	for _, d := range to {
		if d.Number.Digits == "" {
			continue
		}
		key := b.hash("recent", site, d.Number.Digits)
		n, _ := b.recent.find(key, now, remembered)
		n.counted, n.run = true, max(n.run, 1)
		b.recent.put(key, now, n)
	}
}
