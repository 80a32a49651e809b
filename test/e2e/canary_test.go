package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport/test/harness"
)

// The secrets: none of them may come out anywhere.
const (
	envKey    = "sk_test_CANARYenv7f3c9aQwErTyUiOp0123"
	fileKey   = "sk_test_CANARYfile7f3c9aAsDfGhJkL4567"
	storeKey  = "sk_test_CANARYstore7f3c9aZxCvBnM89012"
	storeKey2 = "sk_test_CANARYrotated7f3c9aPlMoKn3456"
	pasted    = "sk_test_CANARYpasted7f3c9aInTheFile78"
	smsToken  = "ca9a7f3c9a0123456789abcdef76543210"
)

// Personal data: it may go to the provider and come back to who asked, and must stand in no
// log, no problem document, and nowhere in the data folder.
var personal = map[string]string{
	"email": "ada.CANARYmail@example.com", "name": "Ada CANARYname Lovelace", "phone": "+4915170005551",
	"street": "CANARYstreet 12b", "card": "4929555312341234", "query": "CANARYquery-of-a-visitor",
	"client secret": "pi_7_secret_CANARYclient", "header": "CANARYheader-of-a-visitor", "path": "cus_CANARYpath7f3c9a",
}

const canaryConfig = `version: 1
listen:
  public: "127.0.0.1:0"
  tls: off
store: "sqlite:./data/sallyport.db"
secrets:
  keystore: ./data/keystore.age
sites:
  shop:
    origins: [https://shop.example]
    connections:
      byenv: {provider: stripe, mode: sandbox, credentials: {secret_key: "env:TEST_STRIPE_KEY"}, upstream: {url: "UPSTREAM", ca: ./ca.pem, private: true}, backend: all, browser: {create-payment-intent: {free: [receipt_email, shipping, description], fixed: {currency: eur}, range: {amount: {min: 500, max: 500000}}, returns: [id, client_secret, status]}}}
      byfile: {provider: stripe, mode: sandbox, credentials: {secret_key: "file:./stripe.key"}, upstream: {url: "UPSTREAM", ca: ./ca.pem, private: true}, backend: all}
      bystore: {provider: stripe, mode: sandbox, credentials: {secret_key: "keystore:shop/stripe"}, upstream: {url: "UPSTREAM", ca: ./ca.pem, private: true}, backend: all}
      texts: {provider: twilio, mode: sandbox, credentials: {account_sid: AC00000000000000000000000000000001, auth_token: "keystore:shop/twilio"}, upstream: {url: "UPSTREAM", ca: ./ca.pem, private: true}, backend: all}
      observed: {provider: stripe, mode: mock, observe: [grammar, request-contract, response-contract, limits], browser: {create-payment-intent: {free: [receipt_email], fixed: {currency: eur, amount: 1900}, returns: [id]}}}
      maps: {provider: google-maps, mode: mock, backend: all, browser: {geocode: {free: [address], returns: [status]}}}
`

