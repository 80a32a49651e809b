package egress_test

import (
	"slices"
	"testing"

	"sallyport/internal/egress"
	"sallyport/internal/problem"
)

// TestAllFaultsAtOnce: a backend's developer reads unknown names, wrong types and what is
// missing in one answer; a browser, whose missing values the file inserts, the unknown names.
func TestAllFaultsAtOnce(t *testing.T) {
	w := open(t, payments(t))
	const body = `{"amount":"many","nothing":1}`
	where := func(a *egress.Answer) (out []string) {
		refused(t, a, problem.ContractViolation)
		for _, f := range a.Problem.Faults {
			out = append(out, f.Where)
		}
		slices.Sort(out)
		return out
	}
	if got := where(w.Call(t.Context(), w.backend("payments", "POST", intents, body))); !slices.Equal(got, []string{"amount", "currency", "nothing"}) {
		t.Errorf("a backend is told of %v", got)
	}
	if got := where(w.Call(t.Context(), browser("payments", "POST", intents, body))); !slices.Equal(got, []string{"nothing"}) {
		t.Errorf("a browser is told of %v", got)
	}
	if n := w.upstream.count(); n != 0 {
		t.Errorf("%d were sent", n)
	}
}
