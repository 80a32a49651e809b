package outbound

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sallyport/internal/problem"
	"sallyport/internal/secret"
)

func fields() map[string]Field {
	id := fixed("AC123")
	id.Identifier = true
	return map[string]Field{"key": fixed("sk_test_abcdefgh"), "token": fixed("t0ken/+=&é\"x"), "id": id}
}

func form(body string) *Request {
	return &Request{Method: "POST", Path: "/", RawQuery: "a=1", Body: []byte(body), Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
}

func jsonRequest(body string) *Request {
	r := form(body)
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestPlacements(t *testing.T) {
	tests := []struct {
		name  string
		place Placement
		in    *Request
		auth  string
		query string
		body  string
	}{
		{"none", Placement{Kind: KindNone}, form("x=1"), "", "a=1", "x=1"},
		{"header with prefix", Placement{Kind: KindHeader, Name: "authorization", Value: "Bearer {key}"}, form("x=1"), "Bearer sk_test_abcdefgh", "a=1", "x=1"},
		{"basic", Placement{Kind: KindBasic, User: "{id}", Password: "{token}"}, form("x=1"),
			"Basic " + base64.StdEncoding.EncodeToString([]byte("AC123:t0ken/+=&é\"x")), "a=1", "x=1"},
		{"basic without password", Placement{Kind: KindBasic, User: "{key}"}, form(""), "Basic " + base64.StdEncoding.EncodeToString([]byte("sk_test_abcdefgh:")), "a=1", ""},
		{"query", Placement{Kind: KindQuery, Name: "key", Value: "{token}"}, form("x=1"), "", "a=1&key=t0ken%2F%2B%3D%26%C3%A9%22x", "x=1"},
		{"form", Placement{Kind: KindBody, Name: "api_secret", Value: "{token}"}, form("x=1"), "", "a=1", "x=1&api_secret=t0ken%2F%2B%3D%26%C3%A9%22x"},
		{"form, empty", Placement{Kind: KindBody, Name: "k", Value: "{key}"}, form(""), "", "a=1", "k=sk_test_abcdefgh"},
		{"json", Placement{Kind: KindBody, Name: "api_secret", Value: "{token}"}, jsonRequest(` {"x":{"y":1}}`), "", "a=1", `{"api_secret":"t0ken/+=\u0026é\"x","x":{"y":1}}`},
		{"json, empty object", Placement{Kind: KindBody, Name: "k", Value: "{key}"}, jsonRequest(`{}`), "", "a=1", `{"k":"sk_test_abcdefgh"}`},
		{"json, empty body", Placement{Kind: KindBody, Name: "k", Value: "{key}"}, jsonRequest(``), "", "a=1", `{"k":"sk_test_abcdefgh"}`},
		{"combined", Placement{Kind: KindBody, Name: "api_key", Value: "{id}", Also: []Placement{{Kind: KindBody, Name: "api_secret", Value: "{key}"},
			{Kind: KindHeader, Name: "Authorization", Value: "{key}"}}}, form("x=1"), "sk_test_abcdefgh", "a=1", "x=1&api_key=AC123&api_secret=sk_test_abcdefgh"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := NewTemplate(test.place, fields())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Apply(t.Context(), test.in); err != nil {
				t.Fatal(err)
			}
			if got := test.in.Header.Get("Authorization"); got != test.auth {
				t.Errorf("Authorization %q, want %q", got, test.auth)
			}
			if test.in.RawQuery != test.query || string(test.in.Body) != test.body {
				t.Errorf("query %q, body %q; want %q, %q", test.in.RawQuery, test.in.Body, test.query, test.body)
			}
			if strings.HasPrefix(test.body, "{") && !json.Valid(test.in.Body) {
				t.Error("the body is not JSON any more")
			}
		})
	}
}

func TestBadPlacements(t *testing.T) {
	for name, p := range map[string]Placement{
		"unknown kind": {Kind: "cookie", Name: "a", Value: "{key}"}, "no kind": {}, "no name": {Kind: KindHeader, Value: "{key}"}, "no value": {Kind: KindQuery, Name: "key"},
		"unknown field": {Kind: KindHeader, Name: "A", Value: "{other}"}, "open brace": {Kind: KindHeader, Name: "A", Value: "{key"}, "closing brace": {Kind: KindHeader, Name: "A", Value: "key}"},
		"empty braces": {Kind: KindHeader, Name: "A", Value: "{}"}, "header name": {Kind: KindHeader, Name: "A B", Value: "{key}"}, "host": {Kind: KindHeader, Name: "host", Value: "{key}"},
		"no user": {Kind: KindBasic, Password: "{key}"}, "bad also": {Kind: KindNone, Also: []Placement{{Kind: "x"}}},
	} {
		if _, err := NewTemplate(p, fields()); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "sk_test") {
			t.Errorf("%s: the error holds a value", name)
		}
	}
}