// leaky is a provider that gives back what it was given, in all the ways that a provider
// should not. The description of a call chooses the way.
func leaky(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(raw))
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	intent := fmt.Sprintf(`{"id":"pi_7","object":"payment_intent","status":"succeeded","amount":1900,"client_secret":%q,"receipt_email":%q,"surprise":{"person":%q}}`,
		personal["client secret"], form.Get("receipt_email"), personal["name"])
	send := func(status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	switch form.Get("description") {
	case "echo in a body":
		send(200, strings.Replace(intent, "pi_7", key, 1))
	case "echo in an unknown field":
		send(200, strings.Replace(intent, "surprise", "you sent "+key, 1))
	case "echo in base64":
		send(200, strings.Replace(intent, "pi_7", base64.StdEncoding.EncodeToString([]byte("x"+key)), 1))
	case "echo in hex":
		send(200, strings.Replace(intent, "pi_7", fmt.Sprintf("%X", key), 1))
	case "echo in a header":
		w.Header().Set("Request-Id", "req-for-"+key)
		send(200, intent)
	case "echo over chunks":
		w.Header().Set("Content-Type", "application/json")
		whole := strings.Replace(intent, "pi_7", key, 1)
		at := strings.Index(whole, key) + len(key)/2
		_, _ = io.WriteString(w, whole[:at])
		w.(http.Flusher).Flush()
		time.Sleep(20 * time.Millisecond)
		_, _ = io.WriteString(w, whole[at:])
	case "echo in an error":
		send(401, fmt.Sprintf(`{"error":{"type":"invalid_request_error","message":"Invalid API Key provided: %s"}}`, key))
	case "declined":
		send(402, fmt.Sprintf(`{"error":{"type":"card_error","code":"card_declined","message":"The card %s of %s was declined"}}`, personal["card"], personal["name"]))
	case "redirect":
		w.Header().Set("Location", "https://evil.example/?k="+key)
		w.WriteHeader(302)
	case "failed":
		send(500, fmt.Sprintf(`{"error":{"type":"api_error","message":"%s for %s"}}`, key, personal["email"]))
	case "malformed":
		send(200, `{"id":"pi_7","receipt_email":"`+personal["email"])
	case "hang":
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Second):
		}
	default:
		send(200, intent)
	}
}

// canaryRun is one run of all flows, and what was heard meanwhile.
type canaryRun struct {
	t  *testing.T
	g  *harness.Gate
	mu sync.Mutex
	// heard is what clients and commands got, by its source; problems only the refusals.
	heard    map[string]string
	problems map[string]string
	issued   map[string]string // site keys and the tokens of visits
}

func (c *canaryRun) hear(where, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard[fmt.Sprintf("%s #%d", where, len(c.heard))] = text
}

func (c *canaryRun) do(name, method, path, body string, header map[string]string) harness.Reply {
	c.t.Helper()
	header["User-Agent"] = personal["header"]
	header["Referer"] = "https://shop.example/?mail=" + personal["query"]
	r := c.g.Do(method, path, body, header)
	text := fmt.Sprintf("%d %v\n%s", r.Status, r.Header, r.Body)
	c.hear(name, text)
	// A refusal names the parameters that are unknown: the sender is told its own words there.
	if !strings.HasSuffix(name, "as a name") && !strings.HasSuffix(name, "a bad query") && strings.HasPrefix(r.Header.Get("Content-Type"), "application/problem+json") {
		c.mu.Lock()
		c.problems[fmt.Sprintf("%s #%d", name, len(c.problems))] = text
		c.mu.Unlock()
	}
	return r
}

func (c *canaryRun) run(input string, args ...string) string {
	c.t.Helper()
	out, _ := c.g.Run(input, args...)
	c.hear("sallyport "+strings.Join(args, " "), out)
	return out
}

// TestCanary drives every flow with marked secrets and marked personal data through the
// real binary, and then looks through everything that came out of it.
func TestCanary(t *testing.T) {
	t.Parallel()
	up := harness.Serve(t, http.HandlerFunc(leaky))
	dir := t.TempDir()
	c := &canaryRun{t: t, heard: map[string]string{}, problems: map[string]string{}, issued: map[string]string{}}
	config := strings.ReplaceAll(canaryConfig, "UPSTREAM", up.URL)
	c.g = harness.New(t, config, map[string][]byte{"ca.pem": up.CA, "stripe.key": []byte(fileKey + "\n")},
		"TEST_STRIPE_KEY="+envKey, "SALLYPORT_KEYSTORE_KEY_FILE="+filepath.Join(dir, "keystore.key"))
	c.run("", "secrets", "init", "--key-file", filepath.Join(dir, "keystore.key"))
	c.run(storeKey+"\n", "secrets", "set", "shop/stripe")
	c.run(smsToken+"\n", "secrets", "set", "shop/twilio")
	c.g.Start()

	c.browserFlows()
	c.backendFlows(up)
	c.strangerFlows()
	c.commandFlows(config)
	c.search(t, "while it runs")

	c.g.Signal(syscall.SIGTERM)
	c.g.Stop()
	c.search(t, "after its end")
	if out := c.run("", "audit", "verify"); !strings.Contains(out, "ok") && strings.Contains(out, "error") {
		t.Errorf("audit verify: %s", out)
	}
}

