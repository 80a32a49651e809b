package ingress

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// linesOf are the log lines of one request, by level and code.
func linesOf(t *testing.T, g *gate, id string) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(g.log.String()) {
		var l struct{ Level, Msg, Request, Code, Reason string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if l.Request == id {
			out = append(out, strings.TrimSpace(l.Level+" "+l.Msg+" "+l.Code))
		}
	}
	return out
}

// One line per request: the pipeline's own where it was reached, else one of here, and an
// error only where the gate failed.
func TestOneLinePerRequest(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.caller.answer = func(c *egress.Call) *egress.Answer {
		switch c.Path {
		case "/refused":
			return &egress.Answer{Problem: problem.Wrap(problem.New(problem.Internal, "x"), problem.Unauthenticated, "no")}
		case "/empty":
			return nil
		case "/panic":
			panic("x")
		}
		return &egress.Answer{Status: 200}
	}
	tests := map[string]struct {
		path string
		want []string
	}{
		"answered":           {"/api/payments/ok", nil},
		"pipeline refuses":   {"/api/payments/refused", nil},
		"pipeline fails":     {"/api/payments/empty", []string{"ERROR failed internal"}},
		"panic":              {"/api/payments/panic", []string{"ERROR panic in a request"}},
		"unknown connection": {"/api/nothing/x", []string{"INFO refused unknown_connection"}},
		"health":             {"/healthz", []string{"DEBUG request"}},
	}
	got := map[string]string{}
	for name, tt := range tests {
		got[name] = one(t, g, "GET "+tt.path+" HTTP/1.1", hostH).Header.Get("Sallyport-Request-Id")
	}
	stranger := one(t, g, "GET /x HTTP/1.1", "Host: other.test").Header.Get("Sallyport-Request-Id")
	g.stop()
	for name, tt := range tests {
		if lines := linesOf(t, g, got[name]); !slices.Equal(lines, tt.want) {
			t.Errorf("%s: %q; want %q", name, lines, tt.want)
		}
	}
	if lines := linesOf(t, g, stranger); !slices.Equal(lines, []string{"DEBUG refused unknown_host"}) {
		t.Errorf("another host: %q", lines)
	}
	if text := g.log.String(); !strings.Contains(text, "TestOneLinePerRequest") {
		t.Error("the line of a panic does not say where it was")
	}
}

// A parameter that travels in a header reaches the gate only where a preflight allows it,
// on the connection that has it.
func TestPreflightOfHeaderParameters(t *testing.T) {
	t.Parallel()
	g := startGate(t, func(_ *Config, w *World) {
		w.Headers = func(c *site.Connection) []string {
			if c.Name == "maps" {
				return []string{"X-Goog-FieldMask"}
			}
			return nil
		}
	})
	tests := map[string]string{"maps": "authorization, x-goog-fieldmask", "payments": "authorization"}
	for connection, want := range tests {
		r := one(t, g, "OPTIONS /api/"+connection+"/x HTTP/1.1", hostH, "Origin: https://example.com", "Access-Control-Request-Method: POST",
			"Access-Control-Request-Headers: authorization,x-goog-fieldmask,x-goog-api-key")
		if got := r.Header.Get("Access-Control-Allow-Headers"); r.StatusCode != 204 || got != want {
			t.Errorf("%s: %d %q; want %q", connection, r.StatusCode, got, want)
		}
	}
}
