package egress_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// bodyKeys is a gate with providers whose key stands in a field or in one text of two halves.
func bodyKeys(t *testing.T) *world {
	t.Helper()
	w := withTokens(t,
		&site.Connection{Name: "bots", Provider: "hcaptcha", Mode: provider.Live, BackendAll: true},
		&site.Connection{Name: "sms", Provider: "vonage", Mode: provider.Live, BackendAll: true},
		&site.Connection{Name: "other", Provider: "vonage", Mode: provider.Live, BackendAll: true},
		&site.Connection{Name: "graph", Provider: "facebook-login", Mode: provider.Live, BackendAll: true, Account: map[string]string{"app_id": "123456789012345"}})
	w.upstream.always(reply(404, `{}`), nil) // only the way there matters
	return w
}

// TestKeyInAField: a stand-in that an SDK sends as a field of a form or of JSON, or as two
// halves in one text, is found there, and no part of it goes on to the provider.
func TestKeyInAField(t *testing.T) {
	w := bodyKeys(t)
	secret := func(k session.Printed) string { return string(k.Secret.Expose()) }
	bot, sms := w.keyOf("shop", "bots", shapeOf(t, "hcaptcha", "hcaptcha")), w.keyOf("shop", "sms", pairShape(t, "vonage"))
	app := w.keyOf("shop", "graph", pairShape(t, "facebook-login"))
	whole := w.keyOf("shop", "", session.DefaultShape())
	text := func(k session.Printed) string {
		return url.Values{"api_key": {k.User}, "api_secret": {secret(k)}, "from": {"SHOP"}, "to": {"447700900000"}, "text": {"ready"}}.Encode()
	}
	formed := func(connection, path, body string) *egress.Call {
		return call(connection, "POST", path, body, "Content-Type", form)
	}
	const send, verify = "/sms/json", "/siteverify"
	const inspect = "/v26.0/debug_token?input_token=EAAB1234567890"
	for _, row := range []struct {
		name string
		call *egress.Call
		sent bool
	}{
		{"a field of a form", formed("bots", verify, "secret="+secret(bot)+"&response=token"), true},
		{"its name escaped", formed("bots", verify, "%73ecret="+secret(bot)+"&response=token"), true},
		{"a key of another shape", formed("bots", verify, "response=token&secret="+secret(whole)), true},
		{"a pair in a form", formed("sms", send, text(sms)), true},
		{"half a pair in a form", formed("sms", send, text(session.Printed{User: "0a1b2c3d", Secret: sms.Secret})), false},
		{"a pair of another connection", formed("other", send, text(sms)), false},
		{"a key of another connection", formed("bots", verify, "response=token&secret="+secret(sms)), false},
		{"no secret", formed("bots", verify, "response=token"), false},
		{"a field of another provider", formed("bots", verify, "response=token&api_secret="+secret(bot)), false},
		{"a form that is called JSON", call("bots", "POST", verify, "secret="+secret(bot)+"&response=token"), false},
		{"a form that is called text", call("bots", "POST", verify, "secret="+secret(bot)+"&response=token", "Content-Type", "text/plain"), false},
		{"a field of a query", formed("bots", verify+"?secret="+secret(bot), "response=token"), false},
		{"two keys at once", formed("sms", send, strings.Replace(text(sms), "api_key="+sms.User, "api_key="+secret(whole), 1)), false},
		{"two halves in one text", call("graph", "GET", inspect+"&access_token="+url.QueryEscape(app.User+"|"+secret(app)), ""), true},
		{"two halves, the bar as it is", call("graph", "GET", inspect+"&access_token="+app.User+"|"+secret(app), ""), true},
		{"two halves in two places", call("graph", "GET", "/v26.0/oauth/access_token?grant_type=client_credentials&client_id="+app.User+"&client_secret="+secret(app), ""), true},
		{"an id that the gate fills in", call("graph", "GET", "/v26.0/"+app.User+"/subscriptions?access_token="+app.User+"|"+secret(app), ""), true},
		{"one text of another shape", call("graph", "GET", inspect+"&access_token="+secret(whole), ""), true},
		{"another half", call("graph", "GET", inspect+"&access_token=123456789012345|"+secret(app), ""), false},
		{"halves in the other order", call("graph", "GET", inspect+"&access_token="+secret(app)+"|"+app.User, ""), true},
		{"the second half alone", call("graph", "GET", inspect+"&access_token="+secret(app), ""), false},
		{"three parts", call("graph", "GET", inspect+"&access_token="+app.User+"|"+secret(app)+"|x", ""), false},
		{"a visitor's token", call("graph", "GET", "/v26.0/me?access_token=EAABwzLixnjYBO1234567890", ""), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := w.upstream.count()
			a := w.Call(t.Context(), row.call)
			if got := w.upstream.count() > before; got != row.sent {
				t.Fatalf("sent: %v, want %v: %d %+v", got, row.sent, a.Status, a.Problem)
			}
			if !row.sent {
				refused(t, a, problem.Unauthenticated)
				return
			}
			r := w.upstream.last()
			out := fmt.Sprintf("%s %s %v %s %v", r.Path, r.RawQuery, r.Header, r.Body, r.Args.Tree())
			for _, part := range []string{secret(bot), secret(sms), sms.User, secret(app), app.User, secret(whole), "secret", "access_token=", "client_id", "api_"} {
				if strings.Contains(out, part) {
					t.Errorf("a part of the key, or its place, goes to the provider: %s", out)
				}
			}
		})
	}
	// A refusal is in the words that SDKs know.
	a := w.Call(t.Context(), formed("bots", verify, "response=token&secret=ES_"+strings.Repeat("0", 32)))
	if codes, _ := a.Problem.Extra["error-codes"].([]any); len(codes) != 1 || codes[0] != "invalid-input-secret" {
		t.Errorf("an SDK of hCaptcha reads %v", a.Problem.Extra)
	}
	a = w.Call(t.Context(), call("graph", "GET", inspect+"&access_token=1|"+strings.Repeat("0", 32), ""))
	if e, _ := a.Problem.Extra["error"].(map[string]any); fmt.Sprint(e["code"]) != "190" {
		t.Errorf("an SDK of Facebook reads %v", a.Problem.Extra)
	}
}

