package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/budget"
)

const (
	budgetColumns = `site, connection, operation, mode, period, unit, start, taken, unvouched, calls, told`
	budgetWhere   = ` WHERE site = $1 AND connection = $2 AND operation = $3 AND mode = $4 AND period = $5 AND unit = $6`
)

func accountArgs(a budget.Account, after ...any) []any {
	return append([]any{a.Site, a.Connection, a.Operation, a.Mode, string(a.Period), string(a.Unit)}, after...)
}

// TakeBudgets implements budget.Store. The rows are locked first, in one order whatever
// the takes' own: nodes that take from the same budgets wait for each other and never crosswise.
func (s *Store) TakeBudgets(ctx context.Context, takes []budget.Take) ([]budget.Taken, error) {
	out := make([]budget.Taken, len(takes))
	err := s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		accounts := make([]budget.Account, len(takes))
		for i, t := range takes {
			accounts[i] = t.Limit.Account
		}
		balances, err := lockBudgets(ctx, tx, accounts, `INSERT INTO budgets (`+budgetColumns+`) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0)
			ON CONFLICT (site, connection, operation, mode, period, unit) DO UPDATE SET told = budgets.told RETURNING `+budgetColumns)
		if err != nil {
			return err
		}
		for i, t := range takes {
			out[i] = balances[t.Limit.Account].Take(t)
		}
		return keepBudgets(ctx, tx, balances)
	})
	if err != nil {
		return nil, fmt.Errorf("take from budgets: %w", err)
	}
	return out, nil
}

// ReturnBudgets implements budget.Store.
func (s *Store) ReturnBudgets(ctx context.Context, returns []budget.Return) error {
	err := s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		accounts := make([]budget.Account, len(returns))
		for i, r := range returns {
			accounts[i] = r.Account
		}
		balances, err := lockBudgets(ctx, tx, accounts, `SELECT `+budgetColumns+` FROM budgets`+budgetWhere+` FOR UPDATE`)
		if err != nil {
			return err
		}
		for _, r := range returns {
			if b, found := balances[r.Account]; found {
				b.Return(r)
			}
		}
		return keepBudgets(ctx, tx, balances)
	})
	if err != nil {
		return fmt.Errorf("return to budgets: %w", err)
	}
	return nil
}

// lockBudgets locks the rows of accounts with a statement that returns one, and reads them.
func lockBudgets(ctx context.Context, tx pgx.Tx, accounts []budget.Account, statement string) (map[budget.Account]*budget.Balance, error) {
	accounts = slices.Clone(accounts)
	slices.SortFunc(accounts, func(a, b budget.Account) int {
		return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Operation, b.Operation),
			cmp.Compare(a.Mode, b.Mode), cmp.Compare(a.Period, b.Period), cmp.Compare(a.Unit, b.Unit))
	})
	out := map[budget.Account]*budget.Balance{}
	for _, a := range slices.Compact(accounts) {
		rows, err := tx.Query(ctx, statement, accountArgs(a)...)
		if err != nil {
			return nil, err
		}
		found, err := pgx.CollectRows(rows, scanBudget)
		if err != nil {
			return nil, err
		}
		for _, b := range found {
			out[a] = &b
		}
	}
	return out, nil
}

func keepBudgets(ctx context.Context, tx pgx.Tx, balances map[budget.Account]*budget.Balance) error {
	var all pgx.Batch
	for a, b := range balances {
		all.Queue(`UPDATE budgets SET start = $7, taken = $8, unvouched = $9, calls = $10, told = $11`+budgetWhere,
			accountArgs(a, b.Start.UnixMilli(), b.Taken, b.Unvouched, b.Calls, int64(b.Told))...)
	}
	return tx.SendBatch(ctx, &all).Close()
}

func scanBudget(row pgx.CollectableRow) (b budget.Balance, err error) {
	var start *int64
	var told int64
	a := &b.Account
	err = row.Scan(&a.Site, &a.Connection, &a.Operation, &a.Mode, &a.Period, &a.Unit, &start, &b.Taken, &b.Unvouched, &b.Calls, &told)
	b.Start, b.Told = moment(start), budget.Alert(told)
	return b, err
}

// ListBudgets implements budget.Store.
func (s *Store) ListBudgets(ctx context.Context) ([]budget.Balance, error) {
	out, err := list(ctx, s, scanBudget, `SELECT `+budgetColumns+` FROM budgets ORDER BY site, connection, operation, mode, period, unit`)
	if err != nil {
		return nil, fmt.Errorf("list budgets: %w", err)
	}
	return out, nil
}

// PurgeBudgets implements budget.Store.
func (s *Store) PurgeBudgets(ctx context.Context, before time.Time) (int, error) {
	n, err := s.exec(ctx, `DELETE FROM budgets WHERE start < $1`, millis(before))
	if err != nil {
		return 0, fmt.Errorf("purge budgets: %w", err)
	}
	return int(n), nil
}
