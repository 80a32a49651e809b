// Package guard decides whether a call that the file allows looks like abuse: cards being
// tested, text messages being pumped, searches being run up.
//
// It gets facts (who, from which network, to which number, whether a card was declined) and
// a clock, and says allow, or refuse with a reason. It guarantees bounded memory whatever
// strangers do: every table has a fixed size, and a count under attack is not pushed out by
// fresh ones. It keeps no telephone number, address or visit: only hashes under a key that
// dies with the process. It is safe for concurrent use.
//
// It does not know providers, read requests or write answers (egress does), and it does not
// tell anybody (egress.Alerts does). Counts are those of one node.
package guard

import (
	"net/netip"
	"time"

	"sallyport/internal/phone"
	"sallyport/internal/ratelimit"
)

// Mode says what becomes of a call that a guard would refuse. The zero Mode refuses it.
type Mode string

// The modes.
const (
	Enforce Mode = ""        // refuse, and tell
	Observe Mode = "observe" // let it pass, and tell
	Off     Mode = "off"     // do not look
)

// Rules are the guards of one site.
type Rules struct {
	Cards        Cards
	Messages     Messages
	Autocomplete Autocomplete
}

// Cards are the rules against card testing.
type Cards struct {
	Mode Mode
	// Attempts limit attempts to pay, by session and by network.
	Attempts []ratelimit.Rule
	// Declines limit declined cards, by session and by network. A network is refused only
	// where Share of its known outcomes are declines.
	Declines []ratelimit.Rule
	Share    float64
	// Alarm is how many declines of the whole site within its window, at that share, are
	// an attack: limits for each session and network are then a good deal narrower. The
	// site itself is never closed.
	Alarm ratelimit.Rule
}

// Messages are the rules against messages sent for somebody's profit.
type Messages struct {
	Mode Mode
	// Countries that browsers may send to, as two upper-case letters. None: none.
	Countries []string
	// Kinds of lines that browsers may send to. E-mail addresses pass where Email is set.
	Kinds []phone.Kind
	Email bool
	// Sends limit messages by session and by network.
	Sends []ratelimit.Rule
	// PerNumber limits what one number gets, BackendPerNumber what a backend may send it.
	PerNumber, BackendPerNumber ratelimit.Rule
	// PerRange limits how many numbers of one block (the last three digits cut) get a message.
	PerRange ratelimit.Rule
	// PerCountry limits messages whose use the gate cannot see, by country.
	PerCountry ratelimit.Rule
	// Run is the length at which numbers that follow each other are refused.
	Run int
	// Unanswered is how many codes of one country may be waiting to be entered.
	Unanswered int
	// Conversion is the share of codes that must have been entered, once Unanswered were sent.
	Conversion float64
}

// Autocomplete are the rules for completing what a visitor types.
type Autocomplete struct {
	Mode          Mode
	MinCharacters int
	// Searches limit searches begun, by session and by network.
	Searches []ratelimit.Rule
}

// Defaults are the rules of a site that says nothing. Countries is empty: who is written to
// is the site's to say.
func Defaults() Rules {
	rule := func(calls int, window time.Duration, per ratelimit.Per) ratelimit.Rule {
		return ratelimit.Rule{Calls: calls, Window: window, Per: per}
	}
	return Rules{
		Cards: Cards{
			Attempts: []ratelimit.Rule{rule(10, 10*time.Minute, ratelimit.PerSession), rule(40, 10*time.Minute, ratelimit.PerPrefix)},
			Declines: []ratelimit.Rule{rule(5, time.Hour, ratelimit.PerSession), rule(12, time.Hour, ratelimit.PerPrefix)},
			Share:    0.5, Alarm: rule(40, 10*time.Minute, ratelimit.PerSite),
		},
		Messages: Messages{
			Kinds: []phone.Kind{phone.Mobile}, Email: true,
			Sends:     []ratelimit.Rule{rule(6, time.Hour, ratelimit.PerSession), rule(30, time.Hour, ratelimit.PerPrefix)},
			PerNumber: rule(6, time.Hour, ""), BackendPerNumber: rule(30, time.Hour, ""),
			PerRange: rule(6, time.Hour, ""), PerCountry: rule(100, time.Hour, ""),
			Run: 4, Unanswered: 50, Conversion: 0.2,
		},
		Autocomplete: Autocomplete{MinCharacters: 3,
			Searches: []ratelimit.Rule{rule(30, time.Hour, ratelimit.PerSession), rule(600, time.Hour, ratelimit.PerPrefix)}},
	}
}

// Subject is who calls.
type Subject struct {
	Site       string
	Connection string
	Visit      string // empty for a backend
	Client     netip.Addr
	Backend    bool
	// Vouched: the site's backend or a login stands for this visit.
	Vouched bool
}

// Level is how bad the signs are on a site: what raises the price of proofs of work.
type Level int

// The levels. Calm is the zero value.
const (
	Calm   Level = iota
	Raised       // half of what is an alarm
	High         // an attack
)

// Verdict is what a guard says. The zero Verdict refuses.
type Verdict struct {
	Allowed bool
	// Reason is why not, in a word, for the operator: see Public for what a caller is told.
	Reason     Reason
	RetryAfter time.Duration // 0: waiting does not help
}

// Reason is why a guard refuses.
type Reason string

// The reasons.
const (
	Attempts        Reason = "attempts"         // too many attempts to pay
	AttemptsNetwork Reason = "attempts_network" // … of one network
	Declines        Reason = "declines"         // too many declined cards
	DeclinesNetwork Reason = "declines_network" // … of one network, and few that were not
	UnderAttack     Reason = "under_attack"     // the narrower limits while a site is attacked

	NoNumber       Reason = "number"        // not a number of any numbering plan
	WrongCountry   Reason = "country"       // not a country of the file
	WrongKind      Reason = "type"          // not a type of line of the file
	Sends          Reason = "sends"         // too many messages
	SendsNetwork   Reason = "sends_network" // … of one network
	NumberFull     Reason = "per_number"    // … to one number
	RangeFull      Reason = "per_range"     // … to numbers of one block
	CountryFull    Reason = "per_country"   // … to one country
	NumbersInOrder Reason = "run"           // numbers that follow each other
	Waiting        Reason = "unanswered"    // too many codes that nobody has entered yet
	FewConversions Reason = "conversion"    // hardly a code is entered

	ShortInput Reason = "min_characters" // too little was typed
	Searches   Reason = "searches"       // too many searches begun
)

// Reasons lists all of them in documentation order. The result is the caller's.
func Reasons() []Reason {
	return []Reason{Attempts, AttemptsNetwork, Declines, DeclinesNetwork, UnderAttack,
		NoNumber, WrongCountry, WrongKind, Sends, SendsNetwork, NumberFull, RangeFull, CountryFull, NumbersInOrder, Waiting, FewConversions,
		ShortInput, Searches}
}

// Public is what a caller is told: enough for an honest visitor to know whether another
// value or another hour helps, and nothing of which count was reached.
func (r Reason) Public() string {
	switch r {
	case NoNumber, WrongCountry, WrongKind:
		return "destination"
	case ShortInput:
		return "input"
	}
	return "too_many"
}

// Alarming reports whether an operator should hear of it: a mistyped number is no news.
func (r Reason) Alarming() bool { return r.Public() == "too_many" }

func pass() Verdict { return Verdict{Allowed: true} }

func refuse(r Reason, wait time.Duration) Verdict { return Verdict{Reason: r, RetryAfter: wait} }