func (c *canaryRun) browserFlows() {
	r := c.g.Do("POST", "/shop/session", "", map[string]string{"Origin": origin})
	m := regexp.MustCompile(`"token":\s*"([^"]+)"`).FindStringSubmatch(r.Body)
	if m == nil {
		c.t.Fatalf("no session: %s", r.Body)
	}
	c.issued["session token"] = m[1][strings.LastIndexByte(m[1], '.')+1:] // the signature
	raised := c.g.Raise("shop", origin, m[1])
	c.issued["raised session token"] = raised[strings.LastIndexByte(raised, '.')+1:]
	browser := func(name, method, path, body string, extra ...string) harness.Reply {
		h := map[string]string{"Origin": origin, "Authorization": "Bearer " + raised}
		if body != "" {
			h["Content-Type"] = "application/json"
		}
		for i := 0; i+1 < len(extra); i += 2 {
			h[extra[i]] = extra[i+1]
		}
		return c.do("browser "+name, method, path, body, h)
	}
	const intents = "/shop/api/byenv/v1/payment_intents"
	person := fmt.Sprintf(`"receipt_email":%q,"shipping":{"name":%q,"phone":%q,"address":{"line1":%q}}`, personal["email"], personal["name"], personal["phone"], personal["street"])
	if r := browser("pays", "POST", intents, `{"amount":1900,`+person+`}`, "Idempotency-Key", "CANARYkey-1"); r.Status != 200 {
		c.t.Fatalf("a payment: %d %s\n%s", r.Status, r.Body, c.g.Log())
	}
	if r := browser("pays again", "POST", intents, `{"amount":1900,`+person+`}`, "Idempotency-Key", "CANARYkey-1"); r.Header.Get("Idempotent-Replayed") != "true" {
		c.t.Errorf("no replay: %d %v", r.Status, r.Header)
	}
	browser("is declined", "POST", intents, `{"amount":1900,"description":"declined",`+person+`}`)
	browser("sends what is not named", "POST", intents, `{"amount":1900,"customer":"`+personal["path"]+`",`+person+`}`)
	browser("sends a card", "POST", intents, `{"amount":1900,"payment_method_data":{"card":{"number":"`+personal["card"]+`"}}}`)
	browser("sends a card as amount", "POST", intents, `{"amount":`+personal["card"]+`}`)
	browser("sends a card as a name", "POST", intents, `{"amount":1900,"`+personal["card"]+`":1,"`+personal["street"]+`":2}`)
	browser("sends bad JSON", "POST", intents, `{"receipt_email":"`+personal["email"]+`"`)
	browser("sends too long an email", "POST", intents, `{"amount":1900,"receipt_email":"`+strings.Repeat(personal["email"], 40)+`"}`)
	browser("sends a bad media type", "POST", intents, personal["email"], "Content-Type", "text/"+personal["header"])
	browser("asks a query", "GET", "/shop/api/maps/maps/api/geocode/json?address="+url.QueryEscape(personal["street"]), "")
	browser("asks a bad query", "GET", "/shop/api/maps/maps/api/geocode/json?"+personal["query"]+"=1&address=x", "")
	browser("asks for nothing", "GET", "/shop/api/byenv/v1/"+personal["path"]+"?q="+personal["query"], "")
	for _, body := range []string{`{"` + personal["query"] + `":1}`, `{"metadata":{"` + personal["query"] + `":"` + personal["street"] + `"}}`, `{"receipt_email":"` + strings.Repeat(personal["email"], 40) + `"}`, `{"description":"` + personal["name"] + `"}`} {
		browser("is only observed, as a name", "POST", "/shop/api/observed/v1/payment_intents", body)
	}
	browser("bad key", "POST", intents, `{"amount":1900}`, "Idempotency-Key", strings.Repeat(personal["header"], 20))
	browser("ends", "DELETE", "/shop/session", "")
}

