package egress_test

import (
	"testing"

	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// TestStrayAddresses: an address for a visitor or a call is refused at any depth and in any
// list, and previews count only outside live.
func TestStrayAddresses(t *testing.T) {
	preview, err := site.ParsePreview("https://preview-*--shop.example")
	if err != nil {
		t.Fatal(err)
	}
	conns := map[string]*site.Connection{
		"orders": {Name: "orders", Provider: "paypal", Browser: map[string]*site.BrowserRule{
			"create-order": {Operation: "create-order", Free: paths(t, "application_context", "payment_source.paypal.experience_context", "intent", "purchase_units"), Returns: paths(t, "id")}}},
		"sms": {Name: "sms", Provider: "twilio", Account: map[string]string{"account_sid": "AC00000000000000000000000000000000"}, Browser: map[string]*site.BrowserRule{
			"create-message": {Operation: "create-message", Free: paths(t, "To", "Body", "From", "MediaUrl", "StatusCallback"), Returns: paths(t, "status")}}},
		"voice": {Name: "voice", Provider: "vonage", Browser: map[string]*site.BrowserRule{
			"create-call": {Operation: "create-call", Free: paths(t, "to", "from", "ncco", "answer_url", "event_url"), Returns: paths(t, "status")}}},
		"login": {Name: "login", Provider: "google-signin", Browser: map[string]*site.BrowserRule{
			"exchange-token": {Operation: "exchange-token", Free: paths(t, "code", "redirect_uri", "code_verifier", "grant_type"), Returns: paths(t, "expires_in")}}},
	}
	const order = `"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00"}}]`
	const sms = `"To":"+447700900123","From":"+447700900124","Body":"x"`
	const voice = `"to":[{"type":"phone","number":"447700900123"}],"from":{"type":"phone","number":"447700900124"}`
	for _, row := range []struct{ name, connection, target, before, after string }{
		{"in an object", "orders", "/v2/checkout/orders", `{` + order + `,"application_context":{"return_url":`, `}}`},
		{"deeper", "orders", "/v2/checkout/orders", `{` + order + `,"payment_source":{"paypal":{"experience_context":{"cancel_url":`, `}}}}`},
		{"a callback", "sms", "/2010-04-01/Accounts/_/Messages.json", `{` + sms + `,"StatusCallback":`, `}`},
		{"in a list", "sms", "/2010-04-01/Accounts/_/Messages.json", `{` + sms + `,"MediaUrl":["https://shop.example/a.png",`, `]}`},
		{"in a list of one", "voice", "/v1/calls", `{` + voice + `,"answer_url":[`, `]}`},
		{"where a login returns", "login", "/token", `{"grant_type":"authorization_code","code":"4/abcdefghijkl","redirect_uri":`, `}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			for address, want := range map[string][2]bool{ // in sandbox, in live
				"https://shop.example/back":            {true, true},
				"https://preview-7--shop.example/back": {true, false},
				"https://evil.example/back":            {false, false},
				"https://shop.example.evil.example/":   {false, false},
				"https://shop.example@evil.example/":   {false, false},
				"//shop.example/":                      {false, false},
			} {
				for i, mode := range []provider.Mode{provider.Sandbox, provider.Live} {
					c := *conns[row.connection]
					c.Mode = mode
					w := open(t)
					shop := &site.Site{Name: "shop", Origins: []site.Origin{shopOrigin}, PreviewOrigins: []site.Preview{preview}, Connections: map[string]*site.Connection{c.Name: &c}, Guards: unguarded()}
					w.buildSite(shop)
					a := w.Call(t.Context(), browser(c.Name, "POST", row.target, row.before+`"`+address+`"`+row.after))
					stray := a.Problem != nil && a.Problem.Code == problem.ParameterRefused
					if stray == want[i] || !stray && w.upstream.count() != 1 || stray && w.upstream.count() != 0 {
						t.Errorf("%s, %s: %+v, %d sent; want it to pass: %v", mode, address, a.Problem, w.upstream.count(), want[i])
					}
				}
			}
		})
	}
}
