package e2e

import "strings"

// attackTargets are the eight providers, each with what a site would open to browsers there.
func attackTargets() []attackTarget {
	return []attackTarget{attackStripe(), attackPayPal(), attackTwilio(), attackVonage(), attackMaps(), attackGoogle(), attackFacebook(), attackZigpoll()}
}

func attackStripe() attackTarget {
	const intents = "/v1/payment_intents"
	return attackTarget{provider: "stripe", mode: "sandbox", credentials: "{secret_key: env:TEST_STRIPE_KEY}",
		browser: `
create-payment-intent: {free: [receipt_email, metadata], fixed: {currency: eur}, sealed: [amount], owned: [customer, payment_method], returns: [id, status, customer], receipt: [id, amount, currency]}
create-customer: {free: [description], returns: [id]}
retrieve-payment-intent: {owned: [intent], returns: [id, status]}
cancel-payment-intent: {owned: [intent], returns: [status]}
list-payment-intents: {owned: [customer], returns: [has_more]}
list-prices: {returns: ["data[].id"]}
list-payment-methods: {owned: [customer], returns: ["data[].id"]}
create-checkout-session: {owned: ["line_items[].price"], free: ["line_items[].quantity", success_url], fixed: {mode: payment}, returns: [id, url]}`,
		sealed: sealedCall{operation: "create-payment-intent", method: "POST", path: intents, body: `{"receipt_email":"ada@example.com"}`,
			sealed: map[string]any{"amount": 4711},
			beside: []string{`{"amount":1}`, `{"amount":4711}`, `{"amount":{"x":1}}`, `{"amount":[1]}`, `{"amount":null}`, `{"currency":"usd"}`, `{"currency":["eur","usd"]}`, `{"Amount":1}`,
				`{"amount":1,"amount":2}`, intents + "?amount=1", intents + "?currency=usd", intents + "?amount[]=1", `{"transfer_data":{"destination":"acct_1"}}`,
				`{"on_behalf_of":"acct_1"}`, `{"application_fee_amount":1}`, `{"confirm":true}`}},
		gives: []giver{{name: "intent", permit: true, match: `"id":"(pi_\w+)"`}, {name: "customer", method: "POST", path: "/v1/customers", body: `{"description":"x"}`, match: `"id":"(cus_\w+)"`},
			{name: "price", method: "GET", path: "/v1/prices", match: `"id":"(price_\w+)"`, invented: "price_of_nobody"}},
		places: []idPlace{
			{"intent", "GET", intents + "/{id}", ""}, {"intent", "POST", intents + "/{id}/cancel", ""},
			{"customer", "GET", intents + "?customer={id}", ""}, {"customer", "GET", "/v1/payment_methods?customer={id}", ""},
			{"price", "POST", "/v1/checkout/sessions", `{"success_url":"https://shop.example/ok","line_items":[{"price":"{own}","quantity":1},{"price":"{id}","quantity":1}]}`},
		},
		rows: []attackRow{
			{name: "another account by header", method: "POST", path: intents, body: `{}`, header: [2]string{"Stripe-Account", "acct_1"}, code: "parameter_refused"},
			{name: "another context by header", method: "GET", path: "/v1/prices", header: [2]string{"stripe-context", "acct_1"}, code: "parameter_refused"},
			{name: "an id of another kind", method: "GET", path: intents + "/cus_1", code: "not_owned"},
			{name: "leads the visitor elsewhere", method: "POST", path: "/v1/checkout/sessions", body: `{"success_url":"https://shop.example@evil.example/"}`, code: "parameter_refused"},
			{name: "refunds himself", method: "POST", path: "/v1/refunds", body: `{"payment_intent":"pi_1"}`, code: "operation_refused"},
		}}
}

