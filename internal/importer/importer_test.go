package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/openapi"
	"sallyport/internal/provider"
)

var day = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// described makes a document of its parts: servers, security schemes, security and paths.
func described(t *testing.T, members string) *openapi.Document {
	t.Helper()
	d, err := openapi.Read("doc.json", []byte(`{"openapi":"3.0.3","info":{"title":"The Acme Orders API","version":"1"},`+members+`}`), openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func options(change func(*Options)) Options {
	o := Options{File: "doc.json", Operations: []string{"all"}, On: day}
	if change != nil {
		change(&o)
	}
	return o
}

const ok = `"responses":{"200":{"description":"d"}}`

func packOf(t *testing.T, made *Made) *provider.Pack {
	t.Helper()
	p, err := provider.Parse(made.ID, made.Pack, made.Contract)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhereCredentialsGo(t *testing.T) {
	schemes := func(list string) string { return `"components":{"securitySchemes":{` + list + `}},` }
	const paths = `"servers":[{"url":"https://api.acme.example"}],"paths":{"/a":{"get":{"operationId":"a",` + ok + `}}}`
	basic := provider.Auth{Kind: "basic", User: "{username}", Password: "{password}"}
	bearer := provider.Auth{Kind: "header", Name: "Authorization", Value: "Bearer {token}"}
	for _, row := range []struct {
		name, members, auth string
		want                provider.Auth
		fields              string
	}{
		{name: "none at all", members: paths, want: provider.Auth{Kind: "none"}},
		{name: "bearer", members: schemes(`"t":{"type":"http","scheme":"Bearer"}`) + `"security":[{"t":[]}],` + paths, want: bearer, fields: "token"},
		{name: "basic", members: schemes(`"b":{"type":"http","scheme":"basic"}`) + `"security":[{"b":[]}],` + paths, want: basic, fields: "username password"},
		{name: "a header", members: schemes(`"k":{"type":"apiKey","in":"header","name":"X-API-Key"}`) + `"security":[{"k":[]}],` + paths,
			want: provider.Auth{Kind: "header", Name: "X-API-Key", Value: "{x_api_key}"}, fields: "x_api_key"},
		{name: "two together", members: schemes(`"k":{"type":"apiKey","in":"query","name":"key"},"s":{"type":"apiKey","in":"query","name":"secret"}`) + `"security":[{"k":[],"s":[]}],` + paths,
			want: provider.Auth{Kind: "query", Name: "key", Value: "{key}", Also: []provider.Auth{{Kind: "query", Name: "secret", Value: "{secret}"}}}, fields: "key secret"},
		{name: "what this version serves comes first", members: schemes(`"o":{"type":"oauth2","flows":{"clientCredentials":{"tokenUrl":"https://api.acme.example/token"}}},"b":{"type":"http","scheme":"basic"}`) + `"security":[{"o":[]},{"b":[]}],` + paths, want: basic, fields: "username password"},
		{name: "a client's own token", members: schemes(`"o":{"type":"oauth2","flows":{"clientCredentials":{"tokenUrl":"https://api.acme.example/token"}}}`) + `"security":[{"o":[]}],` + paths,
			want: provider.Auth{Kind: "oauth_client_credentials", User: "{client_id}", Password: "{client_secret}", TokenServer: "api", TokenPath: "/token"}, fields: "client_id client_secret"},
		{name: "a user's token", members: schemes(`"o":{"type":"openIdConnect"}`) + `"security":[{"o":[]}],` + paths, want: provider.Auth{Kind: "user_token", Name: "Authorization"}},
		{name: "a scheme that nothing names", members: schemes(`"b":{"type":"http","scheme":"basic"}`) + paths, want: basic, fields: "username password"},
		{name: "wished: header", members: paths, auth: "header:X-Key", want: provider.Auth{Kind: "header", Name: "X-Key", Value: "{x_key}"}, fields: "x_key"},
		{name: "wished: body", members: paths, auth: "body:api_key", want: provider.Auth{Kind: "body", Name: "api_key", Value: "{api_key}"}, fields: "api_key"},
		{name: "wished: a service account", members: paths, auth: "jwt-bearer:https://api.acme.example/token a  b",
			want: provider.Auth{Kind: "oauth_jwt_bearer", Password: "{service_account}", TokenServer: "api", TokenPath: "/token", TokenScope: "a b"}, fields: "service_account"},
		{name: "wished: bearer", members: paths, auth: "bearer", want: bearer, fields: "token"},
	} {
		t.Run(row.name, func(t *testing.T) {
			made, err := Import(described(t, row.members), options(func(o *Options) { o.Auth = row.auth }))
			if err != nil {
				t.Fatal(err)
			}
			p := packOf(t, made)
			if len(p.Auth) != 1 {
				t.Fatalf("auth %+v", p.Auth)
			}
			op, _ := p.Contract().Find("a")
			if got := p.Auth[op.Auth]; !reflect.DeepEqual(got, row.want) {
				t.Errorf("auth %+v, want %+v", got, row.want)
			}
			var fields []string
			for _, f := range p.Credentials {
				fields = append(fields, f.Name)
				if f.Secret != (f.Name != "client_id") {
					t.Errorf("%s: secret %v", f.Name, f.Secret)
				}
			}
			if got := strings.Join(fields, " "); got != row.fields {
				t.Errorf("fields %q, want %q", got, row.fields)
			}
		})
	}
	cookie := schemes(`"c":{"type":"apiKey","in":"cookie","name":"s"}`) + `"security":[{"c":[]}],` + paths
	if _, err := Import(described(t, cookie), options(nil)); err == nil || !strings.Contains(err.Error(), "a way that the gate does not know") {
		t.Errorf("a cookie: %v", err)
	}
}

func TestACredentialIsNoParameter(t *testing.T) {
	made, err := Import(described(t, `"servers":[{"url":"https://api.acme.example"}],"components":{"securitySchemes":{"k":{"type":"apiKey","in":"query","name":"key"}}},"security":[{"k":[]}],
		"paths":{"/a":{"get":{"operationId":"a","parameters":[{"name":"key","in":"query","required":true,"schema":{"type":"string"}},{"name":"q","in":"query","schema":{"type":"string"}}],`+ok+`}}}`), options(nil))
	if err != nil {
		t.Fatal(err)
	}
	op, _ := packOf(t, made).Contract().Find("a")
	if got := op.ParamNames(); !slices.Equal(got, []string{"q"}) {
		t.Errorf("parameters %v", got)
	}
}

func TestWhereOperationsLive(t *testing.T) {
	const paths = `"paths":{"/a":{"get":{"operationId":"a",` + ok + `}},"/b":{"servers":[{"url":"https://roads.acme.example/r"}],"get":{"operationId":"b",` + ok + `}}}`
	for _, row := range []struct {
		name, servers string
		change        func(*Options)
		live, sandbox string // of a
		path          string // of a
		err           string
	}{
		{name: "one", servers: `[{"url":"https://api.acme.example/v1/"}]`, live: "https://api.acme.example", path: "/v1/a"},
		{name: "a variable", servers: `[{"url":"https://{r}.acme.example","variables":{"r":{"default":"eu"}}}]`, live: "https://eu.acme.example", path: "/a"},
		{name: "a sandbox by its host", servers: `[{"url":"https://api.sandbox.acme.example"},{"url":"https://api.acme.example"}]`, live: "https://api.acme.example", sandbox: "https://api.sandbox.acme.example", path: "/a"},
		{name: "a sandbox by its note", servers: `[{"url":"https://api.acme.example"},{"url":"https://x.acme.example","description":"The test system"}]`, live: "https://api.acme.example", sandbox: "https://x.acme.example", path: "/a"},
		{name: "contest is no test", servers: `[{"url":"https://contest.acme.example"}]`, live: "https://contest.acme.example", path: "/a"},
		{name: "a sandbox elsewhere", servers: `[{"url":"https://api.acme.example/v1"},{"url":"https://sandbox.acme.example/v2"}]`, live: "https://api.acme.example", path: "/v1/a"},
		{name: "wished", servers: `[{"url":"http://localhost:8080"}]`, change: func(o *Options) { o.Server, o.Sandbox = "https://Api.acme.example/x", "https://t.acme.example/x/" }, live: "https://api.acme.example", sandbox: "https://t.acme.example", path: "/x/a"},
		{name: "plain http", servers: `[{"url":"http://api.acme.example"}]`, err: "is not an https address"},
		{name: "a port", servers: `[{"url":"https://api.acme.example:8443"}]`, err: "is not an https address"},
		{name: "relative", servers: `[{"url":"/v1"}]`, err: "is not an https address"},
		{name: "a variable without default", servers: `[{"url":"https://{r}.acme.example"}]`, err: "is not an https address"},
		{name: "none", servers: `[]`, err: "names no server"},
	} {
		t.Run(row.name, func(t *testing.T) {
			made, err := Import(described(t, `"servers":`+row.servers+`,`+paths), options(func(o *Options) {
				o.Operations = []string{"a", "b"}
				if row.change != nil {
					row.change(o)
				}
			}))
			if row.err != "" {
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Errorf("error %v, want %q", err, row.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p := packOf(t, made)
			a, _ := p.Contract().Find("a")
			b, _ := p.Contract().Find("b")
			s := p.Servers[a.Server].URL
			if s[provider.Live] != row.live || s[provider.Sandbox] != row.sandbox || a.PathTemplate != row.path || a.Server != "api" {
				t.Errorf("%s: %v, path %s", a.Server, s, a.PathTemplate)
			}
			if b.Server != "roads" || p.Servers["roads"].URL[provider.Live] != "https://roads.acme.example" || b.PathTemplate != "/r/b" {
				t.Errorf("b lives at %s %v %s", b.Server, p.Servers[b.Server], b.PathTemplate)
			}
		})
	}
}

func TestChoosing(t *testing.T) {
	d := described(t, `"paths":{"/v1/a":{"get":{"operationId":"getA",`+ok+`},"post":{"operationId":"makeA",`+ok+`}},"/v1/a/b":{"get":{"operationId":"getB",`+ok+`}},"/v2":{"delete":{"operationId":"dropC",`+ok+`}}}`)
	for wish, want := range map[string]string{
		"all": "get-a make-a get-b drop-c", "*": "get-a make-a get-b drop-c", "get-a": "get-a", "getA": "get-a", "get-*": "get-a get-b", "GET /v1/*": "get-a get-b", "get /v1/a": "get-a", "/v1/*": "get-a make-a get-b",
		"* /v2": "drop-c", "drop-c,get-a": "get-a drop-c", "get-c": "!", "GET /v3*": "!", "": "!", "GET x": "!",
	} {
		got, _, err := choose(d.Operations, strings.Split(wish, ","))
		text := strings.Join(ids(got), " ")
		if err != nil {
			text = "!"
		}
		if text != want {
			t.Errorf("%q: %s, want %s (%v)", wish, text, want, err)
		}
	}
}

// TestNamesThatTell holds the names against what they should tell.
func TestNamesThatTell(t *testing.T) {
	text := []string{"string"}
	for _, row := range []struct {
		f    openapi.Field
		want string
	}{
		{openapi.Field{Name: "email", Types: text}, "personal"},
		{openapi.Field{Name: "receiptEmail", Types: text}, "personal"},
		{openapi.Field{Name: "email_verified", Types: []string{"boolean"}}, ""},
		{openapi.Field{Name: "emails", Types: []string{"array"}}, "personal"},
		{openapi.Field{Name: "first_name", Types: text}, "personal"},
		{openapi.Field{Name: "name", Parent: "Customer", Types: text}, "personal"},
		{openapi.Field{Name: "name", Parent: "create-users", Types: text}, "personal"},
		{openapi.Field{Name: "name", Parent: "product", Types: text}, ""},
		{openapi.Field{Name: "billing_address", Types: []string{"object"}}, "personal"},
		{openapi.Field{Name: "ip", Types: text}, "personal"},
		{openapi.Field{Name: "ship", Types: text}, ""},
		{openapi.Field{Name: "zip", Types: text}, "personal"},
		{openapi.Field{Name: "DateOfBirth", Types: text}, "personal"},
		{openapi.Field{Name: "iban", Types: text}, "personal"},
		{openapi.Field{Name: "x", Format: "email"}, "personal"},
		{openapi.Field{Name: "x", PII: "standard"}, "personal"},
		{openapi.Field{Name: "auth_token", PII: "sensitive", Types: text}, "secret"},
		{openapi.Field{Name: "cardNumber", Types: text}, "card"},
		{openapi.Field{Name: "number", Parent: "payment_card", Types: text}, "card"},
		{openapi.Field{Name: "number", Parent: "page", Types: text}, ""},
		{openapi.Field{Name: "cvc", Types: text}, "card"},
		{openapi.Field{Name: "exp_month", Parent: "card", Types: []string{"integer"}}, "card"},
		{openapi.Field{Name: "password", Types: text}, "secret"},
		{openapi.Field{Name: "clientSecret", Types: text}, "secret"},
		{openapi.Field{Name: "api_key", Types: text}, "secret"},
		{openapi.Field{Name: "token", Types: text}, "secret"},
		{openapi.Field{Name: "token", Types: []string{"object"}}, ""},
		{openapi.Field{Name: "tokens_used", Types: []string{"integer"}}, ""},
		{openapi.Field{Name: "nextPageToken", Types: text}, ""},
		{openapi.Field{Name: "secret", Types: text, Listed: true}, ""},
		{openapi.Field{Name: "x", Format: "password"}, "secret"},
		{openapi.Field{Name: "x", WriteOnly: true, Types: text}, "secret"},
		{openapi.Field{Name: "x", WriteOnly: true, Types: []string{"boolean"}}, ""},
		{openapi.Field{Name: "status", Types: text}, ""},
		{openapi.Field{Name: "", Types: text}, ""},
	} {
		if got := (&marker{}).mark(row.f); got.Data != row.want || (got.Data != "") != (got.Why != "") {
			t.Errorf("%+v: %+v, want %q", row.f, got, row.want)
		}
	}
	for _, row := range []struct {
		f       openapi.Field
		id, url bool
	}{
		{openapi.Field{Name: "order", In: "path", Types: text, Request: true}, true, false},
		{openapi.Field{Name: "customerId", Types: text}, true, false},
		{openapi.Field{Name: "AccountSid", Types: text}, true, false},
		{openapi.Field{Name: "paid", Types: []string{"boolean"}}, false, false},
		{openapi.Field{Name: "successUrl", Types: text, Request: true}, false, true},
		{openapi.Field{Name: "url", Types: text}, false, false},
	} {
		if got := (&marker{}).mark(row.f); got.ID != row.id || got.URL != row.url {
			t.Errorf("%+v: %+v", row.f, got)
		}
	}
}

func TestEffectsAndRepeats(t *testing.T) {
	made, err := Import(described(t, `"servers":[{"url":"https://api.acme.example"}],"paths":{
		"/payments":{"get":{"operationId":"listPayments",`+ok+`},"post":{"operationId":"createPayment",`+ok+`}},
		"/sms":{"post":{"operationId":"sendSms","requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{"phone":{"type":"string"}}}}}},`+ok+`}},
		"/webhooks/{id}":{"delete":{"operationId":"dropWebhook",`+ok+`}},
		"/search":{"post":{"operationId":"search",`+ok+`}}}`), options(func(o *Options) { o.Retry = []string{"search=safe"} }))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range made.Report.Operations {
		got = append(got, fmt.Sprintf("%s %s %v", l.ID, l.Retry, l.Effects))
	}
	want := []string{"list-payments safe []", "create-payment never [money]", "send-sms never [message personal]", "drop-webhook never [admin]", "search safe []"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if made.ID != "acme-orders" || made.Report.Name != "The Acme Orders API" {
		t.Errorf("called %s, %s", made.ID, made.Report.Name)
	}
}

// TestAnImportedPackSaysSo: a pack of the catalog cannot leave out what an imported one may.
func TestAnImportedPackSaysSo(t *testing.T) {
	made, err := Import(described(t, `"servers":[{"url":"https://api.acme.example"}],"paths":{"/a":{"get":{"operationId":"a",`+ok+`}}}`), options(nil))
	if err != nil {
		t.Fatal(err)
	}
	var pack map[string]any
	if err := json.Unmarshal(made.Pack, &pack); err != nil {
		t.Fatal(err)
	}
	delete(pack, "imported")
	text, err := json.Marshal(pack)
	if err != nil {
		t.Fatal(err)
	}
	_, err = provider.Parse(made.ID, text, made.Contract)
	if err == nil || !strings.Contains(err.Error(), "functions: none given") || !strings.Contains(err.Error(), "docs:") {
		t.Errorf("without its mark: %v", err)
	}
	for _, id := range provider.Builtin().List() {
		if heads, err := provider.Builtin().Heads(); err != nil || slices.ContainsFunc(heads, func(p *provider.Pack) bool { return p.Imported != nil }) {
			t.Errorf("%s: a pack of the catalog is marked as imported (%v)", id, err)
		}
	}
}

func TestNamedOperationsAreNotLeftOutSilently(t *testing.T) {
	d := described(t, `"servers":[{"url":"https://api.acme.example"}],"paths":{"/a":{"get":{"operationId":"a",`+ok+`}},"/b":{"get":{"operationId":"b","responses":{"200":{"description":"d","content":{"image/png":{}}}}}}}`)
	made, err := Import(d, options(nil))
	if err != nil || len(made.Report.Operations) != 1 || len(made.Report.LeftOut) != 1 || made.Report.LeftOut[0].Operation != "b" {
		t.Errorf("all: %v %+v", err, made)
	}
	_, err = Import(d, options(func(o *Options) { o.Operations = []string{"b", "a"} }))
	var wrong *Error
	if !errors.As(err, &wrong) || len(wrong.LeftOut) != 1 || !strings.Contains(wrong.Text, "b cannot be imported") {
		t.Errorf("by name: %v", err)
	}
}
