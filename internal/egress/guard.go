package egress

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/guard"
	"sallyport/internal/phone"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/session"
	"sallyport/internal/site"
	"sallyport/internal/tape"
)

// guarded are the facts of the catalog about one operation, compiled for its callers.
type guarded struct {
	card     *cardSigns
	message  *messageFacts
	check    *codeCheck // the operation checks a code
	search   *searchFacts
	closes   contract.Path // the token's parameter, where the operation ends a search
	defaults []defaultValue
}

type messageFacts struct {
	to      contract.Path
	many    bool // to has a place for each of several
	country contract.Path
	// free: a browser chooses who gets it. What the file fixes or a permit seals is not asked
	// where it goes.
	free bool
	// coded: the code that is sent can be entered through this connection.
	coded bool
	id    []tape.Step // of the verification, in the answer
}

type searchFacts struct{ input, token contract.Path }

type defaultValue struct {
	at     contract.Path
	value  any
	unless []contract.Path
}

// guardOf compiles the facts about one operation; nil where the catalog has none.
func (c *connection) guardOf(id string) (*guarded, error) {
	facts, g, some := &c.pack.Guards, &guarded{}, false
	var bad error
	path := func(s string) (p contract.Path) {
		if s == "" {
			return p
		}
		p, err := contract.ParsePath(s)
		if err != nil {
			bad = fmt.Errorf("operation %s: guards: %w", id, err)
		}
		return p
	}
	if f, attempt := facts.CardsOf(id); f != nil {
		g.card, some = &cardSigns{attempt: attempt, declined: toldOf(f.Declined, path), approved: toldOf(f.Approved, path)}, true
	}
	if f := facts.MessagesOf(id); f != nil {
		g.message, some = &messageFacts{to: path(f.To), country: path(f.Country)}, true
		g.message.many = slices.ContainsFunc(g.message.to.Steps(), func(s contract.Step) bool { return s.Name == "" && s.Index == contract.Every })
		if r := c.Browser[id]; r != nil {
			g.message.free = slices.ContainsFunc(r.Free, g.message.to.Overlaps)
		}
		if f.Code != nil {
			g.message.coded, g.message.id = c.codeOf(f.Code, path)
		}
	}
	if f := facts.CodesCheckedBy(id); f != nil {
		g.check, some = &codeCheck{to: path(f.Code.CheckTo), id: path(f.Code.CheckID), entered: toldOf(f.Code.Entered, path)}, true
	}
	for _, a := range facts.Autocomplete {
		if a.Operation == id {
			g.search, some = &searchFacts{input: path(a.Input), token: path(a.Token)}, true
		}
		for _, closes := range a.ClosedBy {
			if closes.Operation == id {
				g.closes, some = path(closes.Token), true
			}
		}
	}
	for _, d := range facts.DefaultsOf(id) {
		v := defaultValue{at: path(d.Parameter), value: d.Value}
		for _, u := range d.Unless {
			v.unless = append(v.unless, path(u))
		}
		g.defaults, some = append(g.defaults, v), true
	}
	if !some {
		return nil, bad
	}
	return g, bad
}

// codeOf says whether somebody may check a message's code through this connection, and where
// in the answer its id stands, if a check may name it by that.
func (c *connection) codeOf(f *provider.CodeFacts, path func(string) contract.Path) (coded bool, id []tape.Step) {
	backend, rule := c.BackendAll || slices.Contains(c.Backend, f.Check), c.Browser[f.Check]
	named := path(f.CheckID).Root()
	sealed := func(p contract.Path) bool { return p.Root() == named }
	if backend || rule != nil && f.CheckID != "" && (rule.Leaves(named) || slices.ContainsFunc(rule.Sealed, sealed)) {
		id = stepsOf(path(f.ID))
	}
	return backend || rule != nil, id
}