func attackPayPal() attackTarget {
	units := []any{map[string]any{"amount": map[string]any{"currency_code": "EUR", "value": "47.11"}}}
	const orders, tokens = "/v2/checkout/orders", "/v3/vault/payment-tokens"
	return attackTarget{provider: "paypal", mode: "mock",
		browser: `
create-order: {free: [application_context], fixed: {intent: CAPTURE}, sealed: [purchase_units], returns: [id, status], receipt: [id, status]}
retrieve-order: {owned: [id], returns: [status]}
capture-order: {owned: [id], returns: [status]}
create-setup-token: {fixed: {payment_source: {paypal: {usage_type: MERCHANT, experience_context: {return_url: "https://shop.example/ok", cancel_url: "https://shop.example/no"}}}}, returns: [id]}
create-payment-token: {owned: [payment_source.token.id], fixed: {payment_source.token.type: SETUP_TOKEN}, returns: [id]}`,
		sealed: sealedCall{operation: "create-order", method: "POST", path: orders, body: `{}`, sealed: map[string]any{"purchase_units": units},
			beside: []string{`{"purchase_units":[{"amount":{"currency_code":"EUR","value":"0.01"}}]}`, `{"purchase_units":[{"amount":{"value":"0.01"}}]}`, `{"purchase_units":[{"amount":{"currency_code":"XXX"}}]}`,
				`{"purchase_units":[]}`, `{"purchase_units":null}`, `{"purchase_units":[{"payee":{"email_address":"eve@evil.example"}}]}`, `{"intent":"AUTHORIZE"}`, orders + "?purchase_units=1", `{"intent":["CAPTURE"]}`}},
		gives: []giver{{name: "order", permit: true, match: `"id":"(\w+)"`}, {name: "token", method: "POST", path: "/v3/vault/setup-tokens", body: `{}`, match: `"id":"(\w+)"`}},
		places: []idPlace{{"order", "GET", orders + "/{id}", ""}, {"order", "POST", orders + "/{id}/capture", ""},
			{"token", "POST", tokens, `{"payment_source":{"token":{"id":"{id}"}}}`}},
		rows: []attackRow{
			{name: "another merchant by header", method: "POST", path: orders, body: `{}`, header: [2]string{"PayPal-Auth-Assertion", "eyJhbGciOiJub25lIn0.eyJwYXllcl9pZCI6IjEifQ."}, code: "parameter_refused"},
			{name: "leads the buyer elsewhere", method: "POST", path: orders, body: `{"application_context":{"return_url":"https://evil.example/"}}`, code: "parameter_refused"},
			{name: "refunds himself", method: "POST", path: "/v2/payments/captures/2GG279541U471931P/refund", body: `{}`, code: "operation_refused"},
		}}
}

