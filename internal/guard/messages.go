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
		checks, of := make([]ratelimit.Check, 0, len(to)), b.subject(s)
		for _, d := range to {
			checks = append(checks, b.checkOf(of, "messages/backend", r.BackendPerNumber, d.key()))
		}
		v, err := b.takeAll(ctx, now, checks, func(int) Reason { return NumberFull })
		return v, Taken{checks: checks}, err
	}
	var freshBuf [8]bool
	var numberBuf [8]numbered
	fresh, numbers := freshBuf[:0], numberBuf[:0]
	for _, d := range to {
		if v := b.answers(now, r, s, d, coded); !v.Allowed {
			return v, Taken{}, nil
		}
		v, isNew, of := b.inOrder(now, r, s, d)
		if !v.Allowed {
			return v, Taken{}, nil
		}
		fresh, numbers = append(fresh, isNew), append(numbers, of)
	}
	var words [8]Reason
	checks := asked{words: words[:0]}
	b.sendChecks(&checks, r, s, to, fresh, coded)
	v, err := b.takeEach(ctx, now, checks.list, checks.words)
	if err != nil || !v.Allowed {
		return v, Taken{}, err
	}
	b.counted(numbers, fresh)
	taken := Taken{checks: checks.list}
	if coded {
		b.wait(now, s.Site, to)
		taken.site, taken.waiting = s.Site, to
	}
	return v, taken, nil
}

// asked are the counts of one call, and what is said where one of them refuses.
type asked struct {
	list  []ratelimit.Check
	words []Reason
}

// sendChecks adds the counts of messages to all of to. fresh says of which the block has yet
// to count them.
func (b *Book) sendChecks(out *asked, r *Messages, s *Subject, to []Destination, fresh []bool, coded bool) {
	out.list = make([]ratelimit.Check, 0, len(to)*(len(r.Sends)+3))
	of := b.subject(s)
	add := func(w Reason, what string, rule ratelimit.Rule, who string) {
		out.list, out.words = append(out.list, b.checkOf(of, what, rule, who)), append(out.words, w)
	}
	for i, d := range to {
		for _, rule := range r.Sends {
			word := Sends
			if rule.Per == ratelimit.PerPrefix {
				word = SendsNetwork
			}
			add(word, "messages/sends", rule, s.Visit)
		}
		add(NumberFull, "messages/number", r.PerNumber, d.key())
		if d.Number.Digits == "" {
			continue
		}
		if fresh[i] {
			add(RangeFull, "messages/range", r.PerRange, d.Number.Block(blockDigits))
		}
		if !coded {
			add(CountryFull, "messages/country", r.PerCountry, d.Number.Country)
		}
	}
}

// remembered is how long a number counts as a neighbour.
const remembered = time.Hour

// reach is how far apart numbers of a run may be.
const reach = 3

// inOrder refuses numbers that follow each other: people who sign up do not stand in a row.
// Two or three may: partners and families buy their cards together. isNew: the number's block
// has yet to count it; another message to the same number does not make its block fuller.
func (b *Book) inOrder(now time.Time, r *Messages, s *Subject, d Destination) (v Verdict, isNew bool, of numbered) {
	n, err := strconv.ParseUint(d.Number.Digits, 10, 64)
	if err != nil {
		return pass(), true, of
	}
	b.recent.mu.Lock()
	defer b.recent.mu.Unlock()
	at := b.near(s.Site, now)
	of = numbered{at: at, number: n}
	run, counted, known := at.find(n)
	if r.Run < 2 {
		return pass(), !counted, of
	}
	if !known {
		run = 1 + at.besides(n, -1) + at.besides(n, 1)
	}
	at.put(n, run, counted)
	if run >= r.Run {
		return refuse(NumbersInOrder, remembered), false, of
	}
	return pass(), !counted, of
}

// numbered is a number among those that are remembered; the zero value is none of them.
type numbered struct {
	at     near
	number uint64
}

// counted remembers that the blocks of the fresh ones of these numbers have counted them.
func (b *Book) counted(list []numbered, fresh []bool) {
	b.recent.mu.Lock()
	defer b.recent.mu.Unlock()
	for i, of := range list {
		if of.at.book != nil && fresh[i] {
			of.at.count(of.number)
		}
	}
}
