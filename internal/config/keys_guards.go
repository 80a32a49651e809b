package config

import "sallyport/internal/phone"

const ratePattern = `^[0-9]+ per ([0-9]+ )?(second|minute|hour|day)s?$`

// guardKeys are the guards against abuse of a site. Their defaults are those of
// guard.Defaults; a test holds the two together.
func guardKeys() *key {
	return &key{name: "guards", kind: kindObject, def: "all on, with the defaults below", doc: "Guards against abuse. They are on without being named; each can observe first. What they are for: [stop-abuse.md](../guide/stop-abuse.md).", keys: []*key{
		{name: "cards", kind: kindObject, doc: "Card testing: somebody tries stolen cards on your checkout.", keys: []*key{
			guardMode(),
			limitList("attempts", "[10 per 10 minutes per session, 40 per 10 minutes per prefix]", "Attempts to pay of one session and of one network. A key that is not named keeps its default."),
			limitList("declines", "[5 per hour per session, 12 per hour per prefix]", "Declined cards of one session and of one network. A network is refused only where `share` of its known outcomes are declines, so that an office or a mobile carrier is not."),
			{name: "share", kind: kindShare, def: "0.5", example: "0.5", doc: "The share of declines from which a network, and the site, count as attacked."},
			rate("alarm", "40 per 10 minutes", "Declines of the whole site that are an attack. The site is not closed: each session and each network then has 2 declines an hour, proofs of work cost more, and an alert is sent."),
		}},
		{name: "messages", kind: kindObject, doc: "Message pumping: somebody has messages sent to numbers that earn them money.", keys: []*key{
			guardMode(),
			{name: "countries", kind: kindList, single: true, def: "none", doc: "Countries whose numbers a browser may have messages sent to, as two letters. Needed as soon as a browser may choose a number.",
				item: &key{kind: kindText, example: "GB", pattern: "^[A-Z]{2}$", want: "a country as two upper-case letters, such as GB"}, example: "[GB, IE]"},
			{name: "types", kind: kindList, single: true, def: "[mobile, email]", doc: "Types of lines that a browser may have messages sent to. Premium, shared-cost and VoIP numbers and those of satellite networks are refused unless they are named. `mobile` includes the numbers of countries that do not tell mobile from fixed.",
				item: &key{kind: kindText, enum: lineTypes(), example: "mobile", want: "mobile, email, fixed, voip, toll_free or another type of line"}, example: "[mobile, email]"},
			limitList("sends", "[6 per hour per session, 30 per hour per prefix]", "Messages for one session and for one network."),
			rate("per_number", "6 per hour", "Messages to one number or e-mail address from browsers."),
			rate("backend_per_number", "30 per hour", "Messages to one number or e-mail address from the site's backend, which is held to nothing else here."),
			rate("per_range", "6 per hour", "Different numbers of one block: those that differ in the last three digits only."),
			rate("per_country", "100 per hour", "Messages to one country that carry no code for the visitor to enter through the gate."),
			{name: "run", kind: kindWhole, def: "4", example: "4", most: 100, doc: "How many numbers that follow each other within an hour are refused. 0 turns it off."},
			{name: "unanswered", kind: kindWhole, def: "50", example: "50", most: 100_000, doc: "Codes of one country that may be waiting to be entered. 0 turns this and `conversion` off."},
			{name: "conversion", kind: kindShare, def: "0.2", example: "0.2", doc: "Share of codes that must have been entered once `unanswered` of one country were sent. Below it the country is closed for visits that nobody vouches for."},
		}},
		{name: "autocomplete", kind: kindObject, doc: "Completing what a visitor types: the gate makes the session token, so that the calls of one search are billed together.", keys: []*key{
			guardMode(),
			{name: "min_characters", kind: kindWhole, def: "3", example: "3", most: 20, doc: "Characters that must have been typed. A Chinese, Japanese or Korean sign counts for two."},
			limitList("searches", "[30 per hour per session, 600 per hour per prefix]", "Searches that one session and one network may begin."),
		}},
	}}
}

func lineTypes() []string {
	var out []string
	for _, k := range phone.Kinds() {
		out = append(out, string(k))
	}
	return append(out, "email")
}

func guardMode() *key {
	return &key{name: "mode", kind: kindText, def: "enforce", enum: []string{"enforce", "observe", "off"}, example: "observe", want: "enforce, observe or off",
		doc: "`enforce` refuses, `observe` only reports and alerts, `off` does not look."}
}

func limitList(name, def, doc string) *key {
	return &key{name: name, kind: kindList, single: true, def: "`" + def + "`", doc: doc, example: def,
		item: &key{kind: kindText, example: "10 per hour per session", pattern: limitPattern, parsed: true, want: "a limit such as 10 per hour per session"}}
}

func rate(name, def, doc string) *key {
	return &key{name: name, kind: kindText, def: def, example: def, pattern: ratePattern, parsed: true, want: "a rate such as " + def, doc: doc}
}
