package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/site"
)

// operation finds an operation by name, or names the nearest.
func (l *linker) operation(at *value, name string) *contract.Operation {
	doc := l.pack.Contract()
	if op, ok := doc.Find(name); ok {
		return op
	}
	hint := "`sallyport providers show " + l.pack.ID + "` lists the operations"
	if near := doc.Near(name); near != "" {
		hint = "did you mean " + near + "?"
	}
	l.fault(at, fmt.Sprintf("%s has no operation %q", l.pack.ID, name), hint)
	return nil
}

func (l *linker) browser(v *value) {
	if v.form == mapping && len(v.entries) > 0 && len(l.site.ServedAt) == 0 && l.conn.Mode == provider.Live {
		l.fault(v, fmt.Sprintf("the site %s has no host of its own, and below /%s/ no browser may call a live provider", l.site.Name, l.site.Name),
			"give the site served_at: [api.shop.example], a name under the site's own domain")
	}
	for _, e := range v.entries {
		at := keyPlace(v, e)
		op := l.operation(at, e.key)
		if op == nil || e.value.form != mapping {
			continue
		}
		rule := l.rule(op, e.value)
		l.conn.Browser[e.key] = rule
		l.expose(at, op, rule)
	}
	l.received()
}

func (l *linker) backend(v *value) {
	l.conn.BackendAll = v.str() == "all"
	for _, item := range v.items {
		if item.str() == "" {
			continue // walk has named it
		}
		op := l.operation(item, item.str())
		switch {
		case op == nil:
		case slices.Contains(l.conn.Backend, op.ID):
			l.fault(item, op.ID+" stands twice", "remove one")
		default:
			l.conn.Backend = append(l.conn.Backend, op.ID)
		}
	}
}

// needs checks that every operation that may be called can be: its server exists in the mode, its
// kind of auth is there, and its credentials are complete.
func (l *linker) needs() {
	ops := l.allowed()
	if l.pack.BotCheck != nil && l.site.Vouching.Challenge == l.conn.Name {
		if op, ok := l.pack.Contract().Find(l.pack.BotCheck.Operation); ok {
			ops = append(ops, op)
		}
	}
	l.loginNeeds()
	l.connectNeeds()
	if len(ops) == 0 && l.conn.Login == nil && l.conn.Connect == nil && l.conn.Webhooks == nil && !l.v.at("browser").present() && !l.v.at("backend").present() {
		l.fault(l.v, "nobody may call anything on this connection", "allow operations under browser or backend, or take events in under webhooks")
	}
	if l.conn.Mode != provider.Live && l.conn.Mode != provider.Sandbox {
		return // a mock needs nothing, and walk has named any other mode
	}
	reported := map[string]bool{}
	for _, op := range ops {
		l.server(op, reported)
		for _, field := range l.authFields(op, reported) {
			l.credential(op, field, reported)
		}
		for _, p := range op.Params {
			if p.Account != "" {
				l.credential(op, p.Account, reported)
			}
		}
	}
}

func (l *linker) allowed() []*contract.Operation {
	if l.conn.BackendAll {
		return l.pack.Contract().Operations()
	}
	names := map[string]bool{}
	for name := range l.conn.Browser {
		names[name] = true
	}
	for _, name := range l.conn.Backend {
		names[name] = true
	}
	var ops []*contract.Operation
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if op, ok := l.pack.Contract().Find(name); ok {
			ops = append(ops, op)
		}
	}
	return ops
}

func (l *linker) server(op *contract.Operation, reported map[string]bool) {
	server, ok := l.pack.Servers[op.Server]
	if _, has := server.URL[l.conn.Mode]; ok && has || reported["server"] || l.conn.Upstream != nil {
		return
	}
	reported["server"] = true
	l.fault(l.v.at("mode"), fmt.Sprintf("%s has no %s system for %s", l.pack.Name, l.conn.Mode, op.ID), "use mode mock, or live")
}

// authFields lists the credential fields that the operation's auth needs.
func (l *linker) authFields(op *contract.Operation, reported map[string]bool) []string {
	_, auth, ok := l.pack.AuthFor(op, l.conn.Auth)
	if !ok {
		return nil
	}
	if auth.Kind == provider.AuthUserToken {
		if l.conn.Connect == nil && !reported[auth.Kind] {
			reported[auth.Kind] = true
			l.userToken(op)
		}
		return nil
	}
	l.tokenServer(op, auth, reported)
	return auth.Fields()
}

// tokenServer checks that the provider gives tokens in the connection's mode.
func (l *linker) tokenServer(op *contract.Operation, auth provider.Auth, reported map[string]bool) {
	if _, has := l.pack.Servers[auth.TokenServer].URL[l.conn.Mode]; has || auth.TokenServer == "" || reported["tokens"] || l.conn.Upstream != nil {
		return
	}
	reported["tokens"] = true
	l.fault(l.v.at("mode"), fmt.Sprintf("%s has no %s system that gives access tokens, which %s needs", l.pack.Name, l.conn.Mode, op.ID), "use mode mock, or live, or another auth")
}

