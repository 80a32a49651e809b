package provider_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/internal/provider"
)

// spoilt opens a catalog that holds the Stripe pack with one thing changed.
func spoilt(t *testing.T, change func(pack tree)) error {
	t.Helper()
	pack := make(tree)
	parse(t, readBuiltin(t, "stripe/pack.json"), &pack)
	parse(t, smallGuards, &pack)
	change(pack)
	data, err := json.Marshal(pack)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, string(data), smallContract)
}

// smallGuards are facts for guards that fit smallContract.
const smallGuards = `{"guards": {
  "cards": [{"attempts": ["confirm-payment-intent"], "outcomes": ["create-payment-intent"], "declined": [{"status": 402, "once": "id"}], "approved": [{"field": "status", "in": ["succeeded"]}], "source": "x", "date": "2026-11-23"}],
  "messages": [{"operations": ["update-payment-intent"], "to": "expand", "code": {"id": "id", "check": "confirm-payment-intent", "check_id": "intent", "entered": [{"status": 200}]}, "source": "x", "date": "2026-11-23"}],
  "autocomplete": [{"operation": "update-payment-intent", "input": "intent", "token": "expand", "closed_by": [{"operation": "cancel-payment-intent", "token": "expand"}], "source": "x", "date": "2026-11-23"}],
  "defaults": [{"operations": ["update-payment-intent"], "parameter": "expand", "value": "all", "why": "x", "source": "x", "date": "2026-11-23"}],
  "priced": [{"operations": ["update-payment-intent"], "parameter": "expand", "source": "x", "date": "2026-11-23"}]}}`

// smallContract has the operations that the pack of Stripe names, and little else.
const smallContract = `{"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {
 "/v1/payment_intents": {"post": ` + smallOperation + `"create-payment-intent"}},
 "/v1/payment_intents/{intent}/update": {"post": {` + intentParams + smallRest + `"update-payment-intent"}},
 "/v1/payment_intents/{intent}/confirm": {"post": {` + intentParams + smallRest + `"confirm-payment-intent"}},
 "/v1/payment_intents/{intent}/capture": {"post": {` + intentParams + smallRest + `"capture-payment-intent"}},
 "/v1/payment_intents/{intent}/cancel": {"post": {` + intentParams + smallRest + `"cancel-payment-intent"}}}}`

const intentParams = `"parameters": [{"name": "intent", "in": "path", "required": true, "schema": {"type": "string"}, "description": "x"},
  {"name": "expand", "in": "query", "schema": {"type": "string"}, "description": "x"}], `

const smallOperation = "{" + smallRest

const smallRest = `"summary": "x", "x-sallyport": {"server": "api", "auth": "secret-key", "retry": "keyed", "effects": ["money"],
  "official": {"none": "a test"}, "source": "https://docs.stripe.com/api"}, "responses": {"204": {"description": "done"}}, "operationId": `

