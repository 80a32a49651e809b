package config

import (
	"fmt"
	"maps"
	"slices"

	"sallyport/internal/egress"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

const actionPattern = `^[A-Za-z0-9_-]{1,32}$`

func vouchingKeys() *key {
	return &key{name: "vouching", kind: kindObject, def: "a proof of work before what costs", doc: "How the site tells scripts from visitors. A visit proves nothing by itself: a challenge, or a voucher of the site's backend, speaks for it.", keys: []*key{
		{name: "demand", kind: kindText, def: "costly", enum: []string{"costly", "all", "none"}, want: "costly, all or none", example: "costly",
			doc: "Which browser operations want a challenge from a visit for which nobody vouches: `costly` (those that move money, send messages or have a price), `all`, or `none`."},
		{name: "challenge", kind: kindText, def: "work", want: "work, or a connection to a bot check of this site", example: "work",
			doc: "`work` (a proof of work that client.js solves out of sight, without a third party), or the name of a connection to a provider that checks for bots (`sallyport providers list` shows them)."},
		{name: "action", kind: kindText, def: "any", pattern: actionPattern, want: "a name such as checkout", example: "checkout",
			doc: "The action that the bot check's widget must have been made with, where the provider has actions."},
		{name: "whole_budget", kind: kindText, def: "work", enum: []string{"work", "challenge", "backend"}, want: "work, challenge or backend", example: "backend",
			doc: "The least evidence with which a visit may draw on the whole of a budget; all others share 20 % of it. The site's backend itself always may."},
	}}
}

func vouchedKey() *key {
	return &key{name: "vouched", kind: kindText, def: "what the site's `vouching` demands", enum: []string{"required", "login"}, want: "required, login, or nothing", example: "required",
		doc: "`required`: only visits that the site's backend vouches for may call this operation; no challenge is enough. `login`: only visitors who are signed in, or for whose visit the backend vouches."}
}

// vouching reads what the site wants; whether its connection fits shows when all are known.
func (b *builder) vouching(v *value, s *site.Site) {
	switch demand := v.at("demand").str(); demand {
	case "all", "none":
		s.Vouching.Demand = site.Demand(demand)
	}
	if s.Vouching.Demand == site.DemandNone {
		b.file.Loosened = append(b.file.Loosened, Loosening{Where: v.at("demand").path, Line: v.at("demand").line,
			What: "nothing stands between a script and the operations that cost, but limits and what a rule asks for"})
	}
	if name := v.at("challenge").str(); name != "" && name != egress.ProofOfWork {
		s.Vouching.Challenge = name
	}
	s.Vouching.Action = v.at("action").str()
	if whole := v.at("whole_budget").str(); whole != egress.ProofOfWork {
		s.Vouching.WholeBudget = whole
	}
}

// botCheck checks the connection that the site named, when all are known.
func (b *builder) botCheck(v *value, s *site.Site) {
	at, name := v.at("challenge"), s.Vouching.Challenge
	var fit []string
	for _, other := range slices.Sorted(maps.Keys(s.Connections)) {
		if pack := b.checksBots(s.Connections[other]); pack != nil && other != egress.ProofOfWork {
			fit = append(fit, other)
		}
	}
	switch {
	case name == "" && v.at("action").present():
		b.fault(v.at("action"), "a proof of work has no action", "remove action, or name a connection to a bot check under challenge")
	case name == "":
	case s.Connections[name] == nil:
		b.fault(at, fmt.Sprintf("the site has no connection %q", name), orElse(didYouMeanOf(name, fit), "write work, or add a connection to a provider of the function bots (`sallyport providers list`)"))
	case !slices.Contains(fit, name) && b.known(s.Connections[name]):
		b.fault(at, fmt.Sprintf("%s is a connection of %s, which does not check for bots", name, s.Connections[name].Provider),
			orElse(didYouMeanOf(name, fit), "write work, or name a connection to a provider of the function bots (`sallyport providers list`)"))
	}
}

func didYouMeanOf(name string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	return didYouMean(name, known, "write work, or")
}

func (b *builder) checksBots(c *site.Connection) *provider.BotCheck {
	if !b.known(c) {
		return nil
	}
	pack, _ := b.catalog.Find(c.Provider)
	return pack.BotCheck
}

// known: another place names a provider that is not.
func (b *builder) known(c *site.Connection) bool {
	pack, err := b.catalog.Find(c.Provider)
	return err == nil && pack != nil
}
