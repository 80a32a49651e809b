package probe_test

import (
	"testing"

	"sallyport/internal/probe"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/site"
)

func pack(t *testing.T, id string) *provider.Pack {
	t.Helper()
	p, err := provider.Builtin().Find(id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRead holds the catalog's probes against the answers that the providers document.
func TestRead(t *testing.T) {
	const live, sandbox = provider.Live, provider.Sandbox
	for _, row := range []struct {
		name, provider string
		mode           provider.Mode
		status         int
		body           string
		want           probe.Finding
	}{
		{"a live key", "stripe", live, 200, `{"object":"balance","livemode":true}`, probe.Works},
		{"a test key in the sandbox", "stripe", sandbox, 200, `{"livemode":false}`, probe.Works},
		{"a test key in live", "stripe", live, 200, `{"livemode":false}`, probe.WrongMode},
		{"a live key in the sandbox", "stripe", sandbox, 200, `{"livemode":true}`, probe.WrongMode},
		{"a dead key", "stripe", live, 401, `{"error":{"type":"invalid_request_error"}}`, probe.Refused},
		{"a restricted key", "stripe", live, 403, `{"error":{}}`, probe.LacksPermission},
		{"a failure", "stripe", live, 500, ``, probe.Unclear},
		{"a page of a proxy", "google-signin", live, 200, `<html>`, probe.Unclear},
		{"a client", "google-signin", live, 400, `{"error":"invalid_grant","error_description":"Malformed auth code."}`, probe.Works},
		{"no client", "google-signin", live, 401, `{"error":"invalid_client"}`, probe.Refused},
		{"a client", "paypal", live, 200, `{"access_token":"x"}`, probe.Works},
		{"no client", "paypal", live, 401, `{"error":"invalid_client"}`, probe.Refused},
		{"an account", "twilio", live, 200, `{"sid":"AC"}`, probe.Works},
		{"a live account in the sandbox", "twilio", sandbox, 200, `{"sid":"AC"}`, probe.WrongMode},
		{"test credentials", "twilio", sandbox, 403, `{"code":20008}`, probe.Works},
		{"test credentials in live", "twilio", live, 403, `{"code":20008}`, probe.WrongMode},
		{"a wrong token", "twilio", live, 401, `{"code":20003}`, probe.Refused},
		{"an app", "facebook-login", live, 200, `{"data":[]}`, probe.Works},
		{"no app", "facebook-login", live, 400, `{"error":{"code":190}}`, probe.Refused},
		{"a key", "google-maps", live, 200, `{"id":"x"}`, probe.Works},
		{"a dead key", "google-maps", live, 400, `{"error":{"details":[{"reason":"API_KEY_INVALID"}]}}`, probe.Refused},
		{"a key for something else", "google-maps", live, 403, `{"error":{"status":"PERMISSION_DENIED"}}`, probe.LacksPermission},
		{"a secret", "turnstile", live, 200, `{"success":false,"error-codes":["invalid-input-response"]}`, probe.Works},
		{"no secret", "turnstile", live, 200, `{"success":false,"error-codes":["invalid-input-secret"]}`, probe.Refused},
		{"the secret for tests in live", "turnstile", live, 200, `{"success":true}`, probe.WrongMode},
		{"the secret for tests", "turnstile", sandbox, 200, `{"success":true}`, probe.Works},
		{"a secret", "hcaptcha", live, 200, `{"success":false,"error-codes":["invalid-input-response"]}`, probe.Works},
		{"a key", "zigpoll", live, 200, `{}`, probe.Works},
		{"a pair", "vonage", live, 200, `{"value":1.5}`, probe.Works},
	} {
		t.Run(row.provider+", "+row.name, func(t *testing.T) {
			p := pack(t, row.provider)
			if got, note := probe.Read(&p.Probes[0], row.mode, row.status, []byte(row.body)); got != row.want {
				t.Errorf("%s (%s), want %s", got, note, row.want)
			}
		})
	}
}

// TestSelect: the probe is one that the connection has the fields for, at a server that it uses.
func TestSelect(t *testing.T) {
	key := secret.Ref{Scheme: "env", Name: "K"}
	maps := func(operations ...string) *site.Connection {
		return &site.Connection{Mode: provider.Live, Credentials: map[string]secret.Ref{"api_key": key}, Backend: operations}
	}
	vonage := func(fields ...string) *site.Connection {
		c := &site.Connection{Mode: provider.Live, Credentials: map[string]secret.Ref{}, BackendAll: true}
		for _, f := range fields {
			c.Credentials[f] = key
		}
		return c
	}
	for _, row := range []struct {
		name, provider string
		c              *site.Connection
		want           string // the auth; empty: none
	}{
		{"the server in use", "google-maps", maps("geocode"), "key"},
		{"the server in use", "google-maps", maps("get-place", "geocode"), "header"},
		{"a server that nobody uses, for want of another", "google-maps", maps("compute-routes"), "header"},
		{"key and secret", "vonage", vonage("api_key", "api_secret"), "basic"},
		{"an application only", "vonage", vonage("application_id", "private_key"), "jwt"},
		{"half a pair", "vonage", vonage("api_secret"), ""},
	} {
		got, ok := probe.Select(row.c, pack(t, row.provider))
		if ok != (row.want != "") || ok && got.Auth != row.want {
			t.Errorf("%s, %s: %+v, want %q", row.provider, row.name, got, row.want)
		}
	}
}

// TestEveryProviderHasAProbe and says how its keys are revoked; a provider whose issuer the
// file names has no address that the catalog could ask.
func TestEveryProviderHasAProbe(t *testing.T) {
	for _, id := range provider.Builtin().List() {
		p := pack(t, id)
		if p.Login != nil && p.Login.Issuer == "" && p.Login.Kind == "oidc" {
			continue
		}
		if len(p.Probes) == 0 || p.Rotation == nil {
			t.Errorf("%s: %d probes, rotation %v", id, len(p.Probes), p.Rotation)
		}
	}
}
