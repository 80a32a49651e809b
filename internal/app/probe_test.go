package app

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/probe"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/site"
)

// two is a source with two values of each name.
type two struct{ first, second map[string]string }

func (s two) Read(_ context.Context, ref secret.Ref) (secret.Value, error) {
	if v := s.first[ref.Name]; v != "" {
		return secret.NewValue([]byte(v)), nil
	}
	return secret.Value{}, secret.ErrNotFound
}

func (s two) Second(_ context.Context, ref secret.Ref) (secret.Value, error) {
	return secret.NewValue([]byte(s.second[ref.Name])), nil
}

// TestProbe asks a provider over the wire: what it is asked, what it is not asked, and that
// nothing of it or of the credential comes back.
func TestProbe(t *testing.T) {
	var seen []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		seen = append(seen, r.Method+" "+r.URL.RequestURI()+" "+key)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(key, "Good01"):
			fmt.Fprint(w, `{"object":"balance","livemode":false,"canary":"CANARY"}`)
		case strings.HasSuffix(key, "Live01"):
			fmt.Fprint(w, `{"livemode":true}`)
		case strings.HasSuffix(key, "Weak01"):
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"error":{"message":"CANARY"}}`)
		default:
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"message":"Invalid API Key provided: sk_test_****CANARY"}}`)
		}
	}))
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	key := func(end string) string { return "sk_test_51ExampleExampleExample" + end }
	source := two{first: map[string]string{"good": key("Good01"), "bad": key("Gone01"), "odd": key("Live01"), "weak": key("Weak01"),
		"form": "sk_live_51ExampleExampleExample01", "both": key("Good01")}, second: map[string]string{"both": key("Gone01")}}
	connections := map[string]*site.Connection{}
	for name := range source.first {
		connections[name] = &site.Connection{Site: "shop", Name: name, Provider: "stripe", Mode: provider.Sandbox, BackendAll: true,
			Credentials: map[string]secret.Ref{"secret_key": {Scheme: "keystore", Name: name}},
			Upstream:    &site.Upstream{URL: server.URL, CA: ca, Private: true}}
	}
	connections["gone"] = &site.Connection{Site: "shop", Name: "gone", Provider: "stripe", Mode: provider.Sandbox,
		Credentials: map[string]secret.Ref{"secret_key": {Scheme: "keystore", Name: "none"}}, Upstream: &site.Upstream{URL: server.URL, CA: ca, Private: true}}
	connections["mock"] = &site.Connection{Site: "shop", Name: "mock", Provider: "stripe", Mode: provider.Mock}
	file := &config.File{Catalog: provider.Builtin(), Sites: []*site.Site{{Name: "shop", Connections: connections}}}
	asked, told := 0, 0
	o := ProbeOptions{Secrets: secret.Sources{"keystore": source},
		Before: func(context.Context, *site.Connection) error { asked++; return nil },
		After:  func(context.Context, Probed) { told++ }}
	want := map[string]probe.Finding{"good": probe.Works, "bad": probe.Refused, "odd": probe.WrongMode, "weak": probe.LacksPermission,
		"form": probe.WrongMode, "gone": probe.Missing, "mock": probe.NotAsked, "both sent": probe.Works, "both other": probe.Refused}
	got := Probe(t.Context(), file, o)
	for _, r := range got {
		name := strings.TrimSpace(r.Connection + " " + r.Value)
		if r.Finding != want[name] {
			t.Errorf("%s: %s (%s), want %s", name, r.Finding, r.Note, want[name])
		}
		if all := fmt.Sprintf("%+v", r); strings.Contains(all, "CANARY") || strings.Contains(all, "sk_") {
			t.Errorf("%s tells too much: %s", name, all)
		}
		delete(want, name)
	}
	if len(want) > 0 || asked != 6 || told != 8 {
		t.Errorf("not told of %v; %d were asked, %d told", want, asked, told)
	}
	for _, line := range seen {
		if !strings.HasPrefix(line, "GET /v1/balance sk_test_") {
			t.Errorf("the provider saw %s", line)
		}
	}
	before := len(seen)
	o.Before = func(context.Context, *site.Connection) error { return errors.New("the disk is full") }
	for _, r := range Probe(t.Context(), file, o) {
		if r.Finding == probe.Works {
			t.Errorf("%s was asked without a record", r.Connection)
		}
	}
	if len(seen) != before {
		t.Error("something was sent without a record")
	}
}
