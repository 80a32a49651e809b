package config

func connectionKeys() *key {
	return &key{kind: kindObject, keys: []*key{
		{name: "provider", kind: kindText, required: true, want: "a provider id (`sallyport providers list`)", example: "PROVIDER", doc: "The provider's id in the catalog (`sallyport providers list`)."},
		{name: "mode", kind: kindText, required: true, enum: []string{"live", "sandbox", "mock"}, want: "live, sandbox or mock", example: "sandbox",
			doc: "`live`, `sandbox` (the provider's test system) or `mock` (answered by Sallyport itself; needs no credentials)."},
		{name: "credentials", kind: kindTable, names: fieldPattern, namesAre: "FIELD",
			doc:     "The provider's credentials (`sallyport providers show ID` names them). Secrets are named by reference, `env:NAME`, `file:/path` or `keystore:site/name`, never written; identifiers that the catalog does not call secret may stand here literally.",
			item:    &key{kind: kindText, want: "a reference such as env:NAME, file:/path or keystore:site/name", example: "keystore:shop/stripe"},
			example: "{secret_key: keystore:shop/stripe}"},
		{name: "auth", kind: kindText, def: "the catalog's for each operation", want: "the name of an auth that the provider's operations can use instead", example: "oauth",
			doc: "Another way to prove who calls, where the provider has several (`sallyport providers show ID`): `oauth` or `api-key` for Twilio."},
		{name: "public", kind: kindTable, names: fieldPattern, namesAre: "FIELD", doc: "Values that pages need, such as publishable keys and client ids; they reach `client.js`.",
			item: &key{kind: kindText, want: "the value, in quotes if it looks like a number", example: "pk_test_…"}, example: "{publishable_key: pk_test_…}"},
		{name: "version", kind: kindText, def: "the catalog's", want: "the provider's version, in quotes if it looks like a number", example: "2026-09-30.endive", doc: "The provider's API version to pin, where the provider has versions."},
		{name: "served_at", kind: kindList, single: true, def: "none of its own", doc: "The connection's own hosts, or own `address:port`, where the provider's paths start at the root, for SDKs that take only a host.",
			item: &key{kind: kindText, example: `"127.0.0.1:9001"`, want: `a host name or an address with port such as "127.0.0.1:9001"`}, example: `["127.0.0.1:9001"]`},
		{name: "upstream", kind: kindObject, def: "the provider's own hosts", doc: "Another server instead of the provider's, for tests, staging or a private mirror.", keys: []*key{
			{name: "url", kind: kindText, required: true, want: "an https:// address without a path", example: `"https://127.0.0.1:12112"`, doc: "Scheme, host and port; https only."},
			{name: "ca", kind: kindText, def: "the system's roots", want: "a path to a PEM file", example: "./mock-ca.pem", doc: "PEM file with the roots that vouch for it."},
			{name: "private", kind: kindSwitch, def: "false", example: "true", doc: "It may be at a non-public address. Refused in mode live, logged at every start."},
		}},
		{name: "browser", kind: kindTable, names: operationName, namesAre: "OPERATION", def: "nothing", item: ruleKeys(),
			doc: "What a browser may do: operations by name (`sallyport providers show ID`). Only fields named under `free`, `fixed`, `one_of`, `range`, `sealed`, `owned` or `from` pass. Whatever a browser may do, any stranger may do: Origin can be forged."},
		{name: "backend", kind: kindList, def: "nothing", doc: "Operations that the site's backend may call with a site key, or the word `all`.",
			or:   &key{kind: kindText, enum: []string{"all"}},
			item: &key{kind: kindText, example: "create-refund", want: "an operation name"}, example: "[create-payment-intent, create-refund]", want: "a list of operations, or all"},
		limitKey("Limits over the connection."),
		budgetKey("What all calls of the connection may cost."),
		{name: "costs", kind: kindTable, names: operationName, namesAre: "OPERATION", def: "the catalog's prices", doc: "What one call costs, by operation, for budgets of money; `others` stands for all operations that have a price neither here nor in the catalog (`sallyport providers show ID`).",
			item: &key{kind: kindText, want: "an amount such as 0.05 USD", example: "0.05 USD"}, example: "{create-message: 0.05 USD, others: 0 USD}"},
		observeKey("Checks that only report for this connection."),
		mockKeys(),
		{name: "purpose", later: "consent and purposes are not recorded; do not connect a provider that needs the visitor's consent"},
		webhookKeys(),
		loginKeys(),
		connectKeys(),
	}}
}

