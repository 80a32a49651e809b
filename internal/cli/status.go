package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/budget"
	"sallyport/internal/config"
	"sallyport/internal/egress"
	"sallyport/internal/money"
	"sallyport/internal/probe"
	"sallyport/internal/site"
)

// status is what the command prints with --json.
type status struct {
	At      time.Time      `json:"at"`
	Sites   []siteStatus   `json:"sites"`
	Budgets []budgetStatus `json:"budgets"`
	Freezes []frozen       `json:"freezes"`
}

type siteStatus struct {
	Site        string             `json:"site"`
	Frozen      bool               `json:"frozen"`
	Connections []connectionStatus `json:"connections"`
}

type connectionStatus struct {
	Connection string `json:"connection"`
	Provider   string `json:"provider"`
	Mode       string `json:"mode"`
	Frozen     bool   `json:"frozen"`
	// Credential is what the schedule of probes found; nil: nobody was asked.
	Credential *credentialStatus `json:"credential,omitempty"`
}

// budgetStatus is one budget; amounts read as in the file: "1.20 USD", "35 calls".
type budgetStatus struct {
	Site       string `json:"site"`
	Connection string `json:"connection,omitempty"`
	Operation  string `json:"operation,omitempty"`
	Mode       string `json:"mode"`
	Period     string `json:"period"`
	Budget     string `json:"budget"`
	Spent      string `json:"spent"`
	Left       string `json:"left"`
	Calls      int64  `json:"calls"`
	// Unvouched is the part of Spent of callers nobody vouches for, and UnvouchedLeft what is
	// left of the fifth that they share.
	Unvouched     string          `json:"unvouched"`
	UnvouchedLeft string          `json:"unvouched_left"`
	Forecast      *forecastStatus `json:"forecast,omitempty"`
	Since         time.Time       `json:"since"`
	Until         time.Time       `json:"until"`
	State         string          `json:"state"` // open, soft (past the soft stop), spent
}

type forecastStatus struct {
	Amount string `json:"amount"`
	Error  string `json:"error"`
}

func (p *Program) status() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:        "status",
		Short:      "Show sites, what was spent of each budget, and what is frozen",
		SuggestFor: []string{"budget", "budgets", "usage"},
		Long: "Shows every site with its connections, every budget with what was spent and is left of it, and every freeze. It reads the store\n" +
			"beside a gate that may be running; what the gate has reserved and not spent yet counts as spent, a hundredth of a budget at most.\n" +
			"The forecast is the period's cost if calls go on as until now. Its error is twice the standard error of counting so few calls;\n" +
			"calls do not come evenly over a day or a week, so the truth may lie further off. Exit code 1 means that a budget is spent.",
		Example: "  sallyport status\n  sallyport status --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, faults := config.Load(p.config, p.Catalog)
			if len(faults) > 0 {
				return faults
			}
			var balances []budget.Balance
			var freezes []egress.Freeze
			var probes []probe.Result
			err := p.withStore(cmd.Context(), file, func(s app.Store) (err error) {
				if balances, err = s.ListBudgets(cmd.Context()); err == nil {
					freezes, err = s.ListFreezes(cmd.Context())
				}
				if err == nil {
					probes, err = s.ListProbes(cmd.Context())
				}
				return err
			})
			if err != nil {
				return err
			}
			out := statusOf(file, balances, freezes, p.Now())
			out.addProbes(probes)
			return p.printStatus(out)
		},
	})
}

func statusOf(file *config.File, balances []budget.Balance, freezes []egress.Freeze, now time.Time) status {
	s := status{At: now.UTC(), Sites: []siteStatus{}, Budgets: []budgetStatus{}, Freezes: []frozen{}}
	stopped := map[[2]string]bool{}
	for _, f := range freezes {
		stopped[[2]string{f.Site, f.Connection}] = true
		s.Freezes = append(s.Freezes, frozen{Target: target(f.Site, f.Connection), Reason: f.Reason, By: f.By, At: f.At})
	}
	known := map[budget.Account]budget.Balance{}
	for _, b := range balances {
		known[b.Account] = b
	}
	for _, one := range file.Sites {
		line := siteStatus{Site: one.Name, Frozen: stopped[[2]string{one.Name, ""}], Connections: []connectionStatus{}}
		for _, name := range slices.Sorted(maps.Keys(one.Connections)) {
			c := one.Connections[name]
			line.Connections = append(line.Connections, connectionStatus{Connection: name, Provider: c.Provider, Mode: string(c.Mode),
				Frozen: line.Frozen || stopped[[2]string{one.Name, name}]})
		}
		s.Sites = append(s.Sites, line)
		for _, limit := range limitsOf(one) {
			s.Budgets = append(s.Budgets, budgetLine(budget.Look(limit, known[limit.Account], now)))
		}
	}
	return s
}