func attackTwilio() attackTarget {
	const account, verify = "/2010-04-01/Accounts/_", "/v2/Services/_"
	return attackTarget{provider: "twilio", mode: "sandbox",
		credentials: "{account_sid: AC0123456789abcdef0123456789abcdef, auth_token: env:TEST_TWILIO_TOKEN}",
		browser: `
create-message: {free: [StatusCallback], fixed: {From: "+447700900001", Body: "Your order is on its way"}, sealed: [To], returns: [sid, status], receipt: [sid, status]}
fetch-message: {owned: [Sid], returns: [status]}
create-call: {free: [To], fixed: {From: "+447700900001", Twiml: "<Response/>"}, returns: [sid]}
list-recordings: {owned: [CallSid], returns: []}
create-verification: {free: [To], fixed: {ServiceSid: VA00000000000000000000000000000001, Channel: sms}, returns: [status]}
check-verification: {free: [Code], owned: [To], fixed: {ServiceSid: VA00000000000000000000000000000001}, returns: [status]}`,
		sealed: sealedCall{operation: "create-message", method: "POST", path: account + "/Messages.json", body: `{}`, sealed: map[string]any{"To": "+447700900123"},
			beside: []string{`{"To":"+8821000000"}`, `{"To":["+447700900123","+8821000000"]}`, `{"Body":"buy"}`, `{"From":"+447700900009"}`, `{"MessagingServiceSid":"MG00000000000000000000000000000001"}`,
				account + "/Messages.json?To=%2B8821000000", `{"to":"+8821000000"}`}},
		gives:  []giver{{name: "message", permit: true, match: `"sid":"(SM\w+)"`}, {name: "call", method: "POST", path: account + "/Calls.json", body: `{"To":"+447700900123"}`, match: `"sid":"(CA\w+)"`}},
		places: []idPlace{{"message", "GET", account + "/Messages/{id}.json", ""}, {"call", "GET", account + "/Recordings.json?CallSid={id}", ""}},
		rows: []attackRow{
			{name: "a number that no code was sent to", method: "POST", path: verify + "/VerificationCheck", body: `{"To":"+447700900777","Code":"123456"}`, code: "not_owned"},
			{name: "numbers in a list", method: "POST", path: verify + "/VerificationCheck", body: `{"To":["+447700900777"],"Code":"123456"}`, code: "not_owned|parameter_refused"},
			{name: "another service", method: "POST", path: "/v2/Services/VA00000000000000000000000000000002/Verifications", body: `{"To":"+447700900777"}`, code: "parameter_refused"},
			{name: "another account in the body", method: "POST", path: account + "/Calls.json", body: `{"To":"+447700900123","AccountSid":"AC00000000000000000000000000000002"}`, code: "parameter_refused|contract_violation"},
			{name: "a callback elsewhere", method: "POST", path: account + "/Messages.json", body: `{"StatusCallback":"https://evil.example/"}`, code: "parameter_refused"},
			{name: "deletes messages", method: "DELETE", path: account + "/Messages/SM" + strings.Repeat("1", 32) + ".json", code: "operation_refused"},
		}}
}

func attackVonage() attackTarget {
	return attackTarget{provider: "vonage", mode: "sandbox", credentials: "{api_key: abcd1234, api_secret: env:TEST_VONAGE_SECRET}",
		browser: `
send-sms: {free: [callback], fixed: {from: SHOP, text: "Your order is on its way"}, sealed: [to], returns: [message-count], receipt: [message-count]}
create-verification: {free: ["workflow[0].to"], fixed: {brand: Shop, "workflow[0].channel": sms}, returns: [request_id]}
check-verification: {owned: [request_id], free: [code], returns: [status]}
create-verification-v1: {free: [number], fixed: {brand: Shop}, returns: [request_id]}
fetch-verification-v1: {owned: [request_id], returns: [status]}
check-verification-v1: {owned: [request_id], free: [code], returns: [status]}`,
		sealed: sealedCall{operation: "send-sms", method: "POST", path: "/sms/json", body: `{}`, sealed: map[string]any{"to": "447700900123"},
			beside: []string{`{"to":"8821000000"}`, `{"to":["447700900123","8821000000"]}`, `{"text":"buy"}`, `{"from":"BANK"}`, `{"account-ref":"other"}`, "/sms/json?to=8821000000", `{"to":null}`}},
		gives: []giver{{name: "verification", method: "POST", path: "/v2/verify", body: `{"workflow":[{"to":"447700900123"}]}`, match: `"request_id":"([\w-]+)"`},
			{name: "v1", method: "POST", path: "/verify/json", body: `{"number":"447700900123"}`, match: `"request_id":"(\w+)"`}},
		places: []idPlace{{"verification", "POST", "/v2/verify/{id}", `{"code":"1234"}`}, {"v1", "GET", "/verify/search/json?request_id={id}", ""},
			{"v1", "POST", "/verify/check/json", `{"request_id":"{id}","code":"1234"}`}},
		rows: []attackRow{
			{name: "another account", method: "GET", path: "/verify/search/json?api_key=other123&api_secret=x", code: "parameter_refused|contract_violation|bad_query"},
			{name: "a second number", method: "POST", path: "/v2/verify", body: `{"workflow":[{"to":"447700900123"},{"to":"8821000000","channel":"voice"}]}`, code: "parameter_refused"},
			{name: "a callback elsewhere", method: "POST", path: "/sms/json", body: `{"callback":"https://evil.example/"}`, code: "parameter_refused"},
			{name: "redacts", method: "POST", path: "/v1/redact/transaction", body: `{"id":"1","product":"sms","type":"outbound"}`, code: "operation_refused"},
		}}
}

