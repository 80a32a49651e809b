package interop

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/test/harness"
)

const standInsFile = `version: 1
listen: {public: "127.0.0.1:0", tls: off, sdk: "PORT"}
store: "sqlite:./data/sallyport.db"
sites:
  shop:
    connections:
      bots: {provider: hcaptcha, mode: mock, backend: all}
      graph: {provider: facebook-login, mode: mock, credentials: {app_id: "123456789012345"}, backend: all}
      paypal: {provider: paypal, mode: mock, backend: all}
`

// standIn makes a pair or a single key, and its id.
func standIn(t *testing.T, g *harness.Gate, connection string) (user, key, id string) {
	t.Helper()
	out := g.MustRun("", "keys", "create", "shop", "--connection", connection, "--json")
	if strings.Contains(out, `"user"`) {
		user = jsonField(t, out, "user")
	}
	return user, jsonField(t, out, "key"), jsonField(t, out, "id")
}

// TestSDKPortStandIns: a stand-in in a form, in one text of two halves, in a query and at a token
// endpoint works at the provider's own address; a wrong, a revoked and a foreign one does not, and
// none of them stands in the log.
func TestSDKPortStandIns(t *testing.T) {
	s := sdkPort{proxy: harness.FreeAddress(t)}
	s.gate = harness.New(t, strings.ReplaceAll(standInsFile, "PORT", s.proxy), nil).Start()
	s.ca = s.gate.Dir + "/ca.pem"
	s.refresh(t)
	client := &http.Client{Transport: s.transport(t), Timeout: 20 * time.Second}
	answer := func(r *http.Response, err error) (int, string) {
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(text)
	}
	verify := func(_, key string) (int, string) {
		return answer(client.PostForm("https://api.hcaptcha.com/siteverify", url.Values{"secret": {key}, "response": {"token"}}))
	}
	inspect := func(user, key string) (int, string) {
		return answer(client.Get("https://graph.facebook.com/v26.0/debug_token?" + url.Values{"input_token": {"EAAB1234567890"}, "access_token": {user + "|" + key}}.Encode()))
	}
	token := func(user, key string) (int, string) {
		req, _ := http.NewRequest("POST", "https://api-m.sandbox.paypal.com/v1/oauth2/token", strings.NewReader("grant_type=client_credentials"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(user, key)
		return answer(client.Do(req))
	}
	var used []string
	for _, row := range []struct {
		connection string
		ask        func(user, key string) (int, string)
		refusal    string
	}{
		{"bots", verify, "invalid-input-secret"}, {"graph", inspect, `"code":190`}, {"paypal", token, "invalid_client"},
	} {
		user, key, id := standIn(t, s.gate, row.connection)
		other := map[string]string{"bots": "graph", "graph": "paypal", "paypal": "bots"}[row.connection]
		foreignUser, foreign, _ := standIn(t, s.gate, other)
		used = append(used, key, foreign)
		if status, body := row.ask(user, key); status != 200 {
			t.Fatalf("%s: a good stand-in: %d %s", row.connection, status, body)
		}
		refused := func(what, user, key string) {
			t.Helper()
			if status, body := row.ask(user, key); status != 401 || !strings.Contains(body, row.refusal) || strings.Contains(body, key) {
				t.Errorf("%s: %s: %d %s", row.connection, what, status, body)
			}
		}
		refused("a wrong stand-in", user, strings.Repeat("0", len(key)-1)+"1")
		refused("the stand-in of another connection", foreignUser+"1", foreign)
		s.gate.MustRun("", "keys", "revoke", id)
		time.Sleep(1100 * time.Millisecond) // a revocation holds within a second
		refused("a revoked stand-in", user, key)
	}
	log := s.gate.Log()
	for _, key := range used {
		if strings.Contains(log, key) {
			t.Error("a stand-in stands in the log")
		}
	}
}
