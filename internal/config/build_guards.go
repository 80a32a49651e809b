package config

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/guard"
	"sallyport/internal/phone"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
)

// guards reads a site's guards over the defaults.
func (b *builder) guards(v *value) guard.Rules {
	rules := guard.Defaults()
	cards, messages, search := v.at("cards"), v.at("messages"), v.at("autocomplete")
	rules.Cards.Mode = b.guardMode(cards, "cards")
	rules.Cards.Attempts = b.over(cards.at("attempts"), rules.Cards.Attempts)
	rules.Cards.Declines = b.over(cards.at("declines"), rules.Cards.Declines)
	share(cards.at("share"), &rules.Cards.Share)
	b.rate(cards.at("alarm"), &rules.Cards.Alarm)
	rules.Messages.Mode = b.guardMode(messages, "messages")
	b.whereTo(messages, &rules.Messages)
	rules.Messages.Sends = b.over(messages.at("sends"), rules.Messages.Sends)
	b.rate(messages.at("per_number"), &rules.Messages.PerNumber)
	b.rate(messages.at("backend_per_number"), &rules.Messages.BackendPerNumber)
	b.rate(messages.at("per_range"), &rules.Messages.PerRange)
	b.rate(messages.at("per_country"), &rules.Messages.PerCountry)
	number(messages.at("run"), &rules.Messages.Run)
	number(messages.at("unanswered"), &rules.Messages.Unanswered)
	share(messages.at("conversion"), &rules.Messages.Conversion)
	rules.Autocomplete.Mode = b.guardMode(search, "autocomplete")
	number(search.at("min_characters"), &rules.Autocomplete.MinCharacters)
	rules.Autocomplete.Searches = b.over(search.at("searches"), rules.Autocomplete.Searches)
	return rules
}

func (b *builder) guardMode(v *value, name string) guard.Mode {
	at := v.at("mode")
	switch at.str() {
	case "observe":
		b.file.Loosened = append(b.file.Loosened, Loosening{Where: at.path, Line: at.line, What: "the guard of " + name + " only reports"})
		return guard.Observe
	case "off":
		b.file.Loosened = append(b.file.Loosened, Loosening{Where: at.path, Line: at.line, What: "there is no guard of " + name})
		return guard.Off
	}
	return guard.Enforce
}

// over reads limits by session and by prefix; a key that is not named keeps its default,
// because a limit by session alone limits nobody who makes new sessions.
func (b *builder) over(v *value, defaults []ratelimit.Rule) []ratelimit.Rule {
	out := b.limits(v, ratelimit.PerSession, ratelimit.PerPrefix)
	for _, d := range defaults {
		if !slices.ContainsFunc(out, func(r ratelimit.Rule) bool { return r.Per == d.Per }) {
			out = append(out, d)
		}
	}
	return out
}

func (b *builder) rate(v *value, into *ratelimit.Rule) {
	if v.str() == "" {
		return
	}
	rule, err := ratelimit.ParseRule(v.text + " per site")
	if err != nil || strings.Count(v.text, " per ") != 1 {
		b.fault(v, "found "+v.shown(), "write a number and a span, for instance "+strings.TrimSuffix(into.String(), " per "+string(into.Per)))
		return
	}
	into.Calls, into.Window = rule.Calls, rule.Window
}

func share(v *value, into *float64) {
	if v.form == whole || v.form == decimal {
		*into = v.number()
	}
}

func number(v *value, into *int) {
	if v.form == whole {
		*into = int(v.integer())
	}
}

// whereTo reads countries and types of lines.
func (b *builder) whereTo(v *value, m *guard.Messages) {
	for _, item := range v.at("countries").many() {
		code := item.str()
		switch {
		case len(code) != 2 || code != strings.ToUpper(code): // walk has named it
		case !phone.Country(code):
			b.fault(item, item.shown()+" is not a country with telephone numbers of its own", "write its two letters (ISO 3166-1), such as GB for the United Kingdom")
		case !slices.Contains(m.Countries, code):
			m.Countries = append(m.Countries, code)
		}
	}
	types := v.at("types")
	if !types.present() {
		return
	}
	m.Kinds, m.Email = nil, false
	for _, item := range types.many() {
		switch kind := phone.Kind(item.str()); {
		case kind == "email":
			m.Email = true
		case slices.Contains(phone.Kinds(), kind):
			m.Kinds = append(m.Kinds, kind)
		}
		if slices.Contains([]string{"premium", "shared_cost", "voip", "satellite"}, item.str()) {
			b.file.Loosened = append(b.file.Loosened, Loosening{Where: item.path, Line: item.line, What: "a browser may have messages sent to numbers of type " + item.text})
		}
	}
}

// guarded holds a browser's rule against what the guards do themselves.
func (r *ruler) guarded() {
	facts := &r.pack.Guards
	for _, name := range facts.PricedOf(r.op.ID) {
		for _, p := range r.paths {
			if p.in == "free" && p.path.Root() == name {
				r.fault(p.at, name+" decides the price of the call, and a browser that may choose it freely could ask for the dearest", "write it under fixed or one_of, or leave it out: "+r.insteadOf(name))
			}
		}
	}
	for i := range facts.Autocomplete {
		for _, c := range append([]provider.Closes{{Operation: facts.Autocomplete[i].Operation, Token: facts.Autocomplete[i].Token}}, facts.Autocomplete[i].ClosedBy...) {
			if c.Operation == r.op.ID {
				r.tokenIsOurs(c.Token)
			}
		}
	}
	if m := facts.MessagesOf(r.op.ID); m != nil {
		r.whoGetsIt(m)
	}
}

func (r *ruler) insteadOf(name string) string {
	if d, ok := r.defaultFor(name); ok {
		return "the gate then inserts " + shownValue(d.Value)
	}
	return "the provider then takes its own default"
}

func (r *ruler) tokenIsOurs(token string) {
	for _, p := range r.paths {
		if p.path.Root() == token {
			r.fault(p.at, "the gate makes "+token+" itself, one for each search of a visit", "remove it")
		}
	}
}

// whoGetsIt: where a browser may choose a number, the file says in which countries.
func (r *ruler) whoGetsIt(m *provider.MessageFacts) {
	to, err := contract.ParsePath(m.To)
	if err != nil || r.site.Guards.Messages.Mode == guard.Off || len(r.site.Guards.Messages.Countries) > 0 {
		return
	}
	if len(r.site.Guards.Messages.Kinds) == 0 && r.site.Guards.Messages.Email { // e-mail only
		return
	}
	for _, p := range r.paths {
		if p.in == "free" && p.path.Overlaps(to) {
			r.fault(p.at, fmt.Sprintf("a browser may have %s send to any number in the world", r.op.ID),
				"name the countries of your customers on the site: guards: {messages: {countries: [GB, IE]}}")
		}
	}
}

// defaultFor is the value that the gate inserts where neither the file nor the browser gives one.
func (r *ruler) defaultFor(parameter string) (provider.Default, bool) {
	for _, d := range r.pack.Guards.DefaultsOf(r.op.ID) {
		if d.Parameter == parameter {
			return d, true
		}
	}
	return provider.Default{}, false
}
