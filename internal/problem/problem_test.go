package problem_test

import (
	"encoding/json"
	"testing"

	"sallyport/internal/problem"
)

// TestExtraMembers: a provider's error shape is added; it replaces nothing but the status,
// and that only by a text.
func TestExtraMembers(t *testing.T) {
	for _, row := range []struct {
		name  string
		extra map[string]any
		want  map[string]any // beside the plain document
	}{
		{"none", nil, nil},
		{"an error object", map[string]any{"error": map[string]any{"code": "x"}}, map[string]any{"error": map[string]any{"code": "x"}}},
		{"taken members", map[string]any{"code": "x", "detail": "y", "status": 200.0}, nil},
		{"a status of its own", map[string]any{"status": "OVER \"LIMIT\"", "error_message": "slow"},
			map[string]any{"status": "OVER \"LIMIT\"", "error_message": "slow"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := problem.New(problem.ContractViolation, `found "status":7 in the text`)
			want := members(t, p.Document("r1"))
			for k, v := range row.want {
				want[k] = v
			}
			p.Extra = row.extra
			for range 2 {
				got := members(t, p.Document("r1"))
				a, _ := json.Marshal(got)
				b, _ := json.Marshal(want)
				if string(a) != string(b) {
					t.Errorf("got  %s\nwant %s", a, b)
				}
			}
		})
	}
}

func members(t *testing.T, doc []byte) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := json.Unmarshal(doc, &out); err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
	return out
}
