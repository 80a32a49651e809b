package audit

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"sallyport/internal/problem"
)

// Filter says which entries Show hands out. Empty fields do not filter. Show counts an
// outcome to the site, connection, operation, request and visit of its intent, where that
// is not before From.
type Filter struct {
	From, To   ID // sequence numbers; To 0 means no end
	Since      time.Time
	Until      time.Time
	Kind       Kind
	Site       string
	Connection string
	Operation  string
	Request    string
	Outcome    problem.Outcome
	// Visit and Actor are keyed hashes; see Pseudonym.
	Visit string
	Actor string
}

// Match reports whether e passes by what stands in itself.
func (f Filter) Match(e *Entry) bool {
	same := func(want, got string) bool { return want == "" || want == got }
	return e.Seq >= f.From && (f.To == 0 || e.Seq < f.To) &&
		(f.Since.IsZero() || !e.Time.Before(f.Since)) && (f.Until.IsZero() || e.Time.Before(f.Until)) &&
		same(string(f.Kind), string(e.Kind)) && same(f.Site, e.Site) && same(f.Connection, e.Connection) &&
		same(f.Operation, e.Operation) && same(f.Request, e.Request) && same(string(f.Outcome), e.Outcome) &&
		same(f.Visit, e.Visit) && same(f.Actor, e.Actor)
}

// narrows reports whether f asks for one caller, site or call. An outcome names none of
// them: it belongs to whom its intent belongs to.
func (f Filter) narrows() bool {
	return f.Site != "" || f.Connection != "" || f.Operation != "" || f.Request != "" || f.Visit != "" || f.Actor != ""
}

// matcher is a Filter that remembers the intents whose outcomes belong to what it asks for.
type matcher struct {
	who, what Filter // the filter in its two halves: whom it is about, and the rest
	both      Filter
	open      map[ID]bool // intents of whom it is about, until their outcome
}

func newMatcher(f Filter) *matcher {
	what := f
	what.Site, what.Connection, what.Operation, what.Request, what.Visit, what.Actor = "", "", "", "", "", ""
	who := Filter{Site: f.Site, Connection: f.Connection, Operation: f.Operation, Request: f.Request, Visit: f.Visit, Actor: f.Actor}
	return &matcher{who: who, what: what, both: f, open: map[ID]bool{}}
}

func (m *matcher) match(e *Entry) bool {
	if !m.both.narrows() {
		return m.both.Match(e)
	}
	switch {
	case e.Kind == KindIntent && m.who.Match(e):
		m.open[e.Seq] = true
	case e.Kind == KindOutcome && e.Intent != nil:
		of := m.open[*e.Intent]
		if e.Outcome != string(problem.Unknown) { // an unknown one may be told again, and better
			delete(m.open, *e.Intent)
		}
		return of && m.what.Match(e)
	}
	return m.both.Match(e)
}

// ErrStop is returned by a function that wants no more entries; Show then returns nil.
var ErrStop = errors.New("no more audit entries wanted")

// Show hands the entries of the log in dir to fn, oldest first: those of the Merkle
// log, then those that only the write-ahead log has yet. It works beside a running
// gate. It reads and does not judge: that is Verify.
func Show(dir string, f Filter, fn func(Entry) error) error {
	wanted := newMatcher(f)
	hand := func(payloads [][]byte) error {
		for _, p := range payloads {
			e, err := decode(p)
			if err != nil {
				return err
			}
			if !wanted.match(&e) {
				continue
			}
			if err := fn(e); err != nil {
				return err
			}
		}
		return nil
	}
	state, err := readTreeState(filepath.Join(dir, "tree"))
	if err != nil {
		return fmt.Errorf("show audit log: %w", err)
	}
	size := ID(state.Size)
	if f.From < size {
		err = leaves(filepath.Join(dir, "tree"), f.From, size, hand)
	}
	if err == nil && (f.To == 0 || f.To > size) {
		err = tail(filepath.Join(dir, "wal"), max(size, f.From), hand)
	}
	if errors.Is(err, ErrStop) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("show audit log: %w", err)
	}
	return nil
}

// tail hands out what the write-ahead log has from entry from on, up to the last
// whole group.
func tail(dir string, from ID, fn func([][]byte) error) error {
	r := &reader{dir: dir}
	defer r.close()
	for {
		payloads, err := r.group(from)
		if errors.Is(err, errNoEntry) || errors.Is(err, errShort) || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := fn(payloads); err != nil {
			return err
		}
		from += ID(len(payloads))
	}
}

// Text is the entry as one line for people.
func (e Entry) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%6d  %s  %-13s", e.Seq, e.Time.UTC().Format("2006-01-02 15:04:05.000"), e.Kind)
	say := func(format string, on bool, args ...any) {
		if on {
			fmt.Fprintf(&b, " "+format, args...)
		}
	}
	say("for %v:", e.Intent != nil, e.Intent)
	say("%s", e.Outcome != "", e.Outcome)
	say("%s", e.Reason != "", "("+e.Reason+")")
	say("%s", e.Site != "", strings.Trim(e.Site+"/"+e.Connection, "/"))
	say("%s", e.Provider != "", e.Provider+"."+e.Operation)
	say("%s", e.Provider == "" && e.Operation != "", e.Operation)
	say("%s", e.Name != "", e.Name)
	say("by %s", e.Caller != "", e.Caller)
	say("in %s", e.Mode != "", e.Mode)
	say("[%s]", len(e.Effects) > 0, strings.Join(e.Effects, " "))
	say("attempt %d", e.Attempt > 1, e.Attempt)
	say("status %d", e.Status != 0, e.Status)
	say("%s", e.Code != "", e.Code)
	say("after %s", e.Micros > 0, time.Duration(e.Micros)*time.Microsecond)
	say("from %v", e.From != nil, e.From)
	say("to %v", e.To != nil, e.To)
	say("count %d", e.Count != 0, e.Count)
	say("visit %s", e.Visit != "", e.Visit)
	say("actor %s", e.Actor != "", e.Actor)
	say("request %s", e.Request != "", e.Request)
	say("config %.12s", e.Config != "" && e.Site == "", e.Config)
	return strings.TrimRight(b.String(), " ")
}
