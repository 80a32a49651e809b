package mock_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/internal/contract"
	"sallyport/internal/mock"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

const form = "application/x-www-form-urlencoded"

func serve(t *testing.T, id string) *httptest.Server {
	t.Helper()
	pack, err := provider.Builtin().Find(id)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(mock.New(pack, site.MockFaults{Seed: 4}, fixedClock).Handler())
	t.Cleanup(s.Close)
	return s
}

type ask struct {
	method, target, kind, body string
	header                     map[string]string
	user, password             string
}

func (a ask) of(t *testing.T, s *httptest.Server) (int, http.Header, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), a.method, s.URL+a.target, strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	if a.kind != "" {
		r.Header.Set("Content-Type", a.kind)
	}
	for k, v := range a.header {
		r.Header.Set(k, v)
	}
	if a.user != "" {
		r.SetBasicAuth(a.user, a.password)
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatalf("%d: not a JSON object: %s", answer.StatusCode, raw)
	}
	return answer.StatusCode, answer.Header, tree
}

// TestHandlerSpeaksTheProvidersAPI: what the provider would refuse is refused as it would.
func TestHandlerSpeaksTheProvidersAPI(t *testing.T) {
	key := map[string]string{"Authorization": "Bearer sk_test_1234567890"}
	for _, row := range []struct {
		name, provider string
		ask            ask
		status         int
		path, says     string // where the answer says what
	}{
		{"header", "stripe", ask{method: "POST", target: "/v1/payment_intents", kind: form, body: "amount=4800&currency=eur", header: key}, 200, "amount", "4800"},
		{"no credential", "stripe", ask{method: "POST", target: "/v1/payment_intents", kind: form, body: "amount=4800&currency=eur"}, 401, "error.message", "no credential"},
		{"a prefix is no credential", "stripe", ask{method: "POST", target: "/v1/payment_intents", kind: form, body: "amount=4800&currency=eur", header: map[string]string{"Authorization": "Bearer "}}, 401, "error.message", "no credential"},
		{"credential elsewhere", "stripe", ask{method: "POST", target: "/v1/payment_intents", kind: form, body: "amount=4800&currency=eur", user: "sk_test_1", password: "x"}, 401, "error.message", "no credential"},
		{"unknown parameter", "stripe", ask{method: "POST", target: "/v1/payment_intents", kind: form, body: "amount=4800&currency=eur&evil=1", header: key}, 400, "error.message", "evil"},
		{"missing parameter", "stripe", ask{method: "POST", target: "/v1/payment_intents", kind: form, body: "amount=4800", header: key}, 400, "error.message", "currency"},
		{"unreadable body", "stripe", ask{method: "POST", target: "/v1/payment_intents", kind: "application/json", body: "{", header: key}, 400, "error.message", ""},
		{"unknown path", "stripe", ask{method: "POST", target: "/v1/nothing", header: key}, 404, "error.message", "nothing at this address"},
		{"wrong method", "stripe", ask{method: "PATCH", target: "/v1/payment_intents", header: key}, 405, "error.message", "not allowed"},
		{"too large", "stripe", ask{method: "POST", target: "/v1/payment_intents", kind: form, body: strings.Repeat("a", 2<<20), header: key}, 413, "error.message", "too large"},
		{"query", "google-maps", ask{method: "GET", target: "/maps/api/geocode/json?address=Kiel&key=AIza1"}, 200, "status", "OK"},
		{"no key in the query", "google-maps", ask{method: "GET", target: "/maps/api/geocode/json?address=Kiel"}, 401, "error_message", "no credential"},
		{"basic", "twilio", ask{method: "POST", target: "/v2/Services/VA00000000000000000000000000000000/Verifications", kind: form, body: "To=%2B447700900123&Channel=sms", user: "AC1", password: "x"}, 201, "status", "pending"},
		{"basic without a password", "twilio", ask{method: "POST", target: "/v2/Services/VA00000000000000000000000000000000/Verifications", kind: form, body: "To=%2B447700900123&Channel=sms", user: "AC1"}, 401, "message", "no credential"},
		{"whole header", "zigpoll", ask{method: "GET", target: "/poll?pollId=6569f1a27c4d2e0012ab34cd", header: map[string]string{"Authorization": "k"}}, 200, "_id", "6569f1a27c4d2e0012ab34cd"},
	} {
		t.Run(row.name, func(t *testing.T) {
			status, _, tree := row.ask.of(t, serve(t, row.provider))
			path, err := contract.ParsePath(row.path)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := contract.NewArgs(tree).Get(path)
			raw, _ := json.Marshal(got)
			if status != row.status || got == nil || !strings.Contains(string(raw), row.says) {
				t.Errorf("%d, %s = %s; want %d and %q in\n%v", status, row.path, raw, row.status, row.says, tree)
			}
		})
	}
}

func TestHandlerNamesTheMethods(t *testing.T) {
	_, header, _ := ask{method: "PATCH", target: "/v1/payment_intents"}.of(t, serve(t, "stripe"))
	if got := header.Get("Allow"); !strings.Contains(got, "POST") {
		t.Errorf("Allow = %q", got)
	}
}

// TestHandlerKeepsWhatWasMade: what a request made, another reads.
func TestHandlerKeepsWhatWasMade(t *testing.T) {
	s, key := serve(t, "stripe"), map[string]string{"Authorization": "Bearer sk_test_1234567890"}
	_, _, made := ask{method: "POST", target: "/v1/payment_intents", kind: form, body: "amount=1234&currency=gbp", header: key}.of(t, s)
	id, _ := made["id"].(string)
	_, _, read := ask{method: "GET", target: "/v1/payment_intents/" + id, header: key}.of(t, s)
	if id == "" || read["id"] != id || read["amount"] != float64(1234) || read["currency"] != "gbp" {
		t.Errorf("made %v, read %v", made, read)
	}
}
