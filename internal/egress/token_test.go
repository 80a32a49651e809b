package egress_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/egress"
	"sallyport/internal/jws"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// oneKey signs with one key for ever.
type oneKey struct{ private ed25519.PrivateKey }

func (k oneKey) Sign(typ string, payload []byte) (string, error) {
	return jws.Sign(typ, "k1", k.private, payload), nil
}

func (k oneKey) PublicKey(id string) (ed25519.PublicKey, bool) {
	p, ok := k.private.Public().(ed25519.PublicKey)
	return p, ok && id == "k1"
}

// withTokens is open with token endpoints.
func withTokens(t *testing.T, conns ...*site.Connection) *world {
	t.Helper()
	w := open(t, conns...)
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.keys, err = session.NewSiteKeys(session.SiteKeysOptions{Store: w.store, Limiter: ratelimit.New(1 << 12), Now: time.Now, Tokens: oneKey{private}})
	if err != nil {
		t.Fatal(err)
	}
	w.deps.Keys, w.deps.Tokens = w.keys, w.keys
	w.build(conns...)
	return w
}

const form = "application/x-www-form-urlencoded"

func basicOf(k session.Printed) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(k.User+":"+string(k.Secret.Expose())))
}

func tokenOf(t *testing.T, a *egress.Answer) string {
	t.Helper()
	passed(t, a)
	var doc struct {
		Token   string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
	}
	if err := json.Unmarshal(a.Body, &doc); err != nil || doc.Token == "" || doc.Type != "Bearer" || doc.Expires < 60 || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%v %+v", err, doc)
	}
	return doc.Token
}

// TestTokenEndpoint: an SDK that first asks the provider for a token gets one of the gate's,
// and calls with it; neither the key nor the token goes to the provider, a log or the audit.
func TestTokenEndpoint(t *testing.T) {
	shopPays := &site.Connection{Name: "paypal", Provider: "paypal", Mode: provider.Sandbox, BackendAll: true}
	second := &site.Connection{Name: "second", Provider: "paypal", Mode: provider.Sandbox, BackendAll: true}
	texts := &site.Connection{Name: "texts", Provider: "twilio", Mode: provider.Sandbox, BackendAll: true, Account: map[string]string{"account_sid": "AC00000000000000000000000000000001"}}
	w := withTokens(t, shopPays, second, texts)
	w.upstream.always(reply(404, `{}`), nil)
	key := w.key(pairShape(t, "paypal"))
	ask := func(connection, path, body string, header ...string) *egress.Answer {
		return w.Call(t.Context(), call(connection, "POST", path, body, append([]string{"Content-Type", form}, header...)...))
	}
	const grants = "grant_type=client_credentials"
	token := tokenOf(t, ask("paypal", "/v1/oauth2/token", grants, "Authorization", basicOf(key)))
	if w.upstream.count() != 0 {
		t.Fatal("the provider's token endpoint was asked")
	}
	rec := w.records.last()
	if rec.Operation != "token-endpoint" || rec.Caller != site.Backend || rec.Status != 200 {
		t.Errorf("%+v", rec)
	}
	get := func(connection, bearer string) *egress.Answer {
		return w.Call(t.Context(), call(connection, "GET", "/v2/checkout/orders/5O190127TN364715T", "", "Authorization", "Bearer "+bearer))
	}
	if get("paypal", token); w.upstream.count() != 1 {
		t.Fatal("a call with the token was not sent")
	}
	refused(t, get("second", token), problem.Unauthenticated)
	// A token is not changed for another one: its life would have no end.
	a := ask("paypal", "/v1/oauth2/token", grants, "Authorization", "Bearer "+token)
	refused(t, a, problem.Unauthenticated)
	if a.Problem.Extra["error"] != "invalid_client" {
		t.Errorf("an SDK reads %v", a.Problem.Extra)
	}

	// Twilio's SDKs send the pair in the form.
	pair := w.key(shapeOf(t, "twilio", "twilio-api-key"))
	inForm := url.Values{"grant_type": {"client_credentials"}, "client_id": {pair.User}, "client_secret": {string(pair.Secret.Expose())}}
	second2 := tokenOf(t, ask("texts", "/v2/token", inForm.Encode()))
	if w.Call(t.Context(), call("texts", "GET", "/2010-04-01/Accounts/"+pair.User+"/Balance.json", "", "Authorization", "Bearer "+second2)); w.upstream.count() != 2 {
		t.Error("a call with the second token was not sent")
	}
	inForm.Set("client_secret", strings.Repeat("0", 32))
	refused(t, ask("texts", "/v2/token", inForm.Encode()), problem.Unauthenticated)

	for name, body := range map[string]string{"no grant": "", "another": "grant_type=refresh_token", "twice": grants + "&" + grants} {
		a := ask("paypal", "/v1/oauth2/token", body, "Authorization", basicOf(key))
		if a.Problem == nil || a.Status != 422 || a.Problem.Extra["error"] != "unsupported_grant_type" {
			t.Errorf("%s: %d %+v", name, a.Status, a.Problem)
		}
	}
	refused(t, w.Call(t.Context(), call("paypal", "POST", "/v1/oauth2/token", `{"grant_type":"client_credentials"}`, "Authorization", basicOf(key))), problem.ContractViolation)
	refused(t, w.Call(t.Context(), call("paypal", "GET", "/v1/oauth2/token", "", "Authorization", basicOf(key))), problem.UnknownOperation)
	refused(t, ask("texts", "/v1/oauth2/token", grants, "Authorization", basicOf(key)), problem.UnknownOperation)
	refused(t, w.Call(t.Context(), browser("paypal", "POST", "/v1/oauth2/token", grants, "Content-Type", form)), problem.UnknownOperation)

	issued := 0
	for _, e := range w.audit.refusals {
		if e.Kind == audit.KindTokenIssued {
			issued++
			if e.Name == "" || e.Connection == "" {
				t.Errorf("%+v", e)
			}
		}
	}
	if issued != 2 {
		t.Errorf("%d tokens in the audit log, want 2", issued)
	}
	all := fmt.Sprintf("%+v %+v", w.audit.refusals, w.audit.intents)
	for _, rec := range w.records.all {
		c := *rec
		c.Call = nil // the request itself
		all += fmt.Sprintf("%+v", c)
	}
	for _, r := range w.upstream.calls {
		all += fmt.Sprintf("%s %s %v %s", r.Path, r.RawQuery, r.Header, r.Body)
	}
	for _, secret := range []string{token, second2, string(key.Secret.Expose()), string(pair.Secret.Expose())} {
		if strings.Contains(all, secret) {
			t.Error("a key or a token is in a record, the audit log or a request")
		}
	}
}

// TestTokensNeedTheAuditLog: no token without its entry.
func TestTokensNeedTheAuditLog(t *testing.T) {
	w := withTokens(t, &site.Connection{Name: "paypal", Provider: "paypal", Mode: provider.Sandbox, BackendAll: true})
	w.audit.failRecord = errors.New("disk full")
	a := w.Call(t.Context(), call("paypal", "POST", "/v1/oauth2/token", "grant_type=client_credentials", "Content-Type", form, "Authorization", basicOf(w.key(pairShape(t, "paypal")))))
	refused(t, a, problem.AuditUnavailable)
	if a.Problem.Extra["error"] != "temporarily_unavailable" {
		t.Errorf("%v", a.Problem.Extra)
	}
}
