package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/test/harness"
)

// budgetConfig is a shop whose calls may cost no more than budget, over an upstream that counts.
func budgetConfig(upstream, budget string) string {
	return fmt.Sprintf(`version: 1
listen: {public: "127.0.0.1:0", tls: off}
store: "sqlite:./data/sallyport.db"
sites:
  shop:
    origins: [https://shop.example]
    limit: [100000 per minute per session, 100000 per minute per prefix]
    connections:
      payments:
        provider: stripe
        mode: sandbox
        credentials: {secret_key: env:TEST_STRIPE_KEY}
        upstream: {url: %q, ca: ./ca.pem, private: true}
        budget: %s
        browser:
          list-products: {returns: ["data[].id"]}
        backend: [list-products]
`, upstream, budget)
}

// shelves is a provider that answers at once and counts.
type shelves struct{ seen atomic.Int64 }

func (s *shelves) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.seen.Add(1)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"object":"list","data":[],"has_more":false,"url":"/v1/products"}`))
}

// storm makes n calls, all at once but for what one machine can hold open, and counts answers.
func storm(t *testing.T, g *harness.Gate, n int, header map[string]string) (passed int64) {
	t.Helper()
	var out atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-start
			switch r := g.Do("GET", "/shop/api/payments/v1/products", "", header); {
			case r.Status == http.StatusOK:
				out.Add(1)
			case r.Status != http.StatusTooManyRequests || !strings.Contains(r.Body, `"code":"budget_exhausted"`) || r.Header.Get("Retry-After") == "":
				t.Errorf("%d %s", r.Status, r.Body)
			}
		})
	}
	close(start)
	wg.Wait()
	return out.Load()
}

// TestLastTenOfABudget: 1,000 parallel calls against the last 10 of a budget; exactly 10 go out. So it stays
// after a clean stop, and after a power cut.
func TestLastTenOfABudget(t *testing.T) {
	t.Parallel()
	provider := &shelves{}
	up := harness.Serve(t, provider)
	g := start(t, budgetConfig(up.URL, "{day: 20 calls, month: 5000 calls}"), up)
	fromManyNetworks(g) // one may hold 512 connections
	backend := map[string]string{"Authorization": "Bearer " + g.Key("shop")}
	// 20 in all: the provider's own limit, 25 a second, must not be what stops them.
	if n := storm(t, g, 10, backend); n != 10 || provider.seen.Load() != 10 {
		t.Fatalf("%d of the first 10 passed, the provider saw %d", n, provider.seen.Load())
	}
	if n := storm(t, g, 1000, backend); n != 10 || provider.seen.Load() != 20 {
		t.Errorf("%d of 1,000 calls passed, and the provider saw %d in all; want 10 and 20", n, provider.seen.Load())
	}
	for name, end := range map[string]func(){"a clean stop": g.Stop, "a power cut": g.Kill} {
		end()
		g.Start()
		if n := storm(t, g, 50, backend); n != 0 {
			t.Errorf("%d calls passed after %s", n, name)
		}
	}
	time.Sleep(4 * time.Second) // what was reserved for refused calls goes back
	out, err := g.Run("", "status", "--json")
	if err == nil {
		t.Error("status found nothing to tell of a spent budget")
	}
	var s struct {
		Budgets []struct{ Period, Budget, Spent, Left, State string }
	}
	if err := json.Unmarshal([]byte(out[:strings.LastIndex(out, "}")+1]), &s); err != nil || len(s.Budgets) != 2 {
		t.Fatalf("status: %v\n%s", err, out)
	}
	if b := s.Budgets[0]; b.Spent != "20 calls" || b.Left != "0 calls" || b.State != "spent" {
		t.Errorf("status of the day: %+v", b)
	}
	var month int
	if _, err := fmt.Sscanf(s.Budgets[1].Spent, "%d calls", &month); err != nil || month < 20 || month > 20+50 || s.Budgets[1].State != "open" {
		t.Errorf("status of the month: %+v; want 20 calls, and a hundredth more at most, for the power cut", s.Budgets[1])
	}
	if log := g.Log(); strings.Count(log, `"reason":"spent/day/calls"`) != 1 || strings.Count(log, `"reason":"soft/day/calls"`) != 1 {
		t.Errorf("the alerts of the day were not told once each:\n%s", grep(log, `"alert"`))
	}
	if audit := g.MustRun("", "audit", "show", "--json"); strings.Count(audit, "budget/spent/day/calls") != 1 {
		t.Error("the alert is not in the audit log, once")
	}
}

func grep(text, word string) string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// TestShareOfABudget: visits that nobody vouches for share a fifth, however many there are.
func TestShareOfABudget(t *testing.T) {
	t.Parallel()
	provider := &shelves{}
	up := harness.Serve(t, provider)
	g := start(t, budgetConfig(up.URL, "{day: 20 calls}"), up)
	var passed int64
	for range 5 {
		passed += storm(t, g, 40, map[string]string{"Origin": origin, "Authorization": "Bearer " + g.Unvouched("shop", origin)})
	}
	if passed != 4 || provider.seen.Load() != 4 {
		t.Errorf("%d calls of strangers passed and %d arrived; a fifth of 20 is 4", passed, provider.seen.Load())
	}
	if n := storm(t, g, 100, map[string]string{"Authorization": "Bearer " + g.Key("shop")}); n != 16 {
		t.Errorf("%d calls of the backend passed; 16 were left for it", n)
	}
}

// TestBudgetOverPowerCuts: a gate that is killed again and again may count too much, by what it had
// reserved, and never too little.
func TestBudgetOverPowerCuts(t *testing.T) {
	t.Parallel()
	const budget = 150
	cuts := 3
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		cuts = 40
	}
	provider := &shelves{}
	up := harness.Serve(t, provider)
	g := start(t, budgetConfig(up.URL, fmt.Sprintf("{day: %d calls}", budget)), up)
	key := g.Key("shop")
	for range cuts {
		until := provider.seen.Load() + 20
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() { knock(g, key, &provider.seen, until) })
		}
		wg.Wait()
		g.Kill()
		g.Start()
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { knock(g, key, &provider.seen, 10*budget) })
	}
	wg.Wait()
	// A cut loses a block of a hundredth of what was left, and the calls that were on their way.
	most := int64(budget - cuts*(2+16))
	if seen := provider.seen.Load(); seen > budget || seen < most {
		t.Errorf("%d calls arrived over %d power cuts; want at most %d and at least %d", seen, cuts, budget, most)
	}
}

// knock calls until so many calls have arrived in all, or the budget ends.
func knock(g *harness.Gate, key string, seen *atomic.Int64, until int64) {
	for deadline := time.Now().Add(20 * time.Second); seen.Load() < until && time.Now().Before(deadline); {
		r, err := http.NewRequest(http.MethodGet, g.URL+"/shop/api/payments/v1/products", nil)
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer "+key)
		answer, err := g.Client().Do(r)
		if err != nil {
			return
		}
		raw, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || strings.Contains(string(raw), "budget_exhausted") {
			return
		}
		if answer.StatusCode != http.StatusOK { // the provider's own limit: 25 a second
			time.Sleep(50 * time.Millisecond)
		}
	}
}
