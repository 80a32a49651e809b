package provider_test

import (
	"strings"
	"testing"

	"sallyport/internal/contract"
	"sallyport/internal/provider"
)

// sdkCall is a request as an official client library sent it to a listener of ours,
// after the gate took the credential out, and what must go to the provider for it.
type sdkCall struct {
	name, provider, method, path, query string
	contentType, body                   string
	operation                           string
	wantQuery, wantBody                 string
}

// sdkCalls were recorded on 2026-11-23 with @vonage/server-sdk 3.27.0 on Node 20 and
// googlemaps.github.io/maps v1.7.0.
func sdkCalls() []sdkCall {
	const json = "application/json"
	const id = "c11236f4-00bf-4b89-84ba-88b25df97315"
	return []sdkCall{
		{name: "vonage sms.send", provider: "vonage", method: "POST", path: "/sms/json", contentType: json, operation: "send-sms",
			body:     `{"to":"447700900000","from":"Harbour","text":"hi"}`,
			wantBody: "to=447700900000&from=Harbour&text=hi"},
		{name: "vonage sms.send, all options", provider: "vonage", method: "POST", path: "/sms/json", contentType: json, operation: "send-sms",
			body:     `{"to":"447700900000","from":"Harbour","text":"hi","type":"unicode","ttl":60000,"callback":"https://x.example/y","client-ref":"r1","status-report-req":true,"account-ref":"acc","entity-id":"1","content-id":"2","trusted-number":true}`,
			wantBody: "to=447700900000&from=Harbour&text=hi&type=unicode&ttl=60000&status-report-req=true&callback=https%3A%2F%2Fx.example%2Fy&client-ref=r1&account-ref=acc&entity-id=1&content-id=2&trusted-number=true"},
		{name: "vonage verify2.newRequest", provider: "vonage", method: "POST", path: "/v2/verify", contentType: json, operation: "create-verification",
			body:     `{"brand":"Harbour","workflow":[{"channel":"sms","to":"447700900000","from":"Harb","entity_id":"e","content_id":"c","app_hash":"ABC123def45"},{"channel":"email","to":"a@b.example","from":"x@y.example"},{"channel":"voice","to":"447700900000"}],"code_length":6,"channel_timeout":120,"locale":"en-gb","client_ref":"x","fraud_check":false,"code":"1234"}`,
			wantBody: `{"brand":"Harbour","workflow":[{"channel":"sms","to":"447700900000","from":"Harb","entity_id":"e","content_id":"c","app_hash":"ABC123def45"},{"channel":"email","to":"a@b.example","from":"x@y.example"},{"channel":"voice","to":"447700900000"}],"code":"1234","code_length":6,"channel_timeout":120,"locale":"en-gb","client_ref":"x","fraud_check":false}`},
		{name: "vonage verify2.checkCode", provider: "vonage", method: "POST", path: "/v2/verify/" + id, contentType: json, operation: "check-verification",
			body: `{"code":"123456"}`, wantBody: `{"code":"123456"}`},
		{name: "vonage verify2.cancel", provider: "vonage", method: "DELETE", path: "/v2/verify/" + id, operation: "cancel-verification"},
		{name: "vonage verify2.nextWorkflow", provider: "vonage", method: "POST", path: "/v2/verify/" + id + "/next_workflow", contentType: json, operation: "skip-verification-channel"},
		{name: "vonage verify.start", provider: "vonage", method: "POST", path: "/verify/json", contentType: json, operation: "create-verification-v1",
			body: `{"number":"447700900000","brand":"Harbour","code_length":6,"workflow_id":1}`, wantBody: "number=447700900000&brand=Harbour&code_length=6&workflow_id=1"},
		{name: "vonage numberInsights.standardLookup", provider: "vonage", method: "GET", path: "/ni/standard/json", query: "number=447700900000&cnam=true", operation: "get-number-insight-standard",
			wantQuery: "number=447700900000&cnam=true"},
		{name: "vonage messages.send", provider: "vonage", method: "POST", path: "/v1/messages", contentType: json, operation: "send-message",
			body:     `{"message_type":"text","channel":"sms","text":"hi","to":"447700900000","from":"Harbour"}`,
			wantBody: `{"message_type":"text","channel":"sms","to":"447700900000","from":"Harbour","text":"hi"}`},
		{name: "vonage voice.createOutboundCall", provider: "vonage", method: "POST", path: "/v1/calls", contentType: json, operation: "create-call",
			body:     `{"to":[{"type":"phone","number":"447700900000"}],"from":{"type":"phone","number":"447700900001"},"answer_url":["https://x.example/y"]}`,
			wantBody: `{"to":[{"type":"phone","number":"447700900000"}],"from":{"type":"phone","number":"447700900001"},"answer_url":["https://x.example/y"]}`},
		{name: "maps Geocode", provider: "google-maps", method: "GET", path: "/maps/api/geocode/json", operation: "geocode",
			query:     "address=8+Harbour+Street%2C+Whitstable&components=country%3AGB&region=uk",
			wantQuery: "address=8%20Harbour%20Street%2C%20Whitstable&components=country%3AGB&region=uk"},
		{name: "maps ReverseGeocode", provider: "google-maps", method: "GET", path: "/maps/api/geocode/json", operation: "geocode",
			query: "latlng=51.36156%2C1.02676&result_type=street_address%7Croute", wantQuery: "latlng=51.36156%2C1.02676&result_type=street_address%7Croute"},
		{name: "maps Elevation", provider: "google-maps", method: "GET", path: "/maps/api/elevation/json", operation: "get-elevation",
			query: "locations=enc%3A_pbxH_ibE~%7B%7CF~ggN", wantQuery: "locations=enc%3A_pbxH_ibE~%7B%7CF~ggN"},
		{name: "maps Directions", provider: "google-maps", method: "GET", path: "/maps/api/directions/json", operation: "get-directions",
			query: "destination=B&mode=driving&origin=A", wantQuery: "origin=A&destination=B&mode=driving"},
		{name: "maps DistanceMatrix", provider: "google-maps", method: "GET", path: "/maps/api/distancematrix/json", operation: "get-distance-matrix",
			query: "destinations=C&origins=A%7CB", wantQuery: "origins=A%7CB&destinations=C"},
		{name: "maps PlaceAutocomplete", provider: "google-maps", method: "GET", path: "/maps/api/place/autocomplete/json", operation: "autocomplete-places-legacy",
			query: "input=harb", wantQuery: "input=harb"},
		{name: "maps PlaceDetails", provider: "google-maps", method: "GET", path: "/maps/api/place/details/json", operation: "get-place-legacy",
			query:     "fields=name%2Cgeometry&placeid=ChIJm7Qk2VhR3kcRt0hX9dLw1aE",
			wantQuery: "placeid=ChIJm7Qk2VhR3kcRt0hX9dLw1aE&fields=name%2Cgeometry"},
	}
}

