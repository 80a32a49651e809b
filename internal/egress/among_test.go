package egress_test

import (
	"encoding/base64"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// keyOf makes a key of any site, for one connection or for all.
func (w *world) keyOf(siteName, connection string, shape provider.KeyShape) session.Printed {
	w.t.Helper()
	printed, stored, err := session.NewSiteKey(shape, siteName, connection, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.CreateSiteKey(w.t.Context(), stored); err != nil {
		w.t.Fatal(err)
	}
	return printed
}

// TestTheKeySaysWhichConnection: on one host with connections of several sites, the caller's key
// leads to its own and to no other; a key of none, of elsewhere and of several is refused.
func TestTheKeySaysWhichConnection(t *testing.T) {
	one := &site.Connection{Name: "one", Provider: "paypal", Mode: provider.Sandbox, BackendAll: true}
	two := &site.Connection{Name: "two", Provider: "paypal", Mode: provider.Sandbox, BackendAll: true}
	texts := &site.Connection{Name: "texts", Provider: "twilio", Mode: provider.Sandbox, BackendAll: true, Account: map[string]string{"account_sid": "AC00000000000000000000000000000001"}}
	w := withTokens(t, one, two, texts)
	w.upstream.always(reply(404, `{}`), nil)
	shape := pairShape(t, "paypal")
	targets := []egress.Target{{Site: "club", Connection: "one", Base: "/v0"}, {Site: "shop", Connection: "one", Base: "/base"}, {Site: "shop", Connection: "two", Base: "/base"}}
	ask := func(key session.Printed, method, path, body string, header ...string) *egress.Answer {
		c := call("", method, path, body, append([]string{"Authorization", basicOf(key)}, header...)...)
		c.Site, c.Connection, c.Among = "", "", targets
		return w.Call(t.Context(), c)
	}
	const order = "/base/v2/checkout/orders/5O190127TN364715T"
	mine, whole := w.keyOf("shop", "two", shape), w.keyOf("shop", "", shape)
	if ask(mine, "GET", order, ""); w.upstream.count() != 1 || w.upstream.last().Path != "/v2/checkout/orders/5O190127TN364715T" {
		t.Fatalf("a good key: %d calls, %+v", w.upstream.count(), w.records.last())
	}
	if rec := w.records.last(); rec.Call.Site != "shop" || rec.Call.Connection != "two" {
		t.Errorf("the record is of %s/%s", rec.Call.Site, rec.Call.Connection)
	}
	refused(t, ask(whole, "GET", order, ""), problem.UnknownConnection)
	refused(t, ask(w.keyOf("shop", "texts", shape), "GET", order, ""), problem.Unauthenticated)
	refused(t, ask(w.keyOf("club", "one", shape), "GET", order, ""), problem.Unauthenticated) // a site that this gate does not have
	refused(t, ask(w.keyOf("other", "", shape), "GET", order, ""), problem.Unauthenticated)
	refused(t, ask(session.Printed{User: mine.User, Secret: whole.Secret}, "GET", order, ""), problem.Unauthenticated)
	refused(t, ask(mine, "GET", "/v2/checkout/orders/5O190127TN364715T", ""), problem.UnknownConnection) // not below the base
	refused(t, ask(mine, "GET", "/basement/v2", ""), problem.UnknownConnection)
	if w.upstream.count() != 1 {
		t.Fatal("a refused call was sent")
	}

	// A token that stands for the key leads to the same connection, and to no other host.
	token := tokenOf(t, ask(mine, "POST", "/base/v1/oauth2/token", "grant_type=client_credentials", "Content-Type", form))
	bearer := func(token string, among ...egress.Target) *egress.Answer {
		c := call("", "GET", order, "", "Authorization", "Bearer "+token)
		c.Site, c.Connection, c.Among = "", "", among
		return w.Call(t.Context(), c)
	}
	if bearer(token, targets...); w.upstream.count() != 2 || w.records.last().Call.Connection != "two" {
		t.Errorf("a token: %+v", w.records.last())
	}
	refused(t, bearer(token, targets[1]), problem.Unauthenticated)
	refused(t, bearer(token+"x", targets...), problem.Unauthenticated)
	refused(t, bearer("a.b.c", targets...), problem.Unauthenticated)

	// A pair that stands in the form of a token endpoint finds its connection too.
	pair := w.keyOf("shop", "texts", shapeOf(t, "twilio", "twilio-api-key"))
	c := call("", "POST", "/v2/token", "grant_type=client_credentials&client_id="+pair.User+"&client_secret="+string(pair.Secret.Expose()), "Content-Type", form)
	c.Site, c.Connection, c.Among = "", "", []egress.Target{{Site: "shop", Connection: "texts"}}
	tokenOf(t, w.Call(t.Context(), c))
	if w.upstream.count() != 2 {
		t.Error("the provider was asked for a token")
	}
}

// TestGuessingOnTheSDKPort: unknown keys are counted as everywhere.
func TestGuessingOnTheSDKPort(t *testing.T) {
	w := withTokens(t, &site.Connection{Name: "one", Provider: "paypal", Mode: provider.Sandbox, BackendAll: true})
	last := problem.Code("")
	for i := range 40 {
		pair := base64.StdEncoding.EncodeToString([]byte("AAAAAAAAAAAAAAAAAAAAAAAA:EEEEEEEEEEEEEEEEEEEEEEEE" + string(rune('a'+i%26)) + string(rune('a'+i/26))))
		c := call("", "GET", "/v2/checkout/orders/5O190127TN364715T", "", "Authorization", "Basic "+pair)
		c.Site, c.Connection, c.Among = "", "", []egress.Target{{Site: "shop", Connection: "one"}}
		last = w.Call(t.Context(), c).Problem.Code
	}
	if last != problem.RateLimited || w.upstream.count() != 0 {
		t.Errorf("after 40 guesses: %s", last)
	}
}
