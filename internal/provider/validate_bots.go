package provider

import (
	"slices"
	"time"

	"sallyport/internal/contract"
)

// checkBotCheck holds how the gate asks a bot check against the contract that it asks with.
func (p *Pack) checkBotCheck(f *faults) {
	b := p.BotCheck
	if (b != nil) != slices.Contains(p.Functions, "bots") {
		f.add("bot_check: it stands exactly where functions has bots")
	}
	if b == nil {
		return
	}
	f.text("bot_check.source", b.Source)
	if d, err := time.ParseDuration(b.Life); err != nil || d <= 0 || d > 15*time.Minute {
		f.add("bot_check.life: %q is not a time up to 15m", b.Life)
	}
	if b.MaxToken < 1 || b.MaxToken > 8<<10 {
		f.add("bot_check.max_token: %d is not between 1 and 8192", b.MaxToken)
	}
	if p.contract == nil {
		return // another fault names it
	}
	op, ok := p.contract.Find(b.Operation)
	if !ok {
		f.add("bot_check.operation: the contract has no operation %q", b.Operation)
		return
	}
	if _, ok := op.Param(b.Token); !ok {
		f.add("bot_check.token: %s has no parameter %q", b.Operation, b.Token)
	}
	for _, field := range []struct {
		name, path, kind string
		needed           bool
	}{{"good", b.Good, "boolean", true}, {"codes", b.Codes, "array", true}, {"hostname", b.Hostname, "string", false}, {"action", b.Action, "string", false}} {
		if field.path == "" && !field.needed {
			continue
		}
		path, err := contract.ParsePath(field.path)
		if err != nil {
			f.add("bot_check.%s: %v", field.name, err)
			continue
		}
		if s, err := op.LookupReply(path); err != nil || s == nil || !slices.Contains(s.Types, field.kind) {
			f.add("bot_check.%s: the answer of %s has no %s %q", field.name, b.Operation, field.kind, field.path)
		}
	}
}
