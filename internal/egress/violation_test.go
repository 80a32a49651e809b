package egress

import (
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
)

// TestViolationsSayWhatTheyAre: a request that takes too much work to check is refused as
// that; every other fault is a violation of the contract.
func TestViolationsSayWhatTheyAre(t *testing.T) {
	x := &exchange{op: &contract.Operation{ID: "create-order"}, conn: &connection{pack: &provider.Pack{ID: "paypal"}}}
	for code, fault := range map[problem.Code]problem.Fault{
		problem.ContractViolation:  {Where: "amount", Pointer: "/amount", Found: "nothing", Want: "this is required: a number"},
		problem.ContractTooComplex: {Code: problem.ContractTooComplex, Found: "a value with too many possible readings", Want: "a simpler value"},
	} {
		p := violation(x, []problem.Fault{fault})
		if p.Code != code || p.Status() != http.StatusUnprocessableEntity || !strings.HasPrefix(p.Detail, "create-order: ") || len(p.Faults) != 1 {
			t.Errorf("%s: %+v", code, p)
		}
	}
}
