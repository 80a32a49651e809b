package egress_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"sallyport/internal/egress"
	"sallyport/internal/provider"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

func shapeOf(t *testing.T, id, name string) provider.KeyShape {
	t.Helper()
	pack, err := catalog.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range pack.KeyShapes {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("%s has no key shape %s", id, name)
	return provider.KeyShape{}
}

func pairShape(t *testing.T, id string) provider.KeyShape {
	t.Helper()
	pack, err := catalog.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range pack.KeyShapes {
		if s.UserLen > 0 || s.User != "" {
			return s
		}
	}
	t.Fatalf("%s has no pair among %+v", id, pack.KeyShapes)
	return provider.KeyShape{}
}

// TestSiteKeyPlaces: the site key stands where the provider's key would stand, and no
// part of it goes on to the provider.
func TestSiteKeyPlaces(t *testing.T) {
	sms := &site.Connection{Name: "sms", Provider: "vonage", Mode: provider.Sandbox, BackendAll: true}
	texts := &site.Connection{Name: "texts", Provider: "twilio", Mode: provider.Sandbox, BackendAll: true, Account: map[string]string{"account_sid": "AC00000000000000000000000000000001"}}
	maps := &site.Connection{Name: "maps", Provider: "google-maps", Mode: provider.Live, BackendAll: true}
	polls := &site.Connection{Name: "polls", Provider: "zigpoll", Mode: provider.Live, BackendAll: true}
	w := open(t, payments(t), sms, texts, maps, polls)
	w.upstream.always(reply(404, `{}`), nil) // only the way there matters
	def := session.DefaultShape()
	basic := func(user, pass string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
	}
	single := string(w.key(def).Secret.Expose())
	pair := w.key(pairShape(t, "vonage"))
	twilio := w.key(pairShape(t, "twilio"))
	for _, row := range []struct {
		name string
		call *egress.Call
		sent bool
	}{
		{"bearer", call("payments", "GET", "/v1/products", "", "Authorization", "Bearer "+single), true},
		{"bearer, lower case", call("payments", "GET", "/v1/products", "", "Authorization", "bearer "+single), true},
		{"basic, as user", call("payments", "GET", "/v1/products", "", "Authorization", basic(single, "")), true},
		{"basic, as password", call("payments", "GET", "/v1/products", "", "Authorization", basic("api", single)), true},
		{"basic pair", call("sms", "GET", "/account/get-balance", "", "Authorization", basic(pair.User, string(pair.Secret.Expose()))), true},
		{"twilio's pair", call("texts", "GET", "/2010-04-01/Accounts/"+twilio.User+"/Balance.json", "", "Authorization", basic(twilio.User, string(twilio.Secret.Expose()))), true},
		{"half a pair", call("sms", "GET", "/account/get-balance", "", "Authorization", basic("other", string(pair.Secret.Expose()))), false},
		{"query", call("maps", "GET", "/maps/api/geocode/json?address=Kiel&key="+single, ""), true},
		{"query, encoded name", call("maps", "GET", "/maps/api/geocode/json?%6bey="+single+"&address=Kiel", ""), true},
		{"query, beside another", call("maps", "GET", "/maps/api/geocode/json?address=Kiel&key="+single+"&key="+url.QueryEscape("AIza"+strings.Repeat("x", 35)), ""), true},
		{"X-Goog-Api-Key", call("maps", "POST", "/v1/places:autocomplete", `{"input":"Kiel"}`, "X-Goog-Api-Key", single), true},
		{"raw Authorization", call("polls", "GET", "/accounts", "", "Authorization", single), true},
		{"raw where bearer is due", call("payments", "GET", "/v1/products", "", "Authorization", single), false},
		{"query of another provider", call("payments", "GET", "/v1/products?key="+single, ""), false},
		{"header of another provider", call("payments", "GET", "/v1/products", "", "X-Goog-Api-Key", single), false},
		{"not a key", call("payments", "GET", "/v1/products", "", "Authorization", "Bearer "+single[:len(single)-1]+"!"), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := w.upstream.count()
			a := w.Call(t.Context(), row.call)
			if got := w.upstream.count() > before; got != row.sent {
				t.Fatalf("sent: %v, want %v: %d %+v", got, row.sent, a.Status, a.Problem)
			}
			if !row.sent {
				if a.Status != 401 {
					t.Errorf("status %d", a.Status)
				}
				return
			}
			r := w.upstream.last()
			out := fmt.Sprintf("%s %s %v %s %v", r.Path, r.RawQuery, r.Header, r.Body, r.Args.Tree())
			for _, part := range []string{single, string(pair.Secret.Expose()), pair.User, string(twilio.Secret.Expose()), twilio.User, "AIza", "Authorization", "X-Goog-Api-Key"} {
				if strings.Contains(out, part) {
					t.Errorf("a part of the site key, or its place, goes to the provider: %s", out)
				}
			}
			rec := w.records.last()
			if rec.Caller != site.Backend {
				t.Errorf("caller %q", rec.Caller)
			}
		})
	}
}

// TestSiteKeyInAPage: a site key that comes with an Origin is refused: a key in a page
// is a leaked key.
func TestSiteKeyInAPage(t *testing.T) {
	w := open(t, payments(t))
	c := w.backend("payments", "POST", intents, `{"amount":1900,"currency":"eur"}`)
	c.Origin = shopOrigin
	if a := w.Call(t.Context(), c); a.Status != 401 || w.upstream.count() != 0 {
		t.Errorf("%d, %d sent", a.Status, w.upstream.count())
	}
}

// TestNoPackPassesCredentialsOn: what a caller authenticates with is never a header that
// the catalog passes on.
func TestNoPackPassesCredentialsOn(t *testing.T) {
	packs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packs {
		for _, name := range p.RequestHeaders {
			for _, bad := range []string{"authorization", "proxy-authorization", "cookie", "x-goog-api-key", "host", "origin", "referer"} {
				if strings.EqualFold(name, bad) {
					t.Errorf("%s passes %s on", p.ID, name)
				}
			}
		}
	}
}