func (c *canaryRun) backendFlows(up *harness.Upstream) {
	var hanging sync.WaitGroup
	defer hanging.Wait()
	for _, by := range [][2]string{{"byfile", fileKey}, {"byenv", envKey}, {"bystore", storeKey}} {
		connection, secretKey := by[0], by[1]
		out, err := c.g.Run("", "keys", "create", "shop", "--connection", connection, "--json")
		m := regexp.MustCompile(`"key":\s*"([^"]+)"`).FindStringSubmatch(out)
		if err != nil || m == nil {
			c.t.Fatalf("keys create: %v %s", err, out)
		}
		key := m[1]
		c.issued["site key of "+connection] = key
		backend := func(description string) harness.Reply {
			form := url.Values{"amount": {"1900"}, "currency": {"eur"}, "receipt_email": {personal["email"]}, "description": {description}, "shipping[name]": {personal["name"]}, "shipping[address][line1]": {personal["street"]}}
			return c.do("backend: "+description, "POST", "/shop/api/"+connection+"/v1/payment_intents", form.Encode(),
				map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/x-www-form-urlencoded"})
		}
		if r := backend("all well"); r.Status != 200 || !strings.Contains(r.Body, personal["email"]) {
			c.t.Fatalf("%s: %d %s\n%s", connection, r.Status, r.Body, c.g.Log())
		}
		seen := up.Requests()
		if connection == "byfile" {
			hanging.Go(func() {
				if r := backend("hang"); r.Status != 504 {
					c.t.Errorf("hang: %d %s", r.Status, r.Body)
				}
			})
		}
		if got := seen[len(seen)-1].Header.Get("Authorization"); got != "Bearer "+secretKey {
			c.t.Errorf("%s: the provider got %q", connection, got)
		}
		for _, way := range []string{"echo in a body", "echo in an unknown field", "echo in base64", "echo in hex", "echo in a header", "echo over chunks", "echo in an error"} {
			if r := backend(way); !strings.Contains(r.Body, `"upstream_echo"`) {
				c.t.Errorf("%s, %s: %d %s", connection, way, r.Status, r.Body)
			}
		}
		for _, way := range []string{"declined", "redirect", "malformed", "failed"} {
			if r := backend(way); r.Status < 400 {
				c.t.Errorf("%s, %s: %d %s", connection, way, r.Status, r.Body)
			}
		}
		c.do("query key", "GET", "/shop/api/maps/maps/api/geocode/json?address="+url.QueryEscape(personal["street"])+"&key="+key, "", map[string]string{})
		c.do("key in a page", "POST", "/shop/api/"+connection+"/v1/payment_intents", `{"amount":1900}`, map[string]string{"Origin": origin, "Authorization": "Bearer " + key, "Content-Type": "application/json"})
		c.do("retrieve", "GET", "/shop/api/"+connection+"/v1/customers/"+personal["path"], "", map[string]string{"Authorization": "Bearer " + key})
	}
	sms := "Basic " + base64.StdEncoding.EncodeToString([]byte("AC:"+c.issued["site key of byenv"]))
	c.do("sms", "POST", "/shop/api/texts/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json", "To="+url.QueryEscape(personal["phone"])+"&Body=x&From=%2B15005550006", map[string]string{"Authorization": sms, "Content-Type": "application/x-www-form-urlencoded"})
}

// strangerFlows are what nobody authenticated sends, raw bytes among it.
func (c *canaryRun) strangerFlows() {
	c.do("no session", "POST", "/shop/api/byenv/v1/payment_intents?e="+personal["query"], `{"receipt_email":"`+personal["email"]+`"}`, map[string]string{"Origin": "https://evil.example", "Authorization": "Bearer " + envKey + "x"})
	for _, raw := range []string{
		"GET /shop/" + personal["path"] + " HTTP/1.1\r\nHost: x\r\n" + personal["header"] + "\r\n\r\n",
		"GET /shop/api/byenv/%00" + personal["path"] + " HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + personal["header"] + "\r\n\r\n",
		"POST /shop/session HTTP/1.1\r\nHost: " + personal["header"] + "\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + personal["email"],
		personal["query"] + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.g.URL, "http://"))
		if err != nil {
			c.t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(conn, raw)
		answer, _ := io.ReadAll(conn)
		conn.Close()
		c.mu.Lock()
		c.problems[fmt.Sprintf("raw #%d", len(c.problems))] = string(answer)
		c.mu.Unlock()
		c.hear("raw", string(answer))
	}
}

