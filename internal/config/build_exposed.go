package config

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/guard"
	"sallyport/internal/provider"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// stands fills in what stands before an exposed operation.
func (e *Exposure) stands(l *linker, op *contract.Operation, rule *site.BrowserRule) {
	e.Before, e.Guards = []string{}, guardsOf(l.pack, l.site, op)
	if len(rule.Sealed) > 0 {
		e.Before = append(e.Before, "a permit of the site's backend")
	}
	if who := evidence(l.site, l.conn, rule, op); who != "" {
		e.Before = append(e.Before, who)
	}
	for _, p := range rule.Owned {
		e.Owned = append(e.Owned, p.String())
	}
	e.Observed = append(e.Observed, l.conn.Observe...)
}

// evidence says in words what a visit has to show before it may call.
func evidence(s *site.Site, c *site.Connection, rule *site.BrowserRule, op *contract.Operation) string {
	what := ""
	switch egress.Need(s, c, rule, op) {
	case session.ByBackend:
		what = "a voucher of the site's backend for the visit"
	case session.ByLogin:
		what = "a login, or a voucher of the site's backend for the visit"
	case session.ByChallenge:
		what = "a bot check of the visit (" + s.Vouching.Challenge + "), a voucher or a login"
	case session.ByWork:
		what = "a proof of work for the visit, a voucher or a login"
		if egress.Acts(op) {
			what += "; under attack a proof for each call"
		}
	}
	if what != "" && slices.Contains(c.Observe, egress.CheckVouching) {
		what += " (only reported)"
	}
	return what
}

// guardsOf are the guards that look at an operation, and whether they refuse.
func guardsOf(p *provider.Pack, s *site.Site, op *contract.Operation) []string {
	out := []string{}
	add := func(name string, mode guard.Mode) {
		word := string(mode)
		if mode == guard.Enforce {
			word = "enforce"
		}
		out = append(out, name+" "+word)
	}
	if f, attempt := p.Guards.CardsOf(op.ID); f != nil && attempt {
		add("cards", s.Guards.Cards.Mode)
	}
	if p.Guards.MessagesOf(op.ID) != nil {
		add("messages", s.Guards.Messages.Mode)
	}
	if slices.ContainsFunc(p.Guards.Autocomplete, func(a provider.AutocompleteFacts) bool { return a.Operation == op.ID }) {
		add("autocomplete", s.Guards.Autocomplete.Mode)
	}
	return out
}

// bare says of an operation that costs what is missing where neither the backend nor a budget
// stands before it: whoever passes a challenge spends the site's money.
func (l *linker) bare(op *contract.Operation, rule *site.BrowserRule) string {
	if !egress.Acts(op) && !egress.Priced(l.conn, op) || len(rule.Sealed) > 0 || rule.Vouched || rule.SignedIn ||
		len(rule.Budgets)+len(l.conn.Budgets)+len(l.site.Budgets) > 0 {
		return ""
	}
	before := "nothing but limits stands before it"
	if who := evidence(l.site, l.conn, rule, op); who != "" {
		before = "nothing but limits and a challenge, which any script can pass, stands before it"
	}
	missing := "it has neither a permit nor a voucher nor a budget"
	for _, r := range rule.Range {
		if op.HasEffect(contract.EffectMoney) && slices.Contains(amountNames(), lastName(r.Path)) {
			missing += fmt.Sprintf(", and %s is the stranger's choice from %d to %d", r.Path, r.Min, r.Max)
		}
	}
	return missing + ": " + before
}

func lastName(p contract.Path) string {
	steps := p.Steps()
	if len(steps) == 0 {
		return ""
	}
	return steps[len(steps)-1].Name
}

// effectsInWords says what an operation does that its effects name and what its price is.
func (l *linker) effectsInWords(op *contract.Operation, rule *site.BrowserRule) []string {
	var what []string
	if op.HasEffect(contract.EffectMoney) {
		what = append(what, "moves or promises money")
	}
	if op.HasEffect(contract.EffectMessage) {
		what = append(what, "sends messages at your cost")
	}
	if op.HasEffect(contract.EffectAdmin) {
		what = append(what, "changes the provider account")
	}
	if op.HasEffect(contract.EffectPersonal) && len(rule.Returns) > 0 {
		what = append(what, "can return personal data")
	}
	return what
}

// exposureWarning says what a look is needed for, or nothing.
func (l *linker) exposureWarning(op *contract.Operation, rule *site.BrowserRule) string {
	if len(rule.Sealed) > 0 {
		return "" // nobody calls it without a permit of the site's backend
	}
	what, bare := l.effectsInWords(op, rule), l.bare(op, rule)
	if bare != "" && egress.Priced(l.conn, op) {
		what = append(what, fmt.Sprintf("costs %s a call", l.conn.Costs[op.ID]))
	}
	if len(what) == 0 {
		return ""
	}
	text := fmt.Sprintf("anybody can call %s, for Origin can be forged outside a browser; it %s", op.ID, strings.Join(what, " and "))
	switch {
	case rule.Vouched:
		text = fmt.Sprintf("every visit that the site's backend vouches for can call %s; it %s", op.ID, strings.Join(what, " and "))
	case rule.SignedIn:
		text = fmt.Sprintf("everybody who signs in can call %s; it %s", op.ID, strings.Join(what, " and "))
	}
	if bare != "" {
		text += "; " + bare
	}
	return text
}