// compileGuards fills c.guards for all operations that somebody may call.
func (c *connection) compileGuards() error {
	c.guards = map[string]*guarded{}
	add := func(id string) error {
		g, err := c.guardOf(id)
		if g != nil {
			c.guards[id] = g
		}
		return err
	}
	for id := range c.browser {
		if err := add(id); err != nil {
			return err
		}
	}
	for id := range c.backend {
		if err := add(id); err != nil {
			return err
		}
	}
	return nil
}

// insertDefaults writes the catalog's safe value where neither the file nor the browser gives
// one: a cheap selection of fields, no preference for places near the gate.
func insertDefaults(_ context.Context, _ *Gate, x *exchange) Decision {
	x.guard = x.conn.guards[x.op.ID]
	if x.rule == nil || x.guard == nil {
		return allow("nothing to insert")
	}
	given := func(p contract.Path) bool { _, ok := x.args.Get(p); return ok }
	for _, d := range x.guard.defaults {
		if given(d.at) || slices.ContainsFunc(d.unless, given) {
			continue
		}
		if err := x.args.Set(d.at, d.value); err != nil {
			return deny(problem.Wrap(err, problem.ParameterRefused, "%s cannot be inserted beside what the browser sent", d.at))
		}
	}
	return allow("inserted")
}

// checkGuards asks what no count is needed for, and gives the calls of one search their token.
func checkGuards(ctx context.Context, g *Gate, x *exchange) Decision {
	if x.guard == nil || x.caller != site.Browser {
		if x.guard != nil && x.guard.message != nil {
			x.readDestinations()
		}
		return allow("nothing to guard")
	}
	rules := &x.site.Guards
	if m := x.guard.message; m != nil && rules.Messages.Mode != guard.Off {
		x.readDestinations()
		for _, d := range x.to {
			if !m.free || !x.live() && d.Number.Digits == "" && d.Address != "" {
				continue
			}
			if v := rules.Messages.Reaches(d); !v.Allowed {
				if d := g.guardSays(ctx, x, "messages", rules.Messages.Mode, v); !d.Allowed() {
					return d
				}
			}
		}
	}
	if x.guard.search != nil {
		return g.joinSearch(ctx, x, &rules.Autocomplete)
	}
	if len(x.guard.closes.Steps()) > 0 {
		subject := x.guardSubject()
		if token, open := g.deps.Guards.Choosing(g.now(), &subject); open {
			if err := x.args.Set(x.guard.closes, token); err != nil {
				return denyErr(err)
			}
			x.closing = true
		}
	}
	return allow("guarded")
}

func (x *exchange) live() bool { return x.conn.Mode == provider.Live }

// joinSearch gives the call the token of the visit's search.
func (g *Gate) joinSearch(ctx context.Context, x *exchange, rules *guard.Autocomplete) Decision {
	s := x.guard.search
	input, _ := x.args.Get(s.input)
	text, _ := input.(string)
	if v := rules.Long(text); !v.Allowed {
		if d := g.guardSays(ctx, x, "autocomplete", rules.Mode, v); !d.Allowed() {
			return d
		}
	}
	subject := x.guardSubject()
	token, v, err := g.deps.Guards.Search(ctx, g.now(), rules, &subject)
	if err != nil {
		return unknownCount(err)
	}
	if !v.Allowed {
		if d := g.guardSays(ctx, x, "autocomplete", rules.Mode, v); !d.Allowed() {
			return d
		}
	}
	if err := x.args.Set(s.token, token); err != nil {
		return denyErr(err)
	}
	return allow("joined")
}