func attackMaps() attackTarget {
	return attackTarget{provider: "google-maps", mode: "sandbox", credentials: "{api_key: env:TEST_MAPS_KEY}",
		browser: `
geocode: {sealed: [address], fixed: {language: en}, returns: [status], receipt: [status]}
autocomplete-places: {free: [input], returns: ["suggestions[].placePrediction.placeId"]}
get-place: {owned: [placesId], fixed: {X-Goog-Fieldmask: displayName}, returns: [displayName]}
get-place-legacy: {owned: [place_id], returns: [status]}
compute-routes: {owned: [origin.placeId], fixed: {destination: {address: "1 High Street"}, X-Goog-Fieldmask: routes.duration}, returns: ["routes[].duration"]}`,
		sealed: sealedCall{operation: "geocode", method: "GET", path: "/maps/api/geocode/json", sealed: map[string]any{"address": "1 High Street"},
			beside: []string{"/maps/api/geocode/json?address=elsewhere", "/maps/api/geocode/json?address[]=elsewhere", "/maps/api/geocode/json?language=fr", "/maps/api/geocode/json?latlng=1,2", "/maps/api/geocode/json?Address=elsewhere"}},
		gives: []giver{{name: "place", method: "POST", path: "/v1/places:autocomplete", body: `{"input":"high street"}`, match: `"placeId":"([\w-]+)"`, invented: "ChIJ0123456789abcdefghijkl"}},
		places: []idPlace{{"place", "GET", "/v1/places/{id}", ""}, {"place", "GET", "/maps/api/place/details/json?place_id={id}", ""},
			{"place", "POST", "/directions/v2:computeRoutes", `{"origin":{"placeId":"{id}"}}`}},
		rows: []attackRow{
			{name: "another project pays", method: "POST", path: "/v1/places:autocomplete", body: `{"input":"x"}`, header: [2]string{"X-Goog-User-Project", "other"}, code: "parameter_refused"},
			{name: "all fields, which cost more", method: "GET", path: "/maps/api/place/details/json?fields=reviews", code: "parameter_refused"},
			{name: "another key", method: "GET", path: "/maps/api/geocode/json?key=AIzaOther", code: "parameter_refused|contract_violation"},
		}}
}

func attackGoogle() attackTarget {
	return attackTarget{provider: "google-signin", mode: "mock", noIDs: true,
		browser: `
exchange-token: {free: [code, redirect_uri], fixed: {grant_type: authorization_code}, sealed: [code_verifier], returns: [expires_in], receipt: [expires_in]}`,
		sealed: sealedCall{operation: "exchange-token", method: "POST", path: "/token", body: `{"code":"4/abcdefghijklmnop","redirect_uri":"https://shop.example/in"}`,
			sealed: map[string]any{"code_verifier": strings.Repeat("v", 43)},
			beside: []string{`{"code":"4/abcdefghijklmnop","redirect_uri":"https://shop.example/in","code_verifier":"` + strings.Repeat("w", 43) + `"}`,
				`{"grant_type":"refresh_token","refresh_token":"1//abcdefghijklmnop"}`, `{"code":"4/abcdefghijklmnop","redirect_uri":"https://evil.example/in"}`,
				`{"code":"4/abcdefghijklmnop","redirect_uri":"https://shop.example/in","client_id":"other"}`, "/token?code_verifier=x", `{"code":"4/abcdefghijklmnop","redirect_uri":["https://shop.example/in"]}`}},
		rows: []attackRow{
			{name: "a login that returns elsewhere", method: "POST", path: "/token", body: `{"code":"4/abcdefghijklmnop","redirect_uri":"https://shop.example.evil.example/"}`, code: "parameter_refused"},
			{name: "somebody's token", method: "POST", path: "/revoke", body: `{"token":"ya29.abcdefghijklmnop"}`, code: "operation_refused"},
		}}
}