// TestSDKRequests holds the contracts against what official libraries really send:
// every request is routed, has no fault, and is written again as the provider wants it.
func TestSDKRequests(t *testing.T) {
	catalog := provider.Builtin()
	for _, c := range sdkCalls() {
		t.Run(c.name, func(t *testing.T) {
			pack, err := catalog.Find(c.provider)
			if err != nil {
				t.Fatal(err)
			}
			op, allowed := pack.Contract().Route(c.method, c.path)
			if op == nil || op.ID != c.operation {
				t.Fatalf("Route(%s %s) = %v (allowed %v), want %s", c.method, c.path, op, allowed, c.operation)
			}
			checkSDKCall(t, op, c)
		})
	}
}

func checkSDKCall(t *testing.T, op *contract.Operation, c sdkCall) {
	t.Helper()
	args, faults, err := op.Parse(contract.Input{Path: c.path, RawQuery: c.query, ContentType: c.contentType, Body: []byte(c.body)})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(faults, op.Check(args)...) {
		t.Errorf("fault at %s: found %s, want %s", f.Where, f.Found, f.Want)
	}
	out, err := op.Encode(args, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out.Path != c.path || out.RawQuery != c.wantQuery || string(out.Body) != c.wantBody {
		t.Errorf("sent to the provider:\n%s?%s\n%s\nwant:\n%s?%s\n%s", out.Path, out.RawQuery, out.Body, c.path, c.wantQuery, c.wantBody)
	}
}

// TestSDKCredentials holds that the older way of Vonage, key and secret among the
// parameters, is refused as unknown: the gate alone places credentials.
func TestSDKCredentials(t *testing.T) {
	pack, err := provider.Builtin().Find("vonage")
	if err != nil {
		t.Fatal(err)
	}
	op, _ := pack.Contract().Find("send-sms")
	_, faults, err := op.Parse(contract.Input{Path: "/sms/json", ContentType: contract.FormType,
		Body: []byte("api_key=abcd1234&api_secret=s3cr3ts3cr3t&to=447700900000&from=Harbour&text=hi")})
	if err != nil {
		t.Fatal(err)
	}
	var where []string
	for _, f := range faults {
		where = append(where, f.Where)
	}
	if got := strings.Join(where, " "); got != "api_key api_secret" {
		t.Errorf("faults at %q, want api_key api_secret", got)
	}
}
