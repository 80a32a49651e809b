package ingress

import (
	"encoding/json"
	"testing"
)

// TestRefusalsHaveAnErrorMemberForSDKs: stripe (Node) 23.1.0 resolves a call whose answer,
// of whatever status, has no "error" member.
func TestRefusalsHaveAnErrorMemberForSDKs(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	for name, lines := range map[string][]string{
		"not found":          {"POST /v1/payment_intents HTTP/1.1", hostH, "Content-Length: 0"},
		"unknown connection": {"GET /api/nothing/v1 HTTP/1.1", hostH},
		"a bad head":         {"GET /api/payments/x HTTP/1.1", hostH, "X-A: a\x01b"},
	} {
		r := one(t, g, lines...)
		var doc struct {
			Code   string `json:"code"`
			Detail string `json:"detail"`
			Error  struct {
				Code    string `json:"code"`
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := json.Unmarshal([]byte(r.body), &doc); err != nil || r.StatusCode < 400 {
			t.Fatalf("%s: %v %d %s", name, err, r.StatusCode, r.body)
		}
		if doc.Error.Code == "" || doc.Error.Code != doc.Code || doc.Error.Message != doc.Detail {
			t.Errorf("%s: %s", name, r.body)
		}
	}
	r := one(t, g, "GET /api/nothing/v1 HTTP/1.1", hostH, "Origin: https://example.com")
	var doc map[string]any
	if err := json.Unmarshal([]byte(r.body), &doc); err != nil || doc["error"] != nil || doc["code"] != "unknown_connection" {
		t.Errorf("a page reads code, not error: %v %s", err, r.body)
	}
}
