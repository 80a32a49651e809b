package ingress

import (
	"encoding/json"
	"strings"
	"testing"
)

// visitReply is what the session's addresses answer, refusals included.
type visitReply struct {
	Visit     string `json:"visit"`
	Vouched   string `json:"vouched"`
	Token     string `json:"token"`
	ExpiresIn int    `json:"expires_in"`
	Code      string `json:"code"`
	Challenge any    `json:"challenge"`
}

func askSession(t *testing.T, g *gate, method string, lines ...string) (*reply, visitReply) {
	t.Helper()
	r := one(t, g, append([]string{method + " /session HTTP/1.1", hostH}, lines...)...)
	var v visitReply
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%d %q: %v", r.StatusCode, r.body, err)
	}
	return r, v
}

const (
	pageOrigin = "Origin: https://example.com"
	goodVisit  = "Authorization: Bearer good"
)

// TestShowVisit: a page reads what its own visit is worth and what would raise it; nobody
// else does.
func TestShowVisit(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	r, v := askSession(t, g, "GET", pageOrigin, goodVisit)
	challenge, _ := v.Challenge.(map[string]any)
	if r.StatusCode != 200 || v.Visit != "visit-1" || v.Vouched != "nobody" || v.ExpiresIn != 60 || challenge["salt"] != "s" {
		t.Errorf("%d %+v", r.StatusCode, v)
	}
	if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Access-Control-Allow-Origin") != "https://example.com" {
		t.Errorf("headers %v", r.Header)
	}
	for _, row := range []struct {
		name   string
		lines  []string
		status int
		code   string
	}{
		{"no token", []string{pageOrigin}, 401, "unauthenticated"},
		{"another token", []string{pageOrigin, "Authorization: Bearer bad"}, 401, "unauthenticated"},
		{"not a bearer", []string{pageOrigin, "Authorization: Basic good"}, 401, "unauthenticated"},
		{"no origin", []string{goodVisit}, 403, "origin_refused"},
		{"a page elsewhere", []string{"Origin: https://evil.test", goodVisit}, 403, "origin_refused"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if r, v := askSession(t, g, "GET", row.lines...); r.StatusCode != row.status || v.Code != row.code || v.Visit != "" {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
		})
	}
}

// TestRaiseVisit: evidence raises the visit that brings it, never makes one, and what does not
// hold comes back with the next challenge.
func TestRaiseVisit(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	for _, row := range []struct {
		name   string
		lines  []string
		status int
		code   string
	}{
		{"a proof", []string{pageOrigin, goodVisit, "Sallyport-Proof: work good"}, 200, ""},
		{"a voucher", []string{pageOrigin, goodVisit, "Sallyport-Voucher: good"}, 200, ""},
		{"a wrong proof", []string{pageOrigin, goodVisit, "Sallyport-Proof: work bad"}, 403, "challenge_refused"},
		{"a wrong voucher", []string{pageOrigin, goodVisit, "Sallyport-Voucher: bad"}, 403, "challenge_refused"},
		{"both", []string{pageOrigin, goodVisit, "Sallyport-Voucher: good", "Sallyport-Proof: work good"}, 400, "bad_header"},
		{"too much", []string{pageOrigin, goodVisit, "Sallyport-Proof: " + strings.Repeat("a", maxEvidence+1)}, 431, "headers_too_large"},
		{"no visit", []string{pageOrigin, "Sallyport-Proof: work good"}, 401, "unauthenticated"},
		{"another visit", []string{pageOrigin, "Authorization: Bearer bad", "Sallyport-Proof: work good"}, 401, "unauthenticated"},
		{"a page elsewhere", []string{"Origin: https://evil.test", goodVisit, "Sallyport-Proof: work good"}, 403, "origin_refused"},
		{"no origin", []string{goodVisit, "Sallyport-Voucher: good"}, 403, "origin_refused"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, v := askSession(t, g, "POST", row.lines...)
			if r.StatusCode != row.status || v.Code != row.code || (v.Token == "raised") != (row.status == 200) {
				t.Errorf("%d %s; want %d %s", r.StatusCode, r.body, row.status, row.code)
			}
			if row.code == "challenge_refused" && v.Challenge != "again" {
				t.Errorf("without the next challenge: %s", r.body)
			}
		})
	}
	if len(g.sessions.minted) != 0 {
		t.Errorf("evidence made visits: %v", g.sessions.minted)
	}
	for _, credential := range []string{"work good", "Bearer good"} {
		if strings.Contains(g.log.String(), credential) {
			t.Errorf("%s is in the log", credential)
		}
	}
}