func open(t *testing.T, pack, contract string) error {
	t.Helper()
	c, err := provider.Open(fstest.MapFS{
		"stripe/pack.json":     {Data: []byte(pack)},
		"stripe/contract.json": {Data: []byte(contract)},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Find("stripe")
	return err
}

func readBuiltin(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("builtin/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func first(pack tree, list string) tree { return object(anys(pack[list])[0]) }

// TestValidateFindsFaults breaks the pack in one place at a time.
func TestValidateFindsFaults(t *testing.T) {
	header := func(p tree) tree { return object(object(p["auth"])["secret-key"]) }
	api := func(p tree) tree { return object(object(object(p["servers"])["api"])["url"]) }
	for _, c := range []struct {
		name   string
		change func(tree)
		want   string // empty: no fault
	}{
		{"unchanged", func(tree) {}, ""},
		{"unknown key", func(p tree) { p["retires"] = 3 }, `unknown field "retires"`},
		{"unknown key inside", func(p tree) { object(p["retry"])["statusses"] = 3 }, `unknown field "statusses"`},
		{"other id", func(p tree) { p["id"] = "stripes" }, `write the name of the folder, "stripe"`},
		{"unknown function", func(p tree) { p["functions"] = []any{"money"} }, `functions[0]: "money" is not known`},
		{"no function", func(p tree) { p["functions"] = []any{} }, "functions: none given"},
		{"no day", func(p tree) { p["checked"] = "23.11.2026" }, `checked: "23.11.2026" is not a date`},
		{"plain http", func(p tree) { api(p)["live"] = "http://api.stripe.com" }, "is not an https URL"},
		{"address instead of a name", func(p tree) { api(p)["live"] = "https://10.0.0.1" }, "is not a public host name"},
		{"port", func(p tree) { api(p)["live"] = "https://api.stripe.com:8443" }, "is not a public host name"},
		{"user in the URL", func(p tree) { api(p)["live"] = "https://me@api.stripe.com" }, "without user, query and fragment"},
		{"trailing slash", func(p tree) { api(p)["live"] = "https://api.stripe.com/" }, "ends with a slash"},
		{"server for mode mock", func(p tree) { api(p)["mock"] = "https://mock.stripe.com" }, `servers.api.url: "mock" is not known`},
		{"server that nobody uses", func(p tree) {
			object(p["servers"])["files"] = tree{"url": tree{"live": "https://files.stripe.com"}}
		}, "servers.files: no operation"},
		{"server that is missing", func(p tree) {
			p["servers"] = tree{"core": tree{"url": tree{"live": "https://api.stripe.com"}}}
		}, `x-sallyport.server "api" is not one of servers (core)`},
		{"auth that is missing", func(p tree) { p["auth"] = tree{"key": header(p)} }, `x-sallyport.auth "secret-key" is not one of auth (key)`},
		{"unknown kind of auth", func(p tree) { header(p)["kind"] = "magic" }, `auth.secret-key.kind: "magic" is not known`},
		{"template of nothing", func(p tree) { header(p)["value"] = "Bearer {api_key}" }, "names {api_key}, which is not one of credentials"},
		{"literal secret", func(p tree) { header(p)["value"] = "Bearer sk_live_x" }, "no template names a credential field"},
		{"pattern that is not RE2", func(p tree) { first(p, "credentials")["pattern"] = `^(?=sk_).*$` }, "is not an RE2 pattern"},
		{"pattern without an anchor", func(p tree) { first(p, "credentials")["pattern"] = `sk_` }, "is not anchored"},
		{"two credentials of a name", func(p tree) {
			p["credentials"] = append(anys(p["credentials"]), first(p, "credentials"))
		}, `"secret_key" stands twice`},
		{"version that does not fit", func(p tree) { object(p["version"])["default"] = "latest" }, "does not match version.pattern"},
		{"limit without a source", func(p tree) { delete(first(p, "limits"), "source") }, "limits[0].source is empty"},
		{"limit of nothing", func(p tree) { first(p, "limits")["calls"] = 0 }, "neither calls nor in_flight"},
		{"limit of no time", func(p tree) { first(p, "limits")["per"] = "second" }, `"second" is not a duration`},
		{"limit for each object without its name", func(p tree) { delete(object(anys(p["limits"])[3]), "by") }, "limits[3]: scope object needs operations, and by with"},
		{"limit for each object of no operation", func(p tree) { delete(object(anys(p["limits"])[3]), "operations") }, "limits[3]: scope object needs operations"},
		{"limit for each number by an unknown parameter", func(p tree) { l := object(anys(p["limits"])[3]); l["scope"], l["by"] = "number", []any{"to", "To"} },
			"limits[3].by: update-payment-intent has no parameter to or To"},
		{"limit for each object by what may be missing", func(p tree) { object(anys(p["limits"])[3])["by"] = []any{"expand"} }, "limits[3].by: expand of update-payment-intent can be missing"},
		{"limit of the account by a parameter", func(p tree) { first(p, "limits")["by"] = []any{"intent"} }, `limits[0].by: found in a limit of scope "account"`},
		{"second error shape of no operation", func(p tree) { object(p["errors"])["else"] = tree{"code": "status"} }, "errors.else: it names its operations"},
		{"second error shape of an unknown operation", func(p tree) {
			object(p["errors"])["else"] = tree{"code": "status", "operations": []any{"confirm-payment-intend"}}
		},
			`errors.else.operations: the contract has no "confirm-payment-intend"`},
		{"operations of the first error shape", func(p tree) { object(p["errors"])["operations"] = []any{"confirm-payment-intent"} }, "errors.operations: only errors.else"},
		{"own limit without a reason", func(p tree) { p["limits"] = []any{tree{"scope": "account", "calls": 1, "per": "1s"}} }, "limits[0].note is empty"},
		{"limit of an unknown operation", func(p tree) {
			first(p, "limits")["operations"] = []any{"create-paymentintent"}
		}, `did you mean "create-payment-intent"?`},
		{"sign without a condition", func(p tree) { p["throttle"] = []any{tree{"means": "throttled", "source": "x"}} }, "every answer would be a sign"},
		{"sign with a bad path", func(p tree) { first(p, "throttle")["field"] = "error..code" }, "throttle[0].field"},
		{"repeat of a success", func(p tree) { object(p["retry"])["statuses"] = []any{200} }, "200 is not the status of a failure"},
		{"repeats without end", func(p tree) { object(p["retry"])["max_attempts"] = 50 }, "is not between 1 and 5"},
		{"short idempotency keys", func(p tree) { object(p["idempotency"])["max_length"] = 4 }, "too short for a key"},
		{"credential header from outside", func(p tree) { p["request_headers"] = []any{"authorization"} }, "is always the gate's own"},
		{"account header that passes", func(p tree) {
			p["request_headers"] = []any{"stripe-account"}
			p["account_headers"] = []any{map[string]any{"name": "stripe-account", "source": "https://docs.example"}}
		}, "never passes"},
		{"account header without source", func(p tree) { p["account_headers"] = []any{map[string]any{"name": "Stripe-Account"}} }, "lower case"},
		{"header that the gate sets", func(p tree) { p["request_headers"] = []any{"stripe-version"} }, "is set by the gate"},
		{"header with capitals", func(p tree) { p["response_headers"] = []any{"Request-Id"} }, "not a header name in lower case"},
		{"unknown webhook scheme", func(p tree) { object(p["webhook"])["scheme"] = "trust" }, `webhook.scheme: "trust" is not known`},
		{"unsigned but with a scheme", func(p tree) { object(p["webhook"])["unauthenticated"] = true }, "unauthenticated events have the scheme secret_path or none"},
		{"page without a sentence", func(p tree) { delete(object(p["surface"]), "page") }, "surface.page is empty"},
		{"script over http", func(p tree) { object(p["surface"])["scripts"] = []any{"http://js.stripe.com"} }, "surface.scripts[0]"},
		{"token endpoint of no server", func(p tree) {
			p["token_endpoints"] = []any{tree{"server": "moon", "path": "/t", "answer": tree{"token_type": "Bearer"}, "source": "s"}}
		}, "there is no server \"moon\""},
		{"token endpoint with a parameter", func(p tree) {
			p["token_endpoints"] = []any{tree{"server": "api", "path": "/t/{id}", "answer": tree{"token_type": "Bearer"}, "source": "s"}}
		}, "has no parameter"},
		{"token endpoint that answers itself", func(p tree) {
			p["token_endpoints"] = []any{tree{"server": "api", "path": "/t", "answer": tree{"token_type": "Bearer", "access_token": "x"}, "source": "s"}}
		}, "is the gate's own"},
		{"token endpoint without a type", func(p tree) {
			p["token_endpoints"] = []any{tree{"server": "api", "path": "/t", "answer": tree{}, "source": "s"}}
		}, "token_type is missing"},
		{"weak key shape", func(p tree) { first(p, "key_shapes")["length"] = 12 }, "a key needs 128"},
		{"key shape of no alphabet", func(p tree) { first(p, "key_shapes")["alphabet"] = "emoji" }, "a key needs 128"},
		{"claim without a source", func(p tree) { first(p, "compliance")["source"] = " " }, "compliance[0].source is empty"},
		{"claim from memory", func(p tree) { first(p, "compliance")["evidence"] = "memory" }, `"memory" is not known`},
		{"claim that is unverified", func(p tree) { first(p, "compliance")["statement"] = "HIPAA (unverified)" }, "holds an unverified statement"},
		{"claim of an unknown subject", func(p tree) { first(p, "compliance")["subject"] = "Blue Angel" }, `"Blue Angel" is not known`},
		{"decline that nothing tells", func(p tree) { delete(guards(p, "cards"), "declined") }, "guards.cards[0].declined: nothing tells"},
		{"decline of every answer", func(p tree) { first(guards(p, "cards"), "declined")["status"] = 0 }, "every answer would be meant"},
		{"outcome of an unknown operation", func(p tree) { guards(p, "cards")["outcomes"] = []any{"read-card"} }, `the contract has no "read-card"`},
		{"field of an answer without values", func(p tree) { delete(first(guards(p, "cards"), "approved"), "in") }, "no value of status is given"},
		{"message to an unknown parameter", func(p tree) { guards(p, "messages")["to"] = "To" }, "guards.messages[0].to: update-payment-intent has no parameter To"},
		{"code that nobody can tell from others", func(p tree) { delete(object(guards(p, "messages")["code"]), "check_id") }, "write check_to, or id and check_id"},
		{"search without a token", func(p tree) { guards(p, "autocomplete")["token"] = "session" }, "guards.autocomplete[0].token: update-payment-intent has no parameter session"},
		{"default against the contract", func(p tree) { guards(p, "defaults")["value"] = 5 }, "guards.defaults[0].value: expand: found the number 5"},
		{"default without a source", func(p tree) { guards(p, "defaults")["source"] = "" }, "guards.defaults[0].source is empty"},
		{"price of an unknown parameter", func(p tree) { guards(p, "priced")["parameter"] = "fields" }, "guards.priced[0].parameter"},
		{"note without a date", func(p tree) { delete(first(p, "notes"), "date") }, "notes[0].date"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := spoilt(t, c.change)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("found %v; want %q", err, c.want)
			}
		})
	}
}

// TestValidateNamesAllFaults: all problems at once, not the first.
func TestValidateNamesAllFaults(t *testing.T) {
	err := spoilt(t, func(p tree) {
		p["checked"] = ""
		object(p["webhook"])["scheme"] = "trust"
		first(p, "key_shapes")["length"] = 1
	})
	for _, want := range []string{"checked:", "webhook.scheme:", "key_shapes[0]:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

func TestPackFileIsStrict(t *testing.T) {
	pack, contract := readBuiltin(t, "stripe/pack.json"), readBuiltin(t, "stripe/contract.json")
	for _, c := range []struct{ name, pack, contract, want string }{
		{"repeated key", strings.Replace(pack, `"name": "Stripe",`, `"name": "Stripe", "name": "Strive",`, 1), contract, `the key "name" stands twice`},
		{"repeated key inside", strings.Replace(pack, `"scope": "account",`, `"scope": "account", "scope": "object",`, 1), contract, `the key "scope" stands twice`},
		{"more text", pack + "{}", contract, "more text after the closing brace"},
		{"half a file", pack[:len(pack)/2], contract, "ends before its closing brace"},
		{"broken contract", pack, `{"openapi": "3.1.0"`, "stripe/contract.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := open(t, c.pack, c.contract); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("found %v; want %q", err, c.want)
			}
		})
	}
}

func TestMissingContract(t *testing.T) {
	c, err := provider.Open(fstest.MapFS{"stripe/pack.json": {Data: []byte(readBuiltin(t, "stripe/pack.json"))}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Find("stripe"); err == nil || !strings.Contains(err.Error(), "contract.json") {
		t.Errorf("a pack without a contract: %v", err)
	}
}

func TestAcceptsTellsLiveFromSandbox(t *testing.T) {
	pack, err := provider.Builtin().Find("stripe")
	if err != nil {
		t.Fatal(err)
	}
	key := pack.Credentials[0]
	for _, c := range []struct {
		mode  provider.Mode
		value string
		ok    bool
	}{
		{provider.Live, "sk_live_4eC39HqLyjWDarjtT1", true},
		{provider.Live, "rk_live_4eC39HqLyjWDarjtT1", true},
		{provider.Live, "sk_test_4eC39HqLyjWDarjtT1", false},
		{provider.Sandbox, "sk_test_4eC39HqLyjWDarjtT1", true},
		{provider.Sandbox, "sk_live_4eC39HqLyjWDarjtT1", false},
		{provider.Sandbox, "pk_test_4eC39HqLyjWDarjtT1", false},
		{provider.Sandbox, "sk_test_", false},
		{provider.Mock, "", false},
	} {
		if got := key.Accepts(c.mode, c.value); got != c.ok {
			t.Errorf("mode %s, %.8s…: %v; want %v", c.mode, c.value, got, c.ok)
		}
	}
}

// TestNoRawCardData: the gate stays out of the scope of PCI DSS because no request can
// carry a card number or a security code.
func TestNoRawCardData(t *testing.T) {
	forbidden := map[string]bool{"number": true, "cvc": true, "cvv": true, "cvv2": true, "security_code": true, "exp_month": true, "exp_year": true, "expiry": true, "cryptogram": true}
	for _, id := range []string{"stripe", "paypal"} {
		contract := readContract(t, id)
		for path, item := range object(contract["paths"]) {
			for method, op := range object(item) {
				for _, m := range object(deref(contract, object(object(op)["requestBody"]))["content"]) {
					findNames(contract, object(object(m)["schema"]), 0, func(name string) {
						if forbidden[name] {
							t.Errorf("%s %s %s: the request has a field %q", id, method, path, name)
						}
					})
				}
			}
		}
	}
}

func findNames(doc, schema tree, depth int, visit func(string)) {
	if depth > 12 {
		return
	}
	for _, s := range shapes(doc, schema) {
		for name, p := range s.properties {
			visit(name)
			findNames(doc, p[0], depth+1, visit)
		}
		for _, items := range s.items {
			findNames(doc, items, depth+1, visit)
		}
	}
}

// guards is the first of a kind of facts for guards.
func guards(p tree, kind string) tree { return first(object(p["guards"]), kind) }