func (c *canaryRun) commandFlows(config string) {
	c.g.Rewrite(strings.Replace(config, `"env:TEST_STRIPE_KEY"`, `"`+pasted+`"`, 1)) // a literal secret in the file
	c.g.Signal(syscall.SIGHUP)
	c.g.WaitLog("the file is not used")
	c.run("", "check")
	c.run("", "check", "--secrets")
	c.g.Rewrite(strings.Replace(config, "max: 500000", "max: 400000", 1))
	c.g.Signal(syscall.SIGHUP)
	c.g.WaitLog("configuration swapped")
	for _, args := range [][]string{{"check"}, {"check", "--secrets"}, {"check", "--json"}, {"secrets", "list"}, {"secrets", "list", "--json"}, {"keys", "list"}, {"keys", "list", "shop", "--json"},
		{"freeze", "shop/maps", "--reason", "canary"}, {"freeze"}, {"thaw", "shop/maps"}, {"audit", "show"}, {"audit", "show", "--json"}, {"audit", "verify"}, {"audit", "verify", "--json"},
		{"providers", "show", "stripe"}, {"providers", "list", "--json"}, {"schema"}, {"version"}, {"run"}, {"nothing", pasted[:4]}} {
		c.run("", args...)
	}
	c.run(storeKey2+"\n", "secrets", "rotate", "shop/stripe")
	c.run(storeKey2+"\n"+storeKey, "secrets", "set", "../"+"x")
	c.run("", "secrets", "list")
}

// search looks through all that was heard and all that lies in the data folder.
func (c *canaryRun) search(t *testing.T, when string) {
	t.Helper()
	secrets := map[string]string{"key by env": envKey, "key by file": fileKey, "key by keystore": storeKey, "rotated key": storeKey2, "pasted key": pasted, "token by keystore": smsToken}
	for name, v := range c.issued {
		secrets[name] = v
	}
	hidden, people := finder{secrets}, finder{personal}
	all := finder{map[string]string{}}
	for _, m := range []map[string]string{secrets, personal} {
		for name, v := range m {
			all.values[name] = v
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for where, text := range c.heard {
		hidden.none(t, when+": "+where, []byte(text))
		if strings.HasPrefix(where, "sallyport ") {
			people.none(t, when+": "+where, []byte(text))
		}
	}
	for where, text := range c.problems {
		people.none(t, when+": the refusal "+where, []byte(text))
	}
	all.none(t, when+": the log", []byte(c.g.Log()))
	if n := all.noneBelow(t, filepath.Join(c.g.Dir, "data")); n < 6 {
		t.Errorf("only %d files in the data folder", n)
	}
	if when == "while it runs" {
		c.searchProcess(t, secrets)
	}
	if len(c.heard) < 60 || len(c.problems) < 30 || !strings.Contains(c.g.Log(), `"create-payment-intent"`) {
		t.Errorf("too little was heard to mean anything: %d outputs, %d refusals", len(c.heard), len(c.problems))
	}
}

func (c *canaryRun) searchProcess(t *testing.T, secrets map[string]string) {
	t.Helper()
	for _, file := range []string{"cmdline", "environ"} {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.g.Pid(), file))
		if err != nil {
			t.Fatal(err)
		}
		if file == "environ" { // the operator chose to put this one there
			if !bytes.Contains(raw, []byte(envKey)) {
				t.Error("the environment was not read: the key that stands in it is not found")
			}
			raw = bytes.ReplaceAll(raw, []byte(envKey), nil)
		}
		finder{secrets}.none(t, "/proc/PID/"+file, raw)
	}
}
