package guard

import (
	"testing"
	"time"

	"sallyport/internal/ratelimit"
)

// unreached are the default rules with limits that a benchmark does not reach.
func unreached() Rules {
	r := Defaults()
	many := func(p *ratelimit.Rule) { p.Calls, p.Window = 1<<30, time.Second }
	for _, list := range [][]ratelimit.Rule{r.Cards.Attempts, r.Cards.Declines, r.Messages.Sends, r.Autocomplete.Searches} {
		for i := range list {
			many(&list[i])
		}
	}
	for _, one := range []*ratelimit.Rule{&r.Messages.PerNumber, &r.Messages.BackendPerNumber, &r.Messages.PerRange, &r.Messages.PerCountry} {
		many(one)
	}
	r.Messages.Countries, r.Messages.Run, r.Messages.Unanswered = []string{"DE"}, 1<<30, 1<<30
	return r
}

// BenchmarkSend is what the counts of messages do for one code to one of a million numbers,
// from one of a thousand visits.
func BenchmarkSend(b *testing.B) {
	book, r, i := New(nil), unreached().Messages, 0
	visits := make([]*Subject, 1000)
	for i := range visits {
		visits[i] = visit(i)
	}
	to := make([]Destination, 1<<14)
	for i := range to {
		to[i] = number(i * 7919 * 64 % 100_000_000)
	}
	b.ReportAllocs()
	for b.Loop() {
		i++
		s, d := visits[i%len(visits)], to[i%len(to):i%len(to)+1]
		now := noon.Add(time.Duration(i) * time.Millisecond)
		if v, _, err := book.Send(b.Context(), now, &r, s, d, true); err != nil || !v.Allowed {
			b.Fatal(v, err)
		}
		book.Sent(now, s, d, "")
	}
}

// BenchmarkAttempt is what the counts of cards do for one attempt to pay.
func BenchmarkAttempt(b *testing.B) {
	book, r, i := New(nil), unreached().Cards, 0
	visits := make([]*Subject, 1000)
	for i := range visits {
		visits[i] = visit(i)
	}
	b.ReportAllocs()
	for b.Loop() {
		i++
		if v, _, err := book.Attempt(b.Context(), noon.Add(time.Duration(i)*time.Millisecond), &r, visits[i%len(visits)]); err != nil || !v.Allowed {
			b.Fatal(v, err)
		}
	}
}