// limitsOf are the budgets of a site: its own once for each mode of its connections, then
// those of the connections, each followed by those of its operations.
func limitsOf(s *site.Site) []budget.Limit {
	var own, below []budget.Limit
	seen := map[string]bool{}
	add := func(list *[]budget.Limit, rules []budget.Rule, of budget.Account) {
		for _, r := range rules {
			*list = append(*list, r.Limit(of))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
		c := s.Connections[name]
		of := budget.Account{Site: s.Name, Mode: string(c.Mode)}
		if !seen[of.Mode] {
			seen[of.Mode] = true
			add(&own, s.Budgets, of)
		}
		of.Connection = name
		add(&below, c.Budgets, of)
		for _, op := range slices.Sorted(maps.Keys(c.Browser)) {
			of.Operation = op
			add(&below, c.Browser[op].Budgets, of)
		}
	}
	return append(own, below...)
}

func budgetLine(v budget.View) budgetStatus {
	a := v.Limit.Account
	amount := func(n int64) string { return money.Amount{Millionths: n, Unit: a.Unit}.String() }
	line := budgetStatus{Site: a.Site, Connection: a.Connection, Operation: a.Operation, Mode: a.Mode, Period: string(a.Period),
		Budget: amount(v.Limit.Max), Spent: amount(v.Spent), Left: amount(v.Left), Calls: v.Calls, Unvouched: amount(v.Unvouched),
		UnvouchedLeft: amount(v.UnvouchedLeft), Since: v.Start, Until: v.End, State: "open"}
	if f := v.Forecast; f != nil {
		line.Forecast = &forecastStatus{Amount: amount(rounded(f.Amount, a.Unit)), Error: amount(rounded(f.Error, a.Unit))}
	}
	switch {
	case v.Left == 0:
		line.State = "spent"
	case v.Limit.Soft > 0 && v.Spent >= v.Limit.Soft:
		line.State = "soft"
	}
	return line
}

// rounded leaves a forecast two decimals, or whole calls: more would look as if it were known.
func rounded(n int64, u money.Unit) int64 {
	step := int64(money.One / 100)
	if u == money.Calls {
		step = money.One
	}
	return (n + step/2) / step * step
}

func (p *Program) printStatus(s status) error {
	spent := 0
	for _, b := range s.Budgets {
		if b.State == "spent" {
			spent++
		}
	}
	err := p.facts(s, func() {
		p.statusSites(s.Sites)
		p.statusBudgets(s.Budgets)
		for _, f := range s.Freezes {
			p.line("frozen: %s since %s by %s: %s", f.Target, day(f.At), f.By, orElse(f.Reason, "no reason was given"))
		}
	})
	switch {
	case err != nil || spent == 0:
		return err
	case p.json:
		return errSilent
	}
	return found(counted(spent, "budget")+" "+isAre(spent)+" spent", "raise budget in the file, or wait until it is whole again")
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func (p *Program) statusSites(sites []siteStatus) {
	rows := [][]string{{"SITE", "CONNECTION", "PROVIDER", "MODE", "CALLS", "CREDENTIAL"}}
	for _, s := range sites {
		for _, c := range s.Connections {
			state := "pass"
			if c.Frozen {
				state = "frozen"
			}
			rows = append(rows, []string{s.Site, c.Connection, c.Provider, c.Mode, state, p.credentialState(c.Credential)})
		}
	}
	p.table(rows)
}

func (p *Program) statusBudgets(list []budgetStatus) {
	if len(list) == 0 {
		p.line("\nno budget is set; see docs/guide/budgets.md")
		return
	}
	rows := [][]string{{"BUDGET", "MODE", "SPENT", "OF", "LEFT", "UNVOUCHED", "FORECAST", "WHOLE AGAIN", "STATE"}}
	for _, b := range list {
		name := strings.TrimSpace(target(b.Site, b.Connection) + " " + b.Operation)
		forecast := "-"
		if b.Forecast != nil {
			forecast = b.Forecast.Amount + " ± " + b.Forecast.Error
		}
		rows = append(rows, []string{name, b.Mode, b.Spent, fmt.Sprintf("%s a %s", b.Budget, b.Period), b.Left,
			b.Unvouched + ", " + b.UnvouchedLeft + " left", forecast, day(b.Until), b.State})
	}
	p.line("")
	p.table(rows)
}