// What does not fit is an error that names no value, and nothing is half applied twice.
func TestApplyFailsClosed(t *testing.T) {
	broken := errors.New("permission denied")
	header := Placement{Kind: KindHeader, Name: "A", Value: "{v}"}
	body := Placement{Kind: KindBody, Name: "x", Value: "{v}"}
	tests := []struct {
		name  string
		place Placement
		field Field
		in    *Request
	}{
		{"empty value", header, fixed(""), form("")},
		{"short value", header, fixed("1234567"), form("")},
		{"CRLF in value", header, fixed("canary-value\r\nX: y"), form("")},
		{"trailing newline", header, fixed("canary-value\n"), form("")},
		{"not ASCII", header, fixed("canary-valüe"), form("")},
		{"trailing space", header, fixed("canary-value "), form("")},
		{"colon in user", Placement{Kind: KindBasic, User: "{v}"}, fixed("canary:value"), form("")},
		{"query taken", Placement{Kind: KindQuery, Name: "a", Value: "{v}"}, fixed("canary-value"), form("")},
		{"form field taken", body, fixed("canary-value"), form("x=1")},
		{"JSON field taken", body, fixed("canary-value"), jsonRequest(`{"x":1}`)},
		{"JSON array", body, fixed("canary-value"), jsonRequest(`[1]`)},
		{"JSON null", body, fixed("canary-value"), jsonRequest(`null`)},
		{"no media type", body, fixed("canary-value"), &Request{Body: []byte("a"), Header: http.Header{}}},
		{"other media type", body, fixed("canary-value"), &Request{Body: []byte("a"), Header: http.Header{"Content-Type": {"text/plain"}}}},
		{"unreadable", header, Field{Read: func(context.Context) (secret.Value, error) { return secret.Value{}, broken }}, form("")},
	}
	for _, test := range tests {
		c, err := NewTemplate(test.place, map[string]Field{"v": test.field})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Apply(t.Context(), test.in)
		if err == nil {
			t.Errorf("%s: applied", test.name)
			continue
		}
		wantProblem(t, err, problem.CredentialUnavailable, problem.NotSent)
		if all := fmt.Sprintf("%v %+v %s", err, err, problem.From(err).Document("")); strings.Contains(all, "canary") {
			t.Errorf("%s: the error holds the value: %s", test.name, all)
		}
	}
}