func mockKeys() *key {
	return &key{name: "mock", kind: kindObject, doc: "Switches of mode mock.", keys: []*key{
		{name: "seed", kind: kindWhole, def: "0", example: "42", doc: "Answers are the same for the same seed."},
		{name: "latency", kind: kindText, def: "0ms", pattern: durationPattern, want: "a time such as 250ms", example: "250ms", doc: "How long each answer takes; at most 60s."},
		{name: "rate_limited", kind: kindShare, def: "0", example: "0.1", doc: "Share of calls answered as the provider throttles, 0 to 1."},
		{name: "server_error", kind: kindShare, def: "0", example: "0.1", doc: "Share of calls answered with a server error, 0 to 1."},
		{name: "bad_body", kind: kindShare, def: "0", example: "0.1", doc: "Share of calls answered with a body that cannot be parsed, 0 to 1."},
		{name: "wrong_schema", kind: kindShare, def: "0", example: "0.1", doc: "Share of calls answered against the contract, 0 to 1."},
	}}
}

func pathList(name, doc, example string) *key {
	return &key{name: name, kind: kindList, single: true, doc: doc, example: "[" + example + "]", item: &key{kind: kindText, example: example, want: "a parameter path such as amount or line_items[0].quantity"}}
}

func ruleKeys() *key {
	returns := pathList("returns", "Fields of the answer that the browser gets; `[]` for none. Everything else is taken out.", "id")
	returns.required = true
	return &key{kind: kindObject, keys: []*key{
		pathList("free", "Parameters in the browser's own words, within the contract.", "receipt_email"),
		{name: "fixed", kind: kindTable, namesAre: "PATH", doc: "Values that the gate inserts; a browser that sends the field is refused.", item: &key{kind: kindAny, example: "eur"}, example: "{currency: eur}"},
		{name: "one_of", kind: kindTable, namesAre: "PATH", doc: "Parameters for which the browser chooses one of the listed values.",
			item: &key{kind: kindList, item: &key{kind: kindAny, example: "SHOP"}, want: "a list of values such as [SHOP, GIFTS]"}, example: "{statement_descriptor: [SHOP, GIFTS]}"},
		{name: "range", kind: kindTable, namesAre: "PATH", doc: "Whole numbers that the browser chooses between two bounds, both allowed.", example: "{amount: {min: 500, max: 500000}}",
			item: &key{kind: kindObject, want: "{min: 500, max: 500000}", keys: []*key{
				{name: "min", kind: kindWhole, required: true, example: "500", doc: "The smallest value."},
				{name: "max", kind: kindWhole, required: true, example: "500000", doc: "The largest value."},
			}}},
		pathList("sealed", "Parameters that only the site's backend sets: their values come inside a permit that it signs, and a browser that sends the field is refused. Without a permit the call is refused (docs/guide/permits.md).", "amount"),
		pathList("owned", "Ids that the browser may name only because this visit received them from this connection: in a field that `returns` showed it. See docs/guide/owned-objects.md.", "intent"),
		{name: "from", kind: kindTable, namesAre: "PATH", doc: "Parameters whose values the gate computes from the order that the browser sends (`Sallyport-Order: mug=2, shirt=1`) and a price list of the site: the list's name for its total, or with `.total`, `.subtotal` (without shipping), `.shipping`, `.currency`, `.order` (the order as text). A browser that sends the field is refused (docs/guide/shop-without-a-backend.md).",
			item: &key{kind: kindText, want: "a price list's name, or a part of it such as catalogue.currency", example: "catalogue.total"}, example: "{amount: catalogue.total, currency: catalogue.currency}"},
		returns,
		pathList("receipt", "Fields of the answer, whether returned or not, that the gate states in a signed receipt for the site's backend (docs/guide/receipts.md).", "status"),
		limitKey("Limits for this operation, beside those of the connection and the site."),
		vouchedKey(),
		budgetKey("What browsers' calls of this operation may cost, beside the budgets of the connection and the site."),
	}}
}
