package guard

import (
	"context"
	"fmt"
	"time"
	"unicode"

	"sallyport/internal/ratelimit"
)

// search is what a visitor types until a place is chosen: the calls that a provider bills together.
type search struct {
	token [16]byte
	began int64
}

// A search ends when nothing was typed for idle, and at the latest after longest.
const (
	idle    = 3 * time.Minute
	longest = 15 * time.Minute
)

// String is the token as providers recommend it: a UUID of version 4.
func (s search) String() string {
	t := s.token
	t[6], t[8] = t[6]&0x0f|0x40, t[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", t[:4], t[4:6], t[6:8], t[8:10], t[10:])
}

// Long reports whether enough was typed for a search.
func (r *Autocomplete) Long(input string) Verdict {
	if r.Mode == Off || characters(input) >= r.MinCharacters {
		return pass()
	}
	return refuse(ShortInput, 0)
}

// characters counts what was typed. A sign of the scripts that write a word with one or two
// counts for two.
func characters(s string) (n int) {
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
			n += 2
		case !unicode.IsSpace(r):
			n++
		}
	}
	return n
}

// Search gives the token of the visit's present search, and begins one where there is none.
// A visit has one search on each connection. The error is of the counts.
func (b *Book) Search(ctx context.Context, now time.Time, r *Autocomplete, s *Subject) (token string, v Verdict, err error) {
	key := b.hash("search", s.Site, s.Connection, s.Visit)
	if found, ok := b.present(key, now, true); ok {
		return found.String(), pass(), nil
	}
	v, err = pass(), nil
	if r.Mode != Off {
		v, err = b.takeAll(ctx, now, b.checks("autocomplete/searches", r.Searches, s, b.subject(s)), func(int) Reason { return Searches })
	}
	if err != nil || !v.Allowed && r.Mode == Enforce {
		return "", v, err
	}
	fresh := search{began: now.UnixNano()}
	b.random(fresh.token[:])
	b.searches.mu.Lock()
	defer b.searches.mu.Unlock()
	if found, ok := b.searches.find(key, now, idle); ok && now.UnixNano()-found.began < int64(longest) { // begun meanwhile
		return found.String(), v, nil
	}
	b.searches.put(key, now, fresh)
	return fresh.String(), v, nil
}

// present finds the visit's search. touch: something was typed.
func (b *Book) present(key uint64, now time.Time, touch bool) (search, bool) {
	b.searches.mu.Lock()
	defer b.searches.mu.Unlock()
	found, ok := b.searches.find(key, now, idle)
	if !ok || now.UnixNano()-found.began >= int64(longest) {
		return search{}, false
	}
	if touch {
		b.searches.put(key, now, found)
	}
	return found, true
}

// Choosing gives the token of the visit's search to the call that ends it, where one is open.
func (b *Book) Choosing(now time.Time, s *Subject) (token string, open bool) {
	found, ok := b.present(b.hash("search", s.Site, s.Connection, s.Visit), now, false)
	if !ok {
		return "", false
	}
	return found.String(), true
}

// Chosen ends the visit's search: the provider takes its token no more.
func (b *Book) Chosen(s *Subject) {
	b.searches.mu.Lock()
	defer b.searches.mu.Unlock()
	b.searches.drop(b.hash("search", s.Site, s.Connection, s.Visit))
}

var _ Counts = (*ratelimit.Limiter)(nil)