// auth reads which way to prove who calls replaces those of the operations.
func (l *linker) auth(v *value) {
	if v.str() == "" {
		return
	}
	var others []string
	for _, name := range slices.Sorted(maps.Keys(l.pack.Auth)) {
		if len(l.pack.Auth[name].InsteadOf) > 0 {
			others = append(others, name)
		}
	}
	switch {
	case slices.Contains(others, v.text):
		l.conn.Auth = v.text
	case len(others) == 0:
		l.fault(v, l.pack.Name+" has one auth for each operation", "remove auth")
	default:
		l.fault(v, v.shown()+" is not an auth of "+l.pack.Name+" that can be chosen", didYouMean(v.text, others, "write"))
	}
}

func (l *linker) credential(op *contract.Operation, name string, reported map[string]bool) {
	_, isRef := l.conn.Credentials[name]
	_, isText := l.conn.Account[name]
	if isRef || isText || reported["credential "+name] || l.v.at("credentials", name).present() {
		return
	}
	reported["credential "+name] = true
	at := l.v.at("credentials")
	if !at.present() {
		at = l.v
	}
	l.fault(at, fmt.Sprintf("%s needs the credential %s", op.ID, name), fmt.Sprintf("add credentials: {%s: %s}", name, l.sampleOf(name)))
}

func (l *linker) sampleOf(name string) string {
	for _, f := range l.pack.Credentials {
		if f.Name == name && !f.Secret {
			return "the " + f.Title
		}
	}
	return "keystore:" + l.site.Name + "/" + l.conn.Name
}

// expose records what a stranger can do with an operation that is open to browsers.
func (l *linker) expose(at *value, op *contract.Operation, rule *site.BrowserRule) {
	e := Exposure{
		Site: l.site.Name, Connection: l.conn.Name, Provider: l.pack.ID, Mode: string(l.conn.Mode), Operation: op.ID, Line: at.line,
		Effects: append([]string{}, op.Effects...), Chooses: chosenBy(rule), Returns: []string{}, Limits: []string{},
	}
	for _, p := range rule.Sealed {
		e.Sealed = append(e.Sealed, p.String())
	}
	for _, p := range rule.Returns {
		e.Returns = append(e.Returns, p.String())
	}
	for _, p := range rule.Receipt {
		e.Receipt = append(e.Receipt, p.String())
	}
	for _, r := range slices.Concat(rule.Limits, l.conn.Limits, egress.SiteLimits(l.site)) {
		e.Limits = append(e.Limits, r.String())
	}
	capped := slices.ContainsFunc(slices.Concat(rule.Limits, l.conn.Limits), func(r ratelimit.Rule) bool {
		return r.Per == ratelimit.PerPrefix || r.Per == ratelimit.PerOperation
	})
	hint := "cap it for strangers, for instance limit: [5 per hour per prefix, 200 per hour per operation], or let only the site's backend call it"
	if capped {
		hint = "its limits cap the damage; if strangers must not do it at all, let only the site's backend call it"
	}
	if l.bare(op, rule) != "" {
		hint = "let the site's backend speak for the call (sealed: […] and a permit, or vouched: required), or bound what it costs: budget: {day: 200 calls}"
	}
	if e.Warning = l.exposureWarning(op, rule); e.Warning != "" && l.conn.Mode != provider.Mock {
		l.warn(at, e.Warning, hint)
	}
	if path, ok := freeAmount(op, rule); ok {
		l.warn(at, fmt.Sprintf("%s is free, so a stranger chooses what %s costs", path, op.ID),
			"write it under sealed, fixed, one_of or range; or let the site's backend make this call, which knows the basket")
	}
	e.stands(l, op, rule)
	e.cost(l, op, rule)
	l.file.Exposures = append(l.file.Exposures, e)
}

func chosenBy(rule *site.BrowserRule) []string {
	out := []string{}
	for _, p := range rule.Free {
		out = append(out, p.String())
	}
	for _, c := range rule.OneOf {
		values := make([]string, len(c.Values))
		for i, v := range c.Values {
			values[i] = shownValue(v)
		}
		out = append(out, c.Path.String()+" of "+strings.Join(values, "|"))
	}
	for _, p := range rule.Owned {
		out = append(out, p.String()+" that this visit received")
	}
	for _, r := range rule.Range {
		out = append(out, fmt.Sprintf("%s from %d to %d", r.Path, r.Min, r.Max))
	}
	return out
}

// userToken names an operation for which visitors would have to connect their accounts.
func (l *linker) userToken(op *contract.Operation) {
	hint := "use mode: mock, or allow only operations that `sallyport providers show " + l.pack.ID + "` lists with another kind of auth"
	if l.pack.Grant != nil {
		hint = "add connect: {} to the connection (docs/guide/connect-accounts.md), or " + hint
	}
	l.fault(l.v.at("mode"), op.ID+" needs the token of a visitor's own account, and visitors cannot connect one", hint)
}