// takeGuards takes the call from the counts of the guards. It stands behind the record of
// repeats, because a repeat sends nothing and so must cost nothing.
func takeGuards(ctx context.Context, g *Gate, x *exchange) Decision {
	if x.guard == nil || x.guard.message == nil && (x.guard.card == nil || !x.guard.card.attempt) {
		return allow("nothing to count")
	}
	rules, subject := &x.site.Guards, x.guardSubject()
	name, mode := "cards", rules.Cards.Mode
	var v guard.Verdict
	var err error
	if x.guard.message != nil {
		name, mode = "messages", rules.Messages.Mode
		v, x.taken, err = g.deps.Guards.Send(ctx, g.now(), &rules.Messages, &subject, x.to, x.guard.message.coded)
	} else {
		v, x.taken, err = g.deps.Guards.Attempt(ctx, g.now(), &rules.Cards, &subject)
	}
	if err != nil {
		return unknownCount(err)
	}
	if !v.Allowed {
		return g.guardSays(ctx, x, name, mode, v)
	}
	x.counted = true
	return allow("within the guards' limits")
}

func unknownCount(err error) Decision {
	return deny(problem.Wrap(err, problem.StoreUnavailable, "it is not known whether the call is within the guards' limits"))
}

// guardSays turns a refusal into a decision: told to operators, and let through where the
// guard only observes.
func (g *Gate) guardSays(ctx context.Context, x *exchange, name string, mode guard.Mode, v guard.Verdict) Decision {
	if v.Reason.Alarming() {
		g.alert(ctx, Alert{Source: name, Reason: string(v.Reason), Site: x.call.Site, Connection: x.call.Connection,
			Operation: x.op.ID, Observed: mode == guard.Observe})
	}
	if mode != guard.Enforce {
		x.observed = append(x.observed, "guard."+name+"."+string(v.Reason))
		return allow("observed")
	}
	p := problem.New(problem.GuardRefused, "the guard of %s refused %s: %s", name, x.op.ID, v.Reason.Public()).WithHint("%s", guardHint(v.Reason))
	p.Extra = map[string]any{"guard": name, "reason": v.Reason.Public()}
	if v.RetryAfter > 0 {
		p.RetryAfter = v.RetryAfter
	}
	d := deny(p)
	d.Reason, x.why = name+"/"+string(v.Reason), name+"/"+string(v.Reason)
	return d
}

func guardHint(r guard.Reason) string {
	switch r.Public() {
	case "destination":
		return "check the number with its country code; this site sends to the countries and types of lines that its file names"
	case "input":
		return "wait until more was typed"
	}
	return "wait as long as retry_after says; the operator's log says which count was reached"
}

func (x *exchange) guardSubject() guard.Subject {
	return guard.Subject{Site: x.call.Site, Connection: x.call.Connection, Visit: x.visit, Client: x.call.Client,
		Backend: x.caller == site.Backend, Vouched: x.session.Vouched >= session.ByLogin}
}

// readDestinations reads who gets the message, once.
func (x *exchange) readDestinations() {
	m := x.guard.message
	country := ""
	if len(m.country.Steps()) > 0 {
		country, _ = x.args.Text(m.country)
	}
	add := func(at contract.Path) {
		if text, isText := x.args.Text(at); isText {
			x.to = append(x.to, x.destination(text, country))
		}
	}
	if !m.many {
		add(m.to)
		return
	}
	for _, at := range elements(m.to, x.args) {
		add(at)
	}
}

// destination reads a number, an e-mail address or a channel's form of a number
// (whatsapp:+44…). Outside mode live a number of no numbering plan is what a test sends to.
func (x *exchange) destination(text, country string) guard.Destination {
	if channel, number, ok := strings.Cut(text, ":"); ok && !strings.ContainsAny(channel, "+@") {
		text = number
	}
	if strings.Contains(text, "@") {
		return guard.Destination{Address: strings.ToLower(text)}
	}
	if n, err := phone.Parse(text, country); err == nil {
		return guard.Destination{Number: n}
	}
	if !x.live() {
		return guard.Destination{Address: text}
	}
	return guard.Destination{}
}

// Danger is how bad the signs are on a site: the worse, the more work a proof costs.
func (g *Gate) Danger(siteName string) guard.Level {
	s, ok := g.sites[siteName]
	if !ok {
		return guard.Calm
	}
	return g.deps.Guards.Level(g.now(), siteName, &s.Guards)
}