func TestRotationWithoutRestart(t *testing.T) {
	var value atomic.Value
	value.Store("first-secret-value")
	c, err := NewTemplate(Placement{Kind: KindHeader, Name: "A", Value: "{v}"}, map[string]Field{"v": {Read: func(context.Context) (secret.Value, error) {
		text, _ := value.Load().(string)
		return secret.NewValue([]byte(text)), nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	apply := func() (Mark, string) {
		r := form("")
		mark, err := c.Apply(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return mark, r.Header.Get("A")
	}
	mark, sent := apply()
	if again, _ := c.Refresh(t.Context(), mark); again || sent != "first-secret-value" {
		t.Errorf("nothing changed, and Refresh says %t; sent %s", again, sent)
	}
	value.Store("second-secret-value")
	if again, _ := c.Refresh(t.Context(), mark); !again {
		t.Error("Refresh does not see the new value")
	}
	if _, sent := apply(); sent != "second-secret-value" {
		t.Errorf("sent %s", sent)
	}
	for _, v := range []string{"first-secret-value", "second-secret-value"} {
		if !c.Echo([]byte("..." + v + "...")) {
			t.Errorf("%s is not found", v)
		}
	}
}

// The secret is found in every encoding; its public neighbour and near misses are not.
func TestEcho(t *testing.T) {
	for _, value := range []string{"sk_test_4eC39HqLyjWDarjtT1zdp7dc", "a/b+c=d&e f\"g\\h", "-----BEGIN KEY-----\nMIIabc\n-----END KEY-----", "12345678"} {
		c, err := NewTemplate(Placement{Kind: KindBody, Name: "k", Value: "{v}", Also: []Placement{{Kind: KindBody, Name: "id", Value: "{id}"}}},
			map[string]Field{"v": fixed(value), "id": fields()["id"]})
		if err != nil {
			t.Fatal(err)
		}
		if c.Echo([]byte(value)) {
			t.Error("found before it was ever used")
		}
		if _, err := c.Apply(t.Context(), form("")); err != nil {
			t.Fatal(err)
		}
		for name, text := range encodings(value) {
			if !c.Echo([]byte(`{"error":"bad key ` + text + `!"}`)) {
				t.Errorf("%q in %s is not found: %s", value, name, text)
			}
		}
		for _, text := range []string{"", "AC123", value[1:], value[:len(value)-1], value[:4] + "." + value[4:], strings.Repeat("a", 5000)} {
			if c.Echo([]byte(text)) {
				t.Errorf("%q is taken for %q", text, value)
			}
		}
	}
}

func encodings(v string) map[string]string {
	quoted, _ := json.Marshal(v)
	inner := string(quoted[1 : len(quoted)-1])
	twice, _ := json.Marshal(inner)
	var everyByte, everyRune strings.Builder
	for i := range len(v) {
		fmt.Fprintf(&everyByte, "%%%02x", v[i])
		fmt.Fprintf(&everyRune, `\u%04X`, v[i])
	}
	out := map[string]string{"plain": v, "upper case": strings.ToUpper(v), "hex": hex.EncodeToString([]byte(v)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(v))),
		"query": url.QueryEscape(v), "path": url.PathEscape(v), "every byte": everyByte.String(), "JSON": inner, "JSON twice": string(twice), "every rune": everyRune.String(),
		"slashes": strings.ReplaceAll(inner, "/", `\/`), "JSON of query": strings.ReplaceAll(url.QueryEscape(v), "%", `\u0025`)}
	for shift := range 3 {
		for name, enc := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.URLEncoding} {
			text := enc.EncodeToString([]byte("abc"[:shift] + v + ":tail"))
			out[fmt.Sprintf("base64 %s +%d", name, shift)] = text
			out[fmt.Sprintf("escaped base64 %s +%d", name, shift)] = url.QueryEscape(text)
		}
	}
	return out
}

func TestTemplateIsSharedSafely(t *testing.T) {
	var n atomic.Int64
	c, err := NewTemplate(Placement{Kind: KindHeader, Name: "A", Value: "{v}"}, map[string]Field{"v": {Read: func(context.Context) (secret.Value, error) {
		return secret.NewValue(fmt.Appendf(nil, "rotating-secret-%d", n.Add(1)/10)), nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				r := form("")
				mark, err := c.Apply(t.Context(), r)
				if err != nil {
					t.Error(err)
				}
				_ = c.Echo([]byte(r.Header.Get("A")))
				_, _ = c.Refresh(t.Context(), mark)
			}
		})
	}
	wg.Wait()
}

func BenchmarkEcho(b *testing.B) {
	c := bearer(b, "sk_test_4eC39HqLyjWDarjtT1zdp7dc")
	if _, err := c.Apply(b.Context(), form("")); err != nil {
		b.Fatal(err)
	}
	body := []byte(strings.Repeat(`{"id":"pi_3MtwBwLkdIwHu7ix28a3tqPa","object":"payment_intent","amount":2000},`, 16))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if c.Echo(body) {
			b.Fatal("found")
		}
	}
}
