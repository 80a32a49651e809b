package config

import "sallyport/internal/order"

const (
	softPattern     = `^[0-9]{1,3}%$`
	languagePattern = `^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`
)

func budgetKey(doc string) *key {
	amount := &key{kind: kindText, want: "an amount such as 20 USD, or 200 calls", example: "20 USD"}
	return &key{name: "budget", kind: kindObject, def: "none", want: "{day: 20 USD, month: 300 USD}", example: "{day: 20 USD, month: 300 USD}",
		doc: doc + " A call that a budget does not pay for is refused with `budget_exhausted`; callers nobody vouches for share a fifth of each budget (docs/guide/budgets.md).", keys: []*key{
			{name: "day", kind: kindList, single: true, item: amount, want: "an amount such as 20 USD, or 200 calls", example: "20 USD", doc: "What calls may cost from midnight to midnight (UTC): an amount of money, a number of calls, or a list of both."},
			{name: "month", kind: kindList, single: true, item: amount, want: "an amount such as 300 USD, or 5000 calls", example: "300 USD", doc: "What calls may cost in a calendar month (UTC)."},
			{name: "soft", kind: kindText, def: "80%", pattern: softPattern, want: "a share such as 80%", example: "80%", doc: "At which share of a budget an alert is raised, once in its day or month."},
		}}
}

func pricesKey() *key {
	return &key{name: "prices", kind: kindTable, names: namePattern, namesAre: "LIST", doc: "Price lists by name, for shops without a backend: a browser sends how many of which item, and the gate computes what that costs (`from` in a browser's rule).",
		item: &key{kind: kindObject, want: "{currency: eur, items: {mug: {amount: 1900}}}", keys: []*key{
			{name: "currency", kind: kindText, required: true, want: "a code of ISO 4217 such as eur", example: "eur", doc: "The currency of every amount of the list, in either case."},
			{name: "decimals", kind: kindWhole, most: maxDecimals, def: "the currency's", example: "2", doc: "How many decimals amounts have, where the provider takes amounts as text (`\"38.00\"`). Needed only for currencies about which sources differ."},
			{name: "items", kind: kindTable, required: true, names: order.NameRule, namesAre: "ITEM", doc: "What can be bought; at most 200 items.",
				item: &key{kind: kindObject, want: "{amount: 1900, max: 5}", keys: []*key{
					{name: "amount", kind: kindWhole, required: true, want: "a whole number in the minor unit: 1900 is 19.00 EUR", example: "1900", doc: "The price of one piece, a whole number in the currency's minor unit (cents), as the provider counts it."},
					{name: "max", kind: kindWhole, def: "`order.items`", example: "5", doc: "The most pieces of it in one order."},
					{name: "title", kind: kindTable, names: languagePattern, namesAre: "LANGUAGE", doc: "What it is called, by language; reaches `client.js`.", item: &key{kind: kindText, want: "text, in quotes if it looks like a number", example: "Mug"}, example: "{en: Mug, de: Becher}"},
				}}},
			{name: "shipping", kind: kindObject, def: "nothing", doc: "What an order costs beside its items.", keys: []*key{
				{name: "flat", kind: kindWhole, required: true, example: "490", doc: "One amount for each order, in the minor unit."},
				{name: "free_from", kind: kindWhole, def: "never free", example: "5000", doc: "From this worth of items on, shipping costs nothing."},
			}},
			{name: "order", kind: kindObject, doc: "Limits of one order.", keys: []*key{
				{name: "items", kind: kindWhole, def: "20", example: "20", doc: "The most pieces, of all items together."},
				{name: "min", kind: kindWhole, def: "more than nothing", example: "500", doc: "The smallest total, with shipping."},
				{name: "max", kind: kindWhole, def: "what the pieces come to", example: "200000", doc: "The largest total, with shipping."},
			}},
		}}}
}