// TestKeyInJSON: members are taken out as they were written, and what is no object, or too
// long, is refused before anybody is asked.
func TestKeyInJSON(t *testing.T) {
	w := bodyKeys(t)
	key := w.keyOf("shop", "sms", pairShape(t, "vonage"))
	pair := fmt.Sprintf(`"api_key":%q,"api_secret":%q`, key.User, key.Secret.Expose())
	for body, want := range map[string]problem.Code{
		`{` + pair + `,"no_such_field":1}`:                      problem.ContractViolation,
		`{` + pair + `,"no_such_field":1,"no_such_field":2}`:    "",
		`{` + pair + `} {}`:                                     problem.Unauthenticated,
		`[{` + pair + `}]`:                                      problem.Unauthenticated,
		`{"a":{` + pair + `}}`:                                  problem.Unauthenticated,
		`{` + pair[:len(pair)-1]:                                problem.Unauthenticated,
		`{"api_key":1,"api_secret":["` + key.User + `"]}`:       problem.Unauthenticated,
		`{` + strings.Repeat(" ", 65<<10) + pair + `}`:          problem.BodyTooLarge,
		`{` + strings.ReplaceAll(pair, "api_", "API_") + `}`:    problem.Unauthenticated,
		`{` + pair + `,"x":` + strings.Repeat("[", 11000) + `}`: problem.Unauthenticated,
	} {
		c := call("sms", "POST", "/v1/messages", body)
		c.ReadBody = func(limit int64) ([]byte, error) {
			if int64(len(body)) > limit {
				return nil, problem.New(problem.BodyTooLarge, "too large")
			}
			return []byte(body), nil
		}
		a := w.Call(t.Context(), c)
		if a.Problem == nil || want != "" && a.Problem.Code != want || a.Problem.Code == problem.Internal {
			t.Errorf("%.80s: %+v; want %s", body, a.Problem, want)
		}
		if a.Problem != nil && strings.Contains(fmt.Sprint(a.Problem.Detail, a.Problem.Faults), "api_") {
			t.Errorf("%.80s: the refusal tells of the key's place: %+v", body, a.Problem)
		}
	}
	if w.upstream.count() != 0 {
		t.Error("something was sent")
	}
}

// TestBodyIsLeftAlone: a body is not read before the caller is known where the key stands
// elsewhere, or can never stand in it.
func TestBodyIsLeftAlone(t *testing.T) {
	w := bodyKeys(t)
	for name, c := range map[string]*egress.Call{
		"a wrong key in the header": call("sms", "POST", "/sms/json", "", "Content-Type", form, "Authorization", "Basic "+strings.Repeat("QQ", 12)),
		"a wrong key in the query":  call("sms", "POST", "/sms/json?api_key=00000000&api_secret=0000000000000000", "", "Content-Type", form),
		"a provider without fields": call("graph", "POST", "/v26.0/123456789012345/subscriptions", "", "Content-Type", form),
		"another type":              call("bots", "POST", "/siteverify", "", "Content-Type", "multipart/form-data; boundary=x"),
	} {
		c.ReadBody = func(int64) ([]byte, error) { t.Errorf("%s: the body was read", name); return nil, nil }
		refused(t, w.Call(t.Context(), c), problem.Unauthenticated)
	}
	page := browser("bots", "POST", "/siteverify", "secret=x&response=y", "Content-Type", form)
	if a := w.Call(t.Context(), page); a.Problem == nil || a.Problem.Code != problem.OperationRefused {
		t.Errorf("a page: %+v", a.Problem)
	}
}
