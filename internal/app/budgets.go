package app

import (
	"context"
	"strings"
	"time"

	"sallyport/internal/budget"
	"sallyport/internal/config"
	"sallyport/internal/egress"
)

// budgetsKept is how long balances of periods that are over are kept: longer than a month, so
// that no step of the clock makes one whole again.
const budgetsKept = 70 * 24 * time.Hour

// openBudgets opens the ledger of this node. It is closed before the store and the audit log,
// and after the listener: what calls did not use goes back.
func (g *Gate) openBudgets(_ context.Context, _ *config.File) error {
	g.budgets = budget.NewLedger(budget.Options{Store: g.store, Now: g.options.Now, Log: g.log, Tell: g.tellBudget})
	g.onClose(func() error { return g.budgets.Close(context.Background()) })
	return nil
}

// tellBudget tells operators that a budget reached its soft stop, or its end.
func (g *Gate) tellBudget(a budget.Account, one budget.Alert) {
	g.bell.Tell(context.Background(), egress.Alert{Source: "budget", Site: a.Site, Connection: a.Connection, Operation: a.Operation,
		Reason: strings.ToLower(one.Word() + "/" + string(a.Period) + "/" + string(a.Unit))})
}