func attackFacebook() attackTarget {
	return attackTarget{provider: "facebook-login", mode: "sandbox", credentials: "{app_id: \"123456789012345\", app_secret: env:TEST_META_SECRET}",
		browser: `
debug-token: {sealed: [input_token], returns: [data.user_id, data.is_valid], receipt: [data.user_id]}
list-permissions: {owned: [user_id], returns: ["data[].permission"]}
exchange-token: {free: [code, redirect_uri], returns: [expires_in]}`,
		sealed: sealedCall{operation: "debug-token", method: "GET", path: "/v26.0/debug_token", sealed: map[string]any{"input_token": "EAAB0123456789abcdef"},
			beside: []string{"/v26.0/debug_token?input_token=EAABother0123456789", "/v26.0/debug_token?input_token[]=EAABother0123456789", "/v26.0/debug_token?access_token=other", "/v26.0/debug_token?Input_Token=EAABother0123456789"}},
		gives:  []giver{{name: "user", permit: true, match: `"user_id":"(\w+)"`, invented: "10229999999999999"}},
		places: []idPlace{{"user", "GET", "/v26.0/{id}/permissions", ""}},
		rows: []attackRow{
			{name: "a login that returns elsewhere", method: "GET", path: "/v26.0/oauth/access_token?code=abcdefghijklmnop&redirect_uri=https%3A%2F%2Fevil.example%2F", code: "parameter_refused"},
			{name: "revokes somebody's login", method: "DELETE", path: "/v26.0/10229999999999999/permissions", code: "operation_refused"},
			{name: "the events of the app go elsewhere", method: "POST", path: "/v26.0/_/subscriptions", body: `{"object":"user","callback_url":"https://evil.example/","fields":"name","verify_token":"x"}`, code: "operation_refused"},
		}}
}

func attackZigpoll() attackTarget {
	return attackTarget{provider: "zigpoll", mode: "sandbox", credentials: "{api_key: env:TEST_ZIGPOLL_KEY}",
		browser: `
list-polls: {fixed: {accountId: 6569f1a27c4d2e0012ab34cd}, returns: ["body[]._id"]}
list-slides: {owned: [pollId], returns: ["body[].title"]}
update-poll: {owned: [pollId], free: [isVisible], returns: [_id]}
generate-survey-link: {sealed: [metadata], fixed: {pollId: 6569f1a27c4d2e0012ab34ce}, returns: [url], receipt: [activityId]}`,
		sealed: sealedCall{operation: "generate-survey-link", method: "POST", path: "/generate-survey-link", body: `{}`, sealed: map[string]any{"metadata": map[string]any{"customer": "17"}},
			beside: []string{`{"metadata":{"customer":"18"}}`, `{"metadata":{"vip":"yes"}}`, `{"metadata":{}}`, `{"metadata":null}`, `{"pollId":"6569f1a27c4d2e0012ab34cf"}`, `{"accountId":"6569f1a27c4d2e0012ab34cf"}`,
				"/generate-survey-link?pollId=6569f1a27c4d2e0012ab34cf"}},
		gives:  []giver{{name: "poll", method: "GET", path: "/polls", match: `"_id":"(\w+)"`, invented: "6569f1a27c4d2e0012ab3499"}},
		places: []idPlace{{"poll", "GET", "/slides?pollId={id}", ""}, {"poll", "POST", "/poll/update", `{"pollId":"{id}","isVisible":true}`}},
		rows: []attackRow{
			{name: "another account", method: "GET", path: "/polls?accountId=6569f1a27c4d2e0012ab34cf", code: "parameter_refused"},
			{name: "two accounts", method: "GET", path: "/polls?accountId=6569f1a27c4d2e0012ab34cd&accountId=6569f1a27c4d2e0012ab34cf", code: "parameter_refused|bad_query"},
			{name: "everybody's answers", method: "GET", path: "/responses?accountId=6569f1a27c4d2e0012ab34cd", code: "operation_refused"},
		}}
}
